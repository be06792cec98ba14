import pytest

from iarnet.analysis.engine import analyze
from iarnet.analysis.memory import MemoryTree
from iarnet.errors import InvalidComponent
from iarnet.models.analysis import Analysis
from iarnet.models.component import Component, HealthCheck

CODE = {
    "api/requirements.txt": "flask\npsycopg2\n",
    "api/app.py": "import flask\napp = flask.Flask('a')\n",
    "web/Dockerfile": "FROM node:22\nCOPY . .\nCMD node a.js\n",
    "web/package.json": '{"scripts": {"start": "node a.js"}, "dependencies": {"express": "4"}}',
    "web/a.js": "require('express')().listen(4000)\n",
}
BLUEPRINT = """\
services:
  - type: pserv
    name: Orders
    runtime: python
    rootDir: api
    startCommand: gunicorn app:app --bind :7000
    healthCheckPath: /ready
    numInstances: 2
    envVars:
      - {key: DATABASE_URL, fromDatabase: {name: store, property: connectionString}}
      - {key: WHERE, fromDatabase: {name: store, property: host}}
      - {key: SECRET_KEY, generateValue: true}
      - {key: STRIPE, sync: false}
      - {fromGroup: shared}
    disk: {name: files, mountPath: /data}
  - type: web
    name: shop
    runtime: docker
    rootDir: web
    dockerfilePath: ./Dockerfile
    envVars:
      - {key: BACK, fromService: {name: Orders, type: pserv, property: hostport}}
      - {key: CACHE, fromService: {name: fast, type: keyvalue, property: connectionString}}
  - {type: keyvalue, name: fast}
  - {type: cron, name: nightly, runtime: python}
databases:
  - {name: store, databaseName: sales, user: clerk, postgresMajorVersion: "16"}
envVarGroups:
  - name: shared
    envVars: [{key: MODE, value: live}]
"""


def found(text: str) -> Analysis:
    return analyze(MemoryTree({**CODE, "render.yaml": text}))


def component(analysis: Analysis, name: str) -> Component:
    return next(c for c in analysis.components if c.name == name)


def env(one: Component) -> dict[str, tuple[str | None, str | None]]:
    return {variable.name: (variable.value, variable.secret) for variable in one.env}


def test_a_blueprint_is_the_whole_application() -> None:
    analysis = found(BLUEPRINT)
    assert [c.name for c in analysis.components] == ["store", "orders", "shop", "fast"]
    orders, shop = component(analysis, "orders"), component(analysis, "shop")
    assert (orders.kind, orders.root, orders.framework, orders.replicas) == ("api", "api", "flask", 2)
    assert orders.start_command == "gunicorn app:app --bind :7000"
    assert [port.port for port in orders.ports] == [7000]
    assert orders.health == HealthCheck(type="http", path="/ready", port=7000)
    assert [(volume.name, volume.path) for volume in orders.volumes] == [("files", "/data")]
    assert shop.build
    assert (shop.build.dockerfile, shop.ports[0].port, shop.ports[0].publish) == ("web/Dockerfile", 4000, "auto")
    assert component(analysis, "store").image == "postgres:16"
    assert any("nightly" in warning.message for warning in analysis.warnings)


def test_settings_hold_what_the_blueprint_says() -> None:
    analysis = found(BLUEPRINT)
    orders = env(component(analysis, "orders"))
    assert orders["DATABASE_URL"] == ("postgresql://clerk:{secret}@store:5432/sales", "store/password")
    assert orders["WHERE"] == ("store", None)
    assert orders["SECRET_KEY"] == ("{secret}", "orders/secret-key")
    assert orders["MODE"] == ("live", None)
    assert next(v for v in component(analysis, "orders").env if v.name == "STRIPE").required
    shop = env(component(analysis, "shop"))
    assert (shop["BACK"], shop["CACHE"]) == (("orders:7000", None), ("redis://fast:6379/0", None))


def test_what_a_setting_points_to_is_waited_for() -> None:
    analysis = found(BLUEPRINT)
    assert sorted((edge.from_, edge.to) for edge in analysis.edges) == [
        ("orders", "store"),
        ("shop", "fast"),
        ("shop", "orders"),
    ]
    place = next(e for e in analysis.evidence if e.fact == "orders->store" and e.detector == "render")
    assert (place.file, place.line) == ("render.yaml", 10)
    start = next(e for e in analysis.evidence if e.fact == "orders.start_command" and e.detector == "render")
    assert start.line == 6


def test_a_folder_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidComponent, match="no folder"):
        found("services:\n- {type: web, name: a, runtime: python, rootDir: ../up}\n")


@pytest.mark.parametrize("text", ["", "services: 7\n", "services: [7, {type: web}]\n", "databases: {a: b}\n"])
def test_what_says_nothing_leaves_the_code_to_speak(text: str) -> None:
    assert "web" in {c.root for c in found(text).components}
