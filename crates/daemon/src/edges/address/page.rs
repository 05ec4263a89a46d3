//! `GET` and `POST /api/ha/address`: the virtual addresses as they are, and keepalived's word.

use std::net::SocketAddr;
use std::time::Instant;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::told::{Told, VrrpState};
use super::{AddressEdge, Held, OneStatus};
use crate::edges::admin;
use crate::edges::http::{Sources, problem};

/// What `tandem ha address` prints.
#[derive(Serialize)]
struct Page {
    /// `netlink`, `notify` or `none`.
    by: &'static str,
    /// With netlink: the interface, and whether it has a carrier.
    interface: Option<String>,
    link: Option<bool>,
    /// With netlink: seconds since the addresses were taken; null: they are not to be here.
    held_for_s: Option<u64>,
    /// With netlink: how often they were taken, and lost because the server did not extend its lease.
    takeovers: Option<u64>,
    lapses: Option<u64>,
    /// With notify: what keepalived said last, and how many seconds ago.
    told: Option<VrrpState>,
    told_for_s: Option<u64>,
    addresses: Vec<OneStatus>,
}

/// `GET /api/ha/address`.
pub async fn get(State(sources): State<Sources>) -> Response {
    Json(page(&sources.address, Instant::now())).into_response()
}

fn page(edge: &AddressEdge, now: Instant) -> Page {
    let ago = |at: Instant| now.saturating_duration_since(at).as_secs();
    let told = *edge.told().borrow();
    let by = match (edge.holds(), edge.addresses.is_empty()) {
        (true, _) => "netlink",
        (false, false) => "notify",
        (false, true) => "none",
    };
    let held = edge.held();
    let of = |field: fn(&Held) -> u64| held.as_ref().map(field);
    let unheld = || {
        let one = |net: &ipnet::IpNet| OneStatus {
            address: net.to_string(),
            held: false,
            fault: None,
            claimed_by: None,
        };
        edge.addresses.iter().map(one).collect()
    };
    Page {
        by,
        interface: held.as_ref().map(|held| held.interface.clone()),
        link: held.as_ref().map(|held| held.link),
        held_for_s: held.as_ref().and_then(|held| held.since).map(ago),
        takeovers: of(|held| held.takeovers),
        lapses: of(|held| held.lapses),
        told: told.map(|told| told.state),
        told_for_s: told.map(|told| ago(told.since)),
        addresses: held.as_ref().map_or_else(unheld, |held| held.addresses.clone()),
    }
}

/// Body of `POST /api/ha/address`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    state: VrrpState,
}

/// `POST /api/ha/address`: keepalived has changed its mind.
pub async fn post(
    State(sources): State<Sources>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Json<Notice>, JsonRejection>,
) -> Response {
    let by = match admin::administrator(&sources.cti, remote, &headers).await {
        Ok(by) => by,
        Err(refused) => return refused.into_response(),
    };
    let state = match body {
        Ok(Json(Notice { state })) => state,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    let edge = &sources.address;
    if edge.holds() || edge.addresses.is_empty() {
        let text =
            "this server does not wait for anybody's word: virtual-address-by of [ha] is not \"notify\"";
        return problem(StatusCode::CONFLICT, text);
    }
    tracing::warn!(%by, ?state, "told where the virtual addresses are");
    edge.told.send_replace(Some(Told { state, since: Instant::now() }));
    Json(page(edge, Instant::now())).into_response()
}
