"""A provider that answers as engines do on a bad day."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

from iarnet.errors import Conflict, ProviderError, ProviderUnavailable
from iarnet.models.component import HealthCheck
from iarnet.models.instance import Instance, InstanceSpec, ProbeResult
from iarnet.providers.base import ImageSource
from iarnet.providers.memory import MemoryProvider

T = TypeVar("T")
Fault = Literal[
    "",  # none
    "unreachable",
    "500 before",
    "500 after",  # it is done all the same
    "timeout after",
    "killed before",  # whoever asks, not the provider
    "killed after",
    "half",  # what is to be started is made, and not started
    "name kept",  # twice: there is nothing of that name, and the name is taken
]


class Killed(BaseException):
    """What has called is no longer there to hear the answer."""


class Faulty:
    """Around a provider in memory: every call meets the next of `faults`, and none when there are no more."""

    def __init__(self, inner: MemoryProvider) -> None:
        self.inner = inner
        self.info = inner.info
        self.faults: list[Fault] = []
        self._half = False
        self._kept = 0

    def step(self, operation: str, name: str) -> None:
        """The `faults` of the provider inside."""
        if operation == "start" and self._half:
            self._half = False
            raise ProviderUnavailable("the connection broke")

    async def ensure_image(self, image: str, source: ImageSource | None = None) -> None:
        await self._met(lambda: self.inner.ensure_image(image, source))

    async def deploy(self, spec: InstanceSpec) -> Instance:
        return await self._met(lambda: self._deploy(spec))

    async def remove(self, name: str, epoch: int) -> None:
        await self._met(lambda: self.inner.remove(name, epoch))

    async def inspect(self, name: str) -> Instance | None:
        return await self._met(lambda: self.inner.inspect(name))

    async def probe(self, name: str, check: HealthCheck) -> ProbeResult:
        return await self._met(lambda: self.inner.probe(name, check))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def _deploy(self, spec: InstanceSpec) -> Instance:
        if self._kept and await self.inner.inspect(spec.name) is None:
            self._kept -= 1
            raise Conflict(f"the name {spec.name} is already in use")
        return await self.inner.deploy(spec)

    async def _met(self, call: Callable[[], Awaitable[T]]) -> T:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "unreachable":
            raise ProviderUnavailable("connection refused")
        if fault == "500 before":
            raise ProviderError("internal server error")
        if fault == "killed before":
            raise Killed
        self._half = fault == "half"
        self._kept = 2 if fault == "name kept" else self._kept
        answer = await call()
        if fault == "500 after":
            raise ProviderError("internal server error")
        if fault == "timeout after":
            raise ProviderUnavailable("timed out")
        if fault == "killed after":
            raise Killed
        return answer
