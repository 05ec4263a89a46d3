//! Lists that come in pages: `?limit=N&after=NAME`, where NAME is the DN of the last row of the page before. A page with
//! more behind it says where that is (`Link` with `rel="next"`, RFC 8288).

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::http::{Sources, late, problem};
use crate::cli::client::escape;
use crate::command::Peek;
use crate::limits::MAX_PAGE_ROWS;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    limit: Option<usize>,
    after: Option<String>,
}

type Asks = Result<Query<Asked>, QueryRejection>;

/// `/api/dn`.
pub async fn dns(State(sources): State<Sources>, asked: Asks) -> Response {
    let next = |row: &tandem_switch::view::Dn| match row.kind {
        "trunk" => format!("trunk:{}", row.dn),
        _ => row.dn.clone(),
    };
    page(sources, asked, "/api/dn", |peek, after, limit| peek.node.dn_page(after, limit), next).await
}

/// `/api/reg`.
pub async fn registrations(State(sources): State<Sources>, asked: Asks) -> Response {
    let next = |row: &tandem_switch::view::Binding| row.dn.clone();
    let rows = |peek: &Peek<'_>, after: Option<&str>, limit| peek.node.reg_page(after, limit, peek.now);
    page(sources, asked, "/api/reg", rows, next).await
}

async fn page<T: Serialize + Send + 'static>(
    sources: Sources,
    asked: Asks,
    path: &str,
    rows: impl FnOnce(&Peek<'_>, Option<&str>, usize) -> Option<Vec<T>> + Send + 'static,
    next: impl FnOnce(&T) -> String,
) -> Response {
    let Ok(Query(Asked { limit, after })) = asked else {
        return problem(StatusCode::BAD_REQUEST, "the query is limit=NUMBER and after=DN, or nothing");
    };
    let limit = limit.unwrap_or(MAX_PAGE_ROWS);
    if !(1..=MAX_PAGE_ROWS).contains(&limit) {
        return problem(StatusCode::BAD_REQUEST, &format!("limit is 1 to {MAX_PAGE_ROWS}"));
    }
    match sources.commands.ask(move |peek| rows(peek, after.as_deref(), limit)).await {
        Ok(Some(rows)) => {
            let last = rows.last().filter(|_| rows.len() >= limit).map(next);
            let link =
                last.map(|last| format!("<{path}?limit={limit}&after={}>; rel=\"next\"", escape(&last)));
            let mut response = Json(rows).into_response();
            if let Some(link) = link.and_then(|link| link.parse().ok()) {
                response.headers_mut().insert(header::LINK, link);
            }
            response
        }
        Ok(None) => {
            problem(StatusCode::NOT_FOUND, "after names no DN of this server (any more): begin without it")
        }
        Err(unanswered) => late(unanswered),
    }
}
