"""What happens around every request: a number, a line in the log, a limit, and an answer when all else fails."""

import secrets
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer, incident
from iarnet import tracing
from iarnet.errors import IarnetError, PayloadTooLarge

log = structlog.get_logger("api.access")

MAX_BODY = 1024 * 1024


@dataclass(frozen=True)
class Story:
    """Gives the request an ID, logs it (the path only: queries may carry a token), answers what nobody caught."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, status, began = secrets.token_hex(8), 0, time.perf_counter()

        async def numbered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
                headers["Referrer-Policy"] = "no-referrer"
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                with _traced(scope):
                    await self.app(scope, receive, numbered)
            except Exception as error:
                shown = incident(error)
                if status:
                    raise
                await answer(shown)(scope, receive, numbered)
            finally:
                took = round((time.perf_counter() - began) * 1000, 1)
                log.info("request", method=scope["method"], path=scope["path"], status=status, ms=took)


def _traced(scope: Scope) -> AbstractContextManager[object]:
    """A question changes nothing, and there are many."""
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return nullcontext()
    return tracing.request(scope["method"], scope["path"], Headers(scope=scope))


@dataclass(frozen=True)
class BodyLimit:
    """Refuses bodies above `limit` bytes, those that say so at once and the others when they get there."""

    app: ASGIApp
    limit: int = MAX_BODY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self._declared(scope) > self.limit:
            await answer(self._refusal())(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise HTTPException(413, self._refusal().message)
            return message

        await self.app(scope, counted, send)

    def _declared(self, scope: Scope) -> int:
        length = Headers(scope=scope).get("content-length", "0")
        return int(length) if length.isdecimal() and len(length) < 20 else 0

    def _refusal(self) -> IarnetError:
        return PayloadTooLarge(f"a request of more than {self.limit} bytes", hint="send less")
