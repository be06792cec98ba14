"""Who may speak to the node: whoever has its token, under a name that is the node's own (DESIGN §11).

The names are checked so that a web page elsewhere can't reach the node through the browser of somebody who may
(DNS rebinding, cross-site requests). The documentation's cookie opens the documentation and nothing else: browsers
send the cookies of a host to every port of it, so deployed applications see it.
"""

import hmac
import ipaddress
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer
from iarnet.errors import Forbidden, IarnetError, Unauthorized

OPEN = "/api/health"
COOKIE = "iarnet_docs"
DEFAULT_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True)
class Gate:
    """ASGI middleware: answers 403 or 401 itself, lets the rest through."""

    app: ASGIApp
    token: str = field(repr=False)
    allowed_hosts: tuple[str, ...] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] == OPEN:
            return await self.app(scope, receive, send)
        request = HTTPConnection(scope)
        refusal = self._refusal(request)
        if refusal is None:
            return await self.app(scope, receive, self._remembering(request, send))
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008, "reason": refusal.code})
        return await answer(refusal)(scope, receive, send)

    def _refusal(self, request: HTTPConnection) -> IarnetError | None:
        host = request.headers.get("host", "")
        if not self._is_ours(host):
            hint = "use the address that `iarnet up` prints, or add the name to `allowed_hosts`"
            return Forbidden("this node does not answer under that name", where="Host", hint=hint)
        origin = request.headers.get("origin")
        if origin is not None and not _same(origin, host):
            hint = "only pages of this node may call it from a browser"
            return Forbidden("a request from a foreign page", where="Origin", hint=hint)
        if not self._knows_token(request):
            hint = "send `Authorization: Bearer TOKEN`; the token is in the file `token` of the data directory"
            return Unauthorized("no valid token", where="Authorization", hint=hint)
        return None

    def _is_ours(self, host: str) -> bool:
        name = _hostname(host)
        allowed = {host.lower() for host in self.allowed_hosts if host}
        return name == "localhost" or name in allowed or _is_loopback(name)

    def _knows_token(self, request: HTTPConnection) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _equal(given.strip(), self.token):
            return True
        if request.scope.get("method") != "GET":
            return False
        if _equal(request.query_params.get("token", ""), self.token):
            return True
        return _is_documentation(request.url.path) and _equal(request.cookies.get(COOKIE, ""), self._docs_key())

    def _docs_key(self) -> str:
        return hmac.new(self.token.encode(), b"documentation", sha256).hexdigest()

    def _remembering(self, request: HTTPConnection, send: Send) -> Send:
        if request.url.path != "/docs" or "token" not in request.query_params:
            return send

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                cookie = f"{COOKIE}={self._docs_key()}; Path=/; HttpOnly; SameSite=Strict"
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        return with_cookie


def _is_documentation(path: str) -> bool:
    return path in ("/docs", "/openapi.json") or path.startswith("/docs/")


def _equal(given: str, expected: str) -> bool:
    """In constant time. An empty token opens nothing."""
    return bool(expected) and hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        port = str(parts.port or DEFAULT_PORTS.get(parts.scheme, ""))
    except ValueError:
        return False
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return False
    return (parts.hostname, port) == (_hostname(host), _port(host) or DEFAULT_PORTS[parts.scheme])


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _port(host: str) -> str:
    try:
        return str(urlsplit(f"//{host}").port or "")
    except ValueError:
        return "?"


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
