#!/bin/sh
# Runs a command in a network namespace of its own: apart.sh COMMAND... Fails when the machine does not allow that.
# It has a loopback, and a cable that leads nowhere, because baresip does not count loopback as a network.
if [ -n "${TANDEM_E2E_APART:-}" ]; then exec "$@"; fi
export TANDEM_E2E_APART=1
if [ "$(id -u)" = 0 ]; then user=""; else user="--map-root-user"; fi
# shellcheck disable=SC2086
exec unshare $user --net sh -c '
    ip link set lo up && ip link add nowhere0 type veth peer name nowhere1 &&
    ip addr add 192.0.2.1/24 dev nowhere0 && ip link set nowhere0 up && ip link set nowhere1 up &&
    exec "$@"' sh "$@"
