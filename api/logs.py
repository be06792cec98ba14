"""Lines of several instances on several providers, as one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from pydantic import Field

from api.streams import Message, merge
from iarnet.errors import IarnetError
from iarnet.models.base import Time, Value
from iarnet.models.instance import Instance, LogLine, LogQuery
from iarnet.providers.base import Providers
from iarnet.secrets.base import Secrets

FIRST = datetime.min.replace(tzinfo=UTC)


class LogEntry(Value):
    component: str
    instance: str
    time: Time | None = None
    stream: str = Field(examples=["stdout"])
    text: str


class LogProblem(Value):
    """Why the lines of one instance can't be had."""

    instance: str
    code: str
    message: str


class Log(Value):
    """Oldest first; at most `tail` lines of each instance."""

    lines: list[LogEntry]
    problems: list[LogProblem] = []


async def gather(providers: Providers, secrets: Secrets, instances: list[Instance], query: LogQuery) -> Log:
    told = await asyncio.gather(*(_all(providers, secrets, i, query) for i in instances))
    entries = [e for part in told for e in part if isinstance(e, LogEntry)]
    problems = [p for part in told for p in part if isinstance(p, LogProblem)]
    return Log(lines=sorted(entries, key=lambda e: e.time or FIRST), problems=problems)


async def tailing(
    providers: Providers, secrets: Secrets, instances: list[Instance], query: LogQuery
) -> AsyncIterator[Message]:
    """Ends when every one of the instances has ended."""
    async for told in merge([_told(providers, secrets, i, query) for i in instances]):
        yield Message("line" if isinstance(told, LogEntry) else "problem", told)


async def _all(
    providers: Providers, secrets: Secrets, instance: Instance, query: LogQuery
) -> list[LogEntry | LogProblem]:
    return [told async for told in _told(providers, secrets, instance, query)]


async def _told(
    providers: Providers, secrets: Secrets, instance: Instance, query: LogQuery
) -> AsyncIterator[LogEntry | LogProblem]:
    """One instance that is gone must not hide what the others say."""
    try:
        async for line in providers.get(instance.provider_id).logs(instance.name, query):
            yield _entry(instance, line, secrets)
    except IarnetError as error:
        yield LogProblem(instance=instance.name, code=error.code, message=error.message)


def _entry(instance: Instance, line: LogLine, secrets: Secrets) -> LogEntry:
    return LogEntry(
        component=instance.component,
        instance=line.instance,
        time=line.time,
        stream=line.stream,
        text=secrets.redact(line.text),
    )
