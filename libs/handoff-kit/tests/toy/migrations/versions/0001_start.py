"""The kit's tables and one of the toy's own: what was applied, in order."""

import sqlalchemy as sa
from alembic import op
from handoff_kit.migrations import protect, start

revision = "0001"
down_revision = None


def upgrade() -> None:
    start("toy")
    op.create_table(
        "applied",
        sa.Column("agency_id", sa.Text, nullable=False),
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger),
        schema="toy",
    )
    protect("toy", "applied")
