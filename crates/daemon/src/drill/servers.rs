//! The servers of the site that is drilled, as each sees itself (`GET /api/ha`), asked over and over; and the order that ends the
//! one that serves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::plan::{Plan, Side};
use super::record::Record;
use super::watch::LOOK_EVERY;
use crate::cli::client::{self, Person};

const PATH: &str = "/api/ha";
/// A server that is silent for so long does not answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// A server that was ordered to end has done so after this time.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// What one server says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Its administration interface.
    pub http: String,
    /// Names it for ever.
    pub id: String,
    /// Its name; its address until it has said one.
    pub name: String,
    /// Does it answer?
    pub answers: bool,
    /// Does it serve?
    pub serving: bool,
    /// What it is to its group.
    pub role: String,
    /// Could it take over, or does it serve?
    pub ready: bool,
    /// Why not.
    pub why_not: Vec<String>,
    /// Counts who served.
    pub epoch: u64,
    /// What it holds against the others of its group: who does not vote, or is not ready.
    pub others: Vec<String>,
}

/// A server began to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Took {
    /// When that was seen.
    pub at: Instant,
    /// Names it for ever.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its administration interface.
    pub http: String,
    /// Its epoch.
    pub epoch: u64,
}

/// See the module.
pub struct Servers {
    seen: Mutex<Vec<Server>>,
    took: Mutex<Vec<Took>>,
    /// Since when they are whole.
    whole_since: Mutex<Option<Instant>>,
    stopping: CancellationToken,
}

fn names(value: &Value, field: &str) -> Vec<String> {
    let items = value.get(field).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// What is wrong with the other members, by the page of the one that serves.
fn complaints(page: &Value) -> Vec<String> {
    let flag = |row: &Value, field: &str| row.get(field).and_then(Value::as_bool);
    let word = |row: &Value, field: &str| row.get(field).and_then(Value::as_str).map(str::to_owned);
    let mut found = Vec::new();
    for row in page.get("members").and_then(Value::as_array).into_iter().flatten() {
        let name = word(row, "name").or_else(|| word(row, "id")).unwrap_or_default();
        if flag(row, "votes") == Some(false) {
            found.push(format!("{name} does not vote"));
        }
        if flag(row, "linked") == Some(false) {
            found.push(format!("{name} is not connected"));
        }
        if flag(row, "ready") == Some(false) {
            found.push(format!("{name} could not take over: {}", names(row, "why_not").join(", ")));
        }
    }
    found
}

impl Server {
    fn silent(http: &str, name: &str) -> Self {
        Self { http: http.to_owned(), name: name.to_owned(), ..Self::default() }
    }

    fn read(http: &str, page: &Value) -> Self {
        let flag = |field: &str| page.get(field).and_then(Value::as_bool).unwrap_or(false);
        let text = |field: &str| page.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let serving = flag("serving");
        Self {
            http: http.to_owned(),
            id: text("id"),
            name: text("name"),
            answers: true,
            serving,
            role: text("role"),
            ready: flag("ready"),
            why_not: names(page, "why_not"),
            epoch: page.get("epoch").and_then(Value::as_u64).unwrap_or_default(),
            others: if serving { complaints(page) } else { Vec::new() },
        }
    }
}

/// Whether one of them serves, and whatever may happen to it another one takes over; gives the one that serves.
///
/// # Errors
/// What is missing.
pub fn whole(servers: &[Server]) -> Result<Server, String> {
    if servers.len() < 2 {
        return Err(
            "[site] of the plan names one server: http = [...] must name those that stand in for each other"
                .to_owned(),
        );
    }
    if let Some(server) = servers.iter().find(|server| !server.answers) {
        return Err(format!("{} does not answer", server.name));
    }
    let mut serving = servers.iter().filter(|server| server.serving);
    let first = serving.next().ok_or("no server of the site serves")?;
    if let Some(second) = serving.next() {
        return Err(format!(
            "{} and {} both say that they serve: are they of one site?",
            first.name, second.name
        ));
    }
    for server in servers.iter().filter(|server| !server.serving) {
        if !server.ready {
            return Err(format!("{} is not ready to take over: {}", server.name, server.why_not.join(", ")));
        }
    }
    match first.others.first() {
        Some(_) => Err(first.others.join(", ")),
        None => Ok(first.clone()),
    }
}

impl Servers {
    /// Asks each once.
    pub async fn new(plan: &Plan) -> Arc<Self> {
        let https = &Side::Site.of(&plan.sites).http;
        let seen = Mutex::new(https.iter().map(|http| Server::silent(http, http)).collect());
        let (took, whole_since, stopping) = (Mutex::default(), Mutex::default(), CancellationToken::new());
        let servers = Arc::new(Self { seen, took, whole_since, stopping });
        for (place, http) in https.iter().enumerate() {
            servers.look(place, http, None).await;
        }
        servers
    }

    /// Goes on asking until stopped. Who begins to serve goes to the record.
    pub fn start(self: &Arc<Self>, record: &Arc<Record>) {
        let https: Vec<String> = self.seen().iter().map(|server| server.http.clone()).collect();
        for (place, http) in https.into_iter().enumerate() {
            let (servers, record) = (Arc::clone(self), Arc::clone(record));
            tokio::spawn(async move {
                let mut tick = interval(LOOK_EVERY);
                tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    tokio::select! {
                        () = servers.stopping.cancelled() => return,
                        _ = tick.tick() => servers.look(place, &http, Some(&record)).await,
                    }
                }
            });
        }
    }

    /// Asks no more.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    async fn look(&self, place: usize, http: &str, record: Option<&Record>) {
        let page = timeout(ANSWERS_WITHIN, client::fetch(http, PATH)).await;
        let mut seen = self.seen();
        let Some(server) = seen.get_mut(place) else { return };
        let was = server.serving;
        *server = match page {
            Ok(Ok(page)) => Server::read(http, &page),
            Ok(Err(_)) | Err(_) => Server::silent(http, &server.name),
        };
        let Server { serving, epoch, id, name, http, .. } = server.clone();
        let is_whole = whole(&seen).is_ok();
        drop(seen);
        {
            let mut since = self.whole_since.lock().unwrap_or_else(PoisonError::into_inner);
            *since = if is_whole { since.or_else(|| Some(Instant::now())) } else { None };
        }
        if let Some(record) = record.filter(|_| serving && !was) {
            record.say(format!("{name} serves {} (epoch {epoch})", record.name(Side::Site)));
            let took = Took { at: Instant::now(), id, name, http, epoch };
            self.took.lock().unwrap_or_else(PoisonError::into_inner).push(took);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Server>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`whole`].
    ///
    /// # Errors
    /// What is missing.
    pub fn whole(&self) -> Result<Server, String> {
        whole(&self.seen())
    }

    /// Since when they are, if they are.
    pub fn whole_since(&self) -> Option<Instant> {
        *self.whole_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first that began to serve in a later epoch.
    pub fn took_over(&self, epoch: u64) -> Option<Took> {
        let took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        took.iter().find(|took| took.epoch > epoch).cloned()
    }
}

/// Has a server end, and waits until it has; gives the moment, by which nothing that the server sent was later.
///
/// # Errors
/// Why it does not: nothing has happened.
pub async fn fail(server: &Server, person: &Person<'_>) -> Result<Instant, String> {
    let Server { http, name, .. } = server;
    let authority = http.strip_prefix("http://").unwrap_or(http).trim_end_matches('/');
    // The kernel closes it with the process.
    let mut line = TcpStream::connect(authority).await.map_err(|error| format!("{http}: {error}"))?;
    let order = json!({ "action": "fail" });
    client::order(http, PATH, person, &order).await.map_err(|error| format!("{name}: {error}"))?;
    let mut nothing = [0; 1];
    match timeout(ENDS_WITHIN, line.read(&mut nothing)).await {
        Ok(Ok(0) | Err(_)) => Ok(Instant::now()),
        Ok(Ok(_)) | Err(_) => Err(format!("{name} took the order to end, and goes on")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(name: &str, serving: bool) -> Value {
        let members = json!([
            { "id": "a", "name": "north", "votes": true, "linked": null, "ready": null, "why_not": [] },
            { "id": "b", "name": "south", "votes": true, "linked": true, "ready": true, "why_not": [] },
            { "id": "c", "name": "witness", "votes": true, "linked": true, "ready": null, "why_not": [] },
        ]);
        let role = if serving { "primary" } else { "backup" };
        json!({ "name": name, "serving": serving, "role": role, "ready": true, "why_not": [], "epoch": 4, "members": members })
    }

    fn pair(change: impl FnOnce(&mut Value, &mut Value)) -> Vec<Server> {
        let (mut north, mut south) = (page("north", true), page("south", false));
        change(&mut north, &mut south);
        vec![Server::read("http://n", &north), Server::read("http://s", &south)]
    }

    fn put(page: &mut Value, path: &str, value: Value) {
        *page.pointer_mut(path).unwrap() = value;
    }

    #[test]
    fn a_pair_is_whole_when_one_serves_and_the_other_could() {
        let primary = whole(&pair(|_, _| ())).unwrap();
        assert_eq!((&*primary.name, &*primary.http, primary.epoch), ("north", "http://n", 4));
    }

    #[test]
    fn whoever_asks_hears_why_a_pair_is_not_whole() {
        let said = |servers: Vec<Server>| whole(&servers).unwrap_err();
        let mut one = pair(|_, _| ());
        one.truncate(1);
        assert!(said(one).contains("must name those"));
        let mut dead = pair(|_, _| ());
        dead.pop();
        dead.push(Server::silent("http://s", "south"));
        assert_eq!(said(dead), "south does not answer");
        assert!(said(pair(|north, _| put(north, "/serving", json!(false)))).contains("no server"));
        assert!(said(pair(|_, south| put(south, "/serving", json!(true)))).contains("north and south both"));
        let behind = pair(|_, south| {
            put(south, "/ready", json!(false));
            put(south, "/why_not", json!(["9 records behind"]));
        });
        assert_eq!(said(behind), "south is not ready to take over: 9 records behind");
        let differs = pair(|north, _| {
            put(north, "/members/1/ready", json!(false));
            put(north, "/members/1/why_not", json!(["its configuration differs in realm"]));
        });
        assert!(said(differs).contains("south could not take over: its configuration differs in realm"));
        assert_eq!(
            said(pair(|north, _| put(north, "/members/2/votes", json!(false)))),
            "witness does not vote"
        );
        assert_eq!(
            said(pair(|north, _| put(north, "/members/2/linked", json!(false)))),
            "witness is not connected"
        );
    }

    #[test]
    fn only_a_later_epoch_takes_over() {
        let servers = Servers {
            seen: Mutex::default(),
            took: Mutex::default(),
            whole_since: Mutex::default(),
            stopping: CancellationToken::new(),
        };
        let took = |name: &str, epoch| Took {
            at: Instant::now(),
            id: String::new(),
            name: name.to_owned(),
            http: String::new(),
            epoch,
        };
        servers.took.lock().unwrap().extend([took("north", 4), took("south", 5), took("north", 6)]);
        assert_eq!(servers.took_over(4).map(|took| took.name).as_deref(), Some("south"));
        assert_eq!(servers.took_over(6), None);
    }
}
