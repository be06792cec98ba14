import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from iarnet.builds.engine import BuildEngine


class Chatty:
    """An engine's client that says as much as is read."""

    answer = None

    def __init__(self, messages: int) -> None:
        self.messages, self.read = messages, 0
        self.all_read = threading.Event()

    def build(self, **how: Any) -> Iterator[dict[str, Any]]:
        for n in range(self.messages):
            self.read += 1
            yield {"stream": f"{n}\n"}
        self.all_read.set()


class Engine(BuildEngine):
    def __init__(self, client: Chatty) -> None:
        super().__init__("unix:///nowhere")
        self._chatty = client

    def _client(self) -> AbstractContextManager[Any]:
        return nullcontext(self._chatty)


async def test_output_is_read_no_faster_than_it_is_heard() -> None:
    client, heard = Chatty(5000), []

    def hear(message: dict[str, Any]) -> None:
        # The loop has no time at first: were nothing to wait for it, all would be read by then.
        assert heard or not client.all_read.wait(0.5)
        heard.append(message["stream"])

    await Engine(client).build(io.BytesIO(), hear)
    assert heard == [f"{n}\n" for n in range(5000)]


async def test_cancelling_does_not_wait_for_room() -> None:
    client, some = Chatty(5000), asyncio.Event()
    build = asyncio.create_task(Engine(client).build(io.BytesIO(), lambda message: some.set()))
    await some.wait()
    build.cancel()
    await asyncio.wait([build], timeout=60)
    assert build.cancelled()
