"""What Envoy counts, as the traffic of components and routes. Pure.

Names: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/upstream/cluster_manager/cluster_stats and, for
routes, https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/router_filter#statistics.
"""

import re
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from operator import itemgetter

from iarnet.models.traffic import Protocol, RecentTraffic, Service, ServiceTraffic

BOUNDS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)
"""Of the durations that are told. Each is a border between two of Envoy's bins."""

SAMPLE_S = 15.0
_SAMPLES = 4
_TOO_SHORT_S = 5.0  # Envoy adds up its threads' histograms this often

_ANSWERED = "rq_101|rq_[2345]xx|rq_time"
_CONNECTED = "rq_total|cx_active|cx_total|cx_rx_bytes_total|cx_tx_bytes_total"
_UNREACHED = "cx_none_healthy|cx_connect_attempts_exceeded"
_CLUSTER = re.compile(r"cluster\.(?P<service>[^.@]+)(@[a-z0-9]+)*\.(upstream_)?(?P<what>.+)")
_ROUTE = re.compile(r"vhost\.(?P<app>[^/.]+)/(?P<component>[^/.]+)\.route\.(?P<route>[^.]+)\.upstream_(?P<what>.+)")
_BIN = re.compile(r"([0-9.e+]+),([0-9.e+]+):(\d+)")

Names = Mapping[str, tuple[str, ...]]
"""What each of Envoy's counters is counted as."""

_CARRIED = {
    "cx_active": "connections",
    "cx_total": "connections_total",
    "cx_tx_bytes_total": "received_bytes",
    "cx_rx_bytes_total": "sent_bytes",
}
_CLASSES = {"rq_101": "1xx", "rq_2xx": "2xx", "rq_3xx": "3xx", "rq_4xx": "4xx", "rq_5xx": "5xx"}
_ANSWERS: Names = {**{what: (name,) for what, name in (_CARRIED | _CLASSES).items()}, "rq_time": ()}
_HTTP: Names = {**_ANSWERS, "rq_5xx": ("5xx", "errors")}
# Of google.rpc.Code what stands for 500 and more: https://cloud.google.com/apis/design/errors#handling_errors
_GRPC: Names = {**_ANSWERS, **{f"grpc.{code}": ("errors",) for code in (2, 4, 12, 13, 14, 15)}}
# A connection for which nobody is there. For HTTP that is an answer of 503.
_FAILED = ("tcp", "errors")
_OTHER: Names = {
    **{what: (name,) for what, name in _CARRIED.items()},
    **{"rq_total": ("tcp",), "cx_none_healthy": _FAILED, "cx_connect_attempts_exceeded": _FAILED},
}
_NAMES: dict[Protocol, Names] = {"http": _HTTP, "websocket": _HTTP, "grpc": _GRPC, "tcp": _OTHER, "udp": _OTHER}

Span = tuple[float, float]
"""From when to when, in milliseconds."""

Key = tuple[str, str, str]
"""App, component, and route or ""."""


@dataclass(frozen=True)
class Counts:
    """`bins` are the numbers of answers that took so long."""

    of: Counter[str] = field(default_factory=Counter)
    bins: Counter[Span] = field(default_factory=Counter)

    def since(self, before: "Counts") -> "Counts":
        """What was added. All of it, when Envoy has begun anew."""
        if any(self.of[name] < count for name, count in before.of.items() if name != "connections"):
            return self
        return Counts(self.of - before.of, self.bins - before.bins)


class Window:
    """What was counted in the last minute."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Mapping[Key, Counts]]] = deque(maxlen=_SAMPLES)

    def keep(self, now: float, counts: Mapping[Key, Counts]) -> None:
        """To be called every `SAMPLE_S`. What has not changed takes no room again."""
        last = self._samples[-1][1] if self._samples else {}
        self._samples.append((now, {key: last[key] if last.get(key) == c else c for key, c in counts.items()}))

    def recent(self, now: float, key: Key, counts: Counts) -> RecentTraffic | None:
        """None when it has been open for a few seconds only."""
        if not self._samples or (over_s := now - self._samples[0][0]) < _TOO_SHORT_S:
            return None
        return _recent(counts.since(self._samples[0][1].get(key, Counts())), over_s)


def pattern(app: str = "") -> str:
    """Of the names that are understood here, of all apps or of one, for Envoy to tell."""
    app = app or "[^./]+"
    of_cluster = rf"cluster\.{app}/[^.]+\.(upstream_({_ANSWERED}|{_CONNECTED}|{_UNREACHED})|grpc\.[0-9]+)"
    of_route = rf"vhost\.{app}/[^.]+\.route\.[^.]+\.upstream_({_ANSWERED})"
    return f"^({of_cluster}|{of_route})$"


def kept(cluster: str, protocol: Protocol) -> list[str]:
    """The names that are understood here of this cluster."""
    return [f"cluster.{cluster}.{'' if w.startswith('grpc.') else 'upstream_'}{w}" for w in sorted(_NAMES[protocol])]


def counted(stats: str, services: Iterable[Service]) -> dict[Key, Counts]:
    """Of Envoy's `/stats` as text, with detailed histograms. All ports and revisions of a component together."""
    known = {service.name: service for service in services}
    found: dict[Key, Counts] = {}
    for name, value in _lines(stats):
        if match := _CLUSTER.fullmatch(name):
            if (service := known.get(match["service"])) is None:
                continue
            key = (service.app, service.component, "")
            names = _NAMES[service.protocol]
        elif match := _ROUTE.fullmatch(name):
            key, names = (match["app"], match["component"], match["route"]), _HTTP
        else:
            continue
        counts = found.setdefault(key, Counts())
        if match["what"] == "rq_time":
            counts.bins.update(_bins(value))
        for each in names.get(match["what"], ()):
            counts.of[each] += int(value)
    return found


def told(key: Key, counts: Counts, recent: RecentTraffic | None) -> ServiceTraffic:
    app, component, route = key
    of = counts.of
    return ServiceTraffic(
        app=app,
        component=component,
        route=route,
        requests={name: of[name] for name in (*_CLASSES.values(), "tcp") if of[name]},
        errors_total=of["errors"],
        durations=_durations(counts.bins),
        durations_total=counts.bins.total(),
        durations_s=_sum_ms(counts.bins) / 1000,
        recent=recent,
        **({} if route else {name: of[name] for name in _CARRIED.values()}),
    )


def _lines(stats: str) -> Iterator[tuple[str, str]]:
    """`name: 3`, or for a histogram `name:`, and below it its bins, those of the last seconds, and a summary."""
    histogram = ""
    for line in stats.splitlines():
        if line.startswith("  totals="):
            yield histogram, line.removeprefix("  totals=")
        elif not line.startswith(" "):
            name, _, value = line.partition(":")
            if value:
                yield name, value
            else:
                histogram = name


def _bins(text: str) -> dict[Span, int]:
    """`17,1:3` is 3 values from 17 to 18."""
    return {_span(start, width): int(count) for start, width, count in _BIN.findall(text)}


@cache
def _span(start: str, width: str) -> Span:
    """Durations are cut off to whole milliseconds: 5 is anything below 6. The same few bins come again and again."""
    return float(start), float(start) + max(float(width), 1)


def _durations(bins: Counter[Span]) -> dict[float, int]:
    """How many took less than each of the bounds."""
    ends = sorted((end, count) for (_, end), count in bins.items())
    sums = [0, *accumulate(count for _, count in ends)]
    return {ms / 1000: sums[bisect_right(ends, ms, key=itemgetter(0))] for ms in BOUNDS_MS}


def _recent(added: Counts, over_s: float) -> RecentTraffic:
    of, bins = added.of, added.bins
    requests = sum(of[name] for name in (*_CLASSES.values(), "tcp"))
    answers = bins.total() if requests else 0  # those of before, which are added up only now
    return RecentTraffic(
        over_s=over_s,
        requests_per_s=requests / over_s,
        error_share=min(of["errors"] / requests, 1) if requests else None,
        received_bytes_per_s=of["received_bytes"] / over_s,
        sent_bytes_per_s=of["sent_bytes"] / over_s,
        mean_s=_sum_ms(bins) / answers / 1000 if answers else None,
        **{f"p{percent}_s": _quantile_s(bins, percent / 100) if answers else None for percent in (50, 95, 99)},
    )


def _quantile_s(bins: Counter[Span], share: float) -> float | None:
    """Evenly spread inside of each bin, as Prometheus' histogram_quantile has it."""
    wanted = share * bins.total()
    for (start, end), count in sorted(bins.items()):
        if wanted <= count:
            return (start + (end - start) * wanted / count) / 1000
        wanted -= count
    return None


def _sum_ms(bins: Counter[Span]) -> float:
    return sum((start + end) / 2 * count for (start, end), count in bins.items())
