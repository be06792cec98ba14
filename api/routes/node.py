"""This node."""

from importlib.metadata import version

from fastapi import APIRouter

from api.deps import Given
from api.errors import refusals
from iarnet.models.base import Time, Value

router = APIRouter(prefix="/node", tags=["node"], responses=refusals())


class Node(Value):
    """`owner`: the label `iarnet.owner` of what it makes; `temporal_ui`: where runs can be looked at, or empty."""

    node: str
    owner: str
    version: str
    namespace: str
    task_queue: str
    temporal_ui: str
    time: Time


@router.get("", operation_id="getNode", summary="Who this node is")
async def node(given: Given) -> Node:
    return Node(
        node=given.node,
        owner=given.owner,
        version=version("iarnet"),
        namespace=given.namespace,
        task_queue=given.task_queue,
        temporal_ui=given.temporal_ui,
        time=given.clock(),
    )
