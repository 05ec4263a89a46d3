//! Session timers (RFC 4028), leg by leg.

use std::sync::Arc;
use std::time::Duration;

use tandem_sip::{HeaderName, Message, Transport};
use tandem_switch::directory::{Directory, SessionTimerMode};

use crate::support::{
    Bed, CALLEE, CALLER, alone, answer, codes, directory, from_callee, header, in_dialog, invite, line, with,
    without,
};

const UPDATES: &str = "Allow: INVITE, ACK, BYE, UPDATE";

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn asked(mode: SessionTimerMode, interval_s: u32) -> Arc<Directory> {
    directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        options.session_timer.mode = mode;
        options.session_timer.interval_s = interval_s;
        options.session_timer.min_se_s = interval_s.min(90);
        trunks.iter_mut().for_each(|trunk| trunk.oos = tandem_peer::trunk::TrunkOptions::default());
    })
}

/// A call whose caller's INVITE has these lines and whose callee's 200 has those: what the caller got, and the INVITE.
#[track_caller]
fn call(bed: &mut Bed, caller: &str, callee: &str) -> (Message, Message) {
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    let own = invite("1001", CALLER, "1002", "call1");
    bed.receive(CALLER, &if caller.is_empty() { own } else { with(&own, caller) });
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    let ok = answer(&offered, 200, "callee", CALLEE, "answer");
    bed.receive(CALLEE, &if callee.is_empty() { ok } else { with(&ok, callee) });
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(CALLEE);
    (ok, offered)
}

fn session(message: &Message) -> String {
    header(message, HeaderName::SessionExpires)
}

fn knows(message: &Message) -> bool {
    message.has_token(HeaderName::Supported, b"timer")
}

fn state(bed: &Bed) -> &'static str {
    bed.node.call_list(bed.now).first().map_or("none", |call| call.state)
}

#[test]
fn each_leg_has_a_timer_of_its_own() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = call(
        &mut bed,
        "Supported: timer\nSession-Expires: 600;refresher=uac\nMin-SE: 120",
        "Require: timer\nSession-Expires: 900;refresher=uas",
    );
    assert!(knows(&offered) && offered.header(HeaderName::MinSe).is_none());
    assert_eq!(session(&offered), "1800;refresher=uac");
    assert_eq!(session(&ok), "600;refresher=uac");
    assert!(knows(&ok) && ok.has_token(HeaderName::Require, b"timer"), "RFC 4028 9: Require with uac");
}

#[test]
fn this_server_refreshes_where_the_caller_leaves_it_the_choice() {
    for (asks, told) in [
        ("Supported: timer\nSession-Expires: 600", "600;refresher=uas"),
        ("Supported: timer\nx: 4000;refresher=uas", "1800;refresher=uas"),
        ("Supported: timer\nMin-SE: 3600\nAllow: INVITE, UPDATE", "3600;refresher=uas"),
        ("Session-Expires: 50", "50;refresher=uas"),
        ("Session-Expires: 700;refresher=uac", "700;refresher=uas"),
        ("Supported: timer\nSession-Expires: junk\nAllow: UPDATE", "1800;refresher=uas"),
        ("Supported: timer", ""),
        ("Supported: path", ""),
    ] {
        let mut bed = Bed::with(alone());
        let (ok, _) = call(&mut bed, asks, "");
        assert_eq!(session(&ok), told, "{asks}");
        assert!(!ok.has_token(HeaderName::Require, b"timer"), "{asks}");
    }
}

#[test]
fn a_caller_who_asks_for_too_short_an_interval_is_told_422() {
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    let short = with(&invite("1001", CALLER, "1002", "call1"), "Supported: timer\nSession-Expires: 89");
    bed.receive(CALLER, &short);
    let told = bed.one(CALLER);
    assert_eq!((told.code(), header(&told, HeaderName::MinSe).as_str()), (Some(422), "90"));
    assert!(bed.take(CALLEE).is_empty());
}

#[test]
fn a_422_of_a_callee_is_answered_here_once_it_helps() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &with(&answer(&offered, 422, "callee", CALLEE, ""), "Min-SE: 2000"));
    let told = bed.take(CALLEE);
    assert_eq!(line(&told[0]).split(' ').next(), Some("ACK"));
    let again = &told[1];
    assert_eq!(
        (session(again), header(again, HeaderName::MinSe)),
        ("2000;refresher=uac".into(), "2000".into())
    );
    assert_eq!(header(again, HeaderName::CSeq), "2 INVITE");
    bed.receive(CALLEE, &with(&answer(again, 422, "other", CALLEE, ""), "Min-SE: 2000"));
    assert_eq!(codes(&bed.take(CALLER)), [500], "a 422 speaks of the callee's leg");
}

#[test]
fn the_callees_session_is_refreshed_by_update_at_half_its_time_for_as_long_as_he_answers() {
    let mut bed = Bed::with(alone());
    call(&mut bed, "", &format!("{UPDATES}\nRequire: timer\nSession-Expires: 200;refresher=uac"));
    for _ in 0..3 {
        bed.pass(s(99));
        assert!(bed.take(CALLEE).is_empty());
        bed.pass(s(1));
        let update = bed.one(CALLEE);
        assert!(line(&update).starts_with("UPDATE ") && update.body().is_empty() && knows(&update));
        assert_eq!(session(&update), "200;refresher=uac");
        let ok = with(&answer(&update, 200, "", CALLEE, ""), "Session-Expires: 200;refresher=uac");
        bed.receive(CALLEE, &ok);
    }
    assert_eq!(state(&bed), "established");
    assert_eq!(bed.node.counters().session_refreshes, 3);
}

#[test]
fn one_who_takes_no_update_is_offered_again_what_he_was_told_last() {
    let mut bed = Bed::with(alone());
    let (ok, offered) =
        call(&mut bed, "Supported: timer\nSession-Expires: 200", "Session-Expires: 200;refresher=uac");
    bed.pass(s(100));
    // One INVITE at a time: the callee's turn comes 1 s later.
    for (at, said) in [(CALLER, &b"answer"[..]), (CALLEE, offered.body())] {
        let reinvite = &bed.one(at);
        assert_eq!(reinvite.body(), said);
        assert!(line(reinvite).starts_with("INVITE "));
        assert_eq!(session(reinvite), "200;refresher=uac");
        let again = with(&answer(reinvite, 200, "", at, "same"), "Session-Expires: 200;refresher=uac");
        bed.receive(at, &again);
        assert!(line(&bed.one(at)).starts_with("ACK "));
        bed.pass(s(1));
    }
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 3, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
}

#[test]
fn one_who_knows_no_session_timers_is_asked_by_options_whether_he_lives() {
    let mut bed = Bed::with(alone());
    call(&mut bed, "", "");
    for code in [200, 405, 501] {
        bed.pass(s(900));
        for at in [CALLER, CALLEE] {
            let options = bed.one(at);
            assert!(line(&options).starts_with("OPTIONS "));
            bed.receive(at, &answer(&options, code, "", at, ""));
        }
        assert_eq!(state(&bed), "established");
    }
}

#[test]
fn a_call_both_of_whose_ends_vanish_ends_with_the_next_refresh() {
    let mut bed = Bed::with(alone());
    call(&mut bed, "", UPDATES);
    bed.pass(s(900 + 33));
    assert_eq!(state(&bed), "ending");
    assert_eq!(bed.node.counters().sessions_expired, 1);
    bed.nothing_stays();
    let reasons: Vec<_> = bed.cdrs[0].legs.iter().map(|leg| leg.reason.as_str()).collect();
    assert_eq!(reasons, ["no response", "no response"]);
}

#[test]
fn a_refresh_that_finds_no_dialog_ends_the_call_for_the_other_side() {
    for callee in ["", &format!("{UPDATES}\nSession-Expires: 1800;refresher=uac")] {
        let mut bed = Bed::with(alone());
        call(&mut bed, "", callee);
        bed.pass(s(900));
        let refresh = bed.one(CALLEE);
        bed.take(CALLER);
        bed.receive(CALLEE, &answer(&refresh, 481, "", CALLEE, ""));
        assert!(bed.lines(CALLER)[0].starts_with("BYE "), "{callee}");
        bed.nothing_stays();
    }
}

#[test]
fn a_party_that_was_to_refresh_and_did_not_is_given_up_before_its_time_is_over() {
    let mut bed = Bed::with(alone());
    call(&mut bed, &format!("{UPDATES}\nSupported: timer\nSession-Expires: 120;refresher=uac"), "");
    bed.pass(s(87));
    assert_eq!(state(&bed), "established");
    bed.pass(s(1));
    assert!(bed.lines(CALLEE)[0].starts_with("BYE ") && bed.lines(CALLER)[0].starts_with("BYE "));
    assert_eq!(bed.cdrs.len() + bed.node.call_list(bed.now).len(), 1);
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].legs[0].reason, "the session timer ran out");
}

#[test]
fn an_update_that_only_refreshes_is_answered_here() {
    let mut bed = Bed::with(alone());
    let (ok, offered) =
        call(&mut bed, &format!("{UPDATES}\nSupported: timer\nSession-Expires: 120;refresher=uac"), "");
    let refresh = |cseq, seconds| {
        with(
            &in_dialog(&ok, "UPDATE", cseq, CALLER, ""),
            &format!("Supported: timer\nSession-Expires: {seconds};refresher=uac"),
        )
    };
    bed.pass(s(60));
    bed.receive(CALLER, &refresh(2, 120));
    let told = bed.one(CALLER);
    assert_eq!((told.code(), session(&told).as_str()), (Some(200), "120;refresher=uac"));
    assert!(told.header(HeaderName::Contact).is_some() && bed.take(CALLEE).is_empty());
    bed.pass(s(87));
    assert_eq!(state(&bed), "established", "it begins anew");
    bed.receive(CALLER, &refresh(3, 20));
    assert_eq!(codes(&bed.take(CALLER)), [422]);
    let shown = with(&refresh(4, 120), "P-Asserted-Identity: <sip:7@h>");
    bed.receive(CALLER, &shown);
    let passed = bed.one(CALLEE);
    assert!(line(&passed).starts_with("UPDATE "), "what says something else is passed on");
    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, ""));
    assert_eq!(session(&bed.one(CALLER)), "120;refresher=uac");
    drop(offered);
}

#[test]
fn a_reinvite_refreshes_both_legs() {
    let mut bed = Bed::with(alone());
    let (ok, _) = call(
        &mut bed,
        "Supported: timer\nSession-Expires: 600;refresher=uac",
        "Session-Expires: 900;refresher=uac",
    );
    bed.pass(s(400));
    let again = with(
        &in_dialog(&ok, "INVITE", 2, CALLER, "again"),
        "Supported: timer\nSession-Expires: 600;refresher=uac",
    );
    bed.receive(CALLER, &again);
    bed.take(CALLER);
    let passed = bed.one(CALLEE);
    assert_eq!((session(&passed).as_str(), passed.body()), ("900;refresher=uac", &b"again"[..]));
    bed.receive(
        CALLEE,
        &with(&answer(&passed, 200, "", CALLEE, "yes"), "Session-Expires: 900;refresher=uac"),
    );
    assert_eq!(session(&bed.one(CALLER)), "600;refresher=uac");
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
    bed.take(CALLEE);
    bed.pass(s(449));
    assert!(bed.take(CALLEE).is_empty(), "half of 900 s begins with the re-INVITE");
    bed.pass(s(1));
    assert_eq!(bed.one(CALLEE).body(), b"again", "the offer is the one that was passed on last");
}

#[test]
fn a_refresh_that_is_refused_goes_again_and_ends_nothing() {
    let mut bed = Bed::with(alone());
    call(&mut bed, "", &format!("{UPDATES}\nSession-Expires: 200;refresher=uac"));
    bed.pass(s(100));
    for (code, extra, again_s, method) in [
        (491, "", 10, "UPDATE "),
        (422, "Min-SE: 300", 0, "UPDATE "),
        (500, "", 31, "UPDATE "),
        (405, "", 1, "OPTIONS "),
    ] {
        let refresh = bed.take(CALLEE).pop().unwrap();
        let refused = answer(&refresh, code, "", CALLEE, "");
        bed.receive(CALLEE, &if extra.is_empty() { refused } else { with(&refused, extra) });
        bed.pass(s(again_s));
        assert_eq!(state(&bed), "established", "{code}");
        let again: Vec<_> = bed.sent.iter().map(|(_, message)| line(message)).collect();
        assert!(again.first().is_some_and(|line| line.starts_with(method)), "{code}: {again:?}");
        if code == 422 {
            assert_eq!(session(&bed.sent[0].1), "300;refresher=uac");
        }
    }
}

#[test]
fn a_far_end_that_cannot_be_reached_is_given_up_when_its_session_ends() {
    let mut bed = Bed::with(alone());
    call(&mut bed, "", &format!("{UPDATES}\nSession-Expires: 200;refresher=uac"));
    bed.pass(s(100));
    for _ in 0..19 {
        bed.take(CALLEE);
        bed.refuse(CALLEE, Transport::Udp);
        assert_eq!(state(&bed), "established");
        bed.pass(s(5));
    }
    bed.refuse(CALLEE, Transport::Udp);
    bed.pass(s(5));
    assert!(bed.lines(CALLER)[0].starts_with("BYE "));
    bed.nothing_stays();
}

#[test]
fn required_session_timers_are_required_of_both_sides() {
    let mut bed = Bed::with(asked(SessionTimerMode::Required, 1800));
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call0"));
    let told = bed.one(CALLER);
    assert_eq!((told.code(), header(&told, HeaderName::Require).as_str()), (Some(421), "timer"));
    let (_, offered) = call(&mut bed, "Supported: timer", "Session-Expires: 1800;refresher=uac");
    assert!(offered.has_token(HeaderName::Require, b"timer"));
}

#[test]
fn switched_off_nothing_is_said_of_session_timers_and_nobody_is_asked() {
    let mut bed = Bed::with(asked(SessionTimerMode::Off, 1800));
    let (ok, offered) = call(&mut bed, "Supported: timer\nSession-Expires: 20", "");
    for message in [&ok, &offered] {
        assert!(!knows(message) && session(message).is_empty());
    }
    bed.pass(s(100_000));
    assert_eq!(state(&bed), "established");
    assert!(bed.sent.is_empty());
}

#[test]
fn a_party_that_waits_on_the_line_keeps_its_session_and_is_missed() {
    let mut bed = Bed::with(asked(SessionTimerMode::On, 90));
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    let own = bed.made("1002");
    let ok = with(
        &answer(&own, 200, "own", CALLER, &crate::support::sdp("caller", "sendrecv")),
        &format!("{UPDATES}\nContent-Type: application/sdp\nSession-Expires: 90;refresher=uac"),
    );
    bed.receive(CALLER, &ok);
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.pass(s(45));
    let update = bed.one(CALLER);
    assert!(line(&update).starts_with("UPDATE "));
    bed.receive(CALLER, &with(&answer(&update, 200, "", CALLER, ""), "Session-Expires: 90;refresher=uac"));
    bed.receive(CALLER, &with(&from_callee(&own, "own", "UPDATE", 1, CALLER, ""), "Supported: timer"));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    bed.pass(s(14));
    bed.take(CALLEE);
    assert_eq!(state(&bed), "ringing");
}

#[test]
fn a_party_that_waits_on_the_line_may_refresh_by_invite_and_hears_nothing_still() {
    let mut bed = Bed::with(asked(SessionTimerMode::On, 90));
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    let own = bed.made("1002");
    let ok = answer(&own, 200, "own", CALLER, &crate::support::sdp("caller", "sendrecv"));
    bed.receive(CALLER, &with(&ok, "Content-Type: application/sdp"));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    let described = crate::support::sdp("caller", "sendrecv");
    let refresh = with(
        &from_callee(&own, "own", "INVITE", 1, CALLER, &described),
        "Content-Type: application/sdp\nSupported: timer\nSession-Expires: 90;refresher=uac",
    );
    bed.receive(CALLER, &refresh);
    let told = bed.one(CALLER);
    assert_eq!((told.code(), session(&told).as_str()), (Some(200), "90;refresher=uac"));
    assert!(crate::support::body(&told).contains("a=inactive"));
    bed.receive(CALLER, &from_callee(&own, "own", "INVITE", 2, CALLER, &described));
    assert_eq!(codes(&bed.take(CALLER)), [500], "the first is not acknowledged yet");
    bed.pass(Duration::from_millis(500));
    let oks = |bed: &mut Bed| bed.take(CALLER).iter().filter(|message| message.code() == Some(200)).count();
    assert_eq!(oks(&mut bed), 1, "again until the ACK");
    bed.receive(CALLER, &from_callee(&own, "own", "ACK", 1, CALLER, ""));
    bed.pass(s(20));
    assert_eq!(oks(&mut bed), 0);
    assert_eq!(state(&bed), "ringing");
}

#[test]
fn one_who_waits_on_the_line_and_vanishes_frees_who_rings() {
    let mut bed = Bed::with(asked(SessionTimerMode::On, 30));
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    let own = bed.made("1002");
    let ok = answer(&own, 200, "own", CALLER, &crate::support::sdp("caller", "sendrecv"));
    bed.receive(CALLER, &with(&ok, "Content-Type: application/sdp"));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.pass(s(16 + 33));
    assert!(bed.lines(CALLEE)[0].starts_with("CANCEL "));
    let request = without(&answer(&offered, 487, "callee", CALLEE, ""), "Contact");
    bed.receive(CALLEE, &request);
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].legs[0].reason, "the session timer ran out");
}
