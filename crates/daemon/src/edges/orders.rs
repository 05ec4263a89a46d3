//! What an administrator may order over the administration interface: graceful shutdown, graceful migration, the end of a
//! lock-out.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tandem_peer::readiness::{Lost, Report};
use tandem_switch::{DrainOrder, Input, Migrate, MigrateOrder};

use super::admin;
use super::http::{Sources, late, problem, view};
use crate::command::{Peek, Unanswered};

/// Body of `POST /api/drain`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    action: DrainAction,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum DrainAction {
    Start,
    Abort,
}

/// `POST /api/drain`.
pub async fn drain(
    State(sources): State<Sources>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Json<Drain>, JsonRejection>,
) -> Response {
    let by = match admin::administrator(&sources.cti, remote, &headers).await {
        Ok(by) => Box::from(&*by),
        Err(refused) => return refused.into_response(),
    };
    let order = match body {
        Ok(Json(Drain { action: DrainAction::Start })) => DrainOrder::Start { by },
        Ok(Json(Drain { action: DrainAction::Abort })) => DrainOrder::Abort { by },
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    if !sources.commands.input(Input::Drain(order)).await {
        return late(Unanswered::Stopping);
    }
    view(State(sources), |peek| peek.node.drain_status(peek.now)).await
}

/// Body of `POST /api/guard`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "action")]
pub enum Guard {
    /// A source may try again.
    Release {
        /// Its address.
        source: std::net::IpAddr,
    },
}

/// `POST /api/guard`.
pub async fn guard(
    State(sources): State<Sources>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Json<Guard>, JsonRejection>,
) -> Response {
    let by = match admin::administrator(&sources.cti, remote, &headers).await {
        Ok(by) => by,
        Err(refused) => return refused.into_response(),
    };
    let source = match body {
        Ok(Json(Guard::Release { source })) => source,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    tracing::warn!(%by, %source, "lock-outs released");
    if !sources.commands.input(Input::Release { source }).await {
        return late(Unanswered::Stopping);
    }
    view(State(sources), |peek| peek.node.lock_outs(peek.now)).await
}

/// Body of `POST /api/migrate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "action")]
pub enum MigrateBody {
    /// So much goes there, or comes back.
    Start {
        /// The other site, or this one.
        to: String,
        /// So many of a hundred, 0 to 100.
        percent: u8,
        /// Agent group.
        #[serde(default)]
        group: Option<String>,
        /// So many more at once, 1 to 100; 100 if not given.
        #[serde(default)]
        step: Option<u8>,
        /// Seconds between steps, 1 to 86400; 60 if not given.
        #[serde(default)]
        every: Option<u64>,
        /// Whatever readiness says.
        #[serde(default)]
        force: bool,
    },
    /// No further step.
    Pause,
    /// It goes on.
    Resume,
    /// It ends where it is.
    Abort,
    /// Everything comes back, in the steps in which it went.
    RollBack,
}

/// Why an order is not carried out.
#[derive(Debug, PartialEq, Eq)]
enum No {
    /// A value is out of its range: 400.
    Value(String),
    /// There is no such site: 404.
    Site(String),
    /// Not now: 409.
    State(String),
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        match self {
            Self::Value(text) => problem(StatusCode::BAD_REQUEST, &text),
            Self::Site(text) => problem(StatusCode::NOT_FOUND, &text),
            Self::State(text) => problem(StatusCode::CONFLICT, &text),
        }
    }
}

/// `POST /api/migrate`.
pub async fn migrate(
    State(sources): State<Sources>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Json<MigrateBody>, JsonRejection>,
) -> Response {
    let by: Box<str> = match admin::administrator(&sources.cti, remote, &headers).await {
        Ok(by) => Box::from(&*by),
        Err(refused) => return refused.into_response(),
    };
    let body = match body {
        Ok(Json(body)) => body,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    let report = match &body {
        MigrateBody::Start { to, force, .. } => match readiness(&sources, to, *force).await {
            Ok(report) => report,
            Err(refused) => return refused,
        },
        MigrateBody::Pause | MigrateBody::Resume | MigrateBody::Abort | MigrateBody::RollBack => None,
    };
    let order = match sources.commands.ask(move |peek| order(peek, by, body, report.as_ref())).await {
        Ok(Ok(order)) => order,
        Ok(Err(no)) => return no.into_response(),
        Err(unanswered) => return late(unanswered),
    };
    if !sources.commands.input(Input::Migrate(order)).await {
        return late(Unanswered::Stopping);
    }
    view(State(sources), |peek| peek.node.migration_status(peek.now)).await
}

/// What the loss of this site would mean: the other one is asked. `None` when the work is to come back here.
async fn readiness(sources: &Sources, to: &str, force: bool) -> Result<Option<Report>, Response> {
    let to = to.to_owned();
    let known = sources.commands.ask(move |peek| {
        let status = peek.node.status(peek.now);
        (to == status.server || to == status.switch, status.peer_trunk.is_some())
    });
    match known.await {
        Ok((true, _) | (_, false)) => return Ok(None),
        Ok((false, true)) => {}
        Err(unanswered) => return Err(late(unanswered)),
    }
    match sources.readiness.ask(&sources.commands).await {
        Ok(report) if force => Ok(Some(Report { reasons: Vec::new(), ..report })),
        Ok(report) => Ok(Some(report)),
        Err(none) => Err(problem(StatusCode::SERVICE_UNAVAILABLE, &none.to_string())),
    }
}

fn order(
    peek: &Peek<'_>,
    by: Box<str>,
    body: MigrateBody,
    report: Option<&Report>,
) -> Result<MigrateOrder, No> {
    let now = peek.node.migration_status(peek.now);
    let order = match body {
        MigrateBody::Pause => MigrateOrder::Pause { by, paused: true },
        MigrateBody::Resume => MigrateOrder::Pause { by, paused: false },
        MigrateBody::Abort => MigrateOrder::Abort { by },
        MigrateBody::RollBack if now.state == "none" => {
            return Err(No::State("no migration is under way".to_owned()));
        }
        MigrateBody::RollBack => MigrateOrder::To(Migrate {
            to: now.to.unwrap_or_default().into(),
            by,
            percent: 0,
            group: now.group.map(Into::into),
            step: now.step.max(1),
            every: Duration::from_secs(now.every_s),
        }),
        MigrateBody::Start { to, percent, group, step, every, force: _ } => {
            let step = within("step", step.unwrap_or(100).into(), 1, 100)?;
            let every = within("every", every.unwrap_or(60), 1, 86_400)?;
            let percent = within("percent", percent.into(), 0, 100)?;
            let there = direction(peek, &to, percent, now.target, report)?;
            MigrateOrder::To(Migrate {
                to: now.to.filter(|_| there != percent).unwrap_or(to).into(),
                by,
                percent: u8::try_from(there).unwrap_or(100),
                group: group.map(Into::into),
                step: u8::try_from(step).unwrap_or(100),
                every: Duration::from_secs(every),
            })
        }
    };
    peek.node.may_migrate(&order).map(|()| order).map_err(No::State)
}

fn within(name: &str, value: u64, least: u64, most: u64) -> Result<u64, No> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(No::Value(format!("{name} is {value}; it goes from {least} to {most}")))
}

/// The share that is to be at the other site then: towards this one, so much of what is there comes back.
fn direction(
    peek: &Peek<'_>,
    to: &str,
    percent: u64,
    target: u8,
    report: Option<&Report>,
) -> Result<u64, No> {
    let status = peek.node.status(peek.now);
    if to == status.server || to == status.switch {
        let there = u64::from(target);
        if there == 0 {
            return Err(No::State(format!(
                "nothing was moved away from {to} by this server; to bring agents back from the other site, ask that one"
            )));
        }
        return Ok((there * (100 - percent)) / 100);
    }
    match status.peer_trunk {
        None => Err(No::State("this server has no peer: set dr-peer-trunk".to_owned())),
        Some(trunk) => {
            let peer = report.and_then(|report| report.peer.as_deref());
            if to != trunk && peer != Some(to) {
                let named = peer.map_or_else(|| "its peer".to_owned(), |peer| format!("its peer {peer}"));
                let server = status.server;
                let text =
                    format!("no site is called {to}: this server is {server}, {named} is reached by {trunk}");
                return Err(No::Site(text));
            }
            if percent > u64::from(target) {
                report.map_or(Ok(()), is_ready)?;
            }
            Ok(percent)
        }
    }
}

/// Whether the other site can take what this one does.
fn is_ready(report: &Report) -> Result<(), No> {
    let mut reasons: Vec<String> = report
        .blockers(Lost::ThisSite)
        .map(|reason| format!("{}: {}; {}", reason.id, reason.text, reason.advice))
        .collect();
    let here = report.outlooks.iter().find(|outlook| outlook.lost == Lost::ThisSite);
    if let Some(phones @ 1..) = here.and_then(|outlook| outlook.phone_moves) {
        // A lost site makes them move. One that is up keeps them, and their agents could work nowhere.
        reasons.push(format!(
            "phones-stay: {phones} agents work at phones that are registered here only and stay while this site is up, and \
             the other site refuses an agent without a phone; let those phones register at both sites"
        ));
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(No::State(format!(
        "the other site is not ready (`tandem readiness`; --force moves all the same):\n{}",
        reasons.join("\n")
    )))
}
