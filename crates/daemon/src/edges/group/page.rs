//! `GET /api/ha`: what `tandem ha status` prints.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tandem_quorum::limits::SYNCHRONISED;
use tandem_quorum::{Kind, Lease, MemberId, MemberStatus, Seat, Standing, Status, Timing, Unready};

use super::About;
use crate::config::{Arbitration, Role};
use crate::edges::http::late;
use crate::edges::members::Seen;

/// What a member knows of itself and the others.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    name: String,
    /// Names this member for ever, hexadecimal.
    id: String,
    /// `server` or `witness`.
    kind: &'static str,
    /// The group, hexadecimal; null until one has taken the member in.
    group: Option<String>,
    /// `alone`, `primary`, `backup`, `witness`, `outside` (of any group yet) or `stopped`.
    role: &'static str,
    /// As configured: `primary` or `backup`.
    configured: Option<&'static str>,
    /// As configured: `witness` or `manual`.
    arbitration: Option<&'static str>,
    /// It serves.
    serving: bool,
    /// Counts who served, one after the other.
    epoch: Option<u32>,
    /// How long it may go on without another word of the others, ms; null where it alone decides, or does not serve.
    lease_ms: Option<u64>,
    /// Takeovers by hand.
    generation: u32,
    /// It is stopped because another has taken over, and that one has been heard since.
    successor_heard: bool,
    /// It serves, or could take over now.
    ready: bool,
    /// Why it could not.
    why_not: Vec<String>,
    /// What an operator is to do about it.
    advice: Option<String>,
    /// Records of calls, registrations, agents and the like that it holds.
    records: usize,
    /// The last change that it has, that all have agreed on, and that it holds.
    last: u64,
    committed: u64,
    applied: u64,
    /// Whether what it answers for is stored: "fine", "degraded: …", "failed: …".
    journal: String,
    members: Vec<Row>,
}

/// One member, as this one sees it.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    name: Option<String>,
    /// `server` or `witness`.
    kind: &'static str,
    /// `primary`, `backup`, `witness`.
    role: &'static str,
    /// It votes now.
    votes: bool,
    address: String,
    version: Option<String>,
    /// Whether a link to it stands; null for this member.
    linked: Option<bool>,
    /// Why none does.
    fault: Option<String>,
    /// How long ago it was heard, ms.
    heard_ms: Option<u64>,
    /// Seen by the one that leads: changes that it lacks, and how old the first of them is.
    lag_records: Option<u64>,
    lag_ms: Option<u64>,
    /// How much of the state it has got while it is brought up to date as a whole.
    snapshot_percent: Option<u8>,
    /// Keys in which its configuration differs.
    differs: Vec<String>,
    /// Whether it could take over, as far as this member can tell; null where it cannot.
    ready: Option<bool>,
    /// Why not.
    why_not: Vec<String>,
}

/// What the loop was asked.
pub(super) struct Asked {
    pub(super) status: Status,
    readiness: Result<(), Unready>,
    records: usize,
    journal: String,
    now: Instant,
}

impl About {
    /// Asks the member.
    pub(super) async fn ask(&self) -> Result<Asked, crate::command::Unanswered> {
        let question = |server: &mut tandem_ha::Server, disk: &crate::edges::disk::Disk, now| Asked {
            status: server.status(now),
            readiness: server.readiness(now),
            records: server.records(),
            journal: disk.condition().to_string(),
            now: now.mono,
        };
        self.commands.group(question).await
    }
}

/// `GET /api/ha`.
pub async fn get(State(about): State<About>) -> Response {
    match about.ask().await {
        Ok(asked) => Json(page(&about, &asked)).into_response(),
        Err(unanswered) => late(unanswered),
    }
}

/// Why a server that does not serve is not ready, for `/ready`: it is there to take over, or could not.
pub async fn ready(about: &About) -> Response {
    let text = match about.ask().await {
        Ok(asked) => {
            let page = page(about, &asked);
            match page.ready {
                true => "standing by: ready to take over".to_owned(),
                false => format!("standing by, and not ready to take over: {}", page.why_not.join("; ")),
            }
        }
        Err(unanswered) => unanswered.to_string(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, format!("{text}\n")).into_response()
}

/// `/health` of a witness.
pub async fn health(State(about): State<About>) -> Response {
    match about.ask().await {
        Ok(_) => "ok\n".into_response(),
        Err(unanswered) => (StatusCode::SERVICE_UNAVAILABLE, format!("{unanswered}\n")).into_response(),
    }
}

/// `/ready` of a witness.
pub async fn votes(State(about): State<About>) -> Response {
    let text = match about.ask().await {
        Ok(asked) => {
            let votes =
                asked.status.members.iter().any(|member| member.votes && member.info.id == asked.status.id);
            match asked.readiness {
                Ok(()) if votes => return "ready\n".into_response(),
                Ok(()) => "it does not vote yet".to_owned(),
                Err(why) => why.to_string(),
            }
        }
        Err(unanswered) => unanswered.to_string(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, format!("{text}\n")).into_response()
}

impl Page {
    pub(super) const fn is_ready(&self) -> bool {
        self.ready
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch.unwrap_or_default()
    }
}

pub(super) fn page(about: &About, asked: &Asked) -> Page {
    let status = &asked.status;
    let seen = about.links.as_ref().map(|links| links.seen()).unwrap_or_default();
    let serving = status.serving.is_some();
    let role = match (&status.stopped, about.kind) {
        (Some(_), _) => "stopped",
        (None, Kind::Witness) => "witness",
        (None, Kind::Server) if serving && status.members.len() < 2 => "alone",
        (None, Kind::Server) if serving => "primary",
        (None, Kind::Server) if status.members.is_empty() => "outside",
        (None, Kind::Server) => "backup",
    };
    let mut why_not: Vec<String> =
        asked.readiness.as_ref().err().map(ToString::to_string).into_iter().collect();
    why_not.extend(differs(&about.differing()).filter(|_| !serving));
    let (configured, arbitration) = about.configured.map_or((None, None), |(role, arbitration)| {
        let role = if role == Role::Primary { "primary" } else { "backup" };
        let word = if arbitration == Arbitration::Manual { "manual" } else { "witness" };
        (Some(role), Some(word))
    });
    Page {
        name: about.name.to_string(),
        id: status.id.to_string(),
        kind: kind(about.kind),
        group: (status.group != 0).then(|| format!("{:x}", status.group)),
        role,
        configured,
        arbitration,
        serving,
        epoch: match status.standing {
            Standing::Leader { epoch } | Standing::Follower { epoch, .. } | Standing::Candidate { epoch } => {
                Some(epoch)
            }
            Standing::Stopped => None,
        },
        lease_ms: match status.lease {
            Lease::Until(end) => Some(ms(end.saturating_duration_since(asked.now))),
            Lease::None | Lease::Sole => None,
        },
        generation: status.generation,
        successor_heard: status.successor_heard,
        ready: why_not.is_empty(),
        why_not,
        advice: advice(about, status),
        records: asked.records,
        last: status.last,
        committed: status.committed,
        applied: status.applied,
        journal: asked.journal.clone(),
        members: status.members.iter().map(|member| row(about, status, member, &seen)).collect(),
    }
}

fn row(about: &About, status: &Status, member: &MemberStatus, seen: &[Seen]) -> Row {
    let MemberStatus { info, votes, heard, lag, lag_time, snapshot_percent } = member;
    let itself = info.id == status.id;
    let link = seen.iter().find(|seen| seen.id == info.id);
    let leads = match status.standing {
        Standing::Leader { .. } => itself,
        Standing::Follower { leader, .. } => leader == Some(info.id),
        Standing::Candidate { .. } | Standing::Stopped => false,
    };
    let why_not = if itself { Vec::new() } else { reasons(member, link) };
    Row {
        id: info.id.to_string(),
        name: if itself { Some(about.name.to_string()) } else { link.and_then(|link| link.name.clone()) },
        kind: kind(info.kind),
        role: match info.kind {
            Kind::Witness => "witness",
            Kind::Server if leads => "primary",
            Kind::Server => "backup",
        },
        votes: *votes,
        address: info.address.clone(),
        version: if itself {
            Some(env!("CARGO_PKG_VERSION").to_owned())
        } else {
            link.and_then(|link| link.version.clone())
        },
        linked: (!itself).then(|| link.is_some_and(|link| link.connected.is_some())),
        fault: link.filter(|link| link.connected.is_none()).and_then(|link| link.error.clone()),
        heard_ms: heard.map(ms),
        lag_records: *lag,
        lag_ms: lag_time.map(ms),
        snapshot_percent: *snapshot_percent,
        differs: link.and_then(|link| link.differing.clone()).unwrap_or_default(),
        ready: (!itself && status.serving.is_some() && info.kind == Kind::Server)
            .then_some(why_not.is_empty()),
        why_not: if status.serving.is_some() { why_not } else { Vec::new() },
    }
}

/// What keeps another server from taking over, as the one that serves sees it.
pub(super) fn reasons(member: &MemberStatus, link: Option<&Seen>) -> Vec<String> {
    let mut reasons = Vec::new();
    match member.heard {
        Some(heard) if heard < Timing::default().election() => {}
        Some(heard) => reasons.push(format!("not heard for {} ms", heard.as_millis())),
        None => reasons.push("never heard".to_owned()),
    }
    if let Some(percent) = member.snapshot_percent {
        reasons.push(format!("has got {percent} % of the state"));
    } else if let Some(lag) = member.lag.filter(|lag| *lag > SYNCHRONISED) {
        reasons.push(format!("{lag} records behind"));
    }
    if member.info.kind == Kind::Server {
        reasons.extend(differs(link.and_then(|link| link.differing.as_deref()).unwrap_or_default()));
        if member.info.seat == Seat::Voter && !member.votes {
            reasons.push("does not vote yet".to_owned());
        }
    }
    reasons
}

fn differs(keys: &[String]) -> impl Iterator<Item = String> {
    let text = format!("its configuration differs in {}", keys.join(", "));
    (!keys.is_empty()).then_some(text).into_iter()
}

/// What is to be done next.
fn advice(about: &About, status: &Status) -> Option<String> {
    let (_, arbitration) = about.configured?;
    if status.group == 0 {
        return Some(format!(
            "this server belongs to no group yet. If the other server serves: `tandem ha add {}` there. If the site is new: \
             stop this one, `tandem ha found`, start it again",
            about.address
        ));
    }
    status.serving?;
    let of = |kind| status.members.iter().filter(move |member| member.info.kind == kind).count();
    match (of(Kind::Server), of(Kind::Witness), arbitration) {
        (0 | 1, ..) => Some("there is no backup: start one and `tandem ha add` its member-address".to_owned()),
        (_, 0, Arbitration::Witness) => Some(
            "there is no witness, and two servers alone cannot tell a dead partner from a cut cable: nobody takes over by \
             itself. Start one (`tandem witness`) and `tandem ha add` it; or say arbitration = \"manual\""
                .to_owned(),
        ),
        (.., Arbitration::Manual) => {
            Some("arbitration is manual: when this server is lost, `tandem ha takeover` at the backup".to_owned())
        }
        (..) => None,
    }
}

pub(super) const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Server => "server",
        Kind::Witness => "witness",
    }
}

fn ms(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// The member that a person means: by its id, or the name that it has given itself.
pub(super) fn find(status: &Status, seen: &[Seen], word: &str) -> Option<MemberId> {
    let by_id = status.members.iter().map(|member| member.info.id).find(|id| id.to_string() == word);
    let named = || seen.iter().find(|seen| seen.name.as_deref() == Some(word)).map(|seen| seen.id);
    let address =
        || status.members.iter().find(|member| member.info.address == word).map(|member| member.info.id);
    by_id.or_else(named).or_else(address)
}
