//! Trunks whose contact is a name that leads to several targets (RFC 3263): failover, Retry-After, dead targets.

use std::sync::Arc;
use std::time::Duration;

use tandem_peer::trunk::TrunkOptions;
use tandem_sip::locate::{Candidate, Wanted};
use tandem_sip::{HeaderName, Message, Transport};
use tandem_switch::directory::Directory;
use tandem_switch::{Event, Input};

use crate::support::{
    Bed, CALLER, GATEWAY, addr, alone, answer, codes, directory, header, in_dialog, invite, line, with,
};

const SECOND: &str = "10.0.0.98:5060";

fn wanted() -> Wanted {
    Wanted { host: "gw.example".into(), port: None, transport: None, secure: false }
}

/// One trunk "gateway" for what begins with 9, whose contact is a name.
fn named(oos: TrunkOptions) -> Arc<Directory> {
    let named = |trunks: &mut Vec<tandem_switch::directory::Trunk>| {
        trunks[0].contact.uri = "sip:gw.example".into();
        trunks[0].contact.addr = None;
        trunks[0].contact.resolve = Some(wanted());
        trunks[0].oos = oos;
    };
    directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        trunks.truncate(1);
        named(trunks);
    })
}

fn place(at: &str, priority: u16, weight: u16, record: u8) -> Candidate {
    Candidate { transport: Transport::Udp, addr: addr(at), priority, weight, record }
}

impl Bed {
    fn located(&mut self, found: &[Candidate]) {
        self.node.handle_input(Input::Located { wanted: wanted(), found: found.to_vec() }, self.now);
        self.drain();
    }

    fn dial(&mut self, id: &str) {
        self.receive(CALLER, &invite("1001", CALLER, "9123", id));
        self.take(CALLER);
    }

    fn target_states(&self) -> Vec<&'static str> {
        self.node.trunk_list(self.now)[0].targets.iter().map(|target| target.state).collect()
    }

    fn answers_probes(&mut self, at: &[&str]) {
        for at in at {
            for probe in self.take(at) {
                self.receive(at, &answer(&probe, 200, "p", at, ""));
            }
        }
    }

    /// Answers an INVITE and ends the call.
    fn answered_and_ended(&mut self, offered: &Message, at: &str) {
        self.receive(at, &answer(offered, 200, "gw", at, ""));
        let ok = self.one(CALLER);
        self.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
        // A number of its own, or the transaction layer takes it for the last call's.
        let cseq = 2 + u32::try_from(self.node.counters().calls).unwrap();
        self.receive(CALLER, &in_dialog(&ok, "BYE", cseq, CALLER, ""));
        let bye = self.take(at).pop().unwrap();
        assert!(line(&bye).starts_with("BYE "), "the dialog stays with the target that answered");
        self.receive(at, &answer(&bye, 200, "", at, ""));
        self.take(CALLER);
    }
}

/// The first target is preferred, 1001 is registered, and its first call is offered.
fn two(oos: TrunkOptions) -> (Bed, Message) {
    let mut bed = Bed::with(named(oos));
    bed.located(&[place(GATEWAY, 10, 0, 0), place(SECOND, 20, 0, 1)]);
    bed.register("1001", CALLER);
    bed.take(GATEWAY);
    bed.take(SECOND);
    bed.dial("first");
    let offered = bed.take(GATEWAY).pop().unwrap();
    (bed, offered)
}

/// The same with targets that answer probes, as often as they are asked.
fn two_probed(oos: TrunkOptions) -> (Bed, Message) {
    let mut bed = Bed::with(named(oos));
    bed.located(&[place(GATEWAY, 10, 0, 0), place(SECOND, 20, 0, 1)]);
    bed.register("1001", CALLER);
    for _ in 0..12 {
        bed.pass(Duration::from_secs(1));
        bed.answers_probes(&[GATEWAY, SECOND]);
    }
    bed.dial("first");
    let offered = bed.take(GATEWAY).pop().unwrap();
    (bed, offered)
}

#[test]
fn a_name_that_is_not_located_takes_no_call_and_says_why() {
    let mut bed = Bed::with(named(TrunkOptions::default()));
    bed.register("1001", CALLER);
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "early"));
    assert_eq!(codes(&bed.take(CALLER)), [100, 480]);
    let why = bed.node.why("early").unwrap();
    assert!(why.steps.iter().any(|step| step.text.contains("does not resolve")), "{:?}", why.steps);
    bed.located(&[place(GATEWAY, 0, 0, 0)]);
    bed.dial("late");
    assert_eq!(line(&bed.one(GATEWAY)), "INVITE sip:+123@gw.example SIP/2.0");
}

#[test]
fn a_silent_target_is_left_for_the_next_after_its_time_and_a_late_answer_of_it_is_hung_up() {
    let (mut bed, offered) = two(TrunkOptions::default());
    bed.pass(Duration::from_millis(3_999));
    assert!(bed.take(SECOND).is_empty());
    bed.pass(Duration::from_millis(1));
    let next = bed.one(SECOND);
    assert_eq!(next.method(), offered.method());
    assert_ne!(header(&next, HeaderName::CallId), header(&offered, HeaderName::CallId));
    bed.take(GATEWAY);
    bed.receive(GATEWAY, &answer(&offered, 200, "late", GATEWAY, ""));
    let ended: Vec<String> = bed.lines(GATEWAY);
    assert!(ended.iter().any(|line| line.starts_with("ACK ")), "{ended:?}");
    let bye = format!("BYE sip:x@{GATEWAY} SIP/2.0");
    assert!(ended.contains(&bye), "{ended:?}");
    bed.answered_and_ended(&next, SECOND);
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].legs.len(), 3, "each try is in the record");
}

#[test]
fn a_target_that_says_trying_is_not_left() {
    let (mut bed, offered) = two(TrunkOptions::default());
    bed.receive(GATEWAY, &answer(&offered, 100, "", GATEWAY, ""));
    bed.pass(Duration::from_secs(20));
    assert!(bed.take(SECOND).is_empty());
    bed.answered_and_ended(&offered, GATEWAY);
}

#[test]
fn a_target_that_took_no_call_rests_and_comes_back() {
    let (mut bed, _) = two(TrunkOptions::default());
    bed.refuse(GATEWAY, Transport::Udp);
    let next = bed.one(SECOND);
    bed.answered_and_ended(&next, SECOND);
    assert_eq!(bed.target_states(), ["out-of-service", "in-service"]);
    assert!(bed.events.iter().any(|event| matches!(event, Event::TargetOutOfService { .. })));
    assert!(
        !bed.events.iter().any(|event| matches!(event, Event::DnOutOfService { .. })),
        "the trunk is there"
    );
    bed.dial("while");
    let offered = bed.one(SECOND);
    bed.answered_and_ended(&offered, SECOND);
    bed.pass(Duration::from_secs(30));
    bed.dial("after");
    let offered = bed.one(GATEWAY);
    bed.answered_and_ended(&offered, GATEWAY);
    bed.nothing_stays();
}

#[test]
fn when_every_target_rests_they_are_tried_all_the_same() {
    let (mut bed, _) = two(TrunkOptions::default());
    bed.refuse(GATEWAY, Transport::Udp);
    bed.refuse(SECOND, Transport::Udp);
    assert_eq!(codes(&bed.take(CALLER)), [500]);
    bed.take(SECOND);
    bed.dial("again");
    let offered = bed.one(GATEWAY);
    bed.answered_and_ended(&offered, GATEWAY);
    bed.nothing_stays();
}

#[test]
fn retry_after_of_a_503_is_obeyed_and_bounded() {
    for (said, kept) in [("Retry-After: 20 (busy)", 20), ("Retry-After: 100000;duration=5", 60)] {
        let (mut bed, offered) = two(TrunkOptions::default());
        bed.receive(GATEWAY, &with(&answer(&offered, 503, "gw", GATEWAY, ""), said));
        bed.take(GATEWAY);
        let next = bed.one(SECOND);
        bed.answered_and_ended(&next, SECOND);
        bed.pass(Duration::from_millis(kept * 1_000 - 1));
        bed.dial("while");
        let offered = bed.one(SECOND);
        bed.answered_and_ended(&offered, SECOND);
        bed.pass(Duration::from_millis(1));
        bed.dial("after");
        let offered = bed.one(GATEWAY);
        bed.answered_and_ended(&offered, GATEWAY);
        bed.nothing_stays();
    }
}

#[test]
fn an_only_target_that_asked_to_be_left_alone_is_passed_over_and_the_reason_is_told() {
    let mut bed = Bed::with(alone());
    bed.register("1001", CALLER);
    bed.dial("first");
    let offered = bed.one(GATEWAY);
    bed.receive(GATEWAY, &with(&answer(&offered, 503, "gw", GATEWAY, ""), "Retry-After: 10"));
    assert_eq!(codes(&bed.take(CALLER)), [500]);
    bed.take(GATEWAY);
    bed.dial("while");
    assert!(bed.take(GATEWAY).is_empty());
    let why = bed.node.why("while").unwrap();
    assert!(why.steps.iter().any(|step| step.text.contains("Retry-After")), "{:?}", why.steps);
    bed.pass(Duration::from_secs(10));
    bed.dial("after");
    bed.one(GATEWAY);
}

#[test]
fn what_a_target_says_of_the_called_party_is_final() {
    let (mut bed, offered) = two(TrunkOptions::default());
    bed.receive(GATEWAY, &answer(&offered, 486, "gw", GATEWAY, ""));
    assert_eq!(codes(&bed.take(CALLER)), [486]);
    assert!(bed.take(SECOND).is_empty());
    bed.nothing_stays();
}

#[test]
fn every_target_is_probed_and_the_trunk_is_lost_with_the_last_of_them() {
    let oos = TrunkOptions { oos_check_s: 10, oos_force_s: 5, ..TrunkOptions::default() };
    let mut bed = Bed::with(named(oos));
    bed.pass(Duration::from_secs(1));
    bed.located(&[place(GATEWAY, 10, 0, 0), place(SECOND, 20, 0, 1)]);
    bed.pass(Duration::ZERO);
    for at in [GATEWAY, SECOND] {
        let probe = bed.one(at);
        assert_eq!(line(&probe), "OPTIONS sip:gw.example SIP/2.0");
        bed.receive(at, &answer(&probe, 200, "gw", at, ""));
    }
    assert_eq!(bed.target_states(), ["in-service", "in-service"]);
    bed.events.clear();
    // The first falls silent.
    bed.pass(Duration::from_secs(10));
    let probe = bed.take(SECOND).pop().unwrap();
    bed.receive(SECOND, &answer(&probe, 200, "gw", SECOND, ""));
    bed.pass(Duration::from_secs(5));
    assert_eq!(bed.target_states(), ["out-of-service", "in-service"]);
    assert!(matches!(bed.events.as_slice(), [Event::TargetOutOfService { .. }]), "{:?}", bed.events);
    bed.register("1001", CALLER);
    bed.take(GATEWAY);
    bed.dial("oneleft");
    bed.answer_last(SECOND, 486);
    // Then the second, too.
    bed.events.clear();
    bed.pass(Duration::from_secs(15));
    assert!(matches!(bed.events.as_slice(), [Event::DnOutOfService { .. }]), "{:?}", bed.events);
    bed.take(GATEWAY);
    bed.take(CALLER);
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "noneleft"));
    assert_eq!(codes(&bed.take(CALLER)), [100, 480]);
    // Whichever answers first brings the trunk back.
    bed.events.clear();
    bed.take(GATEWAY);
    bed.pass(Duration::from_secs(10));
    let probe = bed.take(GATEWAY).pop().unwrap();
    bed.receive(GATEWAY, &answer(&probe, 200, "gw", GATEWAY, ""));
    assert!(matches!(bed.events.as_slice(), [Event::DnBackInService { .. }]), "{:?}", bed.events);
    assert_eq!(bed.target_states(), ["in-service", "out-of-service"]);
}

#[test]
fn a_call_that_waits_at_a_target_moves_when_its_probe_finds_it_dead() {
    let oos = TrunkOptions { oos_check_s: 10, oos_force_s: 1, ..TrunkOptions::default() };
    let mut bed = Bed::with(named(oos));
    bed.located(&[place(GATEWAY, 10, 0, 0), place(SECOND, 20, 0, 1)]);
    bed.pass(Duration::ZERO);
    for at in [GATEWAY, SECOND] {
        let probe = bed.one(at);
        bed.receive(at, &answer(&probe, 200, "gw", at, ""));
    }
    bed.register("1001", CALLER);
    bed.pass(Duration::from_secs(10));
    bed.take(GATEWAY);
    let probe = bed.take(SECOND).pop().unwrap();
    bed.receive(SECOND, &answer(&probe, 200, "gw", SECOND, ""));
    bed.dial("waits");
    assert_eq!(bed.take(GATEWAY).len(), 1);
    bed.pass(Duration::from_millis(999));
    assert!(bed.take(SECOND).is_empty());
    bed.pass(Duration::from_millis(1));
    assert_eq!(bed.target_states(), ["out-of-service", "in-service"]);
    assert!(line(&bed.one(SECOND)).starts_with("INVITE "), "sooner than trunk-target-timeout");
}

#[test]
fn servers_of_one_priority_share_the_calls_by_weight() {
    let mut bed = Bed::with(named(TrunkOptions::default()));
    bed.located(&[place(GATEWAY, 10, 70, 0), place(SECOND, 10, 30, 1)]);
    bed.register("1001", CALLER);
    let mut first = 0;
    for number in 0..200 {
        bed.dial(&format!("call{number}"));
        let (one, two) = (bed.take(GATEWAY), bed.take(SECOND));
        first += u32::from(!one.is_empty());
        assert_eq!(one.len() + two.len(), 1);
        let (offered, at) = one.first().map_or((two.first(), SECOND), |one| (Some(one), GATEWAY));
        bed.receive(at, &answer(offered.unwrap(), 486, "gw", at, ""));
        bed.take(at);
        bed.take(CALLER);
    }
    assert!((120..=160).contains(&first), "{first} of 200 is not 70 %");
}

#[test]
fn a_request_from_any_target_is_the_trunk_s() {
    let mut bed = Bed::with(named(TrunkOptions::default()));
    bed.located(&[place(GATEWAY, 10, 0, 0), place(SECOND, 20, 0, 1)]);
    bed.register("1001", CALLER);
    for at in [GATEWAY, SECOND] {
        bed.receive(at, &invite("555", at, "1001", &format!("in{at}")));
        bed.take(at);
        let offered = bed.take(CALLER).pop().unwrap();
        assert!(line(&offered).starts_with("INVITE "));
    }
}

#[test]
fn a_new_answer_of_the_domain_name_system_keeps_what_is_known_of_targets_that_stay() {
    let (mut bed, _) = two(TrunkOptions::default());
    bed.refuse(GATEWAY, Transport::Udp);
    let next = bed.one(SECOND);
    bed.answered_and_ended(&next, SECOND);
    const THIRD: &str = "10.0.0.97:5060";
    bed.located(&[place(THIRD, 10, 0, 0), place(GATEWAY, 5, 0, 1)]);
    assert_eq!(bed.target_states(), ["in-service", "out-of-service"]);
    bed.dial("third");
    bed.answer_last(THIRD, 486);
    // Nothing found: everything stays.
    bed.located(&[]);
    assert_eq!(bed.target_states().len(), 2);
    bed.nothing_stays();
}

impl Bed {
    fn answer_last(&mut self, at: &str, code: u16) {
        let offered = self.take(at).pop().unwrap();
        assert!(line(&offered).starts_with("INVITE "), "{}", line(&offered));
        self.receive(at, &answer(&offered, code, "gw", at, ""));
        self.take(at);
        self.take(CALLER);
    }
}

/// A call over the first target, whose answer names the trunk's name, or an address, as where requests go. The 200 that 1001 got.
#[track_caller]
fn talking((mut bed, offered): (Bed, Message), contact: &str) -> (Bed, Message) {
    bed.receive(GATEWAY, &answer(&offered, 200, "gw", contact, ""));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    assert!(line(&bed.one(GATEWAY)).starts_with("ACK "));
    (bed, ok)
}

#[test]
fn a_dialog_whose_next_hop_is_the_trunks_name_goes_on_over_another_target_when_its_own_is_lost() {
    let probed = TrunkOptions { oos_check_s: 10, oos_force_s: 5, ..TrunkOptions::default() };
    for (contact, moves) in [("gw.example", true), (GATEWAY, false), ("other.example", false)] {
        let (mut bed, ok) = talking(two_probed(probed), contact);
        bed.receive(CALLER, &in_dialog(&ok, "INFO", 2, CALLER, "one"));
        let info = bed.one(GATEWAY);
        assert!(line(&info).starts_with("INFO "), "while it is in service");
        bed.receive(GATEWAY, &answer(&info, 200, "", GATEWAY, ""));
        for _ in 0..40 {
            bed.pass(Duration::from_secs(1));
            bed.answers_probes(&[SECOND]);
        }
        bed.take(GATEWAY);
        assert_eq!(bed.target_states(), ["out-of-service", "in-service"]);
        bed.receive(CALLER, &in_dialog(&ok, "INFO", 3, CALLER, "two"));
        let there = bed.lines(SECOND).iter().any(|line| line.starts_with("INFO "));
        assert_eq!(there, moves, "{contact}");
    }
}

#[test]
fn a_bye_that_no_target_hears_is_sent_to_each_once() {
    for (by, contact, second) in
        [("silence", "gw.example", true), ("refusal", "gw.example", true), ("silence", GATEWAY, false)]
    {
        let (mut bed, ok) = talking(two(TrunkOptions::default()), contact);
        bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
        assert!(bed.lines(GATEWAY).iter().any(|line| line.starts_with("BYE ")));
        if by == "silence" {
            bed.pass(Duration::from_secs(33));
        } else {
            bed.refuse(GATEWAY, Transport::Udp);
        }
        assert_eq!(bed.lines(SECOND).iter().any(|line| line.starts_with("BYE ")), second, "{by} {contact}");
        bed.take(GATEWAY);
        bed.pass(Duration::from_secs(70));
        assert!(bed.take(GATEWAY).is_empty(), "no circle");
        assert_eq!(bed.node.call_list(bed.now).len(), 0);
        assert_eq!(bed.node.status(bed.now).transactions, 0);
    }
}
