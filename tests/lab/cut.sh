#!/bin/sh
# What fails in the lab: cut.sh start|end site-loss|link-loss|slow-link. LAB_SITE_A is the process whose network is site A's.
set -e
in_a() { nsenter -t "$LAB_SITE_A" -n "$@"; }
case "$1 $2" in
# The cable of site A is pulled.
"start site-loss") in_a ip link set eth0 down ;;
"end site-loss") in_a ip link set eth0 up && in_a ip route add default via 10.77.1.254 ;;
# The sites no longer reach each other; everybody else reaches both.
"start link-loss")
    nft add table ip lab
    nft add chain ip lab forward '{ type filter hook forward priority 0; }'
    nft add rule ip lab forward ip saddr 10.77.1.0/24 ip daddr 10.77.2.0/24 drop
    nft add rule ip lab forward ip saddr 10.77.2.0/24 ip daddr 10.77.1.0/24 drop
    ;;
"end link-loss") nft delete table ip lab ;;
# What site A sends to site B is late.
"start slow-link")
    in_a tc qdisc add dev eth0 root handle 1: prio bands 4 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
    in_a tc qdisc add dev eth0 parent 1:4 handle 40: netem delay "${TANDEM_DRILL_DELAY_MS}ms"
    in_a tc filter add dev eth0 parent 1: protocol ip u32 match ip dst 10.77.2.1/32 flowid 1:4
    ;;
"end slow-link") in_a tc qdisc del dev eth0 root ;;
*)
    echo "usage: cut.sh start|end site-loss|link-loss|slow-link" >&2
    exit 2
    ;;
esac
