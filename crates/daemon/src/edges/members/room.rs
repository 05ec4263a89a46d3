//! Who is linked with this member, and what is known of each.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use tandem_quorum::{Kind, MemberId, Roster, frame};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::admission::{Refusal, Side};
use super::dial;
use super::hello::Introduction;
use super::said::Said;
use super::security::Security;
use super::summary::{FURTHER, Summary};
use crate::limits::{MAX_DIFFERING, MAX_MEMBER_LINKS, MEMBER_QUEUE, MEMBER_QUEUE_BYTES};

/// What every link has to know, and hears of when it changes.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) me: Introduction,
    pub(super) roster: Arc<Roster>,
    /// Of this server's configuration; a witness has none.
    pub(super) summary: Option<Arc<Summary>>,
}

/// How it stands with a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub id: MemberId,
    /// What it calls itself, once it has introduced itself.
    pub name: Option<String>,
    /// What it is for.
    pub kind: Option<Kind>,
    /// Its release.
    pub version: Option<String>,
    /// Where the group reaches it; of a stranger to the group, what it says itself.
    pub address: Option<String>,
    /// Since when there is a connection; `None`: there is none.
    pub connected: Option<SystemTime>,
    /// Why the last attempt to dial it failed, or the connection ended, if that is how it is now.
    pub error: Option<String>,
    /// Frames handed to a connection.
    pub sent: u64,
    /// Frames that were dropped: there was no connection, or too much on its way.
    pub dropped: u64,
    /// Frames that came.
    pub received: u64,
    /// Keys in which its configuration differs from this server's; `None`: not compared yet, or it is no server.
    pub differing: Option<Vec<String>>,
}

/// What is known of a member.
#[derive(Default)]
struct Known {
    dialled: Option<Writer>,
    accepted: Option<Writer>,
    introduction: Option<Introduction>,
    since: Option<SystemTime>,
    error: Option<String>,
    sent: u64,
    dropped: u64,
    received: u64,
    differing: Option<Vec<String>>,
    dialler: Option<Dialler>,
}

/// Frames on their way into one connection.
struct Writer {
    serial: u64,
    queue: mpsc::Sender<Bytes>,
    waiting: Arc<AtomicUsize>,
    close: CancellationToken,
    /// It has been said that there is no room.
    said_full: bool,
}

/// Who dials a member again and again.
struct Dialler {
    address: String,
    stop: CancellationToken,
    wake: Arc<Notify>,
}

/// One connection's place.
pub(super) struct Place {
    pub(super) id: MemberId,
    pub(super) side: Side,
    serial: u64,
    /// Frames to be written.
    pub(super) queue: mpsc::Receiver<Bytes>,
    /// Bytes of those.
    pub(super) waiting: Arc<AtomicUsize>,
    /// A newer connection has taken the place.
    pub(super) close: CancellationToken,
}

/// See the module.
pub(super) struct Room {
    pub(super) edges: Handle,
    pub(super) stop: CancellationToken,
    pub(super) security: Security,
    pub(super) facts: watch::Sender<Facts>,
    /// Where frames go that come.
    pub(super) frames: mpsc::Sender<Bytes>,
    said: Mutex<Said>,
    members: Mutex<BTreeMap<MemberId, Known>>,
    serial: AtomicU64,
}

impl Room {
    pub(super) fn new(
        edges: Handle,
        stop: CancellationToken,
        security: Security,
        me: Introduction,
        summary: Option<Summary>,
        frames: mpsc::Sender<Bytes>,
    ) -> Self {
        let facts = Facts { me, roster: Arc::default(), summary: summary.map(Arc::new) };
        let (facts, said) = (watch::Sender::new(facts), Mutex::default());
        let (members, serial) = (Mutex::default(), AtomicU64::new(0));
        Self { edges, stop, security, facts, frames, said, members, serial }
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<MemberId, Known>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_group(&self, group: u64) {
        self.facts.send_if_modified(|facts| std::mem::replace(&mut facts.me.group, group) != group);
    }

    pub(super) fn set_summary(&self, summary: Summary) {
        self.facts.send_modify(|facts| facts.summary = Some(Arc::new(summary)));
    }

    pub(super) fn set_roster(self: &Arc<Self>, roster: &Roster) {
        let changed = self.facts.send_if_modified(|facts| {
            let other = *facts.roster != *roster;
            if other {
                facts.roster = Arc::new(roster.clone());
            }
            other
        });
        if !changed {
            return;
        }
        let me = self.facts.borrow().me.id;
        let mut members = self.members();
        for (id, known) in members.iter_mut().filter(|(id, _)| roster.get(**id).is_none()) {
            if known.dialler.take().is_some() {
                tracing::info!(member = %id, "no member of the group any more, and not dialled");
            }
            known.hang_up();
            (known.differing, known.error) = (None, None);
        }
        members.retain(|id, known| roster.get(*id).is_some() || known.is_linked());
        for member in roster.members().iter().filter(|member| member.id != me) {
            let known = members.entry(member.id).or_default();
            if known.dialler.as_ref().is_some_and(|dialler| dialler.address == member.address) {
                continue;
            }
            let (address, stop) = (member.address.clone(), self.stop.child_token());
            let wake = Arc::new(Notify::new());
            known.hang_up();
            let dialler = Dialler { address: address.clone(), stop: stop.clone(), wake: Arc::clone(&wake) };
            known.dialler = Some(dialler);
            let dialling = dial::keep(Arc::clone(self), member.id, address, wake);
            self.edges.spawn(stop.run_until_cancelled_owned(dialling));
        }
    }

    pub(super) fn send(&self, to: MemberId, frame: Bytes) {
        let mut members = self.members();
        let Some(known) = members.get_mut(&to) else { return };
        let length = frame.len();
        // Heartbeats do not stand behind a snapshot as long as there are two ways.
        let (first, second) = match frame::is_bulk(&frame) {
            false => (known.dialled.as_mut(), known.accepted.as_mut()),
            true => (known.accepted.as_mut(), known.dialled.as_mut()),
        };
        let Some(writer) = first.or(second) else {
            known.dropped += 1;
            return;
        };
        let waiting = writer.waiting.fetch_add(length, Ordering::Relaxed);
        if waiting + length <= MEMBER_QUEUE_BYTES && writer.queue.try_send(frame).is_ok() {
            known.sent += 1;
            return;
        }
        writer.waiting.fetch_sub(length, Ordering::Relaxed);
        known.dropped += 1;
        if !std::mem::replace(&mut writer.said_full, true) {
            tracing::warn!(member = %to, waiting, "frames dropped: the member does not take them as fast as they are made");
        }
    }

    /// A connection has passed its handshake. An older one of the same side gives way: the member was started anew.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn enter(&self, of: &Introduction, side: Side) -> Result<Place, Refusal> {
        let in_group = self.facts.borrow().roster.get(of.id).is_some();
        let mut members = self.members();
        let accepted = members.values().filter(|known| known.accepted.is_some()).count();
        if side == Side::Accepted && !in_group && accepted >= MAX_MEMBER_LINKS {
            return Err(Refusal::Crowded);
        }
        let known = members.entry(of.id).or_default();
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let (sender, queue) = mpsc::channel(MEMBER_QUEUE);
        let (waiting, close) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        if !known.is_linked() {
            known.since = Some(SystemTime::now());
            tracing::info!(member = %of.id, name = %of.name, release = %of.version, address = %of.address, "linked with a member");
        }
        let writer = Writer {
            serial,
            queue: sender,
            waiting: Arc::clone(&waiting),
            close: close.clone(),
            said_full: false,
        };
        let before = match side {
            Side::Dialled => {
                known.error = None;
                known.dialled.replace(writer)
            }
            Side::Accepted => {
                // Whoever comes can be reached: why wait before it is dialled again?
                if let (None, Some(dialler)) = (&known.dialled, &known.dialler) {
                    dialler.wake.notify_one();
                }
                known.accepted.replace(writer)
            }
        };
        if let Some(before) = before {
            before.close.cancel();
        }
        known.introduction = Some(of.clone());
        Ok(Place { id: of.id, side, serial, queue, waiting, close })
    }

    /// A connection has ended. `why` is `None` where there is nothing to be said.
    pub(super) fn leave(&self, place: &Place, why: Option<&str>) {
        let in_group = self.facts.borrow().roster.get(place.id).is_some();
        let mut members = self.members();
        let Some(known) = members.get_mut(&place.id) else { return };
        let writer = match place.side {
            Side::Dialled => &mut known.dialled,
            Side::Accepted => &mut known.accepted,
        };
        // A newer connection may have the place by now.
        if writer.as_ref().is_none_or(|writer| writer.serial != place.serial) {
            return;
        }
        *writer = None;
        if let Some(why) = why {
            known.error = Some(why.to_owned());
        }
        if known.is_linked() {
            return;
        }
        known.since = None;
        if let Some(why) = why {
            tracing::warn!(member = %place.id, why, "the link to a member is lost");
        }
        if !in_group {
            members.remove(&place.id);
        }
    }

    /// A member could not be dialled.
    pub(super) fn undialled(&self, id: MemberId, address: &str, why: &str) {
        let mut members = self.members();
        let Some(known) = members.get_mut(&id) else { return };
        if known.error.as_deref() == Some(why) {
            return;
        }
        known.error = Some(why.to_owned());
        let it_comes = known.is_linked();
        tracing::warn!(member = %id, address, why, it_comes, "cannot be linked with a member");
    }

    /// Somebody came who was not let in.
    pub(super) fn kept_out(&self, source: IpAddr, why: &str) {
        let news =
            self.said.lock().unwrap_or_else(PoisonError::into_inner).is_news(source, why, Instant::now());
        if news {
            tracing::warn!(%source, why, "somebody who came as a member was not let in");
        }
    }

    pub(super) fn let_in(&self, source: IpAddr) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).fine(source);
    }

    pub(super) fn received(&self, id: MemberId) {
        if let Some(known) = self.members().get_mut(&id) {
            known.received += 1;
        }
    }

    pub(super) fn introduced_again(&self, of: &Introduction) {
        if let Some(known) = self.members().get_mut(&of.id) {
            known.introduction = Some(of.clone());
        }
    }

    /// Two configurations were compared.
    pub(super) fn compared(&self, id: MemberId, found: &[String]) {
        let mut members = self.members();
        let Some(known) = members.get_mut(&id) else { return };
        let before = known.differing.replace(found.to_vec());
        if before.as_deref() == Some(found) {
            return;
        }
        if !found.is_empty() {
            let keys = found.join(", ");
            tracing::warn!(member = %id, keys, "the configuration of this server differs from the member's");
        } else if before.is_some() {
            tracing::info!(member = %id, "the configuration of this server is the member's again");
        }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        let roster = Arc::clone(&self.facts.borrow().roster);
        let shown = |(id, known): (&MemberId, &Known)| {
            let of = known.introduction.as_ref();
            let (name, version) = (of.map(|of| of.name.clone()), of.map(|of| of.version.clone()));
            let member = roster.get(*id);
            Seen {
                id: *id,
                name,
                kind: member.map(|member| member.kind).or(of.map(|of| of.kind)),
                version,
                address: member.map(|member| member.address.clone()).or(of.map(|of| of.address.clone())),
                connected: known.since,
                error: known.error.clone(),
                sent: known.sent,
                dropped: known.dropped,
                received: known.received,
                differing: known.differing.clone(),
            }
        };
        self.members().iter().map(shown).collect()
    }

    pub(super) fn differing(&self) -> Vec<String> {
        let members = self.members();
        let found = members.values().filter_map(|known| known.differing.as_ref()).flatten();
        let mut all: Vec<String> = found.cloned().collect();
        all.sort_by_key(|key| (key == FURTHER, key.starts_with("[["), key.clone()));
        all.dedup();
        if all.len() > MAX_DIFFERING {
            all.truncate(MAX_DIFFERING);
            all.push(FURTHER.to_owned());
        }
        all
    }
}

impl Known {
    fn is_linked(&self) -> bool {
        self.dialled.is_some() || self.accepted.is_some()
    }

    /// Who dialled is told to stop, and what was dialled ends with him.
    fn hang_up(&mut self) {
        self.dialled = None;
        if self.accepted.is_none() {
            self.since = None;
        }
    }
}

impl Drop for Dialler {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
