//! The desktops of a drill: clients of the CTI interface, one a person, logged in at one site at a time. One that loses
//! its site tries to get back for `site-timeout`, then turns to the other one; it goes home when its phone has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::plan::{Desk, Plan, Seat, Side};
use super::record::Record;
use crate::cli::cti::{Socket, connect};

/// How long a site may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two attempts.
const AGAIN: Duration = Duration::from_millis(250);
/// Reference of the request that opens a session.
const OPENS: u64 = 0;
/// `OUT_OF_SERVICE`: the phone is not at that site.
const OUT_OF_SERVICE: u64 = 58;
/// `IN_SAME_STATE`: he is logged in there already.
const IN_SAME_STATE: u64 = 43;

/// See the module.
pub struct Desktops {
    plan: Arc<Plan>,
    record: Arc<Record>,
    stopping: CancellationToken,
    alive: TaskTracker,
}

/// What is looked at of an event.
#[derive(Deserialize)]
struct Told {
    event: String,
    #[serde(rename = "ReferenceID")]
    reference: Option<u64>,
    #[serde(rename = "EventSequenceNumber")]
    number: Option<u64>,
    #[serde(rename = "Session")]
    session: Option<String>,
    #[serde(rename = "Resumed")]
    resumed: Option<String>,
    #[serde(rename = "ErrorCode")]
    error: Option<u64>,
    #[serde(rename = "ErrorMessage")]
    message: Option<String>,
    #[serde(rename = "AttributeExtensions")]
    extensions: Option<Value>,
}

/// How a stay at a site ended.
enum End {
    /// The drill is over.
    Stopped,
    /// The connection could not be made, or broke.
    Lost,
    /// The phone is not there.
    PhoneElsewhere,
    /// The server has logged him out, and says why.
    LoggedOut(String),
    /// It was refused for another reason.
    Refused(String),
}

impl Desktops {
    /// They begin to log in.
    pub fn start(plan: &Arc<Plan>, record: &Arc<Record>) -> Self {
        let desktops = Self {
            plan: Arc::clone(plan),
            record: Arc::clone(record),
            stopping: CancellationToken::new(),
            alive: TaskTracker::new(),
        };
        for seat in plan.seats.iter().filter(|seat| seat.desk.is_some()) {
            let desktop = Desktop {
                plan: Arc::clone(plan),
                record: Arc::clone(record),
                stopping: desktops.stopping.clone(),
                seat: seat.clone(),
                session: None,
            };
            desktops.alive.spawn(desktop.live());
        }
        desktops
    }

    /// They log out and go.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.alive.close();
        self.alive.wait().await;
        let agents: Vec<String> = self.record.facts().desks.keys().cloned().collect();
        for seat in self.plan.seats.iter().filter(|seat| seat.desk.is_some()) {
            // A server that was only cut off still has him logged in: he went without a word.
            self.leave(seat).await;
        }
        for agent in agents {
            self.record.agent_is(&agent, None, ": the drill is over");
        }
    }

    async fn leave(&self, seat: &Seat) {
        let Some(desk) = &seat.desk else { return };
        for side in Side::BOTH {
            let Some(mut link) = open(&self.plan, desk, side, None).await else { continue };
            let dn = &seat.number;
            let register = json!({ "request": "TRegisterAddress", "ReferenceID": 2, "ThisDN": dn });
            let logout = json!({ "request": "TAgentLogout", "ReferenceID": 3, "ThisDN": dn });
            for (request, reference) in [(register, 2), (logout, 3)] {
                let _ = link.ask(&request, reference).await;
            }
            let _ = timeout(PATIENCE, link.socket.close(None)).await;
        }
    }
}

struct Desktop {
    plan: Arc<Plan>,
    record: Arc<Record>,
    stopping: CancellationToken,
    seat: Seat,
    /// That of the last connection, where the site that lost it is the one that has it.
    session: Option<Session>,
}

/// A connection, and how far its session has got.
struct Link {
    socket: Socket,
    session: Session,
    /// The session is one that was there before.
    resumed: bool,
}

/// What a desktop needs to go on where it was.
#[derive(Clone, Default)]
struct Session {
    token: String,
    /// Number of the last event that was heard.
    last: u64,
}

/// A session, opened or resumed; none when the site does not answer or does not want it.
async fn open(plan: &Plan, desk: &Desk, side: Side, known: Option<&Session>) -> Option<Link> {
    let url = side.of(&plan.sites).cti.as_deref()?;
    let socket = timeout(PATIENCE, connect(url, None, Some(plan.phones_at))).await.ok()?.ok()?;
    let (user, password) = (&desk.user, &desk.password);
    let mut open = json!({
        "request": "TOpenServer", "ReferenceID": OPENS, "UserName": user, "Password": password,
        "ApplicationName": "tandem drill",
    });
    if let (Some(known), Some(fields)) = (known, open.as_object_mut()) {
        fields.insert("Session".to_owned(), json!(known.token));
        fields.insert("After".to_owned(), json!(known.last));
    }
    let mut link = Link { socket, session: Session::default(), resumed: false };
    let told = link.ask(&open, OPENS).await?;
    link.session.token = told.session.unwrap_or_default();
    link.resumed = told.resumed.is_some_and(|how| how != "New");
    (told.event == "EventLinkConnected").then_some(link)
}

impl Link {
    /// Asks, and waits for the answer.
    async fn ask(&mut self, request: &Value, reference: u64) -> Option<Told> {
        let answered = async {
            self.socket.send(Message::text(request.to_string())).await.ok()?;
            loop {
                let told = self.next().await?;
                if told.reference == Some(reference) {
                    return Some(told);
                }
            }
        };
        timeout(PATIENCE, answered).await.ok()?
    }

    fn read(&mut self, text: &str) -> Option<Told> {
        let told: Told = serde_json::from_str(text).ok()?;
        self.session.last = told.number.unwrap_or(self.session.last);
        Some(told)
    }

    /// The next event; none when the connection is over.
    async fn next(&mut self) -> Option<Told> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Text(text)) => return self.read(&text),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            }
        }
    }

    /// The next event of a connection that is pinged while it is silent; none when it is over, or stays silent.
    async fn heard(&mut self, ping: Duration) -> Option<Told> {
        let mut silent = 0;
        loop {
            match timeout(ping, self.socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => return self.read(&text),
                Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return None,
                Ok(Some(Ok(
                    Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
                ))) => {
                    silent = 0;
                }
                Err(_) if silent == 2 => return None,
                Err(_) => {
                    silent += 1;
                    timeout(ping, self.socket.send(Message::Ping(Vec::new().into()))).await.ok()?.ok()?;
                }
            }
        }
    }
}

impl Desktop {
    async fn live(mut self) {
        let Some(desk) = self.seat.desk.clone() else { return };
        let home = self.seat.home;
        let (mut side, mut lost): (Side, Option<Instant>) = (home, None);
        while !self.stopping.is_cancelled() {
            let end = self.stay(&desk, side, &mut lost).await;
            let now = Instant::now();
            match &end {
                End::Stopped => return,
                End::Lost if self.plan.loyal => self.record.desktop_is(&desk.agent, None),
                End::Lost => self.record.agent_is(&desk.agent, None, ": the connection is lost"),
                End::PhoneElsewhere => self.record.login_refused(&desk.agent),
                End::LoggedOut(why) => {
                    self.record.desk(&desk.agent, |desk| desk.logged_out.push(now));
                    self.record.agent_is(&desk.agent, None, &format!(": logged out ({why})"));
                }
                End::Refused(why) => self.record.login_failed(&desk.agent, side, why),
            }
            if lost.is_none() {
                lost = Some(now);
                if side == home {
                    self.record.desk_lost(&desk.agent);
                }
            }
            // He tries to get back home for a while, then at the other site, and so on.
            let patience = self.plan.site_timeout;
            let out_of_patience = !self.plan.loyal && lost.is_some_and(|since| since.elapsed() >= patience);
            side = if out_of_patience && side == home { home.other() } else { home };
            if out_of_patience && matches!(end, End::PhoneElsewhere) && side == home {
                // The phone is on its way to the other site.
                side = home.other();
            }
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = sleep(AGAIN) => {}
            }
        }
    }

    /// Logs in at a site, or goes on there, and stays.
    async fn stay(&mut self, desk: &Desk, side: Side, lost: &mut Option<Instant>) -> End {
        let known = self.session.take().filter(|_| self.plan.loyal);
        let Some(mut link) = open(&self.plan, desk, side, known.as_ref()).await else {
            self.session = known;
            return End::Lost;
        };
        if link.resumed {
            self.record.desk(&desk.agent, |desk| desk.resumed.push(Instant::now()));
            self.record.desktop_is(&desk.agent, Some(side));
        } else if let Some(end) = self.log_in(&mut link, desk).await {
            return end;
        }
        *lost = None;
        self.record.agent_is(&desk.agent, Some(side), "");
        let end = self.work(&mut link, side).await;
        self.session = (!matches!(end, End::LoggedOut(_))).then_some(link.session);
        end
    }

    /// None: he is logged in.
    async fn log_in(&self, link: &mut Link, desk: &Desk) -> Option<End> {
        let dn = &self.seat.number;
        let register = json!({ "request": "TRegisterAddress", "ReferenceID": 2, "ThisDN": dn });
        let login = json!({
            "request": "TAgentLogin", "ReferenceID": 3, "ThisDN": dn, "AgentID": desk.agent, "WorkMode": "AutoIn",
            "AttributeExtensions": { "AgentEmuLoginOnCall": "true" },
        });
        for (request, reference) in [(register, 2), (login, 3)] {
            let Some(told) = link.ask(&request, reference).await else { return Some(End::Lost) };
            match (told.event.as_str(), told.error) {
                ("EventError", Some(OUT_OF_SERVICE)) => return Some(End::PhoneElsewhere),
                // A server that was only cut off never noticed that he went.
                ("EventError", Some(IN_SAME_STATE)) => {}
                ("EventError", code) => {
                    let message = told.message.unwrap_or_default();
                    return Some(End::Refused(format!("error {} {message}", code.unwrap_or_default())));
                }
                ("EventAgentLogin", _) => {
                    self.record.desk(&desk.agent, |desk| desk.logins.push(Instant::now()));
                }
                _ => {}
            }
        }
        None
    }

    /// Until his stay ends.
    async fn work(&self, link: &mut Link, side: Side) -> End {
        let dn = &self.seat.number;
        loop {
            let told = tokio::select! {
                () = self.stopping.cancelled() => return End::Stopped,
                told = link.heard(self.plan.ping) => told,
            };
            let Some(told) = told else { return End::Lost };
            match told.event.as_str() {
                "EventAgentLogout" => {
                    let why =
                        told.extensions.and_then(|known| Some(known.get("ReasonCode")?.as_str()?.to_owned()));
                    return End::LoggedOut(why.unwrap_or_else(|| "no reason is given".to_owned()));
                }
                // Away from home, this is how he learns that his phone has gone back.
                "EventDNOutOfService" if side != self.seat.home => {
                    let logout = json!({ "request": "TAgentLogout", "ReferenceID": 4, "ThisDN": dn });
                    let _ = link.ask(&logout, 4).await;
                    return End::LoggedOut("his phone went home".to_owned());
                }
                _ => {}
            }
        }
    }
}
