"""The trace that a deployment is part of.

Forward only: an older version refuses this database, and the way back is a backup.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("deployments", sa.Column("trace", sa.Text, nullable=False, server_default=sa.text("''")))
