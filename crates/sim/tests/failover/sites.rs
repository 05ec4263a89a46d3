//! A pair beside another site: a failover within a site is no failure of the site.

use std::time::Duration;

use tandem_sim::desktop::roamer::{Patience, RoamerId, Step};
use tandem_sim::pair::{BACKUP, PRIMARY};
use tandem_sim::{A, B, CallId, Refusal, Setup, Sim, UaId, ms, secs};
use tandem_switch::DrainOrder;
use tandem_switch::directory::floor::AgentOptions;

use crate::office::ua_of;

const DNS: [&str; 3] = ["1001", "1002", "1003"];

/// Two sites that are peered, the first a pair with three agents.
struct Sites {
    sim: Sim,
    agents: Vec<RoamerId>,
    /// A call between the sites that stands.
    call: CallId,
}

fn sites(seed: u64, change: impl FnOnce(&mut Setup)) -> Sites {
    let mut setup = Setup { challenge_calls: false, ..Setup::with_floor(2, AgentOptions::default()) };
    setup.pairs = vec![A];
    change(&mut setup);
    let mut sim = Sim::new(seed, setup);
    sim.run_for(secs(1));
    for dn in DNS {
        sim.phone(dn).registers_at(A).answers_after(ms(200)).on();
    }
    sim.phone("1011").registers_at(A).on();
    sim.phone("1012").registers_at(B).answers_after(ms(200)).on();
    sim.run_for(secs(5));
    let patience = Patience::default();
    let agents =
        (1..=3).map(|n| sim.roamer(&format!("a{n}"), &format!("{}", 1000 + n), A, patience)).collect();
    let caller = ua_of(&sim, "1011");
    let call = sim.call_answered(caller, "1012");
    sim.run_for(secs(3));
    let sites = Sites { sim, agents, call };
    assert!(sites.sim.is_whole(A) && sites.all_peered());
    assert!(sites.agents.iter().all(|id| sites.sim.roams(*id).at == Some(A)));
    sites
}

impl Sites {
    fn all_peered(&self) -> bool {
        [A, B].into_iter().all(|site| self.sim.mode(site) == "peered")
    }

    /// Times that the other site took the trunk to the pair out of service.
    fn lost(&self) -> usize {
        self.sim.ratings(B).len() + usize::from(self.sim.went_out(B, "to-a").is_some())
    }

    fn logged_in(&self) -> usize {
        self.sim.agents(A).len()
    }
}

#[test]
fn bca_12_a_failover_is_no_site_failure_to_the_other_site_nor_to_desktops() {
    // The other site probes every 5 s: at every phase of that.
    for step in 0..8 {
        let mut sites = sites(step, |_| ());
        // Before, in and after the moments at which the other site probes, 10 and 15 s after the start.
        let strikes = [9_300, 9_800, 9_980, 10_400, 11_000, 14_800, 14_900, 14_990][step as usize];
        sites.sim.run_for(ms(strikes).saturating_sub(sites.sim.now().since_start()));
        match step % 4 {
            0 | 1 => sites.sim.kill_server(A, PRIMARY, Refusal::Blackhole),
            2 => sites.sim.switch_over(A, false).expect("the backup has everything"),
            _ => sites.sim.pause_server(A, PRIMARY),
        }
        let mut peered = true;
        for _ in 0..100 {
            sites.sim.run_for(ms(100));
            peered &= sites.sim.mode(B) == "peered";
            peered &= sites.sim.serving(A).is_none() || sites.sim.mode(A) == "peered";
        }
        assert_eq!(sites.sim.serving(A), Some(BACKUP), "step {step}");
        assert!(peered && sites.all_peered() && sites.lost() == 0, "step {step}: {:?}", sites.sim.ratings(B));
        assert_eq!(sites.logged_in(), 3, "step {step}");
        for id in &sites.agents {
            let steps = &sites.sim.roams(*id).steps;
            let moved =
                |step: &Step| matches!(step, Step::GoesTo(_) | Step::LoggedOut(..) | Step::Refused(..));
            assert!(steps.iter().all(|(_, step)| !moved(step)), "step {step}: {steps:?}");
            assert_eq!(sites.sim.roams(*id).count(&Step::LoggedIn(A)), 1, "step {step}: no second login");
        }
        assert!(sites.sim.is_talking(sites.call), "step {step}: the call between the sites stands");
        let back = sites.sim.call_answered(ua_of(&sites.sim, "1012"), "1001");
        assert!(sites.sim.is_talking(back), "step {step}");
    }
}

/// The host of a process that was killed answers for it, as long as it has the address: nobody is there. A probe that hears
/// so is repeated, and finds the backup.
#[test]
fn bca_12_a_probe_that_is_refused_by_the_host_of_a_killed_server_is_no_site_failure() {
    for (step, strike) in [(1, 14_100), (2, 14_500), (3, 14_800), (4, 14_990)] {
        let mut sites = sites(step, |_| ());
        sites.sim.run_for(ms(strike).saturating_sub(sites.sim.now().since_start()));
        sites.sim.kill_server(A, PRIMARY, Refusal::Refused);
        for _ in 0..100 {
            sites.sim.run_for(ms(100));
            assert_eq!(sites.sim.mode(B), "peered", "struck at {strike} ms");
        }
        assert_eq!(sites.sim.serving(A), Some(BACKUP));
        assert!(sites.all_peered() && sites.lost() == 0 && sites.logged_in() == 3, "struck at {strike} ms");
        let moved = |step: &Step| matches!(step, Step::GoesTo(_) | Step::LoggedOut(..));
        for id in &sites.agents {
            let steps = &sites.sim.roams(*id).steps;
            assert!(!steps.iter().any(|(_, step)| moved(step)), "struck at {strike} ms: {steps:?}");
        }
        assert!(sites.sim.is_talking(sites.call), "the call between the sites stands");
    }
}

#[test]
fn with_oos_refused_force_0_a_probe_that_is_refused_costs_the_trunk_one_probe_period() {
    let mut sites = sites(3, |setup| setup.oos_refused_force_s = Some(0));
    sites.sim.run_for(ms(14_800).saturating_sub(sites.sim.now().since_start()));
    sites.sim.kill_server(A, PRIMARY, Refusal::Refused);
    sites.sim.run_for(secs(2));
    assert_eq!((sites.sim.serving(A), sites.sim.mode(B)), (Some(BACKUP), "single-site".into()));
    sites.sim.run_for(ms(3_300));
    assert!(sites.all_peered());
}

/// Trap: whoever takes over believes that the other site is there, because it has not looked, or that it has come back.
#[test]
fn bca_12_whoever_takes_over_while_the_other_site_is_lost_knows_it_from_the_first_moment() {
    for step in 0..4 {
        let mut sites = sites(50 + step, |_| ());
        sites.sim.crash(B, Refusal::Blackhole);
        sites.sim.run_for(sites.sim.setup.detection_bound());
        assert_eq!(sites.sim.mode(A), "single-site", "step {step}");
        let lost = sites.sim.went_out(A, "to-b");
        assert!(lost.is_some(), "step {step}");
        sites.sim.run_for(ms(1_300 * step));
        sites.sim.kill_server(A, PRIMARY, Refusal::Blackhole);
        let mut single = true;
        for _ in 0..40 {
            sites.sim.run_for(ms(100));
            single &= sites.sim.serving(A).is_none() || sites.sim.mode(A) == "single-site";
        }
        assert_eq!((sites.sim.serving(A), single), (Some(BACKUP), true), "step {step}");
        assert_eq!(sites.sim.went_out(A, "to-b"), lost, "step {step}: nobody is told again");
        sites.sim.recover(B);
        sites.sim.run_for(secs(15));
        assert!(sites.all_peered(), "step {step}");
        assert_eq!(sites.logged_in(), 3, "step {step}");
    }
}

/// Trap: a call that is forwarded into a drain dies there.
#[test]
fn bca_12_a_drain_goes_on_over_a_takeover_and_the_other_site_sends_nothing_into_it() {
    let mut sites = sites(41, |setup| setup.shutdown_timeout = secs(30));
    let caller = sites.sim.phone("1014").registers_at(B).on();
    sites.sim.run_for(secs(1));
    sites.sim.order_drain(A, DrainOrder::Start { by: "operator".into() });
    sites.sim.run_for(ms(300));
    sites.sim.kill_server(A, PRIMARY, Refusal::Blackhole);
    sites.sim.run_until(secs(2), "the backup serves", |sim| sim.serving(A) == Some(BACKUP));
    let state = sites.sim.drain_status(A).map(|drain| drain.state);
    assert!(state.is_some_and(|state| state != "in-service"), "{state:?}");
    sites.sim.run_for(sites.sim.setup.detection_bound());
    assert_eq!(sites.sim.mode(B), "single-site", "it is told that nothing is taken any more");
    let call = sites.sim.call(caller, "1001");
    sites.sim.run_for(secs(3));
    let told = sites.sim.result(call);
    assert!(told.is_some_and(|code| code != 603) && sites.sim.legs(call).count() == 1, "{told:?}");
    assert!(sites.sim.is_talking(sites.call), "the call that stood goes on");
    sites.sim.hang_up(caller_of(&sites.sim), sites.call);
    sites.sim.run_until(secs(60), "the drain ends, and every process of the pair", |sim| !sim.is_up(A));
}

fn caller_of(sim: &Sim) -> UaId {
    ua_of(sim, "1011")
}

/// Registrations that end while nobody serves, of phones that are gone, and desktops that stay away.
fn takeover_with_absent(phones: bool, desktops: bool) -> Sites {
    let mut sites = sites(31, |setup| {
        if let Some(floor) = &mut setup.floor {
            floor.options.logout_on_disconnect = Some(true);
            floor.logout_on_disconnect_grace = Duration::ZERO;
        }
    });
    if desktops {
        for id in sites.agents.clone() {
            for site in [A, B] {
                let desk = sites.sim.roams(id).desk(site);
                sites.sim.change_desk(desk, |desk| desk.reconnects = None);
            }
        }
    }
    if phones {
        let gone: Vec<UaId> = DNS.iter().map(|dn| ua_of(&sites.sim, dn)).collect();
        // They refresh after 45 s of 60, and are gone before they do so the first time.
        sites.sim.run_for(secs(30));
        gone.into_iter().for_each(|phone| sites.sim.power_off(phone));
        // The first of the registrations ends in the gap.
        sites.sim.run_for(ms(20_700));
    }
    assert_eq!(sites.logged_in(), 3, "all are there when the primary dies");
    sites.sim.kill_server(A, PRIMARY, Refusal::Refused);
    sites.sim.run_until(secs(2), "the backup serves", |sim| sim.serving(A) == Some(BACKUP));
    sites
}

#[test]
fn bca_12_sf_13_nobody_is_logged_out_for_want_of_a_registration_before_the_grace_after_a_takeover_ends() {
    let mut sites = takeover_with_absent(true, false);
    for second in 0..58 {
        assert_eq!(sites.logged_in(), 3, "{second} s after the takeover");
        sites.sim.run_for(secs(1));
    }
    assert_eq!(sites.sim.mode(A), "peered");
    sites.sim.run_for(secs(10));
    assert_eq!(sites.logged_in(), 0, "then their phones are missed, for the sites are peered");
}

#[test]
fn bca_12_nobody_is_logged_out_for_want_of_a_desktop_before_the_grace_after_a_takeover_ends() {
    let mut sites = takeover_with_absent(false, true);
    for second in 0..58 {
        assert_eq!(sites.logged_in(), 3, "{second} s after the takeover");
        sites.sim.run_for(secs(1));
    }
    sites.sim.run_for(secs(10));
    assert_eq!(sites.logged_in(), 0, "then logout-on-disconnect does what it says");
}

#[test]
fn bca_12_nobody_is_logged_out_though_his_phone_and_his_desktop_are_away_before_the_grace_ends() {
    let mut sites = takeover_with_absent(true, true);
    sites.sim.run_for(secs(57));
    assert_eq!(sites.logged_in(), 3);
}

#[test]
fn bca_12_who_comes_back_within_the_grace_was_never_away() {
    let mut sites = takeover_with_absent(true, false);
    sites.sim.run_for(secs(30));
    for dn in DNS {
        let phone = ua_of(&sites.sim, dn);
        sites.sim.power_on(phone);
    }
    sites.sim.run_for(secs(60));
    assert_eq!(sites.logged_in(), 3);
    for id in &sites.agents {
        assert_eq!(sites.sim.roams(*id).count(&Step::LoggedIn(A)), 1);
    }
}
