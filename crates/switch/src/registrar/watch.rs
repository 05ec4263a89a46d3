//! Whether registered phones are still there: flows that fail, ghosts that are put away, come back or are removed.

use std::time::Instant;

use tandem_peer::ChangeLog;
use tandem_peer::replica::Replicated;
use tandem_sip::Flow;

use super::binding::Binding;
use super::ghost::Ghost;
use super::pulse::Due;
use super::{BindingNews, Happened, Registrar};
use crate::directory::{DnId, Registration};
use crate::time::{Deadline, Now};

impl Registrar {
    /// A connection closed. A contact reached over it is from now on dialled at its own address, if that was also
    /// where the connection came from; otherwise, and if it was a flow of RFC 5626, it is not called until the phone
    /// registers again. A datagram flow has no such end.
    pub fn flow_failed(&mut self, flow: Flow, log: &mut ChangeLog, now: Now) {
        if flow.conn == 0 {
            return;
        }
        while let Some(dn) = self.store.pop_over(flow.conn) {
            let until = self.until(dn, |binding| binding.flow().conn == flow.conn, now);
            let Self { store, news, .. } = self;
            store.change(dn, |aor| {
                for binding in aor.iter_mut().filter(|b| b.flow().conn == flow.conn) {
                    let was_reachable = binding.reachable();
                    binding.update(log, |b| b.lose_connection(until));
                    if was_reachable && let Some(quarantine) = binding.quarantine() {
                        news.push_back(BindingNews::of(dn, binding, Happened::PutAway(quarantine.why)));
                    }
                }
            });
        }
        self.settle(now.mono);
    }

    /// A contact whose connection is gone was to be dialled, and nobody listens there: it is not called until the phone
    /// registers again.
    pub fn cannot_dial(&mut self, dn: DnId, flow: Flow, log: &mut ChangeLog, now: Now) {
        let dialled = |b: &Replicated<Binding>| flow.conn == 0 && b.reachable() && b.flow() == flow;
        if !self.store.get(dn).iter().any(dialled) {
            return;
        }
        let until = self.until(dn, dialled, now);
        let Self { store, news, .. } = self;
        store.change(dn, |aor| {
            for binding in aor.iter_mut().filter(|binding| dialled(binding)) {
                binding.update(log, |b| b.put_away(Ghost::ConnectionClosed, until));
                news.push_back(BindingNews::of(dn, binding, Happened::PutAway(Ghost::ConnectionClosed)));
            }
        });
        self.settle(now.mono);
    }

    /// Whether a contact that is called is reached over this connection.
    #[must_use]
    pub fn reaches_over(&self, conn: u64) -> bool {
        let reached = |binding: &Replicated<Binding>| binding.reachable() && binding.flow().conn == conn;
        self.store.over(conn).any(|dn| self.store.get(dn).iter().any(reached))
    }

    /// A request to a binding, sent over this flow, failed so that nobody can be there. One that has another flow by now
    /// is not meant.
    pub fn suspect(&mut self, dn: DnId, record: u64, flow: Flow, why: Ghost, log: &mut ChangeLog, now: Now) {
        self.put_away(dn, |b| b.key().id == record && b.flow() == flow, why, log, now);
    }

    /// A message of the phone came by this flow: what is in quarantine there lives.
    pub fn heard(&mut self, dn: DnId, flow: Flow, log: &mut ChangeLog, now: Now) {
        if self.bindings(dn).any(|binding| !binding.reachable() && binding.is_from(flow)) {
            self.take_back(dn, |binding| binding.is_from(flow), log, now);
        }
    }

    /// A binding answered a request of a call, sent over this flow: it lives.
    pub fn responded(&mut self, dn: DnId, record: u64, flow: Flow, log: &mut ChangeLog, now: Now) {
        let is_it = |b: &Replicated<Binding>| b.key().id == record && b.flow() == flow;
        if self.store.get(dn).iter().any(|binding| !binding.reachable() && is_it(binding)) {
            self.take_back(dn, is_it, log, now);
        }
    }

    /// When something is to be sent to a phone next.
    #[must_use]
    pub fn next_pulse(&self) -> Option<Instant> {
        self.store.pulses.next()
    }

    /// Something that is due to be sent to a phone.
    pub fn pop_pulse(&mut self, now: Instant) -> Option<Due> {
        let interval = self.options.nat_keepalive_interval;
        self.store.pulses.pop(interval, now)
    }

    /// The binding with this record.
    #[must_use]
    pub fn binding(&self, dn: DnId, record: u64) -> Option<&Binding> {
        self.store.get(dn).iter().find(|binding| binding.key().id == record).map(|binding| &**binding)
    }

    /// A question was sent to a binding.
    pub fn asked(&mut self, record: u64) {
        self.store.pulses.asked(record);
    }

    /// A binding answered, whatever it said.
    pub fn answered(&mut self, record: u64, log: &mut ChangeLog, now: Now) {
        let Some(dn) = self.store.pulses.answered(record) else { return };
        if self.binding(dn, record).is_some_and(|binding| !binding.reachable()) {
            self.take_back(dn, |binding| binding.key().id == record, log, now);
        }
    }

    /// A binding did not answer. One that never did is not judged by it, unless the network says that nobody is there.
    pub fn unanswered(&mut self, record: u64, why: Ghost, log: &mut ChangeLog, now: Now) {
        let Some(dn) = self.store.pulses.unanswered(record, why == Ghost::Unreachable) else { return };
        self.put_away(dn, |binding| binding.key().id == record, why, log, now);
    }

    /// What happened to bindings that nobody asked for.
    pub fn poll_news(&mut self) -> Option<BindingNews> {
        self.news.pop_front()
    }

    /// Whether something happened to bindings that nobody has asked for yet.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Gives keep-alives and questions their times.
    pub fn settle(&mut self, now: Instant) {
        let interval = self.options.nat_keepalive_interval;
        self.store.pulses.settle(interval, now);
    }

    fn put_away(
        &mut self,
        dn: DnId,
        which: impl Fn(&Replicated<Binding>) -> bool,
        why: Ghost,
        log: &mut ChangeLog,
        now: Now,
    ) {
        let none = !self.store.get(dn).iter().any(|binding| binding.reachable() && which(binding));
        if none || self.options.ghost_quarantine.is_zero() {
            return;
        }
        let until = self.until(dn, &which, now);
        let Self { store, news, .. } = self;
        store.change(dn, |aor| {
            for binding in aor.iter_mut().filter(|binding| binding.reachable() && which(binding)) {
                binding.update(log, |b| b.put_away(why, until));
                news.push_back(BindingNews::of(dn, binding, Happened::PutAway(why)));
            }
        });
        self.settle(now.mono);
    }

    fn take_back(
        &mut self,
        dn: DnId,
        which: impl Fn(&Replicated<Binding>) -> bool,
        log: &mut ChangeLog,
        now: Now,
    ) {
        let Self { store, news, .. } = self;
        store.change(dn, |aor| {
            for binding in aor.iter_mut().filter(|binding| !binding.reachable() && which(binding)) {
                binding.update(log, Binding::take_back);
                news.push_back(BindingNews::of(dn, binding, Happened::TakenBack));
            }
        });
        self.settle(now.mono);
    }

    /// Until when bindings of a DN stay in quarantine. The last one of a DN keeps it in service until its registration
    /// expires, for a phone whose way is back before that is missed by nobody, unless an option says otherwise.
    fn until(&self, dn: DnId, dead: impl Fn(&Replicated<Binding>) -> bool, now: Now) -> Deadline {
        let others = self.store.get(dn).iter().any(|binding| binding.reachable() && !dead(binding));
        quarantine_ends(&self.options, others, now)
    }
}

/// See [`Registrar::until`].
pub(super) fn quarantine_ends(options: &Registration, others: bool, now: Now) -> Deadline {
    if others || options.out_of_service_on_flow_failure {
        Deadline::after(now.unix_ms, options.ghost_quarantine)
    } else {
        Deadline::at_unix_ms(u64::MAX)
    }
}
