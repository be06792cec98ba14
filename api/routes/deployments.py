"""What was done to an application, and the states that were asked of it."""

from fastapi import APIRouter, Query

from api.bodies import PlainText
from api.deps import Given
from api.errors import refusals
from iarnet.errors import NotFound
from iarnet.models.app import Revision
from iarnet.models.base import AppName, Value
from iarnet.models.change import Deployment
from iarnet.models.instance import Instance
from iarnet.models.plan import Plan

router = APIRouter(tags=["deployments"], responses=refusals(NotFound))


class Deployments(Value):
    deployments: list[Deployment]


class Instances(Value):
    instances: list[Instance]


class Revisions(Value):
    revisions: list[Revision]


@router.get("/apps/{app}/deployments", operation_id="listDeployments", summary="All changes, newest first")
async def deployments(app: AppName, given: Given, limit: int = Query(50, ge=1, le=1000)) -> Deployments:
    """Those of a deleted application too."""
    found = await given.store.facts.deployments(app, limit=limit)
    if not found:
        await given.store.apps.get(app)
    return Deployments(deployments=found)


@router.get("/deployments/{deployment_id}", operation_id="getDeployment", summary="One change")
async def deployment(deployment_id: PlainText, given: Given) -> Deployment:
    return await given.store.facts.deployment(deployment_id)


@router.get(
    "/deployments/{deployment_id}/plan", operation_id="getDeploymentPlan", summary="What the change was to do"
)
async def deployment_plan(deployment_id: PlainText, given: Given) -> Plan:
    await given.store.facts.deployment(deployment_id)
    plan = await given.store.facts.plan(deployment_id)
    if plan is None:
        hint = "a change that fails before it is planned leaves none"
        raise NotFound(f"deployment {deployment_id!r} has no plan", where=deployment_id, hint=hint)
    return plan


@router.get("/apps/{app}/instances", operation_id="listInstances", summary="What runs of an application")
async def instances(app: AppName, given: Given) -> Instances:
    await given.store.apps.get(app)
    return Instances(instances=await given.store.instances.list(app=app))


@router.get("/apps/{app}/revisions", operation_id="listRevisions", summary="All desired states, newest first")
async def revisions(app: AppName, given: Given) -> Revisions:
    await given.store.apps.get(app)
    return Revisions(revisions=await given.store.facts.revisions(app))
