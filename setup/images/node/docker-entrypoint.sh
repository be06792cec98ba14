#!/bin/sh
set -e
# As in the official image: `docker run node script.js` and `docker run node --flag` mean node.
if [ "${1#-}" != "$1" ] || [ -z "$(command -v "$1")" ] || { [ -f "$1" ] && [ ! -x "$1" ]; }; then
  set -- node "$@"
fi
exec "$@"
