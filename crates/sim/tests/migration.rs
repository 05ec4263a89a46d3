//! Graceful migration: a site is drained, its agents go on at the other, and no call is lost on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use tandem_cti::EventName::{
    self, AgentLogin, AgentLogout, AgentNotReady, AgentReady, Error, Established, Held, PrivateInfo,
    Released, Retrieved, Ringing,
};
use tandem_cti::{Event, Role, Value};
use tandem_peer::continuity::DrForward;
use tandem_sim::{A, B, CallId, DeskId, Setup, Sim, SiteId, UaId, ms, secs};
use tandem_switch::DrainOrder;
use tandem_switch::directory::floor::{AgentOptions, WrapUp};

fn two_sites(seed: u64, change: impl FnOnce(&mut Setup)) -> Sim {
    let mut setup = Setup { challenge_calls: false, ..Setup::with_floor(2, AgentOptions::default()) };
    change(&mut setup);
    let mut sim = Sim::new(seed, setup);
    sim.run_for(secs(8));
    sim
}

fn wraps_up(setup: &mut Setup, time: WrapUp) {
    let floor = setup.floor.as_mut().unwrap();
    floor.options.wrap_up_time = Some(time);
}

/// A gateway that sends its calls to one site first.
fn gateway(sim: &mut Sim, n: u8) -> UaId {
    sim.gateway(n).with(|profile| profile.load_share = false).on()
}

fn drain(sim: &mut Sim, site: SiteId) {
    sim.order_drain(site, DrainOrder::Start { by: "operator".into() });
}

fn agent(sim: &mut Sim, agent: &str, dn: &str, site: SiteId) -> DeskId {
    sim.phone(dn).registers_at(site).answers_after(ms(500)).on();
    sim.run_for(secs(1));
    sim.agent_at(agent, dn, site, "AutoIn")
}

/// What a desktop heard of a DN since it had heard `known` events, answers to its own requests left out.
fn heard_since(sim: &Sim, desk: DeskId, known: usize) -> Vec<EventName> {
    sim.desk(desk).heard.iter().skip(known).map(|heard| heard.event.event).collect()
}

fn is_graceful(logout: &Event) -> bool {
    logout.extensions.get("ReasonCode") == Some(&Value::from("graceful_shutdown_logout"))
}

fn ends_within(sim: &mut Sim, site: SiteId, limit: Duration) {
    sim.run_until(limit, "the drained process ends", |sim| !sim.is_up(site));
}

fn talking(sim: &mut Sim, caller: UaId, number: &str) -> CallId {
    let call = sim.call(caller, number);
    sim.run_until(secs(5), "the call is answered", |sim| sim.is_talking(call));
    call
}

#[test]
fn gm_01_gm_02_a_drained_site_loses_no_call_and_its_agents_go_on_at_the_other() {
    let mut sim = two_sites(20, |setup| {
        setup.redirect = true;
        setup.reject_code = 302;
        wraps_up(setup, WrapUp::Timed(secs(3)));
    });
    let gateway = gateway(&mut sim, 1);
    let mut desks = Vec::new();
    for n in 1..=4 {
        let (name, dn) = (format!("a{n}"), format!("100{n}"));
        sim.phone(&dn).dual(A).answers_after(ms(500)).on();
        sim.run_for(secs(1));
        desks.push((sim.agent_at(&name, &dn, A, "AutoIn"), name, dn));
    }
    let talks: Vec<CallId> = (0..3).map(|_| talking(&mut sim, gateway, "7000")).collect();
    sim.run_for(secs(30));
    sim.expect(sim.is_up(A), "nobody is drained who was not told to be");
    drain(&mut sim, A);
    let later: Vec<CallId> = (0..4)
        .map(|n| {
            sim.run_for(secs(2));
            if let Some(call) = talks.get(n) {
                sim.expect(sim.is_talking(*call), "the drain ends no call");
                sim.hang_up(gateway, *call);
            }
            sim.call(gateway, "7000")
        })
        .collect();
    // A desktop that hears graceful_shutdown_logout logs its agent in at the other site.
    for (desk, name, dn) in &desks {
        let logout = sim.awaits_after(*desk, 0, AgentLogout, dn);
        assert!(is_graceful(&logout), "{logout:?}");
        sim.agent_at(name, dn, B, "AutoIn");
    }
    for call in later {
        sim.run_until(secs(20), "a call of the drain is served at the peer", |sim| sim.is_talking(call));
        sim.hang_up(gateway, call);
        sim.run_for(secs(4));
    }
    ends_within(&mut sim, A, secs(15));
    assert_eq!(sim.cdrs(A).iter().filter(|cdr| cdr.legs.len() > 1).count(), 3);
}

#[test]
fn gm_08_gm_13_idle_agents_are_logged_out_at_once_ready_or_not() {
    let mut sim = two_sites(1, |_| ());
    let ready = agent(&mut sim, "a1", "1001", A);
    let not_ready = agent(&mut sim, "a2", "1002", A);
    sim.does(not_ready, "TAgentSetNotReady", &[("ThisDN", "1002")]);
    drain(&mut sim, A);
    sim.run_for(ms(10));
    for (desk, dn) in [(ready, "1001"), (not_ready, "1002")] {
        let logout = sim.desk(desk).last_of(AgentLogout, dn);
        assert!(logout.is_some_and(is_graceful), "{dn}: {logout:?}");
    }
    ends_within(&mut sim, A, secs(11));
}

#[test]
fn gm_04_a_new_call_gets_the_configured_answer() {
    for (code, redirect, wanted) in [(603, false, 603), (486, true, 486), (302, false, 302), (300, true, 302)]
    {
        let mut sim = two_sites(2, |setup| {
            setup.reject_code = code;
            setup.redirect = redirect;
        });
        sim.phone("1001").registers_at(A).on();
        sim.phone("1002").dual(B).answers_after(ms(500)).on();
        let gateway = gateway(&mut sim, 1);
        sim.run_for(secs(1));
        drain(&mut sim, A);
        let call = sim.call(gateway, "1002");
        sim.run_for(secs(3));
        if wanted == 302 {
            sim.expect(sim.is_talking(call), "the caller followed the 302 to the peer");
        } else {
            assert_eq!(sim.result(call), Some(wanted));
        }
        assert_eq!(sim.counter(A, "tandem_calls_total"), 0);
    }
}

#[test]
fn gm_05_requests_that_would_begin_a_call_are_refused() {
    let mut sim = two_sites(3, |_| ());
    let desk = agent(&mut sim, "a1", "1001", A);
    sim.phone("1002").registers_at(A).answers_after(ms(500)).on();
    let gateway = gateway(&mut sim, 1);
    sim.run_for(secs(1));
    let call = talking(&mut sim, gateway, "1001");
    drain(&mut sim, A);
    let conn = sim.desk(desk).last_of(Established, "1001").unwrap().conn_id.clone().unwrap();
    let to = [("ThisDN", "1001"), ("OtherDN", "1002")];
    let begins = [
        ("TMakeCall", None),
        ("TInitiateTransfer", Some(&*conn)),
        ("TInitiateConference", Some(&*conn)),
        ("TMuteTransfer", Some(&*conn)),
    ];
    for (request, conn) in begins {
        let mut attributes = to.to_vec();
        attributes.extend(conn.map(|conn| ("ConnID", conn)));
        let refused = sim.asks(desk, request, &attributes);
        assert_eq!((refused.event, refused.error_code), (Error, Some(156)), "{request}");
    }
    let refused = sim.asks(desk, "TAgentLogin", &[("ThisDN", "1001"), ("AgentID", "a1")]);
    assert_eq!((refused.event, refused.error_code), (Error, Some(156)));
    sim.expect(sim.is_talking(call), "the call that is there goes on");
    assert_eq!(sim.live_calls(A), 1);
}

#[test]
fn gm_06_gm_11_a_call_goes_on_with_all_that_it_allows_and_the_agent_goes_after_it() {
    let mut sim = two_sites(4, |_| ());
    let desk = agent(&mut sim, "a1", "1001", A);
    let other = sim.phone("1002").registers_at(A).answers_after(ms(500)).on();
    let gateway = gateway(&mut sim, 1);
    sim.run_for(secs(1));
    let call = talking(&mut sim, gateway, "7000");
    let conn = sim.desk(desk).last_of(Established, "1001").unwrap().conn_id.clone().unwrap();
    drain(&mut sim, A);
    let this = [("ThisDN", "1001"), ("ConnID", &*conn)];
    sim.does(desk, "THoldCall", &this);
    sim.awaits_after(desk, 0, Held, "1001");
    sim.run_for(secs(1));
    sim.does(desk, "TRetrieveCall", &this);
    sim.awaits_after(desk, 0, Retrieved, "1001");
    sim.run_for(secs(20));
    sim.expect(sim.is_up(A), "a call keeps the process");
    assert!(sim.desk(desk).last_of(AgentLogout, "1001").is_none());
    let known = sim.desk(desk).heard.len();
    let mut to = this.to_vec();
    to.push(("OtherDN", "1002"));
    sim.does(desk, "TSingleStepTransfer", &to);
    sim.run_until(secs(5), "the target talks", |sim| {
        sim.ua(other).unwrap().legs().any(|leg| !leg.is_early() && !leg.is_over())
    });
    let heard = heard_since(&sim, desk, known);
    let released = heard.iter().position(|name| *name == Released).unwrap();
    let logout = heard.iter().position(|name| *name == AgentLogout).unwrap();
    assert!(released < logout, "{heard:?}");
    sim.run_for(secs(15));
    let talks = sim.caller_leg(call).is_some_and(|leg| !leg.is_over());
    sim.expect(sim.is_up(A) && talks, "the transferred call keeps the process");
    sim.hang_up(gateway, call);
    ends_within(&mut sim, A, secs(12));
}

#[test]
fn gm_10_after_call_work_is_waited_for_and_ends_in_ready_and_logout() {
    let mut sim = two_sites(5, |setup| wraps_up(setup, WrapUp::Timed(secs(5))));
    let desk = agent(&mut sim, "a1", "1001", A);
    let gateway = gateway(&mut sim, 1);
    let call = talking(&mut sim, gateway, "7000");
    drain(&mut sim, A);
    let known = sim.desk(desk).heard.len();
    sim.hang_up(gateway, call);
    sim.run_for(secs(7));
    let heard = heard_since(&sim, desk, known);
    assert_eq!(heard, [AgentNotReady, Released, AgentReady, AgentLogout]);
    assert!(sim.desk(desk).last_of(AgentLogout, "1001").is_some_and(is_graceful));
    ends_within(&mut sim, A, secs(12));
}

#[test]
fn gm_09_an_agent_in_after_call_work_ends_it_himself_or_by_its_timer_and_is_offered_nothing_between() {
    for by_himself in [true, false] {
        let mut sim = two_sites(6, |setup| wraps_up(setup, WrapUp::Timed(secs(20))));
        let desk = agent(&mut sim, "a1", "1001", A);
        let gateway = gateway(&mut sim, 1);
        let call = talking(&mut sim, gateway, "7000");
        sim.hang_up(gateway, call);
        sim.awaits_after(desk, 0, Released, "1001");
        drain(&mut sim, A);
        sim.run_for(secs(5));
        assert!(sim.desk(desk).last_of(AgentLogout, "1001").is_none());
        let status = sim.drain_status(A).unwrap();
        assert_eq!((status.agents_left, status.agents[0].why), (1, "after-call work"));
        assert!((13..=15).contains(&status.agents[0].until_s.unwrap()), "{status:?}");
        let known = sim.desk(desk).heard.len();
        if by_himself {
            sim.does(desk, "TAgentSetReady", &[("ThisDN", "1001")]);
        }
        sim.run_for(secs(18));
        let heard = heard_since(&sim, desk, known);
        assert_eq!(heard[..2], [AgentReady, AgentLogout], "by himself: {by_himself}");
    }
}

#[test]
fn gm_12_untimed_after_call_work_is_not_waited_for() {
    let mut sim = two_sites(7, |setup| wraps_up(setup, WrapUp::Untimed));
    let desk = agent(&mut sim, "a1", "1001", A);
    let other = agent(&mut sim, "a2", "1002", A);
    let gateway = gateway(&mut sim, 1);
    let first = talking(&mut sim, gateway, "7000");
    let second = talking(&mut sim, gateway, "7000");
    sim.hang_up(gateway, first);
    sim.awaits_after(desk, 0, AgentNotReady, "1001");
    drain(&mut sim, A);
    sim.run_for(ms(10));
    assert!(sim.desk(desk).last_of(AgentLogout, "1001").is_some_and(is_graceful));
    assert!(sim.desk(other).last_of(AgentLogout, "1002").is_none());
    sim.hang_up(gateway, second);
    sim.run_for(secs(1));
    assert!(sim.desk(other).last_of(AgentLogout, "1002").is_some_and(is_graceful));
}

#[test]
fn gm_03_a_private_request_starts_the_same_drain() {
    let mut sim = two_sites(8, |_| ());
    let desk = agent(&mut sim, "a1", "1001", A);
    let sue = sim.desktop("sue", Role::Supervisor, A);
    let refused = sim.asks(sue, "TPrivateRequest", &[("ServiceID", "3019")]);
    assert_eq!((refused.event, refused.error_code), (Error, Some(55)));
    let adm = sim.desktop("adm", Role::Administrator, A);
    let answer = sim.asks(adm, "TPrivateRequest", &[("ServiceID", "3019")]);
    assert_eq!(answer.event, PrivateInfo);
    sim.run_for(ms(10));
    assert!(sim.desk(desk).last_of(AgentLogout, "1001").is_some_and(is_graceful));
    assert_eq!(sim.drain_status(A).unwrap().by.as_deref(), Some("adm"));
    ends_within(&mut sim, A, secs(12));
}

#[test]
fn callers_who_wait_go_to_the_peer_and_are_served_there() {
    for redirect in [true, false] {
        let mut sim = two_sites(9, |setup| setup.redirect = redirect);
        let gateway = gateway(&mut sim, 1);
        sim.run_for(secs(1));
        let waiting = sim.call(gateway, "7000");
        let parked = sim.call(gateway, "7900");
        sim.run_for(secs(1));
        agent(&mut sim, "a1", "1001", B);
        agent(&mut sim, "a2", "1002", B);
        drain(&mut sim, A);
        sim.run_until(secs(8), "both are served at the peer", |sim| {
            sim.is_talking(waiting) && sim.is_talking(parked)
        });
        // Redirected calls have left this server; the others run over it.
        assert_eq!(sim.live_calls(A), if redirect { 0 } else { 2 });
        if redirect {
            ends_within(&mut sim, A, secs(12));
            sim.expect(sim.is_talking(waiting) && sim.is_talking(parked), "they go on without A");
        } else {
            sim.run_for(secs(20));
            sim.expect(sim.is_up(A) && sim.is_talking(waiting), "no call is lost with the process");
            sim.hang_up(gateway, waiting);
            sim.hang_up(gateway, parked);
            ends_within(&mut sim, A, secs(12));
        }
    }
}

#[test]
fn a_call_that_no_agent_took_is_not_offered_again_but_goes_to_the_peer() {
    let mut sim = two_sites(10, |setup| setup.redirect = true);
    let phone = sim.phone("1001").registers_at(A).rings_on().on();
    let gateway = gateway(&mut sim, 1);
    sim.run_for(secs(1));
    let desk = sim.agent_at("a1", "1001", A, "AutoIn");
    agent(&mut sim, "a2", "1002", B);
    let call = sim.call(gateway, "7000");
    sim.awaits_after(desk, 0, Ringing, "1001");
    drain(&mut sim, A);
    sim.run_for(secs(5));
    sim.expect(sim.rings(phone, call), "an offer that rings may still be answered");
    assert!(sim.desk(desk).last_of(AgentLogout, "1001").is_none());
    sim.run_until(secs(20), "the peer serves it", |sim| sim.is_talking(call));
    assert!(sim.desk(desk).last_of(AgentLogout, "1001").is_some_and(is_graceful));
    ends_within(&mut sim, A, secs(12));
}

#[test]
fn the_peer_turns_away_from_a_draining_site_and_keeps_its_own_calls() {
    let mut sim = two_sites(11, |_| ());
    sim.phone("1001").registers_at(A).on();
    sim.phone("1002").registers_at(B).on();
    let gateway = sim.gateway(2).with(|profile| profile.sites = vec![B.addr()]).on();
    sim.run_for(secs(1));
    drain(&mut sim, A);
    sim.run_for(secs(7));
    assert_eq!(sim.mode(B), "single-site");
    let call = sim.call(gateway, "1002");
    sim.run_for(secs(1));
    sim.expect(sim.is_talking(call) || !sim.is_over(call), "B serves its calls");
}

#[test]
fn a_drain_that_is_called_off_leaves_a_site_that_serves() {
    let mut sim = two_sites(12, |_| ());
    let desk = agent(&mut sim, "a1", "1001", A);
    let gateway = gateway(&mut sim, 1);
    drain(&mut sim, A);
    sim.run_for(secs(3));
    sim.order_drain(A, DrainOrder::Abort { by: "operator".into() });
    sim.run_for(secs(30));
    sim.expect(sim.is_up(A), "it serves");
    assert_eq!(sim.drain_status(A).unwrap().state, "in-service");
    assert_eq!(sim.mode(B), "peered");
    let again =
        sim.asks(desk, "TAgentLogin", &[("ThisDN", "1001"), ("AgentID", "a1"), ("WorkMode", "AutoIn")]);
    assert_eq!(again.event, AgentLogin);
    talking(&mut sim, gateway, "7000");
}

#[test]
fn gm_15_byes_without_an_answer_are_repeated_for_the_configured_time_and_no_longer() {
    for timeout in [5, 50] {
        let mut sim = two_sites(13, |setup| setup.shutdown_timeout = secs(timeout));
        let phone = sim.phone("1001").registers_at(A).answers_after(ms(500)).on();
        let gateway = gateway(&mut sim, 1);
        sim.run_for(secs(1));
        let call = talking(&mut sim, gateway, "1001");
        sim.power_off(phone);
        drain(&mut sim, A);
        sim.hang_up(gateway, call);
        let begin = sim.now();
        sim.run_for(secs(timeout - 1));
        sim.expect(sim.is_up(A), "the BYE has its time");
        ends_within(&mut sim, A, secs(2));
        let byes = sim.byes(A, phone).map(|at| at - begin).collect::<Vec<_>>();
        assert!(byes.len() >= 3, "{byes:?}");
        assert!(byes.last().unwrap().as_secs() + 5 >= timeout, "until the end: {byes:?}");
    }
}

#[test]
fn gm_16_the_process_ends_when_the_last_of_the_three_conditions_holds() {
    let mut sim = two_sites(14, |setup| {
        wraps_up(setup, WrapUp::Timed(secs(30)));
        setup.shutdown_timeout = secs(10);
    });
    let desk = agent(&mut sim, "a1", "1001", A);
    let gateway = gateway(&mut sim, 1);
    let call = talking(&mut sim, gateway, "7000");
    drain(&mut sim, A);
    sim.run_for(secs(20));
    let waits = sim.drain_status(A).unwrap().waits_for;
    assert_eq!(waits.len(), 3, "{waits:?}");
    sim.hang_up(gateway, call);
    sim.run_for(secs(15));
    let waits = sim.drain_status(A).unwrap().waits_for;
    assert_eq!(waits, ["1 agents logged in"]);
    sim.expect(sim.is_up(A), "an agent in after-call work keeps the process");
    ends_within(&mut sim, A, secs(16));
    assert!(sim.desk(desk).last_of(AgentLogout, "1001").is_some_and(is_graceful));
    sim.run_for(secs(10));
    assert_eq!(sim.mode(B), "single-site");
    agent(&mut sim, "a2", "1002", B);
    let call = sim.call(gateway, "7000");
    sim.run_until(secs(10), "the other site handles the next call", |sim| sim.is_talking(call));
}

#[test]
fn a_call_that_is_forwarded_into_a_drain_is_delivered_here() {
    for code in [603, 302] {
        let mut sim = two_sites(21, |setup| {
            setup.reject_code = code;
            setup.dr_forward = DrForward::NoAgent;
        });
        // Registered at both sites; nobody is logged in here, so the peer is asked first.
        sim.phone("1001").dual(A).answers_after(ms(500)).on();
        let gateway = gateway(&mut sim, 1);
        sim.run_for(secs(1));
        drain(&mut sim, B);
        assert_eq!(sim.mode(A), "peered", "the drain has not been noticed yet");
        let call = talking(&mut sim, gateway, "1001");
        assert_eq!(sim.counter(A, "tandem_dr_forward_fallbacks_total"), 1, "code {code}");
        sim.run_for(secs(7));
        assert_eq!(sim.mode(A), "single-site");
        sim.expect(sim.is_talking(call), "it goes on");
    }
}

/// What was forwarded once is never sent back, not even by a drain: the gateway hears 503 and may try its next route.
#[test]
fn a_caller_who_was_handed_over_once_is_not_sent_back_by_a_drain_of_the_other_site() {
    let mut sim = two_sites(22, |setup| setup.redirect = true);
    let gateway = gateway(&mut sim, 1);
    let call = sim.call(gateway, "7000");
    sim.run_for(secs(1));
    drain(&mut sim, A);
    sim.run_for(secs(1));
    assert_eq!(sim.legs(call).count(), 2, "A has sent him to B, where he waits");
    sim.order_drain(A, DrainOrder::Abort { by: "operator".into() });
    sim.run_for(secs(12));
    assert_eq!((sim.mode(B).as_str(), sim.result(call)), ("peered", None));
    drain(&mut sim, B);
    sim.run_for(secs(1));
    assert_eq!((sim.legs(call).count(), sim.result(call)), (2, Some(503)));
    ends_within(&mut sim, B, secs(30));
}
