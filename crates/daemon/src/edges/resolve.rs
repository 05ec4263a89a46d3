//! Host names: those in trunk contacts are located at start, after a reload and whenever their records have run out. A
//! name that cannot be located is no reason to stop: its trunk keeps the places that it has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tandem_sip::locate::{Candidate, Speaks, Wanted};
use tandem_switch::{Directory, Input};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::dns::{Dns, Located};
use super::tcp::TcpEdge;
use crate::command::Commands;
use crate::limits::{MAX_LOOKUPS, RESOLVE_AGAIN};

/// What is known of one name.
#[derive(Default)]
struct Name {
    /// Where it leads, as the last answer said.
    found: Vec<Candidate>,
    /// When it is looked up anew; `None` while a look-up is under way.
    due: Option<Instant>,
    /// It cannot be located for the time being: that is said once.
    lost: bool,
}

type Outcome = (Wanted, Result<Located, String>);

/// Looks names up until the server stops.
pub struct Resolve {
    dns: Arc<Dns>,
    commands: Commands,
    connections: Arc<TcpEdge>,
    names: BTreeMap<Wanted, Name>,
    speaks: Speaks,
    lookups: JoinSet<Outcome>,
}

impl Resolve {
    /// Nothing is known yet.
    pub fn new(dns: Dns, commands: Commands, connections: Arc<TcpEdge>) -> Self {
        let (names, speaks, lookups) = (BTreeMap::new(), Speaks::default(), JoinSet::new());
        Self { dns: Arc::new(dns), commands, connections, names, speaks, lookups }
    }

    /// See the module.
    pub async fn run(mut self, mut directory: watch::Receiver<Arc<Directory>>) {
        let first = Arc::clone(&directory.borrow_and_update());
        self.adopt(&first);
        loop {
            self.begin();
            let due = self.names.values().filter_map(|name| name.due).min();
            let wait = due.filter(|_| self.lookups.len() < MAX_LOOKUPS);
            let alive = tokio::select! {
                Some(Ok((wanted, outcome))) = self.lookups.join_next() => self.ended(wanted, outcome).await,
                changed = directory.changed() => {
                    let new = Arc::clone(&directory.borrow_and_update());
                    self.adopt(&new);
                    changed.is_ok() && self.tell_all().await
                }
                () = tokio::time::sleep_until(wait.unwrap_or_else(Instant::now).into()), if wait.is_some() => true,
            };
            if !alive {
                return;
            }
        }
    }

    /// Names of trunks that are there now; those that were there before are known.
    fn adopt(&mut self, directory: &Directory) {
        let listen = directory.server.listen.iter();
        self.speaks = listen
            .fold(Speaks::default(), |speaks, listen| speaks.with(listen.transport, listen.addr.is_ipv4()));
        let trunks = directory.trunks().iter();
        let wanted: Vec<Wanted> = trunks.filter_map(|trunk| trunk.contact.resolve.clone()).collect();
        self.names.retain(|name, _| wanted.contains(name));
        for name in wanted {
            self.names.entry(name).or_insert_with(|| Name { due: Some(Instant::now()), ..Name::default() });
        }
    }

    fn begin(&mut self) {
        let now = Instant::now();
        for (wanted, name) in &mut self.names {
            if self.lookups.len() >= MAX_LOOKUPS {
                return;
            }
            if name.due.take_if(|due| *due <= now).is_none() {
                continue;
            }
            let (dns, wanted, speaks) = (Arc::clone(&self.dns), wanted.clone(), self.speaks);
            self.lookups.spawn(async move {
                let outcome = dns.find(&wanted, speaks).await;
                (wanted, outcome)
            });
        }
    }

    /// What a look-up brought. False when the server is stopping.
    async fn ended(&mut self, wanted: Wanted, outcome: Result<Located, String>) -> bool {
        let Some(name) = self.names.get_mut(&wanted) else { return true };
        let outcome = outcome.and_then(|located| {
            if located.found.is_empty() {
                Err("there is no such host for this server".to_owned())
            } else {
                Ok(located)
            }
        });
        match outcome {
            Ok(Located { found, holds_for }) => {
                name.due = Some(Instant::now() + holds_for);
                if std::mem::take(&mut name.lost) || found != name.found {
                    let places = listed(&found);
                    tracing::info!(host = %wanted.host, %places, holds_s = holds_for.as_secs(), "located");
                }
                name.found = found;
                self.tell(&wanted).await
            }
            Err(why) => {
                name.due = Some(Instant::now() + RESOLVE_AGAIN);
                if !std::mem::replace(&mut name.lost, true) {
                    let keeps = listed(&name.found);
                    tracing::warn!(host = %wanted.host, %why, %keeps, "cannot be located; its trunks keep what they have");
                }
                true
            }
        }
    }

    /// A new directory knows no places: those that are known come before anything is waited for.
    async fn tell_all(&self) -> bool {
        for wanted in self.names.keys() {
            if !self.tell(wanted).await {
                return false;
            }
        }
        true
    }

    async fn tell(&self, wanted: &Wanted) -> bool {
        let found = self.names.get(wanted).map(|name| name.found.clone()).unwrap_or_default();
        if found.is_empty() {
            return true;
        }
        self.connections.named(&wanted.host, found.iter().map(|candidate| candidate.addr).collect());
        self.commands.input(Input::Located { wanted: wanted.clone(), found }).await
    }
}

fn listed(found: &[Candidate]) -> String {
    if found.is_empty() {
        return "nothing".to_owned();
    }
    let places = found.iter().map(|candidate| format!("{} {}", candidate.transport, candidate.addr));
    places.collect::<Vec<_>>().join(", ")
}
