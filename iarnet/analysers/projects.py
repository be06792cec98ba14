"""What a `project_path` names: code beneath the workspace directory, and nothing else of this machine."""

import asyncio
import os
import stat
from pathlib import Path, PurePosixPath

from iarnet.errors import Forbidden, InvalidInput, NotFound
from iarnet.sources.base import Sources, Tree
from iarnet.sources.folder import FolderTree
from iarnet.store.base import Facts

_WHERE = "project_path"
_OBJECTS = ".git"


class Projects:
    def __init__(self, workspace: Path, facts: Facts, sources: Sources, *, max_bytes: int, max_files: int) -> None:
        self._workspace = workspace.absolute()
        self._facts = facts
        self._sources = sources
        self._max_bytes = max_bytes
        self._max_files = max_files

    async def tree(self, project_path: str) -> Tree:
        """Raises `InvalidInput` for what is no path of a project, `Forbidden` for one that leads out, `NotFound`,
        `SourceTooLarge`."""
        first, *rest = self._parts(project_path)
        if first.endswith(_OBJECTS):
            return await self._imported(first.removesuffix(_OBJECTS), "/".join(rest))
        return await asyncio.to_thread(self._folder, (first, *rest))

    def _parts(self, project_path: str) -> tuple[str, ...]:
        """Below the workspace directory. What begins with a dot there is the node's own: keys, among others."""
        if not project_path or "\0" in project_path or len(project_path) > 4096:
            raise InvalidInput("no path of a project", where=_WHERE, hint="give a folder of the workspace directory")
        path = PurePosixPath(project_path)
        if ".." in path.parts:
            raise InvalidInput("`..` leads out of where it stands", where=_WHERE, hint="write the path without it")
        if path.is_absolute() and not path.is_relative_to(self._workspace):
            raise _outside()
        parts = path.relative_to(self._workspace).parts if path.is_absolute() else path.parts
        if not parts:
            raise InvalidInput("the workspace directory is no project", where=_WHERE, hint="name a folder in it")
        if parts[0].startswith("."):
            raise Forbidden("that folder is the node's own", where=_WHERE, hint="name a folder with code")
        return parts

    async def _imported(self, app: str, folder: str) -> Tree:
        """Of what is there as a bare repository, what was imported last."""
        source = await self._facts.source(app)
        if source is None:
            raise NotFound(f"there is no {app}{_OBJECTS}", where=_WHERE, hint=f"iarnet import URL --name {app}")
        tree = await self._sources.tree(app, source.tree)
        part = "/".join(filter(None, (source.git.subdir, folder)))
        return tree.subtree(part) if part else tree

    def _folder(self, parts: tuple[str, ...]) -> Tree:
        path = self._workspace
        try:
            for part in parts:
                path = path / part
                if stat.S_ISLNK(os.lstat(path).st_mode):
                    raise Forbidden("a link may lead out", where=_WHERE, hint="name the folder that it leads to")
            return FolderTree(path, max_files=self._max_files, max_bytes=self._max_bytes)
        except (OSError, ValueError) as error:
            hint = "it must be a folder of the workspace directory that this node may read"
            raise NotFound(f"there is no project {'/'.join(parts)!r}", where=_WHERE, hint=hint) from error


def _outside() -> Forbidden:
    hint = "put the project into the workspace directory (`workspace_dir`), or give its path relative to that"
    return Forbidden("that is not beneath the workspace directory", where=_WHERE, hint=hint)
