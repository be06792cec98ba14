#!/bin/bash
# What applications rely on in the official images of MariaDB and MySQL: their variables and their initdb.d folder.
set -eo pipefail

[ "${1:0:1}" != - ] || set -- mariadbd "$@"
[ "$1" != mysqld ] || set -- mariadbd "${@:2}"
[ "$1" = mariadbd ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
  find /var/lib/mysql \! -user mysql -exec chown mysql '{}' +
  exec setpriv --reuid mysql --regid mysql --clear-groups -- "$0" "$@"
fi

# MARIADB_X or MYSQL_X, or either as a file, as secrets come.
setting() {
  local name
  for name in "MARIADB_$1" "MYSQL_$1"; do
    local file="${name}_FILE"
    if [ -n "${!name}" ]; then echo "${!name}" && return; fi
    if [ -n "${!file}" ]; then echo "$(< "${!file}")" && return; fi
  done
}

# An SQL text in quotes.
quoted() { printf "'%s'" "$(sed "s/\\\\/\\\\\\\\/g; s/'/''/g" <<< "$1")"; }

initialise() {
  local root database user password
  root=$(setting ROOT_PASSWORD) database=$(setting DATABASE) user=$(setting USER) password=$(setting PASSWORD)
  if [ -z "$root$(setting ALLOW_EMPTY_ROOT_PASSWORD)$(setting ALLOW_EMPTY_PASSWORD)$(setting RANDOM_ROOT_PASSWORD)" ]; then
    echo 'Error: Database is uninitialized and no root password is specified. Set MARIADB_ROOT_PASSWORD.' >&2
    exit 1
  fi
  mariadb-install-db --datadir=/var/lib/mysql --auth-root-authentication-method=normal --skip-test-db > /dev/null
  # No port until everything is in place: who can connect finds a complete database.
  mariadbd --skip-networking --socket=/tmp/initialise.sock &
  local server=$! sql=(mariadb --socket=/tmp/initialise.sock --user=root)
  for _ in {1..60}; do
    "${sql[@]}" -e 'SELECT 1' > /dev/null 2>&1 && break
    sleep 0.5
  done
  [ -z "$database" ] || "${sql[@]}" <<< "CREATE DATABASE IF NOT EXISTS \`$database\`;"
  if [ -n "$user" ] && [ "$user" != root ]; then
    "${sql[@]}" <<< "CREATE USER $(quoted "$user")@'%' IDENTIFIED BY $(quoted "$password");"
    [ -z "$database" ] || "${sql[@]}" <<< "GRANT ALL ON \`$database\`.* TO $(quoted "$user")@'%';"
  fi
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
      *.sql) "${sql[@]}" ${database:+"$database"} < "$file" ;;
      *.sql.gz) gunzip -c "$file" | "${sql[@]}" ${database:+"$database"} ;;
    esac
  done
  # Last, as these statements change how one logs in.
  "${sql[@]}" <<< "CREATE USER root@'%' IDENTIFIED BY $(quoted "$root"); GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
    ALTER USER root@localhost IDENTIFIED BY $(quoted "$root");"
  kill "$server" && wait "$server"
}

[ -d /var/lib/mysql/mysql ] || initialise
exec "$@"
