"""Headers that tell which requests belong together go through a real Envoy as they are."""

import httpx

from iarnet.gateway.resources import resources
from tests.unit.gateway.file_envoy import FileEnvoy
from tests.unit.gateway.instances import Run, endpoint, free_port, service

TRACE = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    "b3": "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
    "x-b3-traceid": "80f198ee56343ba864fe8b2a57d3eff7",
    "x-b3-sampled": "0",
    "x-request-id": "7b8ad6e8-0c3f-9ab0-8a68-5b3c7b9a1f00",
    "x-correlation-id": "mine, not a UUID",
}
"""The request's ID has at its 15th place what Envoy would take for a decision about tracing of its own."""


async def test_they_arrive_unchanged_from_neighbours_and_from_outside(envoy: FileEnvoy, run: Run) -> None:
    port, published = free_port(), free_port()
    web = await run.web("127.0.1.1", port)
    await envoy.start(
        resources([service(port=port, host_port=published)], [endpoint()], [], publish_address="127.0.0.2")
    )
    async with httpx.AsyncClient() as http:
        for url in (f"http://127.0.0.1:{port}", f"http://127.0.0.2:{published}"):
            assert (await http.get(url, headers=TRACE)).status_code == 200
    assert len(web.requests) == 2
    for _, headers, _ in web.requests:
        assert {name: headers[name] for name in TRACE} == TRACE


async def test_who_brings_no_id_gets_one_and_only_that(envoy: FileEnvoy, run: Run) -> None:
    port = free_port()
    web = await run.web("127.0.1.1", port)
    await envoy.start(resources([service(port=port)], [endpoint()], [], publish_address="127.0.0.2"))
    async with httpx.AsyncClient() as http:
        for _ in range(2):
            await http.get(f"http://127.0.0.1:{port}")
    ids = [headers["x-request-id"] for _, headers, _ in web.requests]
    assert len(set(ids)) == 2
    assert not {name for _, headers, _ in web.requests for name in headers} & (TRACE.keys() - {"x-request-id"})
