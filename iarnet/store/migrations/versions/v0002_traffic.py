"""What leads traffic to instances.

Forward only: an older version refuses this database, and the way back is a backup.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "services",
        sa.Column("provider_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        _app(),
        sa.Column("service", sa.Text, nullable=False),
    )
    op.create_table(
        "endpoints",
        sa.Column("instance", sa.Text, primary_key=True),
        sa.Column("provider_id", sa.Text, primary_key=True),
        _app(),
        sa.Column("component", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
    )
    op.create_table(
        "routes",
        sa.Column("id", sa.Text, primary_key=True),
        _app(),
        sa.Column("route", sa.Text, nullable=False),
    )
    version = op.create_table(
        "traffic_version", sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False)
    )
    op.execute(version.insert().values(version=0))


def _app() -> sa.Column[str]:
    return sa.Column("app", sa.Text, sa.ForeignKey("apps.name", ondelete="CASCADE"), nullable=False, index=True)
