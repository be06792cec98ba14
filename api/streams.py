"""Server-sent events: named messages of JSON, and a comment now and then to keep the line open."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from api.errors import shape_of, understood

PING_S = 15.0
PING = b": ping\n\n"
T = TypeVar("T")


@dataclass(frozen=True)
class Message:
    """`id` is what a browser sends back as `Last-Event-ID` when it connects again."""

    event: str
    data: BaseModel
    id: str = ""

    def encode(self) -> bytes:
        """JSON has no line breaks of its own, so one `data` line is enough."""
        number = f"id: {self.id}\n" if self.id else ""
        return f"event: {self.event}\n{number}data: {self.data.model_dump_json()}\n\n".encode()


def stream(messages: AsyncIterator[Message]) -> StreamingResponse:
    """An error in the middle becomes a last message, `error`, with the problem as its data."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_encoded(messages), media_type="text/event-stream", headers=headers)


def streaming(*events: str, also: Any = None) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI response of a route that streams; `also` is the model of its plain JSON answer.

    Any stream may end with `error`. `itemSchema` is of OpenAPI 3.2; FastAPI describes its own streams so, too.
    """
    text, data = {"type": "string"}, {"type": "string", "contentMediaType": "application/json"}
    fields = {"event": {"enum": [*events, "error"]}, "id": text, "data": data}
    one = {"type": "object", "properties": fields, "required": ["event", "data"]}
    content: dict[str, Any] = {"text/event-stream": {"itemSchema": one}}
    described: dict[str, Any] = {"description": f"server-sent events: {', '.join(events)}", "content": content}
    return {200: described | ({"model": also} if also else {})}


async def merge(sources: Sequence[AsyncIterator[T]]) -> AsyncIterator[T]:
    """Whatever comes next from any of them. An error of one ends all."""
    waiting = {asyncio.ensure_future(_next(source)): source for source in sources}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                source = waiting.pop(task)
                try:
                    item = task.result()
                except StopAsyncIteration:
                    continue
                waiting[asyncio.ensure_future(_next(source))] = source
                yield item
    finally:
        await _abandon(set(waiting))


async def _encoded(messages: AsyncIterator[Message]) -> AsyncIterator[bytes]:
    task = asyncio.ensure_future(_next(messages))
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=PING_S)
            if not done:
                yield PING
                continue
            yield task.result().encode()
            task = asyncio.ensure_future(_next(messages))
    except StopAsyncIteration:
        return
    except Exception as error:
        yield Message("error", shape_of(understood(error))).encode()
    finally:
        await _abandon({task})


async def _next(source: AsyncIterator[T]) -> T:
    return await anext(source)


async def _abandon(tasks: set[asyncio.Future[T]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
