"""What is to be sent to Envoy next."""

import asyncio
from collections import deque

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse

from iarnet.gateway.delta import Conversation


class Outbox:
    """In the order in which it was put; what has to wait is joined where that is possible."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._waiting: deque[DeltaDiscoveryResponse | None] = deque()
        self._news = asyncio.Event()

    def put(self, response: DeltaDiscoveryResponse | None) -> None:
        """None ends the conversation."""
        last = self._waiting[-1] if self._waiting else None
        if last is None or response is None or not self._talk.join(last, response):
            self._waiting.append(response)
        self._news.set()

    async def get(self) -> DeltaDiscoveryResponse | None:
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()
