"""The stage of plays with desktops and user agents: one site, phones and a gateway that do as they are told."""

import sys

from bed import CONFIG, Site, expect, until
from desk import Desktop
from ua import Agent

GATEWAY = "127.0.0.60"
CALLER = "0301234"


class Stage:
    def __init__(self, bed, phones, config="desks", host="127.0.0.29", path=None):
        self.bed = bed
        path = path or f"{CONFIG}/{config}.toml"
        self.site = Site(bed, config, host, 5070, f"{host}:8070", ["--config", path, "--log", "info"])
        self.site.start()
        self.gateway = Agent(bed, "gateway", GATEWAY, self.site, manner="silent")
        self.phones = {number: Agent(bed, f"phone-{number}", f"127.0.1.{int(number) - 1000}", self.site).register(number)
                       for number in phones}

    def phone(self, number, manner="ring"):
        """The phone of a number, with nothing of earlier plays left in it."""
        phone = self.phones[number]
        phone.manner = manner
        phone.taken = len([line for line in phone.lines if line.invite])
        return phone

    def desktop(self, user, **options):
        return Desktop(self.bed, self.site, user, **options)

    def watch(self, user, dn):
        """A desktop that has registered a DN."""
        desk = self.desktop(user)
        desk.ask("TRegisterAddress", "EventRegistered", ThisDN=dn)
        return desk

    def agent(self, number, mode="AutoIn", dn=None):
        """The desktop of agent `number` (1: agent01, 2001 at 1001), logged in."""
        desk = self.desktop(f"agent0{number}")
        desk.log_in(dn or f"100{number}", f"200{number}", mode=mode)
        return desk

    def over(self, *desks, logout=()):
        """No call is left, the desktops have heard everything, and go; those of `logout` log their DN's agent out first."""
        until(5, "`tandem call list` is empty", lambda: self.site.ask("call", "list") == [])
        for desk, dn in logout:
            desk.leave(dn)
        for desk in desks:
            desk.silent()
            desk.close()

    def refused(self, desk, code, request, **attributes):
        error = desk.ask(request, "EventError", **attributes)
        expect(error["ErrorCode"] == code, f"{request} {attributes} gets {code}, but {error}")
        return error["ErrorMessage"]


def chosen():
    """Plays named on the command line."""
    return [argument for argument in sys.argv[1:] if not argument.startswith("-")]


def play(stage, plays):
    """Runs them, and says what each has shown."""
    for one in plays:
        if not chosen() or one.__name__ in chosen():
            for number in stage.phones:
                stage.phone(number)
            print(f"    {one.__name__.replace('_', ' ')}: {one(stage)}", flush=True)
