"""What reading the code has shown, whatever the language: settings, listening sockets, health routes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from posixpath import basename
from typing import Literal

from iarnet.analysis.ecosystems.notes import Notes
from iarnet.models.component import EnvVar, HealthCheck, Port

ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")
HEALTH_PATH = re.compile(
    r"/(?:api/)?(?:v\d/)?(?:_?_?health|healthz|health[-_]?check|health/(?:live|ready)|livez?|ready|readyz|readiness|liveness"
    r"|ping|up)/?"
)
_HEALTH_STEMS = ("/health", "/_health", "/__health", "/live", "/ready", "/ping", "/up")
Protocol = Literal["http", "grpc", "websocket", "tcp", "udp"]
LOOPBACK = ("127.0.0.1", "localhost", "::1")

# Set by every shell, engine or language runtime, not by whoever deploys.
_AMBIENT = re.compile(
    r"HOME|PATH|PWD|OLDPWD|USER|USERNAME|LOGNAME|SHELL|TERM|LANG|LC_ALL|TZ|HOSTNAME|TMP|TEMP|TMPDIR|CI|EDITOR|PAGER|COLUMNS"
    r"|DISPLAY|APPDATA|SYSTEMROOT|COMSPEC|NO_COLOR|FORCE_COLOR|XDG_\w+|NODE_ENV|NODE_OPTIONS|PYTHONPATH|PYTHONUNBUFFERED"
    r"|JAVA_HOME|GOPATH|GOOS|GOARCH|DEV|PROD|SSR|MODE|VERCEL(_\w+)?|NEXT_RUNTIME|(npm|GITHUB|JEST|VITEST|PYTEST)_\w*"
)
_HEALTH_ORDER = ("health", "ready", "live", "ping", "up")


@dataclass(frozen=True)
class EnvRead:
    """The code reads the setting `name`; `required` when it fails without."""

    name: str
    file: str
    line: int
    required: bool = False
    default: str | None = None


@dataclass(frozen=True)
class Listen:
    """The code opens `port` (None: not known), which the setting `env` can change, on `host` (None: not said).

    `name` is what holds the number when it is defined in another file (`settings.port`)."""

    file: str
    line: int
    port: int | None = None
    env: str | None = None
    host: str | None = None
    protocol: Protocol = "http"
    name: str | None = None


@dataclass(frozen=True)
class Route:
    path: str
    file: str
    line: int


@dataclass
class Seen:
    """Everything seen in one program. `pages`: it answers with HTML; `numbers`: ports by name, for `Listen.name`;
    `optional`: settings that it asks for before it uses them."""

    env: list[EnvRead] = field(default_factory=list)
    listens: list[Listen] = field(default_factory=list)
    health: list[Route] = field(default_factory=list)
    numbers: dict[str, tuple[int | None, str | None]] = field(default_factory=dict)
    pages: bool = False
    optional: set[str] = field(default_factory=set)

    def read(self, name: str, file: str, line: int, *, required: bool = False, default: str | None = None) -> None:
        if ENV_NAME.fullmatch(name) and not _AMBIENT.fullmatch(name):
            self.env.append(EnvRead(name, file, line, required, default))

    def add(self, other: "Seen") -> None:
        """Everything that `other` has, too."""
        self.env += other.env
        self.listens += other.listens
        self.health += other.health
        self.numbers = other.numbers | self.numbers
        self.pages = self.pages or other.pages
        self.optional |= other.optional

    def copy(self) -> "Seen":
        """One that can be added to."""
        found = Seen()
        found.add(self)
        return found

    def route(self, path: str, file: str, line: int) -> None:
        """A route of the code; only the usual names of health checks are kept."""
        if HEALTH_PATH.fullmatch(path):
            self.health.append(Route(path, file, line))


def may_have_health(text: str) -> bool:
    """Whether it is worth looking for routes: no text without one of these has a path that `Seen.route` keeps."""
    return any(stem in text for stem in _HEALTH_STEMS)


def settings(reads: Iterable[EnvRead], notes: Notes, given: dict[str, str] | None = None) -> tuple[EnvVar, ...]:
    """One `EnvVar` per name, sorted. `given` are values that the start command or the image needs; a default in the
    code is not a value: it becomes the clue `env.NAME`, so that what nobody has given can still be told."""
    values = given or {}
    required: dict[str, bool] = dict.fromkeys(values, False)
    clued: set[tuple[str, str | None]] = set()
    for read in reads:
        required[read.name] = required.get(read.name, False) or (read.required and read.name not in values)
        if (read.name, read.default) not in clued:
            clued.add((read.name, read.default))
            notes.clue(f"env.{read.name}", read.default or "", read.file, read.line)
    return tuple(EnvVar(name=n, value=values.get(n), required=required[n]) for n in sorted(required))


def resolve(seen: Seen) -> None:
    """Give listens that name a number from another file that number."""
    seen.listens = [_resolved(listen, seen) for listen in seen.listens]


def opened(seen: Seen, file: str | None = None) -> Listen | None:
    """The listen that matters, of `file` when it is given: one with a known port before one without."""
    candidates = [listen for listen in seen.listens if file is None or listen.file == file]
    return min(candidates, key=_preference, default=None)


def health_check(seen: Seen, port: int | None) -> HealthCheck | None:
    """An HTTP check of the route that says most about readiness; None when the code has none."""
    route = min(seen.health, key=lambda r: _rank(r.path), default=None)
    if route is None:
        return None
    return HealthCheck(type="http", path=route.path, port=port)


def health_route(seen: Seen) -> Route | None:
    return min(seen.health, key=lambda r: _rank(r.path), default=None)


def ports(port: int | None, protocol: Protocol = "http") -> tuple[Port, ...]:
    return (Port(port=port, protocol=protocol),) if port else ()


def _resolved(listen: Listen, seen: Seen) -> Listen:
    if listen.port is not None or listen.name not in seen.numbers:
        return listen
    port, env = seen.numbers[listen.name]
    return Listen(listen.file, listen.line, port, listen.env or env, listen.host, listen.protocol, listen.name)


def _preference(listen: Listen) -> tuple[bool, int, str, int]:
    return (listen.port is None and listen.env is None, listen.file.count("/"), basename(listen.file), listen.line)


def _rank(path: str) -> tuple[int, int, str]:
    order = next((i for i, word in enumerate(_HEALTH_ORDER) if word in path), len(_HEALTH_ORDER))
    return (order, len(path), path)
