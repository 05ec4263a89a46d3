//! How the failure comes about: the site isolates itself by an order, or a command outside does it to the site.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Task;
use super::plan::Side;
use crate::cli::client::{self, AskError, Person};
use crate::edges::isolation::Kind;

const PATH: &str = "/api/drill";
/// How often an isolation is renewed; it ends by itself after [`crate::limits::DRILL_RENEW_WITHIN`].
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// A failure under way.
pub struct Injected {
    /// Number of the isolation; none when a command did it.
    pub id: Option<u64>,
    /// When it began.
    pub at: Instant,
    stop: CancellationToken,
}

/// Whom and what the site is told.
fn body(task: &Task) -> Value {
    let mut body =
        json!({ "action": "start", "kind": task.kind.name(), "for_s": task.longest().as_secs() + 1 });
    let Some(fields) = body.as_object_mut() else { return body };
    match task.kind {
        Kind::SiteLoss => {
            fields.insert("parties".to_owned(), json!(task.plan.parties()));
            fields.insert("share".to_owned(), json!(task.share));
        }
        Kind::LinkLoss => {}
        Kind::SlowLink => {
            let ms = u64::try_from(task.delay.as_millis()).unwrap_or(u64::MAX);
            fields.insert("delay_ms".to_owned(), json!(ms));
        }
    }
    body
}

async fn order(task: &Task, body: &Value) -> Result<Value, AskError> {
    let person = Person { user: &task.user, password: &task.password };
    client::order(&Side::Site.of(&task.plan.sites).http, PATH, &person, body).await
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
    /// Begins. `over` is told when the failure ends before it should.
    ///
    /// # Errors
    /// A sentence.
    pub async fn start(task: &Task, over: impl Fn(String) + Send + 'static) -> Result<Self, String> {
        let stop = CancellationToken::new();
        if task.inject_with.is_some() {
            command(task, "start").await?;
            return Ok(Self { id: None, at: Instant::now(), stop });
        }
        let answer = order(task, &body(task)).await.map_err(|error| error.to_string())?;
        let id = answer.pointer("/on/id").and_then(Value::as_u64);
        let id = id.ok_or("the site does not say that it isolates itself")?;
        // The order took its time to get there and back.
        let since = answer.pointer("/on/since_ms").and_then(Value::as_u64).unwrap_or_default();
        let at = Instant::now().checked_sub(Duration::from_millis(since)).unwrap_or_else(Instant::now);
        let (site, renew) =
            (Side::Site.of(&task.plan.sites).http.clone(), json!({ "action": "renew", "id": id }));
        let (user, password, stopped) = (task.user.clone(), task.password.clone(), stop.clone());
        tokio::spawn(async move {
            let person = Person { user: &user, password: &password };
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    () = sleep(RENEW_EVERY) => {}
                }
                match client::order(&site, PATH, &person, &renew).await {
                    Err(AskError::Refused { text, .. }) if !stopped.is_cancelled() => {
                        return over(format!("the isolation ended before its time: {text}"));
                    }
                    // One that does not answer in time is asked again.
                    Ok(_) | Err(_) => {}
                }
            }
        });
        Ok(Self { id: Some(id), at, stop })
    }

    /// Takes the failure back.
    ///
    /// # Errors
    /// A sentence: it goes on, and ends by itself when the site isolates itself.
    pub async fn end(&self, task: &Task) -> Result<(), String> {
        self.stop.cancel();
        let Some(id) = self.id else { return command(task, "end").await };
        match order(task, &json!({ "action": "end", "id": id })).await {
            Ok(_) => Ok(()),
            Err(AskError::Refused { text, .. }) if text.contains("no drill of the number") => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
