"""Amounts as people write them in compose and `iarnet.yaml`."""

import re
import shlex

from iarnet.errors import InvalidComponent

_BYTES = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kmgt]?)(i?)(b?)", re.IGNORECASE)
_CPU = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)(m?)")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(us|ms|s|m|h)")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SHELL = re.compile(r"[|&;<>()$`*?~#{}\n!]|^\s*[A-Za-z_][A-Za-z0-9_]*=|^\s*(cd|export|source|\.|exec)\s")


def memory_bytes(text: str, where: str) -> int:
    """`512m`, `512Mi`, `0.5GB`, `1073741824`: the letters are powers of 1024, as container engines read them."""
    found = _BYTES.fullmatch(text.strip())
    if not found:
        raise InvalidComponent(f"{text[:60]!r} is not an amount of memory", where=where, hint="write 512Mi or 1Gi")
    return int(float(found[1]) * 1024 ** _POWERS[found[2].lower()])


def cpu_millis(text: str, where: str) -> int:
    """`0.5` (cores) or `500m`."""
    found = _CPU.fullmatch(text.strip())
    if not found:
        raise InvalidComponent(f"{text[:60]!r} is not a number of cores", where=where, hint="write 0.5 or 500m")
    return int(float(found[1]) * (1 if found[2] else 1000))


def seconds(text: str, where: str) -> float:
    """`1m30s`, `500ms`; a bare number is seconds."""
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidComponent(f"{text[:60]!r} is not a duration", where=where, hint="write 30s or 1m30s")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def words(text: str, where: str) -> tuple[str, ...]:
    """Split as a shell would, without running one."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise InvalidComponent(f"{text[:60]!r} has an unclosed quote", where=where) from error


def program(text: str, where: str) -> tuple[str, ...]:
    """The argument vector of a line that its file's format gives to a shell: a shell only where it needs one."""
    return ("/bin/sh", "-c", text) if _SHELL.search(text) else words(text, where)
