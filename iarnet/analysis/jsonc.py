"""JSON as people write it by hand: comments, trailing commas, and JSON5's keys without quotes."""

import json
import re
from typing import Any

LIMIT = 300_000
_TOKEN = re.compile(
    r"(?P<string>\"(?:[^\"\\\n]|\\.){0,5000}\")|//[^\n]*|/\*.{0,20000}?\*/"
    r"|(?P<key>[A-Za-z_$][\w$]{0,100})(?=[ \t]{0,20}:)",
    re.DOTALL,
)
_TRAILING = re.compile(r",(\s{0,500}[\]}])")


def loads(text: str) -> dict[str, Any]:
    """The object in the text. Raises `ValueError` for anything else, `RecursionError` for one that is too deep."""
    if len(text) > LIMIT:
        raise ValueError(f"longer than {LIMIT} characters")
    value = json.loads(_TRAILING.sub(r"\1", _TOKEN.sub(_plain, text)))
    if not isinstance(value, dict):
        raise ValueError("not a mapping")
    return value


def _plain(found: re.Match[str]) -> str:
    if found["string"] is not None:
        return found["string"]
    return f'"{found["key"]}"' if found["key"] else " "
