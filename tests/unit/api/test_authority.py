"""The authority's certificate can be had, and nothing else of it."""

from dataclasses import replace

import httpx
from fastapi import FastAPI

from api.services import Services
from iarnet.certificates.authority import OwnAuthority
from workers.node import clock


async def test_its_certificate_is_for_everybody_who_may_ask(
    app: FastAPI, services: Services, client: httpx.AsyncClient
) -> None:
    own = OwnAuthority(services.secrets, "home", clock, ["localhost"])
    app.state.services = replace(services, authority=own.certificate)
    answer = await client.get("/api/v1/authority")
    assert answer.json() == {"certificate": await own.certificate()}


async def test_where_nothing_signs_that_is_said(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/authority")
    assert (answer.status_code, answer.json()["code"]) == (503, "Missing")
