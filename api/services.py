"""What the API is given by the process that it runs in. Without FastAPI: that process makes it before it serves."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from temporalio.client import Client

from iarnet.gateway.base import Gateway
from iarnet.models.analysis import Analysis
from iarnet.models.change import ReplayReport
from iarnet.models.provider import ProviderHealth, ProviderRegistration
from iarnet.models.source import GitSource
from iarnet.providers.base import Providers
from iarnet.secrets.base import Secrets
from iarnet.store.base import Store


@dataclass(frozen=True, kw_only=True)
class Services:
    """`temporal_ui` is the base address of the Temporal web UI, or empty. `allowed_hosts` are the names, besides
    those of the loopback, under which clients may address this node (the host it listens on among them).
    `analyze` says what is in a repository that is not imported.
    `replay` takes a workflow ID and a run ID (None: the newest run). `gateway` is None where nothing leads traffic;
    it answers names at `http_port` and `https_port`. `authority` gives the certificate of the one that signs our own,
    PEM.
    """

    store: Store
    temporal: Client
    providers: Providers
    secrets: Secrets
    token: str = field(repr=False)
    node: str
    owner: str
    namespace: str
    clock: Callable[[], datetime]
    add_provider: Callable[[ProviderRegistration], Awaitable[ProviderHealth]]
    remove_provider: Callable[[str], Awaitable[None]]
    replay: Callable[[str, str | None], Awaitable[ReplayReport]]
    analyze: Callable[[GitSource], Awaitable[Analysis]]
    gateway: Gateway | None = None
    http_port: int = 80
    https_port: int = 443
    authority: Callable[[], Awaitable[str]] | None = None
    temporal_ui: str = ""
    task_queue: str = "iarnet"
    allowed_hosts: tuple[str, ...] = ()
