"""Our own authority, and a TLS client that trusts it."""

import asyncio
import ssl
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from iarnet.certificates.authority import SECRET, OwnAuthority
from iarnet.certificates.base import Pair
from iarnet.errors import AuthorityRefused
from iarnet.models.domains import Challenge
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from workers.node import clock

NAMES = ("localhost", "example.org")


async def unproven(challenge: Challenge) -> None:
    raise AssertionError(f"nobody has to prove {challenge.host} to us")


def authority(secrets: SealedSecrets, days: int = 0, names: Iterable[str] = NAMES) -> OwnAuthority:
    """As it is `days` from now."""
    return OwnAuthority(secrets, "home", lambda: clock() + timedelta(days=days), names)


@pytest.fixture
def secrets() -> SealedSecrets:
    return SealedSecrets(MemoryRows(), bytes(32))


async def greeted(folder: Path, pair: Pair, trusted: str, name: str) -> str:
    """The TLS version of a handshake with a client that trusts that authority alone."""
    (folder / "chain").write_text(pair.certificate.chain)
    (folder / "key").write_text(pair.key)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "chain", folder / "key")
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=serving)
    async with server:
        client = ssl.create_default_context(cadata=trusted)
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        version: str = writer.get_extra_info("ssl_object").version()
        writer.close()
        return version


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("shop.localhost", "shop.localhost"),
        ("*.shop.localhost", "web.shop.localhost"),
        (f"{'a' * 60}.example.org",) * 2,
    ],
)
async def test_a_client_that_trusts_it_is_content(
    tmp_path: Path, secrets: SealedSecrets, host: str, asked: str
) -> None:
    own = authority(secrets)
    pair = await own.issue(host, unproven)
    assert await greeted(tmp_path, pair, await own.certificate(), asked) == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        await greeted(tmp_path, pair, await own.certificate(), "other.example.org")
    assert pair.key not in repr(pair)


async def test_it_is_made_once_and_a_stranger_is_not_trusted(tmp_path: Path, secrets: SealedSecrets) -> None:
    made = await asyncio.gather(*(authority(secrets).certificate(), authority(secrets).certificate()))
    own = authority(secrets)
    assert await own.certificate() == await authority(secrets).certificate() in made
    stranger = authority(SealedSecrets(MemoryRows(), bytes(32)))
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        await greeted(tmp_path, await own.issue("a.localhost", unproven), await stranger.certificate(), "a.localhost")


@pytest.mark.parametrize("host", ["example.com", "notlocalhost", "*.org", "localhost.example.com"])
async def test_it_signs_for_its_names_alone(secrets: SealedSecrets, host: str) -> None:
    with pytest.raises(AuthorityRefused, match="signs for example") as refusal:
        await authority(secrets).issue(host, unproven)
    assert refusal.value.where == "gateway.own_names"


async def test_a_client_believes_it_of_no_other_name(
    tmp_path: Path, secrets: SealedSecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has its key can't do more either."""
    own = authority(secrets, names=["LOCALHOST."])
    trusted = await own.certificate()
    monkeypatch.setattr(own, "_names", ["localhost", "example.com"])
    monkeypatch.setattr("iarnet.certificates.authority._permitted", lambda _: ["localhost", "example.com"])
    pair = await own.issue("example.com", unproven)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        await greeted(tmp_path, pair, trusted, "example.com")


async def test_with_other_names_it_is_another_one(secrets: SealedSecrets) -> None:
    first = await authority(secrets).certificate()
    assert await authority(secrets, names=reversed(NAMES)).certificate() == first
    assert await authority(secrets, names=["localhost"]).certificate() != first


async def test_nothing_it_signs_outlives_it(secrets: SealedSecrets) -> None:
    first = await authority(secrets).certificate()
    assert await authority(secrets, days=3500).certificate() == first
    assert await authority(secrets, days=3600).certificate() != first
    assert "PRIVATE KEY" in await secrets.get(SECRET)
    assert "PRIVATE KEY" not in first
