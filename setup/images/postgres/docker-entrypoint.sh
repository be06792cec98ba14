#!/bin/bash
# What applications rely on in the official image: its variables, its initdb.d folder, its user and its data directory.
set -eo pipefail

[ "${1:0:1}" != - ] || set -- postgres "$@"
[ "$1" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" && chown postgres "$PGDATA" && chmod 700 "$PGDATA"
  exec setpriv --reuid postgres --regid postgres --clear-groups -- "$0" "$@"
fi

# Each variable may come as a file, as secrets do.
for name in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB POSTGRES_INITDB_ARGS; do
  file="${name}_FILE"
  [ -z "${!file}" ] || export "$name=$(< "${!file}")"
done
user="${POSTGRES_USER:-postgres}" database="${POSTGRES_DB:-${POSTGRES_USER:-postgres}}"

initialise() {
  if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
    echo 'Error: Database is uninitialized and superuser password is not specified. Set POSTGRES_PASSWORD.' >&2
    exit 1
  fi
  # shellcheck disable=SC2086  # the variable holds several arguments by definition
  initdb --username="$user" --auth-local=trust --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") $POSTGRES_INITDB_ARGS
  printf 'host all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >> "$PGDATA/pg_hba.conf"
  # No port until everything is in place: who can connect finds a complete database.
  pg_ctl --wait start --options="-c listen_addresses=''"
  local sql=(psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$user")
  [ "$database" = postgres ] || "${sql[@]}" --dbname postgres -v name="$database" <<< 'CREATE DATABASE :"name";'
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
      *.sql) "${sql[@]}" --dbname "$database" -f "$file" ;;
      *.sql.gz) gunzip -c "$file" | "${sql[@]}" --dbname "$database" ;;
    esac
  done
  pg_ctl --wait --mode=fast stop
}

[ -s "$PGDATA/PG_VERSION" ] || initialise
exec "$@"
