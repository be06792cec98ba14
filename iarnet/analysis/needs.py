"""Which services a program uses, by its drivers and the settings that it reads."""

import re

from iarnet.analysis import services
from iarnet.analysis.draft import Draft
from iarnet.analysis.names import words
from iarnet.analysis.service_table import EMBEDDED, SERVICES, Service


def wanted(draft: Draft, present: frozenset[str] = frozenset()) -> list[tuple[Service, str]]:
    """The services that a component uses, with the reason: drivers among its dependencies, names it reads.

    A library for several SQL databases counts for one of them: the one that settings name, that is declared, or the
    first.
    """
    found: dict[str, tuple[Service, str]] = {}
    named = {service.key: name for name in draft.reads if (service := services.by_setting(name))}
    for service in SERVICES:
        if service.key in named and not _outside(draft, named[service.key]):
            found[service.key] = (service, f"reads {named[service.key]}")
    drivers = services.by_driver(draft.profile.dependencies if draft.profile else frozenset())
    spared = _spared(draft, {service.key for service in drivers} - present)
    drivers = [service for service in drivers if service.key not in spared]
    sql = [service for service in drivers if service.family == "sql"]
    if (len(drivers) >= MANY or len(sql) >= MANY_SQL) and not named:  # a tool for other people's servers
        drivers = [service for service in drivers if service.key in present]
        sql = [service for service in sql if service.key in present]
    if _embeds(draft, sql) and not {s.key for s in sql} & {*named, *present}:
        sql, drivers = [], [service for service in drivers if service.family != "sql"]
    chosen = next((s for s in sql if s.key in named), None) or next((s for s in sql if s.key in present), None)
    for service in drivers:
        if service.family == "sql" and (service != (chosen or sql[0]) or _outside(draft, "DATABASE_URL")):
            continue
        found.setdefault(service.key, (service, "has a driver among its dependencies"))
    if _uses_celery(draft) and not found.keys() & _BROKERS:
        key = next((name for name in sorted(_BROKERS) if name in present), "rabbitmq")
        found[key] = (services.by_key(key), "uses Celery, whose default broker it is")
    return [found[service.key] for service in SERVICES if service.key in found and service.key not in spared]


def _spared(draft: Draft, drivers: set[str]) -> set[str]:
    """Caches, queues and the like that the program only uses when a setting says where. A database it needs, here or
    elsewhere."""
    asked = draft.profile.optional if draft.profile else frozenset()
    named = {service.key for name in asked & draft.reads.keys() if (service := services.by_setting(name))}
    return {key for key in named & drivers if services.by_key(key).kind != "database"}


_BROKERS = frozenset({"redis", "rabbitmq"})
MANY, MANY_SQL = 5, 3
LITE = words("github.com/mattn/go-sqlite3 modernc.org/sqlite gorm.io/driver/sqlite github.com/glebarez/sqlite "
             "github.com/glebarez/go-sqlite sqlite3 better-sqlite3")  # fmt: skip


def _embeds(draft: Draft, servers: list[Service]) -> bool:
    """A program that brings a database of its own, and can do with a choice of others. One server beside SQLite is
    the server for production."""
    known = draft.profile.dependencies if draft.profile else frozenset()
    return bool(known & EMBEDDED) or (bool(known & LITE) and len(servers) > 1)


def _uses_celery(draft: Draft) -> bool:
    """With a broker from elsewhere declared, none is needed."""
    declared = any(draft.has(name) for name in ("CELERY_BROKER_URL", "BROKER_URL"))
    return draft.profile is not None and "celery" in draft.profile.dependencies and not declared


def _outside(draft: Draft, name: str) -> bool:
    """A declared value that points to a host elsewhere, or to a file."""
    value = draft.value(name) or ""
    return bool(re.search(r"://[^/]*@?[\w-]+\.[\w.-]+|^sqlite|^file:", value))
