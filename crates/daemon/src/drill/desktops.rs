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
            let Some(mut socket) = open(&self.plan, desk, side).await else { continue };
            let dn = &seat.number;
            let register = json!({ "request": "TRegisterAddress", "ReferenceID": 2, "ThisDN": dn });
            let logout = json!({ "request": "TAgentLogout", "ReferenceID": 3, "ThisDN": dn });
            for (request, reference) in [(register, 2), (logout, 3)] {
                let _ = ask(&mut socket, &request, reference).await;
            }
            let _ = timeout(PATIENCE, socket.close(None)).await;
        }
    }
}

struct Desktop {
    plan: Arc<Plan>,
    record: Arc<Record>,
    stopping: CancellationToken,
    seat: Seat,
}

/// A session, opened; none when the site does not answer or does not want it.
async fn open(plan: &Plan, desk: &Desk, side: Side) -> Option<Socket> {
    let url = side.of(&plan.sites).cti.as_deref()?;
    let mut socket = timeout(PATIENCE, connect(url, None, Some(plan.phones_at))).await.ok()?.ok()?;
    let (user, password) = (&desk.user, &desk.password);
    let open = json!({
        "request": "TOpenServer", "ReferenceID": 1, "UserName": user, "Password": password,
        "ApplicationName": "tandem drill",
    });
    let told = ask(&mut socket, &open, 1).await?;
    (told.event == "EventLinkConnected").then_some(socket)
}

/// Asks, and waits for the answer.
async fn ask(socket: &mut Socket, request: &Value, reference: u64) -> Option<Told> {
    let answered = async {
        socket.send(Message::text(request.to_string())).await.ok()?;
        loop {
            let told = next(socket).await?;
            if told.reference == Some(reference) {
                return Some(told);
            }
        }
    };
    timeout(PATIENCE, answered).await.ok()?
}

/// The next event; none when the connection is over.
async fn next(socket: &mut Socket) -> Option<Told> {
    loop {
        match socket.next().await? {
            Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
        }
    }
}

/// The next event of a connection that is pinged while it is silent; none when it is over, or stays silent.
async fn heard(socket: &mut Socket, ping: Duration) -> Option<Told> {
    let mut silent = 0;
    loop {
        match timeout(ping, socket.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => return serde_json::from_str(&text).ok(),
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return None,
            Ok(Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {
                silent = 0;
            }
            Err(_) if silent == 2 => return None,
            Err(_) => {
                silent += 1;
                timeout(ping, socket.send(Message::Ping(Vec::new().into()))).await.ok()?.ok()?;
            }
        }
    }
}

impl Desktop {
    async fn live(self) {
        let Some(desk) = self.seat.desk.clone() else { return };
        let home = self.seat.home;
        let (mut side, mut lost): (Side, Option<Instant>) = (home, None);
        while !self.stopping.is_cancelled() {
            let end = self.stay(&desk, side, &mut lost).await;
            let now = Instant::now();
            match &end {
                End::Stopped => return,
                End::Lost => self.record.agent_is(&desk.agent, None, ": the connection is lost"),
                End::PhoneElsewhere => self.record.login_refused(&desk.agent),
                End::LoggedOut(why) => {
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
            let out_of_patience = lost.is_some_and(|since| since.elapsed() >= self.plan.site_timeout);
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

    /// Logs in at a site and stays there.
    async fn stay(&self, desk: &Desk, side: Side, lost: &mut Option<Instant>) -> End {
        let Some(mut socket) = open(&self.plan, desk, side).await else { return End::Lost };
        let dn = &self.seat.number;
        let register = json!({ "request": "TRegisterAddress", "ReferenceID": 2, "ThisDN": dn });
        let login = json!({
            "request": "TAgentLogin", "ReferenceID": 3, "ThisDN": dn, "AgentID": desk.agent, "WorkMode": "AutoIn",
            "AttributeExtensions": { "AgentEmuLoginOnCall": "true" },
        });
        for (request, reference) in [(register, 2), (login, 3)] {
            let Some(told) = ask(&mut socket, &request, reference).await else { return End::Lost };
            match (told.event.as_str(), told.error) {
                ("EventError", Some(OUT_OF_SERVICE)) => return End::PhoneElsewhere,
                // A server that was only cut off never noticed that he went.
                ("EventError", Some(IN_SAME_STATE)) => {}
                ("EventError", code) => {
                    let message = told.message.unwrap_or_default();
                    return End::Refused(format!("error {} {message}", code.unwrap_or_default()));
                }
                _ => {}
            }
        }
        *lost = None;
        self.record.agent_is(&desk.agent, Some(side), "");
        loop {
            let told = tokio::select! {
                () = self.stopping.cancelled() => return End::Stopped,
                told = heard(&mut socket, self.plan.ping) => told,
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
                    let _ = ask(&mut socket, &logout, 4).await;
                    return End::LoggedOut("his phone went home".to_owned());
                }
                _ => {}
            }
        }
    }
}
