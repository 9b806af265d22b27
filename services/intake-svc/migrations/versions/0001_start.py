"""Tables of intake: properties, inspections, residents, consents, notes, disclosures."""

import sqlalchemy as sa
from alembic import op
from handoff_kit.migrations import protect, start
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "intake"


def _text(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=null)


def _id(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.Uuid, nullable=null)


def _time(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null)


def _json(name: str) -> sa.Column:
    return sa.Column(name, JSONB, nullable=False)


def _bytes(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.LargeBinary, nullable=null)


def _int(name: str) -> sa.Column:
    return sa.Column(name, sa.Integer, nullable=False)


def _flag(name: str) -> sa.Column:
    return sa.Column(name, sa.Boolean, nullable=False)


def _table(name: str, *columns: sa.Column, key: tuple[str, ...] = ("id", "agency_id")) -> None:
    op.create_table(
        name, _text("agency_id"), *columns, sa.PrimaryKeyConstraint(*key), schema=SCHEMA
    )


def _index(name: str, table: str, *columns: str, unique: bool = False, where: str = "") -> None:
    op.create_index(
        name,
        table,
        list(columns),
        unique=unique,
        schema=SCHEMA,
        postgresql_where=sa.text(where) if where else None,
    )


def upgrade() -> None:
    start(SCHEMA)
    _table(
        "property",
        _id("id"),
        _json("place"),
        _json("codes"),
        _json("areas"),
        _bytes("wrapped_key"),
        _time("created_at"),
    )
    _table("property_key", _text("key"), _id("property_id"), key=("key", "agency_id"))
    _table(
        "inspection",
        _id("id"),
        _text("source"),
        _text("source_id"),
        _id("property_id"),
        _id("organization_id", null=True),
        _int("revision"),
        _text("status"),
        _text("kind", null=True),
        _time("inspected_at"),
        _bytes("content_hash"),
        _json("findings"),
        _json("suggested_needs"),
        _json("cases"),
        _bytes("sealed"),
        _time("updated_at"),
    )
    _index("inspection_source", "inspection", "source_id", "source", "agency_id", unique=True)
    _index("inspection_property", "inspection", "property_id", "inspected_at", "id")
    _people()
    _consents()
    protect(
        SCHEMA,
        "property",
        "property_key",
        "inspection",
        "resident",
        "possible_match",
        "case_link",
        "referral",
        "need",
        "note",
        "consent",
        "disclosure",
    )


def _people() -> None:
    _table(
        "resident",
        _id("id"),
        _id("household_id"),
        _id("property_id"),
        _bytes("name_index"),
        _bytes("phone_index", null=True),
        _bytes("wrapped_key"),
        _bytes("sealed"),
        _time("created_at"),
        _time("updated_at"),
    )
    _index("resident_name", "resident", "property_id", "name_index", unique=True)
    _index(
        "resident_phone",
        "resident",
        "phone_index",
        where="phone_index IS NOT NULL",
    )
    _table(
        "possible_match",
        _id("id"),
        _id("resident_id"),
        _id("other_resident_id"),
        _text("reason"),
        _time("created_at"),
    )
    _table(
        "case_link",
        _id("id"),
        _id("subject_id"),
        _text("slot"),
        _flag("current"),
        _id("property_id"),
        _id("resident_id", null=True),
        _text("assignee", null=True),
        _id("assigned_organization_id", null=True),
        _int("version"),
        _time("opened_at"),
    )
    _index(
        "case_link_current",
        "case_link",
        "subject_id",
        "slot",
        unique=True,
        where="current",
    )
    _index("case_link_property", "case_link", "property_id")
    _table(
        "referral",
        _id("id"),
        _id("case_id"),
        _id("consent_id", null=True),
        _id("property_id"),
        _id("inspection_id", null=True),
        _json("needs"),
        _text("encounter"),
        _text("referrer"),
        _text("referrer_role"),
        _time("created_at"),
    )
    _table(
        "need",
        _id("id"),
        _id("case_id"),
        _id("inspection_id", null=True),
        _id("property_id", null=True),
        _id("consent_id", null=True),
        _text("category"),
        _text("urgency"),
        _text("status"),
        _flag("feedback"),
        _time("created_at"),
    )
    _index("need_case", "need", "case_id")
    _index("need_property", "need", "property_id", where="property_id IS NOT NULL")
    _index("need_inspection", "need", "inspection_id", where="inspection_id IS NOT NULL")
    _table(
        "note",
        _id("id"),
        _id("case_id"),
        _id("need_id", null=True),
        _text("kind"),
        _id("owner_id"),
        _flag("of_resident"),
        _bytes("sealed"),
        _text("author"),
        _id("author_organization_id", null=True),
        _time("created_at"),
    )
    _index("note_access", "note", "case_id", where="kind = 'access'")


def _consents() -> None:
    _table(
        "consent",
        _id("id"),
        _id("case_id"),
        _id("resident_id"),
        _bytes("receipt_hash"),
        _text("status"),
        _int("version"),
        _time("granted_at"),
        _time("expires_at"),
        _time("ended_at", null=True),
        _json("terms"),
        _bytes("sealed"),
    )
    _index("consent_receipt", "consent", "receipt_hash")
    _index("consent_case", "consent", "case_id")
    _index("consent_expiry", "consent", "expires_at", where="status = 'active'")
    _table(
        "disclosure",
        _id("id"),
        _id("consent_id"),
        _id("case_id"),
        _id("resident_id"),
        _id("organization_id"),
        _id("offer_id", null=True),
        _text("category", null=True),
        _text("purpose"),
        _json("fields"),
        _text("route"),
        _text("reader"),
        _time("at"),
    )
    _index("disclosure_consent", "disclosure", "consent_id", "at", "id")
