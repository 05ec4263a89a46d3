//! What desktops that follow their agents need of the servers: which events, in which order, and which logins succeed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use tandem_cti::EventName::{AgentLogout, DnBackInService, DnOutOfService};
use tandem_cti::{Event as Told, Role};
use tandem_peer::DrForward;
use tandem_sim::desktop::roamer::{Patience, RoamerId, Step};
use tandem_sim::{A, B, DeskId, Refusal, Setup, Sim, SiteId, ms, secs};
use tandem_switch::DrainOrder;
use tandem_switch::directory::floor::AgentOptions;

fn two_sites(seed: u64, change: impl FnOnce(&mut Setup)) -> Sim {
    let mut setup = Setup { challenge_calls: false, ..Setup::with_floor(2, AgentOptions::default()) };
    change(&mut setup);
    let mut sim = Sim::new(seed, setup);
    sim.run_for(secs(8));
    sim
}

/// Agent `n` with a phone of this kind, which prefers the site as his desktop does.
fn roams(sim: &mut Sim, n: u32, preferred: SiteId, dual: bool) -> RoamerId {
    let dn = format!("{}", 1000 + n);
    let phone = sim.phone(&dn).answers_after(ms(500));
    let _ = if dual { phone.dual(preferred) } else { phone.active_backup(preferred) }.on();
    sim.run_for(secs(1));
    let id = sim.roamer(&format!("a{n}"), &dn, preferred, Patience::default());
    sim.run_for(secs(1));
    id
}

fn is_at(sim: &Sim, ids: &[RoamerId]) -> Vec<Option<SiteId>> {
    ids.iter().map(|id| sim.roams(*id).at).collect()
}

#[test]
fn bca_06_agents_are_balanced_over_the_sites_or_pinned_to_the_site_they_prefer() {
    for (balanced, seed) in [(true, 1), (false, 2)] {
        let mut sim = two_sites(seed, |_| ());
        let prefers = |n: u32| if balanced && n.is_multiple_of(2) { B } else { A };
        let ids: Vec<RoamerId> = (1..=4).map(|n| roams(&mut sim, n, prefers(n), true)).collect();
        sim.run_for(secs(5));
        let wanted: Vec<_> = (1..=4).map(|n| Some(prefers(n))).collect();
        assert_eq!(is_at(&sim, &ids), wanted, "both sites take logins, and nobody is moved");
        sim.run_for(secs(120));
        assert_eq!(is_at(&sim, &ids), wanted, "and stay there while both are well");
        for id in ids {
            let moves = sim.roams(id).steps.len();
            assert_eq!(moves, 1, "one login each: {:?}", sim.roams(id).steps);
        }
        for site in [A, B] {
            let agents = sim.queue(site, "7000").unwrap().agents;
            assert_eq!(agents, wanted.iter().filter(|at| **at == Some(site)).count());
        }
    }
}

#[test]
fn bca_07_sf_08_every_agent_of_a_lost_site_is_logged_in_at_the_other_by_his_desktop_alone() {
    for how in [Refusal::Refused, Refusal::Blackhole] {
        let mut sim = two_sites(3, |_| ());
        let moved: Vec<RoamerId> = (1..=3).map(|n| roams(&mut sim, n, A, n == 1)).collect();
        let stays = roams(&mut sim, 4, B, true);
        sim.crash(A, how);
        sim.run_until(secs(90), "all are at B", |sim| is_at(sim, &moved).iter().all(|at| *at == Some(B)));
        for id in &moved {
            let roamer = sim.roams(*id);
            let lost = roamer.last(&Step::Lost(A)).unwrap();
            let goes = roamer.last(&Step::GoesTo(B)).unwrap();
            assert!(goes.since_start() - lost.since_start() >= Patience::default().site_timeout);
        }
        let steps: Vec<&Step> = sim.roams(stays).steps.iter().map(|(_, step)| step).collect();
        assert_eq!(
            steps,
            [&Step::LoggedIn(B), &Step::Lost(A)],
            "who is at B loses his connection to A alone"
        );
        let at_b = sim.gateway(2).with(|p| p.sites = vec![B.addr()]).on();
        sim.run_until(secs(90), "their phones are at B", |sim| {
            ["1001", "1002", "1003"].iter().all(|dn| sim.in_service(B, dn))
        });
        let calls = [0, 1, 2, 3].map(|_| sim.call(at_b, "7000"));
        for call in calls {
            sim.run_until(secs(10), "each of the four takes a call", |sim| sim.is_talking(call));
        }
    }
}

/// Trap: a desktop that asks before this site has noticed the loss is refused, and succeeds when it asks again.
#[test]
fn a_desktop_that_is_faster_than_the_server_is_refused_with_58_and_let_in_when_it_asks_again() {
    let mut sim = two_sites(4, |setup| (setup.oos_check_s, setup.oos_force_s) = (10, 5));
    sim.run_for(secs(10));
    let quick = Patience { site_timeout: secs(1), ..Patience::default() };
    sim.phone("1001").active_backup(A).on();
    sim.run_for(secs(1));
    let id = sim.roamer("a1", "1001", A, quick);
    sim.run_for(secs(2));
    sim.crash(A, Refusal::Blackhole);
    // Its process is gone, and the desktop is told so by its own host.
    let desk = sim.roams(id).desk(A);
    sim.break_link(desk, Refusal::Refused);
    let killed = sim.now().since_start();
    sim.run_until(secs(60), "logged in at B", |sim| sim.roams(id).at == Some(B));
    let roamer = sim.roams(id);
    assert!(roamer.count(&Step::Refused(B, 58)) >= 1, "{:?}", roamer.steps);
    let in_at = roamer.last(&Step::LoggedIn(B)).unwrap().since_start();
    let bound = sim.setup.detection_bound() + quick.retry + secs(1);
    assert!(in_at - killed <= bound, "{:?}", roamer.steps);
}

/// The desktop's way to its site is cut, and nothing else: the site is up, and the phone is still there.
#[test]
fn bca_24_the_other_site_refuses_a_login_until_the_phone_has_moved_there() {
    let mut sim = two_sites(5, |_| ());
    let phone = sim.phone("1001").active_backup(A).on();
    sim.run_for(secs(1));
    let id = sim.roamer("a1", "1001", A, Patience::default());
    sim.run_for(secs(1));
    let desk = sim.roams(id).desk(A);
    sim.change_desk(desk, |desk| desk.reconnects = None);
    sim.break_link(desk, Refusal::Blackhole);
    sim.run_for(secs(60));
    let roamer = sim.roams(id);
    assert_eq!((roamer.aims, roamer.at), (B, None), "the preferred site is away for the desktop alone");
    assert!(roamer.count(&Step::Refused(B, 58)) > 10);
    let (own, site) = (sim.ip(phone), A.addr().ip());
    sim.net.cut(&[own], &[site], Refusal::Blackhole);
    sim.run_until(secs(90), "now the phone moves as well", |sim| sim.registered(phone, B));
    sim.run_until(secs(2), "and the login is taken", |sim| sim.roams(id).at == Some(B));
    assert_eq!([A, B].map(|site| sim.mode(site)), ["peered", "peered"]);
}

#[test]
fn bca_24_with_only_the_phone_moved_the_agent_stays_where_his_desktop_is() {
    let mut sim = two_sites(6, |_| ());
    sim.phone("1001").dual(A).on();
    sim.run_for(secs(1));
    let id = sim.roamer("a1", "1001", A, Patience::default());
    sim.run_for(secs(300));
    assert_eq!(sim.roams(id).steps.len(), 1, "registered at B as well, and logged in at A once");
}

fn reason(told: &Told) -> String {
    told.extensions.get("ReasonCode").and_then(|value| value.as_text()).unwrap_or_default().to_owned()
}

/// What a desktop heard of its DN from a moment on: names, and the reason code of a logout.
fn heard_since(sim: &Sim, desk: DeskId, known: usize) -> Vec<String> {
    let heard = sim.desk(desk).heard.iter().skip(known).map(|heard| &heard.event);
    let named = |event: &Told| match event.event == AgentLogout {
        true => format!("{} {}", event.event.as_str(), reason(event)),
        false => event.event.as_str().to_owned(),
    };
    heard.map(named).collect()
}

#[test]
fn bca_25_a_forced_logout_is_told_as_desktops_expect_it_and_the_desktop_logs_in_again() {
    for unregisters in [true, false] {
        let mut sim = two_sites(7, |_| ());
        let phone = sim.phone("1001").registers_at(A).on();
        sim.run_for(secs(1));
        let patience = Patience { register_timeout: secs(60), ..Patience::default() };
        let id = sim.roamer("a1", "1001", A, patience);
        sim.run_for(secs(1));
        let desk = sim.roams(id).desk(A);
        let known = sim.desk(desk).heard.len();
        if unregisters {
            sim.unregister(phone, A);
            sim.run_for(secs(5));
            sim.power_off(phone);
        } else {
            sim.power_off(phone);
            sim.run_for(secs(70));
        }
        assert_eq!(
            heard_since(&sim, desk, known),
            ["EventDNOutOfService", "EventAgentLogout dr-force_logout"]
        );
        sim.run_for(secs(5));
        assert_eq!(sim.roams(id).at, None, "the server logs nobody in");
        let known = sim.desk(desk).heard.len();
        sim.power_on(phone);
        sim.run_for(secs(5));
        let told = heard_since(&sim, desk, known);
        assert_eq!(told[..3], ["EventDNBackInService", "EventAgentLogin", "EventAgentReady"]);
        assert_eq!(sim.roams(id).aims, A, "the phone was back in time");
    }
}

#[test]
fn bca_25_a_phone_that_does_not_come_back_in_time_moves_its_agent_to_the_other_site() {
    let mut sim = two_sites(8, |_| ());
    let phone = sim.phone("1001").active_backup(A).on();
    sim.run_for(secs(1));
    let id = sim.roamer("a1", "1001", A, Patience::default());
    sim.run_for(secs(1));
    let (own, site) = (sim.ip(phone), A.addr().ip());
    sim.net.cut(&[own], &[site], Refusal::Blackhole);
    sim.run_until(secs(120), "logged in at B", |sim| sim.roams(id).at == Some(B));
    let roamer = sim.roams(id);
    assert_eq!(roamer.count(&Step::LoggedOut(A, "dr-force_logout".to_owned())), 1);
    let out = roamer.last(&Step::LoggedOut(A, "dr-force_logout".to_owned())).unwrap();
    let goes = roamer.last(&Step::GoesTo(B)).unwrap();
    assert_eq!(goes.since_start() - out.since_start(), Patience::default().register_timeout);
    let desk = sim.roams(id).desk(A);
    assert!(sim.desk(desk).last_of(DnOutOfService, "1001").is_some());
    assert!(sim.desk(desk).last_of(DnBackInService, "1001").is_none());
}

#[test]
fn gm_14_a_desktop_that_hears_of_the_shutdown_is_logged_in_at_the_other_site_at_once() {
    let mut sim = two_sites(9, |setup| setup.dr_forward = DrForward::NoAgent);
    let ids: Vec<RoamerId> = (1..=4).map(|n| roams(&mut sim, n, B, true)).collect();
    sim.run_for(secs(2));
    let drained = sim.now();
    sim.order_drain(B, DrainOrder::Start { by: "operator".into() });
    sim.run_for(ms(100));
    for id in ids {
        let roamer = sim.roams(id);
        let steps: Vec<&Step> =
            roamer.steps.iter().filter(|(at, _)| *at >= drained).map(|(_, s)| s).collect();
        let out = Step::LoggedOut(B, "graceful_shutdown_logout".to_owned());
        assert_eq!(steps, [&out, &Step::GoesTo(A), &Step::LoggedIn(A)]);
    }
    sim.run_until(secs(20), "B is drained", |sim| !sim.is_up(B));
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    for _ in 0..4 {
        let call = sim.call(gateway, "7000");
        sim.run_until(secs(10), "they take calls at A", |sim| sim.is_talking(call));
    }
}

#[test]
fn a_logout_by_the_agent_or_a_supervisor_moves_no_desktop() {
    let mut sim = two_sites(10, |_| ());
    let id = roams(&mut sim, 1, A, true);
    let sue = sim.desktop("sue", Role::Supervisor, A);
    sim.does(sue, "TRegisterAddress", &[("ThisDN", "1001")]);
    sim.does(sue, "TAgentLogout", &[("ThisDN", "1001")]);
    sim.run_for(secs(120));
    let roamer = sim.roams(id);
    assert_eq!((roamer.aims, roamer.at), (A, None));
    assert_eq!(roamer.steps.last().map(|(_, step)| step), Some(&Step::LoggedOut(A, String::new())));
}
