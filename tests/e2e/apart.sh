#!/bin/sh
# Runs a command in a network namespace of its own with nothing but a loopback: apart.sh COMMAND...
# Fails when the machine does not allow that.
if [ -n "${TANDEM_E2E_APART:-}" ]; then exec "$@"; fi
export TANDEM_E2E_APART=1
if [ "$(id -u)" = 0 ]; then user=""; else user="--map-root-user"; fi
# shellcheck disable=SC2086
exec unshare $user --net sh -c 'ip link set lo up && exec "$@"' sh "$@"
