//! How soon a loss and a return are noticed, for any options, latency and moment.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use std::time::{Duration, Instant};
use tandem_peer::trunk::{Action, CallFailure, ProbeId, TrunkHealth, TrunkOptions, TrunkRole};

/// A device that answers every probe after `rtt`, except those that reach it while it is silent.
struct Device {
    rtt: Duration,
    silent: std::ops::Range<Duration>,
    answers: Vec<(Instant, ProbeId)>,
}

/// When the trunk went out of and back into service, by the time since the start.
fn changes(
    options: TrunkOptions,
    device: &mut Device,
    failed_calls: &[u64],
    until: Duration,
) -> Vec<(Duration, bool)> {
    let start = Instant::now();
    let mut trunk = TrunkHealth::new(options, start);
    let mut changes = Vec::new();
    let mut failures: Vec<Instant> =
        failed_calls.iter().map(|ms| start + Duration::from_millis(*ms)).collect();
    failures.sort();
    loop {
        let timer = trunk.poll_timeout().map(|(at, _)| at);
        let answer = device.answers.iter().map(|(at, _)| *at).min();
        let failure = failures.first().copied();
        let Some(now) = [timer, answer, failure].into_iter().flatten().min() else { return changes };
        if now > start + until {
            return changes;
        }
        let action = if answer == Some(now) {
            let index = device.answers.iter().position(|(at, _)| *at == now).unwrap();
            trunk.probe_answered(device.answers.remove(index).1, 200, now)
        } else if failure == Some(now) {
            failures.remove(0);
            trunk.call_failed(CallFailure::Timeout, now)
        } else {
            trunk.handle_timeout(now)
        };
        match action {
            Some(Action::SendProbe { probe, .. }) => {
                let arrives = now + device.rtt / 2;
                if !device.silent.contains(&(arrives - start)) {
                    device.answers.push((now + device.rtt, probe));
                }
            }
            Some(Action::DnOutOfService(_)) => changes.push((now - start, false)),
            Some(Action::DnBackInService(_)) => changes.push((now - start, true)),
            None => {}
        }
    }
}

proptest! {
    #[test]
    fn nf_01_loss_is_noticed_within_oos_check_plus_oos_force(
        check in 1u16..60, force in 1u16..=32, rtt_ms in 1u64..900, silent_ms in 1_000u64..200_000,
        failed_calls in prop::collection::vec(0u64..400_000, 0..6),
    ) {
        let options = TrunkOptions { oos_check_s: check, oos_force_s: force, role: TrunkRole::Peer, ..Default::default() };
        let silent_at = Duration::from_millis(silent_ms);
        let rtt = Duration::from_millis(rtt_ms);
        let mut device = Device { rtt, silent: silent_at..Duration::MAX, answers: Vec::new() };
        let bound = options.detection_bound().unwrap();
        let changes = changes(options, &mut device, &failed_calls, Duration::from_secs(600));
        prop_assert_eq!(changes.len(), 2, "once in, once out: {:?}", &changes);
        let (noticed, in_service) = changes[1];
        prop_assert!(!in_service);
        prop_assert!(noticed + rtt >= silent_at, "given up while it lived: {:?}", noticed);
        prop_assert!(noticed <= silent_at + bound, "noticed at {:?}, silent at {:?}", noticed, silent_at);
    }

    #[test]
    fn nf_09_return_is_noticed_within_oos_check_and_a_round_trip(
        check in 1u16..60, force in 1u16..=32, rtt_ms in 1u64..900, back_ms in 150_000u64..300_000,
    ) {
        let options = TrunkOptions { oos_check_s: check, oos_force_s: force, role: TrunkRole::Peer, ..Default::default() };
        let back_at = Duration::from_millis(back_ms);
        let rtt = Duration::from_millis(rtt_ms);
        let mut device = Device { rtt, silent: Duration::from_secs(30)..back_at, answers: Vec::new() };
        let changes = changes(options, &mut device, &[], Duration::from_secs(600));
        prop_assert_eq!(changes.len(), 3, "in, out, in: {:?}", &changes);
        let (noticed, in_service) = changes[2];
        prop_assert!(in_service);
        prop_assert!(noticed >= back_at);
        prop_assert!(noticed <= back_at + Duration::from_secs(check.into()) + rtt);
    }

    #[test]
    fn a_living_device_is_never_given_up(
        check in 1u16..30, force in 1u16..=32, rtt_ms in 1u64..990,
        failed_calls in prop::collection::vec(0u64..300_000, 0..40),
    ) {
        let options = TrunkOptions { oos_check_s: check, oos_force_s: force, ..Default::default() };
        let mut device = Device { rtt: Duration::from_millis(rtt_ms), silent: Duration::MAX..Duration::MAX, answers: Vec::new() };
        let changes = changes(options, &mut device, &failed_calls, Duration::from_secs(300));
        prop_assert_eq!(changes, vec![]);
    }
}
