"""The documented answer of an analysis with all that follows the documented fields, for the description of the API.

`iarnet.analysis.document` writes it; what is absent there is null here.
"""

from typing import Literal

from pydantic import ConfigDict, Field, JsonValue

from api.shapes import Requirements
from iarnet.models.analysis import Evidence, Warning
from iarnet.models.base import Value
from iarnet.models.component import (
    Build,
    ComponentKind,
    Ejection,
    EnvVar,
    HealthCheck,
    Limits,
    Port,
    Volume,
)
from iarnet.models.container import Container, File
from iarnet.models.edge import Edge

EXAMPLE: dict[str, JsonValue] = {
    "tree": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "version": 1,
    "components": [
        {
            "id": "frontend",
            "name": "Frontend",
            "type": "web",
            "language": "javascript",
            "framework": "react",
            "requirements": {"cpu": 1.0, "memory": 512, "gpu": 0, "storage": 0},
            "root": "frontend",
            "build": {"context": "frontend", "dockerfile": "frontend/Dockerfile", "args": {}},
            "start_command": "npm start",
            "ports": [{"port": 3000, "protocol": "http", "publish": "auto"}],
            "env": [{"name": "API_URL", "value": "http://backend:8000", "required": False}],
            "health": {"type": "http", "path": "/"},
            "volumes": [],
            "replicas": 1,
        }
    ],
    "dag": {
        "edges": [{"from": "frontend", "to": "backend", "type": "http", "condition": "healthy", "env": "API_URL"}]
    },
    "evidence": [
        {"fact": "frontend.ports", "value": "3000", "file": "frontend/Dockerfile", "line": 7, "confidence": 1.0}
    ],
    "warnings": [],
}


class FullRequirements(Requirements):
    storage: float = Field(description="MiB", examples=[0])


class FoundComponent(Value):
    """Exactly one of `image` and `build` is there."""

    id: str = Field(examples=["order-api"])
    name: str = Field(description="the id for people", examples=["Order Api"])
    type: ComponentKind = Field(examples=["api"])
    language: str | None = Field(examples=["python"])
    framework: str | None = Field(examples=["fastapi"])
    requirements: FullRequirements
    root: str = Field(description="its folder in the repository", examples=["orders"])
    image: str | None = None
    build: Build | None = None
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    start_command: str | None = Field(default=None, examples=["uvicorn app:app"])
    ports: tuple[Port, ...]
    env: tuple[EnvVar, ...]
    health: HealthCheck | None = None
    limits: Limits | None = None
    ejection: Ejection | None = None
    volumes: tuple[Volume, ...]
    replicas: int = 1
    user: str | None = None
    capabilities: tuple[str, ...] = ()
    working_dir: str | None = None
    aliases: tuple[str, ...] = ()
    files: tuple[File, ...] = ()
    container: Container = Container()


class FoundDag(Value):
    edges: tuple[Edge, ...]


class AnalysisDocument(Value):
    """What `iarnet analyze --json` prints; its schema is published as `docs/schemas/analysis.schema.json`."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    tree: str = Field(description="what was read; the same tree always gives the same analysis", examples=["4b825dc"])
    version: Literal[1]
    components: tuple[FoundComponent, ...]
    dag: FoundDag
    evidence: tuple[Evidence, ...]
    warnings: tuple[Warning, ...]
