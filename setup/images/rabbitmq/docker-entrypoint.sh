#!/bin/sh
set -e
case "$1" in
  rabbitmq*)
    if [ "$(id -u)" = 0 ]; then
      find /var/lib/rabbitmq \! -user rabbitmq -exec chown rabbitmq '{}' +
      exec setpriv --reuid rabbitmq --regid rabbitmq --clear-groups -- "$0" "$@"
    fi
    # Guest may log in over the network, as in the official image: in a container nothing else could.
    {
      echo 'loopback_users.guest = false'
      for name in USER PASS VHOST; do
        value=$(printenv "RABBITMQ_DEFAULT_$name" || true)
        [ -z "$value" ] || echo "default_$(echo "$name" | tr '[:upper:]' '[:lower:]') = $value"
      done
    } > /etc/rabbitmq/rabbitmq.conf
    ;;
esac
exec "$@"
