//! Random floors against the reference model, compared after every step.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tandem_cti::{KvList, Value, WorkMode};
use tandem_peer::ReplicaSet;
use tandem_switch::agent::{AgentNews, Login, LogoutBy, Work, wrap_up_value};
use tandem_switch::directory::floor::{AgentOptions, NoAnswerAction, OnUnregister, WrapUp};

use crate::floor::{Floor, START_UNIX_MS};
use crate::model::{Heard, Model, Op, Seen, UNTIMED, Wrap};

const DNS: [&str; 3] = ["1001", "1002", "1003"];

fn options() -> impl Strategy<Value = AgentOptions> {
    let wrap = prop_oneof![
        2 => Just(WrapUp::Timed(Duration::ZERO)),
        3 => Just(WrapUp::Timed(Duration::from_secs(20))),
        1 => Just(WrapUp::Untimed),
    ];
    let time = |s| prop_oneof![Just(Duration::ZERO), Just(Duration::from_secs(s))];
    let unregister =
        prop_oneof![Just(OnUnregister::Stay), Just(OnUnregister::Logout), Just(OnUnregister::EmuOnly)];
    let action =
        prop_oneof![Just(NoAnswerAction::None), Just(NoAnswerAction::NotReady), Just(NoAnswerAction::Logout)];
    let switches = prop::collection::vec(any::<bool>(), 5);
    (wrap, time(7), time(60), unregister, action, switches).prop_map(
        |(wrap, guard, idle, unregister, action, on)| AgentOptions {
            wrap_up_time: Some(wrap),
            legal_guard_time: Some(guard),
            auto_logout_timeout: Some(idle),
            agent_logout_on_unreg: Some(unregister),
            agent_no_answer_action: Some(action),
            timed_acw_in_idle: Some(on[0]),
            acw_in_idle_force_ready: Some(on[1]),
            logout_on_out_of_service: Some(on[2]),
            logout_on_disconnect: Some(on[3]),
            agent_emu_login_on_call: Some(on[4]),
            ..AgentOptions::default()
        },
    )
}

fn mode() -> impl Strategy<Value = WorkMode> {
    prop_oneof![
        4 => Just(WorkMode::Unknown),
        4 => Just(WorkMode::ManualIn),
        6 => Just(WorkMode::AutoIn),
        4 => Just(WorkMode::AfterCallWork),
        3 => Just(WorkMode::AuxWork),
        1 => Just(WorkMode::LegalGuard),
        1 => Just(WorkMode::WalkAway),
        1 => Just(WorkMode::NoCallDisconnect),
        1 => Just(WorkMode::ReturnBack),
    ]
}

fn wrap() -> impl Strategy<Value = Option<Wrap>> {
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(0)),
        2 => Just(Some(5_000)),
        1 => Just(Some(45_000)),
        1 => Just(Some(UNTIMED)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let dn = || prop::sample::select(DNS.as_slice()).prop_map(str::to_owned);
    let id = || prop::sample::select(["anna", "bob", "carla"].as_slice()).prop_map(str::to_owned);
    let on_call = || prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let pass = prop_oneof![1..30_000u64, Just(5_000), Just(7_000), Just(20_000), Just(60_000)];
    prop_oneof![
        6 => (dn(), id(), mode(), on_call(), wrap(), 1..4u64).prop_map(|(dn, id, mode, on_call, wrap, client)| {
            Op::Login { dn, id, mode, on_call, wrap, client }
        }),
        2 => (dn(), on_call()).prop_map(|(dn, on_call)| Op::Logout { dn, on_call }),
        1 => dn().prop_map(|dn| Op::Force { dn }),
        6 => (dn(), mode()).prop_map(|(dn, mode)| Op::Ready { dn, mode }),
        6 => (dn(), mode(), wrap()).prop_map(|(dn, mode, wrap)| Op::NotReady { dn, mode, wrap }),
        2 => (dn(), 1..4u64).prop_map(|(dn, conn)| Op::Offered { dn, conn }),
        2 => (dn(), 1..4u64).prop_map(|(dn, conn)| Op::OfferOver { dn, conn }),
        1 => dn().prop_map(|dn| Op::NoAnswer { dn }),
        6 => (dn(), 1..4u64, prop::bool::weighted(0.8), wrap())
            .prop_map(|(dn, conn, business, wrap)| Op::Began { dn, conn, business, wrap }),
        3 => (dn(), 1..4u64, 1..4u64, any::<bool>(), wrap())
            .prop_map(|(dn, old, conn, business, wrap)| Op::Became { dn, old, conn, business, wrap }),
        1 => (dn(), 1..4u64, wrap()).prop_map(|(dn, conn, wrap)| Op::WrapUp { dn, conn, wrap }),
        8 => (dn(), 1..4u64).prop_map(|(dn, conn)| Op::Established { dn, conn }),
        8 => (dn(), 1..4u64).prop_map(|(dn, conn)| Op::Ended { dn, conn }),
        2 => (dn(), any::<bool>()).prop_map(|(dn, yes)| Op::InService { dn, yes }),
        2 => (dn(), any::<bool>()).prop_map(|(dn, yes)| Op::Suspended { dn, yes }),
        1 => (1..4u64).prop_map(|client| Op::ClientGone { client }),
        1 => (dn(), 1..4u64).prop_map(|(dn, client)| Op::Unregistered { dn, client }),
        8 => pass.prop_map(|ms| Op::Pass { ms }),
    ]
}

fn wrap_up(wrap: Wrap) -> WrapUp {
    if wrap == UNTIMED { WrapUp::Untimed } else { WrapUp::Timed(Duration::from_millis(wrap)) }
}

fn extensions(on_call: Option<bool>, wrap: Option<Wrap>) -> KvList {
    let on_call =
        on_call.map(|on| ("AgentEmuLoginOnCall".to_owned(), Value::from(if on { "true" } else { "false" })));
    let wrap = wrap.map(|wrap| ("WrapUpTime".to_owned(), wrap_up_value(wrap_up(wrap))));
    on_call.into_iter().chain(wrap).collect()
}

/// The same on the real floor.
fn carry_out(floor: &mut Floor, op: &Op) -> Result<(), u16> {
    let none = KvList::new;
    let op = op.clone();
    if let Op::Pass { ms } = op {
        floor.pass_ms(ms);
        return Ok(());
    }
    let result = floor.act(|agents, desk| {
        match op {
            Op::Login { dn, id, mode, on_call, wrap, client } => {
                let login = Login {
                    dn: &Arc::from(dn),
                    agent_id: &id,
                    password: None,
                    work_mode: mode,
                    queue: None,
                    reasons: none(),
                    extensions: extensions(on_call, wrap),
                    busy: false,
                    in_service: true,
                    client,
                };
                return agents.login(desk, login);
            }
            Op::Logout { dn, on_call } => {
                let extensions = extensions(on_call, None);
                return agents.logout(desk, &dn, LogoutBy::Request, None, none(), extensions);
            }
            Op::Force { dn } => return agents.logout(desk, &dn, LogoutBy::DrForce, None, none(), none()),
            Op::Ready { dn, mode } => return agents.set_ready(desk, &dn, mode, none(), none()),
            Op::NotReady { dn, mode, wrap } => {
                return agents.set_not_ready(desk, &dn, mode, none(), extensions(None, wrap));
            }
            Op::Offered { dn, conn } => agents.offered(desk, &dn, conn),
            Op::OfferOver { dn, conn } => agents.offer_over(desk, &dn, conn),
            Op::NoAnswer { dn } => agents.no_answer(desk, &dn),
            Op::Began { dn, conn, business, wrap } => {
                let wrap_up = wrap.map(wrap_up);
                agents.call_began(desk, &dn, Work { conn, business, wrap_up });
            }
            Op::Became { dn, old, conn, business, wrap } => {
                let wrap_up = wrap.map(wrap_up);
                agents.call_became(desk, &dn, old, Work { conn, business, wrap_up });
            }
            Op::WrapUp { dn, conn, wrap } => agents.set_wrap_up(desk, &dn, conn, wrap.map(wrap_up)),
            Op::Established { dn, conn } => agents.call_established(desk, &dn, conn),
            Op::Ended { dn, conn } => agents.call_ended(desk, &dn, conn),
            Op::InService { dn, yes } => agents.dn_in_service(desk, &dn, yes),
            Op::Suspended { dn, yes } => agents.dn_suspended(desk, &dn.as_str().into(), yes),
            Op::ClientGone { client } => agents.client_gone(desk, client),
            Op::Unregistered { dn, client } => agents.unregistered(desk, &dn, client),
            Op::Pass { .. } => {}
        }
        Ok(())
    });
    result.map_err(|refusal| refusal.code.number())
}

fn heard(news: Vec<AgentNews>) -> Vec<Heard> {
    let one = |news| match news {
        AgentNews::LoggedIn(told) => Heard::Login(told.dn.to_string(), told.work_mode),
        AgentNews::Ready(told) => Heard::Ready(told.dn.to_string(), told.work_mode),
        AgentNews::NotReady(told) => Heard::NotReady(told.dn.to_string(), told.work_mode),
        AgentNews::LoggedOut(told) => Heard::Logout(told.dn.to_string()),
        AgentNews::Available { dn } => Heard::Available(dn.to_string()),
        AgentNews::Unavailable { dn } => Heard::Unavailable(dn.to_string()),
    };
    news.into_iter().map(one).collect()
}

fn seen(floor: &Floor, dn: &str) -> Option<Seen> {
    floor.agents.at(dn).map(|view| Seen {
        id: view.agent_id.to_string(),
        state: view.state,
        mode: view.work_mode,
        until: view.until.map(|until| until.unix_ms()),
        calls: view.calls,
        available: view.available,
        idle_since: view.idle_since_unix_ms,
    })
}

/// A server that starts again from what is stored finds every agent as he was, if he has no call.
fn check_records(floor: &mut Floor, stored: &mut ReplicaSet) {
    for change in floor.log.take_batch().iter().flat_map(|batch| batch.changes()) {
        stored.apply(&change);
    }
    let mut again = Floor::of(&floor.setup);
    again.now = floor.now;
    for change in stored.changes() {
        assert!(again.act(|agents, desk| agents.restore(desk, &change, true)));
    }
    assert_eq!(again.agents.list().len(), floor.agents.list().len());
    for agent in floor.agents.list().into_iter().filter(|agent| agent.calls == 0) {
        let mut found = again.agents.at(&agent.dn).unwrap();
        // The phone is told anew.
        (found.available, found.in_service, found.suspended) =
            (agent.available, agent.in_service, agent.suspended);
        assert_eq!(found, agent);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1_500), ..ProptestConfig::default() })]

    #[test]
    fn agents_do_as_the_model_says(options in options(), ops in prop::collection::vec(op(), 1..80)) {
        let mut floor = Floor::new(options.clone());
        let in_force = AgentOptions::effective(&[&options]);
        let mut model = Model::new(&DNS, in_force, START_UNIX_MS);
        let mut stored = ReplicaSet::new();
        for op in &ops {
            let (expected, found) = (model.apply(op), carry_out(&mut floor, op));
            prop_assert_eq!(found, expected, "{:?}", op);
            let expected = std::mem::take(&mut model.heard);
            prop_assert_eq!(heard(floor.raw_news()), expected, "{:?}", op);
            for dn in DNS {
                prop_assert_eq!(seen(&floor, dn), model.see(dn), "{} after {:?}", dn, op);
            }
            let due = DNS.iter().filter_map(|dn| model.due(dn)).min();
            prop_assert_eq!(floor.agents.poll_timeout().map(|d| d.unix_ms()), due, "{:?}", op);
            check_records(&mut floor, &mut stored);
        }
    }
}
