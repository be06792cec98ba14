"""The search attributes by which runs are found."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from iarnet.errors import Missing

ATTRIBUTES = {
    "IarnetApp": "Keyword",
    "IarnetNode": "Keyword",
    "IarnetCause": "Keyword",
    "IarnetRevision": "Int",
}
_TYPES = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "Int": IndexedValueType.INDEXED_VALUE_TYPE_INT,
}


async def ensure(client: Client) -> bool:
    """Register what is missing: a workflow that sets an unknown one would retry for ever. Whether anything was.

    Raises `Missing` with the commands to run when this client may not register.
    """
    service = client.operator_service
    known = await service.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    missing = {name: kind for name, kind in ATTRIBUTES.items() if name not in known.custom_attributes}
    if not missing:
        return False
    wanted = {name: _TYPES[kind] for name, kind in missing.items()}
    try:
        await service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted)
        )
    except RPCError as error:
        if error.status == RPCStatusCode.ALREADY_EXISTS:
            return True
        commands = " && ".join(
            f"temporal operator search-attribute create --namespace {client.namespace} --name {n} --type {k}"
            for n, k in missing.items()
        )
        raise Missing(
            f"Temporal lacks the search attributes {', '.join(missing)}, and this node may not register them.",
            where=client.namespace,
            hint=f"Run: {commands}",
        ) from error
    return True
