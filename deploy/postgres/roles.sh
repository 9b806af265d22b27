#!/bin/sh
# Run once, when the database is made: the services' login role, which owns nothing and has no power
# of its own. Migrations make it a member of the services' roles.
set -eu
psql --no-psqlrc -v ON_ERROR_STOP=1 -v password="$HANDOFF_APP_PASSWORD" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE handoff_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD :'password';
SQL
