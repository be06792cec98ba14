"""Every refusal as problem+json (RFC 9457), from one place."""

import secrets
import traceback
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.routing import Match
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    TerminatedError,
    TimeoutError,
)
from temporalio.service import RPCError, RPCStatusCode

from iarnet.errors import (
    Cancelled,
    Forbidden,
    IarnetError,
    InvalidInput,
    Missing,
    NodeUnreachable,
    NotFound,
    PayloadTooLarge,
    Unauthorized,
    error_from,
)
from iarnet.models.base import Value

log = structlog.get_logger("api")

NEVER_CONNECTED = "Failed client connect"
SILENT = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.PERMISSION_DENIED,
}


class Problem(Value):
    """`code` is stable; `where` names the thing concerned; `log` holds the last lines of what failed."""

    type: str = Field(examples=["urn:iarnet:error:NotFound"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no application 'shop'"])
    code: str = Field(examples=["NotFound"])
    hint: str = ""
    where: str = ""
    component: str = ""
    log: tuple[str, ...] = ()


class Incident(IarnetError):
    """Something that nobody foresaw. `where` is the number under which the log has the whole story."""


class MethodNotAllowed(IarnetError):
    status = 405


def refusals(*kinds: type[IarnetError]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses of a route that may answer with these, besides those that any route may."""
    everywhere: list[type[IarnetError]] = [InvalidInput, Unauthorized, Forbidden, PayloadTooLarge, Incident]
    by_status: dict[int, list[type[IarnetError]]] = {422: []}
    for kind in (*everywhere, *kinds):
        by_status.setdefault(kind.status, []).append(kind)
    return {status: _documented(those) for status, those in by_status.items()}


def shape_of(error: IarnetError) -> Problem:
    return Problem(
        type=f"urn:iarnet:error:{error.code}",
        title=_title(error.code),
        status=error.status,
        detail=error.message,
        code=error.code,
        hint=error.hint,
        where=error.where,
        component=error.component,
        log=error.log,
    )


def answer(error: IarnetError, headers: dict[str, str] | None = None) -> JSONResponse:
    shape = shape_of(error)
    extra = {"WWW-Authenticate": "Bearer"} if shape.status == 401 else {}
    all_headers = {**(headers or {}), **extra}
    content = shape.model_dump(mode="json")
    return JSONResponse(content, shape.status, media_type="application/problem+json", headers=all_headers)


def incident(error: BaseException) -> Incident:
    """Logs it whole, without the values of variables (they may be secrets); tells the client only its number."""
    number = secrets.token_hex(4)
    log.error("incident", incident=number, trace="".join(traceback.format_exception(error)))
    hint = f"the node's log has the details: look for incident {number}"
    return Incident("something went wrong that should not have", where=number, hint=hint)


def understood(error: BaseException) -> IarnetError:
    """The error of ours that a failure of Temporal, or of a workflow, stands for."""
    if isinstance(error, IarnetError):
        return error
    if isinstance(error, RPCError):
        return _from_rpc(error)
    if isinstance(error, RuntimeError) and str(error).startswith(NEVER_CONNECTED):
        return _silent(str(error))
    if isinstance(error, ApplicationError) and error.details and isinstance(error.details[0], dict):
        return error_from(error.details[0])
    if error.__cause__ is not None:
        return understood(error.__cause__)
    if isinstance(error, CancelledError | TerminatedError):
        return Cancelled("the run was cancelled", hint="start it again")
    if isinstance(error, TimeoutError):
        return NodeUnreachable("the run ran out of time", hint="look at it in the Temporal web UI; then try again")
    if isinstance(error, ApplicationError):
        return error_from({"code": error.type, "message": error.message})
    return incident(error)


def install(app: FastAPI) -> None:
    app.add_exception_handler(IarnetError, _on_ours)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    for kind in (RPCError, RuntimeError, ApplicationError, WorkflowFailureError, WorkflowUpdateFailedError):
        app.add_exception_handler(kind, _on_temporal)


async def _on_ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, IarnetError)
    return answer(error)


async def _on_temporal(request: Request, error: Exception) -> JSONResponse:
    return answer(understood(error))


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    """Says which field and what is wrong with it; never repeats what was sent, which may be a secret."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(_printable(part) for part in first["loc"])
    rest = len(error.errors()) - 1
    message = f"{where}: {_printable(first['msg'])}" + (f" (and {rest} more)" if rest else "")
    return answer(InvalidInput(message, where=where, hint="the documentation at /docs shows what is expected"))


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    path = _printable(request.url.path)
    if error.status_code == 404:
        return answer(NotFound(f"nothing answers at {path}", hint="the documentation at /docs lists what does"))
    if error.status_code == 405:
        refusal = MethodNotAllowed(f"{path} does not take {request.method}", hint="see the documentation at /docs")
        return answer(refusal, {"Allow": ", ".join(_methods(request))})
    if error.status_code == 413:
        return answer(PayloadTooLarge(str(error.detail), hint="send less"))
    return answer(InvalidInput(str(error.detail)) if error.status_code < 500 else incident(error))


def _methods(request: Request) -> list[str]:
    """What the path takes, of all routes there. What comes with the refusal are the methods of one of them."""

    def taken(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return [method for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT") if taken(method)]


def _from_rpc(error: RPCError) -> IarnetError:
    if error.status in SILENT:
        return _silent(error.message)
    if error.status == RPCStatusCode.NOT_FOUND:
        return NotFound(f"Temporal has no such run: {error.message}", hint="finished runs are kept for 30 days")
    if "search attribute" in error.message.lower():
        hint = "register the IarnetApp, IarnetCause and IarnetNode search attributes (type Keyword) in the namespace"
        return Missing(f"Temporal refuses: {error.message}", where="temporal", hint=hint)
    return incident(error)


def _silent(message: str) -> Missing:
    hint = "run `iarnet doctor`, and try again once it is back"
    return Missing(f"Temporal does not answer: {message}", where="temporal", hint=hint)


def _documented(kinds: list[type[IarnetError]]) -> dict[str, Any]:
    codes = sorted({kind.__name__ for kind in kinds}) or ["Refused"]
    content: dict[str, Any] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    if kinds:
        content["application/problem+json"]["examples"] = {kind.__name__: {"value": _example(kind)} for kind in kinds}
    return {"description": "Refused: " + ", ".join(codes), "content": content}


def _example(kind: type[IarnetError]) -> dict[str, Any]:
    return shape_of(kind("what was wrong", where="what is concerned", hint="what to do next")).model_dump(mode="json")


def _title(code: str) -> str:
    return "".join(f" {c}" if c.isupper() else c for c in code).strip().capitalize()


def _printable(part: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(part))[:200]
