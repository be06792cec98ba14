"""The HTTP API of a node."""

import asyncio
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware import Middleware

from api import docs, errors
from api.auth import Gate
from api.document import precise
from api.middleware import BodyLimit, Story
from api.routes import (
    analyses,
    analysis,
    application,
    apps,
    authority,
    changes,
    communication,
    deployments,
    domains,
    events,
    health,
    logs,
    metrics,
    node,
    providers,
    reconciliation,
    replay,
    resource,
    runs,
    secrets,
    settings,
)
from api.services import Services

DESCRIPTION = """
A Git URL goes in; a running application comes out.

Every change is a workflow: starting one answers **202** with its workflow ID, its run ID and a link (`follow`) to
its progress, and refusals are `application/problem+json` with a stable `code` and a `hint`. The routes under
`/api/v1` use the units that their field names say; those tagged *documented* use cores, MiB and GiB.
"""
TAGS = [
    {"name": "applications", "description": "What is imported, what it consists of, where it answers"},
    {"name": "analysis", "description": "From a repository to components"},
    {"name": "changes", "description": "Deploy, stop, scale, go back"},
    {"name": "deployments", "description": "What was done"},
    {"name": "runs", "description": "Following and replaying workflows"},
    {"name": "logs", "description": "What instances and builds print, and why things are where they are"},
    {"name": "events", "description": "The story of an application"},
    {"name": "settings", "description": "Changes without a commit"},
    {"name": "secrets", "description": "Sealed values"},
    {"name": "communication", "description": "Who takes requests, which requests go where, under which names"},
    {"name": "providers", "description": "Where things run"},
    {"name": "node", "description": "This node"},
    {"name": "documented", "description": "The routes of the requirement document, as written there"},
]
VERSION_1 = (
    *(node, apps, analysis, analyses, changes, deployments, runs, events, logs, settings),
    *(communication, domains, authority, providers, reconciliation, secrets, replay),
)


def create_app(services: Services) -> FastAPI:
    app = FastAPI(
        title="IARNet",
        description=DESCRIPTION,
        version="1",
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(Story),
            Middleware(Gate, token=services.token, allowed_hosts=services.allowed_hosts),
            Middleware(BodyLimit),
        ],
    )
    app.state.services = services
    app.state.turn = asyncio.Lock()
    errors.install(app)
    docs.install(app)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(resource.router)
    app.include_router(application.router)
    app.include_router(communication.documented)
    app.include_router(domains.documented)
    app.include_router(_version_1())
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _version_1() -> APIRouter:
    router = APIRouter(prefix="/api/v1")
    for module in VERSION_1:
        router.include_router(module.router)
    return router


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's own, with our problem shape and the token that every route but one wants."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            tags=app.openapi_tags,
            routes=app.routes,
        )
        parts = schema["components"]
        parts["schemas"] |= {"Problem": errors.Problem.model_json_schema()}
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"token": []}]
        schema["paths"]["/api/health"]["get"]["security"] = []
        app.openapi_schema = precise(schema)
    return app.openapi_schema
