//! Clients: who is connected, which DNs each has registered, and the numbered stream of events that each hears.
//!
//! A session outlives its connections. What is told while the client is away is numbered and kept; when it comes back
//! with its token and the number of the last event it has, it is told the rest. [`stream`] keeps the events of one
//! session and the answers to its requests, [`registered`] knows who hears what, [`presence`] opens, loses and ends sessions,
//! [`record`] is what a backup knows of all that.

mod adopt;
mod presence;
mod record;
mod registered;
mod stream;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tandem_cti::{ControlMode, ErrorCode, Event, EventName, Refusal, RegisterMode, Role};
use tandem_peer::ChangeLog;
use tandem_peer::replica::Replicated;

pub use self::presence::{Opened, Opening};
pub use self::record::{Brief, Identity, Progress, Registration};
use self::registered::{Registered, Watcher};
use self::stream::{Numbered, Stream};
use super::{LinkId, Outgoing, SessionId};
use crate::limits::{MAX_CLIENT_REGISTRATIONS, MAX_DNS_PER_SESSION, STREAM_KEPT_MS};
use crate::time::{Deadline, Now};

/// What a session may be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The session.
    pub session: SessionId,
    /// User name.
    pub person: Arc<str>,
    /// Role.
    pub role: Role,
}

/// A session as `tandem session list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The session.
    pub session: SessionId,
    /// User name.
    pub person: Arc<str>,
    /// Role.
    pub role: Role,
    /// What the client says it is.
    pub application: Box<str>,
    /// Its connection; `None` while it is away.
    pub link: Option<LinkId>,
    /// DNs that it has registered.
    pub dns: usize,
    /// `EventSequenceNumber` of the last event.
    pub last: u64,
    /// When the session was opened, ms since the Unix epoch.
    pub since_unix_ms: u64,
}

/// Whether a request is to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// Yes.
    New,
    /// It came before with this `ReferenceID`: its answer was sent again, or will come when it is there.
    Again,
}

/// A session that is over, or a registration that is, without the client having asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The client has been away longer than a session outlives its connection.
    Session {
        /// The session.
        session: SessionId,
        /// User name.
        person: Arc<str>,
        /// DNs that it had registered.
        dns: Vec<Arc<str>>,
    },
    /// Its connection was lost and none replaced it within the grace: what `logout-on-disconnect` waits for.
    Disconnected {
        /// The session.
        session: SessionId,
    },
    /// Another client took the DN over (`ControlMode` Force, or a private registration of a client that is away).
    Registration {
        /// The session that has lost it.
        session: SessionId,
        /// The DN.
        dn: Arc<str>,
    },
}

/// One session.
#[derive(Debug)]
struct Client {
    identity: Replicated<Identity>,
    stream: Stream,
    dns: BTreeMap<Arc<str>, Replicated<Registration>>,
    presence: Presence,
}

/// Where its client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// Connected.
    Here(LinkId),
    /// Away; at the deadline it counts as disconnected.
    Lost { since_ms: u64, until: Deadline },
    /// Disconnected; at the deadline the session ends.
    Away { since_ms: u64, until: Deadline },
}

impl Client {
    fn link(&self) -> Option<LinkId> {
        match self.presence {
            Presence::Here(link) => Some(link),
            Presence::Lost { .. } | Presence::Away { .. } => None,
        }
    }

    fn who(&self) -> Who {
        Who {
            session: SessionId(self.identity.key().id),
            person: Arc::clone(&self.identity.person),
            role: self.identity.role,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Sessions {
    clients: BTreeMap<SessionId, Client>,
    by_token: BTreeMap<u128, SessionId>,
    by_link: BTreeMap<LinkId, SessionId>,
    registered: Registered,
    /// Sessions whose client is away, by what is due next.
    due: BTreeSet<(Deadline, SessionId)>,
    /// Who restored sessions belong to, until their streams are restored too.
    restoring: BTreeMap<SessionId, Replicated<Identity>>,
    last_session: u64,
    last_registration: u64,
    disconnect_grace: Duration,
    outgoing: VecDeque<Outgoing>,
    closing: VecDeque<LinkId>,
    gone: VecDeque<Gone>,
}

impl Sessions {
    /// `logout-on-disconnect-grace`: how long the loss of a connection may last before the client counts as
    /// disconnected. Zero, the default: not at all.
    pub fn set_disconnect_grace(&mut self, grace: Duration) {
        self.disconnect_grace = grace;
    }

    /// Who speaks on this connection; `None` before it is opened.
    #[must_use]
    pub fn who(&self, link: LinkId) -> Option<Who> {
        self.clients.get(self.by_link.get(&link)?).map(Client::who)
    }

    /// Every session, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<View> {
        let view = |client: &Client| {
            let Who { session, person, role } = client.who();
            View {
                session,
                person,
                role,
                application: client.identity.application.clone(),
                link: client.link(),
                dns: client.dns.len(),
                last: client.stream.last(),
                since_unix_ms: client.identity.since_unix_ms,
            }
        };
        self.clients.values().map(view).collect()
    }

    /// Who has registered which DNs, once for each.
    pub fn registrations(&self) -> impl Iterator<Item = (Who, &Arc<str>)> {
        self.clients.values().flat_map(|client| client.dns.keys().map(|dn| (client.who(), dn)))
    }

    /// Whether a request is new. Of one that is not, the answer is sent again under its first
    /// `EventSequenceNumber`, if it is there.
    pub fn admit(&mut self, session: SessionId, reference_id: Option<u32>) -> Admitted {
        let Some(reference_id) = reference_id else { return Admitted::New };
        let Some(client) = self.clients.get_mut(&session) else { return Admitted::New };
        let (admitted, answer) = client.stream.admit(reference_id);
        if let (Some(answer), Some(link)) = (answer, client.link()) {
            self.outgoing.push_back(outgoing(link, answer));
        }
        admitted
    }

    /// Registers a DN for a session, or changes how it is registered. Monitors and private registrations do not
    /// disturb each other: whoever only listens takes nothing from anybody.
    ///
    /// # Errors
    /// 506 if another has it privately, or it is wanted privately and another has it; 166 if a table is full.
    pub fn register(
        &mut self,
        log: &mut ChangeLog,
        now: Now,
        session: SessionId,
        dn: &Arc<str>,
        mode: RegisterMode,
        control: ControlMode,
    ) -> Result<(), Refusal> {
        let Some(client) = self.clients.get(&session) else { return Err(ErrorCode::NotRegistered.into()) };
        let is_new = !client.dns.contains_key(dn);
        if is_new && client.dns.len() >= MAX_DNS_PER_SESSION {
            let message = format!("a session registers at most {MAX_DNS_PER_SESSION} DNs");
            return Err(Refusal::because(ErrorCode::ResUnavail, message));
        }
        if is_new && self.registered.total() >= MAX_CLIENT_REGISTRATIONS {
            let message =
                format!("the server holds {MAX_CLIENT_REGISTRATIONS} registrations and takes no more");
            return Err(Refusal::because(ErrorCode::ResUnavail, message));
        }
        for loser in self.in_the_way(session, dn, mode, control)? {
            self.take(log, now, loser, dn);
            self.gone.push_back(Gone::Registration { session: loser, dn: Arc::clone(dn) });
        }
        let Some(client) = self.clients.get_mut(&session) else { return Ok(()) };
        match client.dns.get_mut(dn) {
            Some(registration) if registration.mode == mode => {}
            Some(registration) => registration.update(log, |registration| registration.mode = mode),
            None => {
                self.last_registration += 1;
                let registration = Registration { session, dn: Arc::clone(dn), mode };
                let stored = Replicated::create(self.last_registration, registration, log);
                client.dns.insert(Arc::clone(dn), stored);
            }
        }
        self.registered.put(dn, session, mode);
        Ok(())
    }

    /// Sessions that must give the DN up for this registration.
    fn in_the_way(
        &self,
        session: SessionId,
        dn: &str,
        mode: RegisterMode,
        control: ControlMode,
    ) -> Result<Vec<SessionId>, Refusal> {
        if mode == RegisterMode::Monitor {
            return Ok(Vec::new());
        }
        let is_rival = |watcher: &&Watcher| {
            watcher.session != session
                && watcher.mode != RegisterMode::Monitor
                && (mode == RegisterMode::Private || watcher.mode == RegisterMode::Private)
        };
        let rivals = || self.registered.of(dn).iter().filter(is_rival).map(|watcher| watcher.session);
        let is_connected =
            |session: &SessionId| self.clients.get(session).is_some_and(|client| client.link().is_some());
        if control != ControlMode::Force && rivals().any(|rival| is_connected(&rival)) {
            let message = match mode {
                RegisterMode::Private => {
                    "another client has registered the DN; ControlMode Force takes it over"
                }
                RegisterMode::Share | RegisterMode::Monitor => {
                    "another client has registered the DN privately; RegisterMode Monitor listens, ControlMode \
                     Force takes it over"
                }
            };
            return Err(Refusal::because(ErrorCode::RecvdInvState, message));
        }
        Ok(rivals().collect())
    }

    /// Ends that.
    ///
    /// # Errors
    /// 41 if it was not registered.
    pub fn unregister(&mut self, log: &mut ChangeLog, session: SessionId, dn: &str) -> Result<(), Refusal> {
        let registration = self.clients.get_mut(&session).and_then(|client| client.dns.remove(dn));
        registration.ok_or(ErrorCode::NotRegistered)?.delete(log);
        self.registered.remove(dn, session);
        Ok(())
    }

    /// Ends the registrations of a DN by sessions that are not to be kept, and tells each.
    pub fn evict(&mut self, log: &mut ChangeLog, now: Now, dn: &str, keep: &dyn Fn(&Who) -> bool) {
        let watchers = self.registered.of(dn).iter().map(|watcher| watcher.session);
        let unwanted =
            |session: &SessionId| self.clients.get(session).is_some_and(|client| !keep(&client.who()));
        let losers: Vec<SessionId> = watchers.filter(unwanted).collect();
        for loser in losers {
            self.take(log, now, loser, dn);
        }
    }

    /// Takes a DN from a session.
    fn take(&mut self, log: &mut ChangeLog, now: Now, loser: SessionId, dn: &str) {
        if self.unregister(log, loser, dn).is_ok() {
            let event = Event { this_dn: Some(dn.to_owned()), ..Event::new(EventName::Unregistered) };
            self.answer(log, now, loser, None, event);
        }
    }

    /// Whether a session has registered a DN, be it as a monitor.
    #[must_use]
    pub fn has(&self, session: SessionId, dn: &str) -> bool {
        self.clients.get(&session).is_some_and(|client| client.dns.contains_key(dn))
    }

    /// Whether a session may make requests for a DN: it has registered it, not as a monitor.
    #[must_use]
    pub fn controls(&self, session: SessionId, dn: &str) -> bool {
        let registration = self.clients.get(&session).and_then(|client| client.dns.get(dn));
        registration.is_some_and(|registration| registration.mode != RegisterMode::Monitor)
    }

    /// Whether anybody has registered the DN; clients that are away count, they are told when they come back.
    #[must_use]
    pub fn is_watched(&self, dn: &str) -> bool {
        !self.registered.of(dn).is_empty()
    }

    /// How many sessions of a role control a DN and are connected. A monitor cannot act, so it does not count.
    #[must_use]
    pub fn count(&self, dn: &str, role: Role) -> usize {
        let acting = self.registered.of(dn).iter().filter(|w| w.mode != RegisterMode::Monitor);
        let clients = acting.filter_map(|watcher| self.clients.get(&watcher.session));
        clients.filter(|client| client.identity.role == role && client.link().is_some()).count()
    }

    /// Tells everybody who has registered the DN; `asked` is the client whose request it answers, if one's does. That
    /// client hears it even if it has not registered the DN.
    pub fn tell(
        &mut self,
        log: &mut ChangeLog,
        now: Now,
        dn: &str,
        event: Event,
        asked: Option<(SessionId, Option<u32>)>,
    ) {
        let Self { registered, clients, outgoing, .. } = self;
        let event = stamped(event, now);
        let mut heard = false;
        for Watcher { session, .. } in registered.of(dn) {
            let is_asker = asked.is_some_and(|(asker, _)| asker == *session);
            heard |= is_asker;
            let reference_id = asked.filter(|_| is_asker).and_then(|(_, reference_id)| reference_id);
            deliver(clients, outgoing, log, now, *session, reference_id, &event);
        }
        if let Some((asker, reference_id)) = asked.filter(|_| !heard) {
            deliver(clients, outgoing, log, now, asker, reference_id, &event);
        }
    }

    /// Answers one client.
    pub fn answer(
        &mut self,
        log: &mut ChangeLog,
        now: Now,
        session: SessionId,
        reference_id: Option<u32>,
        event: Event,
    ) {
        let reference_id = reference_id.or(event.reference_id);
        let event = stamped(event, now);
        deliver(&mut self.clients, &mut self.outgoing, log, now, session, reference_id, &event);
    }

    /// Refuses a request on a connection that has no session. The answer is no part of a stream: its number is 0.
    pub fn refuse(&mut self, now: Now, link: LinkId, reference_id: Option<u32>, refusal: &Refusal) {
        let event = stamped(Event::error(refusal, None), now);
        self.outgoing.push_back(Outgoing { link, sequence: 0, reference_id, event });
    }

    /// What leaves, in order.
    pub fn poll_outgoing(&mut self) -> Option<Outgoing> {
        self.outgoing.pop_front()
    }

    /// Connections to be closed, after everything that leaves: another has taken their session over, its person is not
    /// configured so any more, or the server is full.
    pub fn poll_close(&mut self) -> Option<LinkId> {
        self.closing.pop_front()
    }

    /// Sessions and registrations that are over.
    pub fn poll_gone(&mut self) -> Option<Gone> {
        self.gone.pop_front()
    }
}

/// The shared part of an event: number and reference are each client's own.
fn stamped(event: Event, now: Now) -> Arc<Event> {
    let time = if event.time == 0 { now.unix_ms } else { event.time };
    Arc::new(Event { time, sequence: None, reference_id: None, ..event })
}

fn outgoing(link: LinkId, numbered: Numbered) -> Outgoing {
    let Numbered { sequence, reference_id, event } = numbered;
    Outgoing { link, sequence, reference_id, event }
}

/// Numbers an event for one client, and sends it if the client is there.
fn deliver(
    clients: &mut BTreeMap<SessionId, Client>,
    out: &mut VecDeque<Outgoing>,
    log: &mut ChangeLog,
    now: Now,
    session: SessionId,
    reference_id: Option<u32>,
    event: &Arc<Event>,
) {
    let Some(client) = clients.get_mut(&session) else { return };
    let (link, seen_ms) = match client.presence {
        Presence::Here(link) => (Some(link), now.unix_ms),
        Presence::Lost { since_ms, .. } | Presence::Away { since_ms, .. } => (None, since_ms),
    };
    let keep_from_ms = seen_ms.saturating_sub(STREAM_KEPT_MS);
    let numbered = client.stream.push(log, reference_id, Arc::clone(event), keep_from_ms);
    if let Some(link) = link {
        out.push_back(outgoing(link, numbered));
    }
}
