"""What a request for a name is answered with, as Envoy's virtual hosts. Pure.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/config/route/v3/route_components.proto
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost

from iarnet.gateway.access_log import named
from iarnet.gateway.clusters import first_version
from iarnet.gateway.listeners import Place
from iarnet.gateway.resources import CLUSTER, ROUTES, Resources
from iarnet.models.domains import Challenge, Domain
from iarnet.models.traffic import HTTP_PROTOCOLS, Service

_CHALLENGE = "/.well-known/acme-challenge/"
_PERMANENTLY = "PERMANENT_REDIRECT"  # 308: the method stays


@dataclass(frozen=True)
class Ports:
    """Where names are answered. Requests are logged as those to the ports of apps are."""

    address: str
    http: int
    https: int
    access_log: Path | None = None


@dataclass(frozen=True)
class Led:
    """What Envoy is told of an app: where its ports are, and which requests go where."""

    services: Sequence[Service]
    resources: Resources


@dataclass(frozen=True)
class Hosts:
    """`domains` by host, `apps` by name."""

    ports: Ports
    domains: Mapping[str, Domain]
    apps: Mapping[str, Led]

    def over_http(self, domain: Domain, challenges: Iterable[Challenge], *, certified: bool) -> Any:
        """What an authority asks for comes before all else."""
        if domain.plain or domain.certificate == "none":
            routes = self._served(domain, tls=False)
        elif domain.redirect_to:
            routes = [self._redirected(domain.redirect_to, tls=True)]
        elif certified:
            routes = [self._to_https(domain)]
        else:
            routes = [_answer(503, f"There is no certificate for {domain.host} yet. Please try again later.")]
        return self._host(domain, [*map(_proven, challenges), *routes])

    def over_https(self, domain: Domain) -> Any:
        return self._host(domain, self._served(domain, tls=True))

    def misdirected(self, domain: Domain) -> list[Any]:
        """What is not for this name, although the certificate may be for it, too (RFC 9110, 15.5.20)."""
        text = "This connection is for another name."
        below = [h for h in self.domains if domain.host.startswith("*.") and h.endswith(domain.host[1:])]
        others = sorted(host for host in below if host != domain.host)
        elsewhere = [VirtualHost(name="elsewhere", domains=others, routes=[_answer(421, text)])] if others else []
        return [*elsewhere, nobody(421, text)]

    def _served(self, domain: Domain, *, tls: bool) -> list[Any]:
        if domain.redirect_to:
            return [self._redirected(domain.redirect_to, tls=tls)]
        inside = self._inside(domain)
        return [*inside.routes] if inside else [_answer(503, "The application that has this name does not run here.")]

    def _to_https(self, domain: Domain) -> Any:
        to: dict[str, Any] = {"https_redirect": True, "response_code": _PERMANENTLY}
        if not domain.host.startswith("*."):
            to["host_redirect"] = domain.host  # without the port that was asked
        if self.ports.https != 443 or (self.ports.http != 80 and "host_redirect" not in to):
            to["port_redirect"] = self.ports.https
        return Route(match={"prefix": "/"}, redirect=to)

    def _redirected(self, host: str, *, tls: bool) -> Any:
        """To our port where it is one of our names; elsewhere we know of none but the usual."""
        port, usual = (self.ports.https, 443) if tls else (self.ports.http, 80)
        to: dict[str, Any] = {"host_redirect": host, "response_code": _PERMANENTLY}
        to["scheme_redirect"] = "https" if tls else "http"
        if host in self.domains and port != usual:
            to["port_redirect"] = port
        return Route(match={"prefix": "/"}, redirect=to)

    def _host(self, domain: Domain, routes: Sequence[Any]) -> Any:
        """Requests are tried again and counted as those to the component's own port."""
        made = self._inside(domain) or VirtualHost(name=f"{domain.app}/{domain.component}")
        del made.domains[:], made.routes[:]
        made.domains.append(domain.host)
        made.routes.extend(routes)
        made.metadata.CopyFrom(VirtualHost(metadata=named(domain.component, domain.app)).metadata)
        return made

    def _inside(self, domain: Domain) -> Any:
        """A copy of the virtual host behind the component's own port, leading to clusters without HTTP/2 where there
        are. None while that does not run here."""
        led = self.apps.get(domain.app)
        service = _service(domain, led.services) if led else None
        if led is None or service is None:
            return None
        place = Place(service.app, service.address, service.port, service.subnet, (service,))
        configuration: Any = led.resources[ROUTES][place.name]
        found = VirtualHost()
        found.CopyFrom(next(h for h in configuration.virtual_hosts if h.name == f"{service.app}/{service.component}"))
        for action in (route.route for route in found.routes):
            for target in (action, *action.request_mirror_policies):
                target.cluster = _first(target.cluster, led)
            for share in action.weighted_clusters.clusters:
                share.name = _first(share.name, led)
        return found


def nobody(status: int, text: str) -> Any:
    """For every other name."""
    return VirtualHost(name="nobody", domains=["*"], routes=[_answer(status, text)])


def _service(domain: Domain, services: Iterable[Service]) -> Service | None:
    able = [s for s in services if s.component == domain.component and s.protocol in HTTP_PROTOCOLS]
    return min((s for s in able if domain.port in (0, s.port)), key=lambda s: s.port, default=None)


def _first(cluster: str, led: Led) -> str:
    twin = first_version(cluster)
    return twin if twin in led.resources[CLUSTER] else cluster


def _proven(challenge: Challenge) -> Any:
    return Route(
        match={"path": f"{_CHALLENGE}{challenge.token}"},
        direct_response={"status": 200, "body": {"inline_string": challenge.answer}},
    )


def _answer(status: int, text: str) -> Any:
    return Route(match={"prefix": "/"}, direct_response={"status": status, "body": {"inline_string": f"{text}\n"}})
