//! The pages `/api/readiness` and `/api/readiness/facts`. They name agents and DNs, so they are for administrators and
//! supervisors only.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::NoReport;
use crate::edges::admin;
use crate::edges::http::{Sources, problem};

/// What the loss of either site would mean; the peer is asked now.
pub async fn report(
    State(sources): State<Sources>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    match admin::may_look(&sources.cti, remote, &headers).await {
        Ok(()) => answer(sources.readiness.ask(&sources.commands).await),
        Err(refused) => refused.into_response(),
    }
}

/// What this site says of itself, for its peer.
pub async fn facts(
    State(sources): State<Sources>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    match admin::may_look(&sources.cti, remote, &headers).await {
        Ok(()) => answer(sources.readiness.facts(&sources.commands).await),
        Err(refused) => refused.into_response(),
    }
}

fn answer<T: Serialize>(found: Result<T, NoReport>) -> Response {
    match found {
        Ok(found) => Json(found).into_response(),
        Err(none) => problem(StatusCode::SERVICE_UNAVAILABLE, &none.to_string()),
    }
}
