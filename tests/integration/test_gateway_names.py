"""Names and certificates, with a real Envoy and real TLS."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from iarnet.errors import GatewayRefused, GatewayUnavailable
from iarnet.gateway import process
from iarnet.models.component import HealthCheck
from iarnet.models.domains import Certificate, Challenge, Domain
from iarnet.models.traffic import Backend, Route
from tests.integration.gateway_world import WITHIN_S, GatewayWorld, Replica, eventually, gateway_world, instance
from tests.signing import Signer

SHOP, OTHER = "shop.example.org", "www.example.org"
SIGNER = Signer()
UPGRADE = b"GET / HTTP/1.1\r\nhost: %s\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"


class Named:
    """The world with names."""

    def __init__(self, world: GatewayWorld) -> None:
        self.world = world

    async def add(self, host: str = SHOP, *, certified: bool = True, **values: Any) -> None:
        await self.world.store.domains.put(Domain(**{"host": host, "app": "shop", "component": "api"} | values))
        if certified:
            await self.certify(host)
        else:
            await self.world.gateway.refresh("shop")

    async def certify(self, host: str = SHOP, *, pair: tuple[str, str] | None = None) -> str:
        """With a new certificate, whose SHA-256 is returned."""
        chain, key = pair or SIGNER.sign(host)
        print_ = hashlib.sha256(ssl.PEM_cert_to_DER_cert(chain)).hexdigest()
        name, now = f"tls/{host}/{print_[:16]}", datetime.now(UTC)
        await self.world.secrets.put(name, key)
        await self.world.store.domains.put_certificate(
            Certificate(host=host, chain=chain, key=name, not_before=now, not_after=now, issuer="")
        )
        await self.world.gateway.refresh("shop")
        return print_

    async def http(self, host: str = SHOP, path: str = "/") -> httpx.Response:
        url = f"http://127.0.0.1:{self.world.names.http}{path}"
        async with httpx.AsyncClient(timeout=WITHIN_S, verify=False) as client:
            return await client.get(url, headers={"host": f"{host}:{self.world.names.http}"})

    async def https(self, host: str = SHOP, path: str = "/", *, sni: str = "", http2: bool = False) -> httpx.Response:
        url = f"https://127.0.0.1:{self.world.names.https}{path}"
        context = SIGNER.context(*(("h2",) if http2 else ()))
        async with httpx.AsyncClient(timeout=WITHIN_S, verify=context, http2=http2) as client:
            return await client.get(url, headers={"host": host}, extensions={"sni_hostname": sni or host})

    async def connect(
        self, host: str = SHOP, context: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        port, context = self.world.names.https, context or SIGNER.context()
        return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)

    async def shown(self, host: str = SHOP) -> str:
        """The SHA-256 of the certificate that a new connection gets."""
        _, writer = await self.connect(host)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return hashlib.sha256(certificate).hexdigest()

    async def websocket(self, host: str = SHOP) -> "WebSocket":
        reader, writer = await self.connect(host)
        writer.write(UPGRADE % host.encode())
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        return WebSocket(reader, writer)


class WebSocket:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def echoes(self, data: bytes = b"still here") -> bool:
        self._writer.write(data)
        async with asyncio.timeout(WITHIN_S):
            return await self._reader.readexactly(len(data)) == data

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def named(tmp_path: Path) -> AsyncIterator[Named]:
    async with gateway_world(tmp_path) as world:
        await world.serve()
        yield Named(world)


@pytest.mark.parametrize("http2", [False, True])
async def test_a_name_is_answered_over_tls_and_the_instance_hears_http_1(named: Named, http2: bool) -> None:
    replica = await named.world.replica()
    await named.add()
    answer = await named.https(path="/x?y=1", http2=http2)
    assert (answer.status_code, answer.text) == (200, replica.name)
    assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
    assert "strict-transport-security" not in answer.headers
    heard = replica.last.lower()
    assert heard.startswith(b"get /x?y=1 http/1.1\r\n")
    for line in (b"host: shop.example.org", b"x-forwarded-proto: https"):
        assert line in heard.split(b"\r\n")


async def test_http_is_redirected_to_the_port_of_https(named: Named) -> None:
    await named.add()
    answer = await named.http(path="/a/b?c=d")
    assert answer.status_code == 308
    assert answer.headers["location"] == f"https://{SHOP}:{named.world.names.https}/a/b?c=d"


async def test_names_that_nobody_has_are_refused(named: Named) -> None:
    await named.world.replica()
    await named.add()
    assert (await named.http("nobody.example.org")).status_code == 404
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await named.connect("nobody.example.org")
    assert (await named.https(OTHER, sni=SHOP)).status_code == 421


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_old_tls_is_refused(named: Named) -> None:
    await named.add()
    for version, able in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        context = SIGNER.context()
        context.minimum_version = context.maximum_version = version
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        if able:
            _, writer = await named.connect(context=context)
            assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
            writer.close()
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await named.connect(context=context)


async def test_a_renewed_certificate_touches_no_connection(named: Named) -> None:
    await named.world.replica()
    await named.add()
    socket, url = await named.websocket(), f"https://127.0.0.1:{named.world.names.https}/"
    how: Any = {"extensions": {"sni_hostname": SHOP}, "headers": {"host": SHOP}}
    async with httpx.AsyncClient(verify=SIGNER.context("h2"), http2=True) as client:
        before = await client.get(url, **how)
        made = await named.world.counter("http.http.downstream_cx_total")
        renewed = await named.certify()
        after = await client.get(url, **how)
        assert after.extensions["network_stream"] is before.extensions["network_stream"]
    assert await socket.echoes()
    assert await named.world.counter("http.http.downstream_cx_total") == made
    assert await named.shown() == renewed
    socket.close()


async def test_what_happens_to_one_name_touches_no_connection_of_another(named: Named) -> None:
    await named.world.replica()
    await named.add()
    socket = await named.websocket()
    await named.add(OTHER)
    assert (await named.https(OTHER)).status_code == 200
    await named.world.store.domains.put(Domain(host=SHOP, app="shop", component="api", plain=True))
    await named.world.store.domains.delete(OTHER)
    await named.world.gateway.refresh("shop")
    assert (await named.http(OTHER)).status_code == 404
    assert (await named.http(SHOP)).status_code == 200
    assert await socket.echoes()
    socket.close()


async def test_without_a_certificate_http_says_so_and_https_is_refused(named: Named) -> None:
    await named.world.replica()
    await named.add(OTHER)
    await named.add(certified=False)
    answer = await named.http()
    assert (answer.status_code, "no certificate" in answer.text) == (503, True)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await named.connect()
    assert (await named.https(SHOP, sni=OTHER)).status_code == 421
    await named.certify()
    assert (await named.https()).status_code == 200


async def test_a_challenge_is_answered_before_anything_else(named: Named) -> None:
    domains = named.world.store.domains
    await named.add(OTHER)
    await named.add(certified=False, certificate="acme", redirect_to=OTHER)
    for host in (SHOP, OTHER):
        await domains.put_challenge(Challenge(host=host, token="t0k_en-", answer=f"{host}.print"))
    await named.world.gateway.refresh("shop")
    for host in (SHOP, OTHER):
        answer = await named.http(host, "/.well-known/acme-challenge/t0k_en-")
        assert (answer.status_code, answer.text) == (200, f"{host}.print")
        assert (await named.http(host, "/.well-known/acme-challenge/t0k_en")).status_code == 308
    await domains.delete_challenges(SHOP)
    await named.world.gateway.refresh("shop")
    assert (await named.http(path="/.well-known/acme-challenge/t0k_en-")).status_code == 308


async def test_a_name_may_be_for_http_too_or_alone(named: Named) -> None:
    replica = await named.world.replica()
    await named.add(plain=True)
    await named.add(OTHER, certified=False, certificate="none")
    assert (await named.http()).text == (await named.https()).text == (await named.http(OTHER)).text == replica.name
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await named.connect(OTHER)


async def test_a_name_leads_to_another_with_path_and_query(named: Named) -> None:
    ports = named.world.names
    await named.add(OTHER)
    await named.add("example.org", redirect_to=OTHER)
    await named.add("old.example.org", certified=False, certificate="none", redirect_to="elsewhere.example.com")
    there = f"https://{OTHER}:{ports.https}/a?b=c"
    for answer in (await named.http("example.org", "/a?b=c"), await named.https("example.org", "/a?b=c")):
        assert (answer.status_code, answer.headers["location"]) == (308, there)
    answer = await named.http("old.example.org", "/a?b=c")
    assert answer.headers["location"] == "http://elsewhere.example.com/a?b=c"


async def test_a_wildcard_is_for_all_that_have_no_domain_of_their_own(named: Named) -> None:
    replica = await named.world.replica()
    await named.add("*.example.org")
    await named.add(SHOP, redirect_to=OTHER)
    answer = await named.https("any.example.org")
    assert (answer.status_code, answer.text) == (200, replica.name)
    moved = await named.http("any.example.org", "/a")
    assert moved.headers["location"] == f"https://any.example.org:{named.world.names.https}/a"
    assert (await named.https(SHOP)).status_code == 308
    assert (await named.https(SHOP, sni="any.example.org")).status_code == 421


async def test_an_app_that_does_not_run_is_told_from_a_name_that_nobody_has(named: Named) -> None:
    await named.add(plain=True)
    await named.world.replica()
    assert (await named.http()).status_code == 200
    await named.world.gateway.serve("shop", "local", [])
    for answer in (await named.http(), await named.https()):
        assert (answer.status_code, "does not run" in answer.text) == (503, True)
    await eventually(
        lambda: [(x["app"], x["component"], x["status"]) for x in named.world.logged()] == [("shop", "api", 503)] * 2
    )
    await named.world.serve()
    await named.world.replica(1)
    assert (await named.https()).status_code == 200


async def test_what_comes_by_a_name_is_counted_and_waited_for(named: Named) -> None:
    replica = await named.world.replica()
    await named.add()
    for http2 in (False, True):
        assert (await named.https(http2=http2)).status_code == 200
    (counted,) = await named.world.gateway.traffic("shop")
    assert (counted.component, counted.requests) == ("api", {"2xx": 2})
    asking = asyncio.create_task(named.https(path="/slow"))
    await asyncio.wait_for(replica.busy.wait(), WITHIN_S)
    draining = asyncio.create_task(named.world.gateway.drain(replica.name, WITHIN_S))
    await eventually(lambda: _is_draining(named))
    assert not draining.done()
    replica.go.set()
    assert (await asking).status_code == 200
    await draining


async def test_grpc_goes_through_where_it_is_declared(named: Named) -> None:
    async def said(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        if request == b"fail":
            await context.abort(grpc.StatusCode.INTERNAL, "no")
        return request

    world = named.world
    handler = grpc.unary_unary_rpc_method_handler(said)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Echo", {"Say": handler}),))
    server.add_insecure_port(f"127.0.0.2:{world.port}")
    await server.start()
    await world.serve(world.service(protocol="grpc"))
    await world.gateway.admit(instance(Replica("iarnet-shop-api-r1-0", "127.0.0.2", world.port)))
    await named.add()
    options = (("grpc.ssl_target_name_override", SHOP), ("grpc.default_authority", SHOP))
    trusted = grpc.ssl_channel_credentials(SIGNER.pem.encode())
    async with grpc.aio.secure_channel(f"127.0.0.1:{world.names.https}", trusted, options) as channel:
        assert await channel.unary_unary("/Echo/Say")(b"hello", timeout=WITHIN_S) == b"hello"
        with pytest.raises(grpc.aio.AioRpcError, match="INTERNAL"):
            await channel.unary_unary("/Echo/Say")(b"fail", timeout=WITHIN_S)
    await eventually(lambda: len(named.world.logged()) > 0)
    assert [(line["component"], line["status"], line["grpc_status"]) for line in named.world.logged()] == [
        ("api", 200, "Internal")
    ]
    await server.stop(None)


async def test_who_is_ill_gets_nothing_by_a_name_either(named: Named) -> None:
    check = HealthCheck(type="http", path="/ill", interval_s=0.2, timeout_s=1, retries=1)
    await named.world.serve(named.world.service(health=check))
    await named.add()
    well, ill = await named.world.replica(), await named.world.replica(1)
    assert {(await named.https()).text for _ in range(20)} == {well.name, ill.name}
    ill.ill = True

    async def left() -> bool:
        return {(await named.https()).text for _ in range(10)} == {well.name}

    await eventually(left)


async def test_a_certificate_that_is_recorded_and_not_used_is_told(named: Named) -> None:
    await named.world.replica()
    uncertified = named.world.gateway.uncertified
    await named.add()
    assert await uncertified() == {}
    shown = await named.shown()
    await named.certify(pair=(SIGNER.sign(SHOP)[0], SIGNER.sign(SHOP)[1]))
    told = await uncertified()
    assert (list(told), "can't be used" in told[SHOP]) == ([SHOP], True)
    await process.stop(named.world.where)
    with pytest.raises(GatewayUnavailable):
        await asyncio.wait_for(named.certify(), 2 * WITHIN_S)
    assert await uncertified() == {SHOP: ""}
    await process.start(named.world.where)
    await named.world.gateway.refresh("shop")
    assert await uncertified() == {}
    assert await named.shown() != shown


async def test_routes_hold_for_names_and_a_change_of_them_loses_nothing(named: Named) -> None:
    first, second = await named.world.replica(), await named.world.replica(1)
    await named.add()
    route = Route(id="canary", app="shop", component="api", to=(Backend(component="api", revision=2),))
    failed: list[Any] = []
    over = asyncio.Event()

    async def load() -> int:
        count = 0
        url = f"https://127.0.0.1:{named.world.names.https}/"
        async with httpx.AsyncClient(timeout=WITHIN_S, verify=SIGNER.context("h2"), http2=True) as client:
            while not over.is_set():
                answer = await client.get(url, headers={"host": SHOP}, extensions={"sni_hostname": SHOP})
                count += 1
                if answer.status_code != 200:
                    failed.append((answer.status_code, answer.text))
        return count

    clients = [asyncio.create_task(load()) for _ in range(4)]
    for _ in range(10):
        await named.world.store.traffic.put_route(route)
        await named.world.gateway.refresh("shop")
        assert (await named.https()).text == second.name
        await named.world.store.traffic.delete_route("canary")
        await named.world.gateway.refresh("shop")
    over.set()
    assert sum(await asyncio.gather(*clients)) > 100
    assert failed == []
    assert first.asked > 0


async def test_a_port_that_is_held_is_named_and_opened_once_it_is_free(
    named: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iarnet.gateway.xds._AGAIN_S", 0.2)
    replica = await named.world.replica()
    port = named.world.names.https
    holder = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    with pytest.raises(GatewayRefused, match=f"Port {port}") as refusal:
        await named.add(plain=True)
    assert refusal.value.where == "gateway.https_port"
    assert "gateway.https_port" in refusal.value.hint
    assert list(await named.world.gateway.unopened()) == [port]
    assert (await named.http()).text == replica.name, "the rest goes on"
    await named.add(OTHER, plain=True)
    assert (await named.http(OTHER)).text == replica.name, "and is not told again what is known"
    holder.close()
    await holder.wait_closed()

    async def opened() -> bool:
        return not await named.world.gateway.unopened()

    await eventually(opened)
    assert (await named.https()).text == (await named.https(OTHER)).text == replica.name


async def test_names_outlive_the_node(named: Named) -> None:
    await named.world.replica()
    await named.add()
    socket = await named.websocket()
    await named.world.node_ends()
    assert (await named.https()).status_code == 200
    await named.world.node_begins()
    await named.add(OTHER)
    assert (await named.https(OTHER)).status_code == 200
    renewed = await named.certify()
    assert await named.shown() == renewed
    assert await socket.echoes()
    socket.close()


async def test_a_certificate_without_its_key_keeps_nothing_from_the_others(named: Named) -> None:
    await named.world.replica()
    await named.add(certified=False)
    chain, _ = SIGNER.sign(SHOP)
    _, foreign = SIGNER.sign(SHOP)
    await named.certify(pair=(chain, foreign))
    await named.add(OTHER)
    assert (await named.https(OTHER)).status_code == 200
    assert (await named.http()).status_code == 503


async def test_away_from_home_only_names_of_what_is_served_there_are_answered(named: Named) -> None:
    await named.world.node_ends()
    named.world.home = False
    await named.world.node_begins()
    await named.world.gateway.serve("shop", "local", [])
    await named.add(plain=True)
    with pytest.raises(httpx.ConnectError):
        await named.http()
    await named.world.serve()
    await named.world.replica()
    assert (await named.http()).status_code == (await named.https()).status_code == 200


async def test_names_go_with_their_app(named: Named) -> None:
    await named.world.replica()
    await named.add()
    await named.world.store.apps.delete("shop")
    await named.world.gateway.refresh()

    async def closed() -> bool:
        try:
            await named.http()
        except httpx.ConnectError:
            return True
        return False

    await eventually(closed)


async def _is_draining(named: Named) -> bool:
    return [e.state for e in await named.world.store.traffic.endpoints("shop")] == ["draining"]
