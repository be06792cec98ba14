#!/bin/sh
set -e
case "$1" in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ]; then
  shift
  # Debian's build guards itself against the network unless told; the official image doesn't.
  case "$1" in
    *.conf) conf=$1 && shift && set -- redis-server "$conf" --protected-mode no "$@" ;;
    *) set -- redis-server --protected-mode no --bind 0.0.0.0 "$@" ;;
  esac
  if [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis '{}' +
    exec setpriv --reuid redis --regid redis --clear-groups -- "$@"
  fi
fi
exec "$@"
