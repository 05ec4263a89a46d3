//! How sessions begin, go on over another connection, are restored after a takeover, and end.

use std::sync::Arc;

use tandem_cti::{ErrorCode, Event, EventName, Refusal, Resumed, Role};
use tandem_peer::replica::{Record, Replicated};
use tandem_peer::{Change, ChangeLog};

use super::record::{Identity, Progress, Registration};
use super::stream::Stream;
use super::{Client, Gone, Presence, Sessions, outgoing, stamped};
use crate::cti::{LinkId, Outgoing, SessionId};
use crate::ids::hex;
use crate::limits::{MAX_SESSIONS, RESTORED_SESSION_GRACE, SESSION_LINGER};
use crate::time::{Deadline, Now};

/// A client that opens a session, or continues one. The person has proven who he is.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    /// Its connection.
    pub link: LinkId,
    /// User name.
    pub person: Arc<str>,
    /// Role.
    pub role: Role,
    /// What the client says it is.
    pub application: &'a str,
    /// Token of the session that it continues, and the number of the last event that it has.
    pub resume: Option<(&'a str, u64)>,
    /// `ReferenceID`.
    pub reference_id: Option<u32>,
    /// Name of this server.
    pub server: &'a str,
    /// Token of a new session: 128 random bits.
    pub token: u128,
}

/// What became of a session that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A new one.
    New,
    /// It goes on, and the missed events have been sent again.
    Continued,
    /// It goes on with a gap: its DNs must be described anew.
    Gap {
        /// DNs that it has registered.
        dns: Vec<Arc<str>>,
    },
    /// There is no room: the client has been told, and its connection is to be closed.
    Full,
}

impl Sessions {
    /// Opens a session, or continues one. Its answer `EventLinkConnected` is the first event that the link hears;
    /// after it, with [`Opened::Continued`], what was missed. The answer is no part of the stream: its number is the
    /// one after which the stream goes on, 0 in a new session.
    pub fn open(&mut self, log: &mut ChangeLog, now: Now, opening: &Opening<'_>) -> Opened {
        self.closed(now, opening.link);
        match self.continued(opening) {
            Some((session, after)) => self.go_on(log, now, opening, session, after),
            None => self.begin(log, now, opening),
        }
    }

    /// The session that the client may continue. One of somebody else is as good as unknown.
    fn continued(&self, opening: &Opening<'_>) -> Option<(SessionId, u64)> {
        let (token, after) = opening.resume?;
        let session = *self.by_token.get(&parse_token(token)?)?;
        let is_his = self.clients.get(&session)?.identity.person == opening.person;
        is_his.then_some((session, after))
    }

    fn go_on(
        &mut self,
        log: &mut ChangeLog,
        now: Now,
        opening: &Opening<'_>,
        session: SessionId,
        after: u64,
    ) -> Opened {
        let Some(client) = self.clients.get_mut(&session) else { return Opened::New };
        match client.presence {
            Presence::Here(old) => {
                self.by_link.remove(&old);
                self.closing.push_back(old);
            }
            Presence::Lost { until, .. } | Presence::Away { until, .. } => {
                self.due.remove(&(until, session));
            }
        }
        client.presence = Presence::Here(opening.link);
        self.by_link.insert(opening.link, session);
        let identity = &mut client.identity;
        if identity.role != opening.role || *identity.application != *opening.application {
            identity.update(log, |identity| {
                identity.role = opening.role;
                identity.application = opening.application.into();
            });
        }
        let token = identity.token;
        let missed = client.stream.missed(after);
        let (resumed, from) = match missed {
            Some(_) => (Resumed::Continued, after),
            None => (Resumed::Gap, client.stream.last()),
        };
        self.outgoing.push_back(welcome(now, opening, token, resumed, from));
        let Some(missed) = missed else {
            return Opened::Gap { dns: client.dns.keys().cloned().collect() };
        };
        self.outgoing.extend(missed.map(|numbered| outgoing(opening.link, numbered)));
        Opened::Continued
    }

    fn begin(&mut self, log: &mut ChangeLog, now: Now, opening: &Opening<'_>) -> Opened {
        if self.clients.len() >= MAX_SESSIONS && !self.make_room(log) {
            let message = format!("the server holds {MAX_SESSIONS} sessions and takes no more");
            let refusal = Refusal::because(ErrorCode::ResUnavail, message);
            self.refuse(now, opening.link, opening.reference_id, &refusal);
            self.closing.push_back(opening.link);
            return Opened::Full;
        }
        self.last_session += 1;
        let session = SessionId(self.last_session);
        let identity = Identity {
            token: opening.token,
            person: Arc::clone(&opening.person),
            role: opening.role,
            application: opening.application.into(),
            since_unix_ms: now.unix_ms,
        };
        let client = Client {
            identity: Replicated::create(session.0, identity, log),
            stream: Stream::new(Replicated::create(session.0, Progress::default(), log)),
            dns: std::collections::BTreeMap::new(),
            presence: Presence::Here(opening.link),
        };
        self.clients.insert(session, client);
        self.by_token.insert(opening.token, session);
        self.by_link.insert(opening.link, session);
        self.outgoing.push_back(welcome(now, opening, opening.token, Resumed::New, 0));
        Opened::New
    }

    /// Ends the session that has been disconnected longest, if there is one.
    fn make_room(&mut self, log: &mut ChangeLog) -> bool {
        let is_away = |session: &SessionId| {
            let presence = self.clients.get(session).map(|client| client.presence);
            matches!(presence, Some(Presence::Away { .. }))
        };
        let oldest = self.due.iter().map(|(_, session)| *session).find(is_away);
        oldest.is_some_and(|session| {
            self.end(log, session);
            true
        })
    }

    /// The connection is gone.
    pub fn closed(&mut self, now: Now, link: LinkId) {
        let Some(session) = self.by_link.remove(&link) else { return };
        let until = Deadline::after(now.unix_ms, self.disconnect_grace);
        self.leave(session, Presence::Lost { since_ms: now.unix_ms, until }, until);
        self.expire_grace(now);
    }

    fn leave(&mut self, session: SessionId, presence: Presence, until: Deadline) {
        if let Some(client) = self.clients.get_mut(&session) {
            client.presence = presence;
            self.due.insert((until, session));
        }
    }

    /// Who counts as disconnected from now on. A grace of zero is over at once.
    fn expire_grace(&mut self, now: Now) {
        let past = self.due.iter().take_while(|(until, _)| until.is_past(now.unix_ms));
        let sessions: Vec<(Deadline, SessionId)> = past.copied().collect();
        for (until, session) in sessions {
            let presence = self.clients.get(&session).map(|client| client.presence);
            let Some(Presence::Lost { since_ms, .. }) = presence else { continue };
            self.due.remove(&(until, session));
            let until = Deadline::after(since_ms, SESSION_LINGER.max(self.disconnect_grace));
            self.leave(session, Presence::Away { since_ms, until }, until);
            self.gone.push_back(Gone::Disconnected { session });
        }
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, log: &mut ChangeLog, now: Now) {
        for (_, orphan) in std::mem::take(&mut self.restoring) {
            orphan.delete(log);
        }
        self.expire_grace(now);
        while let Some((until, session)) = self.due.first().copied()
            && until.is_past(now.unix_ms)
        {
            self.end(log, session);
        }
    }

    pub(super) fn end(&mut self, log: &mut ChangeLog, session: SessionId) {
        let Some(client) = self.clients.remove(&session) else { return };
        match client.presence {
            Presence::Here(link) => {
                self.by_link.remove(&link);
            }
            Presence::Lost { until, .. } | Presence::Away { until, .. } => {
                self.due.remove(&(until, session));
            }
        }
        self.by_token.remove(&client.identity.token);
        let dns: Vec<Arc<str>> = client.dns.keys().cloned().collect();
        for (dn, registration) in client.dns {
            self.registered.remove(&dn, session);
            registration.delete(log);
        }
        client.stream.delete(log);
        let person = client.identity.delete(log).person;
        self.gone.push_back(Gone::Session { session, person, dns });
    }

    /// When the next timer is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.due.first().map(|(until, _)| *until)
    }

    /// Sessions now.
    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Sessions that are opened from now on have numbers that none of an earlier epoch had.
    pub fn begin_epoch(&mut self, epoch: u32) {
        self.last_session = self.last_session.max(u64::from(epoch) << 32);
    }

    /// Takes up a stored record after a restart or a takeover; true if it is one of a client's. Records come in the
    /// order of their keys. Clients have a grace of their own to come back, so that a takeover logs nobody out.
    pub fn restore(&mut self, log: &mut ChangeLog, now: Now, change: &Change) -> bool {
        match change.key.kind {
            Identity::KIND => {
                if let Some(identity) = Replicated::restore(change) {
                    let session = SessionId(change.key.id);
                    self.last_session = self.last_session.max(session.0);
                    self.restoring.insert(session, identity);
                }
            }
            Progress::KIND => {
                if let Some(progress) = Replicated::<Progress>::restore(change) {
                    self.restore_stream(log, now, progress);
                }
            }
            Registration::KIND => {
                if let Some(registration) = Replicated::<Registration>::restore(change) {
                    self.last_registration = self.last_registration.max(change.key.id);
                    self.restore_registration(log, registration);
                }
            }
            _ => return false,
        }
        true
    }

    fn restore_stream(&mut self, log: &mut ChangeLog, now: Now, progress: Replicated<Progress>) {
        let session = SessionId(progress.key().id);
        let Some(identity) = self.restoring.remove(&session) else {
            progress.delete(log);
            return;
        };
        let until = Deadline::after(now.unix_ms, self.disconnect_grace.max(RESTORED_SESSION_GRACE));
        let presence = Presence::Lost { since_ms: now.unix_ms, until };
        self.by_token.insert(identity.token, session);
        let (stream, dns) = (Stream::new(progress), std::collections::BTreeMap::new());
        self.clients.insert(session, Client { identity, stream, dns, presence });
        self.due.insert((until, session));
    }

    fn restore_registration(&mut self, log: &mut ChangeLog, registration: Replicated<Registration>) {
        match self.clients.get_mut(&registration.session) {
            Some(client) if !client.dns.contains_key(&registration.dn) => {
                self.registered.put(&registration.dn, registration.session, registration.mode);
                client.dns.insert(Arc::clone(&registration.dn), registration);
            }
            Some(_) | None => {
                registration.delete(log);
            }
        }
    }
}

fn welcome(now: Now, opening: &Opening<'_>, token: u128, resumed: Resumed, from: u64) -> Outgoing {
    let event = Event {
        server: Some(opening.server.to_owned()),
        session: Some(token_text(token)),
        role: Some(opening.role),
        resumed: Some(resumed),
        ..Event::new(EventName::LinkConnected)
    };
    let event = stamped(event, now);
    Outgoing { link: opening.link, sequence: from, reference_id: opening.reference_id, event }
}

/// How a token is written: 32 hexadecimal digits.
fn token_text(token: u128) -> String {
    hex::<32>(&token.to_be_bytes()).iter().map(|digit| char::from(*digit)).collect()
}

fn parse_token(text: &str) -> Option<u128> {
    let is_token = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_token.then(|| u128::from_str_radix(text, 16).ok())?
}
