"""Who signs certificates, made when it is asked: what they need takes a third of a second to import."""

import asyncio
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from iarnet.certificates.base import Issuer, Pair, Prove
from iarnet.config import Settings
from iarnet.secrets.base import Secrets
from iarnet.store.base import Clock


class LateIssuer:
    """`Issuer` by one that `make` makes, in a thread and once."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: asyncio.Task[Any] | None = None

    async def issue(self, host: str, prove: Prove) -> Pair:
        issuer: Issuer = await self.get()
        return await issuer.issue(host, prove)

    async def get(self) -> Any:
        self._made = self._made or asyncio.create_task(asyncio.to_thread(self._make))
        return await asyncio.shield(self._made)


class NodeIssuers:
    """By the kind of a domain's certificate."""

    def __init__(self, settings: Settings, secrets: Secrets, clock: Clock) -> None:
        self._own = LateIssuer(partial(_own, settings, secrets, clock))
        acme = LateIssuer(partial(_acme, settings, secrets, clock))
        self.by_kind: dict[str, Issuer] = {"own": self._own, "acme": acme}

    async def authority(self) -> str:
        """What has to be trusted for our own certificates, PEM."""
        certificate: str = await (await self._own.get()).certificate()
        return certificate


def _own(settings: Settings, secrets: Secrets, clock: Clock) -> Any:
    names = settings.gateway.own_names
    return import_module("iarnet.certificates.authority").OwnAuthority(secrets, settings.node_name, clock, names)


def _acme(settings: Settings, secrets: Secrets, clock: Clock) -> Any:
    acme = settings.gateway.acme
    return import_module("iarnet.certificates.acme_server").AcmeServer(
        acme.directory,
        agree=acme.agree,
        email=acme.email,
        ca_bundle=acme.ca_bundle,
        secrets=secrets,
        clock=clock,
    )
