"""Keeps the two listeners for names as the store has it, and makes sure that they lead to what is there."""

import asyncio
from collections.abc import Mapping

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from iarnet.errors import GatewayRefused, IarnetError
from iarnet.gateway.front import HTTP, HTTPS, Pair, http, https
from iarnet.gateway.named import Hosts, Led, Ports
from iarnet.gateway.resources import CLUSTER, ENDPOINTS, ROUTES, Resources
from iarnet.gateway.xds import AdsServer
from iarnet.models.domains import Certificate, Domain
from iarnet.secrets.base import Secrets
from iarnet.store.base import Domains

_SETTINGS = {HTTP: "gateway.http_port", HTTPS: "gateway.https_port"}

log = structlog.get_logger()


class Names:
    """What Envoy is told of apps goes through here, so that no name ever leads to what is not there any more."""

    def __init__(
        self, domains: Domains, secrets: Secrets, ads: AdsServer, ports: Ports, *, home: bool = True
    ) -> None:
        """Names of applications that are not served here are answered at `home` only, with what is the matter."""
        self._domains = domains
        self._secrets = secrets
        self._ads = ads
        self._ports = ports
        self._home = home
        self._led: dict[str, Led] = {}
        self._pairs: dict[str, Pair] = {}
        self._recorded: dict[str, str] = {}
        self._shown: dict[str, str] = {}
        self._unusable: dict[str, str] = {}
        self._wanted: dict[str, Resources] = {}
        self._refused: set[str] = set()
        self._turn = asyncio.Lock()

    async def apps(self) -> set[str]:
        """Those that have a domain."""
        return {domain.app for domain in await self._domains.list()}

    async def has(self, app: str) -> bool:
        return bool(await self._domains.list(app))

    def begin(self, app: str, led: Led, *, named: bool) -> None:
        """Before Envoy is listened for."""
        self._ads.put(app, led.resources)
        if named:
            self._led[app] = led

    async def start(self) -> None:
        """After all apps have begun."""
        for key, resources in (await self._made()).items():
            self._offer(key, resources)
        self._shown = self._recorded

    async def lead(self, app: str, led: Led, *, named: bool, within_s: float) -> GatewayRefused | None:
        """Have Envoy take this over of an app. As `AdsServer.settled`; what is refused of names is not raised."""
        before, refused = self._led.get(app, Led((), {})), None
        if named or app in self._led:
            await self._settle(app, _both(before.resources, led.resources), within_s)
            self._led[app] = led
            if not named:
                del self._led[app]
            if not named or _differ(before, led):
                refused = await self.refresh(within_s)
        await self._settle(app, led.resources, within_s)
        return refused

    async def refresh(self, within_s: float) -> GatewayRefused | None:
        """Take over what has been changed of domains, certificates and challenges.

        Gives why a port can't be opened when that is news; it is tried again until it can. Raises
        `GatewayUnavailable`.
        """
        async with self._turn:
            found = [await self._taken_over(key, made, within_s) for key, made in (await self._made()).items()]
            self._shown = self._recorded
        return next(filter(None, found), None)

    def unopened(self) -> dict[int, str]:
        """Ports that can't be opened, and why. They are tried again all the time."""
        refusals = {key: self._ads.refusal(key) for key in self._wanted}
        return {self._port(key): self._explained(key, error).message for key, error in refusals.items() if error}

    def uncertified(self) -> dict[str, str]:
        """See `Gateway`."""
        late = [host for host, key in self._recorded.items() if self._shown.get(host) != key]
        return {**dict.fromkeys(late, ""), **self._unusable}

    async def _made(self) -> dict[str, Resources]:
        """HTTPS first: HTTP sends people there."""
        found = [d for d in await self._domains.list() if self._home or self._serves(d.app)]
        domains = {d.host: d.model_copy(update={"problem": ""}) for d in found}
        hosts = Hosts(self._ports, domains, self._led)
        pairs = await self._certified(domains)
        return {HTTPS: https(hosts, pairs), HTTP: http(hosts, pairs, await self._domains.challenges())}

    def _serves(self, app: str) -> bool:
        return app in self._led and bool(self._led[app].services)

    async def _certified(self, domains: Mapping[str, Domain]) -> dict[str, Pair]:
        found = [c for c in await self._domains.certificates() if c.host in domains]
        found = [c for c in found if domains[c.host].certificate != "none"]
        self._recorded, self._unusable = {c.host: c.key for c in found}, {}
        read = {c.key: self._pairs.get(c.key) or await self._read(c) for c in found}
        self._pairs = {key: pair for key, pair in read.items() if pair}
        return {c.host: self._pairs[c.key] for c in found if c.key in self._pairs}

    async def _read(self, certificate: Certificate) -> Pair | None:
        """Envoy would refuse with one that is broken what else comes with it."""
        try:
            pair = Pair(certificate.chain, await self._secrets.get(certificate.key))
            await asyncio.to_thread(_check, pair)
        except (IarnetError, ValueError, TypeError) as error:
            log.error("a certificate can't be used", host=certificate.host, problem=str(error))
            self._unusable[certificate.host] = f"its certificate can't be used: {error}"
            return None
        return pair

    async def _settle(self, app: str, resources: Resources, within_s: float) -> None:
        self._ads.put(app, resources)
        await self._ads.settled(app, within_s)

    def _offer(self, key: str, resources: Resources) -> bool:
        """Whether it is new."""
        if resources == self._wanted.get(key, {}):
            return False
        self._wanted[key] = resources
        self._ads.put(key, resources, insist=True)
        return True

    async def _taken_over(self, key: str, resources: Resources, within_s: float) -> GatewayRefused | None:
        if not self._offer(key, resources):
            return None
        known = key in self._refused
        self._refused.discard(key)
        try:
            await self._ads.settled(key, within_s)
            return None
        except GatewayRefused as error:
            self._refused.add(key)
            explained = self._explained(key, error)
        log.warning("names can't be answered", problem=explained.message, where=explained.where)
        return None if known else explained

    def _explained(self, key: str, error: GatewayRefused) -> GatewayRefused:
        setting = _SETTINGS[key]
        return GatewayRefused(
            f"Port {self._port(key)}, where names are answered, is not opened: {error.message}",
            where=setting,
            hint=f"Something else may hold it, or only root may open it: end that, or set {setting} to another port.",
        )

    def _port(self, key: str) -> int:
        return self._ports.https if key == HTTPS else self._ports.http


def _differ(one: Led, other: Led) -> bool:
    """Whether that matters to names: who takes a component's requests does not."""
    return one.services != other.services or one.resources.get(ROUTES) != other.resources.get(ROUTES)


def _both(before: Resources, after: Resources) -> Resources:
    """With the clusters to which names still lead."""
    return {t: {**(before.get(t, {}) if t in (CLUSTER, ENDPOINTS) else {}), **named} for t, named in after.items()}


def _check(pair: Pair) -> None:
    """Raises `ValueError` where the key does not belong to the certificate."""
    leaf = x509.load_pem_x509_certificate(pair.chain.encode()).public_key()
    key = load_pem_private_key(pair.key.encode(), password=None).public_key()
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_bytes(*form) != key.public_bytes(*form):
        raise ValueError("the key is another one's")
