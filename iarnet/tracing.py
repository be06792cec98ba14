"""Spans: which part of a change takes how long. Nothing is loaded or noted unless a process has a tracer."""

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Tracer(Protocol):
    def request(self, method: str, path: str, headers: Mapping[str, str]) -> AbstractContextManager[object]:
        """A span that goes on with the trace that the headers name (W3C Trace Context), or begins one."""
        ...

    def span(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[object]: ...

    def trace_id(self) -> str:
        """Of the trace that is going on, 32 hexadecimal digits; empty outside of one."""
        ...


# State of the module, as with `faults`: a span is in the middle of everything, and its name is all that it needs.
_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """From now on in this process."""
    global _tracer
    _tracer = tracer


def request(method: str, path: str, headers: Mapping[str, str]) -> AbstractContextManager[object]:
    return _tracer.request(method, path, headers) if _tracer else nullcontext()


def span(name: str, **attributes: str) -> AbstractContextManager[object]:
    """A part of the trace that is going on; outside of one it is not noted."""
    return _tracer.span(name, attributes) if _tracer else nullcontext()


def trace_id() -> str:
    return _tracer.trace_id() if _tracer else ""


def traced(kind: str, *methods: str) -> Callable[[type[T]], type[T]]:
    """A class whose asynchronous `methods` are spans `kind.method`, with what they are about: the first argument."""

    def decorate(cls: type[T]) -> type[T]:
        for method in methods:
            setattr(cls, method, _spanning(f"{kind}.{method.strip('_')}", getattr(cls, method)))
        return cls

    return decorate


def _spanning(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def spanning(self: Any, *args: Any, **given: Any) -> Any:
        if _tracer is None:
            return await method(self, *args, **given)
        with _tracer.span(name, _about(self, *args)):
            return await method(self, *args, **given)

    return spanning


def _about(owner: Any, first: Any = None, *_: Any) -> dict[str, str]:
    """What has a name or is one; of a repository's address nothing is told."""
    about = first if isinstance(first, str) else getattr(first, "name", getattr(first, "image", ""))
    provider = getattr(getattr(owner, "info", None), "id", "")
    return {key: text for key, text in (("iarnet.about", about), ("iarnet.provider", provider)) if text}
