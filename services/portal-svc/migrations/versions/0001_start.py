"""Clients, people and sessions; the read models of the pages."""

import sqlalchemy as sa
from alembic import op
from handoff_kit.migrations import protect, start
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

DOORS = ("client", "person", "session", "sign_in_failure", "assertion")
RESTRICTABLE = ("case_view", "need_view", "offer_view", "consent_view")
VIEWS = (*RESTRICTABLE, "organization_view", "delivery_view", "parked_view", "flow_view")


def _text(name: str, *, key: bool = False, null: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), primary_key=key, nullable=null)


def _uuid(name: str, *, key: bool = False, null: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.Uuid(), primary_key=key, nullable=null)


def _time(name: str, *, null: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null)


def _bytes(name: str, *, key: bool = False, null: bool = False) -> "sa.Column[bytes]":
    return sa.Column(name, sa.LargeBinary(), primary_key=key, nullable=null)


def _json(name: str, *, null: bool = False) -> "sa.Column[object]":
    return sa.Column(name, JSONB(), nullable=null)


def _whole(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.Integer(), nullable=False)


def _yes_or_no(name: str) -> "sa.Column[bool]":
    return sa.Column(name, sa.Boolean(), nullable=False)


def upgrade() -> None:
    start("portal")
    _doors()
    _cases()
    _offers()
    _flows()
    protect("portal", *DOORS, *VIEWS)
    for table in RESTRICTABLE:
        # A second wall: a reader of restricted rows has to say that it is one.
        op.execute(
            f"CREATE POLICY restricted ON portal.{table} AS RESTRICTIVE TO handoff_portal"
            " USING (NOT restricted OR current_setting('handoff.restricted', true) = 'on')"
        )


def _doors() -> None:
    op.create_table(
        "client",
        _uuid("id", key=True),
        _text("agency_id", key=True),
        _text("client_id"),
        _text("name"),
        _json("roles"),
        _uuid("organization_id", null=True),
        _uuid("person_id", null=True),
        _bytes("secret_hash", null=True),
        _json("public_jwk", null=True),
        _time("created_at"),
        _time("rotated_at", null=True),
        _time("revoked_at", null=True),
        schema="portal",
    )
    op.create_index("client_client_id", "client", ["client_id"], unique=True, schema="portal")
    op.create_index("client_list", "client", ["created_at", "id", "agency_id"], schema="portal")
    op.create_table(
        "person",
        _uuid("id", key=True),
        _text("agency_id", key=True),
        _text("email"),
        _text("password_hash"),
        _json("roles"),
        _uuid("organization_id", null=True),
        _text("language", null=True),
        _time("created_at"),
        _time("disabled_at", null=True),
        schema="portal",
    )
    op.create_index("person_email", "person", ["email"], unique=True, schema="portal")
    op.create_index("person_list", "person", ["created_at", "id", "agency_id"], schema="portal")
    op.create_table(
        "session",
        _bytes("token_hash", key=True),
        _text("agency_id", key=True),
        _uuid("person_id"),
        _time("created_at"),
        _time("expires_at"),
        schema="portal",
    )
    op.create_index("session_token", "session", ["token_hash"], unique=True, schema="portal")
    op.create_index("session_person", "session", ["person_id"], schema="portal")
    op.create_index("session_age", "session", ["expires_at"], schema="portal")
    op.create_table(
        "sign_in_failure",
        _bytes("email_hash", key=True),
        _text("agency_id", key=True),
        _whole("failures"),
        _time("last_at"),
        schema="portal",
    )
    op.create_index("sign_in_failure_age", "sign_in_failure", ["last_at"], schema="portal")
    op.create_table(
        "assertion",
        _text("client_id", key=True),
        _bytes("jti_hash", key=True),
        _text("agency_id", key=True),
        _time("expires_at"),
        schema="portal",
    )
    op.create_index("assertion_age", "assertion", ["expires_at"], schema="portal")


def _cases() -> None:
    op.create_table(
        "case_view",
        _uuid("id", key=True),
        _text("agency_id", key=True),
        _yes_or_no("restricted"),
        _text("status"),
        _json("area"),
        _uuid("property_id", null=True),
        _uuid("organization_id", null=True),
        _text("assignee", null=True),
        _json("attempt_ids"),
        _time("last_attempt_at", null=True),
        _text("last_attempt_result", null=True),
        _time("opened_at"),
        _text("closed_reason", null=True),
        _whole("version"),
        _time("updated_at"),
        schema="portal",
    )
    op.create_index(
        "case_view_open",
        "case_view",
        ["agency_id", "opened_at", "id"],
        schema="portal",
        postgresql_where=sa.text("status <> 'closed'"),
    )
    op.create_table(
        "need_view",
        _uuid("id", key=True),
        _text("agency_id", key=True),
        _uuid("case_id"),
        _yes_or_no("restricted"),
        _text("category"),
        _text("urgency"),
        _text("status"),
        _time("status_at"),
        _text("outcome", null=True),
        _yes_or_no("of_property"),
        _text("referrer", null=True),
        _uuid("referrer_organization_id", null=True),
        _uuid("consent_id", null=True),
        _json("area"),
        _time("requested_at"),
        _time("settled_at", null=True),
        schema="portal",
    )
    op.create_index("need_view_case", "need_view", ["case_id"], schema="portal")
    op.create_index(
        "need_view_referrer",
        "need_view",
        ["referrer", "requested_at"],
        schema="portal",
    )
    op.create_index(
        "need_view_requested", "need_view", ["requested_at", "agency_id"], schema="portal"
    )
    op.create_table(
        "consent_view",
        _uuid("id", key=True),
        _text("agency_id", key=True),
        _uuid("case_id"),
        _yes_or_no("restricted"),
        _yes_or_no("active"),
        _yes_or_no("feedback"),
        _time("expires_at", null=True),
        _whole("version"),
        schema="portal",
    )


def _offers() -> None:
    op.create_table(
        "offer_view",
        _uuid("id", key=True),
        _text("agency_id", key=True),
        _uuid("case_id"),
        _uuid("need_id"),
        _yes_or_no("restricted"),
        _uuid("organization_id"),
        _text("target_kind"),
        _text("category"),
        _text("urgency", null=True),
        _json("area"),
        _text("status"),
        _text("business_status"),
        _text("reason", null=True),
        _text("outcome", null=True),
        _yes_or_no("question_open"),
        _time("answer_due_at", null=True),
        _time("appointment_at", null=True),
        _time("made_at"),
        _whole("version"),
        _time("updated_at"),
        schema="portal",
    )
    op.create_index(
        "offer_view_organization",
        "offer_view",
        ["organization_id", "made_at"],
        schema="portal",
    )
    op.create_index("offer_view_need", "offer_view", ["need_id"], schema="portal")
    op.create_table(
        "organization_view",
        _uuid("id", key=True),
        _text("agency_id", key=True),
        _text("name"),
        _whole("version"),
        schema="portal",
    )


def _flows() -> None:
    op.create_table(
        "delivery_view",
        _uuid("id", key=True),
        _text("agency_id", key=True),
        _text("channel"),
        _yes_or_no("succeeded"),
        _text("reason", null=True),
        _whole("attempts"),
        _time("at"),
        schema="portal",
    )
    op.create_index("delivery_view_at", "delivery_view", ["at", "agency_id"], schema="portal")
    op.create_table(
        "parked_view",
        _uuid("id", key=True),
        _text("agency_id", key=True),
        _text("group_name"),
        _text("topic"),
        _text("event_type", null=True),
        _text("reason"),
        _whole("attempts"),
        _time("at"),
        schema="portal",
    )
    op.create_index("parked_view_at", "parked_view", ["at", "agency_id"], schema="portal")
    op.create_table(
        "flow_view",
        _text("topic", key=True),
        _text("agency_id", key=True),
        _time("last_at"),
        _time("last_read_at"),
        schema="portal",
    )
