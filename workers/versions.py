"""Workers of two versions side by side: a run ends on the version that it began on, new ones begin on the newest.

Temporal's worker deployments do it (https://docs.temporal.io/worker-versioning). All runs are pinned but the watches:
those never end, and move on.
"""

import asyncio
from importlib.metadata import version
from typing import Any

import structlog
from temporalio.api.deployment.v1 import WorkerDeploymentVersion as Found
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentResponse,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

from workers.moving import Moving
from workers.sandbox import runner

DEPLOYMENT = "iarnet"

_KNOWN_S = 30.0
_LOOK_S = 0.1
# Not known yet, known without its queue, changed by another worker since we looked.
_NOT_YET = (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.ABORTED)

log = structlog.get_logger()


def options(build: str) -> dict[str, Any]:
    """Of a worker that runs workflows. Without a build it takes whatever there is."""
    if not build:
        return {"workflow_runner": runner(), **unversioned()}
    made = WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=build)
    config = WorkerDeploymentConfig(
        version=made, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
    )
    return {"workflow_runner": runner(Moving), "deployment_config": config}


def unversioned() -> dict[str, Any]:
    # The default hashes the code of every loaded module: 0.2 s, and 3 s where Python keeps no bytecode.
    return {"build_id": version("iarnet")}


async def take_over(client: Client, build: str) -> bool:
    """From now on runs begin on this build, unless a newer one has them: then False. Its workers must be at work.

    Raises `RPCError`, also when the server does not know these workers after half a minute.
    """
    deadline = asyncio.get_running_loop().time() + _KNOWN_S
    while True:
        try:
            return await _set_current(client, build)
        except RPCError as error:
            if error.status not in _NOT_YET or asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(_LOOK_S)


async def _set_current(client: Client, build: str) -> bool:
    service = client.workflow_service
    found: DescribeWorkerDeploymentResponse = await service.describe_worker_deployment(
        DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=DEPLOYMENT)
    )
    current: Found = found.worker_deployment_info.routing_config.current_deployment_version
    if current.build_id and _order(current.build_id) >= _order(build):
        if current.build_id != build:
            log.info("new runs begin on a newer build", build=build, current=current.build_id)
        return current.build_id == build
    await service.set_worker_deployment_current_version(
        SetWorkerDeploymentCurrentVersionRequest(
            namespace=client.namespace,
            deployment_name=DEPLOYMENT,
            build_id=build,
            conflict_token=found.conflict_token,
            identity=client.identity,
        )
    )
    log.info("new runs begin here", build=build, before=current.build_id)
    return True


def _order(build: str) -> tuple[int, ...]:
    return tuple(map(int, build.split(".")))
