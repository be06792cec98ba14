"""Whom a compose service needs, and under which names it is found itself."""

import re
from collections.abc import Iterable

from iarnet.analysis.names import did_you_mean
from iarnet.analysis.structures.nodes import Node
from iarnet.models.edge import Condition

_CONDITIONS: dict[str, Condition] = {
    "service_started": "started",
    "service_healthy": "healthy",
    "service_completed_successfully": "completed",
}

Need = tuple[Node, str, Condition, float]
SHORT = 0.9
"""The confidence of a condition that nobody wrote."""


def depends_on(node: Node | None) -> list[Need]:
    """The short form asks for `started`."""
    if node is None:
        return []
    if not isinstance(node.value, dict):
        return [(item, item.text("depends_on"), "started", SHORT) for item in node.items("depends_on")]
    found: list[Need] = []
    for name, details in node.value.items():
        given = details.mapping(f"depends_on.{name}")
        text = given["condition"].text("condition") if "condition" in given else "service_started"
        if text not in _CONDITIONS:
            raise details.refuse(f"{text!r} is no condition", did_you_mean(text, _CONDITIONS))
        found.append((details, name, _CONDITIONS[text], 1.0))
    return found


def optional(node: Node) -> bool:
    """`required: false`: fine without."""
    return isinstance(node.value, dict) and "required" in node.value and node.value["required"].value is False


def linked(service: Node) -> list[tuple[str, str]]:
    """Names that links give to other services: `db:database`."""
    links = service.mapping("a service").get("links")
    parts = [item.text("links").split(":") for item in links.items("links")] if links else []
    return [(part[1], part[0]) for part in parts if len(part) > 1]


def can_be_found(alias: str, names: Iterable[str]) -> bool:
    return _HOST.fullmatch(alias) is not None and alias not in names and alias != "localhost"


_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,126}[A-Za-z0-9_])?")


def links(node: Node | None) -> list[Need]:
    items = node.items("links") if node else []
    return [(item, item.text("links").split(":")[0], "started", SHORT) for item in items]


def hosts(name: str, service: Node) -> list[str]:
    """The names under which compose lets a service be found."""
    given = service.mapping(name)
    own = [given[key].raw for key in ("container_name", "hostname") if key in given and given[key].raw]
    networks = given["networks"].value if "networks" in given else None
    joined = [node.mapping("a network") for node in networks.values()] if isinstance(networks, dict) else []
    more = [item.raw for network in joined if "aliases" in network for item in network["aliases"].items("aliases")]
    fixed = [network["ipv4_address"].raw for network in joined if "ipv4_address" in network]
    return [name, *own, *more, *fixed]
