#!/bin/sh
set -e
# As the official image does: templates, with the variables of the environment and no others (nginx has its own).
for template in /etc/nginx/templates/*.template; do
  [ -e "$template" ] || continue
  names=$(env | cut -d= -f1 | sed 's/.*/${&}/' | tr '\n' ' ')
  envsubst "$names" < "$template" > "/etc/nginx/conf.d/$(basename "$template" .template)"
done
exec "$@"
