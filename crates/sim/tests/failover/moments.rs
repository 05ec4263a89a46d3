//! A primary that is killed in the moments in which something was told without a record of its own, or waits for company.

use std::collections::BTreeSet;
use std::time::Duration;

use tandem_sim::pair::{BACKUP, PRIMARY};
use tandem_sim::{A, CallId, Refusal, Setup, Sim, UaId, ms, secs};

struct Two {
    sim: Sim,
    alice: UaId,
    bob: UaId,
}

/// Two phones at a pair; the second rings after 20 ms. Each way of a packet takes 5 ms.
fn two(seed: u64, answers: Duration) -> Two {
    let setup = Setup { challenge_calls: false, pairs: vec![A], sites: 1, ..Setup::default() };
    let mut sim = Sim::new(seed, setup);
    sim.net.weather.latency = ms(5);
    sim.run_for(ms(600));
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).answers_after(answers).with(|p| p.ring_after = ms(20)).on();
    sim.run_for(ms(600));
    assert!(sim.is_whole(A), "the pair is whole before anything begins");
    Two { sim, alice, bob }
}

impl Two {
    fn primary_dies(&mut self, step: u64) {
        self.sim.pair_mut(A).patience = secs(3);
        let how = if step.is_multiple_of(2) { Refusal::Refused } else { Refusal::Blackhole };
        self.sim.kill_server(A, PRIMARY, how);
        self.sim.run_until(secs(4), "the backup serves", |sim| sim.serving(A) == Some(BACKUP));
    }

    /// Nothing is left of the call anywhere but one record.
    fn is_over(&self, call: CallId, step: u64) {
        let legs: Vec<_> = self.sim.legs(call).collect();
        assert!(self.sim.is_over(call), "step {step}: {legs:?}");
        let cdrs = self.sim.cdrs(A);
        let uuids: BTreeSet<&str> = cdrs.iter().map(|cdr| &*cdr.call_uuid).collect();
        assert_eq!((cdrs.len(), uuids.len()), (1, 1), "step {step}: {cdrs:?}");
    }
}

#[test]
fn bca_12_a_call_that_rings_when_the_primary_dies_rings_on_and_is_answered() {
    // The 180 leaves some 35 ms after the INVITE came, and is stored nowhere.
    for step in 0..12 {
        let mut two = two(step, ms(2_500));
        let call = two.sim.call(two.alice, "1002");
        two.sim.run_for(ms(34 + step));
        two.primary_dies(step);
        two.sim.run_for(secs(6));
        assert!(two.sim.is_talking(call), "step {step}: {:?}", two.sim.legs(call).collect::<Vec<_>>());
        two.sim.hang_up(two.bob, call);
        two.sim.run_for(secs(2));
        two.is_over(call, step);
    }
}

#[test]
fn bca_12_a_call_whose_end_waits_for_company_when_the_primary_dies_ends_at_both_ends_with_one_record() {
    for step in 0..16 {
        let mut two = two(step, ms(80));
        let call = two.sim.call_answered(two.alice, "1002");
        two.sim.run_for(secs(1));
        let hangs_up = if step % 4 < 2 { two.alice } else { two.bob };
        two.sim.hang_up(hangs_up, call);
        two.sim.run_for(ms(4 + step));
        two.primary_dies(step);
        two.sim.run_for(secs(40));
        two.is_over(call, step);
    }
}
