"""Who takes requests, and which requests go where."""

import re
from typing import Annotated, Any

import typer

from iarnet.cli.apps import checked_app
from iarnet.cli.arguments import App, Component, Yes, confirm, pairs
from iarnet.cli.session import Session, session_of
from iarnet.cli.show import styled
from iarnet.errors import InvalidInput

BACKEND = re.compile(
    r"(?P<component>[a-z0-9-]{1,40})(:(?P<port>[0-9]{1,5}))?(@r?(?P<revision>[0-9]{1,9}))?(=(?P<weight>[0-9]{1,5}))?"
)
ENDPOINTS = ("endpoint", "component", "state", "health", "address", "share", "revision", "active", "total", "errors")
ROUTES = ("route", "component", "takes", "goes to", "timeout", "retries", "published")

OfApp = Annotated[
    str | None, typer.Argument(metavar="APP", help="only those of this application", show_default=False)
]
RouteId = Annotated[str, typer.Argument(metavar="ID", help="as `iarnet routes` shows it", show_default=False)]


def endpoints(ctx: typer.Context, app: OfApp = None) -> None:
    """Who takes requests, and what each is doing."""
    session = session_of(ctx)
    found = _asked(session, "endpoints", app)
    if session.show.json:
        return session.show.document(found)
    if found["problem"]:
        session.show.note(f"their load is not known: {found['problem']}", style="yellow")
    if not found["endpoints"]:
        return session.show.text("no endpoints: nothing that runs is reached through the gateway")
    return session.show.table(ENDPOINTS, [_endpoint_row(e) for e in found["endpoints"]])


def ls(ctx: typer.Context, app: OfApp = None) -> None:
    """Which requests go where: what deployments lead, and the routes that were added."""
    session = session_of(ctx)
    found = _asked(session, "routes", app)
    if session.show.json:
        return session.show.document(found)
    if not found["routes"]:
        return session.show.text("no routes: nothing that runs is reached through the gateway")
    session.show.table(ROUTES, [_route_row(r) for r in found["routes"]])
    for route in found["routes"]:
        for note in (*route["notes"], *_bounded(route)):
            session.show.note(f"{route['id']}: {note}", style="yellow")
    return None


def add(
    ctx: typer.Context,
    app: App,
    component: Component,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COMPONENT[:PORT][@REVISION][=WEIGHT]",
            help="api=90, api@3=10; else the component itself; repeatable",
        ),
    ] = None,
    path: Annotated[str, typer.Option(help="prefix of the path, whole segments")] = "/",
    hosts: Annotated[list[str] | None, typer.Option("--host", help="name that is asked for; repeatable")] = None,
    headers: Annotated[list[str] | None, typer.Option("--header", metavar="KEY=VALUE", help="repeatable")] = None,
    cookies: Annotated[list[str] | None, typer.Option("--cookie", metavar="KEY=VALUE", help="repeatable")] = None,
    port: Annotated[int, typer.Option(help="of the component; else its first with HTTP", min=0, max=65535)] = 0,
    mirror: Annotated[str | None, typer.Option(metavar="COMPONENT", help="gets a copy of each request")] = None,
    timeout: Annotated[float | None, typer.Option(metavar="S", help="seconds that an answer may take")] = None,
    retries: Annotated[
        int | None,
        typer.Option(
            help="of a request that reached nobody; else until somebody is there", min=0, max=10, show_default=False
        ),
    ] = None,
    id: Annotated[str | None, typer.Option("--id", metavar="ID", help="its name; else one is made")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="in the place of the route that has this ID")] = False,
) -> None:
    """Lead the requests to a component that match everything given here elsewhere."""
    session = session_of(ctx)
    body = {
        "app": checked_app(app),
        "component": component,
        "port": port,
        "hosts": hosts or [],
        "path": path,
        "headers": pairs(headers, "--header", example="x-beta=yes"),
        "cookies": pairs(cookies, "--cookie", example="group=b"),
        "to": [_backend(text) for text in to or (component,)],
        "mirror": mirror,
        "timeout_s": timeout,
        "retries": retries,
    }
    if replace and not id:
        raise InvalidInput("which route?", where="--replace", hint="name it with --id: `iarnet routes` shows them")
    if replace:
        found = session.node.put("communication", "routes", id or "", body=body)
    else:
        found = session.node.post("communication", "routes", body=body | {"id": id})
    session.show.result(found, f"{found['id']}: {_takes(found)} -> {_backends(found)}")


def rm(ctx: typer.Context, route: RouteId, yes: Yes = False) -> None:
    """Remove a route. Its requests go to their component again."""
    session = session_of(ctx)
    confirm(session, f"Remove {route}?", yes=yes)
    session.node.delete("communication", "routes", route)
    session.show.result({"id": route, "removed": True}, f"{route} is removed")


def _asked(session: Session, what: str, app: str | None) -> dict[str, Any]:
    found: dict[str, Any] = session.node.get("communication", what, app=checked_app(app) if app is not None else None)
    return found


def _backend(text: str) -> dict[str, Any]:
    """`api:8080@3=10` -> component, port, revision and weight. Raises `InvalidInput`."""
    match = BACKEND.fullmatch(text)
    if match is None:
        hint = "write --to api=90 --to api@3=10"
        raise InvalidInput(f"`{text}` is not COMPONENT[:PORT][@REVISION][=WEIGHT]", where="--to", hint=hint)
    numbers = {key: int(match[key]) for key in ("port", "revision", "weight") if match[key]}
    return {"component": match["component"], **numbers}


def _endpoint_row(endpoint: dict[str, Any]) -> tuple[Any, ...]:
    ports = ",".join(str(p["port"]) for p in endpoint["ports"])
    host = f"[{endpoint['address']}]" if ":" in endpoint["address"] else endpoint["address"]
    return (
        endpoint["instance"],
        f"{endpoint['app']}/{endpoint['component']}",
        styled(endpoint["state"]),
        styled(endpoint["health"]),
        f"{host}:{ports}" if ports else endpoint["address"],
        endpoint["weight"],
        f"r{endpoint['revision']}" if endpoint["revision"] else "",
        *_load(endpoint["load"]),
    )


def _load(load: dict[str, Any] | None) -> tuple[str, str, str]:
    if load is None:
        return ("", "", "")
    active = f"{load['requests']} in {load['connections']} connections"
    return (active, str(load["requests_total"]), str(load["errors_total"]))


def _route_row(route: dict[str, Any]) -> tuple[str, ...]:
    return (
        route["id"],
        f"{route['app']}/{route['component']}",
        _takes(route),
        _backends(route),
        "" if route["timeout_s"] is None else f"{route['timeout_s']:g} s",
        "" if route["retries"] is None else str(route["retries"]),
        route["published"],
    )


def _bounded(route: dict[str, Any]) -> list[str]:
    """`2 requests at a time, no more for now; 3 were turned away`."""
    full = [f"{route['limits'][what]} {what} at a time, no more for now" for what in route["full"]]
    away = [f"{route['refused_total']} were turned away because of its limits"] if route["refused_total"] else []
    return full + away


def _takes(route: dict[str, Any]) -> str:
    """`http api:8080/orders host=shop.example x-beta=yes`."""
    where = route["inside"] or f"{route['component']}:{route['port']}"
    given = [f"host={host}" for host in route["hosts"]]
    given += [f"{name}={value}" for name, value in route["headers"].items()]
    given += [f"cookie {name}={value}" for name, value in route["cookies"].items()]
    path = "" if route["path"] == "/" else route["path"]
    return " ".join([route["protocol"] or "", f"{where}{path}", *given]).strip()


def _backends(route: dict[str, Any]) -> str:
    """`api 90%, api@r3 10%, copy to audit`."""
    total = sum(b["weight"] for b in route["to"])
    shares = [f"{_name(b)} {b['weight'] / total:.0%}" if len(route["to"]) > 1 else _name(b) for b in route["to"]]
    return ", ".join(shares + ([f"copy to {route['mirror']}"] if route["mirror"] else []))


def _name(backend: dict[str, Any]) -> str:
    port = f":{backend['port']}" if backend["port"] else ""
    return f"{backend['component']}{port}" + (f"@r{backend['revision']}" if backend["revision"] else "")
