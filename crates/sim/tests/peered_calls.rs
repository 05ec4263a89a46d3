//! Which calls a peered site sends to the other, by kind of call, kind of phone and option.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use tandem_cti::EventName::{AgentLogout, Error, Established, RouteRequest, RouteUsed};
use tandem_cti::Role;
use tandem_peer::DrForward;
use tandem_sim::ua::{Phase, Profile, Registers};
use tandem_sim::{A, B, DeskId, Refusal, Setup, Sim, SiteId, UaId, ms, secs};
use tandem_switch::directory::floor::AgentOptions;

fn two_sites(seed: u64, change: impl FnOnce(&mut Setup)) -> Sim {
    let mut setup = Setup {
        challenge_calls: false,
        dr_forward: DrForward::NoAgent,
        ..Setup::with_floor(2, AgentOptions::default())
    };
    change(&mut setup);
    let mut sim = Sim::new(seed, setup);
    sim.run_for(secs(8));
    sim
}

/// Anna works at 1001 and Bob at 1002, whose phone is in service at both sites. A gateway calls at A.
struct Stage {
    sim: Sim,
    anna: DeskId,
    gateway: UaId,
    bob_s: UaId,
}

/// Anna is logged in at A, Bob at `bob_at`.
fn stage(seed: u64, bob_at: SiteId, change: impl FnOnce(&mut Setup)) -> Stage {
    let mut sim = two_sites(seed, change);
    sim.phone("1001").registers_at(A).on();
    let bob_s = sim.phone("1002").dual(A).answers_after(ms(500)).on();
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(1));
    let anna = sim.agent_at("a1", "1001", A, "AutoIn");
    sim.agent_at("a2", "1002", bob_at, "AutoIn");
    Stage { sim, anna, gateway, bob_s }
}

impl Stage {
    /// The number of a call that Anna has with a customer.
    fn anna_talks(&mut self) -> String {
        self.sim.call_answered(self.gateway, "1001");
        let established = self.sim.desk(self.anna).last_of(Established, "1001").unwrap();
        established.conn_id.clone().unwrap()
    }

    fn anna_asks(&mut self, request: &str, conn: Option<&str>) {
        let mut attributes = vec![("ThisDN", "1001"), ("OtherDN", "1002")];
        attributes.extend(conn.map(|conn| ("ConnID", conn)));
        self.sim.does(self.anna, request, &attributes);
    }

    /// A routing application sends a call from the routing point to this DN.
    fn routed_to(&mut self, dn: &str) {
        let ray = self.sim.desktop("ray", Role::RoutingApplication, A);
        self.sim.does(ray, "TRegisterAddress", &[("ThisDN", "7900")]);
        self.sim.call(self.gateway, "7900");
        let conn = self.sim.awaits_after(ray, 0, RouteRequest, "7900").conn_id.unwrap();
        let to = [("ThisDN", "7900"), ("ConnID", &*conn), ("OtherDN", dn)];
        assert_eq!(self.sim.does(ray, "TRouteCall", &to).event, RouteUsed);
    }

    fn forwards(&self) -> u64 {
        let in_path = self.sim.counter(A, "tandem_dr_forwards_in_path_total");
        in_path + self.sim.counter(A, "tandem_dr_forwards_redirected_total")
    }

    /// The site through which a call reached the phone last.
    fn reached_through(&mut self, phone: UaId) -> SiteId {
        self.sim
            .run_until(secs(5), "the phone is called", |sim| sim.ua(phone).unwrap().legs().next().is_some());
        let leg = self.sim.ua(phone).unwrap().legs().last().unwrap().site;
        if leg == A.addr() { A } else { B }
    }
}

/// Every kind of direct call goes where the agent is, whoever makes it.
#[test]
fn a_direct_call_of_any_kind_reaches_the_agent_through_the_site_of_his_login() {
    type Makes = fn(&mut Stage);
    let kinds: [(&str, Makes); 7] = [
        ("inbound", |s| {
            s.sim.call(s.gateway, "1002");
        }),
        ("internal", |s| {
            s.sim.call(UaId(0), "1002");
        }),
        ("TMakeCall", |s| s.anna_asks("TMakeCall", None)),
        ("TInitiateTransfer", |s| {
            let conn = s.anna_talks();
            s.anna_asks("TInitiateTransfer", Some(&conn));
        }),
        ("TSingleStepTransfer", |s| {
            let conn = s.anna_talks();
            s.anna_asks("TSingleStepTransfer", Some(&conn));
        }),
        ("TMuteTransfer", |s| {
            let conn = s.anna_talks();
            s.anna_asks("TMuteTransfer", Some(&conn));
        }),
        ("TRouteCall without an agent here", |s| s.routed_to("1002")),
    ];
    for (kind, make) in kinds {
        for bob_at in [A, B] {
            if kind.starts_with("TRouteCall") && bob_at == A {
                continue;
            }
            let mut s = stage(1, bob_at, |_| ());
            make(&mut s);
            assert_eq!(s.reached_through(s.bob_s), bob_at, "{kind}, the agent at {}", bob_at.name());
            assert_eq!(s.forwards(), u64::from(bob_at == B), "{kind}");
            assert_eq!(s.sim.counter(B, "tandem_dr_forwards_received_total"), s.forwards(), "{kind}");
            s.sim.settle();
        }
    }
}

#[test]
fn a_call_that_is_routed_or_distributed_to_an_agent_here_stays_here() {
    let mut s = stage(2, A, |_| ());
    s.routed_to("1002");
    assert_eq!((s.reached_through(s.bob_s), s.forwards()), (A, 0));
    s.sim.settle();
    let mut s = stage(3, A, |_| ());
    let calls = [0, 1].map(|_| s.sim.call(s.gateway, "7000"));
    for call in calls {
        s.sim.run_until(secs(5), "distributed", |sim| sim.is_talking(call));
    }
    assert_eq!((s.reached_through(s.bob_s), s.forwards()), (A, 0));
    s.sim.settle();
}

/// The rule of routed calls asks who is logged in here, and not where his phone is.
#[test]
fn a_routed_call_for_an_agent_here_is_delivered_here_even_when_his_phone_is_not() {
    let mut s = stage(4, B, |setup| setup.dr_forward = DrForward::Oos);
    // Cem logged in while the sites were apart; his phone is at B.
    let cem_s = s.sim.phone("1003").registers_at(B).answers_after(ms(500)).on();
    s.sim.cut_link(Refusal::Blackhole);
    s.sim.run_for(secs(8));
    s.sim.agent_at("a3", "1003", A, "ManualIn");
    s.sim.heal();
    s.sim.run_for(secs(12));
    assert_eq!(s.sim.mode(A), "peered");
    s.routed_to("1003");
    s.sim.run_for(secs(2));
    assert_eq!(s.forwards(), 0);
    s.sim.expect(s.sim.ua(cem_s).unwrap().legs().next().is_none(), "the router chose an agent of this site");
    let direct = s.sim.call(s.gateway, "1003");
    s.sim.run_until(secs(5), "a direct call finds his phone", |sim| sim.is_talking(direct));
    assert_eq!((s.reached_through(cem_s), s.forwards()), (B, 1));
    s.sim.settle();
}

#[test]
fn queues_routing_points_and_trunks_are_never_forwarded() {
    let mut s = stage(5, B, |_| ());
    s.sim.does(s.anna, "TAgentLogout", &[("ThisDN", "1001")]);
    for number in ["7000", "7900"] {
        let call = s.sim.call(s.gateway, number);
        s.sim.run_for(secs(5));
        s.sim.expect(!s.sim.is_over(call), "it waits here, where nobody is logged in");
        s.sim.hang_up(s.gateway, call);
    }
    let call = s.sim.call(UaId(0), "9030");
    s.sim.run_until(secs(5), "the dial plan leads out", |sim| sim.is_talking(call));
    assert_eq!(s.forwards(), 0);
    s.sim.settle();
}

/// A phone with a fixed address, known to both sites.
fn fixed(sim: &mut Sim, dn: &str) -> UaId {
    let never = |profile: &mut Profile| profile.registers = Registers::Never;
    sim.phone(dn).with(never).answers_after(ms(500)).on()
}

const FIRST_PHONE: ([u8; 4], u16) = ([10, 1, 0, 1], 5060);

#[test]
fn no_agent_is_for_phones_that_are_in_service_at_both_sites_and_oos_forwards_none_of_their_calls() {
    for (dr_forward, through) in [(DrForward::NoAgent, B), (DrForward::Oos, A), (DrForward::Off, A)] {
        for is_static in [false, true] {
            let mut sim = two_sites(6, |setup| {
                setup.dr_forward = dr_forward;
                if is_static {
                    setup.static_dns = vec![("1002".to_owned(), FIRST_PHONE.into(), 0)];
                }
            });
            let bob_s = if is_static {
                fixed(&mut sim, "1002")
            } else {
                sim.phone("1002").dual(A).answers_after(ms(500)).on()
            };
            let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
            sim.run_for(secs(1));
            sim.agent_at("a2", "1002", B, "AutoIn");
            let call = sim.call(gateway, "1002");
            sim.run_until(secs(5), "it is answered", |sim| sim.is_talking(call));
            let site = sim.leg_at(bob_s, call).unwrap().site;
            assert_eq!(site, through.addr(), "{dr_forward}, static: {is_static}");
            sim.settle();
        }
    }
}

/// Where no agent is logged in at either site, the peer delivers: the phone rings all the same.
#[test]
fn without_an_agent_anywhere_the_phone_rings_through_the_peer() {
    let mut sim = two_sites(7, |_| ());
    let bob_s = sim.phone("1002").dual(A).answers_after(ms(500)).on();
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(1));
    let call = sim.call(gateway, "1002");
    sim.run_until(secs(5), "it is answered", |sim| sim.is_talking(call));
    assert_eq!(sim.leg_at(bob_s, call).unwrap().site, B.addr());
    let forwards = [A, B].map(|site| sim.counter(site, "tandem_dr_forwards_in_path_total"));
    assert_eq!(forwards, [1, 0]);
    sim.settle();
}

#[test]
fn a_direct_call_for_an_agent_with_a_nailed_up_connection_goes_over_it_at_the_site_of_his_login() {
    let mut sim = two_sites(8, |setup| {
        setup.static_dns = vec![("1002".to_owned(), FIRST_PHONE.into(), 0)];
        let floor = setup.floor.as_mut().unwrap();
        floor.options.connect_nailedup_on_login = Some("gcti::park".into());
    });
    fixed(&mut sim, "1002");
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(1));
    let over = |sim: &Sim| [A, B].map(|site| sim.counter(site, "tandem_calls_over_nailed_total"));
    for (site, wanted, forwarded) in [(B, [0, 1], 1), (A, [1, 1], 1)] {
        let desk = sim.agent_at("a2", "1002", site, "AutoIn");
        sim.run_for(secs(2));
        let call = sim.call(gateway, "1002");
        sim.run_until(secs(5), "the caller is connected", |sim| {
            sim.caller_leg(call).is_some_and(|leg| leg.phase == Phase::Talking)
        });
        assert_eq!(over(&sim), wanted, "login at {}", site.name());
        assert_eq!(sim.counter(A, "tandem_dr_forwards_in_path_total"), forwarded);
        sim.hang_up(gateway, call);
        sim.run_for(secs(2));
        sim.does(desk, "TAgentLogout", &[("ThisDN", "1002")]);
        sim.run_for(secs(1));
    }
    sim.settle();
}

#[test]
fn options_of_forwarding_take_effect_at_the_next_call() {
    let mut s = stage(9, B, |setup| setup.dr_forward = DrForward::Off);
    let at_dn = |forward| vec![("1002".to_owned(), forward)];
    type Change<'a> = &'a dyn Fn(&mut Setup);
    let changes: [(&str, Change<'_>, SiteId); 6] = [
        ("off", &|_| (), A),
        ("no-agent", &|setup| setup.dr_forward = DrForward::NoAgent, B),
        (
            "no-agent, off at the DN",
            &|setup| {
                (setup.dr_forward, setup.dn_forward) = (DrForward::NoAgent, at_dn(DrForward::Off));
            },
            A,
        ),
        ("off, no-agent at the DN", &|setup| setup.dn_forward = at_dn(DrForward::NoAgent), B),
        (
            "no dr-peer-trunk",
            &|setup| {
                (setup.dr_forward, setup.peered) = (DrForward::NoAgent, false);
            },
            A,
        ),
        ("dr-peer-trunk again", &|setup| setup.dr_forward = DrForward::NoAgent, B),
    ];
    for (what, change, through) in changes {
        s.sim.reload(A, change);
        if what.starts_with("dr-peer-trunk") {
            assert_eq!(s.sim.mode(A), "single-site", "a peer that has just been named has not answered yet");
            s.sim.run_for(secs(1));
        }
        let call = s.sim.call_answered(s.gateway, "1002");
        assert_eq!(s.sim.leg_at(s.bob_s, call).unwrap().site, through.addr(), "{what}");
        s.sim.hang_up(s.gateway, call);
        s.sim.run_for(secs(1));
    }
    s.sim.settle();
}

/// An active-backup phone on its way between the sites: each believes that it is at the other. The caller hears 480 at
/// once, nothing bounces, and it is over when the phone is there.
#[test]
fn the_gap_between_two_registrations_is_a_480_that_ends_with_the_phones_fail_over() {
    let mut sim = two_sites(10, |setup| setup.dr_forward = DrForward::Oos);
    let phone = sim.phone("1002").active_backup(A).answers_after(ms(500)).on();
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(1));
    let before = sim.call_answered(gateway, "1002");
    sim.hang_up(gateway, before);
    let (own, sites) = (sim.ip(phone), [A, B].map(|site| site.addr().ip()));
    sim.net.cut(&[own], &sites, Refusal::Blackhole);
    sim.run_until(secs(90), "its registration at A ends", |sim| !sim.in_service(A, "1002"));
    let call = sim.call(gateway, "1002");
    sim.run_for(ms(100));
    assert_eq!(sim.result(call), Some(480));
    let forwards = [A, B].map(|site| sim.counter(site, "tandem_dr_forwards_in_path_total"));
    assert_eq!(forwards, [1, 0], "there, and not back");
    sim.heal();
    sim.net.cut(&[own], &sites[..1], Refusal::Blackhole);
    sim.run_until(secs(90), "the phone is at B", |sim| sim.registered(phone, B));
    let call = sim.call_answered(gateway, "1002");
    assert_eq!(sim.leg_at(phone, call).unwrap().site, B.addr());
}

#[test]
fn a_login_and_a_call_at_a_static_dn_that_does_not_answer_are_those_of_a_dn_out_of_service() {
    let mut sim = two_sites(11, |setup| {
        setup.dr_forward = DrForward::Oos;
        setup.static_dns = vec![("1002".to_owned(), FIRST_PHONE.into(), 5)];
    });
    let phone = fixed(&mut sim, "1002");
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(10));
    let desk = sim.agent_at("a2", "1002", A, "AutoIn");
    let own = sim.ip(phone);
    sim.net.cut(&[own], &[A.addr().ip()], Refusal::Blackhole);
    let logout = sim.awaits_after(desk, 0, AgentLogout, "1002");
    let reason = logout.extensions.get("ReasonCode").and_then(|value| value.as_text());
    assert_eq!(reason, Some("dr-force_logout"));
    let refused = sim.asks(desk, "TAgentLogin", &[("ThisDN", "1002"), ("AgentID", "a2")]);
    assert_eq!((refused.event, refused.error_code), (Error, Some(58)));
    let call = sim.call_answered(gateway, "1002");
    assert_eq!(sim.leg_at(phone, call).unwrap().site, B.addr(), "B reaches it");
}
