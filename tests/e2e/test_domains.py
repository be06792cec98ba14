"""Names with certificates, as people use them: a browser that trusts the node's own authority."""

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.busybox import application, described, server
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess, node, until
from tests.e2e.test_gateway import greeting
from tests.integration.gateway_world import free_port
from tests.signing import Signer

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

HTTP_PORT, HTTPS_PORT = free_port(), free_port()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[NodeProcess]:
    ports = {"IARNET_GATEWAY__HTTP_PORT": str(HTTP_PORT), "IARNET_GATEWAY__HTTPS_PORT": str(HTTPS_PORT)}
    with node(tmp_path_factory.mktemp("node"), docker_url, kind=ForkedNode, **ports) as made:
        yield made


@pytest.fixture(autouse=True)
def _no_domain_is_left(running: NodeProcess) -> Iterator[None]:
    yield
    for domain in json.loads(running.ok("domains", "--json").out)["domains"]:
        running.ok("domains", "rm", domain["host"], "--yes")


class Browser:
    """Speaks HTTP/2, trusts these authorities and nobody else, and finds every name at this machine."""

    def __init__(self, *authorities: str) -> None:
        trusted = ssl.create_default_context(cadata="\n".join(authorities))
        self._http = httpx.Client(http2=True, verify=trusted, timeout=60)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, host: str, path: str = "/", *, tls: bool = True) -> httpx.Response:
        scheme, port = ("https", HTTPS_PORT) if tls else ("http", HTTP_PORT)
        headers, asked = {"host": f"{host}:{port}"}, {"sni_hostname": host}
        return self._http.get(f"{scheme}://127.0.0.1:{port}{path}", headers=headers, extensions=asked)

    def shown(self, host: str) -> bytes:
        """The certificate of the connection that it has to this name."""
        found: Any = self.get(host).extensions["network_stream"].get_extra_info("ssl_object")
        certificate: bytes = found.getpeercert(True)
        return certificate


def test_a_name_is_reached_with_our_own_certificate_while_everything_is_replaced(
    running: NodeProcess, repositories: Path
) -> None:
    source = application(repositories / "named", server(command=greeting("one"), publish="false"))
    running.ok("deploy", source.url, "--name", "named")
    url = f"https://named.localhost:{HTTPS_PORT}"
    assert f"{url} -> named/web:8080: ready" in running.ok("domains", "add", "named.localhost", "named", "web").out
    assert f"{url} -> web  ready" in running.ok("status", "named").out
    with Browser(running.ok("authority").out) as browser:
        answer = browser.get("named.localhost")
        assert (answer.text.strip(), answer.http_version) == ("one", "HTTP/2")
        moved = browser.get("named.localhost", "/a?b=c", tls=False)
        assert (moved.status_code, moved.headers["location"]) == (308, f"{url}/a?b=c")
        source.write("iarnet.yaml", described(server(command=greeting("two", late=1), publish="false"))).commit()
        changing = running.ok("deploy", "named", "--detach")
        assert changing.code == 0
        heard: list[tuple[int, str]] = []

        def asked() -> bool:
            answer = browser.get("named.localhost")
            heard.append((answer.status_code, answer.text.strip()))
            return heard[-20:].count((200, "two")) == 20

        until(asked, "the new one answers")
        assert set(heard) <= {(200, "one"), (200, "two")}
        running.kill()
        assert browser.get("named.localhost").status_code == 200
        running.up()
        assert browser.get("named.localhost").status_code == 200
    with Browser() as stranger, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        stranger.get("named.localhost")


def test_a_certificate_from_files_is_checked_and_replaced_under_open_connections(
    running: NodeProcess, repositories: Path
) -> None:
    source = application(repositories / "filed", server(command=greeting("filed"), publish="false"))
    running.ok("deploy", source.url, "--name", "filed")
    signer = Signer()
    chain, key = repositories / "chain.pem", repositories / "key.pem"

    def give(*hosts: str) -> bytes:
        """To be given with these files."""
        pem, private = signer.sign(*hosts)
        chain.write_text(pem)
        key.write_text(private)
        return ssl.PEM_cert_to_DER_cert(pem)

    files = ("--cert", str(chain), "--key", str(key))
    give("www.example.org")
    wrong = running.cli("domains", "add", "filed.example.org", "filed", "web", *files)
    assert wrong.code == 3
    assert "InvalidCertificate" in wrong.err
    assert "www.example.org" in wrong.err
    first = give("filed.example.org")
    running.ok("domains", "add", "filed.example.org", "filed", "web", *files)
    with Browser(signer.pem) as open_before, Browser(signer.pem) as later:
        assert open_before.shown("filed.example.org") == first
        second = give("*.example.org")
        running.ok("domains", "add", "filed.example.org", "filed", "web", *files, "--replace")
        assert later.shown("filed.example.org") == second
        assert open_before.shown("filed.example.org") == first, "its connection was left alone"
    assert "given" in running.ok("domains", "filed").out


def test_a_port_that_something_else_holds_is_said_and_the_rest_goes_on(
    running: NodeProcess, repositories: Path
) -> None:
    source = application(repositories / "held", server(command=greeting("held")))
    running.ok("deploy", source.url, "--name", "held")
    add = ("domains", "add", "held.localhost", "held", "web", "--http-only")
    with socket.create_server(("0.0.0.0", HTTP_PORT)):
        refused = running.cli(*add)
        assert refused.code == 1
        assert "GatewayRefused" in refused.err
        assert "gateway.http_port" in refused.err
        assert running.ok("domains").out.startswith("no domains")
        assert httpx.get(running.address("held")).text.strip() == "held"
    running.ok(*add)
    with Browser() as browser:
        assert browser.get("held.localhost", tls=False).text.strip() == "held"
