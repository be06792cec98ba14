"""Amounts as people write them ("16Gi", "100MB", "250m") and as the code counts them."""

import re
from typing import Annotated

from pydantic import BeforeValidator

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?)b?", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)(m?)", re.ASCII)
_LARGEST = 2**63 - 1


def parse_size(value: object) -> int:
    """Bytes. `Ki`, `Mi`, `Gi`, `Ti`, `Pi` are powers of 1024; `k`, `M`, `G`, `T`, `P` and `kB` … of 1000.

    Raises ValueError.
    """
    match = _SIZE.fullmatch(str(value).strip())
    if isinstance(value, bool) or not match:
        raise ValueError("must be a size such as 16Gi, 512Mi or 100MB")
    base = 1024 if match[3] else 1000
    power = " kmgtp".index(match[2].lower()) if match[2] else 0
    if match[3] and not power:
        raise ValueError("must be a size such as 16Gi, 512Mi or 100MB")
    return _bounded(float(match[1]) if "." in match[1] else int(match[1]), base**power)


def parse_millis(value: object) -> int:
    """Thousandths of a core or device: "8" is 8000, "0.5" is 500, "250m" is 250. Raises ValueError."""
    match = _NUMBER.fullmatch(str(value).strip())
    if isinstance(value, bool) or not match:
        raise ValueError("must be a number such as 8, 0.5 or 250m")
    return _bounded(float(match[1]) if "." in match[1] else int(match[1]), 1 if match[2] else 1000)


def format_size(size: int) -> str:
    """The shortest exact form ("16Gi", "100M"), or one with two digits that is nearly right ("1.53Mi")."""
    if size % 1024 and size % 1000 == 0 and size:
        power = max(p for p in range(1, 6) if size % 1000**p == 0)
        return f"{size // 1000**power}{'kMGTP'[power - 1]}"
    for power, unit in ((5, "Pi"), (4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if size >= 1024**power:
            return f"{size / 1024**power:.2f}".rstrip("0").rstrip(".") + unit
    return str(size)


def format_millis(millis: int) -> str:
    return f"{millis / 1000:.3f}".rstrip("0").rstrip(".")


def _bounded(amount: float, factor: int) -> int:
    # 64 bits are asked before multiplying as floats: a row of 400 digits is a refusal, not an OverflowError.
    if amount > _LARGEST // factor:
        raise ValueError("is too large")
    return round(amount * factor)


def _millis(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else parse_millis(value)


SizeBytes = Annotated[int, BeforeValidator(parse_size)]
"""Bytes: a number, or text for `parse_size`."""

Millis = Annotated[int, BeforeValidator(_millis)]
"""Thousandths: a whole number of them, or text for `parse_millis`."""
