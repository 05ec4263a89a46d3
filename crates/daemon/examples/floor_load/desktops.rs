//! The agents' desktops, each a WebSocket client of its own, and a supervisor's who watches the queue.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::SinkExt;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::floor::{FIRST_AGENT, FIRST_CALLER, FIRST_DN, Floor, Kind, QUEUE};
use super::server::{PASSWORD, SUPERVISOR, Server};

type Socket = WebSocketStream<TcpStream>;

/// Desktops that open at the same time.
const AT_ONCE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(30);

/// What is looked at of an event.
#[derive(Deserialize)]
struct Told<'a> {
    event: &'a str,
    #[serde(rename = "OtherDN")]
    other_dn: Option<&'a str>,
}

/// See the module.
pub struct Desktops {
    lines: Vec<mpsc::Sender<String>>,
}

impl Desktops {
    /// Everybody logs in, NotReady.
    pub async fn open(floor: &Arc<Floor>, server: &Server) -> Result<Self> {
        supervise(floor, server).await?;
        let agents = 0..u32::try_from(floor.seats.len())?;
        let lines = stream::iter(agents).map(|agent| log_in(floor, server, agent));
        Ok(Self { lines: lines.buffered(AT_ONCE).try_collect().await? })
    }

    /// These agents ask to be ready, so many a second.
    pub async fn ready(&self, agents: Range<u32>, rate: u32) -> Result<()> {
        let mut tick = interval(Duration::from_secs(1) / rate.max(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for agent in agents {
            tick.tick().await;
            let dn = (FIRST_DN + agent).to_string();
            let request =
                json!({ "request": "TAgentSetReady", "ReferenceID": 9, "ThisDN": dn, "WorkMode": "AutoIn" });
            let line = self.lines.get(agent as usize).context("no such agent")?;
            line.send(request.to_string()).await.context("a desktop is gone")?;
        }
        Ok(())
    }
}

async fn connect(server: &Server, user: &str) -> Result<Socket> {
    let stream = TcpStream::connect(server.cti()).await?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(4_096).write_buffer_size(0);
    let url = format!("ws://{}/cti", server.cti());
    let (mut socket, _) = client_async_with_config(url, stream, Some(config)).await?;
    ask(
        &mut socket,
        &json!({ "request": "TOpenServer", "ReferenceID": 1, "UserName": user, "Password": PASSWORD }),
        "EventLinkConnected",
    )
    .await?;
    Ok(socket)
}

/// Sends a request and waits for what it is answered by.
async fn ask(socket: &mut Socket, request: &serde_json::Value, awaited: &str) -> Result<()> {
    socket.send(Message::text(request.to_string())).await?;
    loop {
        let next = timeout(PATIENCE, socket.next()).await.with_context(|| format!("no {awaited} in time"))?;
        let Message::Text(text) = next.context("the server closed the connection")?? else { continue };
        match serde_json::from_str::<Told<'_>>(&text)?.event {
            event if event == awaited => return Ok(()),
            "EventError" => bail!("{request}: {text}"),
            _ => {}
        }
    }
}

async fn log_in(floor: &Arc<Floor>, server: &Server, agent: u32) -> Result<mpsc::Sender<String>> {
    let (dn, id) = ((FIRST_DN + agent).to_string(), (FIRST_AGENT + agent).to_string());
    let mut socket = connect(server, &format!("agent{agent}")).await?;
    let register = json!({ "request": "TRegisterAddress", "ReferenceID": 2, "ThisDN": dn });
    ask(&mut socket, &register, "EventRegistered").await?;
    let login = json!({ "request": "TAgentLogin", "ReferenceID": 3, "ThisDN": dn, "AgentID": id });
    ask(&mut socket, &login, "EventAgentNotReady").await?;
    let (line, orders) = mpsc::channel(4);
    tokio::spawn(live(Arc::clone(floor), socket, orders, Some(agent)));
    Ok(line)
}

async fn supervise(floor: &Arc<Floor>, server: &Server) -> Result<()> {
    let mut socket = connect(server, SUPERVISOR).await?;
    let register = json!({ "request": "TRegisterAddress", "ReferenceID": 2, "ThisDN": QUEUE });
    ask(&mut socket, &register, "EventRegistered").await?;
    // Nobody gives orders here: the channel stays open for as long as the program lives.
    let (line, orders) = mpsc::channel(1);
    let floor = Arc::clone(floor);
    tokio::spawn(async move {
        live(floor, socket, orders, None).await;
        drop(line);
    });
    Ok(())
}

/// Reads events until the connection ends.
async fn live(floor: Arc<Floor>, mut socket: Socket, mut orders: mpsc::Receiver<String>, agent: Option<u32>) {
    let ended = loop {
        tokio::select! {
            next = socket.next() => match next {
                Some(Ok(Message::Text(text))) => heard(&floor, &text, agent),
                Some(Ok(_)) => {}
                Some(Err(error)) => break anyhow!(error),
                None => break anyhow!("closed"),
            },
            Some(order) = orders.recv() => if let Err(error) = socket.send(Message::text(order)).await {
                break anyhow!(error);
            },
        }
    };
    if floor.tally.lost.fetch_add(1, Relaxed) == 0 {
        eprintln!("the first desktop whose connection ended: {ended}");
    }
}

fn heard(floor: &Floor, text: &str, agent: Option<u32>) {
    floor.tally.events.fetch_add(1, Relaxed);
    let Ok(told) = serde_json::from_str::<Told<'_>>(text) else {
        floor.tally.errors.fetch_add(1, Relaxed);
        return;
    };
    match (told.event, agent) {
        ("EventRinging", Some(agent)) => floor.told(Kind::Ringing, agent),
        ("EventEstablished", Some(agent)) => floor.told(Kind::Established, agent),
        ("EventReleased", Some(agent)) => floor.told(Kind::Released, agent),
        ("EventQueued", None) => {
            let number = told.other_dn.and_then(|number| number.parse::<u32>().ok());
            if let Some(caller) = number.and_then(|number| number.checked_sub(FIRST_CALLER)) {
                floor.told(Kind::Queued, caller);
            }
        }
        ("EventError", _) if floor.tally.errors.fetch_add(1, Relaxed) == 0 => {
            eprintln!("the first error: {text}");
        }
        _ => {}
    }
}
