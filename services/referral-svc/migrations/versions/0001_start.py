"""Cases, needs, offers, timeline, matches, consents and the copy of the directory."""

import sqlalchemy as sa
from alembic import op
from handoff_kit.migrations import protect, start
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    start("referral")
    op.create_table(
        "case",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("area", JSONB(), nullable=False),
        sa.Column("property_id", sa.Uuid(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("assignee", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("close_reason", sa.Text(), nullable=True),
        sa.Column("attempts", JSONB(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        schema="referral",
    )
    op.create_index("case_newest", "case", ["opened_at", "id", "agency_id"], schema="referral")
    op.create_table(
        "need",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("urgency", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("attention", sa.Text(), nullable=True),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("referrer", sa.Text(), nullable=False),
        sa.Column("referrer_role", sa.Text(), nullable=False),
        sa.Column("referrer_organization_id", sa.Uuid(), nullable=True),
        sa.Column("feedback", sa.Boolean(), nullable=False),
        sa.Column("consent_id", sa.Uuid(), nullable=True),
        sa.Column("inspection_id", sa.Uuid(), nullable=True),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_basis", sa.Text(), nullable=True),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("target_kind", sa.Text(), nullable=False),
        sa.Column("match_id", sa.Uuid(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        schema="referral",
    )
    op.create_index("need_case", "need", ["case_id"], schema="referral")
    op.create_index(
        "need_waiting",
        "need",
        ["agency_id", "requested_at", "id"],
        schema="referral",
        postgresql_where=sa.text("attention IN ('ask-first', 'no-candidates')"),
    )
    op.create_index("need_referrer", "need", ["referrer", "agency_id"], schema="referral")
    op.create_table(
        "offer",
        sa.Column("case_id", sa.Uuid(), primary_key=True),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("need_id", sa.Uuid(), nullable=False),
        sa.Column("parent_offer_id", sa.Uuid(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=True),
        sa.Column("target_kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("asked", sa.Text(), nullable=True),
        sa.Column("match_id", sa.Uuid(), nullable=True),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clock", sa.Text(), nullable=True),
        sa.Column("clock_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clock_left", sa.Integer(), nullable=True),
        sa.Column("reminders", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        schema="referral",
    )
    op.create_index(
        "offer_clock",
        "offer",
        ["clock_due_at"],
        schema="referral",
        postgresql_where=sa.text("clock_due_at IS NOT NULL"),
    )
    op.create_index(
        "offer_organization", "offer", ["organization_id", "agency_id"], schema="referral"
    )
    op.create_table(
        "timeline",
        sa.Column("case_id", sa.Uuid(), primary_key=True),
        sa.Column("n", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entries", JSONB(), nullable=False),
        schema="referral",
    )
    op.create_table(
        "match",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("inputs", JSONB(), nullable=False),
        sa.Column("candidates", JSONB(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("directory_version", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        schema="referral",
    )
    op.create_table(
        "consent",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("over", sa.Boolean(), nullable=False),
        sa.Column("recipients", JSONB(), nullable=False),
        sa.Column("categories", JSONB(), nullable=False),
        sa.Column("feedback", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        schema="referral",
    )
    op.create_index("consent_case", "consent", ["case_id"], schema="referral")
    op.create_index(
        "consent_over",
        "consent",
        ["id"],
        schema="referral",
        postgresql_where=sa.text("over"),
    )
    op.create_table(
        "turn",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        schema="referral",
    )
    op.create_table(
        "directory_head",
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        schema="referral",
    )
    op.create_table(
        "organization",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("agreement_active", sa.Boolean(), nullable=False),
        sa.Column("participants", JSONB(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        schema="referral",
    )
    op.create_index("organization_stamp", "organization", ["stamp", "agency_id"], schema="referral")
    op.create_table(
        "service",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
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
        sa.Column("declined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        schema="referral",
    )
    op.create_index("service_stamp", "service", ["stamp", "agency_id"], schema="referral")
    op.create_table(
        "retry",
        sa.Column("agency_id", sa.Text(), primary_key=True),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.BigInteger(), nullable=False),
        sa.Column("after_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("after_id", sa.Uuid(), nullable=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        schema="referral",
    )
    protect(
        "referral",
        "case",
        "need",
        "offer",
        "timeline",
        "match",
        "consent",
        "turn",
        "directory_head",
        "retry",
        "organization",
        "service",
    )


def downgrade() -> None:
    op.execute("DROP SCHEMA referral CASCADE")
