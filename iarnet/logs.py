"""Logs: one JSON object a line, ours and those of the libraries alike, in files that rotate."""

import gzip
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from iarnet.config_sections import Logging, Rotation

Redact = Callable[[str], str]

_LIBRARIES = ("uvicorn", "uvicorn.error", "uvicorn.access", "temporalio", "asyncio")
_CHATTY = ("alembic", "httpx", "httpcore", "docker", "urllib3", "git", "sqlalchemy.engine", "aiosqlite")
_TOKEN = re.compile(r"([?&](?:access_)?token=)[^&\s\"']+", re.IGNORECASE)


def configure(settings: Logging, redact: Redact | None = None) -> None:
    """Log as `settings` say, structlog and the standard library into one place; may be called again.

    `redact` is applied to every text. A token in a query string is never written. uvicorn has to be run with
    `log_config=None`, or it puts its own handlers back.
    """
    handler = _handler(settings)
    handler.setFormatter(_formatter(settings, handler, redact))
    root = logging.getLogger()
    for old in [h for h in root.handlers if getattr(h, "of_iarnet", False)]:
        root.removeHandler(old)
        old.close()
    handler.of_iarnet = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    for name in _LIBRARIES:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.DEBUG if settings.level == "debug" else logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


class RotatingFile(logging.Handler):
    """Writes to `path`; when it has reached its size it becomes `{stem}-{UTC time}{suffix}`, compressed if wanted.

    Backups beyond `maxBackups`, and those older than `maxAge` days, are deleted at start and at each rotation.
    """

    def __init__(self, path: Path, rotation: Rotation, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._path = path
        self._rotation = rotation
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._open()
        self._prune()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            size = self._file.tell()
            if size and size + len(line) > self._rotation.max_size_bytes:
                self._rotate()
            self._file.write(line)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self.acquire()
        try:
            self._file.close()
        finally:
            self.release()
            super().close()

    def backups(self) -> list[Path]:
        """Oldest first."""
        return sorted(self._path.parent.glob(f"{self._path.stem}-*Z*{self._path.suffix}*"))

    def _open(self) -> FileIO:
        file = FileIO(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
        file.seek(0, os.SEEK_END)
        return file

    def _rotate(self) -> None:
        self._file.close()
        backup = self._backup_name()
        self._path.rename(backup)
        self._file = self._open()
        if self._rotation.compress:
            _compress(backup)
        self._prune()

    def _backup_name(self) -> Path:
        stamp = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        taken = sum(f"-{stamp}" in p.name for p in self.backups())
        return self._path.with_name(f"{self._path.stem}-{stamp}{taken:03d}{self._path.suffix}")

    def _prune(self) -> None:
        backups = self.backups()
        surplus = backups[: -self._rotation.max_backups] if self._rotation.max_backups else []
        oldest = self._clock() - self._rotation.max_age_days * 86400
        aged = [p for p in backups if p.stat().st_mtime < oldest] if self._rotation.max_age_days else []
        for path in {*surplus, *aged}:
            path.unlink(missing_ok=True)


def _compress(path: Path) -> None:
    packed = path.with_name(path.name + ".gz")
    with path.open("rb") as source, gzip.open(packed, "wb") as target:
        shutil.copyfileobj(source, target)
    packed.chmod(0o600)
    shutil.copystat(path, packed)
    path.unlink()


def _handler(settings: Logging) -> logging.Handler:
    if settings.output in ("stdout", "stderr"):
        return logging.StreamHandler(sys.stdout if settings.output == "stdout" else sys.stderr)
    return RotatingFile(Path(settings.output).expanduser(), settings.rotation)


def _formatter(settings: Logging, handler: logging.Handler, redact: Redact | None) -> logging.Formatter:
    stream = getattr(handler, "stream", None)
    colors = bool(stream and stream.isatty())
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="time")
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            *_shared(),
            structlog.stdlib.ExtraAdder(allow=("temporal_workflow", "temporal_activity")),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _Clean(redact),
            renderer,
        ],
    )


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]


class _Clean:
    """No secret leaves in a log line, and each begins with when, how bad and what."""

    def __init__(self, redact: Redact | None) -> None:
        self._redact = redact or (lambda text: text)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        first = {key: event[key] for key in ("time", "level", "event") if key in event}
        return {key: self._clean(value) for key, value in {**first, **event}.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return _TOKEN.sub(r"\1***", self._redact(value))
        if isinstance(value, dict):
            return {k: self._clean(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._clean(v) for v in value]
        return value if value is None or isinstance(value, (bool, int, float)) else self._clean(repr(value))
