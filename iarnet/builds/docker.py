"""Images by the builder that is part of every Docker engine."""

import asyncio
import posixpath
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from weakref import WeakValueDictionary

import docker.errors

from iarnet.builds.adding import all_but, layer
from iarnet.builds.context import RECIPE, ignored_patterns, write_context
from iarnet.builds.engine import BuildEngine
from iarnet.builds.failures import build_failure, recipe_place, refusal
from iarnet.builds.names import content_hash, image_name
from iarnet.builds.output import Output
from iarnet.builds.recipe import Preamble, Recipe, adapt
from iarnet.errors import BuildFailed, ImageUnavailable
from iarnet.models.component import Build
from iarnet.models.image import BuildRequest, BuildResult
from iarnet.sources.base import Sources, Tree
from iarnet.tracing import traced

APP_LABEL = "iarnet.app"

_CA_FILE, _CA_TARGET = ".iarnet-ca.pem", "/etc/ssl/certs/iarnet-ca.pem"
_CA_SETTINGS = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
)
_PROXY_SETTINGS = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@traced("builds", "build")
class DockerBuilder:
    """`iarnet.builds.base.Builder`, and `iarnet.providers.base.ImageSource` for what it has built.

    `url`: the engine, `unix://…` or `tcp://…`. `network`: of the build steps. `args`: for Dockerfiles that declare
    them. `base_images`: see `recipe.override`. `ca_bundle`: each stage gets it at /etc/ssl/certs/iarnet-ca.pem with
    the settings by which common programs find it while building; programs that read only the system's own bundle
    (apt) need a base image that has it. `clock` dates the files of the context.
    """

    def __init__(
        self,
        url: str,
        sources: Sources,
        *,
        clock: Callable[[], datetime],
        network: str = "",
        args: Mapping[str, str] | None = None,
        base_images: Mapping[str, str] | None = None,
        ca_bundle: Path | None = None,
        proxy: str = "",
        timeout_s: float = 1800.0,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._engine, self._sources, self._clock = BuildEngine(url), sources, clock
        self._network, self._args, self._base_images = network, dict(args or {}), dict(base_images or {})
        self._ca_bundle, self._proxy, self._timeout_s, self._redact = ca_bundle, proxy, timeout_s, redact
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def name_image(self, app: str, tree: Tree, build: Build) -> str:
        """`tree` is the application's folder. Raises `NotFound` when the build's context is not in it."""
        content = content_hash(tree, build)
        return image_name(app, content, build, args=self._args, base_images=self._base_images)

    async def build(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildResult:
        started = asyncio.get_running_loop().time()
        async with self._turns.setdefault(request.image, asyncio.Lock()):
            found = await self._inspect(request.image)
            if found and _is_of(found, request):
                return BuildResult(image=request.image, digest=found["Id"], cached=True, duration_s=0)
            if request.build.added:
                request = await self._upon(request, on_line)
            output = Output(on_line, redact=self._redact)
            await self._build_in_time(request, output)
            built = await self._inspect(request.image)
        if built is None:
            raise BuildFailed(f"{request.image} is gone right after it was built.", hint="Build it again.")
        duration = asyncio.get_running_loop().time() - started
        return BuildResult(
            image=request.image, digest=built["Id"], cached=False, duration_s=duration, log=output.end()
        )

    async def has(self, image: str) -> bool:
        return await self._inspect(image) is not None

    async def export(self, image: str) -> AsyncIterator[bytes]:
        if not await self.has(image):
            raise ImageUnavailable(f"{image} is not here.", where=image, hint="Deploy the application to build it.")
        async for chunk in self._engine.export(image):
            yield chunk

    async def forget(self, app: str) -> None:
        """An image that a container still uses stays."""
        await self._engine.call(lambda client: _remove_images(client, app))

    async def _upon(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildRequest:
        """What is left to do once the image without what is added to it is there."""
        tree = await self._sources.tree(request.app, request.tree)
        plain = request.build.model_copy(update={"added": ()})
        folder = await asyncio.to_thread(tree.subtree, request.subdir) if request.subdir else tree
        below = await asyncio.to_thread(self.name_image, request.app, folder, plain)
        await self.build(request.model_copy(update={"build": plain, "image": below}), on_line)
        return request.model_copy(update={"build": layer(below, request.build)})

    async def _build_in_time(self, request: BuildRequest, output: Output) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._build(request, output)
        except TimeoutError as error:
            raise BuildFailed(
                f"{request.component} is not built after {self._timeout_s:g} s, at: {output.step or 'the start'}",
                where=recipe_place(request),
                hint="Make that step faster, or raise builds.timeout_s.",
                component=request.component,
                log=output.end(),
            ) from error

    async def _build(self, request: BuildRequest, output: Output) -> None:
        recipe, ignore = await self._recipe(request)
        with tempfile.TemporaryFile() as context:
            await self._write(request, recipe, ignore, context)
            try:
                await self._engine.build(context, output.hear, **await self._how(request, recipe))
            except docker.errors.APIError as error:
                raise refusal(request, self._redact(str(error.explanation or error))) from error
        if output.error:
            raise build_failure(request, output, recipe.bases)

    async def _how(self, request: BuildRequest, recipe: Recipe) -> dict[str, Any]:
        given = {k: v for k, v in self._args.items() if k in recipe.declared}
        args = await self._platform(recipe) | given | request.build.args
        if self._proxy:
            args |= dict.fromkeys(_PROXY_SETTINGS, self._proxy)
        return {
            "tag": request.image,
            "dockerfile": RECIPE,
            "buildargs": args,
            "target": request.build.target,
            "network_mode": self._network or None,
            "labels": {APP_LABEL: request.app},
            "rm": True,
            "forcerm": True,
        }

    async def _platform(self, recipe: Recipe) -> dict[str, str]:
        """The build arguments that BuildKit would set by itself, as far as they are asked for."""
        if not any(name.startswith(("TARGET", "BUILD")) for name in recipe.declared):
            return {}
        version = await self._engine.call(lambda client: client.version())
        system, machine = version["Os"], version["Arch"]
        values = {"OS": system, "ARCH": machine, "PLATFORM": f"{system}/{machine}", "VARIANT": ""}
        every = {f"{side}{name}": value for side in ("TARGET", "BUILD") for name, value in values.items()}
        return {name: value for name, value in every.items() if name in recipe.declared}

    async def _recipe(self, request: BuildRequest) -> tuple[Recipe, list[str]]:
        build = request.build
        if build.added:
            return Recipe(build.recipe or "", frozenset(), ()), all_but(source for source, _ in build.added)
        tree = await self._sources.tree(request.app, request.tree)
        text, ignore = await asyncio.to_thread(_read, tree, request)
        preamble = Preamble(_CA_FILE, _CA_TARGET, _CA_SETTINGS) if self._ca_bundle else None
        args = self._args | request.build.args
        where = recipe_place(request)
        return adapt(text, where=where, args=args, base_images=self._base_images, preamble=preamble), ignore

    async def _write(self, request: BuildRequest, recipe: Recipe, ignore: list[str], context: IO[bytes]) -> None:
        folder = posixpath.normpath(posixpath.join(request.subdir, request.build.context))
        extra = {_CA_FILE: self._ca_bundle.read_bytes()} if self._ca_bundle else {}
        mtime = self._clock().timestamp()
        with tempfile.TemporaryFile() as archive:
            async for chunk in self._sources.archive(request.app, request.tree, folder):
                await asyncio.to_thread(archive.write, chunk)
            archive.seek(0)
            await asyncio.to_thread(
                write_context, archive, context, recipe=recipe.text, ignore=ignore, extra=extra, mtime=mtime
            )
        context.seek(0)

    async def _inspect(self, image: str) -> dict[str, Any] | None:
        return await self._engine.call(lambda client: _inspected(client, image))


def _read(tree: Tree, request: BuildRequest) -> tuple[str, list[str]]:
    """The Dockerfile, and what is to be ignored: `NAME.dockerignore` beside it wins over the context's."""
    root = tree.subtree(request.subdir) if request.subdir else tree
    build = request.build
    path = build.dockerfile or posixpath.join(build.context, "Dockerfile")
    text = build.recipe if build.recipe is not None else _text(root, path)
    if text is None:
        raise BuildFailed(
            f"The repository has no file {path!r}.",
            where=path,
            hint="Check the path of the Dockerfile; it counts from the application's folder.",
            component=request.component,
        )
    beside = _text(root, f"{path}.dockerignore") if build.recipe is None else None
    ignore = beside if beside is not None else _text(root, posixpath.join(build.context, ".dockerignore"))
    return text, ignored_patterns(ignore or "")


def _text(tree: Tree, path: str) -> str | None:
    content = tree.read(posixpath.normpath(path))
    return None if content is None else content.decode("utf-8", "replace")


def _inspected(client: Any, image: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.inspect_image(image)
    except docker.errors.ImageNotFound:
        return None
    return found


def _is_of(found: dict[str, Any], request: BuildRequest) -> bool:
    labels = (found.get("Config") or {}).get("Labels") or {}
    return labels.get(APP_LABEL) == request.app


def _remove_images(client: Any, app: str) -> None:
    for image in client.images(filters={"label": f"{APP_LABEL}={app}"}):
        for name in [n for n in image.get("RepoTags") or [] if n != "<none>:<none>"] or [image["Id"]]:
            try:
                client.remove_image(name)
            except docker.errors.ImageNotFound:
                continue
            except docker.errors.APIError as error:
                if error.status_code != 409:
                    raise
