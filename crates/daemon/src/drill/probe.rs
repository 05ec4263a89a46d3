//! Asks the site over and over whether it is there, from the gateway's address (OPTIONS, RFC 3261 11): how long it was silent is
//! known to the pause between two of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::plan::{Plan, Side};
use super::record::Record;
use super::wire::{Line, Request};

/// How often.
pub const ASKS_EVERY: Duration = Duration::from_millis(20);
/// How long an answer is waited for. Nothing is repeated: the next question is on its way.
const PATIENCE: Duration = Duration::from_millis(400);

/// Asks until it is dropped.
pub struct Probe {
    _stops: DropGuard,
}

impl Probe {
    /// Begins to ask.
    ///
    /// # Errors
    /// What the operating system says about its socket.
    pub async fn start(plan: &Plan, record: &Arc<Record>) -> io::Result<Self> {
        let (line, _) = Line::open(SocketAddr::new(plan.gateway_at.ip(), 0)).await?;
        let (to, record) = (Side::Site.of(&plan.sites).sip, Arc::clone(record));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            let mut tick = interval(ASKS_EVERY);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    _ = tick.tick() => tokio::spawn(ask(Arc::clone(&line), to, Arc::clone(&record))),
                };
            }
        });
        Ok(Self { _stops: stop.drop_guard() })
    }
}

async fn ask(line: Arc<Line>, to: SocketAddr, record: Arc<Record>) {
    let (uri, called) = (format!("sip:{to}"), format!("<sip:{to}>"));
    let from = format!("<sip:{}probe@{}>;tag={}", record.callers, line.address, line.fresh());
    let request = Request {
        method: "OPTIONS",
        uri: &uri,
        from: &from,
        to: &called,
        call_id: &line.fresh(),
        cseq: 1,
        user: "probe",
        lines: &[],
        body: b"",
    };
    let sent = Instant::now();
    let answer = line.ask(to, &request, PATIENCE).await;
    // One that says that it does not serve is there, and of no use to anybody.
    if answer.and_then(|answer| answer.code()).is_some_and(|code| code < 500) {
        record.answered(sent);
    }
}
