//! Asks a running server over its administration interface.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::edges::isolation;
use crate::limits::MAX_ANSWER;

const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nothing listens there.
    #[error(
        "no server answers at {server} ({why})\n\
         Is one running? Start it with `tandem serve --config FILE`, or try `tandem serve --demo site-a`.\n\
         If it runs elsewhere, name its administration interface: --server http://ADDRESS:PORT or TANDEM_SERVER."
    )]
    Unreachable { server: String, why: String },
    /// `--server` is no address.
    #[error("\"{0}\" is not an address of the kind http://127.0.0.1:8060")]
    Address(String),
    /// The server does not know it.
    #[error("{0}")]
    Unknown(String),
    /// The server refuses.
    #[error("the server answers {status}: {text}")]
    Refused { status: StatusCode, text: String },
}

/// A person, to whom the server lets itself be told something.
pub struct Person<'a> {
    /// User name.
    pub user: &'a str,
    /// Password.
    pub password: &'a str,
}

/// GETs `path`.
///
/// # Errors
/// See [`AskError`].
pub fn get(server: &str, path: &str) -> Result<serde_json::Value, AskError> {
    ask(server, || Ok(Request::get(path).body(Full::default())?))
}

/// GETs `path`, as a person.
///
/// # Errors
/// See [`AskError`].
pub fn get_as(server: &str, path: &str, person: &Person<'_>) -> Result<serde_json::Value, AskError> {
    ask(server, || {
        Ok(Request::get(path).header(header::AUTHORIZATION, basic(person)).body(Full::default())?)
    })
}

fn basic(person: &Person<'_>) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", person.user, person.password)))
}

/// POSTs to `path`, as a person.
///
/// # Errors
/// See [`AskError`].
pub fn post(
    server: &str,
    path: &str,
    person: &Person<'_>,
    body: &serde_json::Value,
) -> Result<serde_json::Value, AskError> {
    ask(server, || posting(path, person, body))
}

fn posting(
    path: &str,
    person: &Person<'_>,
    body: &serde_json::Value,
) -> anyhow::Result<Request<Full<Bytes>>> {
    let request = Request::post(path)
        .header(header::AUTHORIZATION, basic(person))
        .header(header::CONTENT_TYPE, "application/json");
    Ok(request.body(Full::from(body.to_string()))?)
}

fn ask(
    server: &str,
    request: impl FnOnce() -> anyhow::Result<Request<Full<Bytes>>>,
) -> Result<serde_json::Value, AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| AskError::Unreachable { server: server.to_owned(), why: error.to_string() })?;
    runtime.block_on(answered(server, request))
}

/// Whether the server takes calls, and why not, as it says within `patience`.
///
/// # Errors
/// See [`AskError`].
pub fn ready(server: &str, patience: Duration) -> Result<Result<(), String>, AskError> {
    let unreachable = |why: String| AskError::Unreachable { server: server.to_owned(), why };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| unreachable(error.to_string()))?;
    let request = || Ok(Request::get("/ready").body(Full::default())?);
    let answer = async { tokio::time::timeout(patience, exchange(server, request)).await };
    match runtime.block_on(answer) {
        Ok(Ok((StatusCode::OK, _))) => Ok(Ok(())),
        Ok(Ok((_, body))) => Ok(Err(String::from_utf8_lossy(&body).trim().to_owned())),
        Ok(Err(Trouble::Address)) => Err(AskError::Address(server.to_owned())),
        Ok(Err(Trouble::Talk(why))) => Err(unreachable(why)),
        Err(_) => Err(unreachable(format!("no answer within {} ms", patience.as_millis()))),
    }
}

/// GETs `path` within a runtime, as a drill does.
///
/// # Errors
/// See [`AskError`].
pub async fn fetch(server: &str, path: &str) -> Result<serde_json::Value, AskError> {
    let own = isolation::page::OWN_QUESTION;
    answered(server, || Ok(Request::get(path).header(own, "1").body(Full::default())?)).await
}

/// POSTs to `path` within a runtime, as a person.
///
/// # Errors
/// See [`AskError`].
pub async fn order(
    server: &str,
    path: &str,
    person: &Person<'_>,
    body: &serde_json::Value,
) -> Result<serde_json::Value, AskError> {
    answered(server, || posting(path, person, body)).await
}

async fn answered(
    server: &str,
    request: impl FnOnce() -> anyhow::Result<Request<Full<Bytes>>>,
) -> Result<serde_json::Value, AskError> {
    let unreachable = |why: String| AskError::Unreachable { server: server.to_owned(), why };
    let exchanged = match tokio::time::timeout(PATIENCE, exchange(server, request)).await {
        Ok(answer) => answer,
        Err(_) => Err(Trouble::Talk(format!("no answer within {} s", PATIENCE.as_secs()))),
    };
    let (status, body) = exchanged.map_err(|trouble| match trouble {
        Trouble::Address => AskError::Address(server.to_owned()),
        Trouble::Talk(why) => unreachable(why),
    })?;
    let value: Result<serde_json::Value, _> = serde_json::from_slice(&body);
    let said = || {
        let value = value.as_ref().ok().and_then(|value| value.get("error")?.as_str().map(str::to_owned));
        value.unwrap_or_else(|| String::from_utf8_lossy(&body).trim().to_owned())
    };
    match status {
        StatusCode::OK => value.map_err(|error| unreachable(format!("its answer is not JSON: {error}"))),
        StatusCode::NOT_FOUND => Err(AskError::Unknown(said())),
        status => Err(AskError::Refused { status, text: said() }),
    }
}

enum Trouble {
    Address,
    Talk(String),
}

async fn exchange(
    server: &str,
    request: impl FnOnce() -> anyhow::Result<Request<Full<Bytes>>>,
) -> Result<(StatusCode, Bytes), Trouble> {
    let uri: Uri = server.parse().map_err(|_| Trouble::Address)?;
    let authority = match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(authority)) => authority.clone(),
        _ => return Err(Trouble::Address),
    };
    let talk = |error: &dyn std::error::Error| Trouble::Talk(error.to_string());
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80)));
    let stream = stream.await.map_err(|error| talk(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| talk(&error))?;
    tokio::spawn(connection);
    let host = HeaderValue::from_str(authority.as_str()).map_err(|error| talk(&error))?;
    let mut request = request().map_err(|error| Trouble::Talk(error.to_string()))?;
    request.headers_mut().insert(header::HOST, host);
    let response = sender.send_request(request).await.map_err(|error| talk(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| Trouble::Talk(error.to_string()))?;
    Ok((status, body.to_bytes()))
}

/// A path segment: everything but unreserved characters is percent-encoded (RFC 3986 2.3).
pub fn escape(segment: &str) -> String {
    let mut escaped = String::new();
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_id_survives_the_way_through_a_path() {
        assert_eq!(escape("a1-b@host:5060/x"), "a1-b%40host%3A5060%2Fx");
        assert_eq!(escape("50% ä"), "50%25%20%C3%A4");
    }

    #[test]
    fn a_missing_server_is_said_with_what_to_do_next() {
        // Port 1 of loopback: nothing listens there.
        let error = get("http://127.0.0.1:1", "/api/status").unwrap_err();
        assert!(matches!(error, AskError::Unreachable { .. }));
        let text = error.to_string();
        assert!(
            text.contains("http://127.0.0.1:1") && text.contains("tandem serve") && text.contains("--server")
        );
        assert!(matches!(get("127.0.0.1:8060", "/"), Err(AskError::Address(_))));
    }
}
