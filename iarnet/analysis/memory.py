"""A tree that lives in memory: what a folder outside Git, a request body or a test hands to `analyze`."""

import hashlib
from collections.abc import Mapping, Sequence

from iarnet.errors import NotFound


class MemoryTree:
    """Implements `iarnet.sources.base.Tree`. `hash` covers paths and contents."""

    def __init__(self, files: Mapping[str, bytes | str]) -> None:
        self._files = {
            path: content.encode() if isinstance(content, str) else content for path, content in files.items()
        }
        self.hash = _hash(self._files)

    def paths(self) -> list[str]:
        return sorted(self._files)

    def sizes(self, paths: Sequence[str]) -> list[int]:
        return [len(self._files[path]) for path in paths]

    def read(self, path: str, limit: int = 1_000_000) -> bytes | None:
        content = self._files.get(path)
        return None if content is None else content[:limit]

    def read_all(self, paths: Sequence[str]) -> list[bytes]:
        return [self._files[path] for path in paths]

    def subtree(self, path: str) -> "MemoryTree":
        prefix = "" if path in ("", ".") else path.rstrip("/") + "/"
        inside = {name[len(prefix) :]: content for name, content in self._files.items() if name.startswith(prefix)}
        if not inside:
            raise NotFound(f"there is no folder {path!r} in this tree", where=path)
        return MemoryTree(inside)


def _hash(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    for path in sorted(files):
        digest.update(b"%d %s\0%d " % (len(path.encode()), path.encode(), len(files[path])))
        digest.update(files[path])
    return digest.hexdigest()
