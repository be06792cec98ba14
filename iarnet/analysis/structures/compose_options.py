"""What a compose service asks of its container, from its YAML to our terms."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from iarnet.analysis.structures.nodes import Node
from iarnet.analysis.structures.quantities import memory_bytes, seconds
from iarnet.models.container import MAX_PIDS, MAX_STOP_S, RESERVED, Container, Ulimit

_INSIDE = re.compile(r"net\.|kernel\.(msg|shm|sem)|fs\.mqueue\.")
_MOUNT_OPTIONS = re.compile(r"(size=[0-9]+[kmgKMG]?|mode=[0-7]+|[ug]id=[0-9]+|r[ow]|(no)?(exec|suid|dev|atime))")


def container(given: Mapping[str, Node], labels: Mapping[str, str], tmpfs: Mapping[str, str]) -> Container:
    """`labels` and `tmpfs`: those that are written elsewhere (`label_file`, `volumes`). Raises `InvalidComponent`
    with file and line."""
    asked: dict[str, Any] = {"labels": dict(labels), "tmpfs": dict(tmpfs)}
    _checked("labels", asked, next(iter(given.values()), None))
    for key, target, read in _OPTIONS:
        if key not in given or given[key].value is None:
            continue
        value = read(given[key])
        asked[target] = asked.get(target, {}) | value if isinstance(value, dict) else value
        _checked(target, asked, given[key])
    return Container(**asked)


def _checked(target: str, asked: Mapping[str, Any], node: Node | None) -> None:
    try:
        Container(**{target: asked[target]})
    except ValidationError as error:
        raise (node or Node(None, "", 1)).refuse(f"{target}: {error.errors()[0]['msg']}") from error


def of_the_host(node: Node | None) -> list[tuple[str, Node]]:
    """The settings of the kernel that count for more than the container."""
    return [(name, node) for name in pairs(node) if not _INSIDE.match(name)] if node else []


def pairs(node: Node, separator: str = "=") -> dict[str, str]:
    """A mapping, or a list of `name=value`."""
    if isinstance(node.value, dict):
        return {name: value.text(name) for name, value in node.value.items()}
    split = (item.text("a list").partition(separator) for item in node.items("a list"))
    return {name.strip(): value.strip() for name, _, value in split}


def flag(node: Node) -> bool:
    return node.text("a switch").lower() in ("true", "yes", "on", "1")


def texts(node: Node) -> tuple[str, ...]:
    return tuple(item.text("a list") for item in node.items("a list"))


def free(labels: Mapping[str, str]) -> dict[str, str]:
    """Without those that belong to others."""
    return {name: value for name, value in labels.items() if name and not name.startswith(RESERVED)}


def tmpfs(item: str) -> tuple[str, str]:
    """The folder and its mount options, as far as they concern it alone."""
    folder, _, options = item.partition(":")
    return folder, ",".join(option for option in options.split(",") if _MOUNT_OPTIONS.fullmatch(option))


def _hosts(node: Node) -> dict[str, str]:
    """`name:address` or `name=address`; a mapping may give a list of addresses, of which the first counts."""
    if isinstance(node.value, dict):
        found = {name: (value.items(name) or [value])[0].text(name) for name, value in node.value.items()}
    else:
        split = (re.split("[=:]", item.text("extra_hosts"), maxsplit=1) for item in node.items("extra_hosts"))
        found = {name: rest[0] if rest else "" for name, *rest in split}
    return {name.strip(): _address(node, text.split(",")[0].strip().strip("[]")) for name, text in found.items()}


def _address(node: Node, text: str) -> str:
    if text != "host-gateway":
        try:
            ipaddress.ip_address(text)
        except ValueError as error:
            raise node.refuse(f"{text[:60]!r} is no address", "write name:192.0.2.1 or name:host-gateway") from error
    return text


def _ulimits(node: Node) -> dict[str, Ulimit]:
    return {name: _ulimit(value) for name, value in node.mapping("ulimits").items()}


def _ulimit(node: Node) -> Ulimit:
    given = node.mapping("a limit") if isinstance(node.value, dict) else {"soft": node, "hard": node}
    if not {"soft", "hard"} & set(given):
        raise node.refuse("a limit needs soft and hard")
    soft, hard = given.get("soft", given.get("hard", node)), given.get("hard", given.get("soft", node))
    return Ulimit(soft=max(-1, soft.integer("soft")), hard=max(-1, hard.integer("hard")))


def _pids(node: Node) -> int:
    asked = node.integer("pids_limit")
    return min(asked, MAX_PIDS) if asked > 0 else MAX_PIDS


def _signal(node: Node) -> str:
    return node.text("stop_signal").strip().upper()


def _stop(node: Node) -> float:
    return min(seconds(node.text("stop_grace_period"), node.where), MAX_STOP_S)


def _memory(node: Node) -> int:
    return memory_bytes(node.text("an amount"), node.where)


def _scores(node: Node) -> int:
    return max(0, node.integer("oom_score_adj"))


def _tmpfs(node: Node) -> dict[str, str]:
    return dict(tmpfs(item) for item in texts(node))


def _dropped(node: Node) -> tuple[str, ...]:
    return tuple(name.upper().removeprefix("CAP_") for name in texts(node))


def _network(node: Node) -> str:
    return "none" if node.text("network_mode") == "none" else "app"


def _name(node: Node) -> str | None:
    return node.text("a name").strip() or None


_OPTIONS: tuple[tuple[str, str, Callable[[Node], Any]], ...] = (
    ("network_mode", "network", _network),
    ("hostname", "hostname", _name),
    ("domainname", "domain", _name),
    ("extra_hosts", "hosts", _hosts),
    ("dns", "dns", texts),
    ("dns_search", "dns_search", texts),
    ("dns_opt", "dns_options", texts),
    ("init", "init", flag),
    ("tty", "terminal", flag),
    ("stdin_open", "stdin", flag),
    ("stop_signal", "stop_signal", _signal),
    ("stop_grace_period", "stop_s", _stop),
    ("read_only", "read_only", flag),
    ("tmpfs", "tmpfs", _tmpfs),
    ("shm_size", "shm_bytes", _memory),
    ("pids_limit", "pids", _pids),
    ("ulimits", "ulimits", _ulimits),
    ("sysctls", "sysctls", lambda node: {n: value for n, value in pairs(node).items() if _INSIDE.match(n)}),
    ("group_add", "groups", texts),
    ("cap_drop", "dropped", _dropped),
    ("oom_score_adj", "oom_score", _scores),
    ("runtime", "runtime", _name),
    ("labels", "labels", lambda node: free(pairs(node))),
)
