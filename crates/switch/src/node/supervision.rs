//! No-answer supervision of calls that ring at an agent's DN without coming from a queue: `agent-no-answer-timeout`,
//! then what `agent-no-answer-action` does to the agent and `agent-no-answer-overflow` to the call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tandem_cti::Event as Told;

use super::Node;
use super::floor::desk;
use crate::agent;
use crate::call::control::Operation;
use crate::cti::calls::parse_conn_id;
use crate::directory::floor::NoAnswerOverflow;
use crate::queue::OfferEnd;
use crate::time::Deadline;

/// Calls that ring at agents, and until when; each entry is gone when its call is.
#[derive(Debug, Default)]
pub(super) struct Supervision {
    rings: BTreeMap<(u64, Arc<str>), u64>,
    due: BTreeSet<(u64, u64, Arc<str>)>,
    taken_back: BTreeMap<u64, OfferEnd>,
    offers: BTreeMap<u64, Arc<str>>,
    offered_at: BTreeMap<Arc<str>, u64>,
}

impl Supervision {
    fn arm(&mut self, conn: u64, dn: Arc<str>, until_unix_ms: u64) {
        self.disarm(conn, &dn);
        self.due.insert((until_unix_ms, conn, Arc::clone(&dn)));
        self.rings.insert((conn, dn), until_unix_ms);
    }

    /// The call does not ring there any more.
    pub(super) fn disarm(&mut self, conn: u64, dn: &Arc<str>) {
        if self.rings.is_empty() {
            return;
        }
        if let Some(until) = self.rings.remove(&(conn, Arc::clone(dn))) {
            self.due.remove(&(until, conn, Arc::clone(dn)));
        }
    }

    /// A queue offers a call to the agent at this DN.
    pub(super) fn offered(&mut self, conn: u64, dn: &Arc<str>) {
        self.offers.insert(conn, Arc::clone(dn));
        self.offered_at.insert(Arc::clone(dn), conn);
    }

    /// The offer is over; at whose DN it was.
    pub(super) fn offer_over(&mut self, conn: u64) -> Option<Arc<str>> {
        let dn = self.offers.remove(&conn)?;
        self.offered_at.remove(&dn);
        Some(dn)
    }

    /// The call that a queue offers to the agent at this DN.
    pub(super) fn offer_at(&self, dn: &str) -> Option<u64> {
        self.offered_at.get(dn).copied()
    }

    /// An offer is being taken back for this reason.
    pub(super) fn take_back(&mut self, conn: u64, why: OfferEnd) {
        self.taken_back.insert(conn, why);
    }

    /// Why the offer that has just failed was taken back, if it was.
    pub(super) fn why_taken_back(&mut self, conn: u64) -> Option<OfferEnd> {
        self.taken_back.remove(&conn)
    }

    pub(super) fn len(&self) -> usize {
        self.rings.len() + self.due.len() + self.taken_back.len() + self.offers.len()
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        self.due.first().map(|(at, ..)| Deadline::at_unix_ms(*at))
    }

    pub(super) fn due(&mut self, now_unix_ms: u64) -> Option<(u64, Arc<str>)> {
        let (at, conn, dn) = self.due.pop_first()?;
        if at > now_unix_ms {
            self.due.insert((at, conn, dn));
            return None;
        }
        self.rings.remove(&(conn, Arc::clone(&dn)));
        Some((conn, dn))
    }
}

impl Node {
    /// A call rings at a DN. Offers of queues are supervised by the queue.
    pub(super) fn supervise(&mut self, dn: &Arc<str>, ringing: &Told) {
        if ringing.this_queue.is_some() {
            return;
        }
        let Some(agent) = self.floor.agents.at(dn) else { return };
        let Some(conn) = ringing.conn_id.as_deref().and_then(parse_conn_id) else { return };
        let patience = self.rooms.directory.agent_options(dn, &agent.agent_id).agent_no_answer_timeout;
        if patience.is_zero() {
            return;
        }
        let until = self.rooms.now.plus(patience).unix_ms;
        self.floor.supervision.arm(conn, Arc::clone(dn), until);
    }

    /// A direct call was not answered in time.
    pub(super) fn direct_call_not_answered(&mut self, conn: u64, dn: &Arc<str>) {
        let Some(agent) = self.floor.agents.at(dn) else { return };
        let options = self.rooms.directory.agent_options(dn, &agent.agent_id);
        self.floor.agents.no_answer(&mut desk!(self, agent), dn);
        self.settle_agents();
        let Some((key, _)) = self.floor.tcalls.reached_at(conn, dn) else { return };
        for step in options.agent_no_answer_overflow {
            match step {
                NoAnswerOverflow::None => return,
                // A direct call was distributed from nowhere; who overflows to where he rings rings on.
                NoAnswerOverflow::Recall => {}
                NoAnswerOverflow::To(to) if *to == **dn => return,
                NoAnswerOverflow::Release => {
                    let _ = self.operate(key, Operation::Clear);
                    return;
                }
                NoAnswerOverflow::To(to) => {
                    let sent = self.onward_for(key, &to).and_then(|operation| self.operate(key, operation));
                    if sent.is_ok() {
                        return;
                    }
                }
            }
        }
    }
}
