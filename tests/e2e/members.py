#!/usr/bin/env python3
"""Primary, backup and witness that do not fit each other: another configuration, another authority, a firewall that lets through one
direction only. Each says why, the site goes on, and all is well when it is mended.
"""

import signal

from bed import expect, main, tandem, until
from group import MEMBERS, Group, desks, prepare, sh


def edit(machine, old, new):
    with open(machine.config) as file:
        text = file.read()
    expect(old in text, f"{old!r} stands in the configuration of {machine.name}")
    with open(machine.config, "w") as file:
        file.write(text.replace(old, new))


def row(primary, other):
    """What the primary says of another member."""
    rows = primary.status().get("members", [])
    return next((row for row in rows if row["address"] == f"{other.address}:{MEMBERS}"), {})


def a_backup_with_another_configuration_is_not_ready_and_says_which_key(group):
    realm = 'realm = "tandem"'
    edit(group.south, realm, 'realm = "elsewhere"')
    group.south.signal(signal.SIGHUP)
    until(10, "the backup is not ready", lambda: not group.south.stands_by())
    for machine in (group.north, group.south):
        until(10, f"{machine.name} names the key", lambda: "[application] realm" in machine.order("ha", "status"))
    expect("[application] realm" in group.south.log(), "the log of the backup names the key")
    expect("elsewhere" not in group.north.log(), "nobody tells the primary what the backup has instead")
    expect(group.north.gauge("tandem_ha_differing_keys") == 1, "/metrics counts it")
    for other in (group.south, group.witness):
        of = f'{{member="{row(group.north, other)["id"]}"}}'
        expect(group.north.gauge(f"tandem_ha_connected{of}") == 1, f"/metrics has the link to {other.name}")
        expect(group.north.gauge(f"tandem_ha_frames_sent_total{of}") > 0, f"/metrics counts what {other.name} is sent")
    edit(group.south, 'realm = "elsewhere"', realm)
    group.south.signal(signal.SIGHUP)
    group.is_whole(group.north)


def a_backup_with_a_certificate_of_another_authority_says_so_and_so_does_the_primary(group):
    folder, south = group.bed.folder, group.south
    sh(tandem(), "ha", "certificates", "--out", f"{folder}/foreign", f"south={south.address}", capture_output=True)
    south.kill()
    edit(south, f"{folder}/members/", f"{folder}/foreign/")
    south.start()
    until(10, "the primary says why", lambda: "signed by another authority" in group.north.log())
    until(10, "the backup says why", lambda: "signed by another authority" in south.log())
    expect(group.north.serves(), "the primary goes on with the witness")
    until(10, "the primary says that the backup is not ready", lambda: row(group.north, south).get("ready") is False)
    south.kill()
    edit(south, f"{folder}/foreign/", f"{folder}/members/")
    south.start()
    group.is_whole(group.north)


def a_member_that_can_only_connect_is_a_member(group):
    """A firewall at the backup refuses what the others dial."""
    south = group.south
    rule = f"add table inet wall; add chain inet wall dialled {{ type filter hook input priority 0; }}; " \
           f"add rule inet wall dialled tcp dport {MEMBERS} reject with tcp reset"
    south.nft(rule)
    south.kill()
    south.start()
    until(15, "the primary says that the backup cannot be dialled", lambda: "cannot be linked with a member" in group.north.log())
    group.is_whole(group.north)
    south.nft("delete table inet wall")
    group.is_whole(group.north)


def play(bed):
    group = Group(bed, desks(), [])
    group.begin()
    print("    a group of three", flush=True)
    for scene in (a_backup_with_another_configuration_is_not_ready_and_says_which_key,
                  a_backup_with_a_certificate_of_another_authority_says_so_and_so_does_the_primary,
                  a_member_that_can_only_connect_is_a_member):
        scene(group)
        print("    " + scene.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main("members", play, lambda: prepare("nft"))
