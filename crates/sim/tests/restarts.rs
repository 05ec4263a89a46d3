//! The server dies at every step of a call, and goes on from what it has stored.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::time::Duration;

use tandem_sim::net::Refusal;
use tandem_sim::ua::offer::Direction;
use tandem_sim::ua::{OnCall, Phase};
use tandem_sim::{A, B, CallId, Setup, Sim, UaId, ms, secs};
use tandem_switch::directory::floor::AgentOptions;

const GAP: Duration = ms(700);

struct Two {
    sim: Sim,
    alice: UaId,
    bob: UaId,
    call: CallId,
}

/// Alice calls Bob: he rings after 20 ms and answers after 100 ms. Each way of a packet takes 5 ms.
fn begun(seed: u64) -> Two {
    let mut sim = Sim::new(seed, Setup { sites: 1, ..Setup::default() });
    sim.net.weather.latency = ms(5);
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).answers_after(ms(80)).with(|p| p.ring_after = ms(20)).on();
    sim.run_for(secs(1));
    let site = sim.site_mut(A).unwrap();
    site.commit_delay = ms(3);
    site.dies_late = seed % 2 == 1;
    site.recorder.takes_its_time = true;
    let call = sim.call(alice, "1002");
    Two { sim, alice, bob, call }
}

impl Two {
    fn restarts(&mut self) {
        self.sim.crash(A, Refusal::Blackhole);
        self.sim.run_for(GAP);
        self.sim.recover(A);
    }

    /// Either hangs up, the other one hears of it, and there is one record of the call.
    fn ends(mut self, hangs_up: UaId, step: u64) {
        self.sim.hang_up(hangs_up, self.call);
        self.sim.run_for(secs(3));
        assert!(
            self.sim.is_over(self.call),
            "step {step}: {:?}",
            self.sim.legs(self.call).collect::<Vec<_>>()
        );
        self.sim.settle();
        let cdrs = self.sim.cdrs(A);
        let uuids: BTreeSet<&str> = cdrs.iter().map(|cdr| &*cdr.call_uuid).collect();
        assert_eq!((cdrs.len(), uuids.len()), (1, 1), "step {step}: {cdrs:?}");
    }
}

#[test]
fn bca_12_a_call_that_was_answered_when_the_server_died_goes_on() {
    let mut survived = 0;
    for step in 0..80 {
        let mut two = begun(step);
        two.sim.run_for(ms(100 + 5 * step));
        let answered = two.sim.is_talking(two.call);
        two.restarts();
        two.sim.run_for(secs(3));
        if answered {
            assert!(two.sim.is_talking(two.call), "step {step}: the call was lost");
            survived += 1;
            let hangs_up = if step % 4 < 2 { two.alice } else { two.bob };
            two.ends(hangs_up, step);
        }
    }
    assert!(survived > 20, "{survived} calls were answered");
}

#[test]
fn bca_12_a_server_that_dies_at_any_step_of_a_hold_loses_no_call() {
    for step in 0..40 {
        let mut two = begun(step);
        two.sim.run_for(secs(1));
        assert!(two.sim.is_talking(two.call));
        two.sim.hold(two.alice, two.call, Direction::SendOnly);
        two.sim.run_for(ms(2 * step));
        two.restarts();
        two.sim.run_for(secs(40));
        assert!(two.sim.is_talking(two.call), "step {step}: the call was lost");
        two.sim.hold(two.bob, two.call, Direction::SendRecv);
        two.sim.run_for(secs(2));
        assert!(two.sim.is_talking(two.call), "step {step}: the call was lost by a re-INVITE");
        let hangs_up = if step % 4 < 2 { two.alice } else { two.bob };
        two.ends(hangs_up, step);
    }
}

#[test]
fn a_server_that_dies_at_any_step_of_the_end_of_a_call_leaves_nobody_with_it() {
    for step in 0..40 {
        let mut two = begun(step);
        two.sim.run_for(secs(1));
        let hangs_up = if step % 4 < 2 { two.alice } else { two.bob };
        two.sim.hang_up(hangs_up, two.call);
        two.sim.run_for(ms(step));
        two.restarts();
        two.sim.run_for(secs(40));
        two.ends(hangs_up, step);
    }
}

#[test]
fn a_server_that_dies_whenever_after_a_call_ended_writes_one_record_of_it_and_keeps_nothing() {
    for step in 0..40 {
        let mut two = begun(step);
        two.sim.run_for(secs(1));
        let registrations = two.sim.site_mut(A).unwrap().disk.len();
        assert!(two.sim.is_talking(two.call));
        let hangs_up = if step % 4 < 2 { two.alice } else { two.bob };
        two.sim.hang_up(hangs_up, two.call);
        two.sim.run_for(ms(40 * step));
        for _ in 0..1 + step % 3 {
            two.restarts();
            two.sim.run_for(ms(37 * (step % 7)));
        }
        two.sim.run_for(secs(3));
        assert!(
            two.sim.site_mut(A).unwrap().disk.len() < registrations,
            "step {step}: its record is forgotten"
        );
        two.ends(hangs_up, step);
    }
}

#[test]
fn a_caller_is_connected_after_all_whenever_the_server_dies_while_he_is_being_called_for() {
    for step in 0..30 {
        let mut two = begun(step);
        two.sim.run_for(ms(12 + 4 * step));
        two.restarts();
        two.sim.run_for(secs(10));
        let what = two.sim.legs(two.call).collect::<Vec<_>>();
        assert!(two.sim.is_talking(two.call), "step {step}: {what:?}");
        let alice = two.alice;
        two.ends(alice, step);
    }
}

/// Whoever rings is told to stop before he is called for anew: a phone with one line would be busy with the first call.
#[test]
fn bca_12_a_call_that_was_forwarded_when_the_server_died_is_taken_back_and_forwarded_anew() {
    for step in 0..12 {
        let mut sim = Sim::two_sites(step);
        sim.net.weather.latency = ms(5);
        let alice = sim.phone("1001").registers_at(A).on();
        let bob = sim.phone("1002").registers_at(B).answers_after(secs(4)).with(|p| p.one_line = true).on();
        sim.run_for(secs(8));
        let call = sim.call(alice, "1002");
        // The INVITE is on its way to the other site, there, with Bob, or has been ringing for some time.
        sim.run_for(ms(12 + 5 * step + 150 * (step / 8)));
        sim.crash(A, Refusal::Blackhole);
        sim.run_for(GAP);
        sim.recover(A);
        sim.run_for(secs(8));
        assert!(sim.is_talking(call), "step {step}: {:?}", sim.legs(call).collect::<Vec<_>>());
        let live = sim.legs(call).filter(|(ua, leg)| *ua == bob && !leg.is_over()).count();
        assert_eq!(live, 1, "step {step}: Bob has one call");
        assert_eq!((sim.calls(A).len(), sim.calls(B).len()), (1, 1), "step {step}");
        sim.hang_up(alice, call);
        sim.run_for(secs(3));
        assert!(sim.is_over(call), "step {step}");
        sim.settle();
    }
}

/// His answers wait for a server that was stopped, and are found together.
#[test]
fn a_phone_that_repeats_its_answer_to_a_call_that_was_taken_back_is_hung_up_on_once() {
    let mut sim = Sim::one_site(4);
    sim.net.weather.latency = ms(5);
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).answers_after(ms(300)).on();
    sim.run_for(secs(1));
    let call = sim.call(alice, "1002");
    sim.run_until(secs(2), "Bob rings", |sim| sim.rings(bob, call));
    sim.crash(A, Refusal::Blackhole);
    sim.run_for(ms(500));
    sim.change(bob, |p| p.on_call = OnCall::RingOn);
    sim.recover(A);
    sim.freeze(A);
    sim.run_for(secs(6));
    sim.thaw(A);
    sim.run_for(secs(3));
    let legs: Vec<_> = sim.legs(call).filter(|(ua, _)| *ua == bob).map(|(_, leg)| leg).collect();
    let byes = |heard: &[String]| heard.iter().filter(|what| *what == "BYE").count();
    assert_eq!((legs.len(), byes(&legs[0].heard), legs[0].is_over()), (2, 1, true), "{legs:?}");
    sim.hang_up(alice, call);
    sim.settle();
}

#[test]
fn a_phone_whose_transfer_the_server_did_not_live_to_carry_out_hears_that_it_failed() {
    let mut failed = 0;
    for step in 0..30 {
        let mut two = begun(step);
        let carol = two.sim.phone("1003").registers_at(A).answers_after(secs(5)).on();
        two.sim.run_for(secs(1));
        two.sim.refer(two.bob, two.call, "1003", false);
        two.sim.run_for(ms(3 * step + 60 * (step / 20)));
        two.restarts();
        two.sim.run_for(secs(10));
        let bob = two.sim.leg_at(two.bob, two.call).expect("he talked");
        // A REFER that comes again to the next process is carried out by that, or refused as one that is known.
        let refused = bob.heard.iter().any(|heard| heard == "500 to REFER");
        let told = bob.told.last().is_some_and(|code| *code >= 200);
        assert!(told || refused, "step {step}: {:?} after {:?}", bob.told, bob.heard);
        if bob.told.last() == Some(&503) {
            failed += 1;
            let alice = two.sim.leg_at(two.alice, two.call).expect("she called");
            assert_eq!((alice.phase, bob.phase), (Phase::Talking, Phase::Talking), "step {step}");
            let rings = two.sim.legs(two.call).any(|(ua, leg)| ua == carol && !leg.is_over());
            assert!(!rings, "step {step}: nobody rings for a transfer that has failed");
        }
    }
    assert!(failed > 5, "{failed} transfers failed");
}

#[test]
fn a_call_that_is_transferred_while_the_server_dies_ends_everywhere_when_all_hang_up() {
    for step in 0..40 {
        let mut two = begun(step);
        let carol = two.sim.phone("1003").registers_at(A).answers_after(ms(50)).on();
        two.sim.run_for(secs(1));
        two.sim.refer(two.bob, two.call, "1003", false);
        two.sim.run_for(ms(5 * step));
        two.restarts();
        two.sim.run_for(secs(40));
        for who in [two.alice, two.bob, carol] {
            two.sim.hang_up(who, two.call);
        }
        two.sim.run_for(secs(3));
        two.sim.settle();
        let uuids: Vec<&str> = two.sim.cdrs(A).iter().map(|cdr| &*cdr.call_uuid).collect();
        assert_eq!(uuids.len(), uuids.iter().collect::<BTreeSet<_>>().len(), "step {step}: {uuids:?}");
    }
}

#[test]
fn bca_12_agents_queues_and_desktops_are_as_they_were_whenever_the_server_dies() {
    for step in 0..24 {
        let setup =
            Setup { challenge_calls: false, sites: 1, ..Setup::with_floor(1, AgentOptions::default()) };
        let mut sim = Sim::new(step, setup);
        sim.net.weather.latency = ms(2);
        sim.phone("1001").registers_at(A).answers_after(ms(200)).on();
        let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
        sim.run_for(secs(1));
        let anna = sim.agent_at("a1", "1001", A, "ManualIn");
        let waits = sim.call(gateway, "7000");
        sim.run_for(secs(1));
        assert_eq!(sim.queue(A, "7000").map(|queue| queue.waiting), Some(1));
        if step >= 8 {
            // He is ready: the call is offered, rings and is answered while the server dies.
            sim.ask(anna, "TAgentSetReady", &[("ThisDN", "1001")]);
        }
        sim.run_for(ms(30 * step.saturating_sub(8)));
        let talks = sim.is_talking(waits);
        let before = sim.agents(A);
        sim.crash(A, Refusal::Refused);
        sim.run_for(GAP);
        sim.recover(A);
        let after = sim.agents(A);
        sim.connect(anna);
        sim.run_for(secs(1));
        let shown = |agents: &[tandem_switch::view::Agent]| {
            let of =
                |a: &tandem_switch::view::Agent| (a.agent_id.clone(), a.state, a.work_mode, a.queues.clone());
            agents.iter().map(of).collect::<Vec<_>>()
        };
        if step < 8 {
            assert_eq!(shown(&after), shown(&before), "step {step}");
            assert_eq!(sim.queue(A, "7000").map(|queue| queue.waiting), Some(1), "step {step}");
        }
        sim.run_for(secs(20));
        assert_eq!(sim.agents(A).len(), 1, "step {step}: nobody was logged out");
        if talks {
            assert!(sim.is_talking(waits), "step {step}: the call was lost");
        } else {
            if step < 8 {
                assert_eq!(
                    sim.queue(A, "7000").map(|queue| queue.waiting),
                    Some(1),
                    "step {step}: he waits on"
                );
            }
            // What was asked of a server that died is asked again.
            sim.ask(anna, "TAgentSetReady", &[("ThisDN", "1001")]);
        }
        sim.run_until(secs(20), "the caller who waited talks with the agent", |sim| sim.is_talking(waits));
        sim.hang_up(gateway, waits);
        sim.run_for(secs(3));
        sim.expect(sim.is_over(waits), "the call is over");
        let uuids: Vec<&str> = sim.cdrs(A).iter().map(|cdr| &*cdr.call_uuid).collect();
        assert_eq!(uuids.len(), 1, "step {step}: {uuids:?}");
    }
}

#[test]
fn an_agent_who_talks_is_offered_no_call_when_the_server_comes_back() {
    let setup = Setup { challenge_calls: false, sites: 1, ..Setup::with_floor(1, AgentOptions::default()) };
    let mut sim = Sim::new(1, setup);
    sim.phone("1001").registers_at(A).answers_after(ms(200)).on();
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(1));
    sim.agent_at("a1", "1001", A, "AutoIn");
    let talks = sim.call(gateway, "1001");
    sim.run_until(secs(5), "the agent talks", |sim| sim.is_talking(talks));
    let waits = sim.call(gateway, "7000");
    sim.run_for(secs(1));
    assert_eq!(sim.queue(A, "7000").map(|queue| queue.waiting), Some(1));
    sim.crash(A, Refusal::Refused);
    sim.run_for(GAP);
    sim.recover(A);
    sim.run_for(secs(3));
    assert!(!sim.is_talking(waits), "the agent has a call");
    assert_eq!(sim.queue(A, "7000").map(|queue| queue.waiting), Some(1));
    sim.hang_up(gateway, talks);
    sim.run_until(secs(20), "who waited is next", |sim| sim.is_talking(waits));
}

#[test]
fn a_server_that_dies_again_and_again_keeps_a_call() {
    let mut two = begun(1);
    two.sim.run_for(secs(1));
    for round in 0..20 {
        let who = if round % 2 == 0 { two.alice } else { two.bob };
        two.sim.hold(who, two.call, if round % 4 < 2 { Direction::SendOnly } else { Direction::SendRecv });
        two.sim.run_for(ms(7 * round));
        two.restarts();
        two.sim.run_for(secs(5));
        assert!(two.sim.is_talking(two.call), "round {round}");
    }
    two.sim.run_for(secs(30));
    let alice = two.alice;
    two.ends(alice, 0);
}

#[test]
fn bca_12_a_site_that_was_peered_when_its_server_died_is_peered_when_it_goes_on_until_the_peer_is_missed() {
    for dies_too in [false, true] {
        let mut sim = Sim::two_sites(7);
        sim.run_for(secs(8));
        sim.crash(A, Refusal::Blackhole);
        if dies_too {
            sim.crash(B, Refusal::Blackhole);
        }
        sim.run_for(GAP);
        sim.recover(A);
        assert_eq!(sim.mode(A), "peered");
        let patience = secs(sim.setup.oos_force_s.into());
        sim.run_for(patience - ms(1));
        assert_eq!(sim.mode(A), "peered");
        sim.run_for(ms(2));
        assert_eq!(sim.mode(A), if dies_too { "single-site" } else { "peered" });
        sim.crash(A, Refusal::Blackhole);
        sim.run_for(GAP);
        sim.recover(A);
        assert_eq!(sim.mode(A), if dies_too { "single-site" } else { "peered" }, "what is known stays known");
        if dies_too {
            sim.recover(B);
        }
        sim.run_for(sim.setup.detection_bound());
        assert_eq!((sim.mode(A).as_str(), sim.mode(B).as_str()), ("peered", "peered"));
        assert_eq!(sim.went_out(B, "to-a"), None, "the other site misses nobody who is soon back");
    }
}

#[test]
fn whoever_is_locked_out_when_the_server_dies_is_locked_out_when_it_goes_on() {
    let mut sim = Sim::one_site(3);
    sim.phone("1001").registers_at(A).with(|p| p.password = "guessed".into()).on();
    let held = |sim: &mut Sim| {
        let now = sim.now();
        let site = sim.site_mut(A).unwrap();
        let clock = site.clock(now);
        let lock_outs = site.node().unwrap().lock_outs(clock);
        lock_outs.iter().map(|lock| (lock.user.clone(), lock.for_s)).collect::<Vec<_>>()
    };
    sim.run_until(secs(600), "he is locked out", |sim| sim.counter(A, "tandem_locked_out_total") == 1);
    let ends = held(&mut sim)[0].1;
    for _ in 0..3 {
        sim.crash(A, Refusal::Refused);
        sim.run_for(secs(10));
        sim.recover(A);
        let lasts = held(&mut sim);
        assert_eq!(lasts.len(), 1, "{lasts:?}");
        assert_eq!(lasts[0].0.as_deref(), Some("1001"));
        assert!(lasts[0].1 < ends, "{lasts:?} of {ends}");
    }
    sim.run_for(secs(ends));
    assert_eq!(sim.bindings(A, "1001"), 0, "the password is still wrong");
}
