//! Graceful migration in shares: so many of a hundred calls and agents go to the other site, in steps, and come back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use tandem_cti::EventName::{AgentLogin, AgentLogout, Error, Established};
use tandem_cti::Value;
use tandem_sim::{A, B, CallId, DeskId, Refusal, Setup, Sim, SiteId, UaId, ms, secs};
use tandem_switch::directory::floor::{AgentGroup, AgentOptions, WrapUp};
use tandem_switch::{DrainOrder, Migrate, MigrateOrder};

fn two_sites(seed: u64, change: impl FnOnce(&mut Setup)) -> Sim {
    let mut setup =
        Setup { challenge_calls: false, redirect: true, ..Setup::with_floor(2, AgentOptions::default()) };
    change(&mut setup);
    let mut sim = Sim::new(seed, setup);
    sim.run_for(secs(8));
    sim
}

fn gateway(sim: &mut Sim, n: u8) -> UaId {
    sim.gateway(n).with(|profile| profile.load_share = false).on()
}

fn to(site: SiteId, percent: u8) -> Migrate {
    let (to, by) = (site.name().into(), "operator".into());
    Migrate { to, by, percent, group: None, step: 100, every: secs(60) }
}

fn migrate(sim: &mut Sim, from: SiteId, wanted: Migrate) {
    sim.order_migration(from, MigrateOrder::To(wanted)).expect("it can begin");
}

fn agent(sim: &mut Sim, n: u32, site: SiteId) -> DeskId {
    let dn = format!("{}", 1000 + n);
    sim.phone(&dn).dual(site).answers_after(ms(500)).on();
    sim.run_for(secs(1));
    sim.agent_at(&format!("a{n}"), &dn, site, "AutoIn")
}

fn is_in(sim: &Sim, desk: DeskId, dn: &str) -> bool {
    let heard = &sim.desk(desk).heard;
    let last = heard.iter().rev().find(|heard| {
        let event = &heard.event;
        matches!(event.event, AgentLogin | AgentLogout) && event.this_dn.as_deref() == Some(dn)
    });
    last.is_some_and(|heard| heard.event.event == AgentLogin)
}

fn talking(sim: &mut Sim, caller: UaId, number: &str) -> CallId {
    let call = sim.call(caller, number);
    sim.run_until(secs(5), "the call is answered", |sim| sim.is_talking(call));
    call
}

/// Which of so many calls the other site serves. They come so slowly that none is taken for one that was redirected before.
fn served_there(sim: &mut Sim, gateway: UaId, number: &str, calls: usize) -> Vec<bool> {
    let mut there = Vec::new();
    for _ in 0..calls {
        let before = sim.counter(B, "tandem_calls_total");
        let call = talking(sim, gateway, number);
        there.push(sim.counter(B, "tandem_calls_total") > before);
        sim.hang_up(gateway, call);
        sim.run_for(secs(11));
    }
    there
}

#[test]
fn exactly_the_share_of_new_calls_goes_to_the_peer() {
    let mut sim = two_sites(1, |_| ());
    for n in 1..=4 {
        agent(&mut sim, n, if n <= 2 { A } else { B });
    }
    migrate(&mut sim, A, to(B, 40));
    let gateway = gateway(&mut sim, 1);
    let there = served_there(&mut sim, gateway, "7000", 10);
    assert_eq!(there.iter().filter(|there| **there).count(), 4, "{there:?}");
    let status = sim.migration_status(A).unwrap();
    assert_eq!((status.calls_sent, status.calls_kept, status.state), (4, 6, "standing"));
}

#[test]
fn a_direct_call_follows_its_agent_and_not_the_share() {
    let mut sim = two_sites(2, |_| ());
    agent(&mut sim, 1, A);
    agent(&mut sim, 2, A);
    migrate(&mut sim, A, to(B, 10));
    let gateway = gateway(&mut sim, 1);
    for _ in 0..12 {
        let call = talking(&mut sim, gateway, "1001");
        sim.hang_up(gateway, call);
        sim.run_for(secs(1));
    }
    assert_eq!(sim.counter(B, "tandem_calls_total"), 0);
    assert_eq!(sim.migration_status(A).unwrap().calls_kept, 0);
}

#[test]
fn a_redirected_call_that_comes_back_is_served_here() {
    let mut sim = two_sites(3, |_| ());
    agent(&mut sim, 1, A);
    migrate(&mut sim, A, to(B, 40));
    let gateway = gateway(&mut sim, 1);
    sim.run_for(secs(1));
    let first = talking(&mut sim, gateway, "7000");
    sim.hang_up(gateway, first);
    sim.run_for(secs(1));
    // The gateway cannot reach the peer: the call that it was redirected for comes again.
    sim.change(gateway, |profile| profile.follows_redirect = false);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let call = sim.call(gateway, "7000");
        sim.run_for(secs(3));
        seen.push(sim.result(call));
        sim.hang_up_all(gateway);
        sim.run_for(secs(1));
    }
    let redirected: Vec<usize> = (0..4).filter(|n| seen[*n] == Some(302)).collect();
    assert_eq!(redirected.len(), 1, "the share's turn, and no second time within ten seconds: {seen:?}");
}

#[test]
fn two_sites_that_send_everything_to_each_other_send_no_call_round() {
    let mut sim = two_sites(4, |_| ());
    agent(&mut sim, 1, A);
    agent(&mut sim, 2, B);
    migrate(&mut sim, A, to(B, 100));
    migrate(&mut sim, B, to(A, 100));
    sim.run_for(secs(2));
    let gateway = gateway(&mut sim, 1);
    let call = sim.call(gateway, "7000");
    sim.run_for(secs(70));
    sim.expect(!sim.is_over(call), "the call waits at one site");
    let invites = sim.counter(A, "tandem_calls_total") + sim.counter(B, "tandem_calls_total");
    assert_eq!(invites, 2, "it was redirected once");
}

#[test]
fn idle_agents_go_first_and_the_others_when_their_work_is_done() {
    let mut sim = two_sites(5, |setup| {
        setup.floor.as_mut().unwrap().options.wrap_up_time = Some(WrapUp::Timed(secs(5)));
    });
    let desks: Vec<DeskId> = (1..=4).map(|n| agent(&mut sim, n, A)).collect();
    let gateway = gateway(&mut sim, 1);
    let call = talking(&mut sim, gateway, "7000");
    let busy =
        (1..=4).find(|n| sim.desk(desks[n - 1]).last_of(Established, &format!("100{n}")).is_some()).unwrap();
    migrate(&mut sim, A, to(B, 75));
    sim.run_for(ms(10));
    let inside: Vec<usize> = (1..=4).filter(|n| is_in(&sim, desks[n - 1], &format!("100{n}"))).collect();
    assert_eq!(inside, [busy], "the three idle ones have gone");
    let logout = (1..=4).find_map(|n| sim.desk(desks[n - 1]).last_of(AgentLogout, &format!("100{n}")));
    let reason = logout.unwrap().extensions.get("ReasonCode").cloned();
    assert_eq!(reason, Some(Value::from("graceful_shutdown_logout")));
    migrate(&mut sim, A, to(B, 100));
    sim.run_for(secs(30));
    let dn = format!("100{busy}");
    sim.expect(is_in(&sim, desks[busy - 1], &dn) && sim.is_talking(call), "he finishes his call");
    sim.hang_up(gateway, call);
    sim.run_for(secs(3));
    sim.expect(is_in(&sim, desks[busy - 1], &dn), "and his after-call work");
    sim.run_for(secs(3));
    sim.expect(!is_in(&sim, desks[busy - 1], &dn), "and goes");
    let status = sim.migration_status(A).unwrap();
    assert_eq!((status.agents_gone, status.agents_here, status.agents_leaving), (4, 0, 0));
}

#[test]
fn it_goes_in_steps_can_be_paused_and_comes_back_in_steps() {
    let mut sim = two_sites(6, |_| ());
    let desks: Vec<DeskId> = (1..=4).map(|n| agent(&mut sim, n, A)).collect();
    let inside = |sim: &Sim| (1..=4).filter(|n| is_in(sim, desks[n - 1], &format!("100{n}"))).count();
    let share = |sim: &Sim| sim.migration_status(A).unwrap().percent;
    let steps = Migrate { step: 25, every: secs(20), ..to(B, 75) };
    migrate(&mut sim, A, steps.clone());
    sim.run_for(secs(1));
    assert_eq!((share(&sim), inside(&sim)), (25, 3));
    sim.run_for(secs(20));
    assert_eq!((share(&sim), inside(&sim)), (50, 2));
    let pause = |paused| MigrateOrder::Pause { by: "operator".into(), paused };
    sim.order_migration(A, pause(true)).unwrap();
    sim.run_for(secs(60));
    assert_eq!((share(&sim), inside(&sim)), (50, 2));
    assert_eq!(sim.migration_status(A).unwrap().state, "paused");
    sim.order_migration(A, pause(false)).unwrap();
    sim.run_for(secs(22));
    assert_eq!((share(&sim), inside(&sim)), (75, 1));
    // Two of those who are gone may come back at each step, the last to go first.
    migrate(&mut sim, A, Migrate { percent: 0, step: 50, ..steps });
    sim.run_for(secs(1));
    assert_eq!(share(&sim), 25);
    let login = |sim: &mut Sim, n: usize| {
        let dn = format!("100{n}");
        let id = format!("a{n}");
        let asked = [("ThisDN", &*dn), ("AgentID", &*id), ("WorkMode", "AutoIn")];
        let answer = sim.asks(desks[n - 1], "TAgentLogin", &asked);
        (answer.event, answer.error_code)
    };
    let gone: Vec<usize> = (1..=4).filter(|n| !is_in(&sim, desks[n - 1], &format!("100{n}"))).collect();
    let answers: Vec<_> = gone.iter().map(|n| login(&mut sim, *n)).collect();
    assert_eq!(answers.iter().filter(|answer| **answer == (AgentLogin, None)).count(), 2, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == (Error, Some(156))).count(), 1, "{answers:?}");
    sim.run_for(secs(21));
    assert_eq!(sim.migration_status(A).unwrap().state, "none");
    for n in (1..=4).filter(|n| !is_in(&sim, desks[n - 1], &format!("100{n}"))).collect::<Vec<_>>() {
        assert_eq!(login(&mut sim, n), (AgentLogin, None));
    }
}

#[test]
fn an_agent_who_was_moved_is_sent_to_the_other_site_until_it_is_lost() {
    let mut sim = two_sites(7, |_| ());
    let desk = agent(&mut sim, 1, A);
    agent(&mut sim, 2, A);
    migrate(&mut sim, A, to(B, 100));
    sim.run_for(secs(1));
    let login = [("ThisDN", "1001"), ("AgentID", "a1"), ("WorkMode", "AutoIn")];
    let refused = sim.asks(desk, "TAgentLogin", &login);
    assert_eq!((refused.event, refused.error_code), (Error, Some(156)));
    let there = sim.agent_at("a1", "1001", B, "AutoIn");
    sim.expect(is_in(&sim, there, "1001"), "the other site takes him");
    sim.crash(B, Refusal::Blackhole);
    sim.run_until(secs(30), "A serves alone", |sim| sim.mode(A) == "single-site");
    assert_eq!(sim.migration_status(A).unwrap().state, "waits for the peer");
    assert_eq!(sim.asks(desk, "TAgentLogin", &login).event, AgentLogin);
    let gateway = gateway(&mut sim, 1);
    talking(&mut sim, gateway, "7000");
}

#[test]
fn no_step_is_taken_while_the_peer_is_lost() {
    let mut sim = two_sites(8, |_| ());
    agent(&mut sim, 1, A);
    migrate(&mut sim, A, Migrate { step: 10, every: secs(20), ..to(B, 100) });
    sim.run_for(secs(5));
    sim.cut_link(Refusal::Blackhole);
    sim.run_for(secs(120));
    let lost = sim.migration_status(A).unwrap();
    assert_eq!(lost.state, "waits for the peer");
    assert!(lost.percent <= 20, "{lost:?}");
    sim.heal();
    sim.run_until(secs(30), "the sites are peered", |sim| sim.mode(A) == "peered");
    sim.run_for(secs(15));
    assert_eq!(sim.migration_status(A).unwrap().percent, lost.percent, "a whole interval passes first");
    sim.run_for(secs(10));
    assert_eq!(sim.migration_status(A).unwrap().percent, lost.percent + 10);
    let refused = sim.order_migration(A, MigrateOrder::To(Migrate { group: Some("x".into()), ..to(B, 5) }));
    assert_eq!(refused, Err("no agent group is called x".to_owned()));
}

#[test]
fn a_call_in_path_that_the_peer_does_not_take_waits_here_and_one_that_waits_there_may_wait_long() {
    let mut sim = two_sites(9, |setup| {
        setup.redirect = false;
        setup.ring_timeout = secs(30);
        let queue = &mut setup.floor.as_mut().unwrap().queues[0];
        queue.max_wait = Duration::ZERO;
    });
    let here = agent(&mut sim, 1, A);
    let caller = gateway(&mut sim, 1);
    migrate(&mut sim, A, to(B, 40));
    for _ in 0..2 {
        let call = talking(&mut sim, caller, "7000");
        sim.hang_up(caller, call);
        sim.run_for(secs(1));
    }
    // The third goes, and nobody serves it there.
    let waits = sim.call(caller, "7000");
    sim.run_for(secs(300));
    sim.expect(!sim.is_over(waits), "a queue of the peer is no phone that rings too long");
    assert_eq!(sim.counter(B, "tandem_calls_total"), 1);
    sim.expect(!sim.is_talking(waits), "nobody has it");
    sim.crash(B, Refusal::Blackhole);
    sim.run_until(secs(30), "it comes back to the agent here", |sim| sim.is_talking(waits));
    sim.expect(is_in(&sim, here, "1001"), "he serves it");
}

#[test]
fn a_group_goes_with_its_queues_and_nobody_else() {
    let mut sim = two_sites(10, |setup| {
        let floor = setup.floor.as_mut().unwrap();
        floor.groups = vec![AgentGroup { name: "late".into(), agents: vec!["a5".into(), "a6".into()] }];
        floor.queues[1].groups = vec!["late".into()];
    });
    let first = agent(&mut sim, 1, A);
    let fifth = agent(&mut sim, 5, A);
    let sixth = agent(&mut sim, 6, A);
    migrate(&mut sim, A, Migrate { group: Some("late".into()), ..to(B, 100) });
    sim.run_for(secs(1));
    let inside = [(first, "1001"), (fifth, "1005"), (sixth, "1006")].map(|(desk, dn)| is_in(&sim, desk, dn));
    assert_eq!(inside, [true, false, false]);
    sim.agent_at("a5", "1005", B, "AutoIn");
    let gateway = gateway(&mut sim, 1);
    assert_eq!(served_there(&mut sim, gateway, "7000", 3), [false; 3]);
    assert_eq!(served_there(&mut sim, gateway, "7001", 3), [true; 3]);
}

#[test]
fn callers_who_wait_where_no_agent_is_left_are_handed_over() {
    for redirect in [true, false] {
        let mut sim = two_sites(11, |setup| setup.redirect = redirect);
        let caller = gateway(&mut sim, 1);
        let waits = sim.call(caller, "7000");
        sim.run_for(secs(2));
        agent(&mut sim, 1, B);
        migrate(&mut sim, A, to(B, 100));
        sim.run_until(secs(3), "the peer's agent has him", |sim| sim.is_talking(waits));
    }
}

#[test]
fn callers_in_the_queue_of_a_group_that_has_gone_are_handed_over_and_others_are_not() {
    let mut sim = two_sites(13, |setup| {
        let floor = setup.floor.as_mut().unwrap();
        floor.groups = vec![AgentGroup { name: "late".into(), agents: vec!["a5".into(), "a6".into()] }];
        floor.queues[1].groups = vec!["late".into()];
    });
    agent(&mut sim, 5, B);
    let caller = gateway(&mut sim, 1);
    let (late, other) = (sim.call(caller, "7001"), sim.call(caller, "7000"));
    sim.run_for(secs(2));
    migrate(&mut sim, A, Migrate { group: Some("late".into()), ..to(B, 100) });
    sim.run_until(secs(3), "the group's agent at the peer has him", |sim| sim.is_talking(late));
    sim.run_for(secs(40));
    sim.expect(!sim.is_over(other) && !sim.is_talking(other), "the other one waits here");
}

#[test]
fn below_a_hundred_somebody_stays_for_the_calls_that_stay() {
    let mut sim = two_sites(14, |_| ());
    let desks: Vec<DeskId> = (1..=4).map(|n| agent(&mut sim, n, A)).collect();
    migrate(&mut sim, A, to(B, 95));
    sim.run_for(secs(1));
    let inside = (1..=4).filter(|n| is_in(&sim, desks[n - 1], &format!("100{n}"))).count();
    assert_eq!(inside, 1);
}

#[test]
fn whoever_was_to_leave_stays_when_the_peer_is_lost_and_goes_when_it_is_back() {
    let mut sim = two_sites(15, |_| ());
    let desk = agent(&mut sim, 1, A);
    let caller = gateway(&mut sim, 1);
    let call = talking(&mut sim, caller, "7000");
    migrate(&mut sim, A, to(B, 100));
    sim.crash(B, Refusal::Blackhole);
    sim.run_until(secs(30), "A serves alone", |sim| sim.mode(A) == "single-site");
    sim.hang_up(caller, call);
    sim.run_for(secs(10));
    sim.expect(is_in(&sim, desk, "1001"), "nobody is sent to a site that is down");
    let next = talking(&mut sim, caller, "7000");
    sim.hang_up(caller, next);
    sim.restart(B);
    sim.run_until(secs(30), "the sites are peered", |sim| sim.mode(A) == "peered");
    sim.run_until(secs(5), "he goes", |sim| !is_in(sim, desk, "1001"));
}

#[test]
fn a_pause_keeps_those_who_were_to_leave_and_a_roll_back_needs_no_peer() {
    let mut sim = two_sites(16, |_| ());
    let desk = agent(&mut sim, 1, A);
    let caller = gateway(&mut sim, 1);
    let call = talking(&mut sim, caller, "7000");
    migrate(&mut sim, A, to(B, 100));
    let pause = |paused| MigrateOrder::Pause { by: "operator".into(), paused };
    sim.order_migration(A, pause(true)).unwrap();
    sim.hang_up(caller, call);
    sim.run_for(secs(5));
    sim.expect(is_in(&sim, desk, "1001"), "he stays while it is paused");
    sim.order_migration(A, pause(false)).unwrap();
    sim.run_for(secs(1));
    sim.expect(!is_in(&sim, desk, "1001"), "and goes when it goes on");
    sim.crash(B, Refusal::Blackhole);
    sim.run_until(secs(30), "A serves alone", |sim| sim.mode(A) == "single-site");
    migrate(&mut sim, A, to(B, 0));
    sim.run_for(secs(2));
    assert_eq!(sim.migration_status(A).unwrap().state, "none");
    assert!(sim.order_migration(A, MigrateOrder::To(to(B, 10))).is_err());
}

#[test]
fn a_drain_takes_over_and_an_abort_ends_it() {
    let mut sim = two_sites(12, |_| ());
    let desk = agent(&mut sim, 1, A);
    migrate(&mut sim, A, to(B, 100));
    sim.run_for(secs(1));
    sim.order_migration(A, MigrateOrder::Abort { by: "operator".into() }).unwrap();
    let login = [("ThisDN", "1001"), ("AgentID", "a1"), ("WorkMode", "AutoIn")];
    assert_eq!(sim.asks(desk, "TAgentLogin", &login).event, AgentLogin);
    migrate(&mut sim, A, to(B, 100));
    sim.order_drain(A, DrainOrder::Start { by: "operator".into() });
    assert_eq!(sim.migration_status(A).unwrap().state, "none");
    assert!(sim.order_migration(A, MigrateOrder::To(to(B, 50))).is_err());
    sim.run_until(secs(15), "the drain ends", |sim| !sim.is_up(A));
}
