"""Tables of the embedded log, schema ``bus``, beside the services' own."""

from event_schemas.base import RESTRICTED

BUS_TABLES = """
CREATE SCHEMA IF NOT EXISTS bus;
CREATE TABLE IF NOT EXISTS bus.topic (
    name text PRIMARY KEY, partitions int NOT NULL, kept_seconds double precision);
CREATE TABLE IF NOT EXISTS bus.head (
    topic text NOT NULL, partition int NOT NULL, next_offset bigint NOT NULL,
    first_offset bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, partition)) WITH (fillfactor = 30);
CREATE TABLE IF NOT EXISTS bus.log (
    topic text NOT NULL, partition int NOT NULL, log_offset bigint NOT NULL,
    key text NOT NULL, headers text NOT NULL, sequence bigint, value bytea NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, log_offset));
CREATE TABLE IF NOT EXISTS bus.member (
    group_name text NOT NULL, member text NOT NULL, seen_at timestamptz NOT NULL,
    PRIMARY KEY (group_name, member)) WITH (fillfactor = 50);
"""

# When a record was written, as it is told: of a restricted topic only the minute.
WRITTEN_AT = (
    f"CASE WHEN starts_with({{topic}}, '{RESTRICTED}')"
    " THEN date_trunc('minute', now()) ELSE now() END"
)

# Everybody who relays or reads needs these; the log's rows carry no resident fact.
BUS_GRANTS = """
GRANT USAGE ON SCHEMA bus TO {roles};
GRANT SELECT ON bus.topic TO {roles};
GRANT SELECT, INSERT, UPDATE ON bus.head TO {roles};
GRANT SELECT, INSERT ON bus.log TO {roles};
GRANT SELECT, INSERT, UPDATE, DELETE ON bus.member TO {roles};
"""
