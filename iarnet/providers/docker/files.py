"""Files that are put into a container before it starts."""

import io
import posixpath
import tarfile

from iarnet.errors import ProviderRefused
from iarnet.models.component import EnvVar
from iarnet.models.container import File
from iarnet.models.instance import InstanceSpec
from iarnet.providers.base import SecretReader
from iarnet.providers.docker.engine import Engine
from iarnet.providers.docker.spec import covered_folders


class Files:
    """Their content goes from here to the engine, into no image and no setting of the container."""

    def __init__(self, engine: Engine, secrets: SecretReader) -> None:
        self._engine = engine
        self._secrets = secrets

    async def put(self, id: str, spec: InstanceSpec) -> None:
        """Again and again without harm. Raises `NotFound` for a secret that is gone, `ProviderRefused` for a place
        that can't be written."""
        covered = covered_folders(spec)
        by_place: dict[str, list[tuple[File, bytes]]] = {}
        for file in spec.files:
            folder = posixpath.dirname(file.path)
            if spec.container.read_only and folder not in covered:
                raise ProviderRefused(
                    f"{file.path} can't be put at the top of a file system that is read-only",
                    where=spec.name,
                    component=spec.component,
                    hint="give it a place in a folder",
                )
            by_place.setdefault(folder if folder in covered else "/", []).append((file, await self._content(file)))
        for place, files in by_place.items():
            archive = _archive(place, files)
            await self._engine.call(lambda c, place=place, archive=archive: c.put_archive(id, place, archive))  # type: ignore[misc]

    async def _content(self, file: File) -> bytes:
        given = EnvVar(name="FILE", value=file.value, secret=file.secret)
        return (await self._secrets.resolve(given) or "").encode()


def _archive(place: str, files: list[tuple[File, bytes]]) -> bytes:
    """A tar of the files, relative to `place`. Folders that are missing are made by the engine."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for file, content in files:
            entry = tarfile.TarInfo(posixpath.relpath(file.path, place))
            entry.size, entry.mode, entry.uid, entry.gid = len(content), file.mode, file.uid, file.gid
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()
