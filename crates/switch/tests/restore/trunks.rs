//! What was believed of trunks and probed devices, after a restart.

use std::sync::Arc;
use std::time::Duration;

use tandem_peer::trunk::{TrunkOptions, TrunkRole};
use tandem_sip::locate::{Candidate, Wanted};
use tandem_sip::{HeaderName, Message, Transport};
use tandem_switch::directory::{Directory, Trunk};
use tandem_switch::{Event, Input, view};

use crate::support::{
    Bed, CALLER, GATEWAY, PEER, addr, answer, codes, contact, directory, header, in_dialog, invite, line,
    trunk, with,
};

const GAP: Duration = Duration::from_secs(2);
const SECOND: &str = "10.0.0.98:5060";
/// The kind of the records of trunks.
const BELIEVED: u8 = 15;

fn probed() -> TrunkOptions {
    TrunkOptions { oos_check_s: 10, oos_force_s: 5, ..TrunkOptions::default() }
}

fn gateway(oos: TrunkOptions) -> Arc<Directory> {
    directory(|_, _, trunks| trunks[0].oos = oos)
}

impl Bed {
    fn answers_probes(&mut self, at: &str) -> usize {
        let probes = self.take(at);
        assert!(probes.iter().all(|probe| line(probe).starts_with("OPTIONS ")));
        for probe in &probes {
            self.receive(at, &answer(probe, 200, "p", at, ""));
        }
        probes.len()
    }

    fn believed(&self, name: &str) -> view::Trunk {
        self.node.trunk_list(self.now).into_iter().find(|trunk| trunk.name == name).expect("a trunk")
    }

    /// How often each record of a trunk has been written.
    fn written(&self) -> Vec<u64> {
        let records = self.disk.changes().filter(|change| change.key.kind == BELIEVED);
        records.map(|change| change.stamp.version).collect()
    }

    fn mode(&self) -> String {
        self.node.mode().to_string()
    }

    fn told_of_trunks(&mut self) -> usize {
        let told = std::mem::take(&mut self.events).into_iter();
        told.filter(|event| {
            matches!(
                event,
                Event::DnOutOfService { .. } | Event::DnBackInService { .. } | Event::ModeChanged { .. }
            )
        })
        .count()
    }
}

#[test]
fn a_trunk_that_was_out_of_service_is_so_until_it_answers_and_is_asked_at_once() {
    let mut bed = Bed::with(gateway(probed()));
    bed.take(GATEWAY);
    bed.pass(Duration::from_secs(5));
    bed.take(GATEWAY);
    let before = bed.believed("gateway");
    assert_eq!((before.state, before.since_s), ("out-of-service", 0));
    bed.told_of_trunks();
    let restored = bed.restart(GAP);
    assert_eq!((restored.trunks, restored.trunks_out), (1, 2), "the peer has never answered");
    assert!(restored.to_string().contains("2 trunks and devices are out of service"), "{restored}");
    let after = bed.believed("gateway");
    assert_eq!((after.state, &after.reason, after.since_s), ("out-of-service", &before.reason, 2));
    assert_eq!(bed.told_of_trunks(), 0, "nobody is told what he knows");
    assert_eq!(bed.answers_probes(GATEWAY), 1);
    assert_eq!((bed.believed("gateway").state, bed.told_of_trunks()), ("in-service", 1));
    assert_eq!(bed.restart(GAP).trunks_out, 1, "what has come back is back");
    assert_eq!(bed.believed("gateway").since_s, 2);
}

#[test]
fn bca_12_sites_that_were_peered_are_peered_after_a_takeover_for_as_long_as_the_peer_may_be_silent() {
    let mut bed = Bed::with(directory(|options, _, _| options.dr_recovery_delay = Duration::from_secs(30)));
    bed.answers_probes(PEER);
    for _ in 0..2 {
        bed.pass(Duration::from_secs(10));
        bed.answers_probes(PEER);
    }
    bed.pass(Duration::from_secs(9));
    bed.restart(Duration::from_millis(500));
    assert_eq!(bed.mode(), "single-site", "its return has not lasted for dr-recovery-delay");
    assert_eq!(bed.answers_probes(PEER), 1);
    bed.pass(Duration::from_millis(600));
    assert_eq!(bed.mode(), "peered", "the delay does not begin anew");
    bed.told_of_trunks();
    bed.restart(GAP);
    assert_eq!((bed.mode().as_str(), bed.told_of_trunks()), ("peered", 0));
    bed.pass(Duration::from_millis(4_999));
    assert_eq!(bed.mode(), "peered");
    bed.pass(Duration::from_millis(1));
    assert_eq!(bed.mode(), "single-site", "a peer that died meanwhile is found out within oos-force");
    bed.take(PEER);
    bed.restart(GAP);
    assert_eq!(bed.mode(), "single-site", "and stays lost until it answers");
    assert_eq!(bed.answers_probes(PEER), 1);
    assert_eq!(bed.believed("to-site-b").state, "in-service");
}

/// The other site may have ended its leg while nobody was here to be told.
#[test]
fn after_a_restart_the_other_site_is_asked_which_of_its_legs_still_live() {
    let mut bed = Bed::with(directory(|_, _, _| {}));
    bed.answers_probes(PEER);
    bed.register("1001", CALLER);
    bed.receive(PEER, &invite("0301234", PEER, "1001", "across"));
    let offered = bed.one(CALLER);
    bed.receive(CALLER, &answer(&offered, 200, "callee", CALLER, ""));
    let ok = bed.take(PEER).pop().unwrap();
    bed.receive(PEER, &in_dialog(&ok, "ACK", 1, PEER, ""));
    bed.take(CALLER);
    bed.restart(GAP);
    bed.pass(Duration::from_millis(100));
    assert_eq!(bed.mode(), "peered");
    let sent = bed.take(PEER);
    let audits =
        |message: &&Message| header(message, HeaderName::CallId) == "across" && message.code().is_none();
    let audit = sent.iter().find(audits).expect("the leg is asked");
    bed.receive(PEER, &answer(audit, 481, "", PEER, ""));
    assert!(bed.lines(CALLER).iter().any(|line| line.starts_with("BYE ")), "it was over there");
}

#[test]
fn a_trunk_that_has_become_the_peer_trunk_meanwhile_has_everything_to_show() {
    let other = TrunkOptions { role: TrunkRole::Other, ..probed() };
    let mut bed = Bed::with(directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        trunks[1].oos = other;
    }));
    bed.take(PEER);
    bed.pass(Duration::from_secs(5));
    bed.take(PEER);
    bed.pass(Duration::from_secs(5));
    bed.answers_probes(PEER);
    assert_eq!((bed.believed("to-site-b").state, bed.written()), ("in-service", vec![2]));
    bed.directory = directory(|_, _, _| {});
    bed.restart(GAP);
    assert_eq!((bed.believed("to-site-b").state, bed.mode().as_str()), ("out-of-service", "single-site"));
}

#[test]
fn a_trunk_that_rests_after_a_failed_call_is_tried_again_when_it_would_have_been() {
    let mut bed = Bed::with(gateway(TrunkOptions { recovery_timeout_s: 60, ..TrunkOptions::default() }));
    bed.register("1001", CALLER);
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "a"));
    bed.refuse(GATEWAY, Transport::Udp);
    assert_eq!(bed.believed("gateway").state, "out-of-service");
    bed.restart(Duration::from_secs(20));
    bed.pass(Duration::from_millis(39_999));
    assert_eq!(bed.believed("gateway").state, "out-of-service");
    bed.pass(Duration::from_millis(1));
    assert_eq!(bed.believed("gateway").state, "in-service");
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "b"));
    bed.refuse(GATEWAY, Transport::Udp);
    bed.restart(Duration::from_secs(61));
    assert_eq!(bed.believed("gateway").state, "in-service", "its time was over");
}

fn wanted() -> Wanted {
    Wanted { host: "gw.example".into(), port: None, transport: None, secure: false }
}

/// One trunk "gateway" for what begins with 9, whose contact is a name.
fn named(change: impl FnOnce(&mut Trunk)) -> Arc<Directory> {
    directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        trunks.truncate(1);
        let contact = &mut trunks[0].contact;
        (contact.uri, contact.addr, contact.resolve) = ("sip:gw.example".into(), None, Some(wanted()));
        change(&mut trunks[0]);
    })
}

/// The name leads to two places of which the first is preferred.
fn two(change: impl FnOnce(&mut Trunk)) -> Bed {
    let mut bed = Bed::with(named(change));
    let place = |at: &str, priority, record| Candidate {
        transport: Transport::Udp,
        addr: addr(at),
        priority,
        weight: 0,
        record,
    };
    let found = vec![place(GATEWAY, 10, 0), place(SECOND, 20, 1)];
    bed.node.handle_input(Input::Located { wanted: wanted(), found }, bed.now);
    bed.drain();
    bed.pass(Duration::ZERO);
    bed.register("1001", CALLER);
    bed
}

fn invites(bed: &mut Bed, at: &str) -> usize {
    bed.lines(at).iter().filter(|line| line.starts_with("INVITE ")).count()
}

#[test]
fn a_dead_target_of_a_name_is_remembered_and_the_others_are_called_before_the_name_is_located_anew() {
    let mut bed = two(|trunk| trunk.oos = probed());
    bed.take(GATEWAY);
    bed.answers_probes(SECOND);
    bed.pass(Duration::from_secs(5));
    bed.take(GATEWAY);
    let states = |bed: &Bed| {
        let targets = bed.believed("gateway").targets;
        targets.iter().map(|target| (target.state, target.priority)).collect::<Vec<_>>()
    };
    assert_eq!(states(&bed), [("out-of-service", 10), ("in-service", 20)]);
    bed.restart(GAP);
    bed.answers_probes(SECOND);
    bed.take(GATEWAY);
    assert_eq!(states(&bed), [("out-of-service", 10), ("in-service", 20)]);
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "after"));
    assert_eq!((invites(&mut bed, GATEWAY), invites(&mut bed, SECOND)), (0, 1));
}

#[test]
fn a_target_that_asked_to_be_left_alone_is_left_alone_after_a_restart_for_the_rest_of_the_time() {
    let mut bed = two(|_| {});
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "a"));
    let offered = bed.one(GATEWAY);
    let busy = with(&answer(&offered, 503, "b", GATEWAY, ""), "Retry-After: 30");
    bed.receive(GATEWAY, &busy);
    bed.restart(Duration::from_secs(10));
    assert_eq!(bed.believed("gateway").targets[0].left_alone_s, 20);
    bed.sent.clear();
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "b"));
    assert_eq!((invites(&mut bed, GATEWAY), invites(&mut bed, SECOND)), (0, 1));
    bed.pass(Duration::from_secs(20));
    bed.sent.clear();
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "c"));
    assert_eq!(invites(&mut bed, GATEWAY), 1);
}

#[test]
fn a_name_that_leads_elsewhere_by_another_configuration_has_no_targets_of_the_past() {
    let mut bed = two(|trunk| trunk.oos = probed());
    bed.pass(Duration::from_secs(5));
    bed.directory = named(|trunk| {
        trunk.oos = probed();
        trunk.contact = contact("sip:10.0.0.97:5060", "10.0.0.97:5060");
    });
    bed.restart(GAP);
    let believed = bed.believed("gateway");
    let places: Vec<&str> = believed.targets.iter().map(|target| &*target.addr).collect();
    assert_eq!((places, believed.state), (vec!["10.0.0.97:5060"], "out-of-service"));
    assert_eq!(bed.answers_probes("10.0.0.97:5060"), 1);
    assert_eq!(bed.believed("gateway").state, "in-service");
}

#[test]
fn a_phone_with_a_static_contact_that_did_not_answer_is_out_of_service_after_a_restart() {
    let phone = "10.0.0.33:5060";
    let mut bed = Bed::with(directory(|options, extensions, trunks| {
        options.dr_peer_trunk = None;
        trunks.truncate(1);
        let mut class = (*extensions[2].class).clone();
        class.oos = probed();
        extensions[2].class = Arc::new(class);
    }));
    bed.pass(Duration::from_secs(5));
    bed.take(phone);
    assert_eq!(bed.restart(GAP).trunks_out, 1);
    bed.register("1001", CALLER);
    bed.receive(CALLER, &invite("1001", CALLER, "1003", "a"));
    assert_eq!(codes(&bed.take(CALLER)), [100, 480]);
    assert_eq!(bed.answers_probes(phone), 1);
    bed.receive(CALLER, &invite("1001", CALLER, "1003", "b"));
    assert_eq!(header(&bed.one(phone), HeaderName::CSeq), "1 INVITE");
}

#[test]
fn neither_probes_nor_calls_nor_one_more_wish_to_be_left_alone_are_stored() {
    let mut bed = Bed::with(gateway(probed()));
    for _ in 0..20 {
        bed.answers_probes(GATEWAY);
        bed.answers_probes(PEER);
        bed.pass(Duration::from_secs(10));
    }
    assert_eq!(bed.written(), [1], "the peer came, the gateway was always there");
    let mut bed = two(|_| {});
    for n in 0..20 {
        bed.receive(CALLER, &invite("1001", CALLER, "9123", &format!("c{n}")));
    }
    for offered in bed.take(GATEWAY) {
        let busy = with(&answer(&offered, 503, "b", GATEWAY, ""), "Retry-After: 30");
        bed.receive(GATEWAY, &busy);
        bed.pass(Duration::from_millis(10));
    }
    assert_eq!(bed.written(), [1], "twenty calls were refused");
}

#[test]
fn a_trunk_that_is_no_more_leaves_no_record() {
    let all = directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        trunks[1].oos = TrunkOptions::default();
        trunks.push(Trunk { oos: probed(), ..trunk("third", "10.0.0.97:5060") });
    });
    let fewer = directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        trunks[1].oos = TrunkOptions::default();
    });
    for by_reload in [true, false] {
        let mut bed = Bed::with(Arc::clone(&all));
        bed.pass(Duration::from_secs(5));
        assert_eq!(bed.written(), [1]);
        bed.directory = Arc::clone(&fewer);
        if by_reload {
            bed.node.handle_input(Input::Directory(Arc::clone(&fewer)), bed.now);
            bed.drain();
        } else {
            assert_eq!(bed.restart(GAP).trunks, 0);
        }
        assert_eq!(bed.written(), Vec::<u64>::new(), "by a reload: {by_reload}");
    }
}
