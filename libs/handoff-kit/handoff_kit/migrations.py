"""What a service's first migration needs: schema, roles, the kit's own tables, row-level security.

Called from inside an Alembic migration. Roles are NOLOGIN; a connection takes one by its ``role``
start-up parameter, which the login role may do as its member.
"""

from alembic import op

from handoff_kit.db import role_made

# Tables of the kit in each service's schema; delivery.md says what each is for.
KIT_TABLES = """
CREATE TABLE {s}.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL, key text NOT NULL, sequence bigint NOT NULL,
    headers text NOT NULL, value bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE {s}.outbox_head (
    topic text NOT NULL, key text NOT NULL, sequence bigint NOT NULL,
    PRIMARY KEY (topic, key)) WITH (fillfactor = 80);
CREATE TABLE {s}.consumer_offset (
    group_name text NOT NULL, topic text NOT NULL, partition int NOT NULL,
    next_offset bigint NOT NULL, updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_name, topic, partition)) WITH (fillfactor = 50);
CREATE TABLE {s}.gate (
    group_name text NOT NULL, source text NOT NULL, topic text NOT NULL, key text NOT NULL,
    sequence bigint NOT NULL, blocked boolean NOT NULL DEFAULT false,
    PRIMARY KEY (group_name, topic, key, source)) WITH (fillfactor = 80);
CREATE TABLE {s}.inbox (
    group_name text NOT NULL, source text NOT NULL, event_id text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_name, source, event_id));
CREATE TABLE {s}.parked (
    id uuid PRIMARY KEY, group_name text NOT NULL, topic text NOT NULL, partition int NOT NULL,
    log_offset bigint NOT NULL, source text NOT NULL, key text NOT NULL, sequence bigint,
    event_id text NOT NULL, event_type text NOT NULL, agency_id text NOT NULL,
    headers text NOT NULL, value bytea NOT NULL,
    state text NOT NULL CHECK
        (state IN ('failed', 'waiting', 'behind', 'retry', 'drop', 'done', 'dropped')),
    reason text NOT NULL, detail text NOT NULL, attempts int NOT NULL,
    parked_at timestamptz NOT NULL, next_try_at timestamptz, resolved_at timestamptz);
CREATE INDEX parked_open ON {s}.parked (group_name, topic, key, source, sequence)
    WHERE state NOT IN ('done', 'dropped');
CREATE TABLE {s}.idempotency (
    agency_id text NOT NULL, client text NOT NULL, route text NOT NULL, key text NOT NULL,
    request_hash bytea NOT NULL, status int NOT NULL, headers text NOT NULL, body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (key, client, route, agency_id));
CREATE INDEX idempotency_age ON {s}.idempotency (created_at);
CREATE TABLE {s}.audit_head (
    shard int PRIMARY KEY, sequence bigint NOT NULL, digest bytea NOT NULL);
CREATE TABLE {s}.audit (
    shard int NOT NULL, sequence bigint NOT NULL, agency_id text NOT NULL,
    body bytea NOT NULL, digest bytea NOT NULL,
    PRIMARY KEY (shard, sequence));
"""

SETS_ONLY = (
    "outbox",
    "outbox_head",
    "consumer_offset",
    "gate",
    "inbox",
    "parked",
    "idempotency",
    "audit_head",
)


def _run(script: str) -> None:
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)


def start(schema: str) -> None:
    """Create *schema*, its two roles and the kit's tables in it."""
    tenant, sets = f"handoff_{schema}", f"handoff_{schema}_sets"
    op.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for role in (tenant, sets):
        op.execute(role_made(role))
        op.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    _run(KIT_TABLES.format(s=schema))
    for table in SETS_ONLY:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.{table} TO {sets}")
    op.execute(f"GRANT SELECT ON {schema}.parked TO {tenant}")
    # The audit log is insert-only, also for the service itself.
    op.execute(f"GRANT SELECT, INSERT ON {schema}.audit TO {sets}")
    op.execute(f"GRANT SELECT ON {schema}.audit TO {tenant}")
    for table in ("parked", "audit"):
        _policies(schema, table)


def protect(schema: str, *tables: str) -> None:
    """Put row-level security on *tables* and let the service's roles work in them."""
    tenant, sets = f"handoff_{schema}", f"handoff_{schema}_sets"
    for table in tables:
        op.execute(f"GRANT SELECT ON {schema}.{table} TO {tenant}")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.{table} TO {sets}")
        _policies(schema, table)


def _policies(schema: str, table: str) -> None:
    name = f"{schema}.{table}"
    tenant, sets = f"handoff_{schema}", f"handoff_{schema}_sets"
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {name} TO {tenant}"
        " USING (agency_id = NULLIF(current_setting('handoff.agency', true), ''))"
    )
    op.execute(f"CREATE POLICY sets ON {name} TO {sets} USING (true) WITH CHECK (true)")
