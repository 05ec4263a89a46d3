//! The endpoint of the statistics service: a page for people, `/stat` (WebSocket), `/stat.json`, `/metrics`, `/health`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::engine::unix_ms;
use super::live::{Live, Role, Wanted};
use super::metrics;
use crate::limits::{HEALTHY_WITHIN, MAX_SUBSCRIBERS, MAX_SUBSCRIPTION, WRITE_WITHIN};

/// Nothing but this service's own files and its WebSocket.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Clone)]
struct Shared {
    live: Arc<Live>,
    subscribers: Arc<AtomicUsize>,
}

/// An update, and the answer to a subscription.
#[derive(Serialize)]
struct Update {
    time: u64,
    updates: Vec<Arc<RawValue>>,
}

#[derive(Serialize)]
struct Everything {
    time: u64,
    role: Role,
    objects: Vec<Arc<RawValue>>,
}

/// Answers until the runtime ends.
///
/// # Errors
/// What the operating system says about the listener.
pub async fn serve(listener: TcpListener, live: Arc<Live>) -> io::Result<()> {
    let shared = Shared { live, subscribers: Arc::default() };
    let router = Router::new()
        .route("/", get(|| async { file("text/html; charset=utf-8", include_str!("page/index.html")) }))
        .route("/page.css", get(|| async { file("text/css; charset=utf-8", include_str!("page/page.css")) }))
        .route(
            "/page.js",
            get(|| async { file("text/javascript; charset=utf-8", include_str!("page/page.js")) }),
        )
        .route("/stat", get(subscribe))
        .route("/stat.json", get(everything))
        .route("/metrics", get(prometheus))
        .route("/health", get(health))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "no such page; GET / lists them") })
        .with_state(shared);
    axum::serve(listener, router).await
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

async fn everything(State(shared): State<Shared>) -> Response {
    let all = shared.live.with(|published| Everything {
        time: unix_ms(),
        role: published.role,
        objects: published.objects.values().map(|shown| Arc::clone(&shown.json)).collect(),
    });
    all.map_or_else(unwell, |all| Json(all).into_response())
}

async fn prometheus(State(shared): State<Shared>) -> Response {
    let page = shared.live.with(|published| metrics::page(published, unix_ms()));
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    page.map_or_else(unwell, |page| (kind, page).into_response())
}

async fn health(State(shared): State<Shared>) -> Response {
    let alive = shared.live.with(|published| published.alive_unix_ms).unwrap_or(0);
    let silent_ms = u128::from(unix_ms().saturating_sub(alive));
    if silent_ms < HEALTHY_WITHIN.as_millis() { "ok\n".into_response() } else { unwell() }
}

fn unwell() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "the model does not take its turns")
}

fn problem(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text }))).into_response()
}

/// One subscriber's place.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(count: &Arc<AtomicUsize>) -> Option<Self> {
        if count.fetch_add(1, Ordering::Relaxed) >= MAX_SUBSCRIBERS {
            count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(Arc::clone(count)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A browser tells which page's script it runs. One of another site must not read what this one's user may.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else { return true };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_some() && host == text(header::HOST)
}

async fn subscribe(State(shared): State<Shared>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    if !is_own(&headers) {
        return problem(StatusCode::FORBIDDEN, "a page of another origin may not subscribe");
    }
    let Some(seat) = Seat::take(&shared.subscribers) else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "too many subscribers");
    };
    let upgrade = upgrade.max_message_size(MAX_SUBSCRIPTION).max_frame_size(MAX_SUBSCRIPTION);
    upgrade.on_upgrade(move |socket| async move {
        serve_subscriber(socket, &shared.live).await;
        drop(seat);
    })
}

/// Ends with the connection, or when the subscriber does not read.
async fn serve_subscriber(mut socket: WebSocket, live: &Live) {
    let mut rounds = live.rounds();
    let mut wanted = Wanted::default();
    let mut seen = 0;
    loop {
        let answer = tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => match Wanted::read(text.as_str()) {
                    Ok(new) => {
                        (wanted, seen) = (new, 0);
                        Some(update(&wanted, live, &mut seen, true))
                    }
                    Err(why) => Some(Some(json!({ "error": why }).to_string())),
                },
                Some(Ok(Message::Binary(_))) => Some(Some(json!({ "error": "JSON text is expected" }).to_string())),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => None,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            round = rounds.changed() => match round {
                Ok(()) => Some(update(&wanted, live, &mut seen, false)),
                Err(_) => return,
            },
        };
        if let Some(Some(text)) = answer
            && !matches!(timeout(WRITE_WITHIN, socket.send(Message::text(text))).await, Ok(Ok(())))
        {
            return;
        }
    }
}

/// What changed; nothing is said of nothing, but to a new subscription.
fn update(wanted: &Wanted, live: &Live, seen: &mut u64, answer: bool) -> Option<String> {
    let (round, updates) = wanted.changes(live, *seen);
    *seen = round;
    if updates.is_empty() && !answer {
        return None;
    }
    serde_json::to_string(&Update { time: unix_ms(), updates }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_origins_are_told_from_this_services_own() {
        let headers = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "stat.example:8070".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            headers
        };
        assert!(is_own(&headers(None)), "no browser");
        assert!(is_own(&headers(Some("http://stat.example:8070"))));
        assert!(is_own(&headers(Some("https://stat.example:8070"))));
        for other in
            ["http://evil.example", "http://stat.example", "null", "http://stat.example:8070.evil.example"]
        {
            assert!(!is_own(&headers(Some(other))), "{other}");
        }
    }
}
