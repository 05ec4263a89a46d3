//! Where requests send calls, and what a login has to do with it (semantics of Business Continuity Forwarding).

use tandem_cti::{KvList, WorkMode};
use tandem_peer::DrForward;
use tandem_peer::continuity::CallKind;
use tandem_switch::Reject;
use tandem_switch::agent::{Agents, Desk, Login};
use tandem_switch::call::{Carried, Stage};
use tandem_switch::directory::{DnId, TrunkId};
use tandem_switch::rooms::{Device, Rooms};
use tandem_switch::routing::{Onwards, onward};

use crate::floor::{POINT, QUEUE, with_floor};
use crate::support::{Bed, CALLEE, PEER, answer};

const DESK: Device = Device::Extension(DnId(0));
const GATEWAY: Device = Device::Trunk(TrunkId(0));
const PEER_TRUNK: Device = Device::Trunk(TrunkId(1));

/// Both sites are there and `dr-forward` is `no-agent`; 1002 is registered here.
fn bed() -> Bed {
    let mut bed = Bed::with(with_floor(|options| options.dr_forward = DrForward::NoAgent));
    let probe = bed.one(PEER);
    bed.receive(PEER, &answer(&probe, 200, "b", PEER, ""));
    bed.register("1002", CALLEE);
    bed
}

fn seat(rooms: &mut Rooms, agents: &mut Agents) {
    let login = Login {
        dn: &"1002".into(),
        agent_id: "500",
        password: None,
        work_mode: WorkMode::Unknown,
        queue: None,
        reasons: KvList::new(),
        extensions: KvList::new(),
        busy: false,
        client: 1,
        in_service: true,
    };
    let directory = std::sync::Arc::clone(&rooms.directory);
    let mut desk = Desk { directory: &directory, log: &mut rooms.log, now: rooms.now };
    agents.login(&mut desk, login).unwrap();
}

fn sent(bed: &mut Bed, seated: bool, origin: Device, to: &str, kind: CallKind) -> Result<Onwards, Reject> {
    bed.node.control(bed.now, |_, rooms| {
        let mut agents = Agents::default();
        if seated {
            seat(rooms, &mut agents);
        }
        onward(rooms, &agents, origin, to.as_bytes(), b"0301", kind, None, None, Carried::default())
    })
}

fn stages(outcome: Result<Onwards, Reject>) -> Vec<Stage> {
    match outcome {
        Ok(Onwards::To(onward)) => onward.stages,
        other @ (Ok(Onwards::Park(_)) | Err(_)) => panic!("{other:?}"),
    }
}

#[test]
fn a_direct_call_follows_the_login_and_a_distributed_one_stays() {
    let here = vec![Stage::Extension(DnId(1))];
    let there = vec![Stage::Peer(TrunkId(1), b"1002"[..].into()), Stage::Extension(DnId(1))];
    for (kind, seated, forwarded) in [
        (CallKind::ThirdParty, true, false),
        (CallKind::ThirdParty, false, true),
        (CallKind::Consult, false, true),
        (CallKind::Transfer, false, true),
        (CallKind::RoutedWithoutAgent, false, true),
        (CallKind::RoutedToAgent, true, false),
        (CallKind::RoutedToAgent, false, false),
    ] {
        let mut bed = bed();
        let found = stages(sent(&mut bed, seated, DESK, "1002", kind));
        assert_eq!(found, if forwarded { there.clone() } else { here.clone() }, "{kind:?}, seated {seated}");
    }
}

#[test]
fn a_call_that_came_from_the_peer_is_not_sent_back_by_a_request() {
    let mut bed = bed();
    let found = stages(sent(&mut bed, false, PEER_TRUNK, "1002", CallKind::Transfer));
    assert_eq!(found, [Stage::Extension(DnId(1))]);
}

#[test]
fn a_trunk_that_may_be_redirected_is_not_by_a_request() {
    let mut bed = bed();
    let found = stages(sent(&mut bed, false, GATEWAY, "1002", CallKind::RoutedWithoutAgent));
    assert!(matches!(found[0], Stage::Peer(..)), "in the path, never by 302");
}

#[test]
fn queues_routing_points_and_the_dial_plan_are_reached_and_unknown_numbers_refused() {
    let mut bed = bed();
    for number in [QUEUE, POINT] {
        let found = sent(&mut bed, false, DESK, number, CallKind::ThirdParty);
        assert!(matches!(found, Ok(Onwards::Park(at)) if &*at == number));
    }
    let found = stages(sent(&mut bed, false, GATEWAY, "9123", CallKind::Transfer));
    assert_eq!(found, [Stage::Trunk(TrunkId(0), b"+123"[..].into())]);
    let refused = sent(&mut bed, false, DESK, "5555", CallKind::ThirdParty);
    assert_eq!(refused.unwrap_err().status, 404);
}
