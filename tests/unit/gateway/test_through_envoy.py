"""What a real Envoy makes of the resources."""

import asyncio
import socket
from collections import Counter
from ipaddress import ip_address

import grpc
import httpx
import pytest

from iarnet.gateway.resources import Resources, resources
from iarnet.models.traffic import Backend, Endpoint, Route, Service
from tests.unit.gateway.file_envoy import FileEnvoy
from tests.unit.gateway.instances import Run, Web, echo, endpoint, free_port, service

WAIT_S = 20
"""An upper bound: what does not come fails."""


def of(*given: Service | Endpoint | Route) -> Resources:
    return resources(
        [x for x in given if isinstance(x, Service)],
        [x for x in given if isinstance(x, Endpoint)],
        [x for x in given if isinstance(x, Route)],
        publish_address="127.0.0.2",
    )


def route(*to: Backend, **more: object) -> Route:
    return Route(**{"id": "r", "app": "shop", "component": "api", "to": to, **more})


def client(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S)


async def answers(port: int, count: int, path: str = "/", **more: object) -> Counter[str]:
    async with client(port) as http:
        found = [await http.get(path, **more) for _ in range(count)]
    assert {r.status_code for r in found} == {200}
    return Counter(r.text for r in found)


async def exchange(address: str, port: int, sent: bytes, local: str | None = None) -> bytes:
    """What comes first; b"" when the connection is closed instead."""
    async with asyncio.timeout(WAIT_S):
        reader, writer = await asyncio.open_connection(address, port, local_addr=(local, 0) if local else None)
        try:
            writer.write(sent)
            return await reader.read(65536)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


async def test_every_kind_of_resource_is_accepted(envoy: FileEnvoy) -> None:
    ports = [free_port() for _ in range(6)]
    await envoy.start(
        of(
            service("api", ports[0], host_port=ports[4]),
            service("web", ports[0], "websocket"),
            service("rpc", ports[1], "grpc"),
            service("db", ports[2], "tcp", host_port=ports[5]),
            service("dns", ports[3], "udp", host_port=ports[5]),
            *(endpoint("api", f"127.0.1.{n}", state=s) for n, s in enumerate(("suspended", "draining", "held"))),
            *(endpoint(c, weight=10_000) for c in ("db", "dns", "rpc")),
            route(
                Backend(component="web"),
                Backend(component="api", revision=2, weight=0),
                hosts=("shop.example", "*.shop.example"),
                path="/a%20b/",
                headers={"X-Canary": "a.b (c)"},
                cookies={"who": "[me] & \\you"},
                mirror="web",
                timeout_s=0.5,
                retries=0,
            ),
        )
    )


async def test_a_request_arrives_as_it_was_sent(envoy: FileEnvoy, run: Run) -> None:
    port = free_port()
    web = await run.web("127.0.1.1", port)
    await envoy.start(of(service(port=port), endpoint()))
    sent = {
        "host": "api",
        "x-request-id": "mine",
        "traceparent": "00-1-2-01",
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-proto": "https",
        "content-length": "4",
    }
    first = "POST /a//b/%2e%2E/../c%2Fd?q=1 HTTP/1.1"
    head = "\r\n".join([first, *(f"{name}: {value}" for name, value in sent.items())])
    answer = await exchange("127.0.0.1", port, head.encode() + b"\r\n\r\nbody")
    arrived, headers, body = web.requests[0]
    assert (arrived, body) == (first, b"body")
    assert {name: headers[name] for name in sent} == sent
    assert not [name for name in headers if name.startswith("x-envoy")]
    assert b"server: mine" in answer
    assert b"envoy" not in answer
    assert await answers(port, 1) == {"127.0.1.1": 1}
    assert web.requests[1][1]["x-request-id"]


async def test_from_outside_the_address_of_the_client_is_added(envoy: FileEnvoy, run: Run) -> None:
    port, published = free_port(), free_port()
    web = await run.web("127.0.1.1", port)
    await envoy.start(of(service(port=port, host_port=published), endpoint()))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.2:{published}") as http:
        sent = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https", "x-request-id": "mine"}
        await http.get("/", headers={**sent, "x-envoy-retry-on": "5xx"})
    headers = web.requests[0][1]
    said, added = headers["x-forwarded-for"].split(",")
    assert said == "203.0.113.9"
    assert ip_address(added)  # for a client on loopback the machine's own
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-request-id"] == "mine"
    assert "x-envoy-retry-on" not in headers


async def test_http_1_0_needs_no_host(envoy: FileEnvoy, run: Run) -> None:
    port = free_port()
    web = await run.web("127.0.1.1", port)
    await envoy.start(of(service(port=port), endpoint()))
    assert b"200 OK" in await exchange("127.0.0.1", port, b"GET / HTTP/1.0\r\n\r\n")
    assert web.requests[0][1]["host"] == "api"


async def test_a_flood_of_headers_is_refused(envoy: FileEnvoy, run: Run) -> None:
    port = free_port()
    web = await run.web("127.0.1.1", port)
    await envoy.start(of(service(port=port), endpoint()))
    async with client(port) as http:
        assert (await http.get("/", headers={"x": "y" * 30_000})).status_code == 200
        assert (await http.get("/", headers={"x": "y" * 70_000})).status_code == 431
    assert len(web.requests) == 1


async def test_a_websocket_stays_open(envoy: FileEnvoy, run: Run) -> None:
    port = free_port()
    await run.web("127.0.1.1", port)
    await envoy.start(of(service(port=port, protocol="websocket"), endpoint()))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(WAIT_S):
        writer.write(b"GET / HTTP/1.1\r\nhost: api\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        assert b"101" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
    writer.close()


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_grpc_arrives(envoy: FileEnvoy, run: Run, protocol: str) -> None:
    """Also where nobody has said that the port speaks it."""
    port = free_port()

    async def answer(request: bytes, context: object) -> bytes:
        return b"re: " + request

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Api", {"Ask": handler}),))
    server.add_insecure_port(f"127.0.1.1:{port}")
    await server.start()
    await envoy.start(of(service(port=port, protocol=protocol), endpoint()))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert await channel.unary_unary("/shop.Api/Ask")(b"hello", timeout=WAIT_S) == b"re: hello"
    await server.stop(None)


async def test_another_protocol_gets_through_a_port_for_http(envoy: FileEnvoy, run: Run) -> None:
    quiet, greeting = free_port(), free_port()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await echo(reader, writer)

    await run.tcp("127.0.1.1", quiet, echo)
    await run.tcp("127.0.1.1", greeting, greet)
    await envoy.start(of(service(port=quiet), service("mail", greeting), endpoint(), endpoint("mail")))
    assert await exchange("127.0.0.1", quiet, b"\x00\x01 not HTTP") == b"\x00\x01 not HTTP"
    assert await exchange("127.0.0.1", greeting, b"") == b"220 ready\r\n"


async def test_one_port_of_several_components_is_told_apart_by_host(envoy: FileEnvoy, run: Run) -> None:
    port = free_port()
    await run.web("127.0.1.1", port, "api")
    await run.web("127.0.1.2", port, "web")
    await envoy.start(
        of(
            *(service("api", port), service("web", port)),
            *(endpoint("api", "127.0.1.1"), endpoint("web", "127.0.1.2")),
        )
    )
    for host in ("api", "web", f"API:{port}"):
        expected = host.partition(":")[0].lower()
        assert await answers(port, 1, headers={"host": host}) == {expected: 1}
    async with client(port) as http:
        assert (await http.get("/", headers={"host": "other"})).status_code == 404
    assert await exchange("127.0.0.1", port, b"\x00\x01 not HTTP") == b""


async def test_routes_lead_where_they_say(envoy: FileEnvoy, run: Run) -> None:
    port, other = free_port(), free_port()
    await run.web("127.0.1.1", port, "r1")
    await run.web("127.0.1.2", port, "r2")
    seen = await run.web("127.0.1.3", other, "web")
    await envoy.start(
        of(
            service(port=port),
            service("web", other),
            endpoint("api", "127.0.1.1"),
            endpoint("api", "127.0.1.2", revision=2, state="active"),
            endpoint("web", "127.0.1.3"),
            route(Backend(component="web"), id="path", path="/static/"),
            route(Backend(component="api", revision=2), id="header", headers={"X-Canary": "yes"}),
            route(Backend(component="api", revision=2), id="cookie", cookies={"canary": "a+b"}),
            route(Backend(component="web"), id="host", hosts=("web.example", "*.web.example")),
            route(
                *(Backend(component="api", revision=r, weight=w) for r, w in ((1, 3), (2, 0))),
                id="weights",
                path="/only-1",
                mirror="web",
            ),
        )
    )
    web, second = {"web": 5}, {"r2": 5}
    assert await answers(port, 5, "/static") == web
    assert await answers(port, 5, "/static/x?y") == web
    assert set(await answers(port, 40, "/staticx")) == {"r1", "r2"}
    assert await answers(port, 5, headers={"x-canary": "yes"}) == second
    assert set(await answers(port, 40, headers={"x-canary": "no"})) == {"r1", "r2"}
    for cookie in ("canary=a+b", "a=1; canary=a+b; z=2", "a=1;canary=a+b"):
        assert await answers(port, 5, headers={"cookie": cookie}) == second
    for cookie in ("xcanary=a+b", "canary=a+bc", "canary=aab"):
        assert set(await answers(port, 40, headers={"cookie": cookie})) == {"r1", "r2"}
    for host in ("web.example", "A.B.Web.example:99"):
        assert await answers(port, 5, headers={"host": host}) == web
    assert set(await answers(port, 40, headers={"host": "xweb.example"})) == {"r1", "r2"}
    seen.requests.clear()
    assert await answers(port, 5, "/only-1", headers={"host": "api"}) == {"r1": 5}

    async def mirrored() -> bool:
        return len(seen.requests) == 5

    await envoy.until(mirrored)
    assert {headers["host"] for _, headers, _ in seen.requests} == {"api"}


async def test_a_time_limit_is_the_routes_own(envoy: FileEnvoy, run: Run) -> None:
    port = free_port()
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()

    await run.tcp("127.0.1.1", port, silent)
    await envoy.start(of(service(port=port), endpoint(), route(Backend(component="api"), timeout_s=0.2)))
    async with client(port) as http:
        assert (await http.get("/")).status_code == 504
    assert asked.is_set()


async def test_only_active_endpoints_get_requests_by_their_weight(envoy: FileEnvoy, run: Run) -> None:
    port = free_port()
    for n, name in enumerate(("heavy", "light", "suspended", "draining", "held")):
        await run.web(f"127.0.1.{n}", port, name)
    states = {2: "suspended", 3: "draining", 4: "held"}
    await envoy.start(
        of(
            service(port=port),
            endpoint(address="127.0.1.0", weight=900),
            endpoint(address="127.0.1.1", weight=100),
            *(endpoint(address=f"127.0.1.{n}", state=state) for n, state in states.items()),
        )
    )
    found = await answers(port, 200)
    assert set(found) == {"heavy", "light"}
    assert found["heavy"] > 4 * found["light"]


async def test_what_refuses_connections_costs_no_request(envoy: FileEnvoy, run: Run) -> None:
    port, tcp = free_port(), free_port()
    await run.web("127.0.1.1", port, "there")
    await run.tcp("127.0.1.1", tcp, echo)
    addresses = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
    await envoy.start(
        of(
            *(service(port=port), service("db", tcp, "tcp")),
            *(endpoint(c, a) for c in ("api", "db") for a in addresses),
        )
    )
    assert await answers(port, 100) == {"there": 100}
    for _ in range(20):
        assert await exchange("127.0.0.1", tcp, b"x") == b"x"


async def test_what_may_have_arrived_is_never_sent_again(envoy: FileEnvoy, run: Run) -> None:
    port = free_port()
    heads: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))

    for n in (1, 2):
        await run.tcp(f"127.0.1.{n}", port, hang_up)
    await envoy.start(of(service(port=port), endpoint(), endpoint(address="127.0.1.2")))
    async with client(port) as http:
        assert (await http.get("/")).status_code == 503
    assert len(heads) == 1


async def test_requests_wait_while_an_endpoint_is_held(envoy: FileEnvoy, run: Run) -> None:
    """Until its successor is there, and each arrives once; also when the old one's address answers to others."""
    port, tcp = free_port(), free_port()
    stranger = await run.web("127.0.1.1", port, "stranger")
    served = (service(port=port), service("db", tcp, "tcp"))
    await envoy.start(of(*served, *(endpoint(c, state="held") for c in ("api", "db"))))
    async with client(port) as http:
        waiting = [asyncio.create_task(http.post("/", content=f"{n}")) for n in range(20)]
        raw = [asyncio.create_task(exchange("127.0.0.1", tcp, b"x")) for _ in range(20)]

        async def tried_often() -> bool:
            # Longer than outlier detection takes to look at all of them.
            counts = [await envoy.stat(f"cluster.{s.name}.upstream_cx_connect_fail") for s in served]
            return min(counts) >= 400

        await envoy.until(tried_often)
        assert not [task for task in (*waiting, *raw) if task.done()]
        web = await run.web("127.0.1.2", port, "new")
        await run.tcp("127.0.1.2", tcp, echo)
        envoy.put(of(*served, *(endpoint(c, "127.0.1.2") for c in ("api", "db"))))
        found = await asyncio.gather(*waiting)
        assert await asyncio.gather(*raw) == [b"x"] * 20
    assert [(r.status_code, r.text) for r in found] == [(200, "new")] * 20
    assert sorted(int(body) for _, _, body in web.requests) == list(range(20))
    assert stranger.requests == []


async def test_without_retries_nothing_waits(envoy: FileEnvoy) -> None:
    port = free_port()
    given = (service(port=port), endpoint(state="held"), route(Backend(component="api"), retries=0))
    await envoy.start(of(*given))
    async with client(port) as http:
        assert (await http.get("/")).status_code == 503
    assert await envoy.stat(f"cluster.{given[0].name}.upstream_cx_connect_fail") == 1


async def test_what_a_held_endpoint_works_on_ends(envoy: FileEnvoy, run: Run) -> None:
    port = free_port()
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold")
        await writer.drain()

    await run.tcp("127.0.1.1", port, slow)
    await envoy.start(of(service(port=port), endpoint()))
    async with client(port) as http:
        old = asyncio.create_task(http.get("/"))
        async with asyncio.timeout(WAIT_S):
            await asked.wait()
        envoy.put(of(service(port=port), endpoint(state="held")))

        async def taken_over() -> bool:
            return await envoy.stat(f"cluster.{service(port=port).name}.membership_total") == 3

        await envoy.until(taken_over)
        new = asyncio.create_task(http.get("/"))
        answer.set()
        assert (await old).text == "old"
        await run.web("127.0.1.2", port, "new")
        envoy.put(of(service(port=port), endpoint(address="127.0.1.2")))
        assert (await new).text == "new"


async def test_an_internal_port_is_closed_to_strangers(envoy: FileEnvoy, run: Run) -> None:
    port, tcp, udp, published = free_port(), free_port(), free_port(socket.SOCK_DGRAM), free_port()
    await run.web("127.0.1.1", port)
    await run.tcp("127.0.1.1", tcp, echo)
    await run.udp("127.0.1.1", udp)
    subnet = {"subnet": "127.9.0.0/16"}
    await envoy.start(
        of(
            service(port=port, host_port=published, **subnet),
            service("db", tcp, "tcp", **subnet),
            service("dns", udp, "udp", **subnet),
            *(endpoint(c) for c in ("api", "db", "dns")),
        )
    )
    get = b"GET / HTTP/1.1\r\nhost: api\r\n\r\n"
    for at, sent in ((port, get), (tcp, b"x"), (port, b"\x00 not HTTP")):
        assert await exchange("127.0.0.1", at, sent, local="127.8.0.1") == b""
    assert b"200 OK" in await exchange("127.0.0.1", port, get, local="127.9.0.1")
    assert b"200 OK" in await exchange("127.0.0.2", published, get, local="127.8.0.1")
    assert await exchange("127.0.0.1", tcp, b"x", local="127.9.0.1") == b"x"
    # Datagrams of both in order: the stranger's would have been answered first.
    neighbour = _datagrams("127.9.0.1", udp)
    stranger = _datagrams("127.8.0.1", udp)
    stranger.send(b"x")
    neighbour.send(b"y" * 20_000)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(WAIT_S):
        assert await loop.sock_recv(neighbour, 65536) == b"y" * 20_000
    with pytest.raises(BlockingIOError):
        stranger.recv(1)
    assert await envoy.stat(f"cluster.shop/dns/{udp}/udp.udp.sess_tx_datagrams") == 1
    stranger.close()
    neighbour.close()


def _datagrams(local: str, port: int) -> socket.socket:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    s.bind((local, 0))
    s.connect(("127.0.0.1", port))
    return s


async def test_a_first_route_breaks_no_connection(envoy: FileEnvoy, run: Run) -> None:
    port, other = free_port(), free_port()
    await run.web("127.0.1.1", port, "api")
    await run.web("127.0.1.1", other, "web")
    given = (service(port=port), service("web", other), endpoint(), endpoint("web"))
    await envoy.start(of(*given))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask() -> bytes:
        writer.write(b"GET / HTTP/1.1\r\nhost: api\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"connection: close" not in head.lower()
        return await reader.readexactly(3)

    async with asyncio.timeout(WAIT_S):
        assert await ask() == b"api"
        envoy.put(of(*given, route(Backend(component="web"))))

        async def closed() -> bool:
            return await exchange("127.0.0.1", port, b"\x00 not HTTP\r\n\r\n") == b""

        await envoy.until(closed)
        assert await ask() == b"web"
    writer.close()


async def test_an_idle_connection_to_an_instance_is_not_kept(envoy: FileEnvoy, run: Run) -> None:
    """A server that closes it just when the next request comes would lose that."""
    port = free_port()
    ended = asyncio.Event()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await Web("api")(reader, writer)
        finally:
            ended.set()

    await run.tcp("127.0.1.1", port, once)
    await envoy.start(of(service(port=port), endpoint()))
    async with client(port) as http, asyncio.timeout(WAIT_S):
        await http.get("/")
        await ended.wait()


async def test_a_port_takes_another_protocol_while_it_runs(envoy: FileEnvoy, run: Run) -> None:
    port = free_port()
    web = await run.web("127.0.1.1", port)
    await envoy.start(of(service(port=port, protocol="tcp"), endpoint()))
    assert await answers(port, 1) == {"127.0.1.1": 1}
    assert "x-request-id" not in web.requests[0][1]
    envoy.put(of(service(port=port, protocol="http"), endpoint()))

    async def is_http() -> bool:
        assert await answers(port, 1) == {"127.0.1.1": 1}
        return "x-request-id" in web.requests[-1][1]

    await envoy.until(is_http)
    assert envoy.rejected() == []
