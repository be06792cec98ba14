"""A compose file with nothing but itself: what it says is what runs."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.contract.docker_engine import IMAGE, swept
from tests.e2e.harness import NodeProcess
from tests.e2e.repository import repository

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

COMPOSE = f"""
services:
  my_web:
    build: web
    init: false
    stop_grace_period: 1s
    environment: {{BACK: "172.31.0.9:8080"}}
    volumes: ["./pages:/srv/pages", "shared:/shared"]
    secrets: [{{source: token, mode: 0400}}, absent]
    configs: [{{source: greeting, target: /etc/greeting}}]
    read_only: true
    tmpfs: [/run]
    sysctls: {{net.core.somaxconn: 99}}
    depends_on: [back]
    ports: ["8080"]
  back:
    image: {IMAGE}
    hostname: back.internal
    stop_grace_period: 1s
    command: sh -c 'mkdir -p /www && echo fixed > /www/index.html && exec httpd -f -p 8080 -h /www'
    volumes: ["shared:/data"]
    networks: {{inner: {{ipv4_address: 172.31.0.9, aliases: [the_back]}}}}
    expose: ["8080"]
networks: {{inner: {{ipam: {{config: [{{subnet: 172.31.0.0/24}}]}}}}}}
volumes: {{shared: {{}}}}
secrets:
  token: {{file: ./token.txt}}
  absent: {{external: true}}
configs:
  greeting: {{content: "hello from $${{HOME}}"}}
"""
DOCKERFILE = f'FROM {IMAGE}\nCMD ["httpd", "-f", "-p", "8080", "-h", "/srv/pages"]\n'


@pytest.fixture(scope="module")
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    with swept(docker_url, "nobody") as client:
        yield client


def test_what_it_says_is_what_runs(running: NodeProcess, repositories: Path, engine: docker.APIClient) -> None:
    app = f"composed-{running.name}"
    files = {"web__Dockerfile": DOCKERFILE, "pages__index_DOT_html": "page\n", "token_DOT_txt": "t0ken"}
    source = repository(repositories / "composed", compose_DOT_yaml=COMPOSE, **files)
    refused = running.cli("deploy", source.url, "--name", app)
    assert refused.code != 0
    assert "--secret my-web.file.absent=NAME" in refused.out + refused.err
    running.api("PUT", f"/api/v1/secrets/{app}/absent", {"value": "from a person"}).raise_for_status()
    running.ok("deploy", app, "--secret", f"my-web.file.absent={app}/absent")
    [web] = running.containers(app)["my-web"]
    [back] = running.containers(app)["back"]

    def within(container: str, *command: str) -> str:
        run = engine.exec_create(container, list(command))
        return str(engine.exec_start(run["Id"]).decode().strip())

    assert within(web, "cat", "/srv/pages/index.html") == "page"
    assert within(web, "cat", "/run/secrets/token", "/run/secrets/absent") == "t0kenfrom a person"
    assert within(web, "ls", "-l", "/run/secrets/token").startswith("-r--------")
    assert within(web, "cat", "/etc/greeting") == "hello from ${HOME}"
    assert within(web, "cat", "/proc/sys/net/core/somaxconn") == "99"
    assert within(web, "sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline").startswith("httpd"), "it is the first process"
    assert "Read-only" in within(web, "touch", "/here")
    for name in ("$BACK", "the_back:8080", "back.internal:8080", "back:8080"):
        assert within(web, "sh", "-c", f"wget -q -O - http://{name}/ 2>&1") == "fixed"
    within(web, "sh", "-c", "echo both > /shared/note")
    assert within(back, "cat", "/data/note") == "both"
    assert running.api("GET", f"/api/v1/apps/{app}/analysis").json()["warnings"]
