"""Certificates of a real ACME server."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from iarnet.certificates.acme_server import AcmeServer
from iarnet.errors import (
    AuthorityError,
    AuthorityRefused,
    AuthorityUnavailable,
    IarnetError,
    InvalidConfig,
    RateLimited,
)
from iarnet.models.domains import Challenge
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from tests.integration.gateway_world import free_port
from tests.integration.pebble_world import BLOCKED, Answers, PebbleWorld, pebble_world
from workers.node import clock

HOST = "shop.example.org"


@pytest.fixture(scope="module")
async def pebble(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PebbleWorld]:
    async with pebble_world(tmp_path_factory.mktemp("pebble")) as world:
        yield world


@pytest.fixture
def secrets() -> SealedSecrets:
    return SealedSecrets(MemoryRows(), bytes(32))


def server(pebble: PebbleWorld, secrets: SealedSecrets, **values: Any) -> AcmeServer:
    known = {
        "directory": pebble.directory,
        "agree": True,
        "email": "owner@example.org",
        "ca_bundle": pebble.ca_bundle,
    }
    return AcmeServer(**known | values, secrets=secrets, clock=clock)


async def unproven(challenge: Challenge) -> None:
    """Nobody knows the answer."""


async def refused(acme: AcmeServer, host: str = HOST) -> IarnetError:
    with pytest.raises((AuthorityError, InvalidConfig)) as caught:
        await acme.issue(host, unproven)
    return caught.value


async def test_a_name_that_is_ours(pebble: PebbleWorld, secrets: SealedSecrets, tmp_path: Path) -> None:
    answers = Answers()
    async with answers.answering(pebble.http_port):
        first, second = [await server(pebble, secrets).issue(HOST, answers.prove) for _ in range(2)]
    assert set(answers.asked) == {HOST}
    assert first.certificate.key != second.certificate.key
    assert len(await secrets.names("acme")) == 1
    chain = x509.load_pem_x509_certificates(first.certificate.chain.encode())
    root = x509.load_pem_x509_certificate((await pebble.root()).encode())
    chain[-1].verify_directly_issued_by(root)
    (tmp_path / "chain").write_text(first.certificate.chain)
    (tmp_path / "key").write_text(first.key)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "chain", tmp_path / "key")


async def test_a_name_that_is_not_ours(pebble: PebbleWorld, secrets: SealedSecrets) -> None:
    nobody = await refused(server(pebble, secrets))
    assert isinstance(nobody, AuthorityRefused)
    assert "connection refused" in nobody.message
    assert "gateway.http_port" in nobody.hint
    async with Answers().answering(pebble.http_port):
        stranger = await refused(server(pebble, secrets))
    assert isinstance(stranger, AuthorityRefused)
    assert "404" in stranger.message


async def test_a_name_without_an_address(pebble: PebbleWorld, secrets: SealedSecrets) -> None:
    await pebble.lose("lost.example.org")
    error = await refused(server(pebble, secrets), "lost.example.org")
    assert isinstance(error, AuthorityRefused)
    assert "lost.example.org" in error.message


async def test_a_name_that_it_never_certifies(pebble: PebbleWorld, secrets: SealedSecrets) -> None:
    error = await refused(server(pebble, secrets), BLOCKED)
    assert isinstance(error, AuthorityRefused)
    assert BLOCKED in error.message
    assert "own" in error.hint


async def test_a_wildcard_needs_another_proof(pebble: PebbleWorld, secrets: SealedSecrets) -> None:
    error = await refused(server(pebble, secrets), "*.shop.example.org")
    assert "no proof over HTTP" in error.message


async def test_nothing_is_agreed_to_by_itself(pebble: PebbleWorld, secrets: SealedSecrets) -> None:
    error = await refused(server(pebble, secrets, agree=False))
    assert (error.code, error.where) == ("InvalidConfig", "gateway.acme.agree")
    assert "Do%20what%20thou%20wilt" in error.message


async def test_an_address_that_may_not_be_written_to(pebble: PebbleWorld, secrets: SealedSecrets) -> None:
    error = await refused(server(pebble, secrets, email="nobody"))
    assert isinstance(error, AuthorityRefused)


async def test_a_server_that_nobody_vouches_for(pebble: PebbleWorld, secrets: SealedSecrets) -> None:
    error = await refused(server(pebble, secrets, ca_bundle=None))
    assert isinstance(error, AuthorityUnavailable)
    assert "CERTIFICATE_VERIFY_FAILED" in error.message
    assert "gateway.acme.ca_bundle" in error.hint


async def test_a_server_that_keeps_silent(pebble: PebbleWorld, secrets: SealedSecrets) -> None:
    async with silent() as port:
        error = await refused(server(pebble, secrets, directory=f"http://127.0.0.1:{port}/", answers_s=1))
    assert isinstance(error, AuthorityUnavailable)
    assert "timed out" in error.message


async def test_a_server_that_does_not_decide(pebble: PebbleWorld, secrets: SealedSecrets) -> None:
    """It waits for a web server that does not answer either."""
    async with silent(pebble.http_port):
        error = await refused(server(pebble, secrets, decides_s=1))
    assert isinstance(error, AuthorityUnavailable)
    assert "did not decide within 1 s" in error.message


@asynccontextmanager
async def silent(port: int = 0) -> AsyncIterator[int]:
    """Something that takes connections and says nothing."""
    heard: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: heard.append(writer), "127.0.0.1", port)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        for writer in heard:
            writer.transport.abort()
        server.close()
        await server.wait_closed()


async def test_what_is_no_acme_server(pebble: PebbleWorld, secrets: SealedSecrets) -> None:
    port = free_port()
    gone = await refused(server(pebble, secrets, directory=f"http://127.0.0.1:{port}/"))
    assert isinstance(gone, AuthorityUnavailable)
    async with Answers().answering(port):
        other = await refused(server(pebble, secrets, directory=f"http://127.0.0.1:{port}/"))
    assert isinstance(other, AuthorityUnavailable)
    assert "status 404" in other.message


async def test_a_limit_says_how_long_to_wait(pebble: PebbleWorld, secrets: SealedSecrets) -> None:
    """Pebble has no limits: this is what Let's Encrypt answers, in the form of RFC 8555, 6.6."""

    async def limit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many new orders recently"}'
        head = f"HTTP/1.1 429 Slow\r\nretry-after: 1234\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
        writer.write(head.encode() + b"content-type: application/problem+json\r\n\r\n" + body)
        writer.close()

    port = free_port()
    async with await asyncio.start_server(limit, "127.0.0.1", port):
        error = await refused(server(pebble, secrets, directory=f"http://127.0.0.1:{port}/"))
    assert isinstance(error, RateLimited)
    assert "too many new orders recently" in error.message
    assert error.again_in_s == 1234
