"""The server settings of the embedded PostgreSQL. They go on its command line, where neither
postgresql.conf nor ALTER SYSTEM can undo them."""

from collections.abc import Mapping
from types import MappingProxyType

DURABLE: Mapping[str, str] = MappingProxyType(
    {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        # No replica reads this log: minimal is crash safe and writes least.
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_logical_replication_workers": "0",
    }
)

# A log line must never hold a value of a row. The message itself of an ERROR can
# (`invalid input syntax for type integer: "…"`), so ERRORs, which the client gets anyway, are not
# logged; `log` still lets LOG, FATAL and PANIC through. Terse drops DETAIL and CONTEXT, also the
# "Failed process was running: …" of a crashed backend.
PRIVATE: Mapping[str, str] = MappingProxyType(
    {
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_statement": "none",
        "log_min_duration_statement": "-1",
        "log_min_duration_sample": "-1",
        "log_transaction_sample_rate": "0",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_lock_waits": "off",
        "log_temp_files": "-1",
        "log_autovacuum_min_duration": "-1",
        "debug_print_parse": "off",
        "debug_print_rewritten": "off",
        "debug_print_plan": "off",
    }
)

SMALL: Mapping[str, str] = MappingProxyType(
    {
        "shared_buffers": "64MB",
        # Two processes, five services, two roles, six connections each; readers, relays and tools.
        "max_connections": "160",
        "wal_compression": "on",
        "checkpoint_timeout": "5min",
        "max_wal_size": "512MB",
        "effective_cache_size": "512MB",
        "random_page_cost": "1.1",
        "jit": "off",
        "io_method": "sync",
        # Handles are set up for every possible connection; reading in step needs few of them.
        "io_max_concurrency": "4",
        "track_io_timing": "off",
        "log_checkpoints": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
)


def server_settings(overrides: Mapping[str, str] | None) -> dict[str, str]:
    """The defaults with `overrides`; what keeps values out of the log cannot be overridden."""
    forbidden = sorted(set(overrides or {}) & set(PRIVATE))
    if forbidden:
        raise ValueError(f"the log's privacy settings are fixed: {', '.join(forbidden)}")
    return {**DURABLE, **SMALL, **(overrides or {}), **PRIVATE}
