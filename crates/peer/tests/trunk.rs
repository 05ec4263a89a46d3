//! The states of one monitored trunk, arrow by arrow.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::{Duration, Instant};
use tandem_peer::trunk::{
    Action, BadTrunkOption, CallFailure, Phase, ProbeId, Reason, TrunkHealth, TrunkOptions, TrunkRole,
    TrunkTimer,
};

const CHECK_S: u64 = 10;
const FORCE_S: u64 = 5;

fn options(role: TrunkRole) -> TrunkOptions {
    TrunkOptions { oos_check_s: 10, oos_force_s: 5, role, ..TrunkOptions::default() }
}

/// A trunk under test with its own clock.
struct Bench {
    trunk: TrunkHealth,
    start: Instant,
    now: Instant,
}

impl Bench {
    fn new(options: TrunkOptions) -> Self {
        let now = Instant::now();
        Self { trunk: TrunkHealth::new(options, now), start: now, now }
    }

    /// A trunk that was probed at second 0, answered, and is in service.
    fn answered(role: TrunkRole) -> Self {
        let mut bench = Self::new(options(role));
        let probe = bench.probe();
        bench.answer(probe, 200);
        assert!(bench.trunk.in_service());
        bench
    }

    /// A gateway that did not answer its second probe.
    fn lost(role: TrunkRole) -> Self {
        let mut bench = Self::answered(role);
        bench.at(CHECK_S);
        bench.probe();
        bench.at(CHECK_S + FORCE_S);
        bench.timeout();
        assert!(!bench.trunk.in_service());
        bench
    }

    fn at(&mut self, second: u64) -> &mut Self {
        self.now = self.start + Duration::from_secs(second);
        self
    }

    fn timeout(&mut self) -> Option<Action> {
        self.trunk.handle_timeout(self.now)
    }

    fn probe(&mut self) -> ProbeId {
        match self.timeout() {
            Some(Action::SendProbe { probe, .. }) => probe,
            other => panic!("no probe but {other:?}"),
        }
    }

    fn answer(&mut self, probe: ProbeId, status: u16) -> Option<Action> {
        self.trunk.probe_answered(probe, status, self.now)
    }

    fn next(&self) -> Option<(u64, TrunkTimer)> {
        self.trunk.poll_timeout().map(|(at, timer)| ((at - self.start).as_secs(), timer))
    }
}

const SILENT: Reason = Reason::NotAnswered { oos_force_s: 5 };

#[test]
fn the_peer_trunk_is_out_of_service_until_it_has_answered_once() {
    let mut bench = Bench::new(options(TrunkRole::Peer));
    assert_eq!((bench.trunk.in_service(), bench.trunk.reason()), (false, Reason::Started));
    let probe = bench.probe();
    let back = Action::DnBackInService(Reason::ProbeAnswered(200));
    assert_eq!(bench.answer(probe, 200), Some(back));
    assert!(bench.trunk.in_service());
}

#[test]
fn any_other_trunk_starts_in_service_and_is_probed_at_once() {
    let mut bench = Bench::new(options(TrunkRole::Other));
    assert!(bench.trunk.in_service());
    bench.probe();
    assert_eq!(bench.trunk.phase(), Phase::Probing);
}

#[test]
fn a_trunk_that_nobody_checks_is_in_service_and_has_no_timer() {
    let mut bench = Bench::new(TrunkOptions::default());
    assert!(bench.trunk.in_service());
    assert_eq!((bench.next(), bench.timeout()), (None, None));
}

#[test]
fn the_probe_carries_the_configured_max_forwards() {
    let mut bench = Bench::new(TrunkOptions { oos_options_max_forwards: 1, ..options(TrunkRole::Other) });
    assert!(matches!(bench.timeout(), Some(Action::SendProbe { max_forwards: 1, .. })));
}

#[test]
fn an_answered_trunk_is_asked_again_after_oos_check() {
    let mut bench = Bench::answered(TrunkRole::Other);
    assert_eq!(bench.next(), Some((CHECK_S, TrunkTimer::OosCheck)));
    assert_eq!(bench.at(CHECK_S - 1).timeout(), None);
    bench.at(CHECK_S).probe();
    assert_eq!(bench.next(), Some((CHECK_S + FORCE_S, TrunkTimer::OosForce)));
}

#[test]
fn nf_01_silence_for_oos_force_puts_the_trunk_out_of_service() {
    let mut bench = Bench::answered(TrunkRole::Peer);
    bench.at(CHECK_S).probe();
    assert_eq!(bench.at(CHECK_S + FORCE_S - 1).timeout(), None);
    assert!(bench.trunk.in_service());
    assert_eq!(bench.at(CHECK_S + FORCE_S).timeout(), Some(Action::DnOutOfService(SILENT)));
    assert!(!bench.trunk.in_service());
    assert_eq!(bench.trunk.since(), bench.now);
}

#[test]
fn a_transport_failure_of_the_probe_needs_no_patience() {
    let mut bench = Bench::answered(TrunkRole::Other);
    let probe = bench.at(CHECK_S).probe();
    let out = Action::DnOutOfService(Reason::ProbeTransportFailed);
    assert_eq!(bench.trunk.probe_transport_failed(probe, bench.now), Some(out));
}

/// The host of a pair's dead primary refuses until the backup has its address.
#[test]
fn bca_12_a_probe_that_the_peers_network_refuses_is_repeated_within_oos_refused_force() {
    let mut bench = Bench::answered(TrunkRole::Peer);
    let probe = bench.at(CHECK_S).probe();
    assert_eq!(bench.trunk.probe_transport_failed(probe, bench.now), None);
    assert_eq!(bench.trunk.probe_transport_failed(probe, bench.now), None, "it is told twice");
    assert_eq!(bench.next(), Some((CHECK_S + 1, TrunkTimer::OosCheck)));
    let again = bench.at(CHECK_S + 1).probe();
    assert_eq!(bench.answer(probe, 200), None, "the refused one is forgotten");
    assert_eq!(bench.answer(again, 200), None);
    assert!(bench.trunk.in_service());
    assert_eq!(bench.next(), Some((2 * CHECK_S, TrunkTimer::OosCheck)), "the rhythm of the probes is kept");
}

#[test]
fn a_peer_that_is_refused_for_longer_than_oos_refused_force_is_out_of_service() {
    let mut bench = Bench::answered(TrunkRole::Peer);
    for second in CHECK_S..CHECK_S + 3 {
        let probe = bench.at(second).probe();
        assert_eq!(bench.trunk.probe_transport_failed(probe, bench.now), None);
    }
    let probe = bench.at(CHECK_S + 3).probe();
    let out = Action::DnOutOfService(Reason::ProbeTransportFailed);
    assert_eq!(bench.trunk.probe_transport_failed(probe, bench.now), Some(out));
    assert_eq!(bench.next(), Some((2 * CHECK_S, TrunkTimer::OosCheck)));
}

#[test]
fn a_repeated_probe_has_the_time_that_the_first_has_left() {
    let mut bench = Bench::answered(TrunkRole::Peer);
    let probe = bench.at(CHECK_S).probe();
    bench.trunk.probe_transport_failed(probe, bench.now);
    bench.at(CHECK_S + 1).probe();
    assert_eq!(bench.next(), Some((CHECK_S + FORCE_S, TrunkTimer::OosForce)));
    assert_eq!(bench.at(CHECK_S + FORCE_S).timeout(), Some(Action::DnOutOfService(SILENT)));
}

#[test]
fn oos_refused_force_0_takes_the_peer_out_of_service_at_once() {
    let mut bench = Bench::new(TrunkOptions { oos_refused_force_s: Some(0), ..options(TrunkRole::Peer) });
    let probe = bench.probe();
    bench.answer(probe, 200);
    let probe = bench.at(CHECK_S).probe();
    let out = Action::DnOutOfService(Reason::ProbeTransportFailed);
    assert_eq!(bench.trunk.probe_transport_failed(probe, bench.now), Some(out));
}

#[test]
fn nf_09_an_answer_brings_the_trunk_back_into_service() {
    let mut bench = Bench::lost(TrunkRole::Peer);
    assert_eq!(bench.next(), Some((2 * CHECK_S, TrunkTimer::OosCheck)));
    let probe = bench.at(2 * CHECK_S).probe();
    assert!(!bench.trunk.in_service(), "a probe alone proves nothing");
    let back = Action::DnBackInService(Reason::ProbeAnswered(200));
    assert_eq!(bench.answer(probe, 200), Some(back));
    assert_eq!(bench.next(), Some((3 * CHECK_S, TrunkTimer::OosCheck)));
}

#[test]
fn a_lost_trunk_is_probed_at_every_check() {
    let mut bench = Bench::lost(TrunkRole::Peer);
    for round in 2..6 {
        bench.at(round * CHECK_S).probe();
        assert_eq!(bench.next(), Some(((round + 1) * CHECK_S, TrunkTimer::OosCheck)));
    }
}

#[test]
fn which_answers_count_as_alive() {
    let cases: [(u16, bool, bool, bool); 12] = [
        // status, counts for a gateway, for a gateway without oos-error-check, for the peer without oos-error-check
        (200, true, true, true),
        (302, true, true, true),
        (403, true, true, true),
        (404, true, true, true),
        (405, true, true, true),
        (408, false, true, true),
        (481, true, true, true),
        (500, false, true, true),
        (503, false, true, false),
        (504, false, true, true),
        (600, false, true, true),
        (603, false, true, true),
    ];
    let lenient = |role| TrunkOptions { oos_error_check: false, ..options(role) };
    for (status, gateway, lenient_gateway, lenient_peer) in cases {
        assert_eq!(options(TrunkRole::Other).accepts(status), gateway, "{status}");
        assert_eq!(options(TrunkRole::Peer).accepts(status), gateway, "{status}");
        assert_eq!(lenient(TrunkRole::Other).accepts(status), lenient_gateway, "{status}");
        assert_eq!(lenient(TrunkRole::Peer).accepts(status), lenient_peer, "{status}");
    }
}

#[test]
fn a_draining_peer_that_answers_503_is_out_of_service_at_once() {
    let mut bench = Bench::answered(TrunkRole::Peer);
    let probe = bench.at(CHECK_S).probe();
    assert_eq!(bench.answer(probe, 503), Some(Action::DnOutOfService(Reason::ProbeRefused(503))));
}

#[test]
fn a_lost_trunk_tells_the_latest_refusal() {
    let mut bench = Bench::lost(TrunkRole::Peer);
    let probe = bench.at(2 * CHECK_S).probe();
    assert_eq!(bench.answer(probe, 503), None);
    assert_eq!(bench.trunk.reason(), Reason::ProbeRefused(503));
    assert_eq!(bench.trunk.since(), bench.start + Duration::from_secs(CHECK_S + FORCE_S));
}

#[test]
fn a_provisional_answer_decides_nothing() {
    let mut bench = Bench::answered(TrunkRole::Other);
    let probe = bench.at(CHECK_S).probe();
    assert_eq!(bench.answer(probe, 100), None);
    assert_eq!(bench.trunk.phase(), Phase::Probing);
}

#[test]
fn an_answer_to_an_earlier_probe_proves_nothing_about_now() {
    let mut bench = Bench::new(options(TrunkRole::Other));
    let first = bench.probe();
    bench.at(FORCE_S).timeout();
    let second = bench.at(CHECK_S).probe();
    assert_eq!(bench.answer(first, 200), None, "older than oos-force");
    assert!(bench.answer(second, 200).is_some());
    bench.at(2 * CHECK_S).probe();
    assert_eq!(bench.answer(second, 200), None, "a duplicate of the answer before");
    assert_eq!(bench.trunk.phase(), Phase::Probing);
}

#[test]
fn a_device_that_is_slower_than_oos_force_does_not_flap() {
    let mut bench = Bench::lost(TrunkRole::Peer);
    let probe = bench.at(2 * CHECK_S).probe();
    assert_eq!(bench.at(2 * CHECK_S + FORCE_S + 1).answer(probe, 200), None);
    assert!(!bench.trunk.in_service());
}

#[test]
fn with_oos_force_above_oos_check_a_slow_answer_still_counts() {
    let slow = TrunkOptions { oos_check_s: 2, oos_force_s: 5, ..options(TrunkRole::Peer) };
    let mut bench = Bench::new(slow);
    let first = bench.probe();
    bench.at(2).probe();
    bench.at(4).probe();
    assert!(bench.answer(first, 200).is_some(), "four seconds are within oos-force");
}

#[test]
fn a_failed_call_makes_a_probed_trunk_answer_for_itself() {
    let mut bench = Bench::answered(TrunkRole::Other);
    bench.at(3);
    let asked = bench.trunk.call_failed(CallFailure::Timeout, bench.now);
    assert!(matches!(asked, Some(Action::SendProbe { .. })));
    assert!(bench.trunk.in_service());
    assert_eq!(bench.next(), Some((3 + FORCE_S, TrunkTimer::OosForce)));
}

#[test]
fn many_failed_calls_are_one_probe_a_second() {
    let mut bench = Bench::answered(TrunkRole::Other);
    assert_eq!(bench.trunk.call_failed(CallFailure::Transport, bench.now), None);
    assert_eq!(bench.next(), Some((1, TrunkTimer::OosCheck)));
}

#[test]
fn a_failed_call_rests_a_trunk_that_nobody_probes() {
    let passive = TrunkOptions { recovery_timeout_s: 30, ..TrunkOptions::default() };
    let mut bench = Bench::new(passive);
    let out = Action::DnOutOfService(Reason::CallFailed(CallFailure::Transport));
    assert_eq!(bench.trunk.call_failed(CallFailure::Transport, bench.now), Some(out));
    assert_eq!(bench.next(), Some((30, TrunkTimer::RecoveryTimeout)));
    assert_eq!(bench.at(29).timeout(), None);
    assert_eq!(bench.at(30).timeout(), Some(Action::DnBackInService(Reason::RecoveryTimeoutOver)));
    assert_eq!(bench.next(), None);
}

#[test]
fn without_recovery_timeout_a_failed_call_changes_nothing() {
    let mut bench = Bench::new(TrunkOptions::default());
    assert_eq!(bench.trunk.call_failed(CallFailure::Timeout, bench.now), None);
    assert!(bench.trunk.in_service());
}

#[test]
fn a_request_brings_back_a_gateway_but_not_the_peer() {
    let mut gateway = Bench::lost(TrunkRole::Other);
    let back = Action::DnBackInService(Reason::RequestReceived);
    assert_eq!(gateway.trunk.request_received(gateway.now), Some(back));
    let mut peer = Bench::lost(TrunkRole::Peer);
    assert_eq!(peer.trunk.request_received(peer.now), None);
    assert!(!peer.trunk.in_service());
}

#[test]
fn switching_checks_off_ends_all_doubt() {
    let mut bench = Bench::lost(TrunkRole::Other);
    let off = TrunkOptions { oos_check_s: 0, ..options(TrunkRole::Other) };
    assert_eq!(
        bench.trunk.options_changed(off, bench.now),
        Some(Action::DnBackInService(Reason::CheckingOff))
    );
    assert_eq!(bench.next(), None);
    let mut probing = Bench::answered(TrunkRole::Other);
    probing.at(CHECK_S).probe();
    assert_eq!(probing.trunk.options_changed(off, probing.now), None);
    assert_eq!((probing.trunk.phase(), probing.next()), (Phase::InService, None));
}

#[test]
fn switching_checks_on_probes_at_once() {
    let mut bench = Bench::new(TrunkOptions::default());
    bench.at(100);
    assert_eq!(bench.trunk.options_changed(options(TrunkRole::Other), bench.now), None);
    bench.probe();
}

#[test]
fn a_shorter_oos_check_does_not_wait_for_the_longer_one() {
    let mut bench = Bench::answered(TrunkRole::Other);
    let brisk = TrunkOptions { oos_check_s: 2, ..options(TrunkRole::Other) };
    bench.at(1);
    bench.trunk.options_changed(brisk, bench.now);
    assert_eq!(bench.next(), Some((3, TrunkTimer::OosCheck)));
}

#[test]
fn a_trunk_that_becomes_the_peer_has_to_answer_as_such() {
    let mut bench = Bench::answered(TrunkRole::Other);
    let out = Action::DnOutOfService(Reason::BecamePeer);
    assert_eq!(bench.trunk.options_changed(options(TrunkRole::Peer), bench.now), Some(out));
    let probe = bench.probe();
    assert!(bench.answer(probe, 200).is_some());
}

#[test]
fn options_that_cannot_be_right_are_refused() {
    let peer = options(TrunkRole::Peer);
    let check = |options: TrunkOptions| options.check();
    assert_eq!(check(peer), Ok(()));
    assert_eq!(check(TrunkOptions::default()), Ok(()));
    assert_eq!(check(TrunkOptions { oos_check_s: 0, ..peer }), Err(BadTrunkOption::PeerUnchecked));
    assert_eq!(check(TrunkOptions { oos_check_s: 301, ..peer }), Err(BadTrunkOption::CheckTooLong));
    assert_eq!(check(TrunkOptions { oos_force_s: 33, ..peer }), Err(BadTrunkOption::ForceTooLong));
    assert_eq!(check(TrunkOptions { oos_force_s: 0, ..peer }), Err(BadTrunkOption::ForceZero));
    let refused = TrunkOptions { oos_refused_force_s: Some(6), ..peer };
    assert_eq!(check(refused), Err(BadTrunkOption::RefusedTooLong));
    assert_eq!(
        check(TrunkOptions { oos_force_s: 1, ..peer }),
        Ok(()),
        "the usual value fits whatever oos-force is"
    );
    let far = TrunkOptions { oos_options_max_forwards: 71, ..peer };
    assert_eq!(check(far), Err(BadTrunkOption::MaxForwardsTooLarge));
}

#[test]
fn a_belief_outlives_the_process_and_is_put_to_the_test_at_once() {
    for role in [TrunkRole::Peer, TrunkRole::Other] {
        let mut lost = Bench::lost(role);
        let known = lost.trunk.known();
        lost.trunk = TrunkHealth::resumed(options(role), known, lost.now);
        assert_eq!((lost.trunk.in_service(), lost.trunk.known()), (false, known));
        assert_eq!(lost.trunk.poll_timeout(), Some((lost.now, TrunkTimer::OosCheck)));
        let probe = lost.probe();
        assert_eq!(lost.answer(probe, 200), Some(Action::DnBackInService(Reason::ProbeAnswered(200))));

        let mut alive = Bench::answered(role);
        alive.trunk = TrunkHealth::resumed(options(role), alive.trunk.known(), alive.now);
        assert!(alive.trunk.in_service());
        alive.probe();
        alive.at(FORCE_S);
        let reason = Reason::NotAnswered { oos_force_s: 5 };
        assert_eq!(alive.timeout(), Some(Action::DnOutOfService(reason)), "it died meanwhile");
    }
}

#[test]
fn a_belief_about_a_trunk_that_is_the_peer_trunk_by_now_counts_for_nothing() {
    let bench = Bench::answered(TrunkRole::Other);
    let resumed = TrunkHealth::resumed(options(TrunkRole::Peer), bench.trunk.known(), bench.now);
    assert_eq!((resumed.in_service(), resumed.reason()), (false, Reason::Started));
}

#[test]
fn a_trunk_that_nobody_probes_rests_in_the_next_process_for_what_is_left_and_no_longer_than_configured() {
    let resting = |recovery_timeout_s| TrunkOptions { recovery_timeout_s, ..TrunkOptions::default() };
    let mut bench = Bench::new(resting(60));
    bench.trunk.call_failed(CallFailure::Timeout, bench.now);
    let known = bench.trunk.known();
    let back_at = |options, now: Instant| {
        let resumed = TrunkHealth::resumed(options, known, now);
        assert!(!resumed.in_service());
        resumed.poll_timeout().map(|(at, timer)| (at - bench.start, timer))
    };
    let at = |seconds| Some((Duration::from_secs(seconds), TrunkTimer::RecoveryTimeout));
    let after = |seconds| bench.start + Duration::from_secs(seconds);
    assert_eq!(back_at(resting(60), after(20)), at(60));
    assert_eq!(back_at(resting(10), after(20)), at(30), "the time is shorter by now");
    assert_eq!(back_at(resting(0), after(20)), at(20), "it never rests by now");
    assert_eq!(back_at(resting(60), after(90)), at(90), "its time was over");
}
