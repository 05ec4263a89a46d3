//! Anchored legs after a restart or a takeover: the session at the media server goes on, and so does everything that is
//! described there.

use std::time::Duration;

use tandem_sip::Message;
use tandem_switch::anchor::{AnchorId, AnchorNews, AnchorOrder, End, Part, Seat};
use tandem_switch::call::control::{Begun, Operation};

use crate::anchored::{bed, browser, made, phone, saying};
use crate::music::{body, says, talking};
use crate::support::{Bed, CALLEE, CALLER, OTHER, answer, codes, from_callee, in_dialog, invite, line};

const GAP: Duration = Duration::from_secs(1);

impl Bed {
    /// The media server makes a session of this name, and describes what it is asked.
    #[track_caller]
    fn seats(&mut self, name: &str, from: End, part: Part) {
        let (id, ..) = made(self.anchors.first().expect("an order"));
        self.hears(AnchorNews::Placed { id, seat: seat(name) });
        self.describes(from, part);
    }

    /// The session that is taken up, and what it is told; and that there is no other.
    #[track_caller]
    fn takes_up(&mut self) -> (AnchorId, Seat, bool, Option<String>) {
        let orders: Vec<AnchorOrder> = self.anchors.drain(..2).collect();
        let [AnchorOrder::TakeUp { id, seat, answered, music }, AnchorOrder::AllTakenUp] = &orders[..] else {
            panic!("{orders:?}")
        };
        (*id, seat.clone(), *answered, music.as_deref().map(str::to_owned))
    }
}

fn seat(name: &str) -> Seat {
    Seat { name: name.into(), engine: "10.0.0.50:22222".parse().unwrap() }
}

/// 1001's browser and 1002's phone talk by this session, and the server starts anew: the INVITE that the phone had got,
/// and the 200 that the browser had got.
fn restarted() -> (Bed, Message, Message, AnchorId) {
    let mut bed = bed();
    bed.receive(CALLER, &saying(&invite("1001", CALLER, "1002", "call1"), &browser("browser")));
    bed.seats("session", End::Far, Part::Offer);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &saying(&answer(&offered, 200, "callee", CALLEE, ""), &phone("phone")));
    bed.describes(End::Near, Part::Answer);
    let ok = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    let restored = bed.restart(GAP);
    assert_eq!((restored.calls, restored.anchored, restored.unread), (1, 1, 0));
    assert!(restored.to_string().contains(", 1 legs at media servers"));
    let (id, taken_up, answered, music) = bed.takes_up();
    assert_eq!((taken_up, answered, music), (seat("session"), true, None));
    assert_eq!(bed.take(CALLER).len(), 0);
    bed.sent.clear();
    (bed, offered, ok, id)
}

/// Session and version in the origin of a description.
fn origin(sdp: &str) -> (u64, u64) {
    let mut words = sdp.split_once("o=").unwrap().1.split(' ').skip(1).map(|word| word.parse().unwrap());
    (words.next().unwrap(), words.next().unwrap())
}

#[test]
fn a_call_whose_media_are_carried_is_held_and_taken_back_after_a_restart() {
    let (mut bed, _, ok, _) = restarted();
    assert_eq!(bed.operate(Operation::Hold(0)), Ok(Begun::Later));
    let parked = bed.one(CALLEE);
    bed.receive(CALLEE, &saying(&answer(&parked, 200, "", CALLEE, ""), &phone("phone")));
    let asked = bed.one(CALLER);
    bed.receive(CALLER, &saying(&answer(&asked, 200, "", CALLER, ""), &browser("parked")));
    bed.describes(End::Far, Part::Offer);
    bed.describes(End::Near, Part::Answer);
    let told = body(&bed.one(CALLER));
    assert!(told.contains("fingerprint") && told.contains("a=inactive"), "{told}");
    let (session, version) = origin(&body(&ok));
    let goes_on = origin(&told);
    assert!(
        goes_on.0 == session && goes_on.1 > version,
        "the browser's session goes on: {goes_on:?}, {version}"
    );
    assert!(line(&bed.one(CALLEE)).starts_with("ACK"));

    assert_eq!(bed.operate(Operation::Retrieve(0)), Ok(Begun::Later));
    let asked = bed.one(CALLER);
    bed.receive(CALLER, &saying(&answer(&asked, 200, "", CALLER, ""), &browser("back")));
    bed.describes(End::Far, Part::Offer);
    let offered = bed.one(CALLEE);
    assert!(body(&offered).contains("m=audio 40000 RTP/AVP"), "{}", body(&offered));
    bed.receive(CALLEE, &saying(&answer(&offered, 200, "", CALLEE, ""), &phone("phone")));
    bed.describes(End::Near, Part::Answer);
    let told = bed.one(CALLER);
    assert!(line(&told).starts_with("ACK") && body(&told).contains("UDP/TLS/RTP/SAVPF"), "{told:?}");
}

#[test]
fn a_party_that_holds_by_its_own_phone_after_a_restart_is_described() {
    let (mut bed, _, ok, _) = restarted();
    let hold = browser("held").replace("a=sendrecv", "a=sendonly");
    bed.receive(CALLER, &saying(&in_dialog(&ok, "INVITE", 2, CALLER, ""), &hold));
    bed.describes(End::Far, Part::Offer);
    let told = bed.one(CALLEE);
    assert!(body(&told).contains("m=audio 40000 RTP/AVP") && !body(&told).contains("fingerprint"));
    bed.receive(CALLEE, &saying(&answer(&told, 200, "", CALLEE, ""), &phone("held")));
    bed.describes(End::Near, Part::Answer);
    assert!(body(&bed.take(CALLER).pop().unwrap()).contains("fingerprint"));
}

#[test]
fn a_call_that_ends_after_a_restart_leaves_no_session_and_no_record() {
    let (mut bed, _, ok, id) = restarted();
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert_eq!(bed.released(), id);
    let bye = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&bye, 200, "", CALLEE, ""));
    bed.nothing_is_left();
    assert!(bed.disk.changes().all(|change| change.key.kind != 18));
    bed.restart(GAP);
    assert_eq!(bed.anchors, [AnchorOrder::AllTakenUp]);
}

#[test]
fn a_session_that_the_media_server_has_lost_meanwhile_is_offered_anew() {
    let (mut bed, _, _, id) = restarted();
    bed.hears(AnchorNews::Lost { id });
    let asked = bed.one(CALLEE);
    assert!(line(&asked).starts_with("INVITE ") && asked.body().is_empty());
    bed.receive(CALLEE, &saying(&answer(&asked, 200, "", CALLEE, ""), &phone("phone")));
    bed.seats("another", End::Near, Part::Offer);
    let offer = bed.one(CALLER);
    assert!(body(&offer).contains("fingerprint"));
    bed.receive(CALLER, &saying(&answer(&offer, 200, "", CALLER, ""), &browser("moved")));
    bed.describes(End::Far, Part::Answer);
    bed.restart(GAP);
    let (_, taken_up, answered, _) = bed.takes_up();
    assert_eq!((taken_up, answered), (seat("another"), true), "the next process goes on there");
}

#[test]
fn an_answer_that_goes_again_after_a_restart_is_described_as_the_answer_that_it_is() {
    let mut bed = bed();
    bed.receive(CALLER, &saying(&invite("1001", CALLER, "1002", "call1"), &browser("browser")));
    bed.seats("session", End::Far, Part::Offer);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &saying(&answer(&offered, 200, "callee", CALLEE, ""), &phone("phone")));
    bed.describes(End::Near, Part::Answer);
    bed.restart(GAP);
    bed.sent.clear();
    bed.takes_up();
    bed.pass(Duration::from_secs(1));
    bed.describes(End::Near, Part::Answer);
    let ok = bed.take(CALLER).pop().unwrap();
    assert!(ok.code() == Some(200) && body(&ok).contains("fingerprint"), "{ok:?}");
}

#[test]
fn a_caller_whom_a_media_server_was_describing_is_described_and_called_for_after_a_restart() {
    let mut bed = bed();
    bed.receive(CALLER, &saying(&invite("1001", CALLER, "1002", "call1"), &browser("browser")));
    assert_eq!(codes(&bed.take(CALLER)), [100], "he repeats nothing from now on");
    bed.anchors.clear();
    let restored = bed.restart(GAP);
    assert_eq!((restored.anchored, restored.unread), (0, 0));
    assert_eq!(bed.anchors.remove(0), AnchorOrder::AllTakenUp);
    bed.seats("session", End::Far, Part::Offer);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &saying(&answer(&offered, 200, "callee", CALLEE, ""), &phone("phone")));
    bed.describes(End::Near, Part::Answer);
    let ok = bed.take(CALLER).pop().unwrap();
    assert!(ok.code() == Some(200) && body(&ok).contains("fingerprint"), "{ok:?}");
}

#[test]
fn an_answer_that_cannot_be_described_after_a_restart_is_refused_and_both_are_offered_new_media() {
    for acknowledges in [true, false] {
        let (mut bed, _, ok, _) = restarted();
        bed.receive(CALLER, &saying(&in_dialog(&ok, "INVITE", 2, CALLER, ""), &browser("anew")));
        bed.describes(End::Far, Part::Offer);
        let offered = bed.one(CALLEE);
        bed.receive(CALLEE, &saying(&answer(&offered, 200, "", CALLEE, ""), &phone("phone")));
        bed.describes(End::Near, Part::Answer);
        bed.restart(GAP);
        bed.sent.clear();
        let (id, ..) = bed.takes_up();
        bed.hears(AnchorNews::Lost { id });
        bed.fails(true);
        assert_eq!(codes(&bed.take(CALLER)), [488]);
        assert!(bed.take(CALLEE).is_empty());
        if acknowledges {
            bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
        } else {
            // He has had the answer before: the refusal is nothing to him.
            bed.pass(Duration::from_secs(1));
            bed.fails(true);
            assert_eq!(codes(&bed.take(CALLER)), [488]);
        }
        let told: Vec<String> = bed.lines(CALLEE);
        let [ack, asked] = &told[..] else { panic!("{acknowledges}: {told:?}") };
        assert!(ack.starts_with("ACK ") && asked.starts_with("INVITE "), "{acknowledges}: {told:?}");
    }
}

#[test]
fn music_on_hold_goes_on_after_a_restart_until_the_party_is_taken_back() {
    let (mut bed, _, offered) = talking(Some("hold.wav"));
    bed.hears(AnchorNews::Placed { id: AnchorId(0), seat: seat("session") });
    says(&mut bed, &offered, 2, "sendonly", "recvonly");
    bed.anchors.clear();
    bed.restart(GAP);
    bed.sent.clear();
    let (_, _, _, music) = bed.takes_up();
    assert_eq!(music.as_deref(), Some("hold.wav"));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "ACK", 2, CALLEE, ""));
    bed.sent.clear();
    says_retrieved(&mut bed, &offered);
    let AnchorOrder::Quiet { .. } = bed.anchors.remove(0) else { panic!("{:?}", bed.anchors) };
}

fn says_retrieved(bed: &mut Bed, offered: &Message) {
    let offer = from_callee(offered, "callee", "INVITE", 3, CALLEE, "");
    bed.receive(CALLEE, &saying(&offer, &phone("bob")));
    bed.describes(End::Near, Part::Offer);
}

#[test]
fn a_caller_for_whom_a_phone_rang_keeps_his_session_and_is_answered_by_it() {
    let mut bed = bed();
    bed.receive(CALLER, &saying(&invite("1001", CALLER, "1002", "call1"), &browser("browser")));
    bed.seats("session", End::Far, Part::Offer);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.restart(GAP);
    let (_, taken_up, answered, _) = bed.takes_up();
    assert_eq!((taken_up, answered), (seat("session"), false));
    let told = bed.take(CALLEE);
    let anew = told.iter().find(|message| line(message).starts_with("INVITE ")).expect("it rings again");
    assert_eq!(body(anew), body(&offered), "as it was described, and not described twice");
    bed.take(CALLER);
    bed.receive(CALLEE, &saying(&answer(anew, 200, "callee", CALLEE, ""), &phone("phone")));
    bed.describes(End::Near, Part::Answer);
    let ok = bed.take(CALLER).pop().unwrap();
    assert!(ok.code() == Some(200) && body(&ok).contains("fingerprint"), "{ok:?}");
}

#[test]
fn a_browser_that_rang_is_called_with_a_session_of_its_own_and_the_old_one_is_nobodys() {
    let mut bed = bed();
    bed.receive(CALLEE, &saying(&invite("1002", CALLEE, "1004", "call1"), &phone("phone")));
    bed.seats("rang", End::Near, Part::Offer);
    let rang = bed.one(OTHER);
    bed.receive(OTHER, &answer(&rang, 180, "b", OTHER, ""));
    bed.restart(GAP);
    assert_eq!(bed.anchors.remove(0), AnchorOrder::AllTakenUp, "no session of before is named");
    bed.seats("anew", End::Near, Part::Offer);
    let anew: Vec<String> = bed.lines(OTHER);
    assert!(anew.iter().any(|line| line.starts_with("INVITE ")), "{anew:?}");
    assert!(codes(&bed.take(CALLEE)).iter().all(|code| *code < 200));
}

#[test]
fn the_session_of_a_call_that_did_not_come_back_is_taken_up_and_released() {
    let (mut bed, ..) = restarted();
    bed.restart_without(|change| change.key.kind == 2, GAP);
    let orders = std::mem::take(&mut bed.anchors);
    let [AnchorOrder::TakeUp { id, .. }, AnchorOrder::Release { id: released }, AnchorOrder::AllTakenUp] =
        &orders[..]
    else {
        panic!("{orders:?}")
    };
    assert_eq!(id, released);
    assert!(bed.disk.changes().all(|change| change.key.kind != 18), "nor is its record kept");
}
