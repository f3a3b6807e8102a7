#!/bin/bash
# Starts what a page's transcripts ask, in the session of that page alone: `playground postgres redis django`.
set -eu

postgres() {
    local programs folder
    programs=$(echo /usr/lib/postgresql/*/bin)
    folder=$(mktemp -d)
    chown postgres "$folder"
    as_postgres "$programs/initdb" --pgdata "$folder/data" --username app --auth trust --no-sync
    as_postgres "$programs/postgres" -D "$folder/data" -c listen_addresses=localhost -c unix_socket_directories="$folder" -c fsync=off &
    await as_postgres "$programs/pg_isready" --quiet --host localhost --username app
    as_postgres "$programs/createdb" --host localhost --username app orders
}

await() {
    for _ in $(seq 300); do "$@" && return; sleep 0.1; done
    return 1
}

as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; }

redis() {
    redis-server --port 6379 --save '' --dir "$(mktemp -d)" &
    await redis-cli ping
}

# The tests' own Django application, behind a name that it knows and redirects to HTTPS.
django() {
    local folder
    folder=$(mktemp -d)
    sed -n '/^const APP/,/^"#;/p' "$REPOSITORY/tests/it/servers/django.rs" | sed '1d;$d' >"$folder/app.py"
    (cd "$folder" && exec "$REPOSITORY/target/test-servers/django/bin/python" app.py 8000 localhost) &
    await bash -c 'exec 3<>/dev/tcp/127.0.0.1/8000'
}

for server; do "$server"; done >"$(mktemp)" 2>&1
