//! Time passes.

use std::time::Instant;

use super::table::Machine;
use super::{Endpoint, Event, TxnId};
use crate::builder::response_to;
use crate::message::Message;
use crate::txn::{ClientFired, ServerFired, TimerName};

/// What a timer asks the endpoint for.
enum Due {
    Nothing,
    Repeat,
    SendTrying,
    TimedOut,
    NoAck,
}

impl<U: Copy> Endpoint<U> {
    /// The earliest deadline and which timer it is. It is exact: something is due then.
    #[must_use]
    pub fn next_timeout(&self) -> Option<(Instant, TimerName)> {
        self.table.lanes.first().map(|(at, name, _)| (at, name))
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, _, slot)) = self.table.lanes.first() {
            if at > now {
                return;
            }
            self.fire(slot, now);
        }
    }

    fn fire(&mut self, slot: u32, now: Instant) {
        let timers = self.timers;
        let Some(id) = self.table.id(slot) else { return };
        let Some(entry) = self.table.at_mut(slot) else { return };
        let due = match &mut entry.machine {
            Machine::Reserved => Due::Nothing,
            Machine::ClientInvite { fsm, .. } => client(fsm.on_timeout(now)),
            Machine::ClientNonInvite { fsm, .. } => client(fsm.on_timeout(&timers, now)),
            Machine::ServerInvite { fsm, .. } => server(fsm.on_timeout(&timers, now)),
            Machine::ServerNonInvite { fsm, .. } => {
                fsm.on_timeout(now);
                Due::Nothing
            }
        };
        let user = entry.user;
        match due {
            Due::Nothing => {}
            Due::Repeat => {
                if let Some(payload) = entry.machine.to_repeat().cloned() {
                    let flow = entry.flow;
                    self.counters.retransmissions += 1;
                    self.send(flow, payload);
                }
            }
            Due::SendTrying => self.send_trying(id, now),
            Due::TimedOut => {
                self.counters.timeouts += 1;
                self.events.extend(user.map(|user| Event::Timeout { txn: id, user }));
            }
            Due::NoAck => {
                self.counters.timeouts += 1;
                self.events.extend(user.map(|user| Event::AckTimeout { txn: id, user }));
            }
        }
        self.table.settle(slot, now);
    }

    /// RFC 3261 17.2.1: 100 after 200 ms of silence.
    fn send_trying(&mut self, id: TxnId, now: Instant) {
        let Some(entry) = self.table.get_mut(id) else { return };
        let source = entry.flow.remote;
        let Machine::ServerInvite { fsm, .. } = &mut entry.machine else { return };
        let invite = fsm.unanswered().cloned();
        fsm.leave_unanswered();
        let Some(Ok(message)) = invite.map(Message::parse) else { return };
        let Ok(envelope) = message.envelope() else { return };
        let trying = response_to(&mut self.scratch, &message, &envelope, 100, b"Trying", None, Some(source))
            .finish(b"");
        self.respond(id, 100, trying, now);
    }

    /// Timers D, I and K are zero on reliable transports: such a state is left as soon as it is entered.
    pub(super) fn finish_at_once(&mut self, id: TxnId, now: Instant) {
        let timers = self.timers;
        let Some(entry) = self.table.get_mut(id) else { return };
        let Some((at, TimerName::D | TimerName::I | TimerName::K)) = entry.machine.next_timeout() else {
            return;
        };
        if at > now {
            return;
        }
        match &mut entry.machine {
            Machine::ClientInvite { fsm, .. } => drop(fsm.on_timeout(now)),
            Machine::ClientNonInvite { fsm, .. } => drop(fsm.on_timeout(&timers, now)),
            Machine::ServerInvite { fsm, .. } => drop(fsm.on_timeout(&timers, now)),
            Machine::Reserved | Machine::ServerNonInvite { .. } => {}
        }
    }
}

fn client(fired: ClientFired) -> Due {
    match fired {
        ClientFired::Nothing => Due::Nothing,
        ClientFired::Retransmit => Due::Repeat,
        ClientFired::TimedOut => Due::TimedOut,
    }
}

fn server(fired: ServerFired) -> Due {
    match fired {
        ServerFired::Nothing => Due::Nothing,
        ServerFired::Retransmit => Due::Repeat,
        ServerFired::SendTrying => Due::SendTrying,
        ServerFired::NoAck => Due::NoAck,
    }
}
