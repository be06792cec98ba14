"""What the engine says while it builds."""

import re
from collections import deque
from collections.abc import Callable
from typing import Any

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])|[\x00-\x08\x0b-\x1f\x7f]")
_STEP = re.compile(r"^Step (\d+/\d+) : (.*)$")
_LONGEST = 4000
LINES_KEPT = 40


class Output:
    """Turns the engine's messages into lines for a person, and remembers the end of them."""

    def __init__(self, on_line: Callable[[str], None], *, redact: Callable[[str], str]) -> None:
        self._on_line, self._redact = on_line, redact
        self._rest = ""
        self._last: deque[str] = deque(maxlen=LINES_KEPT)
        self.step = ""
        self.error = ""

    def hear(self, message: dict[str, Any]) -> None:
        if "stream" in message:
            self._text(str(message["stream"]))
        elif "error" in message:
            self.error = self._clean(str(message["error"]))
        elif "status" in message and not message.get("progressDetail"):
            name = f"{message['id']}: " if message.get("id") else ""
            self._line(f"{name}{message['status']}")

    def end(self) -> tuple[str, ...]:
        """The last 40 lines."""
        if self._rest:
            self._line(self._rest)
            self._rest = ""
        if self.error:
            self._line(self.error)
        return tuple(self._last)

    @property
    def instruction(self) -> str:
        """What the failing step does: `FROM`, `RUN` …"""
        found = _STEP.match(self.step)
        return found[2].split()[0].upper() if found else ""

    def _text(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > _LONGEST:
            self._line(self._rest)
            self._rest = ""

    def _line(self, raw: str) -> None:
        # Progress bars overwrite themselves with carriage returns: the last state tells enough.
        line = self._clean(raw.rstrip("\r").rsplit("\r", 1)[-1])[:_LONGEST]
        if not line.strip():
            return
        if _STEP.match(line):
            self.step = line
        self._last.append(line)
        self._on_line(line)

    def _clean(self, text: str) -> str:
        return self._redact(_ANSI.sub("", text).rstrip())
