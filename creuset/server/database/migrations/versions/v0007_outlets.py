"""The audit log goes out: what was sent last to each receiver."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "audit_outlets",
        sa.Column("target", sa.String(256), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
