"""Files of the tree that are put on top of an image once it is built. Pure."""

import json
import posixpath
from collections.abc import Iterable

from iarnet.models.component import Build


def layer(below: str, build: Build) -> Build:
    """What is built on the image `below`: nothing but what is added to it."""
    copies = [f"COPY {json.dumps([_source(source), target])}" for source, target in build.added]
    return Build(context=".", recipe="\n".join([f"FROM {below}", *copies, ""]), added=build.added)


def all_but(kept: Iterable[str]) -> list[str]:
    """Patterns that ignore everything else. What a `.dockerignore` says does not hold for what is mounted."""
    sources = [posixpath.normpath(source) for source in kept]
    return [] if "." in sources else ["*", *(f"!{source}" for source in sources)]


def _source(path: str) -> str:
    """A name that looks like a pattern is meant as it is."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)
