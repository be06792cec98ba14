"""The search attributes by which runs are found, whoever has started them."""

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

_APP = SearchAttributeKey.for_keyword("IarnetApp")
_CAUSE = SearchAttributeKey.for_keyword("IarnetCause")
NODE = SearchAttributeKey.for_keyword("IarnetNode")
_REVISION = SearchAttributeKey.for_int("IarnetRevision")


def found_by(*, app: str = "", cause: str = "", node: str = "", revision: int = 0) -> None:
    """Set what is given and not set like that already."""
    updates = [
        *_update(_APP, app),
        *_update(_CAUSE, cause),
        *_update(NODE, node),
        *_update(_REVISION, revision),
    ]
    if updates:
        workflow.upsert_search_attributes(updates)


def _update(key: SearchAttributeKey[Any], value: str | int) -> list[SearchAttributeUpdate[Any]]:
    known = workflow.info().typed_search_attributes.get(key)
    return [key.value_set(value)] if value and value != known else []
