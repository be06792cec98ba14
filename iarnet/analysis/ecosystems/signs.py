"""What gives a program away in the sources of one language, read by expressions: settings, sockets, routes, pages."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import matches, shows, sources
from iarnet.analysis.ecosystems.sightings import Listen, Protocol, Seen, may_have_health, resolve

CODE_LIMIT = 300_000
LISTENS, NAMES = 20, 6  # of one file, of one call: each name costs a search of the file
_OCTETS = re.compile(r"[\d.]{7,15}|\d{1,3}(?:\s{0,3},\s{0,3}\d{1,3}){3}")
_NUMBER = re.compile(r"(?<![\w.])(\d{2,5})(?![\w.])")
_ADDRESS = re.compile(r"[\"'\[]([\w.:\[\]*]{0,60}):(\d{2,5})[\"'/\]]")
_HOST = re.compile(r"[\"'](127\.0\.0\.1|localhost|::1)[\"':]|(\[127, 0, 0, 1\])")
_NAME = re.compile(r"[A-Za-z_]\w{0,60}")


@dataclass(frozen=True)
class Signs:
    """`env` has the groups `name` and, where a default can be written, `default`; `listen` the group `at`: the text
    that holds the port. `waits`: a program that serves nobody and still does not end.

    Every expression must be bounded: it runs on text that nobody has checked.
    """

    suffixes: tuple[str, ...]
    env: re.Pattern[str]
    listen: re.Pattern[str] | None = None
    route: re.Pattern[str] | None = None
    pages: re.Pattern[str] | None = None
    waits: re.Pattern[str] | None = None
    protocol: Protocol = "http"


@dataclass(frozen=True)
class Code:
    """`texts` by path, the nearest to the root first."""

    texts: dict[str, str]
    seen: Seen
    waits: bool

    def find(self, expression: re.Pattern[str], within: Iterable[str] = ()) -> tuple[str, int] | None:
        """File and line of the first match, in the files of `within` first."""
        for path in [*within, *self.texts]:
            found = expression.search(self.texts.get(path, ""))
            if found:
                return path, _line(self.texts[path], found.start())
        return None


def read_signs(files: Files, root: str, signs: Signs, borders: Iterable[str]) -> Code:
    """Of every source below `root`, without tests and without what belongs to a manifest (`borders`) further down."""
    code = files.once(f"signs {root} {signs.suffixes}", lambda: _read(files, root, signs, borders))
    return Code(code.texts, code.seen.copy(), code.waits)


def _read(files: Files, root: str, signs: Signs, borders: Iterable[str]) -> Code:
    texts: dict[str, str] = {}
    for path in sources(files, root, signs.suffixes, borders):
        text = files.text(path)
        if text and len(text) <= CODE_LIMIT:
            texts[path] = text
    seen, waits = Seen(), False
    for path, text in texts.items():
        note(path, text, signs, seen)
        waits = waits or bool(signs.waits and shows(signs.waits, text))
    resolve(seen)
    return Code(texts, seen, waits)


def note(path: str, text: str, signs: Signs, seen: Seen) -> None:
    """Add what one file shows."""
    for found in matches(signs.env, text):
        given = found.groupdict()
        seen.read(given["name"], path, _line(text, found.start()), default=given.get("default"))
    constants: dict[str, tuple[int | None, str | None]] = {}
    for found in islice(matches(signs.listen, text), LISTENS) if signs.listen else ():
        listen = _listen(path, text, found, signs, constants)
        if listen:
            seen.listens.append(listen)
    for found in matches(signs.route, text) if signs.route and may_have_health(text) else ():
        seen.route(found["path"], path, _line(text, found.start()))
    seen.pages = seen.pages or bool(signs.pages and shows(signs.pages, text))


def _listen(
    path: str,
    text: str,
    found: re.Match[str],
    signs: Signs,
    constants: dict[str, tuple[int | None, str | None]],
) -> Listen | None:
    """A number, a setting, or the constant that is named there and set in the same file."""
    at = found["at"] or ""
    port, env = _port(at, signs)
    for name in _NAME.findall(at)[:NAMES] if port is None and env is None else ():
        if name not in constants:
            constants[name] = _constant(name, text, signs)
        port, env = constants[name]
        if port or env:
            break
    if port is None and env is None:
        return None
    host = _HOST.search(at)
    return Listen(
        path, _line(text, found.start()), port, env, (host[1] or "127.0.0.1") if host else None, signs.protocol
    )


def _constant(name: str, text: str, signs: Signs) -> tuple[int | None, str | None]:
    assigned = re.search(rf"\b{name}\b[^=:\n(]{{0,40}}[:=]{{1,2}}(?!=)[ \t]{{0,20}}([^\n]{{1,200}})", text)
    return _port(assigned[1], signs) if assigned else (None, None)


def _port(text: str, signs: Signs) -> tuple[int | None, str | None]:
    setting = signs.env.search(text)
    address = _ADDRESS.search(text)
    digits = address[2] if address else next(iter(_NUMBER.findall(_OCTETS.sub("", text))), None)
    default = (setting.groupdict().get("default") or "") if setting else ""
    digits = digits or (default if default.isdigit() else None)
    port = int(digits) if digits and 0 < int(digits) < 65536 else None
    return port, setting["name"] if setting and "PORT" in setting["name"].upper() else None


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1
