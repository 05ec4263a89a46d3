//! `/api/drill`: what is isolated, and the orders of an administrator.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tandem_switch::{Directory, Input};

use super::{Asked, Cut, Isolation, Known, NotIsolated, Order, View};
use crate::command::{Commands, Peek};
use crate::edges::admin;
use crate::edges::http::{Sources, late, problem};
use crate::run::now;

/// How often it is asked whether an isolation is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An order.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Action {
    /// Begin.
    Start(Asked),
    /// Go on.
    Renew {
        /// Which.
        id: u64,
    },
    /// End.
    End {
        /// Which; whosoever it is without.
        id: Option<u64>,
    },
}

/// The page.
#[derive(Serialize)]
struct Page {
    #[serde(flatten)]
    view: View,
    /// Established calls that were lost since this server started.
    calls_lost: u64,
    /// Calls since then that nobody answered because this server or the network failed.
    calls_failed: u64,
    unix_ms: u64,
}

/// A header by which a drill's own questions are known: they are answered even where it runs beside the peer.
pub const OWN_QUESTION: &str = "tandem-drill";

/// What a lost site's peer asks finds nobody, as long as it lasts. Whoever asks gives up by himself.
pub async fn silence(
    State(isolation): State<Arc<Isolation>>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let own = request.headers().contains_key(OWN_QUESTION) || request.uri().path() == "/api/drill";
    while !own && isolation.is_silent(remote.ip().to_canonical(), now().mono) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    next.run(request).await
}

/// GET.
pub async fn get(State(sources): State<Sources>) -> Response {
    let (lost, failed) = (sources.cdrs.calls_lost.load(Relaxed), sources.cdrs.calls_failed.load(Relaxed));
    let now = now();
    let view = sources.isolation.view(now.mono);
    Json(Page { view, calls_lost: lost, calls_failed: failed, unix_ms: now.unix_ms }).into_response()
}

/// POST.
pub async fn post(
    State(sources): State<Sources>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Json<Action>, JsonRejection>,
) -> Response {
    let by = match admin::administrator(&sources.cti, remote, &headers).await {
        Ok(by) => by,
        Err(refused) => return refused.into_response(),
    };
    let done = match body {
        Ok(Json(Action::Start(asked))) => start(&sources, asked, &by).await,
        Ok(Json(Action::Renew { id })) => sources.isolation.renew(id, now().mono).map_err(Refused::from),
        Ok(Json(Action::End { id })) => end(&sources, id).await,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    match done {
        Ok(()) => get(State(sources)).await,
        Err(Refused::Late(unanswered)) => late(unanswered),
        Err(Refused::Bad(why)) => problem(StatusCode::BAD_REQUEST, &why),
        Err(Refused::Conflict(why)) => problem(StatusCode::CONFLICT, &why),
    }
}

enum Refused {
    Bad(String),
    Conflict(String),
    Late(crate::command::Unanswered),
}

impl From<NotIsolated> for Refused {
    fn from(why: NotIsolated) -> Self {
        Self::Conflict(why.to_string())
    }
}

/// What an order needs to know of the server.
struct Told {
    draining: bool,
    known: Known,
}

fn look(peek: &Peek<'_>, directory: &Directory) -> Told {
    let extensions: BTreeSet<Arc<str>> =
        directory.extensions().iter().map(|extension| Arc::clone(&extension.number)).collect();
    let known = Known {
        peer: peek.node.peer_addresses(),
        devices: peek.node.reached_at(),
        desktops: peek.node.desktops(),
        extensions,
    };
    Told { draining: peek.node.is_draining(), known }
}

async fn start(sources: &Sources, asked: Asked, by: &str) -> Result<(), Refused> {
    let order = Order::try_from(asked).map_err(Refused::Bad)?;
    let directory = sources.cti.directory();
    let told = sources.commands.ask(move |peek| look(peek, &directory)).await.map_err(Refused::Late)?;
    if told.draining {
        return Err(Refused::Conflict("the server is being drained: no drill now".to_owned()));
    }
    if told.known.peer.0.is_none() {
        return Err(Refused::Conflict(
            "no dr-peer-trunk is configured, or its name does not resolve: there is no peer to lose"
                .to_owned(),
        ));
    }
    let cut = Cut::new(&order, told.known);
    sources.isolation.start(order, cut, by, now().mono)?;
    sources.cti.cut_off();
    tokio::spawn(watch(Arc::clone(&sources.isolation), sources.commands.clone()));
    Ok(())
}

async fn end(sources: &Sources, id: Option<u64>) -> Result<(), Refused> {
    let devices = sources.isolation.end(id, now().mono)?;
    audit(&sources.commands, devices).await;
    Ok(())
}

/// Whoever was cut off may have hung up unheard.
async fn audit(commands: &Commands, devices: Vec<Box<str>>) {
    if !devices.is_empty() {
        commands.input(Input::Audit { devices }).await;
    }
}

/// Ends an isolation whose time has come.
async fn watch(isolation: Arc<Isolation>, commands: Commands) {
    while isolation.is_on() {
        tokio::time::sleep(LOOK_EVERY).await;
        let draining = commands.ask(|peek| peek.node.is_draining()).await.unwrap_or(false);
        if let Some(devices) = isolation.expire(draining, now().mono) {
            audit(&commands, devices).await;
        }
    }
}
