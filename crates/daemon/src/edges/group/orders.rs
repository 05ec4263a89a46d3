//! `POST /api/ha`: what an administrator may order of the group.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tandem_quorum::{Change, Kind, MemberId, MemberInfo, Refused, Seat, Status};

use super::page::{find, reasons};
use super::{About, fail};
use crate::command::Unanswered;
use crate::config::Arbitration;
use crate::edges::admin;
use crate::edges::http::{Sources, late, problem};

/// Body of `POST /api/ha`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "action")]
pub enum Order {
    /// A member joins.
    Add {
        /// Where it waits, as host:port.
        address: String,
        /// Whose place it takes.
        #[serde(default)]
        replace: Option<String>,
    },
    /// Members leave.
    Remove {
        /// Their names, ids or addresses.
        members: Vec<String>,
    },
    /// The other server serves.
    Switchover {
        /// Which, if there are several.
        #[serde(default)]
        to: Option<String>,
        /// Even if it is not ready.
        #[serde(default)]
        force: bool,
    },
    /// This server serves, though the votes do not decide so.
    Takeover {
        /// Even if another is heard to serve.
        #[serde(default)]
        force: bool,
    },
    /// This server, whose past is void, joins anew.
    Rejoin,
    /// This server, which serves, ends as by `kill -9`: somebody rehearses its loss.
    Fail,
}

/// `POST /api/ha`.
pub async fn post(
    State(sources): State<Sources>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Json<Order>, JsonRejection>,
) -> Response {
    let by = match admin::administrator(&sources.cti, remote, &headers).await {
        Ok(by) => by,
        Err(refused) => return refused.into_response(),
    };
    let order = match body {
        Ok(Json(order)) => order,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    let about = &sources.group;
    let done = match order {
        Order::Add { address, replace } => add(about, &by, &address, replace.as_deref()).await,
        Order::Remove { members } => remove(about, &by, &members).await,
        Order::Switchover { to, force } => switch_over(about, &by, to.as_deref(), force).await,
        Order::Takeover { force } => {
            let done = about.order(move |server, now| server.takeover(force, now)).await;
            done.inspect(|()| tracing::warn!(%by, force, "takeover by command"))
        }
        Order::Rejoin => {
            let done = about.order(|server, now| server.rejoin(now)).await;
            done.inspect(|()| tracing::warn!(%by, "rejoins, empty, by command"))
        }
        Order::Fail => {
            return match fail::may(about).await {
                Ok(()) => fail::fall(about, &by),
                Err(no) => no.into_response(),
            };
        }
    };
    match done {
        Ok(()) => super::get(State(about.clone())).await,
        Err(no) => no.into_response(),
    }
}

impl About {
    async fn order(
        &self,
        order: impl FnOnce(&mut tandem_ha::Server, tandem_switch::Now) -> Result<(), Refused> + Send + 'static,
    ) -> Result<(), No> {
        match self.commands.group(move |server, _, now| order(server, now)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refused)) => Err(conflict(&refused.to_string())),
            Err(unanswered) => Err(No::Unanswered(unanswered)),
        }
    }

    pub(super) async fn status(&self) -> Result<Status, No> {
        self.ask().await.map(|asked| asked.status).map_err(No::Unanswered)
    }

    fn member(&self, status: &Status, word: &str) -> Result<MemberId, No> {
        let seen = self.links.as_ref().map(|links| links.seen()).unwrap_or_default();
        // Nobody is linked with himself.
        let own = (*word == *self.name).then_some(status.id);
        own.or_else(|| find(status, &seen, word)).ok_or_else(|| {
            let known: Vec<String> = status.members.iter().map(|member| member.info.id.to_string()).collect();
            let text = format!("no member \"{word}\"; there are {} (tandem ha status)", known.join(", "));
            No::Refused(StatusCode::NOT_FOUND, text)
        })
    }
}

/// Why an order is not carried out.
pub(super) enum No {
    /// As it stands here.
    Refused(StatusCode, String),
    /// The member does not answer.
    Unanswered(Unanswered),
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(status, text) => problem(status, &text),
            Self::Unanswered(unanswered) => late(unanswered),
        }
    }
}

pub(super) fn conflict(text: &str) -> No {
    No::Refused(StatusCode::CONFLICT, text.to_owned())
}

async fn add(about: &About, by: &str, address: &str, replace: Option<&str>) -> Result<(), No> {
    let (Some(links), Some((_, arbitration))) = (&about.links, about.configured) else {
        return Err(conflict("this server is alone: configure member-listen in [ha] first, and restart it"));
    };
    let status = about.status().await?;
    if status.serving.is_none() {
        return Err(conflict("this server does not serve: ask the one that does"));
    }
    let found = links.introduce(address).await.map_err(|error| {
        No::Refused(StatusCode::BAD_GATEWAY, format!("no member can be reached at {address}: {error}"))
    })?;
    if found.group != 0 && found.group != status.group {
        let text = format!(
            "{} at {address} belongs to another group ({:x}). If that is wrong, stop it, move its state directory away and \
             start it again",
            found.name, found.group
        );
        return Err(conflict(&text));
    }
    let seat = match (found.kind, arbitration) {
        (Kind::Witness, Arbitration::Manual) => {
            return Err(conflict(
                "arbitration is \"manual\": a witness would decide nothing. Change it first",
            ));
        }
        (Kind::Server, Arbitration::Manual) => Seat::Learner,
        (Kind::Server | Kind::Witness, _) => Seat::Voter,
    };
    let member = MemberInfo { id: found.id, kind: found.kind, seat, address: found.address.clone() };
    let change = match replace {
        Some(gone) => Change::replace(about.member(&status, gone)?, member),
        None => Change::add(member),
    };
    let done = about.order(move |server, now| server.change(&change, now)).await;
    done.inspect(|()| tracing::warn!(%by, name = %found.name, id = %found.id, %address, "member added"))
}

async fn remove(about: &About, by: &str, members: &[String]) -> Result<(), No> {
    let status = about.status().await?;
    let gone = members.iter().map(|word| about.member(&status, word)).collect::<Result<Vec<_>, _>>()?;
    let change = Change { set: Vec::new(), remove: gone };
    let done = about.order(move |server, now| server.change(&change, now)).await;
    done.inspect(|()| tracing::warn!(%by, members = %members.join(", "), "members removed"))
}

async fn switch_over(about: &About, by: &str, to: Option<&str>, force: bool) -> Result<(), No> {
    let status = about.status().await?;
    let to = to.map(|word| about.member(&status, word)).transpose()?;
    if !force {
        let seen = about.links.as_ref().map(|links| links.seen()).unwrap_or_default();
        let others = status
            .members
            .iter()
            .filter(|member| member.info.kind == Kind::Server && member.info.id != status.id);
        for member in others.filter(|member| to.is_none_or(|to| member.info.id == to)) {
            let link = seen.iter().find(|seen| seen.id == member.info.id);
            let reasons = reasons(member, link);
            if !reasons.is_empty() {
                let text = format!(
                    "member {} is not ready to take over: {}. Wait, or use --force: it goes then once the other has every \
                     record, within 10 s, or not at all; what its configuration lacks is lost",
                    member.info.id,
                    reasons.join("; ")
                );
                return Err(conflict(&text));
            }
        }
    }
    let done = about.order(move |server, now| server.switchover(to, force, now)).await;
    done.inspect(|()| tracing::warn!(%by, force, "switchover by command"))
}
