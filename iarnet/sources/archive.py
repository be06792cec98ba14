"""A tree as a tar stream: the same tree gives the same bytes."""

import io
import posixpath
import tarfile
from collections.abc import Generator, Iterable, Iterator

from iarnet.sources.links import stays_inside
from iarnet.sources.listing import Item
from iarnet.sources.objects import GitTree, Objects

_CHUNK = 1024 * 1024
_LONGEST = 4096
"""Of a link's own path and of its target, `PATH_MAX`: no system follows a longer one, and to do so takes long."""


def tar_stream(tree: GitTree) -> Generator[bytes]:
    """In chunks of about 1 MiB. Links that leave the tree or are too long, and submodules that were not fetched,
    are left out."""
    objects = tree.objects
    items = [i for i in tree.items() if not i.is_submodule and not _too_long(i)]
    links = {i.path: objects.read(i.sha).decode("utf-8", "surrogateescape") for i in items if i.is_link}
    kept = [i for i in items if not i.is_link or stays_inside(links, i.path)]
    return _coalesced(_blocks(kept, links, objects))


def header(path: str, *, size: int = 0, mode: int = 0o644, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """A tar header without time, owner or anything else that differs between machines."""
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.type, info.linkname = size, mode, kind, link
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    return b"\0" * (-size % tarfile.BLOCKSIZE)


END = b"\0" * tarfile.BLOCKSIZE * 2


def _too_long(item: Item) -> bool:
    return item.is_link and max(item.size, len(item.path)) > _LONGEST


def _blocks(items: Iterable[Item], links: dict[str, str], objects: Objects) -> Iterator[bytes]:
    folders: set[str] = set()
    for item in items:
        for folder in _new_folders(item.path, folders):
            yield header(folder, mode=0o755, kind=tarfile.DIRTYPE)
        if item.is_link:
            yield header(item.path, mode=0o777, kind=tarfile.SYMTYPE, link=links[item.path])
            continue
        yield header(item.path, size=item.size, mode=0o755 if item.executable else 0o644)
        yield from objects.chunks(item)
        yield padding(item.size)
    yield END


def _new_folders(path: str, known: set[str]) -> list[str]:
    """Folders have headers, or the reader would choose their rights."""
    found = []
    while (path := posixpath.dirname(path)) and path not in known:
        known.add(path)
        found.append(path)
    return found[::-1]


def _coalesced(blocks: Iterable[bytes]) -> Generator[bytes]:
    buffer = io.BytesIO()
    for block in blocks:
        buffer.write(block)
        if buffer.tell() >= _CHUNK:
            yield buffer.getvalue()
            buffer = io.BytesIO()
    yield buffer.getvalue()
