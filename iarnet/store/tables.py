"""The schema. A change here needs a revision in `migrations/versions`; the contract suite compares the two."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from iarnet.models.analysis import Analysis
from iarnet.models.app import Event, Revision, Settings
from iarnet.models.change import Failure, Progress
from iarnet.models.domains import Certificate, Challenge, Domain
from iarnet.models.instance import Instance, InstanceSpec
from iarnet.models.plan import Plan
from iarnet.models.provider import ProviderRegistration, ProviderState
from iarnet.models.source import GitSource, Source
from iarnet.models.traffic import Endpoint, Route, Service
from iarnet.store.columns import Document, Moment

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _app() -> Column[str]:
    """What is recorded of an app goes with it."""
    return Column("app", Text, ForeignKey("apps.name", ondelete="CASCADE"), primary_key=True)


def _domain() -> Column[str]:
    return Column("host", Text, ForeignKey("domains.host", ondelete="CASCADE"), primary_key=True)


apps = Table(
    "apps",
    metadata,
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("git", Document(GitSource), nullable=False),
    Column("status", Text, nullable=False),
    Column("settings", Document(Settings), nullable=False),
    Column("commit", Text),
    Column("revision", Integer, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

# No foreign key: deployments and events outlive their app, so that numbers and epochs are never used twice.
deployments = Table(
    "deployments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("app", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("workflow_id", Text, nullable=False),
    Column("run_id", Text, nullable=False, unique=True),
    Column("node", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("previous_revision", Integer, nullable=False),
    Column("progress", Document(Progress)),
    Column("failure", Document(Failure)),
    Column("plan", Document(Plan)),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("trace", Text, nullable=False, server_default=text("''")),
    UniqueConstraint("app", "number"),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("app", Text, nullable=False, index=True),
    Column("event", Document(Event), nullable=False),
    sqlite_autoincrement=True,
)

sources = Table(
    "sources",
    metadata,
    _app(),
    Column("commit", Text, primary_key=True),
    Column("source", Document(Source), nullable=False),
    Column("fetched_at", Moment, nullable=False),
)

analyses = Table(
    "analyses",
    metadata,
    _app(),
    Column("tree", Text, primary_key=True),
    Column("analysis", Document(Analysis), nullable=False),
)

revisions = Table(
    "revisions",
    metadata,
    _app(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("revision", Document(Revision), nullable=False),
)

build_logs = Table(
    "build_logs",
    metadata,
    _app(),
    Column("component", Text, primary_key=True),
    Column("image", Text, nullable=False),
    Column("lines", Document(tuple[str, ...]), nullable=False),
    Column("written_at", Moment, nullable=False),
)

# Keyed by name and provider: during a move the same name is on two.
instances = Table(
    "instances",
    metadata,
    Column("name", Text, primary_key=True),
    Column("provider_id", Text, primary_key=True),
    Column("app", Text, ForeignKey("apps.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("epoch", BigInteger, nullable=False),
    Column("spec", Document(InstanceSpec), nullable=False),
    Column("instance", Document(Instance)),
    Column("intended_at", Moment, nullable=False),
)

registrations = Table(
    "provider_registrations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("registration", Document(ProviderRegistration), nullable=False),
)

provider_states = Table(
    "provider_states",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Document(ProviderState), nullable=False),
    Column("seen_at", Moment, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("id", Text, primary_key=True),
    Column("provider_id", Text, nullable=False, index=True),
    Column("app", Text, nullable=False, index=True),
    Column("component", Text, nullable=False),
    Column("instance", Text, nullable=False),
    Column("cpu_millis", BigInteger, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("storage_bytes", BigInteger, nullable=False),
    Column("gpu_millis", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", Moment),
)

ports = Table(
    "ports",
    metadata,
    Column("provider_id", Text, primary_key=True),
    Column("port", Integer, primary_key=True, autoincrement=False),
    Column("transport", Text, primary_key=True),
    Column("app", Text, nullable=False, index=True),
    Column("key", Text, nullable=False),
    UniqueConstraint("provider_id", "app", "key"),
)

services = Table(
    "services",
    metadata,
    Column("provider_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("app", Text, ForeignKey("apps.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("service", Document(Service), nullable=False),
)

# Keyed like instances, and for the same reason.
endpoints = Table(
    "endpoints",
    metadata,
    Column("instance", Text, primary_key=True),
    Column("provider_id", Text, primary_key=True),
    Column("app", Text, ForeignKey("apps.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("component", Text, nullable=False),
    Column("endpoint", Document(Endpoint), nullable=False),
)

routes = Table(
    "routes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("app", Text, ForeignKey("apps.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("route", Document(Route), nullable=False),
)

domains = Table(
    "domains",
    metadata,
    Column("host", Text, primary_key=True),
    Column("app", Text, ForeignKey("apps.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("domain", Document(Domain), nullable=False),
)

certificates = Table(
    "certificates",
    metadata,
    _domain(),
    Column("certificate", Document(Certificate), nullable=False),
)

challenges = Table(
    "challenges",
    metadata,
    _domain(),
    Column("token", Text, primary_key=True),
    Column("challenge", Document(Challenge), nullable=False),
)

# One row, made with the table.
traffic_version = Table(
    "traffic_version",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
)

# One row, made at the first start.
installation = Table(
    "installation",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("written_at", Moment, nullable=False),
)
