"""An image as `docker save` writes it, taken apart: what it is, and each of its layers.

Format: https://github.com/moby/docker-image-spec/blob/main/v1.2.md#combined-image-json--filesystem-changeset-format
"""

import hashlib
import json
import posixpath
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from iarnet.errors import ImageUnavailable

CARRIED = "iarnet.carried"
"""The label of images that exist only while another one is on its way."""

_CHUNK = 1 << 20
_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class _Part:
    offset: int
    size: int


class SavedImage:
    """`archive` must stay open; whoever closes it ends what is being read from it."""

    def __init__(self, archive: IO[bytes]) -> None:
        """Blocks. Raises `ImageUnavailable` for what is no archive of one image."""
        self._archive = archive
        archive.seek(0)
        try:
            with tarfile.open(fileobj=archive, mode="r:") as members:
                (manifest,) = json.loads(_content(members, "manifest.json"))
                self._config = _content(members, manifest["Config"])
                self._layers = [_part(members, name) for name in manifest["Layers"]]
            self._tags = manifest["RepoTags"]
            self._known: dict[str, Any] = json.loads(self._config)
            self._digests: list[str] = self._known["rootfs"]["diff_ids"]
        except (tarfile.TarError, KeyError, ValueError, TypeError) as error:
            raise ImageUnavailable(
                f"What was exported is no archive of an image: {error}", hint="build it again"
            ) from error

    @property
    def depth(self) -> int:
        """How many layers it has."""
        return len(self._layers)

    def step_id(self, depth: int) -> str:
        """The name that an engine gives to what `step` makes."""
        return f"sha256:{hashlib.sha256(self._config_of(depth)).hexdigest()}"

    def whole(self) -> Iterator[bytes]:
        return _read(self._archive, _Part(0, self._archive.seek(0, 2)))

    def step(self, depth: int, *, layer: bool) -> Iterator[bytes]:
        """An archive of the first `depth` layers that holds only the last of these, or none.

        With all layers it is the image. With fewer it is one without a name, the same each time.
        """
        config, last = self._config_of(depth), depth == self.depth
        manifest = [
            {
                "Config": "config.json",
                "RepoTags": self._tags if last else None,
                "Layers": [f"{number}.tar" for number in range(depth)],
            }
        ]
        yield from _member("manifest.json", json.dumps(manifest).encode())
        yield from _member("config.json", config)
        if layer:
            part = self._layers[depth - 1]
            yield _header(f"{depth - 1}.tar", part.size)
            yield from _read(self._archive, part)
            yield _padding(part.size)
        yield bytes(2 * _BLOCK)

    def _config_of(self, depth: int) -> bytes:
        if depth == self.depth:
            return self._config
        made_for = {key: self._known[key] for key in ("architecture", "os", "variant") if key in self._known}
        layers = {"type": "layers", "diff_ids": self._digests[:depth]}
        return json.dumps(made_for | {"config": {"Labels": {CARRIED: "true"}}, "rootfs": layers}).encode()


def _content(members: tarfile.TarFile, name: str) -> bytes:
    found = members.extractfile(name)
    if found is None:
        raise KeyError(name)
    return found.read()


def _part(members: tarfile.TarFile, name: str) -> _Part:
    """A layer that is there twice is a link to its twin."""
    found = members.getmember(name)
    if found.issym():
        found = members.getmember(posixpath.normpath(posixpath.join(posixpath.dirname(name), found.linkname)))
    return _Part(found.offset_data, found.size)


def _member(name: str, content: bytes) -> Sequence[bytes]:
    return _header(name, len(content)), content, _padding(len(content))


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def _read(archive: IO[bytes], part: _Part) -> Iterator[bytes]:
    archive.seek(part.offset)
    left = part.size
    while left:
        chunk = archive.read(min(left, _CHUNK))
        if not chunk:
            raise EOFError("the archive has become shorter")
        left -= len(chunk)
        yield chunk
