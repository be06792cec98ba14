"""The first schema.

Forward only: an older version refuses a newer database, and the way back is a backup.
"""

import sqlalchemy as sa
from alembic import op

from iarnet.store.columns import Moment

revision = "0001"
down_revision = None


def upgrade() -> None:
    _intent()
    _story()
    _snapshots()
    _running()
    _ledger()


def _intent() -> None:
    op.create_table(
        "apps",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("git", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("commit", sa.Text),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
    )
    op.create_table(
        "provider_registrations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("registration", sa.Text, nullable=False),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("written_at", Moment, nullable=False),
    )


def _story() -> None:
    op.create_table(
        "deployments",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("workflow_id", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False, unique=True),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("previous_revision", sa.Integer, nullable=False),
        sa.Column("progress", sa.Text),
        sa.Column("failure", sa.Text),
        sa.Column("plan", sa.Text),
        sa.Column("started_at", Moment, nullable=False),
        sa.Column("finished_at", Moment),
        sa.UniqueConstraint("app", "number"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("app", sa.Text, nullable=False, index=True),
        sa.Column("event", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )


def _snapshots() -> None:
    op.create_table(
        "sources",
        _app(),
        sa.Column("commit", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("fetched_at", Moment, nullable=False),
    )
    op.create_table(
        "analyses",
        _app(),
        sa.Column("tree", sa.Text, primary_key=True),
        sa.Column("analysis", sa.Text, nullable=False),
    )
    op.create_table(
        "revisions",
        _app(),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.Text, nullable=False),
    )
    op.create_table(
        "build_logs",
        _app(),
        sa.Column("component", sa.Text, primary_key=True),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("lines", sa.Text, nullable=False),
        sa.Column("written_at", Moment, nullable=False),
    )


def _running() -> None:
    op.create_table(
        "instances",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("provider_id", sa.Text, primary_key=True),
        sa.Column("app", sa.Text, sa.ForeignKey("apps.name", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("instance", sa.Text),
        sa.Column("intended_at", Moment, nullable=False),
    )
    op.create_table(
        "provider_states",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("seen_at", Moment, nullable=False),
    )


def _ledger() -> None:
    op.create_table(
        "leases",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("provider_id", sa.Text, nullable=False, index=True),
        sa.Column("app", sa.Text, nullable=False, index=True),
        sa.Column("component", sa.Text, nullable=False),
        sa.Column("instance", sa.Text, nullable=False),
        sa.Column("cpu_millis", sa.BigInteger, nullable=False),
        sa.Column("memory_bytes", sa.BigInteger, nullable=False),
        sa.Column("storage_bytes", sa.BigInteger, nullable=False),
        sa.Column("gpu_millis", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("expires_at", Moment),
    )
    op.create_table(
        "ports",
        sa.Column("provider_id", sa.Text, primary_key=True),
        sa.Column("port", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("app", sa.Text, nullable=False, index=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.UniqueConstraint("provider_id", "app", "key"),
    )


def _app() -> sa.Column[str]:
    return sa.Column("app", sa.Text, sa.ForeignKey("apps.name", ondelete="CASCADE"), primary_key=True)
