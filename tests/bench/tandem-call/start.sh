#!/bin/sh
# Each run begins with nothing.
STATE_DIRECTORY="${RUNDIR:-$PWD}/state"
export STATE_DIRECTORY
exec "${TANDEM:-tandem}" serve --config "$(dirname "$0")/tandem.toml"
