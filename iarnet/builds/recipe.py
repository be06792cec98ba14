"""Dockerfiles as this engine's builder takes them. Pure.

The engine's own builder (no BuildKit needed) knows no cache mounts, `--link`, build platforms nor here-documents.
What only makes a build faster is left out, `RUN` with a here-document becomes an ordinary `RUN`; the rest stays
as it is, and the engine says what it lacks.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import dockerfile

from iarnet.errors import BuildFailed
from iarnet.models.image import made_here

_DROPPED = {
    "run": re.compile(r"(?<!\S)--mount=\S*\btype=(?:cache|tmpfs)\b\S*\s*"),
    "copy": re.compile(r"--link(?:=\w+)?(?=\s)\s*"),
    "add": re.compile(r"--link(?:=\w+)?(?=\s)\s*"),
    "from": re.compile(r"--platform=\$\{?(?:BUILD|TARGET)PLATFORM\}?\s*"),
    "healthcheck": re.compile(r"--start-interval=\S+\s*"),
}
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::-(?P<default>[^}]{0,4096}+))?\}|(?P<plain>\w+))")
_LINE = re.compile(r"line (\d+)")
# No image has a longer name; and what a Dockerfile of references to references may grow to in all.
_LONGEST, _ROOM = 4096, 1 << 16


@dataclass(frozen=True)
class Recipe:
    """`declared`: names of build arguments. `bases`: images that the engine must have, overrides applied."""

    text: str
    declared: frozenset[str]
    bases: tuple[str, ...]


@dataclass(frozen=True)
class Preamble:
    """A file of the context that each stage gets, and settings that hold while it is built, not afterwards."""

    file: str
    target: str
    settings: tuple[str, ...]

    def text(self, *, copy: bool) -> str:
        args = "\n".join(f"ARG {name}={self.target}" for name in self.settings)
        return f"COPY {self.file} {self.target}\n{args}" if copy else args


def adapt(
    text: str,
    *,
    where: str,
    args: Mapping[str, str],
    base_images: Mapping[str, str],
    preamble: Preamble | None = None,
) -> Recipe:
    """Raises `BuildFailed` for text that is no Dockerfile. `preamble` goes to the start of each stage."""
    adapter = _Adapter(where, args, base_images, preamble)
    lines = text.splitlines()
    for command in _parsed(text, where):
        first, last = command.start_line - 1, command.end_line
        raw = "\n".join(lines[first:last])
        new = adapter.adapt(command, raw)
        if new != raw:
            # As many elements as before: the numbers of the lines that follow stay right.
            lines[first:last] = [new, *[""] * (last - first - 1)]
    return Recipe("\n".join(lines) + "\n", frozenset(adapter.declared), tuple(dict.fromkeys(adapter.bases)))


def override(image: str, base_images: Mapping[str, str]) -> str:
    """The image to use instead: for this name and tag, or for this name whatever the tag, which is then kept."""
    for name in dict.fromkeys((image, _short(image), _tagged(_short(image)))):
        if name in base_images:
            return base_images[name]
    name, colon, tag = _short(image).partition(":")
    replacement = base_images.get(name)
    return f"{replacement}{colon}{tag}" if replacement else image


def _parsed(text: str, where: str) -> tuple[dockerfile.Command, ...]:
    try:
        commands: tuple[dockerfile.Command, ...] = dockerfile.parse_string(text)
    except (dockerfile.GoParseError, ValueError) as error:
        line = _LINE.search(str(error))
        place = f"{where}:{line[1]}" if line else where
        raise BuildFailed(f"The Dockerfile can't be read: {error}", where=place, hint="Mend that line.") from error
    if not any(command.cmd.lower() == "from" for command in commands):
        raise BuildFailed("The Dockerfile names no base image.", where=where, hint="Begin it with FROM.")
    return commands


class _Adapter:
    """What is known of a Dockerfile while going through it."""

    def __init__(
        self, where: str, args: Mapping[str, str], base_images: Mapping[str, str], preamble: Preamble | None
    ) -> None:
        self._where, self._args, self._base_images, self._preamble = where, args, base_images, preamble
        self._known: dict[str, str] = {}
        self._room, self._line = _ROOM, 0
        self._stages: set[str] = set()
        self.declared: set[str] = set()
        self.bases: list[str] = []

    def adapt(self, command: dockerfile.Command, raw: str) -> str:
        kind, self._line = command.cmd.lower(), command.start_line
        text = _DROPPED[kind].sub("", raw) if kind in _DROPPED else raw
        if kind == "arg":
            self._declare(command.value)
        elif kind == "from":
            return self._stage(command.value, text)
        elif kind == "copy":
            return self._copy(command.flags, text)
        elif kind == "run" and command.heredocs:
            return _run(command, text)
        return text

    def _declare(self, words: tuple[str, ...]) -> None:
        for name, _, default in (word.partition("=") for word in words):
            self.declared.add(name)
            if not self._stages:
                self._known[name] = self._args.get(name) or self._expanded(default.strip("\"'"))

    def _stage(self, words: tuple[str, ...], text: str) -> str:
        image = self._expanded(words[0])
        outside = image.lower() not in self._stages and image != "scratch"
        if outside:
            base = self._base(image)
            text = text if base == image else text.replace(words[0], base, 1)
            self.bases.append(base)
        named = len(words) == 3 and words[1].lower() == "as"
        self._stages.add(words[2].lower() if named else f"#{len(self._stages)}")
        return f"{text}\n{self._preamble.text(copy=outside)}" if self._preamble else text

    def _copy(self, flags: tuple[str, ...], text: str) -> str:
        source = next((flag.partition("=")[2] for flag in flags if flag.startswith("--from=")), "")
        if not source or source.isdigit() or source.lower() in self._stages:
            return text
        return text.replace(f"--from={source}", f"--from={self._base(source)}", 1)

    def _base(self, image: str) -> str:
        if made_here(image):
            raise BuildFailed(
                f"The Dockerfile wants {image}, which was built here for an application and belongs to it.",
                where=self._where,
                hint="Name an image of a registry.",
            )
        return override(image, self._base_images)

    def _expanded(self, text: str) -> str:
        """Ten lines, each of which names the one before ten times, would take all memory: stops before."""

        def value(match: re.Match[str]) -> str:
            found = self._known.get(match["braced"] or match["plain"]) or match["default"] or ""
            self._room -= len(found)
            if self._room < 0:
                raise self._too_long()
            return found

        result = _VARIABLE.sub(value, text)
        if len(result) > _LONGEST:
            raise self._too_long()
        return result

    def _too_long(self) -> BuildFailed:
        return BuildFailed(
            "The arguments before the first FROM stand for text that is too long for the name of an image.",
            where=f"{self._where}:{self._line}",
            hint=f"Make their defaults shorter than {_LONGEST:,} characters.",
        )


def _run(command: dockerfile.Command, raw: str) -> str:
    content = command.heredocs[0].content
    alone = len(command.heredocs) == 1 and re.fullmatch(r"<<-?\s*[\"']?\w+[\"']?", " ".join(command.value))
    if not alone or content.startswith("#!"):
        return raw
    return f"RUN {json.dumps(['/bin/sh', '-c', content])}"


def _short(image: str) -> str:
    return image.removeprefix("docker.io/").removeprefix("library/")


def _tagged(image: str) -> str:
    return image if ":" in image.rsplit("/", 1)[-1] or "@" in image else f"{image}:latest"
