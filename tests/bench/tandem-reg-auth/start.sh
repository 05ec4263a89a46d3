#!/bin/sh
exec "${TANDEM:-tandem}" serve --config "$(dirname "$0")/tandem.toml"
