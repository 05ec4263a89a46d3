//! Nailed-up connections: a leg to an agent's phone that stays up from call to call. Each is a call of its own whose only
//! leg rests, held by this server without media, until another call borrows it. `line` is what the borrowing call does,
//! `resting` what the lending one does; the table, which alone sees both, carries the leg from one to the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tandem_sip::TxnId;

use super::Call;
use super::aside::Left;
use super::leg::{Ask, Leg};
use super::news::Ticket;
use super::record::EndReason;
use super::table::Calls;
use crate::arena::Key;
use crate::cdr::EndedBy;
use crate::directory::DnId;
use crate::ids::Tag;
use crate::rooms::{Rooms, Use};

/// A nailed-up connection that is to be.
#[derive(Debug)]
pub struct NailUp {
    /// The request, whose outcome is told once the phone has answered or has not.
    pub ticket: Option<Ticket>,
    /// DN of the phone.
    pub dn: DnId,
    /// `connect-nailedup-on-login`: where it rests, as the phone is told.
    pub at: Arc<str>,
    /// `disconnect-nailedup-timeout`; zero is never.
    pub idle: Duration,
}

/// How a nailed-up connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The phone is being called, or its media are being stopped.
    Connecting,
    /// It waits for a call.
    Idle,
    /// A call runs over it.
    Busy,
}

/// The nailed-up connections of a node, by DN.
#[derive(Debug, Default)]
pub struct Lines {
    lines: BTreeMap<Arc<str>, (Key, Line)>,
    errands: VecDeque<Errand>,
    /// Local tags of legs whose calls had ended when an earlier process did: it may not have silenced their phones.
    talked: BTreeSet<Tag>,
}

/// A leg or a set-up on its way between two calls, or word of it.
#[derive(Debug)]
pub(super) enum Errand {
    /// A call wants it.
    Lend { line: Key, to: Key },
    /// It comes back.
    Home { line: Key, leg: Box<Leg>, back: Back },
    /// It ended while it was lent.
    Lost { line: Key, by: EndedBy, reason: EndReason },
    /// Whoever is called beside a conversation goes into it.
    ComeIn { aside: Key, of: Key },
    /// The same if he has answered.
    ComeInIfReady { aside: Key, of: Key },
    /// He rings.
    Rings { of: Key },
    /// He does not come.
    NotComing { of: Key, status: u16, left: Box<Left> },
    /// Nobody wants him any more.
    Dismiss { aside: Key },
}

/// In what state a leg comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Back {
    /// As it was lent: no media flow.
    Resting,
    /// From a conversation.
    Talking,
    /// An INVITE is out that was taken back.
    Asked {
        /// Its transaction.
        txn: TxnId,
        /// It carried an offer.
        offered: bool,
        /// No media flow if it is refused.
        rests: bool,
    },
}

impl Lines {
    /// How the DN's nailed-up connection stands, if it has one.
    #[must_use]
    pub fn state(&self, dn: &str) -> Option<Line> {
        self.lines.get(dn).map(|(_, line)| *line)
    }

    /// The call whose leg it is, wherever the leg is now.
    pub(super) fn key(&self, dn: &str) -> Option<Key> {
        self.lines.get(dn).map(|(key, _)| *key)
    }

    /// A leg whose call had ended was taken up.
    pub(super) fn has_talked(&mut self, leg: &Leg) {
        self.talked.extend(Tag::parse(leg.dialog.local_tag()));
    }

    pub(super) fn may_talk(&self, tag: Option<Tag>) -> bool {
        tag.is_some_and(|tag| self.talked.contains(&tag))
    }

    /// Every connection has been taken up.
    pub(crate) fn are_taken_up(&mut self) {
        self.talked.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn set(&mut self, dn: &Arc<str>, key: Key, line: Line) {
        self.lines.insert(Arc::clone(dn), (key, line));
    }

    pub(super) fn remove(&mut self, dn: &str, key: Key) {
        if self.key(dn) == Some(key) {
            self.lines.remove(dn);
        }
    }

    /// Asks for an idle connection; the leg comes by [`Call::borrowed`]. `None`: it is not idle.
    pub(super) fn claim(&mut self, dn: &str, to: Key) -> Option<Key> {
        let (line, state) = self.lines.get_mut(dn)?;
        if *state != Line::Idle {
            return None;
        }
        *state = Line::Busy;
        let line = *line;
        self.errands.push_back(Errand::Lend { line, to });
        Some(line)
    }

    pub(super) fn send(&mut self, errand: Errand) {
        self.errands.push_back(errand);
    }
}

impl Calls {
    /// Nails up a connection to a DN's phone. One that is there already stays.
    ///
    /// # Errors
    /// 480 when the phone cannot be reached, 503 when a table is full.
    pub fn nail(&mut self, rooms: &mut Rooms, nail: NailUp) -> Result<Key, u16> {
        let number = rooms.directory.extension(nail.dn).map(|extension| Arc::clone(&extension.number));
        let key = number.and_then(|number| rooms.nailed.key(&number));
        if let Some(key) = key {
            self.act(rooms, key, |call, rooms| call.stay_nailed(rooms, nail.ticket));
            return Ok(key);
        }
        self.open_with(rooms, |rooms, key| Call::nail(rooms, key, nail))
    }

    /// Drops the nailed-up connection of a DN: at once if no call runs over it, otherwise when that call ends. False:
    /// there is none.
    pub fn unnail(&mut self, rooms: &mut Rooms, dn: &str) -> bool {
        let key = rooms.nailed.key(dn);
        key.is_some_and(|key| self.act(rooms, key, Call::unnail).is_some())
    }

    /// Drops every nailed-up connection so, as a server does that is being drained.
    pub fn unnail_all(&mut self, rooms: &mut Rooms) {
        let lines: Vec<Key> = rooms.nailed.lines.values().map(|(key, _)| *key).collect();
        for key in lines {
            self.act(rooms, key, Call::unnail);
        }
    }

    /// Carries legs between calls until none is under way.
    pub(super) fn run_errands(&mut self, rooms: &mut Rooms) {
        while let Some(errand) = rooms.nailed.errands.pop_front() {
            match errand {
                Errand::Lend { line, to } => {
                    let mut leg = self.touch(rooms, line, Call::lend).flatten();
                    self.touch(rooms, to, |call, rooms| call.borrowed(rooms, &mut leg));
                    if let Some(leg) = leg {
                        let back = Back::Resting;
                        rooms.nailed.send(Errand::Home { line, leg: Box::new(leg), back });
                    }
                }
                Errand::Home { line, leg, back } => {
                    let mut leg = Some(leg);
                    self.touch(rooms, line, |call, rooms| call.come_home(rooms, &mut leg, back));
                    if let Some(mut leg) = leg {
                        // The connection was given up meanwhile.
                        let bye = leg.dialog.next_cseq();
                        leg.ask(rooms, &Ask::own(b"BYE", bye), Use::Nobody);
                    }
                }
                Errand::Lost { line, by, reason } => {
                    self.touch(rooms, line, |call, rooms| call.line_over(rooms, by, reason));
                }
                Errand::ComeIn { aside, of } => self.come_in(rooms, aside, of, false),
                Errand::ComeInIfReady { aside, of } => self.come_in(rooms, aside, of, true),
                Errand::Rings { of } => {
                    self.touch(rooms, of, |call, rooms| call.notify_referrer(rooms, 180));
                }
                Errand::NotComing { of, status, left } => self.aside_failed(rooms, of, status, *left),
                Errand::Dismiss { aside } => {
                    self.touch(rooms, aside, |call, rooms| call.clear_early(rooms, EndedBy::Caller));
                }
            }
        }
    }
}
