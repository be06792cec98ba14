"""A host port is there twice, for TCP and for UDP.

Forward only: an older version refuses this database, and the way back is a backup.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_KEPT = ("provider_id", "port", "app", "key")


def upgrade() -> None:
    """Made anew, as SQLite can't change a key. What was published so far says its transport at the end of its key."""
    rows = op.get_bind().execute(sa.select(sa.table("ports", *map(sa.column, _KEPT)))).mappings().all()
    op.drop_table("ports")
    ports = op.create_table(
        "ports",
        sa.Column("provider_id", sa.Text, primary_key=True),
        sa.Column("port", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("transport", sa.Text, primary_key=True),
        sa.Column("app", sa.Text, nullable=False, index=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.UniqueConstraint("provider_id", "app", "key"),
    )
    op.bulk_insert(ports, [{**row, "transport": _transport(row["key"])} for row in rows])


def _transport(key: str) -> str:
    return "udp" if key.endswith("/udp") else "tcp"
