"""What an image is called: its content decides, so that what hasn't changed is not built again. Pure."""

import hashlib
import json
import posixpath
from collections.abc import Mapping

from iarnet.models.component import Build
from iarnet.sources.base import Tree

_VERSION = 1


def content_hash(tree: Tree, build: Build) -> str:
    """Of all that the build reads: its context and a Dockerfile that may lie outside of it.

    `tree` is the application's folder. Raises `NotFound` when there is no such context.
    """
    folder = tree.subtree(build.context) if posixpath.normpath(build.context) != "." else tree
    recipe = tree.read(build.dockerfile) or b"" if build.dockerfile else b""
    added = b"".join(_added(tree, source) for source, _ in build.added)
    return hashlib.sha256(folder.hash.encode() + b"\0" + recipe + added).hexdigest()


def _added(tree: Tree, path: str) -> bytes:
    if posixpath.normpath(path) == ".":
        return tree.hash.encode()
    if path in tree.paths():
        return b"\0" + b"".join(tree.read_all([path]))
    return b"\0" + tree.subtree(path).hash.encode()


def image_name(
    app: str,
    content: str,
    build: Build,
    *,
    args: Mapping[str, str] | None = None,
    base_images: Mapping[str, str] | None = None,
) -> str:
    """`iarnet/{app}:{16 hex digits}`: components that are built alike share one image.

    `args` and `base_images` are those of the builder.
    """
    parts = (
        _VERSION,
        app,
        content,
        build.model_dump(mode="json"),
        dict(args or {}),
        dict(base_images or {}),
    )
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return f"iarnet/{app}:{digest[:16]}"
