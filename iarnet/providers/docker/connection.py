"""Ways to an engine: a local socket, TCP with TLS, SSH."""

import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import docker
import docker.tls

from iarnet.errors import InvalidInput
from iarnet.providers.docker.ssh import SshTunnel

OLDEST_API = "1.41"
"""Engine 20.10."""

_TLS_PORT = 2376
_CONNECT_S = 10
_TIMEOUT_S = 60


@dataclass(frozen=True)
class TlsFiles:
    """Paths of PEM files; the engine and we authenticate each other."""

    ca: Path
    cert: Path
    key: Path


class Connection:
    """Opened by the first call of `client`, again after `reset`. All methods block; any thread may call them."""

    def __init__(self, url: str, *, tls: TlsFiles | None = None, tunnel: SshTunnel | None = None) -> None:
        parts = urlsplit(url)
        if not _is_address(parts):
            raise InvalidInput(
                f"{url!r} is no address of a Docker engine",
                hint="use unix:///path, tcp://host:2376 or ssh://user@host",
            )
        self.url = url
        self.local = parts.scheme == "unix"
        self.host = parts.hostname or "localhost"
        self.port = parts.port or _TLS_PORT
        self.tunnel = tunnel
        self.tls = tls
        self._lock = threading.Lock()
        self._client: docker.APIClient | None = None

    def client(self) -> docker.APIClient:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def socket_path(self) -> str:
        """Of the socket here that leads to the engine; empty when it is reached over TCP."""
        url = self.tunnel.open() if self.tunnel else self.url
        return urlsplit(url).path if url.startswith("unix:") else ""

    def reset(self) -> None:
        """Forget the connection; streams that are open on it go on until they break."""
        with self._lock:
            self._client = None

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None
            if self.tunnel is not None:
                self.tunnel.close()

    def _connect(self) -> docker.APIClient:
        url = self.tunnel.open() if self.tunnel else self.url
        offered = self._open(url, OLDEST_API, _CONNECT_S).version(api_version=False)["ApiVersion"]
        return self._open(url, str(offered), _TIMEOUT_S)

    def _open(self, url: str, version: str, timeout_s: int) -> docker.APIClient:
        client = docker.APIClient(base_url=url, version=version, timeout=timeout_s, tls=self._tls_config())
        # Proxies and CA bundles of this process's environment are not for the engine.
        client.trust_env = False
        return client

    def _tls_config(self) -> docker.tls.TLSConfig | bool:
        if self.tls is None:
            return False
        pair = (str(self.tls.cert), str(self.tls.key))
        return docker.tls.TLSConfig(client_cert=pair, ca_cert=str(self.tls.ca), verify=True)


def _is_address(parts: SplitResult) -> bool:
    if parts.scheme == "unix":
        return not parts.netloc and parts.path.startswith("/")
    # A host that begins with a dash would be an option of ssh.
    return parts.scheme in ("tcp", "ssh") and bool(parts.hostname) and not str(parts.hostname).startswith("-")
