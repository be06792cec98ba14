import json

import pytest

from iarnet.cli.traffic import _backend
from iarnet.errors import InvalidInput


def document(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def failed(result):
    return json.loads(result.stderr.splitlines()[-1])["error"]


def added(call):
    return [r["id"] for r in document(call("routes", "--json"))["routes"] if not r["derived"]]


@pytest.fixture
def canary(call):
    """A route that is gone afterwards."""
    made = document(call("routes", "add", "shop", "web", "--id", "canary", "--path", "/canary", "--json"))
    yield made
    call("routes", "rm", "canary", "--yes")


@pytest.mark.parametrize(
    ("args", "code", "exit_code"),
    [
        (["routes", "nothing"], "NotFound", 4),
        (["endpoints", "nothing"], "NotFound", 4),
        (["routes", "rm", "nothing", "--yes"], "NotFound", 4),
        (["routes", "add", "nothing", "web"], "NotFound", 4),
        (["routes", "add", "shop", "web", "--id", "nothing", "--replace"], "NotFound", 4),
        (["routes", "rm", "shop/web/80/tcp", "--yes"], "Conflict", 5),
        (["routes", "add", "shop", "web", "--to", "web@9"], "Conflict", 5),
        (["routes", "rm", "nothing"], "InvalidInput", 3),
        (["routes", "Shop!"], "InvalidInput", 3),
        (["endpoints", "Shop!"], "InvalidInput", 3),
        (["routes", "add", "Shop!", "web"], "InvalidInput", 3),
        (["routes", "add", "shop", "wed"], "InvalidComponent", 3),
        (["routes", "add", "shop", "web", "--to", "wed=10"], "InvalidComponent", 3),
        (["routes", "add", "shop", "web", "--to", "web=many"], "InvalidInput", 3),
        (["routes", "add", "shop", "web", "--to", "web=0"], "InvalidInput", 3),
        (["routes", "add", "shop", "web", "--mirror", "wed"], "InvalidComponent", 3),
        (["routes", "add", "shop", "web", "--port", "81"], "InvalidComponent", 3),
        (["routes", "add", "shop", "web", "--path", "orders"], "InvalidInput", 3),
        (["routes", "add", "shop", "web", "--header", "x-beta"], "InvalidInput", 3),
        (["routes", "add", "shop", "web", "--header", "x y=z"], "InvalidInput", 3),
        (["routes", "add", "shop", "web", "--cookie", "a=b", "--cookie", "a=c"], "InvalidInput", 3),
        (["routes", "add", "shop", "web", "--host", "no host"], "InvalidInput", 3),
        (["routes", "add", "shop", "web", "--timeout", "-1"], "InvalidInput", 3),
        (["routes", "add", "shop", "web", "--id", "No"], "InvalidInput", 3),
        (["routes", "add", "shop", "web", "--replace"], "InvalidInput", 3),
    ],
)
def test_a_refusal_has_a_code_and_leaves_no_route(call, args, code, exit_code):
    result = call(*args, "--json")
    assert (failed(result)["code"], result.exit_code) == (code, exit_code)
    for_people = call(*args)
    assert for_people.exit_code == exit_code
    assert f"[{code}]" in for_people.stderr
    assert "Traceback" not in for_people.output
    assert added(call) == []


def test_an_id_and_the_same_requests_are_taken_once(call, canary):
    again = call("routes", "add", "shop", "web", "--id", "canary", "--path", "/other", "--json")
    assert (again.exit_code, failed(again)["code"]) == (5, "AlreadyExists")
    twin = call("routes", "add", "shop", "web", "--path", "/canary", "--json")
    assert (twin.exit_code, failed(twin)["code"], failed(twin)["where"]) == (5, "Conflict", "canary")


@pytest.mark.parametrize(
    "args",
    [
        ["routes", "--frob"],
        ["routes", "shop", "web"],
        ["routes", "add", "shop"],
        ["routes", "rm"],
        ["routes", "add", "shop", "web", "--retries", "11"],
        ["routes", "add", "shop", "web", "--timeout", "soon"],
        ["endpoints", "shop", "web"],
    ],
)
def test_wrong_usage_is_2(call, args):
    assert call(*args).exit_code == 2


def test_routes_are_listed_with_and_without_the_word(call, canary):
    found = document(call("routes", "ls", "shop", "--json"))
    assert [(r["id"], r["derived"]) for r in found["routes"]] == [("shop/web/80/tcp", True), ("canary", False)]
    assert document(call("routes", "shop", "--json")) == document(call("routes", "--json")) == found
    assert document(call("routes", "idle", "--json")) == {"routes": []}
    assert "no routes" in call("routes", "idle").stdout


def test_a_route_says_what_it_takes_and_where_that_goes(call):
    options = ["--path", "/orders", "--host", "shop.example", "--header", "x-beta=yes", "--cookie", "group=b"]
    options += ["--to", "web:80=90", "--to", "web@r1=10", "--mirror", "web", "--timeout", "2.5", "--retries", "0"]
    made = document(call("routes", "add", "shop", "web", *options, "--json"))
    assert made | {"id": "shop-web-orders", "hosts": ["shop.example"], "timeout_s": 2.5, "retries": 0} == made
    assert [(b["port"], b["revision"], b["weight"]) for b in made["to"]] == [(80, None, 90), (80, 1, 10)]
    rows = {line.split()[0]: " ".join(line.split()) for line in call("routes").stdout.splitlines()}
    takes = "http web:80/orders host=shop.example x-beta=yes cookie group=b"
    told = f"shop-web-orders shop/web {takes} web:80 90%, web:80@r1 10%, copy to web 2.5 s 0 localhost:20080"
    assert rows["shop-web-orders"] == told
    assert rows["shop/web/80/tcp"] == "shop/web/80/tcp shop/web http web:80 web:80 localhost:20080"
    assert call("routes", "rm", "shop-web-orders", "--yes").stdout == "shop-web-orders is removed\n"
    assert added(call) == []


def test_what_is_turned_away_is_told(call):
    assert call("routes").stderr.splitlines() == [
        "shop/web/80/tcp: 2 requests at a time, no more for now",
        "shop/web/80/tcp: 3 were turned away because of its limits",
    ]


def test_without_a_backend_it_is_the_component_itself(canary):
    assert [(b["component"], b["revision"]) for b in canary["to"]] == [("web", None)]


def test_a_route_is_replaced_in_place(call, canary):
    result = call("routes", "add", "shop", "web", "--id", "canary", "--path", "/v2", "--to", "web@1", "--replace")
    assert result.stdout == "canary: http web:80/v2 -> web:80@r1\n"
    assert added(call) == ["canary"]


def test_endpoints_say_what_they_do(call):
    found = document(call("endpoints", "shop", "--json"))["endpoints"]
    assert [(e["instance"], e["health"], e["load"]["requests_total"]) for e in found] == [
        ("iarnet-shop-web-r1-0", "healthy", 1234)
    ]
    row = " ".join(call("endpoints").stdout.splitlines()[1].split())
    where = "iarnet-shop-web-r1-0 shop/web active healthy 10.210.8.3:80 100 r1"
    assert row == f"{where} 2 in 3 connections 1234 0"
    assert "no endpoints" in call("endpoints", "idle").stdout


def test_backends_are_read_strictly():
    assert _backend("api") == {"component": "api"}
    assert _backend("api:8080@r3=0") == {"component": "api", "port": 8080, "revision": 3, "weight": 0}
    for bad in ("", "=10", "api=", "api@", "api=-1", "api=1.5", "api@3@4", "api:x", "a pi", "api=10=20"):
        with pytest.raises(InvalidInput):
            _backend(bad)
