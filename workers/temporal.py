"""The Temporal that a node uses: its own, or one that is there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client, TLSConfig
from temporalio.service import RPCError, RPCStatusCode

from iarnet.config import Settings
from iarnet.config_sections import Temporal, TemporalTls
from iarnet.errors import Missing
from workers import search_attributes, temporal_server
from workers.converter import CONVERTER

_RETENTION = timedelta(days=30)


@dataclass(frozen=True)
class Connection:
    """`ui` is the address of the web UI, or empty when we don't know it."""

    client: Client
    ui: str


@asynccontextmanager
async def connection(settings: Settings, identity: str) -> AsyncIterator[Connection]:
    """Connected, with the namespace and the search attributes in place. Our own server ends with the block.

    Raises `Missing` when it can't be reached, or lacks something that this node may not add.
    """
    if settings.temporal.address:
        yield await _ready(settings.temporal, settings.temporal.address, identity, ui="")
        return
    directory = settings.data_dir / "temporal"
    launch = partial(
        temporal_server.start,
        directory,
        binary=settings.temporal.binary,
        namespace=settings.temporal.namespace,
        strict=settings.temporal.strict,
        attributes=search_attributes.ATTRIBUTES,
    )
    server = await launch(port=settings.temporal.port, ui_port=settings.temporal.ui_port)
    keeper = asyncio.create_task(temporal_server.keep(server, launch))
    try:
        yield await _ready(settings.temporal, server.address, identity, server.ui)
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])
        await temporal_server.stop(directory)


async def _ready(temporal: Temporal, address: str, identity: str, ui: str) -> Connection:
    try:
        client = await Client.connect(
            address,
            namespace=temporal.namespace,
            identity=identity,
            data_converter=CONVERTER,
            tls=_tls(temporal.tls) if temporal.tls.enabled else False,
            api_key=temporal.api_key_file.read_text().strip() if temporal.api_key_file else None,
        )
        await _ensure_namespace(client)
        await search_attributes.ensure(client)
    except (RPCError, RuntimeError) as error:
        raise Missing(
            f"Temporal at {address} can't be used: {error}.",
            where="temporal.address",
            hint="Check the address, the certificates and the API key; leave temporal.address empty for our own.",
        ) from error
    return Connection(client, ui)


def _tls(tls: TemporalTls) -> TLSConfig:
    return TLSConfig(
        domain=tls.server_name or None,
        server_root_ca_cert=tls.ca_file.read_bytes() if tls.ca_file else None,
        client_cert=tls.cert_file.read_bytes() if tls.cert_file else None,
        client_private_key=tls.key_file.read_bytes() if tls.key_file else None,
    )


async def _ensure_namespace(client: Client) -> None:
    """There, and keeping finished runs for 30 days. A namespace that others administer is used as it is."""
    retention = Duration()
    retention.FromTimedelta(_RETENTION)
    service = client.workflow_service
    try:
        found = await service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        await service.register_namespace(
            RegisterNamespaceRequest(
                namespace=client.namespace, workflow_execution_retention_period=retention, description="IARNet"
            )
        )
        return
    kept = found.config.workflow_execution_retention_ttl.ToTimedelta()
    if kept < _RETENTION:
        try:
            await service.update_namespace(
                UpdateNamespaceRequest(
                    namespace=client.namespace,
                    config=NamespaceConfig(workflow_execution_retention_ttl=retention),
                )
            )
        except RPCError as error:
            if error.status != RPCStatusCode.PERMISSION_DENIED:
                raise
