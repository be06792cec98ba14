import json
from pathlib import Path

import pytest

from iarnet.analysis.base import Structure
from iarnet.analysis.files import TreeFiles
from iarnet.analysis.memory import MemoryTree
from iarnet.analysis.structures import iarnet_yaml
from iarnet.analysis.structures.iarnet_yaml import IarnetYaml
from iarnet.errors import InvalidComponent
from iarnet.models.component import Build, Ejection, EnvVar, HealthCheck, Limits, Port, Volume
from iarnet.models.resources import MIB, Resources

SCHEMA = Path(__file__).parents[4] / "docs/schemas/iarnet.schema.json"


def read(text: str) -> Structure:
    structure = IarnetYaml().read(TreeFiles(MemoryTree({"iarnet.yaml": text})))
    assert structure is not None
    return structure


@pytest.mark.parametrize(
    ("text", "message", "line", "hint"),
    [
        ("components:\n  web:\n    prots: [80]\n", "has no 'prots'", 3, "'ports'"),
        ("component: {}\n", "has no 'component'", 1, "'components'"),
        ("components: {}\n", "declares no component", 1, "at least one"),
        ("components:\n  web: {image: x, kind: wep}\n", "no kind", 2, "'web'"),
        ("components:\n  web: {image: x, build: .}\n", "both image and build", 2, "one of them"),
        ("components:\n  web: {image: x, needs: [bd]}\n  db: {image: y}\n", "needs 'bd'", 2, "'db'"),
        ("components:\n  web: {image: x, needs: [web]}\n", "needs itself", 2, ""),
        ("components:\n  web: {image: x, needs: {db: helthy}}\n  db: {image: y}\n", "no condition", 2, "'healthy'"),
        ("components:\n  Web_1: {image: x}\n", "no name of a component", 2, "web-1"),
        ("components:\n  web: {root: ../x}\n", "outside the repository", 2, "relative"),
        ("components:\n  web: {image: x, replicas: 101}\n", "0 to 100", 2, ""),
        ("components:\n  web: {image: x, ports: [0]}\n", "1 to 65535", 2, ""),
        ("components:\n  web: {image: x, ports: [80/htp]}\n", "no protocol", 2, "'http'"),
        ("components:\n  web: {image: x, resources: {memory: much}}\n", "amount of memory", 2, "512Mi"),
        ("components:\n  web: {image: x, volumes: [data]}\n", "is no volume", 2, "name:/path"),
        ("components:\n  web: {image: x, env: {1A: x}}\n", "no name of a setting", 2, "letters"),
        ("components:\n  web: {image: x, health: {type: htp}}\n", "no health check", 2, "'http'"),
        ("components:\n  web: {image: x, limits: {request: 1}}\n", "has no 'request'", 2, "'requests'"),
        ("components:\n  web: {image: x, limits: {requests: 0}}\n", "requests: Input should be greater", 2, ""),
        ("components:\n  web: {image: x, limits: {requests: many}}\n", "whole number", 2, ""),
        ("components:\n  web: {image: x, ejection: {percent: 51}}\n", "percent: Input should be less", 2, ""),
        ("components:\n  web: {image: x, ejection: {for: never}}\n", "never", 2, ""),
        ("components:\n  web: {image: x, health: {service: a/b}}\n", "service: String should match", 2, ""),
        ("components:\n  web: {image: x, health: {type: command}}\n", "needs `command`", 2, ""),
    ],
)
def test_mistakes_are_refused_with_line_and_remedy(text: str, message: str, line: int, hint: str) -> None:
    with pytest.raises(InvalidComponent, match=message) as refused:
        read(text)
    assert refused.value.where == f"iarnet.yaml:{line}"
    assert hint in refused.value.hint


def test_a_component_with_everything() -> None:
    structure = read(
        "components:\n"
        "  web:\n"
        "    root: web\n    kind: web\n    dockerfile: Dockerfile.prod\n    command: node server.js\n"
        "    ports: [3000, 9000/grpc]\n    publish: 8080\n    env: {A: 1, TOKEN: }\n    secrets: [KEY]\n"
        "    health: {path: healthz, interval: 2s}\n    resources: {cpu: 0.5, memory: 256Mi}\n"
        "    volumes: {data: /data}\n    replicas: 2\n    needs: [db]\n"
        "    limits: {requests: 100, pending: 5}\n    ejection: {after: 3, for: 1m}\n"
        "  db:\n    image: postgres:15\n"
    )
    web, db = structure.components
    assert web.root == "web"
    assert web.facts == {
        "kind": "web",
        "start_command": "node server.js",
        "build": Build(context="web", dockerfile="web/Dockerfile.prod"),
        "ports": (Port(port=3000, publish="exact", host_port=8080), Port(port=9000, protocol="grpc")),
        "env": (
            EnvVar(name="A", value="1"),
            EnvVar(name="TOKEN", required=True),
            EnvVar(name="KEY", required=True),
        ),
        "health": HealthCheck(type="http", path="/healthz", interval_s=2),
        "limits": Limits(requests=100, pending=5),
        "ejection": Ejection(after=3, for_s=60),
        "resources": Resources(cpu_millis=500, memory_bytes=256 * MIB),
        "volumes": (Volume(name="data", path="/data"),),
        "replicas": 2,
    }
    assert db.facts == {"image": "postgres:15"}
    assert [(e.from_, e.to, e.condition) for e in structure.edges] == [("web", "db", "healthy")]


def test_a_service_is_asked_for_by_grpc() -> None:
    (web,) = read("components:\n  web: {image: x, health: {service: shop.Api, port: 9000}}\n").components
    assert web.facts["health"] == HealthCheck(type="grpc", service="shop.Api", port=9000)
    (web,) = read("components:\n  web: {image: x, health: {type: grpc}}\n").components
    assert web.facts["health"] == HealthCheck(type="grpc")


def test_a_job_is_waited_for_until_it_is_done() -> None:
    structure = read(
        "components:\n  web: {image: x, needs: {migrate: , db: started}}\n"
        "  migrate: {image: x, kind: job}\n  db: {image: y}\n"
    )
    assert [(e.to, e.condition) for e in structure.edges] == [("migrate", "completed"), ("db", "started")]


def test_the_published_schema_knows_the_same_names() -> None:
    component = json.loads(SCHEMA.read_text())["$defs"]["component"]
    assert set(component["properties"]) == set(iarnet_yaml.KEYS)
    assert component["additionalProperties"] is False
    definitions = json.loads(SCHEMA.read_text())["$defs"]
    assert set(definitions["build"]["oneOf"][1]["properties"]) == set(iarnet_yaml.BUILD_KEYS)
    health = definitions["health"]["oneOf"][1]["properties"]
    assert set(health) == set(iarnet_yaml.HEALTH_KEYS)
    assert set(health["type"]["enum"]) == set(iarnet_yaml.HEALTH_TYPES)
    assert set(component["properties"]["limits"]["properties"]) == set(iarnet_yaml.LIMIT_KEYS)
    assert set(component["properties"]["ejection"]["properties"]) == set(iarnet_yaml.EJECTION_KEYS)
