"""Waiting until an instance is started, healthy or completed."""

import asyncio
import time

from activities.opened import Opened
from iarnet.errors import InstanceExited, NotFound, NotReady
from iarnet.models.component import HealthCheck
from iarnet.models.edge import Condition
from iarnet.models.instance import Instance, InstanceSpec, ProbeResult
from iarnet.providers.base import Provider

_FIRST_S = 0.02
_LONGEST_S = 0.5
_JOB_LIMIT_S = 1500.0
# What can't be asked is ready once it has run for so long: a program that lacks something ends sooner.
_STEADY_S = 1.0


async def wait_until(
    provider: Provider, spec: InstanceSpec, goal: Condition, started: Instance | None = None
) -> Instance:
    """The instance, once it meets `goal`; `started` is what is known of it. Raises `InstanceExited`, `NotReady`,
    `WrongPort`.

    Probes densely at first and ever less often, so that a quick start is noticed at once and a slow one costs little.
    What has no health check is healthy when it has run for a second.
    """
    check = spec.health or HealthCheck(type="none")
    deadline = time.monotonic() + (_JOB_LIMIT_S if goal == "completed" else check.start_period_s)
    pause = _FIRST_S
    last = ProbeResult(ready=False, detail="never probed")
    running_since = 0.0
    opened = Opened(provider, spec, check)
    instance = started
    while True:
        # What a probe has seen running still is what it was.
        if instance is None or goal == "completed" or instance.state != "running" or not last.running:
            instance = await provider.inspect(spec.name)
        if instance is None:
            raise InstanceExited(
                f"{spec.component} disappeared while it was starting.", component=spec.component, hint=_retry(spec)
            )
        if instance.state == "exited" and (goal != "completed" or instance.exit_code != 0):
            raise _exited(spec, instance, goal)
        if instance.state == "exited" or (goal == "started" and instance.state == "running"):
            return instance
        if goal == "healthy" and instance.state == "running":
            running_since = running_since or time.monotonic()
            last = await _probed(provider, spec.name, check)
            if last.ready and (check.type != "none" or time.monotonic() - running_since > _STEADY_S):
                return instance
            await opened.compare()
        if time.monotonic() > deadline:
            raise _late(spec, check, goal, f"{last.detail}{opened}")
        await asyncio.sleep(pause)
        pause = min(_LONGEST_S, pause * 1.3)


async def _probed(provider: Provider, name: str, check: HealthCheck) -> ProbeResult:
    try:
        return await provider.probe(name, check)
    except NotFound:
        return ProbeResult(ready=False, running=False, detail="it is gone")


def _retry(spec: InstanceSpec) -> str:
    return f"`iarnet logs {spec.app}` shows more; `iarnet retry {spec.app}` goes on from here once the cause is gone."


def _exited(spec: InstanceSpec, instance: Instance, goal: Condition) -> InstanceExited:
    more = f"Give it more memory: `iarnet fork {spec.app} --set {spec.component}.memory=512Mi`."
    hint = more if instance.killed else _retry(spec)
    what = "before it had done its work" if goal == "completed" else "instead of serving"
    return InstanceExited(
        f"{spec.component} {instance.end} {what}.", component=spec.component, where=spec.name, hint=hint
    )


def _late(spec: InstanceSpec, check: HealthCheck, goal: Condition, seen: str) -> NotReady:
    if goal == "completed":
        return NotReady(
            f"{spec.component} did not end within {_JOB_LIMIT_S:g} s.", component=spec.component, hint=_retry(spec)
        )
    return NotReady(
        f"{spec.component} runs but was not ready within {check.start_period_s:g} s: {seen}.",
        component=spec.component,
        where=spec.name,
        hint=f"{_retry(spec)} If the check is wrong: `iarnet fork {spec.app} --set {spec.component}.health.path=/…`.",
    )
