"""When a service left its source's feed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "service",
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        schema="partner",
    )


def downgrade() -> None:
    op.drop_column("service", "left_at", schema="partner")
