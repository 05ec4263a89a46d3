//! Legs that leave one call for another: attended, mute and single-step transfer, and conference.

use std::time::Duration;

use tandem_sip::Message;
use tandem_switch::call::control::{Begun, Operation};
use tandem_switch::call::{LegNo, News, Ticket};
use tandem_switch::directory::floor::{Floor, Mixer};
use tandem_switch::routing::Onwards;

use crate::support::{
    Bed, CALLEE, CALLER, OTHER, alone, answer, body, codes, contact, from_callee, in_dialog, invite, line,
    sdp,
};

const MIXER: &str = "10.0.0.50:5060";

/// 1001 talks with 1002 in its first call and with 1004 in its second. What 1001 was answered in each, and the INVITEs
/// that the others got.
#[track_caller]
fn consulting() -> (Bed, [Message; 2], [Message; 2]) {
    let (mut bed, first, offered) = talking();
    bed.receive(CALLER, &invite("1001", CALLER, "1004", "call2"));
    let consulted = bed.one(OTHER);
    bed.receive(OTHER, &answer(&consulted, 200, "other", OTHER, "answer"));
    let second = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &in_dialog(&second, "ACK", 1, CALLER, ""));
    bed.take(OTHER);
    bed.news();
    (bed, [first, second], [offered, consulted])
}

#[track_caller]
fn talking() -> (Bed, Message, Message) {
    let mut bed = Bed::with(alone());
    bed.register("1004", OTHER);
    let (first, offered) = bed.established();
    bed.news();
    (bed, first, offered)
}

/// Leg `kept` of the first call and leg `moved` of the second become one call.
fn transfer(bed: &mut Bed, kept: LegNo, moved: LegNo) -> Result<(Begun, LegNo), u16> {
    let outcome = bed.node.control(bed.now, |calls, rooms| {
        let keys = calls.keys();
        calls.transfer(rooms, Ticket(9), (keys[0], kept), (keys[1], moved))
    });
    bed.drain();
    outcome
}

fn count(lines: &[String], method: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(method)).count()
}

#[test]
fn two_calls_of_one_party_become_one_when_it_leaves() {
    let (mut bed, _, [offered, consulted]) = consulting();
    assert_eq!(transfer(&mut bed, 1, 1), Ok((Begun::Later, 2)));
    assert_eq!(count(&bed.lines(CALLER), "BYE "), 2);
    let asked = bed.one(OTHER);
    assert!(line(&asked).starts_with("INVITE ") && asked.body().is_empty());
    bed.receive(OTHER, &answer(&asked, 200, "", OTHER, &sdp("other", "sendrecv")));
    let offer = bed.one(CALLEE);
    assert!(body(&offer).contains("a=sendrecv"));
    bed.receive(CALLEE, &answer(&offer, 200, "", CALLEE, &sdp("callee", "sendrecv")));
    assert!(body(&bed.one(OTHER)).contains("a=sendrecv"));
    bed.take(CALLEE);
    let told = bed.news();
    assert_eq!(told.iter().filter(|news| matches!(news, News::Ended { leg: 0, .. })).count(), 2);
    assert_eq!(told.last(), Some(&News::Done { ticket: Ticket(9), outcome: Ok(()) }));
    // The two talk like any other: requests pass, and a BYE ends the call.
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INFO", 1, CALLEE, "to-other"));
    assert_eq!(body(&bed.one(OTHER)), "to-other");
    bed.receive(OTHER, &from_callee(&consulted, "other", "BYE", 1, OTHER, ""));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("BYE ")));
    bed.nothing_stays();
    let devices =
        |place: usize| bed.cdrs[place].legs.iter().map(|leg| leg.device.as_str()).collect::<Vec<_>>();
    let first = bed.cdrs.iter().position(|cdr| cdr.legs.len() == 3).expect("a record with three legs");
    assert_eq!((devices(first), devices(1 - first)), (vec!["1001", "1002", "1004"], vec!["1001", "1004"]));
    let moved = &bed.cdrs[1 - first].legs[1];
    assert_eq!((moved.reason.as_str(), moved.status), ("went on in another call", 200));
    assert_eq!(bed.cdrs[first].legs[2].reason, "BYE");
    assert_eq!(bed.cdrs[first].legs[2].sip_call_id, moved.sip_call_id);
}

#[test]
fn a_held_party_is_taken_back_by_the_transfer() {
    let (mut bed, ..) = consulting();
    bed.operate(Operation::Hold(0)).unwrap();
    for at in [CALLEE, CALLER] {
        let asked = bed.one(at);
        bed.receive(at, &answer(&asked, 200, "", at, &sdp("x", "sendrecv")));
        bed.take(at);
    }
    transfer(&mut bed, 1, 1).unwrap();
    let asked = bed.one(OTHER);
    bed.receive(OTHER, &answer(&asked, 200, "", OTHER, &sdp("other", "sendrecv")));
    assert!(body(&bed.one(CALLEE)).contains("a=sendrecv"), "media flow again");
}

#[test]
fn parties_that_cannot_be_connected_are_released() {
    for (at, code) in [(OTHER, 488), (CALLEE, 488), (OTHER, 481)] {
        let (mut bed, ..) = consulting();
        transfer(&mut bed, 1, 1).unwrap();
        let asked = bed.one(OTHER);
        if at == OTHER {
            bed.receive(OTHER, &answer(&asked, code, "", OTHER, ""));
        } else {
            bed.receive(OTHER, &answer(&asked, 200, "", OTHER, &sdp("other", "sendrecv")));
            let offer = bed.one(CALLEE);
            bed.receive(CALLEE, &answer(&offer, code, "", CALLEE, ""));
        }
        assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("BYE ")), "{code}");
        assert!(bed.lines(OTHER).iter().any(|line| line.starts_with("BYE ")), "{code}");
        assert!(bed.news().contains(&News::Done { ticket: Ticket(9), outcome: Err(code) }));
        bed.nothing_stays();
    }
}

#[test]
fn a_bye_that_crosses_the_transfer_has_nothing_to_complain_about() {
    let (mut bed, [first, second], _) = consulting();
    transfer(&mut bed, 1, 1).unwrap();
    bed.take(CALLER);
    bed.receive(CALLER, &in_dialog(&first, "BYE", 2, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&second, "BYE", 3, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200, 200]);
    assert!(count(&bed.lines(CALLEE), "BYE ") == 0, "it changes nothing");
    bed.pass(Duration::from_secs(40));
    bed.nothing_stays();
}

#[test]
fn a_party_that_hangs_up_first_leaves_nothing_to_transfer() {
    let (mut bed, _, [_, consulted]) = consulting();
    bed.receive(OTHER, &from_callee(&consulted, "other", "BYE", 1, OTHER, ""));
    assert!(transfer(&mut bed, 1, 1).is_err());
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established", "the first call goes on");
}

#[test]
fn a_transfer_waits_for_invites_under_way_and_names_legs_that_are_there() {
    let (mut bed, [first, _], _) = consulting();
    assert_eq!(transfer(&mut bed, 7, 1), Err(481));
    assert_eq!(transfer(&mut bed, 1, 7), Err(481));
    bed.receive(CALLER, &in_dialog(&first, "INVITE", 2, CALLER, "hold"));
    assert_eq!(transfer(&mut bed, 1, 1), Err(491));
    bed.take(CALLER);
    assert_eq!(bed.node.call_list(bed.now).len(), 2);
}

#[test]
fn a_release_during_the_transfer_ends_what_it_made() {
    let (mut bed, ..) = consulting();
    transfer(&mut bed, 1, 1).unwrap();
    bed.operate(Operation::Release(2)).unwrap();
    assert!(bed.news().contains(&News::Done { ticket: Ticket(9), outcome: Err(0) }));
    bed.pass(Duration::from_secs(40));
    bed.nothing_stays();
}

/// 1001 has called 1004 by request, and 1004 rings: its INVITE.
#[track_caller]
fn ringing() -> (Bed, Message, Message) {
    let (mut bed, _, offered) = talking();
    let own = bed.made("1004");
    bed.receive(CALLER, &answer(&own, 200, "own", CALLER, &sdp("caller", "sendrecv")));
    bed.take(CALLER);
    let rings = bed.one(OTHER);
    bed.receive(OTHER, &answer(&rings, 180, "other", OTHER, ""));
    bed.news();
    (bed, offered, rings)
}

#[test]
fn a_consultation_that_rings_goes_on_ringing_for_the_one_who_stays() {
    let (mut bed, _, rings) = ringing();
    assert_eq!(transfer(&mut bed, 1, 1), Ok((Begun::Done, 2)));
    assert_eq!(count(&bed.lines(CALLER), "BYE "), 2);
    assert!(bed.take(OTHER).is_empty(), "it goes on ringing");
    bed.receive(OTHER, &answer(&rings, 200, "other", OTHER, &sdp("other", "sendrecv")));
    let offer = bed.one(CALLEE);
    assert!(line(&offer).starts_with("INVITE ") && body(&offer).contains("a=sendrecv"));
    bed.receive(CALLEE, &answer(&offer, 200, "", CALLEE, &sdp("callee", "sendrecv")));
    assert!(body(&bed.one(OTHER)).contains("a=sendrecv"));
    assert!(bed.news().contains(&News::Answered { leg: 2 }));
    bed.receive(OTHER, &from_callee(&rings, "other", "BYE", 1, OTHER, ""));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("BYE ")));
    bed.nothing_stays();
}

#[test]
fn a_mute_transfer_to_a_busy_party_ends_the_one_who_waits() {
    for code in [486, 480, 0] {
        let (mut bed, offered, rings) = ringing();
        transfer(&mut bed, 1, 1).unwrap();
        if code == 0 {
            bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
            assert!(bed.lines(OTHER).iter().any(|line| line.starts_with("CANCEL ")));
            bed.receive(OTHER, &answer(&rings, 487, "other", OTHER, ""));
        } else {
            bed.receive(OTHER, &answer(&rings, code, "other", OTHER, ""));
            assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("BYE ")), "{code}");
        }
        bed.nothing_stays();
    }
}

#[test]
fn an_answer_that_crosses_a_mute_transfer_is_transferred_all_the_same() {
    let (mut bed, _, rings) = ringing();
    bed.receive(OTHER, &answer(&rings, 200, "other", OTHER, &sdp("other", "sendrecv")));
    assert_eq!(transfer(&mut bed, 1, 1), Err(491), "the two are being connected");
    let offer = bed.one(CALLER);
    bed.receive(CALLER, &answer(&offer, 200, "", CALLER, &sdp("caller", "sendrecv")));
    bed.take(OTHER);
    assert_eq!(transfer(&mut bed, 1, 1), Ok((Begun::Later, 2)));
    let asked = bed.one(OTHER);
    bed.receive(OTHER, &answer(&asked, 200, "", OTHER, &sdp("other", "sendrecv")));
    let offer = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offer, 200, "", CALLEE, &sdp("callee", "sendrecv")));
    bed.operate(Operation::Clear).unwrap();
    bed.pass(Duration::from_secs(40));
    bed.nothing_stays();
}

#[test]
fn a_party_is_replaced_by_another_one() {
    let (mut bed, ..) = talking();
    let onward = bed.onward("1004");
    assert_eq!(bed.operate(Operation::Replace(0, Onwards::To(onward))), Ok(Begun::Done));
    assert_eq!(count(&bed.lines(CALLER), "BYE "), 1);
    let rings = bed.one(OTHER);
    bed.receive(OTHER, &answer(&rings, 200, "other", OTHER, &sdp("other", "sendrecv")));
    let offer = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offer, 200, "", CALLEE, &sdp("callee", "sendrecv")));
    assert!(body(&bed.one(OTHER)).contains("a=sendrecv"));
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
    bed.operate(Operation::Release(1)).unwrap();
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].legs.iter().map(|leg| leg.reason.as_str()).collect::<Vec<_>>(), ["by request"; 3]);
}

#[test]
fn a_party_that_nobody_replaces_leaves_nobody_on_the_line() {
    let (mut bed, ..) = talking();
    let onward = bed.onward("1004");
    bed.operate(Operation::Replace(0, Onwards::To(onward))).unwrap();
    let rings = bed.one(OTHER);
    bed.receive(OTHER, &answer(&rings, 486, "other", OTHER, ""));
    assert_eq!(count(&bed.lines(CALLEE), "BYE "), 1);
    assert!(bed.news().iter().any(|news| matches!(news, News::Failed { .. } | News::Ended { leg: 1, .. })));
    bed.nothing_stays();
}

/// Two calls of 1001, and a mixer.
#[track_caller]
fn with_mixer() -> (Bed, [Message; 2], [Message; 2]) {
    let (mut bed, answers, invites) = consulting();
    let mixer = Mixer { name: "mixer".into(), contact: contact("sip:{conference}@10.0.0.50", MIXER) };
    let directory = std::sync::Arc::try_unwrap(alone()).expect("nobody else has it");
    let directory = directory.with_floor(Floor { mixer: Some(mixer), ..Floor::default() }).unwrap();
    bed.node.handle_input(tandem_switch::Input::Directory(directory.into()), bed.now);
    bed.drain();
    (bed, answers, invites)
}

/// These legs, by the place of their call, go to the mixer.
fn confer(bed: &mut Bed, legs: &[(usize, LegNo)]) -> Vec<Result<LegNo, u16>> {
    let outcomes = bed.node.control(bed.now, |calls, rooms| {
        let keys = calls.keys();
        let mixer = rooms.directory.floor().mixer.clone().expect("a mixer");
        let mut go = |(place, leg): &(usize, LegNo)| {
            calls
                .to_mixer(rooms, Ticket(9), (keys[*place], *leg), &mixer, "conf-1", Duration::ZERO)
                .map(|(_, leg)| leg)
        };
        legs.iter().map(&mut go).collect()
    });
    bed.drain();
    outcomes
}

/// One of the INVITEs to the mixer is connected with a party.
#[track_caller]
fn mixed(bed: &mut Bed, invite: &Message, tag: &str, at: &str) {
    assert!(line(invite).starts_with("INVITE sip:conf-1@10.0.0.50"), "{}", line(invite));
    bed.receive(MIXER, &answer(invite, 200, tag, MIXER, &sdp("mixer", "sendrecv")));
    let offer =
        bed.take(at).into_iter().find(|message| line(message).starts_with("INVITE ")).expect("an INVITE");
    bed.receive(at, &answer(&offer, 200, "", at, &sdp("party", "sendrecv")));
    assert!(bed.take(MIXER).iter().any(|ack| body(ack).contains("a=sendrecv")), "the ACK has the answer");
}

#[test]
fn three_parties_of_two_calls_meet_at_the_mixer() {
    let (mut bed, [first, _], _) = with_mixer();
    assert_eq!(confer(&mut bed, &[(0, 0), (0, 1), (1, 1)]), [Ok(0), Ok(0), Ok(0)]);
    bed.pass(Duration::ZERO);
    assert_eq!(count(&bed.lines(CALLER), "BYE "), 1, "the asker's leg of the consultation is released");
    assert!(
        bed.take(OTHER).is_empty() && bed.take(CALLEE).is_empty(),
        "who has left hears nothing of the old calls"
    );
    let invites = bed.take(MIXER);
    assert_eq!(invites.len(), 3);
    for (invite, (tag, at)) in invites.iter().zip([("m1", CALLER), ("m2", CALLEE), ("m3", OTHER)]) {
        mixed(&mut bed, invite, tag, at);
    }
    let done =
        bed.news().into_iter().filter(|news| *news == News::Done { ticket: Ticket(9), outcome: Ok(()) });
    assert_eq!(done.count(), 3);
    assert_eq!(bed.node.call_list(bed.now).iter().filter(|call| call.state == "established").count(), 3);
    bed.receive(CALLER, &in_dialog(&first, "BYE", 2, CALLER, ""));
    assert_eq!(count(&bed.lines(MIXER), "BYE "), 1, "who leaves ends his own call only");
    assert_eq!(count(&bed.lines(CALLEE), "BYE ") + count(&bed.lines(OTHER), "BYE "), 0);
    for _ in 0..2 {
        bed.pass(Duration::from_secs(40));
        bed.operate(Operation::Clear).unwrap();
    }
    bed.nothing_stays();
}

#[test]
fn a_mixer_that_refuses_ends_the_party_s_call() {
    let (mut bed, ..) = with_mixer();
    confer(&mut bed, &[(0, 1)]);
    let invite = bed.one(MIXER);
    bed.receive(MIXER, &answer(&invite, 486, "m", MIXER, ""));
    assert_eq!(count(&bed.lines(CALLEE), "BYE "), 1);
    assert!(bed.news().contains(&News::Done { ticket: Ticket(9), outcome: Err(486) }));
    assert_eq!(confer(&mut bed, &[(0, 1)]), [Err(481)], "it has left");
    bed.operate(Operation::Clear).ok();
    bed.pass(Duration::from_secs(40));
}
