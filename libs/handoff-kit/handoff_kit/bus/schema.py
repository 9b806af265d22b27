"""Tables of the embedded log, schema ``bus``, beside the services' own."""

from event_schemas.base import RESTRICTED

BUS_TABLES = """
CREATE SCHEMA IF NOT EXISTS bus;
CREATE TABLE IF NOT EXISTS bus.topic (
    name text PRIMARY KEY, partitions int NOT NULL, kept_seconds double precision);
CREATE TABLE IF NOT EXISTS bus.head (
    topic text NOT NULL, partition int NOT NULL, next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)) WITH (fillfactor = 30);
CREATE TABLE IF NOT EXISTS bus.log (
    topic text NOT NULL, partition int NOT NULL, log_offset bigint NOT NULL,
    key text NOT NULL, headers text NOT NULL, sequence bigint, value bytea NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, log_offset));
CREATE TABLE IF NOT EXISTS bus.member (
    group_name text NOT NULL, member text NOT NULL, seen_at timestamptz NOT NULL,
    PRIMARY KEY (group_name, member)) WITH (fillfactor = 50);
CREATE OR REPLACE FUNCTION bus.forget(most int) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
WITH old AS MATERIALIZED (
    SELECT h.topic, h.partition, max(l.log_offset) AS last
    FROM bus.topic t JOIN bus.head h ON h.topic = t.name, LATERAL (
        SELECT log_offset, written_at FROM bus.log
        WHERE topic = h.topic AND partition = h.partition ORDER BY log_offset LIMIT most) l
    WHERE l.written_at < clock_timestamp() - make_interval(secs => t.kept_seconds)
    GROUP BY h.topic, h.partition
), gone AS (
    DELETE FROM bus.log l USING old o
    WHERE l.topic = o.topic AND l.partition = o.partition AND l.log_offset <= o.last RETURNING 1
)
SELECT count(*) FROM gone $$;
REVOKE ALL ON FUNCTION bus.forget FROM PUBLIC;
"""

# When a record was written, as it is told: of a restricted topic only the minute.
WRITTEN_AT = (
    f"CASE WHEN starts_with({{topic}}, '{RESTRICTED}')"
    " THEN date_trunc('minute', now()) ELSE now() END"
)

# Who reads the log for the groups of a worker sees the log and nothing of any service.
READER = "handoff_log"
BUS_READER = f"""
GRANT USAGE ON SCHEMA bus TO {READER};
GRANT SELECT ON bus.topic, bus.head, bus.log TO {READER};
GRANT SELECT, INSERT, UPDATE, DELETE ON bus.member TO {READER};
"""

# Every relay needs these; the log's rows carry no resident fact. Nobody may delete from the log:
# `bus.forget` lets go of what a topic keeps no longer, and of nothing else.
BUS_GRANTS = """
GRANT USAGE ON SCHEMA bus TO {roles};
GRANT SELECT ON bus.topic TO {roles};
GRANT SELECT, INSERT, UPDATE ON bus.head TO {roles};
GRANT SELECT, INSERT ON bus.log TO {roles};
GRANT EXECUTE ON FUNCTION bus.forget TO {roles};
"""
