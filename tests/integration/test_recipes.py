"""Every generated Dockerfile, built and run on a real engine as hardened as a deployment runs it."""

import http.client
import io
import os
import tarfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors
import pytest

from iarnet.analysis.base import Profile
from iarnet.analysis.ecosystems.catalog import ECOSYSTEMS
from iarnet.analysis.files import TreeFiles
from iarnet.analysis.memory import MemoryTree
from tests.conftest import missing

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

HOST = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
DEADLINE_S = 60
RECIPE = "Dockerfile.generated"

PAGE = '{"type": "module", "name": "clock", "version": "1.0.0", "scripts": {"start": "node server.js"}%s}'
NODE_SERVER = """
import http from 'node:http'
const server = http.createServer((request, response) => response.end('from node'))
server.listen(process.env.PORT || 3100)
process.on('SIGTERM', () => server.close(() => process.exit(0)))
"""
PYTHON_SERVER = """
import os, signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from python")

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("", int(os.environ.get("PORT", "8123"))), Handler).serve_forever()
"""
PYPROJECT = '[project]\nname = "clock"\nversion = "1.0"\nrequires-python = ">=3.9"\ndependencies = []\n'
UV_LOCK = """version = 1
revision = 1
requires-python = ">=3.9"

[[package]]
name = "clock"
version = "1.0"
source = { virtual = "." }
"""
GO_SERVER = """package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8124"
	}
	page, _ := os.ReadFile("templates/page.html")
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "from go %s", page) })
	http.ListenAndServe(":"+port, nil)
}
"""
GO_CGO = GO_SERVER.replace("import (", '// #include <stdlib.h>\nimport "C"\n\nimport (').replace("8124", "8125")
FASTAPI = """
from fastapi import FastAPI

app = FastAPI()

@app.get("/health")
def health():
    return {"well": True}
"""
FLASK = """
import os
from flask import Flask

def create_app():
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "from flask")
    return app
"""
DJANGO_SETTINGS = """
from pathlib import Path
SECRET_KEY = "of a test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "site_.urls"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.staticfiles"]
STATIC_URL, STATIC_ROOT = "static/", Path(__file__).parent / "static"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(__file__).parent.parent / "db.sqlite3"}}
"""
DJANGO_URLS = """
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("", lambda request: HttpResponse(f"{User.objects.count()} users"))]
"""
JAVA = """package clock;

import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

public class Clock {
    public static void main(String[] arguments) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(8126), 0);
        server.createContext("/", exchange -> {
            byte[] body = "from java".getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }
}
"""
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>clock</groupId><artifactId>clock</artifactId><version>1</version>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target></properties>
</project>"""


@dataclass(frozen=True)
class Case:
    """A program, where to ask it, and what it answers. `image`: a base image that must be there."""

    name: str
    files: Mapping[str, str]
    answer: str
    path: str = "/"
    image: str = "busybox:stable"
    root: str = "."


CASES = (
    Case("python-script", {"server.py": PYTHON_SERVER}, "from python"),
    Case("python-uv", {"pyproject.toml": PYPROJECT, "uv.lock": UV_LOCK, "server.py": PYTHON_SERVER}, "from python"),
    Case("python-wanted", {"pyproject.toml": PYPROJECT, "server.py": PYTHON_SERVER}, "from python"),
    Case("fastapi", {"requirements.txt": "fastapi\n", "app/main.py": FASTAPI}, "true", "/health"),
    Case("flask-factory", {"requirements.txt": "flask\n", "shop/__init__.py": FLASK}, "from flask"),
    Case(
        "django",
        {
            "requirements.txt": "django\n",
            "manage.py": "import os, sys\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_.settings')\n"
            "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n",
            "site_/__init__.py": "",
            "site_/settings.py": DJANGO_SETTINGS,
            "site_/urls.py": DJANGO_URLS,
            "site_/wsgi.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_.settings')\n"
            "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
        },
        "0 users",
    ),
    Case("node-npm", {"package.json": PAGE % "", "server.js": NODE_SERVER}, "from node"),
    Case(
        "node-npm-locked",
        {
            "package.json": PAGE % "",
            "package-lock.json": '{"name": "clock", "version": "1.0.0", "lockfileVersion": 3, "packages": {}}',
            "server.js": NODE_SERVER,
        },
        "from node",
    ),
    Case("node-yarn", {"package.json": PAGE % "", "yarn.lock": "", "server.js": NODE_SERVER}, "from node"),
    Case(
        "node-pnpm",
        {
            "package.json": PAGE % "",
            "pnpm-lock.yaml": "lockfileVersion: '9.0'\n\nimporters:\n\n  .: {}\n",
            "server.js": NODE_SERVER,
        },
        "from node",
    ),
    Case(
        "node-express",
        {
            "package.json": PAGE.replace("type", "kind") % ', "dependencies": {"express": "4"}',
            "server.js": "const app = require('express')()\napp.get('/health', (q, r) => r.send('well'))\n"
            "const server = app.listen(8127)\nprocess.on('SIGTERM', () => server.close(() => process.exit(0)))\n",
        },
        "well",
        "/health",
    ),
    Case(
        "node-workspace",
        {
            "package.json": '{"name": "all", "private": true, "workspaces": ["apps/*"]}',
            "apps/web/package.json": PAGE % "",
            "apps/web/server.js": NODE_SERVER,
        },
        "from node",
        root="apps/web",
    ),
    Case(
        "vite",
        {
            "package.json": '{"name": "page", "scripts": {"dev": "vite", "build": "vite build"},'
            ' "devDependencies": {"vite": "^5"}}',
            "index.html": '<title>A page</title><script type="module" src="/src/main.js"></script>',
            "src/main.js": "document.title = import.meta.env.VITE_TITLE",
        },
        "A page",
        "/some/route",
    ),
    Case(
        "go",
        {
            "go.mod": "module example.org/clock\n\ngo 1.21\n",
            "main.go": GO_SERVER,
            "templates/page.html": "with a page",
        },
        "from go with a page",
    ),
    Case(
        "go-commands",
        {
            "go.mod": "module example.org/clock\n\ngo 1.21\n",
            "cmd/server/main.go": GO_SERVER,
            "cmd/tool/main.go": "package main\n\nfunc main() {\n}\n",
        },
        "from go",
    ),
    Case("static", {"index.html": "<title>Plain</title>", "about.html": "About us"}, "About us", "/about"),
    Case(
        "hugo",
        {
            "hugo.toml": 'baseURL = "/"\ntitle = "Made by Hugo"\n',
            "layouts/index.html": "<h1>{{ .Site.Title }}</h1>",
        },
        "Made by Hugo",
    ),
    Case(
        "java",
        {"pom.xml": POM, "src/main/java/clock/Clock.java": JAVA},
        "from java",
        image="maven:3-eclipse-temurin-17",
    ),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    try:
        client = docker.DockerClient(base_url=HOST, version="auto", timeout=300)
    except docker.errors.DockerException:
        missing("a Docker engine")
    yield client
    client.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_answers_on_its_port_and_stops_when_asked(engine: docker.DockerClient, case: Case) -> None:
    _need(engine, case.image)
    profile = recognise(case.files, case.root)
    assert profile.recipe
    with image_of(engine, case.files, profile.recipe) as tag, running(engine, tag, profile) as container:
        assert case.answer in ask(container, profile.ports[0].port, case.path)
        assert owner(container) not in ("0", "root")
        container.stop(timeout=30)
        container.reload()
        killed = container.attrs["State"]["ExitCode"] == 137
        assert not killed, "it did not hear SIGTERM"


def test_files_that_are_not_there_are_not_found(engine: docker.DockerClient) -> None:
    files = {"index.html": "Plain", "folder/index.html": "A folder"}
    profile = recognise(files)
    with image_of(engine, files, profile.recipe or "") as tag, running(engine, tag, profile) as container:
        assert "404" in ask(container, 8080, "/nothing")
        assert "A folder" in ask(container, 8080, "/folder/")
        assert "Location: /folder/" in ask(container, 8080, "/folder")


def test_a_command_that_needs_a_shell_gives_way_to_the_program(engine: docker.DockerClient) -> None:
    files = {"server.py": PYTHON_SERVER}
    profile = recognise(files, start="export WORD=1; PORT=$PORT python server.py")
    with image_of(engine, files, profile.recipe or "") as tag, running(engine, tag, profile) as container:
        assert "from python" in ask(container, profile.ports[0].port, "/")
        assert "server.py" in container.top()["Processes"][0][-1]
        assert len(container.top()["Processes"]) == 1


def test_the_second_build_takes_dependencies_from_the_cache(engine: docker.DockerClient) -> None:
    files = {"requirements.txt": "flask\n", "app.py": "from flask import Flask\napp = Flask(__name__)\n"}
    recipe = recognise(files).recipe or ""
    with image_of(engine, files, recipe):
        changed = {**files, "app.py": f"{files['app.py']}# {uuid.uuid4().hex}\n"}
        log = build_log(engine, changed, recipe)
    steps = log.split("Step ")
    installed = next(step for step in steps if '"pip", "install", "--requirement"' in step)
    assert "Using cache" in installed
    assert "Using cache" not in steps[-1]


def recognise(files: Mapping[str, str], root: str = ".", start: str | None = None) -> Profile:
    view = TreeFiles(MemoryTree(files))
    found = (ecosystem.recognise(view, root, start) for ecosystem in ECOSYSTEMS)
    return next(profile for profile in found if profile and profile.runnable)


@contextmanager
def image_of(engine: docker.DockerClient, files: Mapping[str, str], recipe: str) -> Iterator[str]:
    tag = f"iarnet-test-recipe:{uuid.uuid4().hex[:12]}"
    try:
        build_log(engine, files, recipe, tag)
        yield tag
    finally:
        for image in engine.images.list(name=tag):
            engine.images.remove(image.id, force=True)


def build_log(engine: docker.DockerClient, files: Mapping[str, str], recipe: str, tag: str | None = None) -> str:
    content = context({**files, RECIPE: recipe})
    lines = engine.api.build(
        fileobj=content, custom_context=True, dockerfile=RECIPE, tag=tag, rm=True, forcerm=True, decode=True
    )
    log = []
    for line in lines:
        log.append(line.get("stream", ""))
        assert "error" not in line, "".join(log[-40:]) + line["error"]
    return "".join(log)


def context(files: Mapping[str, str]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    buffer.seek(0)
    return buffer


@contextmanager
def running(engine: docker.DockerClient, tag: str, profile: Profile) -> Iterator[Any]:
    container = engine.containers.run(
        tag,
        detach=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        pids_limit=256,
        mem_limit=profile.resources.memory_bytes if profile.resources else None,
        environment={v.name: v.value for v in profile.env if v.value is not None},
        ports={f"{port.port}/tcp": ("127.0.0.1", None) for port in profile.ports},
    )
    try:
        yield container
    finally:
        container.remove(force=True, v=True)


def ask(container: Any, port: int, path: str) -> str:
    """Status line, headers and body, as soon as somebody answers."""
    deadline = time.monotonic() + DEADLINE_S
    while (answer := _try(container, port, path)) is None:
        said = container.logs(tail=30).decode()
        assert container.status in ("created", "running"), f"it ended: {said}"
        assert time.monotonic() < deadline, f"no answer on {port}: {said}"
        time.sleep(0.2)
    return answer


def _try(container: Any, port: int, path: str) -> str | None:
    container.reload()
    published = container.ports.get(f"{port}/tcp")
    try:
        return _get(int(published[0]["HostPort"]), path) if published else None
    except (OSError, http.client.HTTPException):
        return None


def _get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        headers = "\n".join(f"{name}: {value}" for name, value in response.getheaders())
        return f"{response.status} {response.reason}\n{headers}\n{response.read().decode()}"
    finally:
        connection.close()


def owner(container: Any) -> str:
    """Who runs the first process, as the engine's host sees it."""
    top = container.top()
    return str(top["Processes"][0][top["Titles"].index("UID")])


def _need(engine: docker.DockerClient, image: str) -> None:
    try:
        engine.images.get(image)
    except docker.errors.ImageNotFound:
        missing(f"the image {image}")
