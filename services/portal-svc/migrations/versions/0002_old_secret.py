"""A client's secret before its last rotation, and until when it is good beside the new one."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "client", sa.Column("old_secret_hash", sa.LargeBinary(), nullable=True), schema="portal"
    )
    op.add_column(
        "client",
        sa.Column("old_secret_ends_at", sa.DateTime(timezone=True), nullable=True),
        schema="portal",
    )


def downgrade() -> None:
    op.drop_column("client", "old_secret_ends_at", schema="portal")
    op.drop_column("client", "old_secret_hash", schema="portal")
