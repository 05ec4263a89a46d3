#!/bin/sh
# Bundles the browser softphones for webphone.py: build.sh. Needs node, npm and their registry; done once for each version.
set -eu
cd "$(dirname "$0")"
out="${CARGO_TARGET_DIR:-$(cd ../../.. && pwd)/target}/webphone"
stamp=$(cat package-lock.json phone.js | cksum)
if [ -f "$out/phone.js" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi
mkdir -p "$out"
cp package.json package-lock.json phone.js "$out/"
mv "$out/phone.js" "$out/source.js"
cd "$out"
npm ci --no-audit --no-fund --silent
node_modules/.bin/esbuild source.js --bundle --format=iife --outfile=phone.js --log-level=warning
echo "$stamp" >stamp
