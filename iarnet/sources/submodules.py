"""Reading `.gitmodules`, and what its addresses mean. Pure."""

import posixpath
import re
from urllib.parse import urlsplit, urlunsplit

from iarnet.errors import InvalidUrl
from iarnet.sources.url import RepositoryUrl

_SECTION = re.compile(r'^\s*\[\s*submodule\s+"(?P<name>(?:[^"\\]|\\.)*)"\s*\]\s*$', re.IGNORECASE)
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


def submodule_urls(text: str) -> dict[str, str]:
    """Path -> address as written, without those that say `update = none`."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.splitlines():
        if match := _SECTION.match(line):
            current = found.setdefault(match["name"], {})
            continue
        key, assigned, value = line.partition("=")
        if assigned and _KEY.fullmatch(key.strip()):
            current[key.strip().lower()] = value.strip().strip('"')
    wanted = (s for s in found.values() if s.get("update") != "none" and "path" in s and "url" in s)
    return {s["path"].strip("/"): s["url"] for s in wanted}


def absolute_url(parent: RepositoryUrl, url: str) -> str:
    """The submodule's address: relative ones from the parent's. An ssh address on the parent's own https host
    becomes https, so that the parent's credential serves for both. Raises `InvalidUrl`."""
    if url.startswith(("./", "../")):
        return _joined(parent, url)
    same_host = re.match(rf"^(?:ssh://)?[^@/:]+@{re.escape(parent.host)}[:/](?!\d+/)(?P<path>.+)$", url)
    if parent.scheme == "https" and parent.port == 443 and same_host:
        return f"https://{parent.host}/{same_host['path'].lstrip('/')}"
    return url


def _joined(parent: RepositoryUrl, url: str) -> str:
    path = posixpath.normpath(posixpath.join(parent.path.rstrip("/"), url))
    if path.startswith("..") or path == "/":
        raise InvalidUrl("The address of a submodule leads out of its server.", where=url)
    if "://" not in parent.text:
        return f"{parent.text[: len(parent.text) - len(parent.path)]}{path}"
    parts = urlsplit(parent.text)
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
