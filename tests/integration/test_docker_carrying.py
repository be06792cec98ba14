"""Images on their way to an engine that lacks them: layer by layer, and none twice."""

import asyncio
import io
import secrets
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import docker
import pytest

from iarnet.errors import ImageUnavailable, ProviderUnavailable
from iarnet.providers.base import Provider
from iarnet.providers.docker.saved import CARRIED, SavedImage
from tests.contract.docker_engine import IMAGE, engine_url
from tests.contract.provider_worlds import Archive, DockerWorld, docker_world, spec_of
from tests.contract.reaches import reach
from tests.integration.remote_engine import Relay

pytestmark = pytest.mark.docker

LAYER = 2 << 20
LAYERS = 3
# What goes along with each request and archive.
BESIDES = 128 << 10
CARRIED_S = 120.0


@dataclass(frozen=True)
class Elsewhere:
    """The engine behind a wire that counts, and an image whose own three layers are not there."""

    world: DockerWorld
    wire: Relay
    provider: Provider
    image: str
    source: Archive


@pytest.fixture(params=["tls"])
async def elsewhere(request: pytest.FixtureRequest) -> AsyncIterator[Elsewhere]:
    with TemporaryDirectory(prefix="reach-") as directory:
        async with reach(request.param, engine_url(), Path(directory)) as way, docker_world(way) as world:
            image = f"iarnet-test/{world.app}:carried"
            world._tags.append(image)
            source = Archive(image, await asyncio.to_thread(_exported, world.client, image))
            assert way.wire
            yield Elsewhere(world, way.wire, world.provider, image, source)


@pytest.mark.parametrize("elsewhere", ["tls", "ssh"], indirect=True)
async def test_what_has_arrived_is_not_sent_again(elsewhere: Elsewhere) -> None:
    elsewhere.wire.limit = LAYER + LAYER // 2
    with pytest.raises(ProviderUnavailable):
        await elsewhere.provider.ensure_image(elsewhere.image, elsewhere.source)
    elsewhere.wire.limit = None
    await elsewhere.wire.up()
    await _carry_on(elsewhere)
    assert (LAYERS - 1) * LAYER < elsewhere.wire.sent < (LAYERS - 1) * LAYER + BESIDES
    made = await elsewhere.provider.deploy(spec_of(elsewhere.world, image=elsewhere.image))
    assert made.state == "running"
    assert _on_the_way(elsewhere) == []


async def test_layers_that_are_there_are_not_sent(elsewhere: Elsewhere) -> None:
    await elsewhere.provider.ensure_image(elsewhere.image, elsewhere.source)
    assert LAYERS * LAYER < elsewhere.wire.sent < LAYERS * LAYER + BESIDES
    again = f"iarnet-test/{elsewhere.world.app}:again"
    elsewhere.world._tags.append(again)
    chunks = await asyncio.to_thread(_renamed, elsewhere.world.client, elsewhere.image, again)
    elsewhere.wire.sent = 0
    await elsewhere.provider.ensure_image(again, Archive(again, chunks))
    assert elsewhere.wire.sent < BESIDES
    assert _on_the_way(elsewhere) == []


async def test_an_engine_that_wants_all_layers_together_gets_them(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that keeps its images with containerd: here an archive that no engine takes stands for that."""

    def incomplete(saved: SavedImage, depth: int, *, layer: bool) -> Iterator[bytes]:
        return iter([bytes(1024)])

    monkeypatch.setattr(SavedImage, "step", incomplete)
    await elsewhere.provider.ensure_image(elsewhere.image, elsewhere.source)
    assert (await elsewhere.provider.deploy(spec_of(elsewhere.world, image=elsewhere.image))).state == "running"


async def test_what_is_no_archive_of_an_image() -> None:
    async with docker_world() as world:
        with pytest.raises(ImageUnavailable, match="no archive of an image") as refused:
            await world.provider.ensure_image("any:1", Archive("any:1", [b"layers"]))
        assert refused.value.hint


async def _carry_on(elsewhere: Elsewhere) -> None:
    """As a deployment does it: again while the engine can't be reached, which `ssh` may notice late."""
    async with asyncio.timeout(CARRIED_S):
        while True:
            with suppress(ProviderUnavailable):
                return await elsewhere.provider.ensure_image(elsewhere.image, elsewhere.source)
            await asyncio.sleep(0.1)


def _on_the_way(elsewhere: Elsewhere) -> list[str]:
    """Images without a name that have a layer of this one."""
    client = elsewhere.world.client
    ours = client.inspect_image(elsewhere.image)["RootFS"]["Layers"][-LAYERS:]
    found = client.images(filters={"label": CARRIED})
    return [each["Id"] for each in found if set(client.inspect_image(each["Id"])["RootFS"]["Layers"]) & set(ours)]


def _exported(client: docker.APIClient, image: str) -> list[bytes]:
    """Made, written out and removed, its layers with it. The last is the first again, which is there as a link."""
    files = {name: secrets.token_bytes(LAYER) for name in ("one", "two")}
    files["Dockerfile"] = f"FROM {IMAGE}\nCOPY one /one\nCOPY two /two\nCOPY one /one\n".encode()
    said = list(client.build(fileobj=_packed(files), custom_context=True, tag=image, rm=True, decode=True))
    assert not any("error" in line for line in said), said
    chunks = list(client.get_image(image))
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        assert any(member.issym() for member in archive)
    client.remove_image(image)
    return chunks


def _renamed(client: docker.APIClient, image: str, name: str) -> list[bytes]:
    """The same under another name, and not there any more under that."""
    client.tag(image, *name.split(":"))
    chunks = list(client.get_image(name))
    client.remove_image(name)
    return chunks


def _packed(files: dict[str, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    packed.seek(0)
    return packed
