//! The administration interface: health, metrics, and what the command line asks; it gives no secrets away. Who changes
//! something proves that he is an administrator.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRef, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;
use tandem_journal::Condition;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::address::{self, AddressEdge};
use super::cdr::CdrCounters;
use super::cti::CtiEdge;
use super::group::{self, About};
use super::isolation::{self, Isolation};
use super::media::MediaEdge;
use super::tcp::TcpEdge;
use super::{metrics, orders, pages};
use crate::command::{Commands, Peek, Unanswered};
use crate::limits::{HTTP_REQUEST_WITHIN, MAX_HTTP_BODY, MAX_HTTP_REQUESTS};
use crate::readiness::{self, FACTS, Readiness};

/// What the pages are made from.
#[derive(Clone)]
pub struct Sources {
    /// The way to the `Node`.
    pub commands: Commands,
    /// Connections.
    pub tcp: Arc<TcpEdge>,
    /// Clients of the CTI interface.
    pub cti: Arc<CtiEdge>,
    /// Media servers.
    pub media: Arc<MediaEdge>,
    /// Call records.
    pub cdrs: Arc<CdrCounters>,
    /// What asks whether a site may be lost.
    pub readiness: Arc<Readiness>,
    /// What a drill has cut off.
    pub isolation: Arc<Isolation>,
    /// Virtual addresses.
    pub address: Arc<AddressEdge>,
    /// The group that the server belongs to.
    pub group: About,
}

impl FromRef<Sources> for About {
    fn from_ref(sources: &Sources) -> Self {
        sources.group.clone()
    }
}

const INDEX: &str = "tandem administration interface

/health              200 while the node's loop comes round, else 503
/ready               200 when the server can take calls, else 503 and why
/metrics             Prometheus
/api/status          tandem status
/api/dn              tandem dn list; ?limit=N&after=DN
/api/reg             tandem reg list; ?limit=N&after=DN
/api/call            tandem call list
/api/trunk           tandem trunk list
/api/agent           tandem agent list
/api/agent/{id|dn}   tandem agent why
/api/queue           tandem queue list
/api/session         tandem session list
/api/guard           tandem guard list; POST {\"action\": \"release\", \"source\": ADDRESS} as an administrator
/api/why/{call-id}   tandem why
/api/drain           tandem drain --status; POST {\"action\": \"start\"} or \"abort\" as an administrator (HTTP Basic)
/api/migrate         tandem migrate --status; POST {\"action\": \"start\", \"to\": SITE, \"percent\": N, ...}, \"pause\", \"resume\",
                     \"abort\" or \"roll-back\" as an administrator
/api/drill           what a drill has cut off; POST orders of `tandem drill` as an administrator
/api/readiness       tandem readiness, as an administrator or supervisor (HTTP Basic)
/api/ha              tandem ha status; POST {\"action\": \"add\", \"address\": HOST:PORT}, \"remove\", \"switchover\",
                     \"takeover\" or \"rejoin\" as an administrator
/api/ha/address      tandem ha address; POST {\"state\": \"master\"}, \"backup\" or \"fault\" as an administrator
";

/// Answers requests until the runtime ends.
///
/// # Errors
/// What the operating system says about the listener.
pub async fn serve(listener: TcpListener, sources: Sources) -> io::Result<()> {
    axum::serve(listener, router(sources).into_make_service_with_connect_info::<SocketAddr>()).await
}

fn router(sources: Sources) -> Router {
    let places = Arc::new(Semaphore::new(MAX_HTTP_REQUESTS));
    Router::new()
        .route("/", get(|| async { INDEX }))
        .route("/ready", get(ready))
        .route("/metrics", get(prometheus))
        .route("/api/status", get(status))
        .route("/api/dn", get(pages::dns))
        .route("/api/reg", get(pages::registrations))
        .route("/api/call", get(|state| view(state, |peek| peek.node.call_list(peek.now))))
        .route("/api/trunk", get(|state| view(state, |peek| peek.node.trunk_list(peek.now))))
        .route("/api/agent", get(|state| view(state, |peek| peek.node.agent_list(peek.now))))
        .route("/api/agent/{asked}", get(agent_why))
        .route("/api/queue", get(|state| view(state, |peek| peek.node.queue_list(peek.now))))
        .route("/api/session", get(|state| view(state, |peek| peek.node.session_list(peek.now))))
        .route(
            "/api/guard",
            get(|state| view(state, |peek| peek.node.lock_outs(peek.now))).post(orders::guard),
        )
        .route("/api/why/{call_id}", get(why))
        .route(
            "/api/drain",
            get(|state| view(state, |peek| peek.node.drain_status(peek.now))).post(orders::drain),
        )
        .route(
            "/api/migrate",
            get(|state| view(state, |peek| peek.node.migration_status(peek.now))).post(orders::migrate),
        )
        .route("/api/drill", get(isolation::page::get).post(isolation::page::post))
        .route("/api/readiness", get(readiness::page::report))
        .route("/api/ha", get(group::get).post(group::post))
        .route("/api/ha/address", get(address::page::get).post(address::page::post))
        .route(FACTS, get(readiness::page::facts))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "no such page; GET / lists them") })
        .layer(DefaultBodyLimit::max(MAX_HTTP_BODY))
        .layer(middleware::from_fn_with_state(places, one_place_each))
        // Whoever watches the process is answered however many others ask.
        .route("/health", get(health))
        .layer(middleware::from_fn_with_state(Arc::clone(&sources.isolation), isolation::page::silence))
        .with_state(sources)
}

/// A request has a place for a bounded time: one whose body never comes would keep it for ever.
async fn one_place_each(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_place) = places.try_acquire() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once");
    };
    match tokio::time::timeout(HTTP_REQUEST_WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => problem(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
    }
}

pub(super) async fn view<T: Serialize + Send + 'static>(
    State(sources): State<Sources>,
    question: impl FnOnce(&Peek<'_>) -> T + Send + 'static,
) -> Response {
    match sources.commands.ask(question).await {
        Ok(answer) => Json(answer).into_response(),
        Err(unanswered) => late(unanswered),
    }
}

/// `tandem status`, with what only this program knows.
#[derive(Serialize)]
struct Status {
    #[serde(flatten)]
    node: tandem_switch::view::Status,
    /// What a drill rehearses now.
    drill: Option<isolation::Kind>,
    /// Datagrams since start that the kernel dropped because they were not read in time.
    udp_lost: u64,
    /// Whether what is answered for is stored: "fine", "degraded: …", "failed: …".
    journal: String,
    /// REGISTERs, SUBSCRIBEs and PUBLISHs since start that were dropped because too many waited.
    udp_crowded: u64,
}

async fn status(State(sources): State<Sources>) -> Response {
    let isolation = Arc::clone(&sources.isolation);
    let all = move |peek: &Peek<'_>| Status {
        node: peek.node.status(peek.now),
        drill: isolation.kind(peek.now.mono),
        journal: peek.disk.condition().to_string(),
        udp_lost: peek.udp.lost,
        udp_crowded: peek.udp.crowded,
    };
    view(State(sources), all).await
}

async fn why(State(sources): State<Sources>, Path(call_id): Path<String>) -> Response {
    match sources.commands.ask(move |peek| peek.node.why(&call_id)).await {
        Ok(Some(why)) => Json(why).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "no call with this Call-ID or ConnID is known"),
        Err(unanswered) => late(unanswered),
    }
}

async fn agent_why(State(sources): State<Sources>, Path(asked): Path<String>) -> Response {
    match sources.commands.ask(move |peek| peek.node.agent_why(&asked, peek.now)).await {
        Ok(Some(why)) => Json(why).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "no Agent Login and no Extension has this name here"),
        Err(unanswered) => late(unanswered),
    }
}

async fn health(State(sources): State<Sources>) -> Response {
    match sources.commands.ask(|_| ()).await {
        // One that stands by is as well as one that serves.
        Ok(()) | Err(Unanswered::Standby) => "ok\n".into_response(),
        Err(unanswered) => (StatusCode::SERVICE_UNAVAILABLE, format!("{unanswered}\n")).into_response(),
    }
}

async fn ready(State(sources): State<Sources>) -> Response {
    let asked = sources.commands.ask(|peek| (peek.node.ready(), peek.disk.condition()));
    let reason = match asked.await {
        Ok((Ok(()), Condition::Fine)) => return "ready\n".into_response(),
        // A server alone goes on: who is sent away from here would be served by nobody.
        Ok((Ok(()), journal)) => return format!("ready; journal {journal}\n").into_response(),
        Ok((Err(reason), _)) => reason,
        Err(Unanswered::Standby) => return group::ready(&sources.group).await,
        Err(unanswered) => unanswered.to_string(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response()
}

async fn prometheus(State(sources): State<Sources>) -> Response {
    let mut text = match sources.commands.ask(metrics::Sample::take).await {
        Ok(sample) => {
            let media = metrics::MediaSample::take(&sources.media);
            let (tcp, links) = (&sources.tcp.counters, &sources.cti.counters);
            let drill = sources.isolation.kind(std::time::Instant::now());
            let last = sources.readiness.last();
            metrics::page(&sample, tcp, links, &sources.cdrs, &media, drill, last.as_ref())
        }
        // One that stands by has nothing but its part in the group.
        Err(Unanswered::Standby) => String::new(),
        Err(unanswered) => return late(unanswered),
    };
    text.push_str(&metrics::addresses(&sources.address));
    text.push_str(&group::metrics(&sources.group).await);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

pub(super) fn late(unanswered: Unanswered) -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, &unanswered.to_string())
}

pub fn problem(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text }))).into_response()
}
