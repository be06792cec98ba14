"""The engine as if it were elsewhere: behind TLS, behind SSH, behind a connection that can break."""

import asyncio
import getpass
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.integration.sshd import Sshd, make_key


class Authority:
    """A certificate authority for one test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
        self._certificate = _certificate(self._name, self._name, self._key, self._key, authority=True)

    @property
    def pem(self) -> str:
        return self._certificate.public_bytes(Encoding.PEM).decode()

    def issue(self, name: str) -> tuple[str, str]:
        """Certificate and private key for 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = _certificate(subject, self._name, key, self._key, authority=False)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return certificate.public_bytes(Encoding.PEM).decode(), private.decode()


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    )
    return builder.sign(signer, hashes.SHA256())


def mutual_tls(authority: Authority, directory: Path) -> ssl.SSLContext:
    """A server's context that takes only clients of this authority."""
    certificate, key = authority.issue("engine")
    files = {"ca.pem": authority.pem, "cert.pem": certificate, "key.pem": key}
    for name, text in files.items():
        (directory / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    context.load_verify_locations(directory / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class Relay:
    """Passes connections on to the engine's socket, or to `host:port`, until it is cut.

    `sent`: bytes that have gone to the engine since it is up; with more than `limit` of them it cuts itself.
    """

    def __init__(self, engine: str, context: ssl.SSLContext | None) -> None:
        self._engine = engine
        self._context = context
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.sent = 0
        self.limit: int | None = None

    async def up(self) -> None:
        self.sent = 0
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """As when the engine is stopped: no new connections, and the open ones end."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await self._dial()
        self._open |= {writer, back}
        await asyncio.gather(_copy(reader, back, self._count), _copy(there, writer))
        self._open -= {writer, back}

    async def _count(self, size: int) -> None:
        self.sent += size
        if self.limit is not None and self.sent > self.limit:
            await self.cut()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._engine.startswith("unix://"):
            return await asyncio.open_unix_connection(self._engine.removeprefix("unix://"))
        host, port = self._engine.rsplit(":", 1)
        return await asyncio.open_connection(host, int(port))


async def _nothing(size: int) -> None:
    return


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Callable[[int], Awaitable[None]] = _nothing
) -> None:
    with suppress(OSError, ssl.SSLError):
        while data := await reader.read(1 << 16):
            await seen(len(data))
            writer.write(data)
            await writer.drain()
    with suppress(OSError, ssl.SSLError, RuntimeError):
        writer.close()


@asynccontextmanager
async def relay(engine: str, context: ssl.SSLContext | None = None) -> AsyncIterator[Relay]:
    made = Relay(engine, context)
    await made.up()
    try:
        yield made
    finally:
        await made.cut()


@dataclass(frozen=True)
class SshHost:
    url: str
    key: str
    known_hosts: str


@asynccontextmanager
async def ssh_host(engine: str, directory: Path) -> AsyncIterator[SshHost]:
    """An sshd of our own on a free port, which lets one key in."""
    with Sshd(directory) as server:
        server.allow(make_key(directory / "user"))
        url = f"ssh://{getpass.getuser()}@127.0.0.1:{server.port}{engine.removeprefix('unix://')}"
        yield SshHost(url, (directory / "user").read_text(), server.known_hosts)
