"""The traffic as Prometheus reads it: https://prometheus.io/docs/instrumenting/exposition_formats/. Pure."""

from collections.abc import Callable, Iterable, Iterator

from iarnet.models.traffic import ServiceTraffic

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[str, dict[str, str], float | None]
"""What is added to the family's name and to the labels, and the value, where it is known."""

Samples = Callable[[ServiceTraffic], Iterable[Sample]]


def exposition(traffic: Iterable[ServiceTraffic], *, up: bool) -> str:
    """`up`: whether the gateway has said what it counts.

    Routes are a family of their own, as their requests are among those of components already.
    """
    known = list(traffic)
    components = [t for t in known if not t.route]
    routes = [t for t in known if t.route]
    lines = [
        *_head("iarnet_gateway_up", "gauge", "Whether the gateway tells what it counts."),
        f"iarnet_gateway_up {int(up)}",
    ]
    for prefix, those in (("iarnet", components), ("iarnet_route", routes)):
        for name, kind, help, samples in _FAMILIES:
            if found := [line for t in those for line in _lines(f"{prefix}_{name}", t, samples)]:
                lines += [*_head(f"{prefix}_{name}", kind, help), *found]
    return "\n".join([*lines, ""])


def _head(name: str, kind: str, help: str) -> tuple[str, str]:
    return f"# HELP {name} {help}", f"# TYPE {name} {kind}"


def _lines(name: str, traffic: ServiceTraffic, samples: Samples) -> Iterator[str]:
    """Labels are names that we allow: nothing in them needs to be escaped."""
    own = {"app": traffic.app, "component": traffic.component} | ({"route": traffic.route} if traffic.route else {})
    for suffix, more, value in samples(traffic):
        if value is not None:
            labels = ",".join(f'{key}="{text}"' for key, text in (own | more).items())
            yield f"{name}{suffix}{{{labels}}} {value}"


def _durations(traffic: ServiceTraffic) -> Iterator[Sample]:
    """Nothing of what is no HTTP."""
    if not traffic.durations_total:
        return
    for within_s, count in traffic.durations.items():
        yield "_bucket", {"le": f"{within_s:g}"}, count
    yield "_bucket", {"le": "+Inf"}, traffic.durations_total
    yield "_sum", {}, traffic.durations_s
    yield "_count", {}, traffic.durations_total


_FAMILIES: tuple[tuple[str, str, str, Samples], ...] = (
    (
        "requests_total",
        "counter",
        "Requests that were answered, and TCP connections (code_class tcp).",
        lambda t: [("", {"code_class": name}, count) for name, count in t.requests.items()],
    ),
    ("errors_total", "counter", "Those of them that failed.", lambda t: [("", {}, t.errors_total)]),
    ("request_duration_seconds", "histogram", "From a request to the end of its answer.", _durations),
    ("received_bytes_total", "counter", "What instances were sent.", lambda t: [("", {}, t.received_bytes)]),
    ("sent_bytes_total", "counter", "What instances have sent.", lambda t: [("", {}, t.sent_bytes)]),
    ("open_connections", "gauge", "Connections to instances that are open.", lambda t: [("", {}, t.connections)]),
    ("connections_total", "counter", "Connections to instances.", lambda t: [("", {}, t.connections_total)]),
)
