//! Calls that wait: distribution, no answer, overflow, routing points, and the races between the agent, the caller and
//! the queue.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use tandem_cti::EventName::{
    Abandoned, AgentLogout, AgentNotReady, AgentReady, Diverted, Established, Queued, Released, Ringing,
    RouteRequest, RouteUsed,
};
use tandem_cti::{CallState, Event, EventName, Role, Value, WorkMode};
use tandem_sim::{A, CallId, DeskId, Setup, Sim, UaId, ms, secs};
use tandem_switch::directory::floor::{AgentOptions, NoAnswerAction, WrapUp};

struct Floor {
    sim: Sim,
    gateway: UaId,
    phones: [UaId; 2],
    /// Sees the queues.
    sue: DeskId,
}

fn floor(seed: u64, options: AgentOptions, change: impl FnOnce(&mut Setup)) -> Floor {
    let mut setup = Setup { challenge_calls: false, ..Setup::with_floor(1, options) };
    change(&mut setup);
    let mut sim = Sim::new(seed, setup);
    let phones = ["1001", "1002"].map(|dn| sim.phone(dn).registers_at(A).rings_on().on());
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(1));
    let sue = sim.desktop("sue", Role::Supervisor, A);
    for dn in ["7000", "7001", "7900", "1001"] {
        sim.does(sue, "TRegisterAddress", &[("ThisDN", dn)]);
    }
    Floor { sim, gateway, phones, sue }
}

fn plain(seed: u64) -> Floor {
    floor(seed, AgentOptions::default(), |_| {})
}

fn conn(event: &Event) -> String {
    event.conn_id.clone().unwrap_or_default()
}

impl Floor {
    fn call(&mut self, number: &str) -> CallId {
        let call = self.sim.call(self.gateway, number);
        self.sim.run_for(ms(300));
        call
    }

    fn last(&self, desk: DeskId, name: EventName, dn: &str) -> Event {
        let last = self.sim.desk(desk).last_of(name, dn);
        last.unwrap_or_else(|| panic!("no {} at {dn}: {:?}", name.as_str(), self.sim.desk(desk).names(dn)))
            .clone()
    }

    fn does(&mut self, desk: DeskId, request: &str, dn: &str, conn: &str) -> Event {
        self.sim.does(desk, request, &[("ThisDN", dn), ("ConnID", conn)])
    }

    fn over(mut self) {
        self.sim.settle();
    }
}

#[test]
fn nf_04_a_waiting_call_goes_to_the_agent_who_becomes_ready_and_work_follows_it() {
    let options = AgentOptions { wrap_up_time: Some(WrapUp::Timed(secs(10))), ..AgentOptions::default() };
    let mut floor = floor(1, options, |_| {});
    let anna = floor.sim.agent_at("a1", "1001", A, "ManualIn");
    let call = floor.call("7000");
    let queued = floor.last(floor.sue, Queued, "7000");
    assert!(floor.sim.desk(anna).last_of(Ringing, "1001").is_none());
    floor.sim.does(anna, "TAgentSetReady", &[("ThisDN", "1001")]);
    let ringing = floor.sim.awaits_after(anna, 0, Ringing, "1001");
    assert_eq!(conn(&ringing), conn(&queued));
    assert_eq!(ringing.this_queue.as_deref(), Some("7000"));
    assert_eq!(floor.last(floor.sue, Diverted, "7000").third_party_dn.as_deref(), Some("1001"));
    floor.does(anna, "TAnswerCall", "1001", &conn(&ringing));
    floor.sim.run_for(secs(2));
    assert!(floor.sim.is_talking(call));
    assert_eq!(floor.last(anna, Established, "1001").extensions.get("WrapUpTime"), Some(&Value::Int(10)));
    floor.sim.hang_up(floor.gateway, call);
    floor.sim.run_for(secs(1));
    let names = floor.sim.desk(anna).names("1001");
    assert_eq!(names[names.len() - 2..], ["EventAgentNotReady", "EventReleased"]);
    assert_eq!(floor.last(anna, AgentNotReady, "1001").work_mode, Some(WorkMode::AfterCallWork));
    let known = floor.sim.desk(anna).heard.len();
    floor.sim.run_for(secs(10));
    floor.sim.awaits_after(anna, known, AgentReady, "1001");
    floor.over();
}

#[test]
fn a_direct_call_from_outside_is_followed_by_work_where_the_options_make_it_a_business_call() {
    for business in [false, true] {
        let options = AgentOptions {
            wrap_up_time: Some(WrapUp::Timed(secs(10))),
            inbound_bsns_calls: Some(business),
            ..AgentOptions::default()
        };
        let mut floor = floor(5, options, |_| {});
        let anna = floor.sim.agent_at("a1", "1001", A, "AutoIn");
        let call = floor.call("1001");
        let ringing = conn(&floor.last(anna, Ringing, "1001"));
        floor.does(anna, "TAnswerCall", "1001", &ringing);
        floor.sim.run_for(secs(1));
        let known = floor.sim.desk(anna).names("1001").len();
        floor.sim.hang_up(floor.gateway, call);
        floor.sim.run_for(secs(1));
        let names = floor.sim.desk(anna).names("1001")[known..].to_vec();
        let expected: &[&str] =
            if business { &["EventAgentNotReady", "EventReleased"] } else { &["EventReleased"] };
        assert_eq!(names, expected);
        floor.over();
    }
}

#[test]
fn an_offer_that_is_not_answered_returns_the_caller_and_acts_on_the_agent() {
    let options = AgentOptions {
        agent_no_answer_timeout: Some(secs(5)),
        agent_no_answer_action: Some(NoAnswerAction::NotReady),
        ..AgentOptions::default()
    };
    let mut floor = floor(2, options, |_| {});
    let anna = floor.sim.agent_at("a1", "1001", A, "AutoIn");
    let first = floor.call("7000");
    let second = floor.call("7000");
    let head = conn(&floor.last(anna, Ringing, "1001"));
    floor.sim.run_for(secs(6));
    assert_eq!(floor.last(anna, Released, "1001").call_state, Some(CallState::Redirected));
    assert_eq!(floor.last(anna, AgentNotReady, "1001").work_mode, Some(WorkMode::Unknown));
    let again = floor.last(floor.sue, Queued, "7000");
    assert_eq!((conn(&again), again.extensions.get("ReturnedToQueue")), (head.clone(), Some(&Value::Int(1))));
    let bob = floor.sim.agent_at("a2", "1002", A, "AutoIn");
    floor.sim.run_for(secs(1));
    assert_eq!(conn(&floor.last(bob, Ringing, "1002")), head, "the head of the queue, not who came later");
    floor.does(bob, "TAnswerCall", "1002", &head);
    floor.sim.run_for(secs(1));
    assert!(floor.sim.is_talking(first) && !floor.sim.is_over(second));
    floor.over();
}

#[test]
fn a_caller_who_gives_up_leaves_the_queue_and_the_offer() {
    let mut floor = plain(3);
    let call = floor.call("7000");
    floor.sim.hang_up(floor.gateway, call);
    floor.sim.run_for(secs(1));
    floor.last(floor.sue, Abandoned, "7000");
    let anna = floor.sim.agent_at("a1", "1001", A, "AutoIn");
    let call = floor.call("7000");
    floor.sim.hang_up(floor.gateway, call);
    floor.sim.run_for(secs(1));
    floor.last(anna, Abandoned, "1001");
    floor.over();
}

#[test]
fn an_answer_and_a_hang_up_cross() {
    for step in 0..12 {
        let mut floor = plain(40 + step);
        let anna = floor.sim.agent_at("a1", "1001", A, "AutoIn");
        let call = floor.call("7000");
        let ringing = conn(&floor.last(anna, Ringing, "1001"));
        floor.sim.ask(anna, "TAnswerCall", &[("ThisDN", "1001"), ("ConnID", &ringing)]);
        floor.sim.run_for(ms(step));
        floor.sim.hang_up(floor.gateway, call);
        floor.sim.run_for(secs(2));
        let names = floor.sim.desk(anna).names("1001");
        let ends = names.iter().filter(|name| matches!(**name, "EventReleased" | "EventAbandoned")).count();
        assert_eq!(ends, 1, "{step} ms: {names:?}");
        floor.over();
    }
}

#[test]
fn a_logout_and_an_offer_cross() {
    for step in 0..8 {
        let mut floor = plain(60 + step);
        let anna = floor.sim.agent_at("a1", "1001", A, "AutoIn");
        let call = floor.sim.call(floor.gateway, "7000");
        floor.sim.run_for(ms(step));
        let answer = floor.sim.asks(anna, "TAgentLogout", &[("ThisDN", "1001")]);
        floor.sim.run_for(secs(2));
        let bob = floor.sim.agent_at("a2", "1002", A, "AutoIn");
        if answer.event == AgentLogout {
            floor.sim.run_for(secs(1));
            floor.last(bob, Ringing, "1002");
        }
        assert!(!floor.sim.is_over(call), "{step} ms");
        floor.over();
    }
}

#[test]
fn queues_overflow_by_time_by_length_and_without_agents() {
    let change = |setup: &mut Setup| {
        let queues = &mut setup.floor.as_mut().unwrap().queues;
        queues[0].overflow_without_agents = true;
        queues[0].overflow = Some("7001".into());
        queues[1].max_wait = secs(5);
        queues[1].max_length = 1;
    };
    let mut floor = floor(4, AgentOptions::default(), change);
    let call = floor.call("7000");
    let left = floor.last(floor.sue, Diverted, "7000");
    assert_eq!(left.third_party_dn.as_deref(), Some("7001"));
    assert_eq!(conn(&floor.last(floor.sue, Queued, "7001")), conn(&left));
    let second = floor.call("7001");
    floor.sim.run_for(secs(1));
    assert_eq!(floor.sim.result(second), Some(486), "one waits already");
    floor.sim.run_for(secs(6));
    assert_eq!(floor.sim.result(call), Some(480), "waited too long");
    floor.over();
}

#[test]
fn a_routing_point_asks_and_falls_back() {
    let mut floor = plain(5);
    let anna = floor.sim.agent_at("a1", "1001", A, "ManualIn");
    // Nobody routes.
    let call = floor.call("7900");
    floor.sim.run_for(secs(1));
    let default = conn(&floor.last(floor.sue, Queued, "7000"));
    floor.sim.hang_up(floor.gateway, call);
    // The application answers.
    let ray = floor.sim.desktop("ray", Role::RoutingApplication, A);
    floor.sim.does(ray, "TRegisterAddress", &[("ThisDN", "7900")]);
    let call = floor.call("7900");
    let asked = conn(&floor.last(ray, RouteRequest, "7900"));
    assert_ne!(asked, default);
    let data = r#"{"why":"vip"}"#;
    let route = [("ThisDN", "7900"), ("ConnID", &*asked), ("OtherDN", "1001"), ("UserData", data)];
    assert_eq!(floor.sim.does(ray, "TRouteCall", &route).event, RouteUsed);
    let ringing = floor.sim.awaits_after(anna, 0, Ringing, "1001");
    assert_eq!(ringing.user_data.get("why"), Some(&Value::from("vip")));
    floor.does(anna, "TAnswerCall", "1001", &asked);
    floor.sim.run_for(secs(1));
    assert!(floor.sim.is_talking(call));
    floor.sim.hang_up(floor.gateway, call);
    // The application is too late.
    let call = floor.call("7900");
    let asked = conn(&floor.last(ray, RouteRequest, "7900"));
    floor.sim.run_for(secs(4));
    assert_eq!(conn(&floor.last(floor.sue, Queued, "7000")), asked);
    let late =
        floor.sim.asks(ray, "TRouteCall", &[("ThisDN", "7900"), ("ConnID", &asked), ("OtherDN", "1001")]);
    assert_eq!(late.event, EventName::Error);
    assert!(!floor.sim.is_over(call));
    floor.over();
}

#[test]
fn longest_idle_agents_are_taken_first() {
    let mut floor = plain(6);
    for phone in floor.phones {
        floor.sim.change(phone, |p| p.on_call = tandem_sim::ua::OnCall::Answer { after: secs(1) });
    }
    let bob = floor.sim.agent_at("a2", "1002", A, "AutoIn");
    floor.sim.run_for(secs(1));
    let anna = floor.sim.agent_at("a1", "1001", A, "AutoIn");
    floor.sim.run_for(secs(1));
    for (desk, dn) in [(bob, "1002"), (anna, "1001"), (bob, "1002")] {
        let known = floor.sim.desk(desk).heard.len();
        let call = floor.call("7000");
        floor.sim.run_for(secs(2));
        floor.sim.awaits_after(desk, known, Established, dn);
        floor.sim.hang_up(floor.gateway, call);
        floor.sim.run_for(secs(1));
    }
    floor.over();
}
