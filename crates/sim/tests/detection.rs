//! How soon the loss of a site is noticed, and how soon its agents work at the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use tandem_sim::site_loss::{SiteLoss, percentile};
use tandem_sim::ua::Registers;
use tandem_sim::{A, B, Refusal, Setup, Sim, ms, secs};

/// Whatever the moment within the rhythm of the probes.
#[test]
fn from_the_loss_of_the_trunk_to_single_site_it_takes_oos_check_and_oos_force_at_most() {
    for (oos_check_s, oos_force_s) in [(10, 5), (5, 2), (1, 1), (3, 7)] {
        let setup = Setup { oos_check_s, oos_force_s, ..Setup::default() };
        let bound = setup.detection_bound();
        let mut slowest = secs(0);
        for offset in 0..u64::from(oos_check_s) * 20 {
            let site = if offset % 2 == 0 { A } else { B };
            let mut sim = Sim::new(offset, setup.clone());
            sim.run_for(secs(20) + ms(50 * offset));
            assert_eq!(sim.mode(site), "peered");
            let lost = sim.now();
            if offset % 4 < 2 {
                sim.crash(site.other(), Refusal::Blackhole);
            } else {
                sim.cut_link(Refusal::Blackhole);
            }
            let tick = ms(1);
            sim.run_until(bound + tick, "single-site", |sim| sim.mode(site) == "single-site");
            slowest = slowest.max(sim.now() - lost);
        }
        assert!(slowest + ms(100) > bound, "the bound is reached: {slowest:?} of {bound:?}");
    }
}

/// A process that dies leaves a host that answers for it.
#[test]
fn a_site_whose_process_dies_is_noticed_with_the_next_probe() {
    let mut sim = Sim::two_sites(1);
    sim.run_for(secs(20));
    let lost = sim.now();
    sim.crash(B, Refusal::Refused);
    let check = secs(u64::from(sim.setup.oos_check_s));
    sim.run_until(check + ms(10), "single-site", |sim| sim.mode(A) == "single-site");
    assert!(sim.now() - lost <= check + ms(10));
}

#[test]
fn the_agents_of_a_lost_site_are_called_at_the_other_within_ten_seconds_of_the_last_detection() {
    for phones in [Registers::Dual, Registers::Single, Registers::ActiveBackup] {
        let plan = SiteLoss::recommended(120, phones);
        let figures = plan.play().unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!((figures.before, figures.back()), (120, 120), "{figures}");
        assert!(figures.server <= secs(15), "{figures}");
        let after = figures.sorted(|agent| figures.after_detection(agent));
        assert!(percentile(&after, 95) <= secs(10), "{figures}");
        let desktops = figures.sorted(|agent| agent.desktop);
        assert!(desktops[0] >= plan.site_timeout, "no desktop is faster than site-timeout");
        for agent in &figures.agents {
            assert_eq!(agent.registered.is_some(), phones != Registers::Dual, "{agent:?}");
            assert!(agent.login <= agent.called && agent.registered <= agent.called, "{agent:?}");
        }
    }
}
