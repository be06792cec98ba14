"""Names under which people reach what runs.

Forward only: an older version refuses this database, and the way back is a backup.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "domains",
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("app", sa.Text, sa.ForeignKey("apps.name", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("domain", sa.Text, nullable=False),
    )
    op.create_table("certificates", _host(), sa.Column("certificate", sa.Text, nullable=False))
    op.create_table(
        "challenges",
        _host(),
        sa.Column("token", sa.Text, primary_key=True),
        sa.Column("challenge", sa.Text, nullable=False),
    )


def _host() -> sa.Column[str]:
    return sa.Column("host", sa.Text, sa.ForeignKey("domains.host", ondelete="CASCADE"), primary_key=True)
