//! A connection to one CTI server: opens it, goes on with its session, registers DNs, and hands events over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use tandem_cti::{
    ControlMode, Event, EventName, KvList, RegisterMode, Request, Resumed, TOpenServer, TRegisterAddress,
};
use tandem_stat::Position;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::wire::{Wire, WireError};
use crate::config::{PasswordAt, StatSite};
use crate::limits::{
    CTI_ANSWER_WITHIN, CTI_BACKOFF, CTI_BACKOFF_MOST, MAX_UNANSWERED_REGISTRATIONS, STAT_PING_EVERY,
    STAT_UNHEARD_PINGS,
};

/// What a site's connection tells.
#[derive(Debug)]
pub enum Told {
    /// It is up.
    Up,
    /// An event.
    Event(Box<Event>),
    /// It is down.
    Down,
}

/// Told by the site of this number.
pub type FromSite = (usize, Told);

/// What the connection and the model share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Where to go on; the model moves it.
    pub position: Mutex<Option<Position>>,
    /// The model has found a hole in the stream: connect anew.
    pub reopen: Notify,
}

impl Shared {
    /// Where to go on.
    pub fn position(&self) -> Option<Position> {
        self.position.lock().ok()?.clone()
    }

    /// Moves it.
    pub fn set_position(&self, position: Option<Position>) {
        if let Ok(mut place) = self.position.lock() {
            *place = position;
        }
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The transport.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// The password is not where it should be.
    #[error("the password of user {user} cannot be read from {place}: {why}")]
    Password { user: String, place: String, why: String },
    /// The server refuses the session.
    #[error("the server refuses the session: {0}")]
    Refused(String),
    /// It says nothing.
    #[error("no answer within {} s", CTI_ANSWER_WITHIN.as_secs())]
    Silent,
    /// Not what a CTI server says.
    #[error("the server said what is no event: {0}")]
    Unreadable(String),
    /// Events are missing.
    #[error("events are missing in the stream")]
    Hole,
    /// Nobody takes events any more.
    #[error("the service is ending")]
    Ending,
}

/// A client of one site.
pub struct Link {
    site: usize,
    config: StatSite,
    /// DNs to register.
    dns: Vec<Arc<str>>,
    shared: Arc<Shared>,
    events: mpsc::Sender<FromSite>,
    /// DNs that the session has registered, as far as this process knows.
    registered: BTreeSet<Arc<str>>,
    reference: u32,
}

impl Link {
    /// A client that has not connected yet.
    pub fn new(
        site: usize,
        config: StatSite,
        dns: Vec<Arc<str>>,
        shared: Arc<Shared>,
        events: mpsc::Sender<FromSite>,
    ) -> Self {
        // The server takes a request that has the number of an earlier one for the same request. An earlier process may
        // have used this session, so numbers begin where the clock is.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let reference = u32::try_from(since.as_millis() & 0x7fff_ffff).unwrap_or_default();
        Self { site, config, dns, shared, events, registered: BTreeSet::new(), reference }
    }

    /// Connects, again and again, until nobody takes events any more.
    pub async fn run(mut self) {
        let (mut wait, mut attempt) = (CTI_BACKOFF, 0);
        loop {
            let urls = self.config.urls.len().max(1);
            let url = self.config.urls.get(attempt % urls).cloned().unwrap_or_default();
            attempt += 1;
            let mut served = false;
            let error = match self.serve(&url, &mut served).await {
                Ok(()) => LinkError::Silent,
                Err(LinkError::Ending) => return,
                Err(error) => error,
            };
            let switch = &self.config.switch;
            tracing::warn!(%switch, %url, %error, "not connected to the CTI server");
            if served {
                wait = CTI_BACKOFF;
                if self.events.send((self.site, Told::Down)).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(CTI_BACKOFF_MOST);
        }
    }

    /// One connection, from its opening to its end.
    async fn serve(&mut self, url: &str, served: &mut bool) -> Result<(), LinkError> {
        let password = self.password()?;
        let opening = timeout(CTI_ANSWER_WITHIN, Wire::connect(url, self.config.ca_file.as_deref()));
        let mut wire = opening.await.map_err(|_| LinkError::Silent)??;
        wire.send(&self.opening(password)).await?;
        let answer =
            timeout(CTI_ANSWER_WITHIN, self.next(&mut wire)).await.map_err(|_| LinkError::Silent)??;
        if answer.event != EventName::LinkConnected {
            let message = answer.error_message.unwrap_or_else(|| answer.event.as_str().to_owned());
            return Err(LinkError::Refused(message));
        }
        let resumed = answer.resumed.unwrap_or(Resumed::New);
        if resumed == Resumed::New {
            self.registered.clear();
        }
        tracing::info!(switch = %self.config.switch, %url, ?resumed, "connected to the CTI server");
        *served = true;
        self.tell(Told::Up).await?;
        self.tell(Told::Event(Box::new(answer))).await?;
        self.listen(&mut wire).await
    }

    async fn listen(&mut self, wire: &mut Wire) -> Result<(), LinkError> {
        let mut wanted: Vec<Arc<str>> =
            self.dns.iter().rev().filter(|dn| !self.registered.contains(*dn)).cloned().collect();
        let mut asked: BTreeMap<u32, Arc<str>> = BTreeMap::new();
        let mut pings = tokio::time::interval(STAT_PING_EVERY);
        let mut unheard = 0;
        let shared = Arc::clone(&self.shared);
        loop {
            while asked.len() < MAX_UNANSWERED_REGISTRATIONS
                && let Some(dn) = wanted.pop()
            {
                self.reference = self.reference.wrapping_add(1);
                wire.send(&registration(self.reference, &dn)).await?;
                asked.insert(self.reference, dn);
            }
            let event = tokio::select! {
                event = self.next(wire) => event?,
                () = shared.reopen.notified() => return Err(LinkError::Hole),
                _ = pings.tick() => {
                    unheard = if wire.take_heard() { 0 } else { unheard + 1 };
                    if unheard >= STAT_UNHEARD_PINGS {
                        return Err(LinkError::Silent);
                    }
                    wire.ping().await?;
                    continue;
                }
            };
            if let Some(dn) = event.reference_id.and_then(|reference| asked.remove(&reference)) {
                if event.event == EventName::Error {
                    let why = event.error_message.as_deref().unwrap_or_default();
                    tracing::warn!(switch = %self.config.switch, %dn, why, "the DN cannot be watched");
                } else {
                    self.registered.insert(dn);
                }
            }
            self.tell(Told::Event(Box::new(event))).await?;
        }
    }

    async fn next(&self, wire: &mut Wire) -> Result<Event, LinkError> {
        let text = wire.next().await?;
        serde_json::from_str(&text).map_err(|error| LinkError::Unreadable(error.to_string()))
    }

    async fn tell(&self, told: Told) -> Result<(), LinkError> {
        self.events.send((self.site, told)).await.map_err(|_| LinkError::Ending)
    }

    fn opening(&self, password: String) -> Request {
        let position = self.shared.position();
        Request::TOpenServer(TOpenServer {
            reference_id: None,
            user_name: self.config.user.clone(),
            password,
            application_name: Some("tandem-stat".to_owned()),
            session: position.as_ref().map(|position| position.session.clone()),
            after: position.map(|position| position.after),
            reasons: KvList::new(),
            extensions: KvList::new(),
        })
    }

    /// Read anew for every connection, so that a changed password needs no restart.
    fn password(&self) -> Result<String, LinkError> {
        let (place, found) = match &self.config.password {
            PasswordAt::File(path) => {
                (path.display().to_string(), std::fs::read_to_string(path).map_err(|error| error.to_string()))
            }
            PasswordAt::Variable(name) => {
                (format!("the variable {name}"), std::env::var(name).map_err(|error| error.to_string()))
            }
        };
        let first = found.map(|text| text.lines().next().unwrap_or_default().to_owned());
        first.map_err(|why| LinkError::Password { user: self.config.user.clone(), place, why })
    }
}

fn registration(reference: u32, dn: &str) -> Request {
    Request::TRegisterAddress(TRegisterAddress {
        reference_id: Some(reference),
        this_dn: dn.to_owned(),
        register_mode: Some(RegisterMode::Monitor),
        control_mode: Some(ControlMode::Default),
        address_type: None,
        reasons: KvList::new(),
        extensions: KvList::new(),
    })
}
