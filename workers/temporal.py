"""The Temporal that a node uses: its own, or one that is there."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client, Interceptor, TLSConfig
from temporalio.service import RPCError, RPCStatusCode

from iarnet.config import Settings
from iarnet.config_sections import Temporal, TemporalTls
from iarnet.errors import InvalidConfig
from workers import search_attributes, temporal_server
from workers.converter import CONVERTER
from workers.temporal_refusal import refusal

_RETENTION = timedelta(days=30)
_ANSWER_S = 10.0
_KNOWN_S = 45.0
_PUBLISHED_S = 2.5


@dataclass(frozen=True)
class Connection:
    """`ui` is the address of the web UI, or empty when we don't know it."""

    client: Client
    ui: str


@asynccontextmanager
async def connection(
    settings: Settings, identity: str, interceptors: Sequence[Interceptor] = ()
) -> AsyncIterator[Connection]:
    """Connected, with the namespace and the search attributes in place. Our own server ends with the block.

    Raises `Missing` when it can't be reached, or lacks something that this node may not add.
    """
    if settings.temporal.address:
        yield await _ready(settings.temporal, settings.temporal.address, identity, interceptors, ui="")
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
        yield await _ready(settings.temporal, server.address, identity, interceptors, server.ui)
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])
        await temporal_server.stop(directory)


async def _ready(
    temporal: Temporal, address: str, identity: str, interceptors: Sequence[Interceptor], ui: str
) -> Connection:
    try:
        async with asyncio.timeout(_ANSWER_S):
            client = await Client.connect(
                address,
                namespace=temporal.namespace,
                identity=identity,
                data_converter=CONVERTER,
                interceptors=interceptors,
                tls=_tls(temporal.tls) if temporal.tls.enabled else False,
                api_key=_content("api_key_file", temporal.api_key_file).decode().strip() or None,
            )
            await _ensure_namespace(client)
        await _ensure_attributes(client)
    except (RPCError, RuntimeError, ValueError, TimeoutError) as error:
        raise refusal(address, error) from error
    return Connection(client, ui)


def _tls(tls: TemporalTls) -> TLSConfig:
    return TLSConfig(
        domain=tls.server_name or None,
        server_root_ca_cert=_content("tls.ca_file", tls.ca_file) or None,
        client_cert=_content("tls.cert_file", tls.cert_file) or None,
        client_private_key=_content("tls.key_file", tls.key_file) or None,
    )


def _content(key: str, file: Path | None) -> bytes:
    """Nothing without a file. Raises `InvalidConfig` for one that can't be read."""
    try:
        return file.read_bytes() if file else b""
    except OSError as error:
        raise InvalidConfig(
            f"{file} can't be read: {error.strerror}.", where=f"temporal.{key}", hint="Name a file of this machine."
        ) from error


async def _ensure_attributes(client: Client) -> None:
    """A namespace that was made just now is known to all parts of a server only after some seconds.

    So are new attributes, and a run that sets one too early would lose ten seconds: nothing tells when the last part
    of the server has looked, which each does every two seconds.
    """
    deadline = asyncio.get_running_loop().time() + _KNOWN_S
    while True:
        try:
            if await search_attributes.ensure(client):
                await asyncio.sleep(_PUBLISHED_S)
            return
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND or asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.2)


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
