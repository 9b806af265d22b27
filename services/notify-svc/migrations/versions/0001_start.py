"""What notify knows of cases, what it told, preferences, webhooks and deliveries."""

import sqlalchemy as sa
from alembic import op
from handoff_kit.migrations import protect, start
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "endpoint",
    "delivery",
    "notice",
    "notice_read",
    "preference",
    "need",
    "case_in_hand",
    "consent",
    "organization",
    "shut_out",
)


def upgrade() -> None:
    start("notify")
    op.create_table(
        "endpoint",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_by_client", sa.Text(), nullable=True),
        sa.Column("hears", JSONB(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("types", JSONB(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        schema="notify",
    )
    op.create_index(
        "endpoint_hears", "endpoint", ["hears"], schema="notify", postgresql_using="gin"
    )
    op.create_index("endpoint_id", "endpoint", ["id"], schema="notify")
    op.create_index(
        "endpoint_owner", "endpoint", ["owner", "agency_id", "created_at", "id"], schema="notify"
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=True),
        sa.Column("about", sa.Uuid(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("consent_id", sa.Uuid(), nullable=True),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("attempts", JSONB(), nullable=False),
        sa.Column("earlier", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        schema="notify",
    )
    op.create_index(
        "delivery_consent",
        "delivery",
        ["consent_id"],
        schema="notify",
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "delivery_due",
        "delivery",
        ["endpoint_id", "next_try_at"],
        schema="notify",
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "delivery_mail_due",
        "delivery",
        ["next_try_at"],
        schema="notify",
        postgresql_where=sa.text("status = 'pending' AND channel = 'email'"),
    )
    op.create_index(
        "delivery_owner", "delivery", ["owner", "agency_id", "created_at", "id"], schema="notify"
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("params", JSONB(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("need_id", sa.Uuid(), nullable=True),
        sa.Column("offer_id", sa.Uuid(), nullable=True),
        sa.Column("in_feed", sa.Boolean(), nullable=False),
        schema="notify",
    )
    op.create_index(
        "notice_feed",
        "notice",
        ["owner", "agency_id", "created_at", "id"],
        schema="notify",
        postgresql_where=sa.text("in_feed"),
    )
    op.create_table(
        "notice_read",
        sa.Column("notice_id", sa.Uuid(), primary_key=True),
        sa.Column("subject", sa.Text(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        schema="notify",
    )
    op.create_table(
        "preference",
        sa.Column("owner", sa.Text(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("channels", JSONB(), nullable=False),
        sa.Column("hears", JSONB(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_by_client", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        schema="notify",
    )
    op.create_index(
        "preference_hears", "preference", ["hears"], schema="notify", postgresql_using="gin"
    )
    op.create_table(
        "need",
        sa.Column("need_id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("of_resident", sa.Boolean(), nullable=False),
        sa.Column("referrer", sa.Text(), nullable=False),
        sa.Column("referrer_role", sa.Text(), nullable=False),
        schema="notify",
    )
    op.create_index("need_case", "need", ["case_id"], schema="notify")
    op.create_table(
        "case_in_hand",
        sa.Column("case_id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        schema="notify",
    )
    op.create_table(
        "consent",
        sa.Column("consent_id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("feedback", sa.Boolean(), nullable=False),
        sa.Column("categories", JSONB(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        schema="notify",
    )
    op.create_index("consent_case", "consent", ["case_id"], schema="notify")
    op.create_table(
        "organization",
        sa.Column("organization_id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        schema="notify",
    )
    op.create_table(
        "shut_out",
        sa.Column("caller", sa.Text(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        schema="notify",
    )
    protect("notify", *TABLES)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table, schema="notify")
