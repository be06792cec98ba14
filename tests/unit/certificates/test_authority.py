"""Our own authority, and a TLS client that trusts it."""

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from iarnet.certificates.authority import SECRET, OwnAuthority
from iarnet.certificates.base import Pair
from iarnet.models.domains import Challenge
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from workers.node import clock


async def unproven(challenge: Challenge) -> None:
    raise AssertionError(f"nobody has to prove {challenge.host} to us")


def authority(secrets: SealedSecrets, days: int = 0) -> OwnAuthority:
    """As it is `days` from now."""
    return OwnAuthority(secrets, "home", lambda: clock() + timedelta(days=days))


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


async def test_nothing_it_signs_outlives_it(secrets: SealedSecrets) -> None:
    first = await authority(secrets).certificate()
    assert await authority(secrets, days=3500).certificate() == first
    assert await authority(secrets, days=3600).certificate() != first
    assert "PRIVATE KEY" in await secrets.get(SECRET)
    assert "PRIVATE KEY" not in first
