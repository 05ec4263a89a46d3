#!/usr/bin/env python3
"""What desktops do with calls, and what the phones are told: transfers, redirection, alternating, user data, DTMF, a
conference.
"""

from bed import expect, main
from stage import CALLER, GATEWAY, Stage, play
from ua import Agent

CALL = {"OtherDN": CALLER, "CallType": "Inbound", "ANI": CALLER}


def begin(stage, desk, dn, number=None, extra=()):
    """A caller from outside, answered at the DN by its phone. Gives his line, the phone's, and the ConnID."""
    phone = stage.phone(dn, "answer")
    caller = stage.gateway.call(number or dn, extra=extra)
    call = desk.hear("EventRinging", ThisDN=dn, **CALL)["ConnID"]
    desk.hear("EventEstablished", ThisDN=dn, ConnID=call, **CALL)
    line = phone.fresh_line()
    return caller, line, call


def mute_transfer(stage):
    """Transfers without waiting for the answer; user data go along."""
    one, two = stage.watch("agent01", "1001"), stage.watch("agent02", "1002")
    caller, line, call = begin(stage, one, "1001")
    target = stage.phone("1002", "ring")
    consult = one.consult("TMuteTransfer", "1001", call, "1002", UserData={"Note": "angry"})
    ringing = two.hear("EventRinging", ConnID=consult, CallType="Consult", OtherDN="1001", UserData={"Note": "angry"})
    for conn in (call, consult):
        one.hear("EventReleased", ConnID=conn, CallState="Transferred")
    two.hear("EventPartyChanged", ConnID=call, PreviousConnID=consult, OtherDN=CALLER, ThirdPartyDN="1001", CallState="Transferred",
             UserData={"Note": "angry"})
    line.ends()
    there = target.fresh_line()
    there.answer()
    two.hear("EventEstablished", ConnID=call, OtherDN=CALLER, CallType="Inbound", UserData={"Note": "angry"})
    caller.has_media(target.host)
    there.has_media(GATEWAY)
    caller.bye()
    two.hear("EventReleased", ConnID=call, OtherDN=CALLER)
    there.ends()
    stage.over(one, two)
    return f"left both calls while 1002 rang, which answers {ringing['OtherDN']}'s caller"


def redirect(stage):
    """A ringing call is sent elsewhere: the first phone is told CANCEL, the second one rings."""
    one, two = stage.watch("agent01", "1001"), stage.watch("agent02", "1002")
    first, second = stage.phone("1001", "ring"), stage.phone("1002", "ring")
    caller = stage.gateway.call("1001")
    call = one.hear("EventRinging", **CALL, DNIS="1001")["ConnID"]
    one.ask("TRedirectCall", "EventReleased", {"ConnID": call, "CallState": "Redirected"}, ThisDN="1001", ConnID=call, OtherDN="1002")
    first.fresh_line().hears("CANCEL")
    two.hear("EventRinging", ConnID=call, **CALL)
    line = second.fresh_line()
    line.answer()
    two.hear("EventEstablished", ConnID=call, **CALL)
    caller.has_media(second.host)
    two.ask("TReleaseCall", "EventReleased", ThisDN="1002", ConnID=call)
    caller.ends()
    stage.over(one, two)
    return "CANCEL at 1001, the caller answered at 1002"


def consult(stage, one, two, call, request="TInitiateTransfer"):
    """1001 consults 1002, who answers at once. Gives the ConnID, and the lines of the two phones."""
    phone, target = stage.phones["1001"], stage.phone("1002", "answer")
    consult = one.consult(request, "1001", call, "1002")
    two.hear("EventRinging", ConnID=consult, CallType="Consult", OtherDN="1001")
    two.hear("EventEstablished", ConnID=consult, OtherDN="1001")
    one.hear("EventEstablished", ConnID=consult, OtherDN="1002")
    own, theirs = phone.fresh_line(), target.fresh_line()
    own.has_media(target.host, theirs.port)
    theirs.has_media(phone.host, own.port)
    return consult, own, theirs


def alternate(stage):
    """Between the caller and the consulted one, there and back; then back to the caller for good."""
    one, two = stage.watch("agent01", "1001"), stage.watch("agent02", "1002")
    caller, line, call = begin(stage, one, "1001")
    second, own, theirs = consult(stage, one, two, call)
    for active, held, quiet, loud in ((second, call, theirs, caller), (call, second, caller, theirs)):
        steps = ("EventHeld", {"ConnID": active}), ("EventRetrieved", {"ConnID": held})
        one.ask_in_steps("TAlternateCall", *steps, ThisDN="1001", ConnID=active, HeldConnID=held)
        quiet.has_media(None, direction="inactive")
        loud.has_media("127.0.1.1")
    steps = ("EventReleased", {"ConnID": second}), ("EventRetrieved", {"ConnID": call})
    one.ask_in_steps("TReconnectCall", *steps, ThisDN="1001", ConnID=second, HeldConnID=call)
    two.hear("EventReleased", ConnID=second)
    own.ends()
    theirs.ends()
    caller.has_media("127.0.1.1", line.port)
    line.has_media(GATEWAY, caller.port)
    one.ask("TReleaseCall", "EventReleased", ThisDN="1001", ConnID=call)
    caller.ends()
    stage.over(one, two)
    return "media follow: the one inactive, the other not, twice; reconnected to the caller"


def clear(stage):
    """Ends a call for both its parties."""
    one, two = stage.watch("agent01", "1001"), stage.watch("agent02", "1002")
    first, second = stage.phone("1001", "ring"), stage.phone("1002", "answer")
    call = one.ask("TMakeCall", "EventDialing", {"CallType": "Internal", "DNIS": "1002"}, ThisDN="1001", OtherDN="1002")["ConnID"]
    two.hear("EventRinging", ConnID=call, OtherDN="1001", ANI="1001")
    two.hear("EventEstablished", ConnID=call)
    one.hear("EventEstablished", ConnID=call)
    one.ask("TClearCall", "EventReleased", ThisDN="1001", ConnID=call)
    two.hear("EventReleased", ConnID=call, CallState="Ok")
    first.fresh_line().hears("BYE")
    second.fresh_line().hears("BYE")
    stage.over(one, two)
    return "BYE to both"


def dtmf(stage):
    """Digits go to the other party in order; bad ones nowhere."""
    one = stage.watch("agent01", "1001")
    caller, line, call = begin(stage, one, "1001")
    one.ask("TSendDTMF", "EventACK", {"ConnID": call}, ThisDN="1001", ConnID=call, DTMFDigits="1*#A")
    caller.hears("INFO", 4)
    bodies = [message.body for message in caller.got("INFO")]
    kinds = {message.header("content-type") for message in caller.got("INFO")}
    expect([body.split("=")[1][0] for body in bodies] == list("1*#A") and kinds == {"application/dtmf-relay"},
           f"INFO with application/dtmf-relay for 1, *, # and A, but {kinds} {bodies}")
    expect(not line.got("INFO"), "the sender's own phone is told no digits")
    stage.refused(one, 53, "TSendDTMF", ThisDN="1001", ConnID=call, DTMFDigits="12X")
    one.ask("THoldCall", "EventHeld", ThisDN="1001", ConnID=call)
    stage.refused(one, 496, "TSendDTMF", ThisDN="1001", ConnID=call, DTMFDigits="1")
    one.ask("TReleaseCall", "EventReleased", ThisDN="1001", ConnID=call)
    caller.ends()
    stage.over(one)
    return "four INFO with application/dtmf-relay, in order"


def user_data(stage):
    """Attached, updated and deleted data are told at every party; they go along into a consultation and a transfer."""
    one, two = stage.watch("agent01", "1001"), stage.watch("agent02", "1002")
    uui = "56a390f3d2b7310023a;encoding=hex"
    phone = stage.phone("1001", "answer")
    caller = stage.gateway.call("1001", extra=[f"User-to-User: {uui}"])
    call = one.hear("EventRinging", UserData={"User-to-User": uui})["ConnID"]
    one.hear("EventEstablished", UserData={"User-to-User": uui})
    line = phone.fresh_line()
    expect(line.invite.header("user-to-user") == uui, f"User-to-User passes end to end, but {line.invite.header('user-to-user')}")
    at = {"ThisDN": "1001", "ConnID": call}
    changed = lambda data: {"ConnID": call, "UserData": data} if data else {"ConnID": call}
    both = {"Name": "Mayer", "Order": {"Number": 4711, "Open": "yes"}}
    one.ask("TUpdateUserData", "EventAttachedDataChanged", changed({"Name": "Meier"}), **at, UserData={"Name": "Meier"})
    one.ask("TAttachUserData", "EventAttachedDataChanged", changed(both), **at, UserData=both)
    stage.refused(one, 53, "TDeletePair", **at, Key="Nome")
    one.ask("TDeletePair", "EventAttachedDataChanged", changed({"Name": "Mayer"}), **at, Key="Order")
    stage.refused(one, 53, "TAttachUserData", **at, UserData={"Big": "x" * 40000, "Bigger": "x" * 40000})
    one.ask("TDeleteUserData", "EventAttachedDataChanged", changed(None), **at)
    one.ask("TAttachUserData", "EventAttachedDataChanged", changed({"Name": "Mayer"}), **at, UserData={"Name": "Mayer"})
    second, _own, theirs = consult(stage, one, two, call)
    told = two.last
    two.ask("TAttachUserData", "EventAttachedDataChanged", {"UserData": {"Expert": "yes", "Name": "?"}}, ThisDN="1002", ConnID=second,
            UserData={"Expert": "yes", "Name": "?"})
    expect(two.last == told + 1, "told once")
    one.hear("EventAttachedDataChanged", ConnID=second, ThirdPartyDN="1002", UserData={"Expert": "yes", "Name": "?"})
    one.ask("TCompleteTransfer", "EventReleased", ThisDN="1001", ConnID=call, ConsultConnID=second)
    one.hear("EventReleased", ConnID=second)
    two.hear("EventPartyChanged", ConnID=call, UserData={"Name": "Mayer", "Expert": "yes"})
    theirs.has_media(GATEWAY, caller.port)
    one.ask("TUnregisterAddress", "EventUnregistered", ThisDN="1001")
    caller.bye()
    two.hear("EventReleased", ConnID=call, UserData={"Name": "Mayer", "Expert": "yes"})
    stage.over(one, two)
    return "the call's own Name wins over the consultation's; User-to-User from and to SIP"


def query(stage):
    """What a desktop may ask, and what it is told."""
    one, two, boss = stage.watch("agent01", "1001"), stage.desktop("agent02"), stage.desktop("supervisor")
    server = one.ask("TQueryServer", "EventServerInfo", {"Server": "desks"})
    expect(server["AttributeExtensions"]["Mode"] == "stand-alone", f"TQueryServer tells the mode, but {server}")
    caller, line, call = begin(stage, one, "1001")
    info = one.ask("TQueryAddress", "EventAddressInfo", {"ThisDN": "1001", "InService": True}, ThisDN="1001")
    expect([(party["ConnID"], party["State"]) for party in info["Parties"]] == [(call, "Connected")], f"a connected call, but {info}")
    parties = one.ask("TQueryCall", "EventPartyInfo", {"ConnID": call, "CallType": "Inbound"}, ConnID=call)["Parties"]
    expect([(party["DN"], party["State"]) for party in parties] == [("1001", "Connected")] or
           sorted((party["DN"], party["State"]) for party in parties) == [(CALLER, "Connected"), ("1001", "Connected")],
           f"both parties, but {parties}")
    one.ask("THoldCall", "EventHeld", ThisDN="1001", ConnID=call)
    parties = boss.ask("TQueryCall", "EventPartyInfo", ConnID=call)["Parties"]
    expect({party["DN"]: party["State"] for party in parties}["1001"] == "Held", f"1001 holds, but {parties}")
    stage.refused(two, 56, "TQueryCall", ConnID=call)
    stage.refused(one, 56, "TQueryCall", ConnID="00000000000000aa")
    stage.refused(one, 59, "TQueryAddress", ThisDN="4242")
    stage.refused(one, 55, "TQueryAddress", ThisDN="7000")
    boss.ask("TQueryAddress", "EventAddressInfo", {"AddressType": "ACDQueue", "InService": True}, ThisDN="7000")
    one.ask("TReleaseCall", "EventReleased", ThisDN="1001", ConnID=call)
    stage.refused(one, 56, "TReleaseCall", ThisDN="1001", ConnID=call)
    caller.ends()
    stage.over(one, two, boss)
    return "server, address and call; a call of others is none"


def conference(stage):
    """Three talk in the mixer; one is added, one is dropped, the others talk on."""
    mixer = stage.mixer
    mixer.taken = len(mixer.lines)
    one, two, three = stage.watch("agent01", "1001"), stage.watch("agent02", "1002"), stage.watch("agent03", "1003")
    caller, line, call = begin(stage, one, "1001")
    second, own, theirs = consult(stage, one, two, call, "TInitiateConference")
    one.ask("TCompleteConference", "EventReleased", {"ConnID": second, "CallState": "Conferenced"}, ThisDN="1001", ConnID=call,
            ConsultConnID=second)
    one.hear("EventPartyAdded", ConnID=call, OtherDN="1002", ThirdPartyDN="1001", CallState="Conferenced")
    two.hear("EventPartyChanged", ConnID=call, PreviousConnID=second, ThirdPartyDN="1001", CallState="Conferenced")
    legs = [mixer.fresh_line() for _ in range(3)]
    names = {leg.invite.uri.partition("@")[0] for leg in legs}
    expect(names == {f"sip:conf=conf-{call}"} or names == {f"sip:conf={call}"}, f"one conference, named for the call, but {names}")
    for party in (caller, line, theirs):
        party.has_media(mixer.host)
    expect(len({party.told[1] for party in (caller, line, theirs)}) == 3, "each has a port of its own at the mixer")
    mixer.wait("the mixer knows all three", 3, lambda: {leg.told and leg.told[0] for leg in legs} == {GATEWAY, "127.0.1.1", "127.0.1.2"},
               lambda: f", but {[leg.told for leg in legs]}")
    own.ends()
    one.ask("TDeleteFromConference", "EventPartyDeleted", {"ConnID": call, "OtherDN": CALLER}, ThisDN="1001", ConnID=call, OtherDN=CALLER)
    two.hear("EventPartyDeleted", ConnID=call, OtherDN=CALLER, ThirdPartyDN="1001")
    caller.ends()
    two.ask("TReleaseCall", "EventReleased", {"ConnID": call}, ThisDN="1002", ConnID=call)
    one.hear("EventPartyDeleted", ConnID=call, OtherDN="1002", ThirdPartyDN="1002")
    # Nobody stays in a conference alone.
    one.hear("EventReleased", ConnID=call)
    for party in (line, theirs, *legs):
        party.ends()
    stage.over(one, two, three)
    return f"three legs in {names.pop()}; the caller dropped, 1002 left, and with it the conference"


def mixer_refuses(stage):
    """The mixer is full: the request is refused and the consulted party is lost; the customer is not."""
    stage.mixer.manner = 486
    one, two = stage.watch("agent01", "1001"), stage.watch("agent02", "1002")
    caller, line, call = begin(stage, one, "1001")
    second, own, theirs = consult(stage, one, two, call, "TInitiateConference")
    asked = one.send("TCompleteConference", ThisDN="1001", ConnID=call, ConsultConnID=second)
    one.hear_until("EventError", ReferenceID=asked, ErrorCode=231)
    one.hear_until("EventReleased", ConnID=second)
    two.hear_until("EventReleased", ConnID=second)
    for party in (own, theirs):
        party.ends()
    expect(not caller.over and not line.over, "the customer is held as before")
    one.ask("TRetrieveCall", "EventRetrieved", ThisDN="1001", ConnID=call)
    caller.has_media(line.ua.host)
    one.ask("TReleaseCall", "EventReleased", ThisDN="1001", ConnID=call)
    for party in (caller, line):
        party.ends()
    stage.mixer.manner = "answer"
    stage.over(one, two)
    return "the request is refused, the consulted party is lost, and the customer is retrieved"


def answer_ways(stage):
    """How a request makes phones answer and hold: NOTIFY talk and hold, an INVITE with Alert-Info, not at all."""
    five, six, seven = stage.watch("agent01", "1005"), stage.watch("agent02", "1006"), stage.watch("agent03", "1007")
    phone = stage.phone("1005")
    caller = stage.gateway.call("1005")
    call = five.hear("EventRinging", **CALL)["ConnID"]
    at = {"ThisDN": "1005", "ConnID": call}
    five.ask("TAnswerCall", "EventEstablished", **at)
    line = phone.fresh_line()
    five.ask("THoldCall", "EventHeld", **at)
    caller.has_media(phone.host, direction="sendonly")
    line.hears("200 INVITE")
    five.ask("TRetrieveCall", "EventRetrieved", **at)
    caller.has_media(phone.host)
    expect([message.header("event") for message in line.got("NOTIFY")] == ["talk", "hold", "talk"], "the phone was told, and did it")
    five.ask("TReleaseCall", "EventReleased", **at)
    caller.ends()
    phone = stage.phone("1006")
    caller = stage.gateway.call("1006")
    call = six.hear("EventRinging", **CALL)["ConnID"]
    six.ask("TAnswerCall", "EventEstablished", ThisDN="1006", ConnID=call)
    phone.fresh_line().hears("CANCEL")
    line = phone.fresh_line()
    expect("autoanswer" in line.invite.header("alert-info"), "another INVITE with Alert-Info")
    caller.has_media(phone.host, line.port)
    six.ask("THoldCall", "EventHeld", ThisDN="1006", ConnID=call)
    caller.has_media(None, direction="inactive")
    six.ask("TReleaseCall", "EventReleased", ThisDN="1006", ConnID=call)
    caller.ends()
    phone = stage.phone("1007")
    caller = stage.gateway.call("1007")
    call = seven.hear("EventRinging", **CALL)["ConnID"]
    why = stage.refused(seven, 51, "TAnswerCall", ThisDN="1007", ConnID=call)
    expect("sip-cti-control" in why, f"the refusal names the option, but {why}")
    phone.fresh_line().answer()
    seven.hear("EventEstablished", ConnID=call)
    caller.bye()
    seven.hear("EventReleased", ConnID=call)
    stage.over(five, six, seven)
    return f"talk, hold, talk; CANCEL and INVITE with Alert-Info; 51 by hand only"


def failures(stage):
    """Calls that come to nothing: who asked is told how, and keeps what he had."""
    one, two = stage.watch("agent01", "1001"), stage.watch("agent02", "1002")
    busy = {"CallState": "Busy", "OtherDN": "1002"}
    stage.phone("1002", 486)
    call = one.ask("TMakeCall", "EventDialing", {"OtherDN": "1002"}, ThisDN="1001", OtherDN="1002")["ConnID"]
    one.hear("EventDestinationBusy", ConnID=call, **busy)
    one.hear("EventReleased", ConnID=call, **busy)
    stage.refused(one, 71, "TMakeCall", ThisDN="1001", OtherDN="4242")
    stage.refused(one, 71, "TMakeCall", ThisDN="1001", OtherDN="1001")
    stage.refused(one, 71, "TMakeCall", ThisDN="1001", OtherDN="<sip:1002>")
    stage.phone("1001", 486)
    stage.refused(one, 231, "TMakeCall", ThisDN="1001", OtherDN="1003")
    caller, line, call = begin(stage, one, "1001")
    at = {"ThisDN": "1001", "ConnID": call}
    for request in ("TInitiateTransfer", "TMuteTransfer"):
        consult = one.consult(request, "1001", call, "1002")
        one.hear("EventDestinationBusy", ConnID=consult, **busy)
        one.hear("EventReleased", ConnID=consult, **busy)
        if request == "TMuteTransfer":
            one.hear("EventRetrieved", **at)
        else:
            caller.has_media(None, direction="inactive")
            one.ask("TRetrieveCall", "EventRetrieved", **at)
        caller.has_media("127.0.1.1", line.port)
        line.has_media(GATEWAY, caller.port)
    stage.refused(one, 177, "TInitiateTransfer", **at, OtherDN="no number")
    stage.refused(one, 496, "TAnswerCall", **at)
    stage.refused(one, 43, "TRetrieveCall", **at)
    one.ask("THoldCall", "EventHeld", **at)
    stage.refused(one, 43, "THoldCall", **at)
    one.ask("TReleaseCall", "EventReleased", **at)
    caller.ends()
    phone = stage.phone("1001", "ring")
    caller = stage.gateway.call("1001")
    call = one.hear("EventRinging")["ConnID"]
    stage.refused(one, 71, "TRedirectCall", ThisDN="1001", ConnID=call, OtherDN="4242")
    one.ask("TReleaseCall", "EventReleased", ThisDN="1001", ConnID=call)
    caller.hears("480 INVITE")
    phone.fresh_line().hears("CANCEL")
    stage.over(one, two)
    return "busy, unknown, nowhere; the caller of a failed transfer is there again"


def phone_holds(stage):
    """The agent holds and retrieves at his phone, and hangs up there: his desktop hears the same."""
    one = stage.watch("agent01", "1001")
    caller, line, call = begin(stage, one, "1001")
    line.hears("ACK")
    for number, (direction, event) in enumerate((("sendonly", "EventHeld"), ("sendrecv", "EventRetrieved"))):
        line.request("INVITE", line.describe() + f"a={direction}\r\n")
        one.hear(event, ThisDN="1001", ConnID=call)
        line.hears("200 INVITE", number + 1)
        caller.has_media("127.0.1.1", line.port, direction)
    line.bye()
    one.hear("EventReleased", ConnID=call)
    caller.ends()
    stage.over(one)
    return "sendonly, sendrecv, BYE at the phone"


def transfer_to_queue(stage):
    """A caller is sent into a queue, and gets the agent who becomes ready there."""
    one, two = stage.watch("agent01", "1001"), stage.desktop("agent02")
    two.log_in("1002", "2002")
    boss = stage.watch("supervisor", "7000")
    caller, line, call = begin(stage, one, "1001")
    target = stage.phone("1002", "answer")
    one.ask("TSingleStepTransfer", "EventReleased", {"CallState": "Transferred"}, ThisDN="1001", ConnID=call, OtherDN="7000")
    line.ends()
    boss.hear("EventQueued", ThisDN="7000", ConnID=call, OtherDN=CALLER)
    two.ask("TAgentSetReady", "EventAgentReady", ThisDN="1002", WorkMode="AutoIn")
    boss.hear("EventDiverted", ThisDN="7000", ConnID=call, ThirdPartyDN="1002")
    two.hear("EventRinging", ConnID=call, ThisQueue="7000", OtherDN=CALLER)
    two.hear("EventEstablished", ConnID=call)
    there = target.fresh_line()
    caller.has_media(target.host, there.port)
    there.has_media(GATEWAY, caller.port)
    caller.bye()
    two.hear("EventReleased", ConnID=call)
    stage.over(one, boss, logout=[(two, "1002")])
    return "queued under the same ConnID, offered to 1002"


def mute_transfer_to_queue(stage):
    """A caller is sent into a queue whose agent answers at once: he has the caller, whoever was quicker."""
    one, two = stage.watch("agent01", "1001"), stage.agent(2)
    caller, line, call = begin(stage, one, "1001")
    target = stage.phone("1002", "answer")
    consult = one.consult("TMuteTransfer", "1001", call, "7000", UserData={"Why": "billing"})
    one.hear("EventEstablished", ConnID=consult, OtherDN="1002")
    for conn in (call, consult):
        one.hear("EventReleased", ConnID=conn, CallState="Transferred")
    two.hear("EventRinging", ConnID=consult, ThisQueue="7000", OtherDN="1001")
    two.hear("EventEstablished", ConnID=consult)
    two.hear("EventPartyChanged", ConnID=call, OtherDN=CALLER, CallState="Transferred", UserData={"Why": "billing"})
    there = target.fresh_line()
    caller.has_media(target.host, there.port)
    there.has_media(GATEWAY, caller.port)
    line.ends()
    caller.bye()
    two.hear("EventReleased", ConnID=call)
    stage.over(one, logout=[(two, "1002")])
    return "transferred as soon as the agent's answer was acknowledged"


def within_the_house(stage):
    """Three desktops at a transfer: who is left hears once whom he has now."""
    one, two, three = (stage.watch(f"agent0{n}", f"100{n}") for n in (1, 2, 3))
    changed = {"OtherDN": "1002", "OtherDNRole": "NewParty", "ThirdPartyDN": "1001", "CallState": "Transferred", "ThisDNRole": "Origination"}
    for request in ("TSingleStepTransfer", "TMuteTransfer"):
        phones = [stage.phone(dn, manner) for dn, manner in (("1001", "answer"), ("1002", "ring"), ("1003", "answer"))]
        call = three.ask("TMakeCall", "EventDialing", ThisDN="1003", OtherDN="1001")["ConnID"]
        for desk, other, name in ((one, "1003", "EventRinging"), (one, "1003", "EventEstablished"), (three, "1001", "EventEstablished")):
            desk.hear(name, ConnID=call, OtherDN=other, CallType="Internal")
        one.send(request, ThisDN="1001", ConnID=call, OtherDN="1002")
        ringing = two.hear("EventRinging")
        if request == "TMuteTransfer":
            two.hear("EventPartyChanged", ConnID=call, OtherDN="1003", ThirdPartyDN="1001", PreviousConnID=ringing["ConnID"])
            three.hear("EventPartyChanged", ConnID=call, **changed)
        line = phones[1].fresh_line()
        line.answer()
        two.hear("EventEstablished", ConnID=call, ThisDNRole="NewParty", OtherDN="1003", OtherDNRole="Origination")
        if request == "TSingleStepTransfer":
            three.hear("EventPartyChanged", ConnID=call, **changed)
        line.has_media("127.0.1.3")
        two.ask("TReleaseCall", "EventReleased", ThisDN="1002", ConnID=call)
        three.hear("EventReleased", ConnID=call, OtherDN="1002")
        one.hear_until("EventReleased", ConnID=call, CallState="Transferred")
        if request == "TMuteTransfer":
            one.hear("EventReleased", CallState="Transferred", CallType="Consult")
    stage.over(one, two, three)
    return "EventPartyChanged once, when it is transferred or answered"


def in_one_breath(stage):
    """A desktop that sends all its requests without waiting for events."""
    one = stage.watch("agent01", "1001")
    phone = stage.phone("1001")
    caller = stage.gateway.call("1001")
    call = one.hear("EventRinging")["ConnID"]
    at = {"ThisDN": "1001", "ConnID": call}
    one.ask("TAnswerCall", "EventEstablished", **at)
    hold, again, attach = one.send("THoldCall", **at), one.send("THoldCall", **at), one.send("TAttachUserData", **at, UserData={"a": "b"})
    answers = {event["ReferenceID"]: event for event in (one.next(), one.next(), one.next())}
    names = [answers[reference]["event"] for reference in (hold, again, attach)]
    expect(names == ["EventHeld", "EventError", "EventAttachedDataChanged"] and answers[again]["ErrorCode"] == 43,
           f"held once, 43 for the second, data attached, but {answers}")
    one.ask("TRetrieveCall", "EventRetrieved", **at)
    first, second = one.send("THoldCall", **at), one.send("TReleaseCall", **at)
    answers = {event["ReferenceID"]: event["event"] for event in (one.next(), one.next())}
    expect(answers[second] == "EventReleased", f"released at once, but {answers}")
    expect(answers[first] in ("EventError", "EventHeld"), f"every request has an answer, but {answers}")
    caller.ends()
    phone.fresh_line().ends()
    stage.over(one)
    return f"each answered in turn; hold and release at once: {answers[first]}, {answers[second]}"


PLAYS = (mute_transfer, mute_transfer_to_queue, within_the_house, in_one_breath, redirect, alternate, clear, dtmf, user_data, query, conference, mixer_refuses, answer_ways, failures, phone_holds, transfer_to_queue)


def calls(bed):
    stage = Stage(bed, ["1001", "1002", "1003", "1005", "1006", "1007"])
    stage.mixer = Agent(bed, "mixer", "127.0.0.62", stage.site, manner="answer")
    play(stage, PLAYS)
    stage.site.stop()


if __name__ == "__main__":
    main("floor_calls", calls)
