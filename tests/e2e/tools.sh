#!/bin/sh
# Installs by apt what is missing of the commands named: tools.sh COMMAND...
# Debian and Ubuntu; as root or by sudo. Elsewhere it says what to install.
set -eu

package() {
    case "$1" in
    cc) echo gcc libc6-dev ;;
    sipp) echo sip-tester ;;
    baresip) echo baresip-core ;;
    linphonec) echo linphone-cli ;;
    rtpengine) echo rtpengine-daemon ;;
    nft) echo nftables ;;
    ip | tc) echo iproute2 ;;
    unshare | nsenter | flock) echo util-linux ;;
    *) echo "$1" ;;
    esac
}

missing=""
for command in "$@"; do
    # nft and ip lie in /usr/sbin, which is not in everybody's PATH.
    PATH="$PATH:/usr/sbin:/sbin" command -v "$command" >/dev/null 2>&1 || missing="$missing $(package "$command")"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Please install:$missing (there is no apt-get here)" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1; then
    as_root="sudo"
else
    echo "Please install as root: apt-get install$missing" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# The lists of a fresh machine are empty, those of an old one stale: refresh them only when the first try fails.
# shellcheck disable=SC2086
$as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 || {
    $as_root apt-get update -qq
    $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
