//! Nailed-up connections: set up once, used call after call without ringing, dropped when idle, wanted no more, or hung up.

use std::time::Duration;

use tandem_sip::{HeaderName, Message};
use tandem_switch::call::control::{Make, Operation};
use tandem_switch::call::{EndReason, Line, NailUp, News};
use tandem_switch::directory::{DnId, Watchers};

use crate::floor::{QUEUE, bed, made, on_to, with_floor};
use crate::support::{
    Bed, CALLEE, CALLER, OTHER, answer, body, cancel_of, from_callee, header, in_dialog, invite, line, sdp,
    with,
};

const PHONE: &str = "10.0.0.33:5060";

/// A 200 of the phone with a session description.
fn ok(request: &Message, tag: &str, at: &str, who: &str) -> String {
    answer(request, 200, tag, at, &sdp(who, "sendrecv"))
        .replace("\nContent-Length", "\nContent-Type: application/sdp\nContent-Length")
}

/// An INVITE with a readable offer.
fn call(from: &str, at: &str, id: &str) -> String {
    invite(from, at, "1003", id)
        .split("Content-Length")
        .next()
        .map(|head| {
            let offer = sdp("caller", "sendrecv");
            format!("{head}Content-Length: {}\n\n{offer}", offer.len())
        })
        .unwrap()
}

impl Bed {
    fn nail(&mut self, idle: u64) {
        let nail =
            NailUp { ticket: None, dn: DnId(2), at: "gcti::park".into(), idle: Duration::from_secs(idle) };
        self.node.control(self.now, |calls, rooms| calls.nail(rooms, nail)).unwrap();
        self.drain();
    }

    fn line_state(&mut self) -> Option<Line> {
        self.node.control(self.now, |_, rooms| rooms.nailed.state("1003"))
    }

    fn unnail(&mut self) {
        self.node.control(self.now, |calls, rooms| calls.unnail(rooms, "1003"));
        self.drain();
    }

    /// The phone of 1003 is on the line, without media: the INVITE that brought it there.
    #[track_caller]
    fn nailed(&mut self, idle: u64) -> Message {
        self.nail(idle);
        let first = self.one(PHONE);
        assert_eq!(self.line_state(), Some(Line::Connecting));
        self.receive(PHONE, &ok(&first, "nail", PHONE, "phone"));
        let ack = self.one(PHONE);
        assert!(line(&ack).starts_with("ACK ") && body(&ack).contains("a=inactive"), "{}", body(&ack));
        assert_eq!(self.line_state(), Some(Line::Idle));
        assert!(self.news().is_empty(), "it is nobody's call");
        first
    }

    /// 1001 calls 1003 over it, and they talk: the caller's 200.
    #[track_caller]
    fn over_the_line(&mut self, first: &Message, id: &str) -> Message {
        self.receive(CALLER, &call("1001", CALLER, id));
        assert_eq!(self.one(CALLER).code(), Some(100));
        let again = self.one(PHONE);
        assert_eq!(header(&again, HeaderName::CallId), header(first, HeaderName::CallId), "the same dialog");
        assert!(
            body(&again).contains("m=audio 4000") && body(&again).contains("a=sendrecv"),
            "{}",
            body(&again)
        );
        assert!(!body(&again).contains("o=caller"), "the session that the phone knows goes on");
        assert_eq!(self.line_state(), Some(Line::Busy));
        self.receive(PHONE, &ok(&again, "nail", PHONE, "phone"));
        let ok = self.one(CALLER);
        assert_eq!(ok.code(), Some(200));
        assert!(body(&ok).contains("o=phone"));
        assert!(header(&ok, HeaderName::To).contains(";tag="));
        self.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
        assert!(line(&self.one(PHONE)).starts_with("ACK "));
        ok
    }

    /// The phone is asked to be silent, and is.
    #[track_caller]
    fn goes_home(&mut self) {
        let park = self.one(PHONE);
        assert!(line(&park).starts_with("INVITE ") && park.body().is_empty(), "{}", line(&park));
        assert_eq!(self.line_state(), Some(Line::Connecting));
        self.receive(PHONE, &ok(&park, "nail", PHONE, "phone"));
        let ack = self.one(PHONE);
        assert!(line(&ack).starts_with("ACK ") && body(&ack).contains("a=inactive"));
        assert_eq!(self.line_state(), Some(Line::Idle));
    }

    #[track_caller]
    fn ends(&mut self) {
        let bye = self.one(PHONE);
        assert!(line(&bye).starts_with("BYE "), "{}", line(&bye));
        self.receive(PHONE, &answer(&bye, 200, "nail", PHONE, ""));
        assert_eq!(self.line_state(), None);
        self.nothing_stays();
    }
}

fn ready() -> Bed {
    let mut bed = bed();
    bed.register("1001", CALLER);
    bed
}

#[test]
fn calls_follow_each_other_over_one_connection_and_the_phone_never_rings() {
    let mut bed = ready();
    let first = bed.nailed(0);
    for (id, cseq) in [("one", 2), ("two", 3)] {
        let answered = bed.over_the_line(&first, id);
        let told = bed.news();
        assert!(
            matches!(
                &told[..],
                [News::Opened { .. }, News::Offered { leg: 1, .. }, News::Answered { leg: 1 }]
            ),
            "{told:?}"
        );
        bed.receive(CALLER, &in_dialog(&answered, "BYE", cseq, CALLER, ""));
        assert_eq!(bed.one(CALLER).code(), Some(200));
        bed.goes_home();
        bed.news();
    }
    assert_eq!(bed.cdrs.len(), 2, "one for each customer");
    assert_eq!(bed.cdrs[0].legs[1].device, "1003");
    bed.unnail();
    bed.ends();
    assert_eq!(bed.cdrs.len(), 3, "and one for the connection");
}

#[test]
fn the_phone_hangs_up_and_call_and_connection_end() {
    let mut bed = ready();
    let first = bed.nailed(0);
    bed.over_the_line(&first, "one");
    bed.receive(PHONE, &from_callee(&first, "nail", "BYE", 1, PHONE, ""));
    assert_eq!(bed.one(PHONE).code(), Some(200));
    let bye = bed.one(CALLER);
    assert!(line(&bye).starts_with("BYE "));
    bed.receive(CALLER, &answer(&bye, 200, "", CALLER, ""));
    assert_eq!(bed.line_state(), None);
    bed.nothing_stays();
}

#[test]
fn the_phone_hangs_up_an_idle_connection_and_rings_for_the_next_call() {
    let mut bed = ready();
    let first = bed.nailed(0);
    bed.receive(PHONE, &from_callee(&first, "nail", "BYE", 1, PHONE, ""));
    assert_eq!(bed.one(PHONE).code(), Some(200));
    assert_eq!(bed.line_state(), None);
    bed.receive(CALLER, &call("1001", CALLER, "one"));
    let rung = bed.one(PHONE);
    assert_ne!(header(&rung, HeaderName::CallId), header(&first, HeaderName::CallId));
    bed.take(CALLER);
    bed.receive(PHONE, &answer(&rung, 486, "x", PHONE, ""));
    bed.take(PHONE);
    assert_eq!(bed.one(CALLER).code(), Some(486));
    bed.nothing_stays();
}

#[test]
fn a_phone_that_refuses_refuses_for_the_dn_and_the_connection_ends() {
    let mut bed = ready();
    bed.nailed(0);
    bed.receive(CALLER, &call("1001", CALLER, "one"));
    let again = bed.one(PHONE);
    bed.receive(PHONE, &answer(&again, 486, "nail", PHONE, ""));
    assert_eq!(bed.take(CALLER).pop().and_then(|last| last.code()), Some(486));
    let sent = bed.take(PHONE);
    let bye = sent.iter().find(|message| line(message).starts_with("BYE ")).expect("a BYE");
    bed.receive(PHONE, &answer(bye, 200, "nail", PHONE, ""));
    let told = bed.news();
    assert!(told.iter().any(|news| matches!(news, News::Missed { leg: 1, status: 486, .. })), "{told:?}");
    assert_eq!(bed.line_state(), None);
    bed.nothing_stays();
}

#[test]
fn a_silent_phone_loses_its_connection() {
    let mut bed = ready();
    bed.nailed(0);
    bed.receive(CALLER, &call("1001", CALLER, "one"));
    bed.pass(Duration::from_secs(40));
    assert_eq!(bed.take(CALLER).pop().and_then(|last| last.code()), Some(408));
    assert_eq!(bed.line_state(), None);
    bed.nothing_stays();
}

#[test]
fn a_caller_who_gives_up_leaves_the_connection_as_it_was() {
    let mut bed = ready();
    let first = bed.nailed(0);
    let text = call("1001", CALLER, "one");
    bed.receive(CALLER, &text);
    let again = bed.one(PHONE);
    bed.receive(PHONE, &answer(&again, 100, "nail", PHONE, ""));
    bed.receive(CALLER, &cancel_of(&text));
    assert!(bed.take(CALLER).iter().any(|message| message.code() == Some(487)));
    let cancel = bed.one(PHONE);
    assert!(line(&cancel).starts_with("CANCEL "));
    bed.receive(PHONE, &answer(&cancel, 200, "nail", PHONE, ""));
    assert_eq!(bed.line_state(), Some(Line::Connecting));
    bed.receive(PHONE, &answer(&again, 487, "nail", PHONE, ""));
    assert!(line(&bed.one(PHONE)).starts_with("ACK "));
    assert_eq!(bed.line_state(), Some(Line::Idle));
    bed.over_the_line(&first, "two");
}

#[test]
fn a_phone_that_answers_after_the_caller_gave_up_is_silenced() {
    let mut bed = ready();
    bed.nailed(0);
    let text = call("1001", CALLER, "one");
    bed.receive(CALLER, &text);
    let again = bed.one(PHONE);
    bed.receive(CALLER, &cancel_of(&text));
    bed.take(CALLER);
    bed.take(PHONE);
    bed.receive(PHONE, &ok(&again, "nail", PHONE, "phone"));
    let mut sent = bed.take(PHONE);
    assert!(line(&sent.remove(0)).starts_with("ACK "));
    let park = sent.remove(0);
    assert!(line(&park).starts_with("INVITE ") && park.body().is_empty());
    bed.receive(PHONE, &ok(&park, "nail", PHONE, "phone"));
    assert!(body(&bed.one(PHONE)).contains("a=inactive"));
    assert_eq!(bed.line_state(), Some(Line::Idle));
    bed.unnail();
    bed.ends();
}

#[test]
fn a_second_call_finds_the_dn_busy() {
    let mut bed = ready();
    bed.register("1002", CALLEE);
    let first = bed.nailed(0);
    bed.over_the_line(&first, "one");
    bed.receive(CALLEE, &call("1002", CALLEE, "two"));
    assert_eq!(bed.take(CALLEE).pop().and_then(|last| last.code()), Some(486));
    assert!(bed.take(PHONE).is_empty());
}

#[test]
fn an_idle_connection_is_dropped_in_time_and_a_used_one_is_not() {
    let mut bed = ready();
    let first = bed.nailed(20);
    bed.pass(Duration::from_secs(19));
    let answered = bed.over_the_line(&first, "one");
    bed.pass(Duration::from_secs(60));
    assert!(bed.take(PHONE).is_empty());
    bed.receive(CALLER, &in_dialog(&answered, "BYE", 2, CALLER, ""));
    bed.take(CALLER);
    bed.goes_home();
    bed.pass(Duration::from_secs(20));
    bed.ends();
    assert!(bed.cdrs.iter().any(|cdr| cdr.legs[0].reason == EndReason::Idle.to_string()));
}

#[test]
fn a_connection_in_use_that_is_wanted_no_more_ends_with_its_call() {
    let mut bed = ready();
    let first = bed.nailed(0);
    let answered = bed.over_the_line(&first, "one");
    bed.unnail();
    assert!(bed.take(PHONE).is_empty(), "the customer is not cut off");
    bed.receive(CALLER, &in_dialog(&answered, "BYE", 2, CALLER, ""));
    bed.take(CALLER);
    bed.ends();
}

#[test]
fn who_logs_in_again_during_the_call_keeps_it() {
    let mut bed = ready();
    let first = bed.nailed(0);
    let answered = bed.over_the_line(&first, "one");
    bed.unnail();
    bed.nail(0);
    assert!(bed.take(PHONE).is_empty());
    bed.receive(CALLER, &in_dialog(&answered, "BYE", 2, CALLER, ""));
    bed.take(CALLER);
    bed.goes_home();
}

#[test]
fn a_phone_that_hangs_up_while_its_place_is_taken_ends_the_connection() {
    let mut bed = Bed::with(with_floor(|options| {
        options.dr_peer_trunk = None;
        options.events.dialog_watchers = Watchers::Only(["1004".into()].into());
    }));
    bed.register("1001", CALLER);
    bed.register("1004", OTHER);
    let first = bed.nailed(0);
    bed.over_the_line(&first, "one");
    let ours = header(&first, HeaderName::From);
    let (_, tag) = ours.split_once(";tag=").unwrap();
    let place = format!("Replaces: {};to-tag={tag};from-tag=nail", header(&first, HeaderName::CallId));
    bed.receive(OTHER, &with(&call("1004", OTHER, "pick"), &place));
    let asked = bed.one(CALLER);
    bed.receive(PHONE, &from_callee(&first, "nail", "BYE", 1, PHONE, ""));
    assert_eq!(bed.one(PHONE).code(), Some(200));
    assert_eq!(bed.line_state(), Some(Line::Busy), "it is not decided yet");
    bed.receive(CALLER, &ok(&asked, "", CALLER, "caller"));
    assert!(bed.take(PHONE).is_empty());
    assert_eq!(bed.line_state(), None, "calls ring the phone from now on");
}

#[test]
fn the_session_of_a_phone_that_waits_and_takes_no_update_is_refreshed_by_invite() {
    let timer = "Require: timer\nSession-Expires: 200;refresher=uac";
    let mut bed = ready();
    bed.nail(0);
    let first = bed.one(PHONE);
    bed.receive(PHONE, &with(&ok(&first, "nail", PHONE, "phone"), timer));
    let said = body(&bed.one(PHONE));
    bed.pass(Duration::from_secs(100));
    for (code, wait) in [(491, 7), (500, 30), (200, 99)] {
        let refresh = bed.take(PHONE).remove(0);
        assert!(line(&refresh).starts_with("INVITE "), "{}", line(&refresh));
        assert_eq!(
            (body(&refresh), said.contains("a=inactive")),
            (said.clone(), true),
            "as it was told last"
        );
        assert_eq!(header(&refresh, HeaderName::SessionExpires), "200;refresher=uac");
        let text = match code {
            200 => with(&ok(&refresh, "nail", PHONE, "phone"), timer),
            _ => answer(&refresh, code, "nail", PHONE, ""),
        };
        for _ in 0..2 {
            bed.receive(PHONE, &text);
            assert!(line(&bed.one(PHONE)).starts_with("ACK "), "{code}");
        }
        bed.pass(Duration::from_secs(wait));
    }
    assert!(bed.take(PHONE).is_empty(), "its time begins anew");
    bed.pass(Duration::from_secs(1));
    assert!(line(&bed.one(PHONE)).starts_with("INVITE "));
    assert_eq!((bed.line_state(), bed.node.counters().session_refreshes), (Some(Line::Idle), 4));
}

#[test]
fn a_call_made_from_the_dn_takes_the_connection_as_its_first_leg() {
    let mut bed = ready();
    bed.register("1002", CALLEE);
    let first = bed.nailed(0);
    let key = bed.make(Make { from: DnId(2), ..made() }).unwrap();
    assert!(bed.take(PHONE).is_empty(), "it is on the line already");
    let asked = bed.one(CALLEE);
    bed.receive(CALLEE, &ok(&asked, "far", CALLEE, "far"));
    let again = bed.one(PHONE);
    assert_eq!(header(&again, HeaderName::CallId), header(&first, HeaderName::CallId));
    bed.receive(PHONE, &ok(&again, "nail", PHONE, "phone"));
    assert!(line(&bed.one(PHONE)).starts_with("ACK ") && line(&bed.one(CALLEE)).starts_with("ACK "));
    assert!(bed.steer(key, Operation::Release(0)).is_ok());
    let bye = bed.one(CALLEE);
    assert!(line(&bye).starts_with("BYE "));
    bed.receive(CALLEE, &answer(&bye, 200, "far", CALLEE, ""));
    bed.goes_home();
    bed.unnail();
    bed.ends();
}

#[test]
fn a_made_call_reaches_the_dn_over_its_connection() {
    let mut bed = ready();
    let first = bed.nailed(0);
    bed.make(Make { to: b"1003"[..].into(), stages: on_to(2).stages, ..made() }).unwrap();
    let own = bed.one(CALLER);
    bed.receive(CALLER, &ok(&own, "own", CALLER, "own"));
    bed.take(CALLER);
    let again = bed.one(PHONE);
    assert!(again.body().is_empty(), "who is on the line has no offer");
    bed.receive(PHONE, &ok(&again, "nail", PHONE, "phone"));
    let connect = bed.one(CALLER);
    bed.receive(CALLER, &ok(&connect, "own", CALLER, "own"));
    assert!(body(&bed.one(PHONE)).contains("m=audio"));
    bed.take(CALLER);
    bed.receive(CALLER, &from_callee(&own, "own", "BYE", 1, CALLER, ""));
    assert_eq!(bed.one(CALLER).code(), Some(200));
    bed.goes_home();
    bed.over_the_line(&first, "next");
}

#[test]
fn a_waiting_call_is_offered_over_it_and_waits_again_when_the_phone_refuses() {
    let mut bed = ready();
    bed.nailed(0);
    bed.receive(CALLER, &call("1001", CALLER, "call1").replace("sip:1003", &format!("sip:{QUEUE}")));
    bed.take(CALLER);
    let key = bed.node.control(bed.now, |calls, _| calls.keys()[1]);
    assert!(bed.steer(key, Operation::Offer(on_to(2))).is_ok());
    let again = bed.one(PHONE);
    assert_eq!(bed.steer(key, Operation::Offer(on_to(2))), Err(491));
    assert!(bed.steer(key, Operation::TakeBack).is_ok());
    bed.take(PHONE);
    bed.receive(PHONE, &answer(&again, 487, "nail", PHONE, ""));
    bed.take(PHONE);
    assert_eq!(bed.line_state(), Some(Line::Idle));
    assert!(bed.steer(key, Operation::Offer(on_to(2))).is_ok());
    let again = bed.one(PHONE);
    bed.receive(PHONE, &answer(&again, 480, "nail", PHONE, ""));
    let told = bed.news();
    assert!(matches!(told.last(), Some(News::Unplaced { status: 480 })), "{told:?}");
    assert!(bed.take(CALLER).is_empty(), "the caller notices nothing");
    assert_eq!(bed.line_state(), None);
}

/// What is stored of nailed-up connections.
const NAILED: u8 = 17;

impl Bed {
    fn stored_lines(&self) -> usize {
        self.disk.changes().filter(|change| change.key.kind == NAILED).count()
    }
}

#[test]
fn a_connection_that_rested_when_the_server_died_is_there_and_takes_the_next_call() {
    let mut bed = ready();
    let first = bed.nailed(0);
    for id in ["one", "two", "three"] {
        bed.pass(Duration::from_secs(40));
        let restored = bed.restart(Duration::from_secs(2));
        assert_eq!(restored.nailed, 1);
        assert!(restored.to_string().contains("1 connections nailed up to phones"), "{restored}");
        assert!(bed.take(PHONE).is_empty(), "the phone hears nothing of it");
        assert_eq!(bed.line_state(), Some(Line::Idle));
        let answered = bed.over_the_line(&first, id);
        bed.receive(CALLER, &in_dialog(&answered, "BYE", 2, CALLER, ""));
        assert_eq!(bed.one(CALLER).code(), Some(200));
        bed.goes_home();
    }
    bed.unnail();
    let bye = bed.one(PHONE);
    assert!(line(&bye).starts_with("BYE "));
    bed.receive(PHONE, &answer(&bye, 200, "nail", PHONE, ""));
    assert_eq!((bed.line_state(), bed.stored_lines()), (None, 0));
    assert_eq!(bed.restart(Duration::from_secs(2)).nailed, 0);
}

#[test]
fn a_connection_that_was_lent_when_the_server_died_comes_home_after_the_call() {
    for leaves in [false, true] {
        let mut bed = ready();
        let first = bed.nailed(0);
        let answered = bed.over_the_line(&first, "one");
        if leaves {
            bed.unnail();
        }
        for _ in 0..2 {
            bed.pass(Duration::from_secs(40));
            let restored = bed.restart(Duration::from_secs(2));
            assert_eq!((restored.calls, restored.nailed), (1, 1));
            assert_eq!(bed.line_state(), Some(Line::Busy));
        }
        bed.sent.clear();
        bed.receive(CALLER, &in_dialog(&answered, "BYE", 2, CALLER, ""));
        assert_eq!(bed.one(CALLER).code(), Some(200));
        if leaves {
            assert!(line(&bed.one(PHONE)).starts_with("BYE "), "it was wanted no more");
            assert_eq!((bed.line_state(), bed.stored_lines()), (None, 0));
        } else {
            bed.goes_home();
            bed.over_the_line(&first, "two");
        }
    }
}

#[test]
fn a_phone_that_was_being_silenced_when_the_server_died_is_silenced_again() {
    let mut bed = ready();
    let first = bed.nailed(0);
    let answered = bed.over_the_line(&first, "one");
    bed.records = false;
    bed.receive(CALLER, &in_dialog(&answered, "BYE", 2, CALLER, ""));
    assert!(line(&bed.one(PHONE)).starts_with("INVITE "), "the process dies before the answer");
    bed.restart(Duration::from_secs(2));
    bed.goes_home();
    assert_eq!(header(&first, HeaderName::CSeq), "1 INVITE");
}

#[test]
fn a_connection_to_a_phone_that_is_configured_no_more_ends_with_the_restart() {
    let mut bed = ready();
    bed.nailed(0);
    let gone = |extensions: &mut Vec<tandem_switch::directory::Extension>| {
        extensions.retain(|extension| &*extension.number != "1003");
    };
    bed.directory = crate::support::directory(|options, extensions, _| {
        options.dr_peer_trunk = None;
        gone(extensions);
    });
    bed.restart(Duration::from_secs(2));
    assert!(bed.lines(PHONE).iter().any(|line| line.starts_with("BYE ")));
    assert_eq!((bed.line_state(), bed.stored_lines()), (None, 0));
}
