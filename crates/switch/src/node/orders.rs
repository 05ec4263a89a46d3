//! Orders of requests, carried out by the call room.

use std::sync::Arc;

use tandem_cti::{ErrorCode, Refusal};
use tandem_peer::continuity::CallKind;

use super::Node;
use super::floor::with_calls;
use crate::arena::Key;
use crate::call::control::{Begun, Make, Onward, Operation};
use crate::call::{Call, Carried, LegNo, Ticket};
use crate::cti::calls;
use crate::cti::calls::Order;
use crate::directory::DnId;
use crate::rooms::Device;
use crate::routing::{self, Onwards};

/// Operations that nobody waits for.
pub(super) const NOBODY: Ticket = Ticket(0);

impl Node {
    pub(super) fn carry_out_order(&mut self, order: Order) {
        let (ticket, outcome) = match order {
            Order::Make { ticket, from, to, consult } => (ticket, self.make(ticket, &from, &to, consult)),
            Order::Answer { ticket, key, leg } => {
                let asked = self.calls.operate(&mut self.rooms, key, ticket, Operation::Answer(leg));
                (ticket, asked.map_err(not_answered))
            }
            Order::Release { ticket, key, leg } => {
                (ticket, self.simply(key, ticket, Operation::Release(leg)))
            }
            Order::Clear { ticket, key } => (ticket, self.simply(key, ticket, Operation::Clear)),
            Order::Hold { ticket, key, leg } => match self.simply(key, ticket, Operation::Hold(leg)) {
                Ok(Begun::Done) => return self.done_already(ticket),
                outcome => (ticket, outcome),
            },
            Order::Retrieve { ticket, key, leg } => {
                match self.simply(key, ticket, Operation::Retrieve(leg)) {
                    Ok(Begun::Done) => return self.done_already(ticket),
                    outcome => (ticket, outcome),
                }
            }
            Order::Transfer { ticket, key, kept, consult, moved } => {
                (ticket, self.transfer(ticket, (key, kept), (consult, moved)))
            }
            Order::Replace { ticket, key, leg, to } => (ticket, self.replace(ticket, key, leg, &to)),
            Order::Redirect { ticket, key, to } => {
                let sent = self.onward_for(key, &to);
                if let (Ok(_), Some(conn)) = (&sent, self.floor.tcalls.conn_of(key)) {
                    self.leaves_queue(conn, Some(&to));
                }
                (ticket, sent.map_err(refusal).and_then(|operation| self.simply(key, ticket, operation)))
            }
            Order::Route { ticket, key, to: Some(to) } => {
                let sent = self.routed(key, &to);
                (ticket, sent.map_err(refusal).and_then(|operation| self.simply(key, ticket, operation)))
            }
            Order::Route { ticket, key, to: None } => {
                (ticket, self.simply(key, ticket, Operation::Refuse(603)))
            }
            Order::Conference { ticket, key, consult, moved } => {
                (ticket, self.conference(ticket, key, (consult, moved)))
            }
            Order::Dtmf { ticket, key, leg, digits } => {
                (ticket, self.simply(key, ticket, Operation::Dtmf(leg, digits)))
            }
            Order::Attach { key, user_data } => {
                let _ = self.operate(key, Operation::Attach(user_data));
                return;
            }
            Order::Treat { ticket, key, treatment } => {
                (ticket, self.simply(key, ticket, Operation::Treat(treatment)))
            }
        };
        match outcome {
            Ok(Begun::Later) => {}
            Ok(Begun::Done) => with_calls!(self, |tcalls, desk| tcalls.done(desk, ticket, Ok(()))),
            Err(refusal) => with_calls!(self, |tcalls, desk| tcalls.done(desk, ticket, Err(refusal))),
        }
    }

    fn simply(&mut self, key: Key, ticket: Ticket, operation: Operation) -> Result<Begun, Refusal> {
        self.calls.operate(&mut self.rooms, key, ticket, operation).map_err(refusal)
    }

    /// An operation of the server's own: the facts that follow from it are all that matters.
    pub(super) fn operate(&mut self, key: Key, operation: Operation) -> Result<(), u16> {
        self.calls.operate(&mut self.rooms, key, NOBODY, operation).map(|_| ())
    }

    fn make(&mut self, ticket: Ticket, from: &str, to: &str, consult: bool) -> Result<Begun, Refusal> {
        let directory = Arc::clone(&self.rooms.directory);
        if directory.options.emergency.dialled(to.as_bytes()).is_none() {
            self.may_begin()?;
        }
        let dn = directory.find(from.as_bytes()).ok_or(ErrorCode::NotConfigured)?;
        if !routing::in_service(&self.rooms, &directory, dn) {
            return Err(ErrorCode::OutOfService.into());
        }
        if self.calls.is_full() {
            return Err(ErrorCode::ResUnavail.into());
        }
        let kind = if consult { CallKind::Consult } else { CallKind::ThirdParty };
        let carried = self.floor.tcalls.carried_by(ticket);
        let origin = Device::Extension(dn);
        let onward = self.onwards(origin, to, from.as_bytes(), kind, Some(dn), carried).map_err(refusal)?;
        let make = match onward {
            Onwards::To(onward) => Make {
                ticket,
                from: dn,
                to: onward.to,
                stages: onward.stages,
                park: None,
                steps: onward.steps,
                ring_timeout: onward.ring_timeout,
                carried: onward.carried,
            },
            Onwards::Park(number) => Make {
                ticket,
                from: dn,
                to: to.as_bytes().into(),
                stages: Vec::new(),
                park: Some(number),
                steps: Vec::new(),
                ring_timeout: directory.options.ring_timeout,
                carried: self.floor.tcalls.carried_by(ticket),
            },
        };
        self.calls.make(&mut self.rooms, make).map(|_| Begun::Later).map_err(refusal)
    }

    fn transfer(
        &mut self,
        ticket: Ticket,
        kept: (Key, LegNo),
        moved: (Key, LegNo),
    ) -> Result<Begun, Refusal> {
        let done = self.calls.transfer(&mut self.rooms, ticket, kept, moved);
        if let Err(status) = done {
            // A phone that asked for it by REFER is told.
            self.calls.refer_failed(&mut self.rooms, kept.0, status);
        }
        let (begun, leg) = done.map_err(refusal)?;
        with_calls!(self, |tcalls, desk| tcalls.moved(desk, moved, (kept.0, leg)));
        Ok(begun)
    }

    fn replace(&mut self, ticket: Ticket, key: Key, leg: LegNo, to: &str) -> Result<Begun, Refusal> {
        let payer = self.payer(key, |call| call.extension_at(leg));
        let onwards = self.sent_on(key, to, CallKind::Transfer, payer).map_err(refusal)?;
        let aside = self.calls.leave_for(&mut self.rooms, (key, leg), ticket, onwards).map_err(refusal)?;
        self.leaves((key, leg), to, aside);
        Ok(Begun::Later)
    }

    /// Where a ringing or waiting call goes on to.
    pub(super) fn onward_for(&mut self, key: Key, to: &str) -> Result<Operation, u16> {
        let payer = self.payer(key, Call::rings_at);
        self.sent_on(key, to, CallKind::Transfer, payer).map(redirect)
    }

    fn routed(&mut self, key: Key, to: &str) -> Result<Operation, u16> {
        let local = self.floor.agents.is_logged_in(to);
        let kind = if local { CallKind::RoutedToAgent } else { CallKind::RoutedWithoutAgent };
        self.sent_on(key, to, kind, None).map(redirect)
    }

    /// What an Extension of the call is called now.
    fn payer(&self, key: Key, of: impl Fn(&Call) -> Option<DnId>) -> Option<DnId> {
        let call = self.calls.get(key)?;
        match self.rooms.now_called(&call.caller().1.directory, Device::Extension(of(call)?))? {
            Device::Extension(dn) => Some(dn),
            Device::Trunk(_) | Device::Mixer => None,
        }
    }

    /// `payer`: the Extension that sends the call on, if it is not the caller.
    fn sent_on(&mut self, key: Key, to: &str, kind: CallKind, payer: Option<DnId>) -> Result<Onwards, u16> {
        // Nobody is connected with himself.
        if self.floor.tcalls.has_talker(key, to) {
            return Err(486);
        }
        let (device, caller) = self.calls.get(key).map(|call| call.caller()).ok_or(481u16)?;
        let origin = self.rooms.now_called(&caller.directory, device).ok_or(480u16)?;
        let conn = self.floor.tcalls.conn_of(key).unwrap_or_default();
        let carried = Carried { user_data: self.floor.tcalls.user_data(conn), conn_id: Some(conn) };
        self.onwards(origin, to, &caller.number, kind, payer, carried)
    }

    /// The way of a queue's offer: to the agent's own phone here, whatever the continuity rules say.
    pub(super) fn onward_to_agent(&mut self, conn: u64, dn: &str) -> Result<Onward, u16> {
        let key = self.floor.tcalls.key_of(conn).ok_or(481u16)?;
        match self.sent_on(key, dn, CallKind::RoutedToAgent, None)? {
            Onwards::To(onward) => Ok(onward),
            Onwards::Park(_) => Err(480),
        }
    }

    fn onwards(
        &mut self,
        origin: Device,
        to: &str,
        caller: &[u8],
        kind: CallKind,
        payer: Option<DnId>,
        carried: Carried,
    ) -> Result<Onwards, u16> {
        let agents = &self.floor.agents;
        routing::onward(&mut self.rooms, agents, origin, to.as_bytes(), caller, kind, payer, None, carried)
            .map_err(|reject| reject.status)
    }
}

/// Sends a call on for good.
fn redirect(onwards: Onwards) -> Operation {
    match onwards {
        Onwards::To(onward) => Operation::Redirect(onward),
        Onwards::Park(number) => Operation::Park(number),
    }
}

/// Why a phone does not answer by request.
fn not_answered(status: u16) -> Refusal {
    let text = "this phone cannot be told to answer: its DN has neither sip-cti-control talk nor an \
                Alert-Info or Call-Info; answer it by hand";
    if status == 501 { Refusal::because(ErrorCode::UnsupOper, text) } else { refusal(status) }
}

/// What a SIP status means to whoever asked for it.
pub(super) fn refusal(status: u16) -> Refusal {
    calls::refusal_of(status)
}
