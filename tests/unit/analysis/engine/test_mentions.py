"""Edges that only addresses in files show."""

from iarnet.analysis.engine import analyze
from iarnet.analysis.memory import MemoryTree
from iarnet.models.analysis import Analysis

API = {
    "backend/package.json": '{"scripts": {"start": "node a.js"}, "dependencies": {"express": "4"}}',
    "backend/a.js": "require('express')().listen(4321)\n",
}
PAGE = '{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "5"}%s}'
VITE = {"frontend/package.json": PAGE % "", "frontend/index.html": ""}


def edges(files: dict[str, str]) -> set[tuple[str, str]]:
    return {(edge.from_, edge.to) for edge in found(files).edges}


def found(files: dict[str, str]) -> Analysis:
    return analyze(MemoryTree({**API, **files}))


def test_a_proxy_of_developers_by_name_or_by_port() -> None:
    named = {**VITE, "frontend/package.json": PAGE % ', "proxy": "http://backend:4321"'}
    assert edges(named) == {("frontend", "backend")}
    config = {**VITE, "frontend/vite.config.js": "server: {proxy: {'/api': 'http://localhost:4321'}}"}
    assert edges(config) == {("frontend", "backend")}
    other = {**VITE, "frontend/vite.config.js": "server: {proxy: {'/api': 'http://localhost:9999'}}"}
    assert edges(other) == set()


def test_an_address_in_code_has_its_line_as_evidence() -> None:
    files = {
        "worker/requirements.txt": "",
        "worker/main.py": "import requests\nrequests.get('http://backend:4321/a')\n",
    }
    evidence = next(e for e in found(files).evidence if e.fact == "worker->backend")
    assert (evidence.file, evidence.line, evidence.detector) == ("worker/main.py", 2, "addresses")


def test_addresses_elsewhere_and_in_tests_say_nothing() -> None:
    files = {
        **VITE,
        "frontend/a.js": "fetch('http://backend.example.org/')",
        "frontend/test/b.js": "'http://backend:4321'",
    }
    assert edges(files) == set()


def test_a_proxy_that_is_only_configured_becomes_a_component() -> None:
    conf = "server {\n  listen 8088;\n  location / { proxy_pass http://backend:4321; }\n}\n"
    analysis = found({"proxy/nginx.conf": conf})
    proxy = next(component for component in analysis.components if component.name == "proxy")
    assert (proxy.kind, proxy.ports[0].port, proxy.root) == ("web", 8088, "proxy")
    assert proxy.build
    assert "COPY nginx.conf /etc/nginx/conf.d/default.conf" in (proxy.build.recipe or "")
    assert [(edge.from_, edge.to) for edge in analysis.edges] == [("proxy", "backend")]


def test_a_configuration_that_leads_elsewhere_is_none() -> None:
    conf = "server { location / { proxy_pass http://10.0.0.1:80; } }\n"
    assert {component.name for component in found({"etc/site.conf": conf}).components} == {"backend"}


def test_a_setting_in_the_configuration_of_a_proxy() -> None:
    files = {
        "proxy/Dockerfile": "FROM nginx:1\nCOPY default.conf /etc/nginx/templates/\n",
        "proxy/default.conf": "server { location / { proxy_pass http://$BACKEND_ADDR; } }\n",
    }
    analysis = found(files)
    assert [(edge.from_, edge.to, edge.env) for edge in analysis.edges] == [("proxy", "backend", "BACKEND_ADDR")]
    proxy = next(component for component in analysis.components if component.name == "proxy")
    assert {v.name: v.value for v in proxy.env} == {"BACKEND_ADDR": "backend:4321"}
    assert proxy.ports[0].port == 80


def test_a_database_with_something_added_to_its_image_is_that_database() -> None:
    files = {
        "api/requirements.txt": "flask\nmysqlclient\n",
        "api/app.py": "import flask, os\napp = flask.Flask('a')\nos.environ['DATABASE_URL']\n",
        "store/Dockerfile": "FROM mysql:8\nENV MYSQL_DATABASE=shop MYSQL_USER=me MYSQL_PASSWORD=it\n"
        "COPY a.sql /docker-entrypoint-initdb.d/\n",
        "store/a.sql": "",
    }
    analysis = analyze(MemoryTree(files))
    by_name = {component.name: component for component in analysis.components}
    assert sorted(by_name) == ["api", "store"]
    assert (by_name["store"].kind, by_name["store"].ports[0].port) == ("database", 3306)
    assert [volume.path for volume in by_name["store"].volumes] == ["/var/lib/mysql"]
    assert [(edge.from_, edge.to, edge.env) for edge in analysis.edges] == [("api", "store", "DATABASE_URL")]
    assert {v.name: v.value for v in by_name["api"].env}["DATABASE_URL"] == "mysql://me:it@store:3306/shop"


def test_a_folder_that_only_says_code_gives_its_name_to_nobody() -> None:
    files = {
        f"cart/src/{name}": text
        for name, text in (("go.mod", "module a\n"), ("main.go", "package main\n\nfunc main() {\n}\n"))
    }
    assert {component.name for component in found(files).components} == {"backend", "cart"}


def test_a_start_command_takes_its_settings_too() -> None:
    files = {"load/Dockerfile": 'FROM x\nENTRYPOINT load --host="http://${BACKEND_ADDR}" -u "${USERS:-10}"\n'}
    analysis = found(files)
    assert [(edge.from_, edge.to, edge.env) for edge in analysis.edges] == [("load", "backend", "BACKEND_ADDR")]
    load = next(component for component in analysis.components if component.name == "load")
    assert {v.name: v.value for v in load.env} == {"BACKEND_ADDR": "backend:4321", "USERS": None}


def test_a_short_name_of_a_service_is_found() -> None:
    files = {"web/main.py": "import os\nos.environ['BACKEND_SERVICE_URL']\n", "order-service/a.js": "x.listen(1)"}
    files |= {
        "order-service/package.json": API["backend/package.json"],
        "worker/main.py": "import os\nos.environ['ORDER_SERVICE_URL']\n",
    }
    assert ("worker", "order-service") in edges(files)
