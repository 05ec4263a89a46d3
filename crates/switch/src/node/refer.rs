//! REFER from a party of a call (RFC 3515): where its target is, and what it may be. A number goes the way of a number that
//! the party dials; a dialog (RFC 3891) is one of this server's, whose other party then joins, or the peer site's.

use super::Node;
use super::floor::with_calls;
use crate::arena::Key;
use crate::call::control::Onward;
use crate::call::{Beside, Carried, Incoming, LegNo, Redirected, Referred, Replaces, Stage};
use crate::cti::calls;
use crate::cti::calls::{NOBODY, Order};
use crate::ids::Tag;
use crate::limits::MAX_STAGES;
use crate::reject::Reject;
use crate::rooms::{Device, Rooms};
use crate::routing::{self, Onwards};

impl Node {
    /// REFER outside a dialog: about one that its sender has here (RFC 4538), or refused. A phone that could have others
    /// called by a request of its own would be a way round every rule for calls.
    pub(super) fn refer_outside(&mut self, incoming: &Incoming<'_>) -> Result<(), Reject> {
        let Incoming { flow, message: request, env, .. } = *incoming;
        let target = request.other(b"Target-Dialog").map(Replaces::of_target_dialog);
        let Some(target) = target else {
            return Err(Reject::because(403, "REFER Outside A Call (no Target-Dialog)"));
        };
        let target = target.ok_or_else(|| Reject::because(400, "Bad Target-Dialog"))?;
        let found = Tag::parse(&target.to_tag).and_then(|tag| self.rooms.tags.get(&tag).copied());
        let known = found.and_then(|key| Some((key, self.calls.get(key)?.leg_of(&target)?)));
        let (key, leg) = known.ok_or_else(|| Reject::new(481))?;
        let (origin, _) = self.origin(flow, request, env)?;
        let sender = Rooms::shared_name(&self.rooms.directory, origin);
        if self.calls.get(key).and_then(|call| call.name_at(leg)) != sender {
            return Err(Reject::because(403, "Not A Party Of The Call"));
        }
        self.call(key, |call, rooms| call.refer_from_beside(rooms, leg, incoming));
        Ok(())
    }

    /// Carries a REFER out, or has its sender told why not.
    pub(super) fn referred(&mut self, key: Key, referred: &Referred) {
        let outcome = match &referred.to.replaces {
            None => self.refer_to_number(key, referred, &referred.to.number.clone(), None),
            Some(replaces) => self.refer_to_dialog(key, referred, replaces),
        };
        if let Err(status) = outcome {
            self.calls.refer_failed(&mut self.rooms, key, status);
        }
    }

    fn refer_to_number(
        &mut self,
        key: Key,
        referred: &Referred,
        number: &[u8],
        replaces: Option<Replaces>,
    ) -> Result<(), u16> {
        let to = String::from_utf8_lossy(number).into_owned();
        if self.floor.tcalls.has_talker(key, &to) {
            // Nobody is connected with himself.
            return Err(486);
        }
        let call = self.calls.get(key).ok_or(481_u16)?;
        let (directory, caller) = (call.directory(), call.caller().1);
        let device = call.device_at(referred.by).ok_or(481_u16)?;
        let origin = self.rooms.now_called(&directory, device).ok_or(403_u16)?;
        let carried = self.carried_of(key);
        let onwards = match &replaces {
            Some(_) => self.at_peer(origin, number, carried)?,
            None => {
                let agents = &self.floor.agents;
                routing::referred(&mut self.rooms, agents, origin, number, &caller.number, carried)
                    .map_err(|reject| if reject.status < 400 { 480 } else { reject.status })?
            }
        };
        let at = (key, referred.by);
        let beside = Beside { onwards, referred_by: referred.referred_by.clone(), replaces };
        let aside = self.calls.refer_to(&mut self.rooms, at, beside)?;
        self.leaves(at, &to, aside);
        Ok(())
    }

    /// The way of a number at the peer site, which knows the dialog that is to be replaced.
    fn at_peer(&self, origin: Device, number: &[u8], carried: Carried) -> Result<Onwards, u16> {
        let directory = &self.rooms.directory;
        let peer = directory.options.dr_peer_trunk.filter(|peer| self.rooms.trunks.in_service(*peer));
        let peer =
            peer.filter(|_| !routing::is_peer(directory, origin) && !number.is_empty()).ok_or(481_u16)?;
        Ok(Onwards::To(Onward {
            to: number.into(),
            stages: vec![Stage::Peer(peer, number.into())],
            steps: Vec::new(),
            ring_timeout: directory.options.ring_timeout,
            carried,
        }))
    }

    fn carried_of(&self, key: Key) -> Carried {
        let conn = self.floor.tcalls.conn_of(key).unwrap_or_default();
        Carried { user_data: self.floor.tcalls.user_data(conn), conn_id: Some(conn) }
    }

    /// A callee sent its call on: the numbers are routed as if it had dialled them, and tried in their order.
    pub(super) fn redirected(&mut self, key: Key, redirected: &Redirected) {
        let Some(call) = self.calls.get(key) else { return };
        let caller = call.caller().1;
        let origin = self.rooms.now_called(&call.directory(), redirected.by);
        let directory = call.directory();
        let came_from_peer =
            call.is_marked() || call.device_at(0).is_some_and(|device| routing::is_peer(&directory, device));
        let (mut stages, mut steps, mut status) = (Vec::new(), Vec::new(), 480);
        for number in &redirected.to {
            let Some(origin) = origin else { break };
            let carried = self.carried_of(key);
            let agents = &self.floor.agents;
            match routing::referred(&mut self.rooms, agents, origin, number, &caller.number, carried) {
                Ok(Onwards::To(onward)) => {
                    stages.extend(onward.stages);
                    steps.extend(onward.steps);
                }
                Ok(Onwards::Park(at)) => stages.push(Stage::Wait(at)),
                Err(reject) if reject.status >= 400 => status = reject.status,
                Err(_) => {}
            }
        }
        if came_from_peer {
            // It is not sent back, whoever redirects it (loop guards a and b).
            stages.retain(|stage| !matches!(stage, Stage::Peer(..) | Stage::PeerQueue(..)));
        }
        stages.truncate(MAX_STAGES);
        if let Some(number) = redirected.to.first() {
            let to = String::from_utf8_lossy(number);
            with_calls!(self, |tcalls, desk| tcalls.sent_to(desk, key, &to));
        }
        self.calls.go_on_after_redirect(&mut self.rooms, key, stages, steps, status);
    }

    /// The T-Library's view: the party leaves for this number, and who is called beside its call is a party of it.
    pub(super) fn leaves(&mut self, at: (Key, LegNo), to: &str, aside: Option<Key>) {
        with_calls!(self, |tcalls, desk| {
            tcalls.leaves(desk, at, to);
            if let Some(aside) = aside {
                tcalls.beside(desk, at.0, aside);
            }
        });
    }

    /// An attended transfer: the other parties of two calls are joined. A call that is not answered yet is given up, and
    /// its number called for the one who stays.
    fn refer_to_dialog(&mut self, key: Key, referred: &Referred, replaces: &Replaces) -> Result<(), u16> {
        let found = Tag::parse(&replaces.to_tag).and_then(|tag| self.rooms.tags.get(&tag).copied());
        let known = found.and_then(|consult| Some((consult, self.calls.get(consult)?)));
        let Some((consult, call)) = known else {
            return self.refer_to_number(key, referred, &referred.to.number.clone(), Some(replaces.clone()));
        };
        let own = self.calls.get(key).and_then(|call| call.name_at(referred.by));
        if consult == key {
            return Err(400);
        }
        if let Some(number) = call.dialled_in(replaces) {
            if call.name_at(0) != own {
                return Err(403);
            }
            let number: Box<[u8]> = number.into();
            let _ = self.operate(consult, crate::call::control::Operation::Clear);
            return self.refer_to_number(key, referred, &number, None);
        }
        let leg = call.leg_of(replaces).ok_or(481_u16)?;
        if call.name_at(leg) != own {
            return Err(403);
        }
        let moved = call.other_leg(leg).ok_or(481_u16)?;
        let kept = self.calls.get(key).and_then(|call| call.other_leg(referred.by)).ok_or(481_u16)?;
        if self.calls.get(consult).is_some_and(|call| call.is_at_mixer()) {
            return Err(403);
        }
        let ticket = self.floor.tcalls.completes((key, referred.by), (consult, moved)).unwrap_or(NOBODY);
        self.order(Order::Transfer { ticket, key, kept, consult, moved });
        Ok(())
    }
}
