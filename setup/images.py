"""Base images: pulled where a registry can be reached, else built here from Debian packages.

A stand-in carries the label `iarnet.stand-in=true` and, as `iarnet.stand-in.key`, a hash of all that went into it: a
changed Dockerfile rebuilds it and what stands on it. An image without the label is the real one and stays as it is.
"""

import functools
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

from catalogue import IMAGES, TOOLCHAINS, Image
from packages import require
from places import Stopwatch, run_logged, say

SUITE = "bookworm"
ROOTFS = f"iarnet-rootfs:{SUITE}"
FOLDER = Path(__file__).parent / "images"
PARALLEL = 2  # apt in two builds fills two cores and the disk
PROBE_SECONDS = 10
PULL_SECONDS = 600
BUILD_SECONDS = 1800


def provide(host: str, *, every: bool = False, toolchains: bool = False) -> None:
    """Make the core images available in the engine (all of them with `every`, more languages with `toolchains`);
    exits with the log of what failed."""
    require({"docker": "docker.io"})
    watch = Stopwatch()
    images = Images(host)
    wanted = [image for image in IMAGES if every or image.core] + list(TOOLCHAINS if toolchains else ())
    missing = images.missing(wanted)
    if missing and images.can_pull():
        missing = images.pull(missing)
    if missing:
        require({"mmdebstrap": "mmdebstrap", "busybox": "busybox-static"})
        images.build(missing)
    say(f"images  {len(wanted)} ready ({watch})")


class Images:
    """The images of one Docker engine."""

    def __init__(self, host: str) -> None:
        self._docker = ("docker", "--host", host)

    def missing(self, wanted: Sequence[Image]) -> list[Image]:
        """Those of which some name is neither a real image nor one built from the present files."""
        present = self._present(tag for image in wanted for tag in image.tags)

        def is_there(image: Image) -> bool:
            keys = [present.get(tag) for tag in image.tags]
            return keys[0] == "real" or all(key in ("real", _key(image)) for key in keys)

        return [image for image in wanted if not is_there(image)]

    def can_pull(self) -> bool:
        """Ask once, with the smallest image: without a registry, each further try may cost its whole time limit."""
        return self._pulled("busybox:stable", PROBE_SECONDS)

    def pull(self, images: Sequence[Image]) -> list[Image]:
        """Pull the first name of each; return those that could not be had."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            pulled = list(pool.map(lambda image: self._pulled(image.tags[0], PULL_SECONDS), images))
        return [image for image, done in zip(images, pulled, strict=True) if not done]

    def build(self, images: Sequence[Image]) -> None:
        """Build each after its base, some at a time."""
        if any(image.folder == "debian" for image in images) and not self._present([ROOTFS]):
            self._import_rootfs()
        present = self._present(tag for image in images for tag in image.tags)
        taken = {tag for tag, key in present.items() if key == "real"}
        builds: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(PARALLEL) as pool:
            for image in images:
                # In the catalogue's order whoever waits for a base waits for a build that already runs: no deadlock.
                builds[image.folder] = pool.submit(self._build_after, builds.get(image.base or ""), image, taken)
            for build in builds.values():
                build.result()

    def _build_after(self, base: Future[None] | None, image: Image, taken: set[str]) -> None:
        if base:
            base.result()
        watch = Stopwatch()
        labels = ("iarnet.stand-in=true", f"iarnet.stand-in.key={_key(image)}")
        argv = [*self._docker, "build", "--force-rm", *(f"--label={label}" for label in labels)]
        argv += [f"--tag={tag}" for tag in image.tags if tag not in taken]
        with tempfile.TemporaryFile() as context:
            _write_context(image, context)
            # The classic builder: Debian's docker.io lacks the plug-in that the other one needs.
            env = {"DOCKER_BUILDKIT": "0"}
            run_logged(f"image-{image.folder}", [*argv, "-"], timeout=BUILD_SECONDS, env=env, stdin=context)
        say(f"built   {image.tags[0]} ({watch})")

    def _import_rootfs(self) -> None:
        watch = Stopwatch()
        with tempfile.TemporaryDirectory() as folder:
            # Not debootstrap: here apt resolves and unpacks everything at once, 20 seconds instead of two minutes.
            tar = f"{folder}/rootfs.tar"
            argv = ["mmdebstrap", "--variant=minbase", "--include=ca-certificates", SUITE, tar]
            run_logged("rootfs", argv, timeout=BUILD_SECONDS)
            run_logged("rootfs", [*self._docker, "import", tar, ROOTFS], timeout=BUILD_SECONDS)
        say(f"built   {ROOTFS} ({watch})")

    def _present(self, tags: Iterable[str]) -> dict[str, str]:
        """Those names that the engine has, with the key of a stand-in, or `real`."""
        argv = [*self._docker, "image", "inspect", *tags]
        # Its status tells only whether all are there; what is there gets printed all the same.
        found = json.loads(subprocess.run(argv, capture_output=True, timeout=60, check=False).stdout or "[]")
        labels = {tag: image["Config"].get("Labels") or {} for image in found for tag in image["RepoTags"]}
        return {tag: label.get("iarnet.stand-in.key", "real") for tag, label in labels.items()}

    def _pulled(self, tag: str, timeout: float) -> bool:
        watch = Stopwatch()
        try:
            subprocess.run([*self._docker, "pull", tag], capture_output=True, timeout=timeout, check=True)
        except subprocess.SubprocessError:
            return False
        say(f"pulled  {tag} ({watch})")
        return True


@functools.cache
def _key(image: Image) -> str:
    digest = hashlib.sha256(f"{SUITE} {image.material()[0]}".encode())
    for file in sorted((FOLDER / image.folder).iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    if image.base:
        digest.update(_key(next(base for base in IMAGES if base.folder == image.base)).encode())
    return digest.hexdigest()[:16]


def _write_context(image: Image, target: IO[bytes]) -> None:
    # Docker does not recognise an archive whose first header is an extended (PAX) one.
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as context:
        context.add(FOLDER / image.folder, ".")
        for source, place in image.material()[1]:
            if isinstance(source, Path):
                context.add(source, place)
            else:
                entry = tarfile.TarInfo(place)
                entry.size = len(source.encode())
                context.addfile(entry, io.BytesIO(source.encode()))
