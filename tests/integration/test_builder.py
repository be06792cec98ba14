"""Builds on a real engine, from real repositories, on a base image of one megabyte."""

import asyncio
import io
import json
import os
import subprocess
import tarfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
import pytest_asyncio

from iarnet.builds.docker import DockerBuilder
from iarnet.errors import BuildFailed, IarnetError, ImageUnavailable, ProviderUnavailable
from iarnet.models.component import Build
from iarnet.models.image import BuildRequest, BuildResult
from iarnet.models.source import GitSource
from iarnet.sources.git import GitSources
from tests.conftest import missing

pytestmark = pytest.mark.docker

HOST = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
BASE = "busybox:stable"
NOW = datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.APIClient]:
    try:
        client = docker.APIClient(base_url=HOST, version="auto")
        client.inspect_image(BASE)
    except docker.errors.DockerException as error:
        missing(f"a Docker engine with {BASE} ({error})")
    yield client
    client.close()


@dataclass
class Workshop:
    """An application with a name of its own, so that tests leave nothing and disturb nobody."""

    app: str
    folder: Path
    sources: GitSources
    engine: docker.APIClient

    def put(self, name: str, content: str, mode: int = 0o644) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode)

    def builder(self, **more: Any) -> DockerBuilder:
        return DockerBuilder(HOST, self.sources, clock=lambda: NOW, **more)

    async def request(self, builder: DockerBuilder, subdir: str = "", **build: Any) -> BuildRequest:
        await asyncio.to_thread(self._commit)
        git = GitSource(url=f"file://{self.folder}")
        commit = await self.sources.resolve(git)
        tree = (await self.sources.fetch(self.app, git, commit)).tree
        how = Build(**build)
        whole = await self.sources.tree(self.app, tree)
        image = builder.name_image(self.app, whole.subtree(subdir) if subdir else whole, how)
        whole.close()
        return BuildRequest(app=self.app, component="web", tree=tree, subdir=subdir, build=how, image=image)

    async def build(
        self, builder: DockerBuilder | None = None, lines: list[str] | None = None, **build: Any
    ) -> BuildResult:
        builder = builder or self.builder()
        request = await self.request(builder, **build)
        return await builder.build(request, (lines if lines is not None else []).append)

    def run(self, image: str, *command: str) -> str:
        container = self.engine.create_container(image, list(command) or None, network_disabled=True)["Id"]
        try:
            self.engine.start(container)
            self.engine.wait(container)
            return bytes(self.engine.logs(container)).decode()
        finally:
            self.engine.remove_container(container, force=True)

    def images(self) -> list[str]:
        found = self.engine.images(filters={"label": f"iarnet.app={self.app}"})
        return [name for image in found for name in image["RepoTags"] or []]

    def _commit(self) -> None:
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-q", "--allow-empty", "-m", "change")):
            subprocess.run(["git", *words], cwd=self.folder, check=True)


@pytest_asyncio.fixture
async def shop(tmp_path: Path, engine: docker.APIClient) -> AsyncIterator[Workshop]:
    app = f"t-{uuid.uuid4().hex[:10]}"
    (tmp_path / "repo").mkdir()
    workshop = Workshop(app, tmp_path / "repo", GitSources(tmp_path / "sources", allow_file=True), engine)
    yield workshop
    await workshop.builder().forget(app)
    assert not workshop.images()


# What fails


async def test_a_failing_step_says_which_and_what_it_printed(shop: Workshop) -> None:
    shop.put(
        "Dockerfile", f"FROM {BASE}\nRUN echo one\nRUN echo before; printf '\\033[31mred\\033[0m\\n' >&2; exit 3\n"
    )
    with pytest.raises(BuildFailed) as error:
        await shop.build(dockerfile="Dockerfile")
    assert "step 3/" in error.value.message
    assert "non-zero code: 3" in error.value.message
    assert error.value.component == "web"
    assert error.value.where == "Dockerfile"
    assert "before" in error.value.log
    assert "red" in error.value.log
    assert not shop.images()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("COPY nothing /x", "build context"),
        ("RUN no-such-program", "base image"),
        ("COPY --chmod=755 Dockerfile /x", "BuildKit"),
        ("RUN --mount=type=secret,id=x true", "BuildKit"),
    ],
)
async def test_a_failure_says_what_to_do(shop: Workshop, text: str, hint: str) -> None:
    shop.put("Dockerfile", f"FROM {BASE}\n{text}\n")
    with pytest.raises(BuildFailed) as error:
        await shop.build(dockerfile="Dockerfile")
    assert hint in error.value.hint, error.value.details()


@pytest.mark.parametrize(
    ("text", "where"), [("FROM busybox\nFOO bar\n", "Dockerfile:2"), ("", "Dockerfile"), ("RUN x\n", "Dockerfile")]
)
async def test_text_that_is_no_dockerfile(shop: Workshop, text: str, where: str) -> None:
    shop.put("Dockerfile", text)
    with pytest.raises(BuildFailed) as error:
        await shop.build(dockerfile="Dockerfile")
    assert error.value.where == where


async def test_a_base_image_that_can_not_be_had(shop: Workshop) -> None:
    shop.put("Dockerfile", "FROM nowhere.invalid/none:1\n")
    with pytest.raises(ImageUnavailable, match=r"nowhere\.invalid/none:1") as error:
        await shop.build(dockerfile="Dockerfile")
    assert "builds.base_images" in error.value.hint


async def test_no_dockerfile_and_no_target(shop: Workshop) -> None:
    shop.put("Dockerfile", f"FROM {BASE}\n")
    with pytest.raises(BuildFailed, match="no file"):
        await shop.build(dockerfile="docker/Dockerfile")
    with pytest.raises(BuildFailed, match="production"):
        await shop.build(dockerfile="Dockerfile", target="production")


async def test_a_dockerfile_that_is_a_link_out_of_the_repository(shop: Workshop) -> None:
    (shop.folder / "Dockerfile").symlink_to("/etc/passwd")
    with pytest.raises(BuildFailed, match="no file"):
        await shop.build(dockerfile="Dockerfile")


async def test_no_engine(shop: Workshop, tmp_path: Path) -> None:
    shop.put("Dockerfile", f"FROM {BASE}\n")
    builder = DockerBuilder(f"unix://{tmp_path}/none.sock", shop.sources, clock=lambda: NOW)
    with pytest.raises(ProviderUnavailable):
        await shop.build(builder, dockerfile="Dockerfile")


async def test_a_build_that_takes_too_long_ends(shop: Workshop) -> None:
    shop.put("Dockerfile", f"FROM {BASE}\nRUN sleep 987\n")
    with pytest.raises(BuildFailed, match="not built after 3 s") as error:
        await shop.build(shop.builder(timeout_s=3), dockerfile="Dockerfile")
    assert "sleep 987" in error.value.message
    await _gone(shop.engine, "sleep 987")


async def test_cancelling_ends_the_build_on_the_engine(shop: Workshop) -> None:
    shop.put("Dockerfile", f"FROM {BASE}\nRUN echo here && sleep 876\n")
    reached = asyncio.Event()
    builder = shop.builder()
    request = await shop.request(builder, dockerfile="Dockerfile")
    task = asyncio.create_task(builder.build(request, lambda line: reached.set() if line == "here" else None))
    await asyncio.wait({task, asyncio.create_task(reached.wait())}, return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), task.result()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _gone(shop.engine, "sleep 876")
    assert not shop.images()


# What works


async def test_a_build_its_labels_and_its_lines(shop: Workshop) -> None:
    shop.put("Dockerfile", f'FROM {BASE}\nCOPY . /app\nRUN echo built\nCMD ["cat", "/app/word.txt"]\n')
    shop.put("word.txt", "hello\n")
    lines: list[str] = []
    result = await shop.build(lines=lines, dockerfile="Dockerfile")
    assert not result.cached
    assert result.duration_s > 0
    assert "built" in lines
    assert lines[0].startswith("Step 1/")
    assert result.log == tuple(lines)
    assert shop.run(result.image) == "hello\n"
    config = shop.engine.inspect_image(result.image)
    assert config["Id"] == result.digest
    assert config["Config"]["Labels"]["iarnet.app"] == shop.app
    assert sorted(shop.run(result.image, "ls", "-A", "/app").split()) == ["Dockerfile", "word.txt"]


async def test_what_has_not_changed_is_not_built_again(shop: Workshop) -> None:
    shop.put("web/Dockerfile", f"FROM {BASE}\nCOPY . /app\n")
    first = await shop.build(context="web", dockerfile="web/Dockerfile")
    shop.put("api/main.py", "1")
    again = await shop.build(context="web", dockerfile="web/Dockerfile")
    assert again == first.model_copy(update={"cached": True, "duration_s": 0, "log": ()})
    shop.put("web/word.txt", "2")
    changed = await shop.build(context="web", dockerfile="web/Dockerfile")
    assert not changed.cached
    assert changed.image != first.image


async def test_a_dockerfile_outside_of_the_context_counts(shop: Workshop) -> None:
    shop.put("docker/web.Dockerfile", f"FROM {BASE}\nCMD echo one\n")
    shop.put("web/x", "x")
    first = await shop.build(context="web", dockerfile="docker/web.Dockerfile")
    shop.put("docker/web.Dockerfile", f"FROM {BASE}\nCMD echo two\n")
    second = await shop.build(context="web", dockerfile="docker/web.Dockerfile")
    assert (shop.run(first.image), shop.run(second.image)) == ("one\n", "two\n")


async def test_an_image_of_this_name_that_is_not_ours_is_not_taken(shop: Workshop) -> None:
    shop.put("Dockerfile", f"FROM {BASE}\nCMD echo ours\n")
    builder = shop.builder()
    request = await shop.request(builder, dockerfile="Dockerfile")
    name, tag = request.image.split(":")
    shop.engine.tag(BASE, name, tag)
    result = await builder.build(request, lambda line: None)
    assert not result.cached
    assert shop.run(request.image) == "ours\n"


async def test_two_at_once_build_once(shop: Workshop) -> None:
    shop.put("Dockerfile", f"FROM {BASE}\nRUN echo {uuid.uuid4()}\n")
    builder = shop.builder()
    request = await shop.request(builder, dockerfile="Dockerfile")
    results = await asyncio.gather(*(builder.build(request, lambda line: None) for _ in range(3)))
    assert sorted(r.cached for r in results) == [False, True, True]


async def test_a_generated_recipe_in_a_folder_of_a_folder(shop: Workshop) -> None:
    shop.put("apps/shop/web/word.txt", "deep")
    builder = shop.builder()
    recipe = f"FROM {BASE}\nCOPY word.txt /word.txt\nCMD cat /word.txt\n"
    request = await shop.request(builder, subdir="apps/shop", context="web", recipe=recipe)
    result = await builder.build(request, lambda line: None)
    assert shop.run(result.image) == "deep"


async def test_targets_and_arguments(shop: Workshop) -> None:
    shop.put(
        "Dockerfile",
        f"ARG BASE={BASE}\nFROM $BASE AS one\nARG WORD=none\nARG TARGETARCH\nARG SITE\n"
        'RUN echo "$WORD $SITE ${TARGETARCH:+arch}" > /word\nCMD cat /word\nFROM one AS two\nCMD echo two\n',
    )
    builder = shop.builder(args={"SITE": "here", "UNUSED": "x"})
    lines: list[str] = []
    result = await shop.build(builder, lines, dockerfile="Dockerfile", target="one", args={"WORD": "given"})
    assert shop.run(result.image) == "given here arch\n"
    assert not [line for line in lines if "not consumed" in line]


async def test_what_a_dockerignore_leaves_out(shop: Workshop) -> None:
    shop.put("Dockerfile", f"FROM {BASE}\nCOPY . /app\nCMD find /app -type f\n")
    for name in ("a.log", "keep.log", "node_modules/x/y.js", "src/secret/key", "src/secret/public", "src/main"):
        shop.put(name, "x")
    shop.put(
        ".dockerignore", "# comment\n*.log\n!keep.log\n/node_modules/\nsrc/secret\n!src/secret/public\nDockerfile\n"
    )
    result = await shop.build(dockerfile="Dockerfile")
    found = set(shop.run(result.image).split())
    assert found == {"/app/keep.log", "/app/src/secret/public", "/app/src/main"}


async def test_a_dockerignore_of_one_dockerfile_wins(shop: Workshop) -> None:
    shop.put("web.Dockerfile", f"FROM {BASE}\nCOPY . /app\nCMD find /app -type f\n")
    shop.put("a", "x")
    shop.put("b", "x")
    shop.put(".dockerignore", "a\n")
    shop.put("web.Dockerfile.dockerignore", "*\n!a\n")
    result = await shop.build(dockerfile="web.Dockerfile")
    assert shop.run(result.image).split() == ["/app/a"]


async def test_files_keep_their_rights_and_get_the_time_when_they_were_new(shop: Workshop) -> None:
    shop.put("run.sh", "#!/bin/sh\necho ran\n", mode=0o755)
    shop.put("plain", "x")
    (shop.folder / "link").symlink_to("run.sh")
    (shop.folder / "out").symlink_to("/etc/passwd")
    shop.put("Dockerfile", f"FROM {BASE}\nCOPY . /app\nCMD /app/link\n")
    result = await shop.build(dockerfile="Dockerfile")
    assert shop.run(result.image) == "ran\n"
    facts = shop.run(result.image, "stat", "-c", "%a %Y", "/app/run.sh", "/app/plain")
    assert facts.split("\n")[:2] == [f"755 {NOW.timestamp():.0f}", f"644 {NOW.timestamp():.0f}"]
    assert "out" not in shop.run(result.image, "ls", "/app").split()


async def test_base_images_can_be_replaced(shop: Workshop) -> None:
    shop.put(
        "Dockerfile",
        "FROM --platform=$BUILDPLATFORM company/base:7 AS base\nFROM base\n"
        "COPY --link --from=company/tools /bin/busybox /tool\nRUN --mount=type=cache,target=/c true\nCMD echo fine\n",
    )
    builder = shop.builder(base_images={"company/base:7": BASE, "company/tools": "busybox:stable"})
    assert shop.run((await shop.build(builder, dockerfile="Dockerfile")).image) == "fine\n"


async def test_here_documents(shop: Workshop) -> None:
    shop.put(
        "Dockerfile", f'FROM {BASE}\nRUN <<EOF\nset -e\necho "one" > /word\necho two >> /word\nEOF\nCMD cat /word\n'
    )
    assert shop.run((await shop.build(dockerfile="Dockerfile")).image) == "one\ntwo\n"


async def test_the_network_of_steps(shop: Workshop) -> None:
    shop.put("Dockerfile", f"FROM {BASE}\nRUN ls /sys/class/net > /nets\nCMD cat /nets\n")
    result = await shop.build(shop.builder(network="none"), dockerfile="Dockerfile")
    assert shop.run(result.image).split() == ["lo"]


async def test_a_ca_bundle_and_a_proxy_are_there_while_building(shop: Workshop, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("a certificate\n")
    shop.put(
        "Dockerfile",
        f"FROM {BASE} AS one\nRUN cat $SSL_CERT_FILE > /seen\nFROM one\nUSER nobody\n"
        'RUN cat $PIP_CERT && test "$HTTPS_PROXY" = http://proxy:3128\n'
        "CMD cat /seen; echo $SSL_CERT_FILE $HTTPS_PROXY\n",
    )
    builder = shop.builder(ca_bundle=bundle, proxy="http://proxy:3128")
    assert shop.run((await shop.build(builder, dockerfile="Dockerfile")).image).strip() == "a certificate"


async def test_lines_are_redacted(shop: Workshop) -> None:
    shop.put("Dockerfile", f"FROM {BASE}\nRUN echo the word is sesame; exit 1\n")
    lines: list[str] = []
    builder = shop.builder(redact=lambda text: text.replace("sesame", "***"))
    with pytest.raises(BuildFailed) as error:
        await shop.build(builder, lines, dockerfile="Dockerfile")
    assert "sesame" not in json.dumps([lines, error.value.details()])
    assert any("***" in line for line in lines)


# Images


async def test_export(shop: Workshop) -> None:
    shop.put("Dockerfile", f"FROM {BASE}\nCMD true\n")
    builder = shop.builder()
    result = await shop.build(builder, dockerfile="Dockerfile")
    assert await builder.has(result.image)
    archive = b"".join([chunk async for chunk in builder.export(result.image)])
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        assert json.loads(manifest.read())[0]["RepoTags"] == [result.image]
    assert not await builder.has("iarnet/none:1")
    with pytest.raises(ImageUnavailable):
        await anext(builder.export("iarnet/none:1"))


async def test_forget_leaves_what_is_used(shop: Workshop) -> None:
    shop.put("Dockerfile", f"FROM {BASE}\nCOPY . /app\nCMD sleep 60\n")
    builder = shop.builder()
    used = await shop.build(builder, dockerfile="Dockerfile")
    shop.put("more", "x")
    await shop.build(builder, dockerfile="Dockerfile")
    container = shop.engine.create_container(used.image)["Id"]
    shop.engine.start(container)
    try:
        await builder.forget(shop.app)
        assert shop.images() == [used.image]
    finally:
        shop.engine.remove_container(container, force=True)


async def test_nothing_of_a_build_stays_in_the_temporary_folder(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    shop.put("Dockerfile", f"FROM {BASE}\nRUN false\n")
    with pytest.raises(IarnetError):
        await shop.build(dockerfile="Dockerfile")
    assert not list(scratch.iterdir())


async def _gone(engine: docker.APIClient, command: str) -> None:
    """Wait until no container runs the command."""

    def running() -> bool:
        return any(command in container["Command"] for container in engine.containers())

    async with asyncio.timeout(30):
        while await asyncio.to_thread(running):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_what_is_added_lies_over_what_is_built(shop: Workshop) -> None:
    """Also what the build ignores, and what lies outside of its context."""
    shop.put(
        "app/Dockerfile", f'FROM {BASE}\nCOPY . /srv\nUSER 1000\nWORKDIR /srv\nCMD ["cat", "own", "conf", "[a]"]\n'
    )
    shop.put("app/own", "own\n")
    shop.put("app/.dockerignore", "conf\n")
    shop.put("app/conf", "ignored\n")
    shop.put("more/[a]", "outside\n")
    request = await shop.request(
        shop.builder(),
        context="app",
        dockerfile="app/Dockerfile",
        added=(("app/conf", "/srv/conf"), ("more", "/srv")),
    )
    built = await shop.builder().build(request, [].append)
    assert shop.run(built.image) == "own\nignored\noutside\n"
    shop.put("more/[a]", "changed\n")
    again = await shop.request(
        shop.builder(),
        context="app",
        dockerfile="app/Dockerfile",
        added=(("app/conf", "/srv/conf"), ("more", "/srv")),
    )
    assert again.image != request.image
    changed = await shop.builder().build(again, [].append)
    assert shop.run(changed.image) == "own\nignored\nchanged\n"
