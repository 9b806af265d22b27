"""Offers, ended consents, the directory and its imports."""

import sqlalchemy as sa
from alembic import op
from handoff_kit.migrations import protect, start
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    start("partner")
    op.create_table(
        "offer",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("need_id", sa.Uuid(), nullable=False),
        sa.Column("parent_offer_id", sa.Uuid(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=True),
        sa.Column("target_kind", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("urgency", sa.Text(), nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("area", JSONB(), nullable=False),
        sa.Column("consent_id", sa.Uuid(), nullable=True),
        sa.Column("property_id", sa.Uuid(), nullable=True),
        sa.Column("inspection_id", sa.Uuid(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_basis", sa.Text(), nullable=True),
        sa.Column("answer_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("business_status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("party", sa.Text(), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("appointment_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("facts_read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        schema="partner",
    )
    op.create_index(
        "offer_case",
        "offer",
        ["case_id"],
        schema="partner",
    )
    op.create_index(
        "offer_newest",
        "offer",
        ["created_at", "id", "agency_id"],
        schema="partner",
    )
    op.create_index(
        "offer_target",
        "offer",
        ["organization_id", "created_at", "id"],
        schema="partner",
    )
    op.create_index(
        "offer_target_open",
        "offer",
        ["organization_id", "created_at", "id"],
        schema="partner",
        postgresql_where=sa.text("status IN ('accepted', 'in-progress', 'on-hold', 'requested')"),
    )
    op.create_table(
        "ended_consent",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        schema="partner",
    )
    op.create_table(
        "organization",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sort_name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("agreement_active", sa.Boolean(), nullable=False),
        sa.Column("enforcement", sa.Boolean(), nullable=False),
        sa.Column("participants", JSONB(), nullable=False),
        sa.Column("document", JSONB(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        schema="partner",
    )
    op.create_index(
        "organization_name",
        "organization",
        ["sort_name", "id", "agency_id"],
        schema="partner",
    )
    op.create_table(
        "service",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sort_name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("needs", JSONB(), nullable=False),
        sa.Column("areas", JSONB(), nullable=False),
        sa.Column("areas_partly", JSONB(), nullable=False),
        sa.Column("area_unknown", sa.Boolean(), nullable=False),
        sa.Column("minimum_age", sa.Float(), nullable=True),
        sa.Column("maximum_age", sa.Float(), nullable=True),
        sa.Column("languages", JSONB(), nullable=False),
        sa.Column("languages_unknown", sa.Boolean(), nullable=False),
        sa.Column("interpretation", sa.Boolean(), nullable=True),
        sa.Column("eligibility", JSONB(), nullable=False),
        sa.Column("capacity", sa.Text(), nullable=True),
        sa.Column("capacity_available", sa.Integer(), nullable=True),
        sa.Column("capacity_said_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("assured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("document", JSONB(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        schema="partner",
    )
    op.create_index(
        "service_name",
        "service",
        ["sort_name", "id", "agency_id"],
        schema="partner",
    )
    op.create_index(
        "service_organization",
        "service",
        ["organization_id", "sort_name", "id"],
        schema="partner",
    )
    op.create_table(
        "location",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("document", JSONB(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        schema="partner",
    )
    op.create_table(
        "directory_head",
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        schema="partner",
    )
    op.create_table(
        "directory_import",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counts", JSONB(), nullable=False),
        schema="partner",
    )
    op.create_table(
        "directory_import_row",
        sa.Column("import_id", sa.Uuid(), primary_key=True),
        sa.Column("n", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("table", sa.Text(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=True),
        sa.Column("feed_id", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        schema="partner",
    )
    protect(
        "partner",
        "offer",
        "ended_consent",
        "organization",
        "service",
        "location",
        "directory_head",
        "directory_import",
        "directory_import_row",
    )


def downgrade() -> None:
    for table in (
        "directory_import_row",
        "directory_import",
        "directory_head",
        "location",
        "service",
        "organization",
        "ended_consent",
        "offer",
    ):
        op.drop_table(table, schema="partner")
