//! How the failure comes about: the site isolates itself by an order, a command outside does it to the site, or its server ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Task;
use super::plan::Side;
use super::servers::{self, Server};
use crate::cli::client::{self, AskError, Person};
use crate::edges::isolation;

const PATH: &str = "/api/drill";
/// How often an isolation is renewed; it ends by itself after [`crate::limits::DRILL_RENEW_WITHIN`].
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// A failure under way.
pub struct Injected {
    /// When it began.
    pub at: Instant,
    /// Isolations by the server that carries them out, with their numbers; none when a command did it.
    orders: Vec<(Side, u64)>,
    /// Where those servers are ordered.
    at_servers: [String; 2],
    stop: CancellationToken,
}

/// Whom and what a server is told.
fn body(task: &Task, kind: isolation::Kind) -> Value {
    let lasts = task.longest().as_secs() + 1;
    let parties = task.plan.parties();
    let mut body = json!({ "action": "start", "kind": kind.name(), "for_s": lasts, "parties": parties });
    let (name, value) = match kind {
        isolation::Kind::SiteLoss => ("share", json!(task.share)),
        isolation::Kind::SlowLink => {
            ("delay_ms", json!(u64::try_from(task.delay.as_millis()).unwrap_or(u64::MAX)))
        }
        isolation::Kind::LinkLoss | isolation::Kind::Witness => return body,
    };
    if let Some(fields) = body.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
    body
}

async fn order(task: &Task, at: &str, body: &Value) -> Result<Value, AskError> {
    client::order(at, PATH, &person(task), body).await
}

fn person(task: &Task) -> Person<'_> {
    Person { user: &task.user, password: &task.password }
}

/// Has a server begin; gives the number, and when it began.
async fn begin(task: &Task, at: &str, kind: isolation::Kind) -> Result<(u64, Instant), String> {
    let answer = order(task, at, &body(task, kind)).await.map_err(|error| format!("{at}: {error}"))?;
    let id = answer.pointer("/on/id").and_then(Value::as_u64);
    let id = id.ok_or("the server does not say that it has begun")?;
    // The order took its time to get there and back.
    let since = answer.pointer("/on/since_ms").and_then(Value::as_u64).unwrap_or_default();
    let now = Instant::now();
    Ok((id, now.checked_sub(Duration::from_millis(since)).unwrap_or(now)))
}

async fn command(task: &Task, what: &str) -> Result<(), String> {
    let Some(command) = &task.inject_with else { return Ok(()) };
    let line = format!("{command} {what} {}", task.kind.name());
    let ran = Command::new("sh")
        .args(["-c", &line])
        .env("TANDEM_DRILL_DELAY_MS", task.delay.as_millis().to_string())
        .status()
        .await;
    match ran {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` failed: {status}")),
        Err(error) => Err(format!("`{line}`: {error}")),
    }
}

impl Injected {
    /// Has a server end. There is nothing to take back: it begins anew by itself.
    ///
    /// # Errors
    /// A sentence.
    pub async fn server_loss(task: &Task, server: &Server) -> Result<Self, String> {
        let at = servers::fail(server, &person(task)).await?;
        Ok(Self { at, orders: Vec::new(), at_servers: Default::default(), stop: CancellationToken::new() })
    }

    /// Begins. `over` is told when the failure ends before it should.
    ///
    /// # Errors
    /// A sentence.
    pub async fn start(
        task: &Arc<Task>,
        at_servers: [String; 2],
        over: impl Fn(String) + Send + 'static,
    ) -> Result<Self, String> {
        let stop = CancellationToken::new();
        let mut injected = Self { at: Instant::now(), orders: Vec::new(), at_servers, stop };
        if task.inject_with.is_some() {
            if let Err(why) = command(task, "start").await {
                // It may have done half of it.
                let _ = command(task, "end").await;
                return Err(why);
            }
            injected.at = Instant::now();
            return Ok(injected);
        }
        let at_site = task.kind.isolation().map(|kind| (Side::Site, kind));
        for (side, kind) in [(Side::Peer, isolation::Kind::Witness)].into_iter().chain(at_site) {
            match begin(task, side.of(&injected.at_servers).as_str(), kind).await {
                Ok((id, at)) => {
                    injected.at = at;
                    injected.orders.push((side, id));
                }
                Err(why) => {
                    let _ = injected.end(task).await;
                    return Err(why);
                }
            }
        }
        let (task, stop, orders) = (Arc::clone(task), injected.stop.clone(), injected.orders.clone());
        let at_servers = injected.at_servers.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(RENEW_EVERY) => {}
                }
                for (side, id) in &orders {
                    let renewed =
                        order(&task, side.of(&at_servers).as_str(), &json!({ "action": "renew", "id": id }))
                            .await;
                    match renewed {
                        Err(AskError::Refused { text, .. }) if !stop.is_cancelled() => {
                            return over(format!("the isolation ended before its time: {text}"));
                        }
                        // One that does not answer in time is asked again.
                        Ok(_) | Err(_) => {}
                    }
                }
            }
        });
        Ok(injected)
    }

    /// Takes the failure back.
    ///
    /// # Errors
    /// A sentence: it goes on, and ends by itself when the site isolates itself.
    pub async fn end(&self, task: &Task) -> Result<(), String> {
        self.stop.cancel();
        if task.inject_with.is_some() {
            return command(task, "end").await;
        }
        let mut worst = Ok(());
        for (side, id) in self.orders.iter().rev() {
            match order(task, side.of(&self.at_servers).as_str(), &json!({ "action": "end", "id": id })).await
            {
                Ok(_) => {}
                Err(AskError::Refused { text, .. }) if text.contains("no drill of the number") => {}
                Err(error) => worst = Err(error.to_string()),
            }
        }
        worst
    }
}
