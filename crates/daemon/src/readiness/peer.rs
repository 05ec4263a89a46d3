//! A question to the peer's administration interface: one GET, bounded in time and size, over TLS where the URL says so.
//! Errors are sentences of this server's own: nothing that the other side writes is repeated.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tandem_peer::readiness::NotAsked;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::config::{PeerHttp, PeerPassword};
use crate::edges::tls::roots;
use crate::limits::{MAX_PEER_ANSWER, PEER_ANSWER_WITHIN};

/// Why the peer has not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// No `[peer-http]`.
    #[error("the peer cannot be asked: [peer-http] is not configured")]
    NotConfigured,
    /// The password.
    #[error("the peer cannot be asked: the password cannot be read from {0}")]
    Password(String),
    /// Certificates.
    #[error("the peer cannot be asked: the certificates in {0} cannot be used")]
    Certificates(String),
    /// Nothing answers there.
    #[error("the peer does not answer at {0}")]
    Unreachable(String),
    /// TLS.
    #[error("the peer at {0} has no certificate that this server trusts")]
    Untrusted(String),
    /// TLS is expected, and something else speaks.
    #[error("what answers at {0} does not speak TLS")]
    NoTls(String),
    /// Time.
    #[error("the peer did not answer within {} s", PEER_ANSWER_WITHIN.as_secs())]
    Late,
    /// 401.
    #[error("the peer does not accept the user \"{0}\" with this password")]
    Unauthorised(String),
    /// 403.
    #[error("the peer does not let the user \"{0}\" ask")]
    Forbidden(String),
    /// 404.
    #[error("the peer has no such page")]
    NoSuchPage,
    /// 503.
    #[error("the peer is too busy to answer")]
    Busy,
    /// Any other status.
    #[error("the peer answered {0}")]
    Status(u16),
    /// Size.
    #[error("the peer's answer is larger than {} MiB", MAX_PEER_ANSWER / 1024 / 1024)]
    TooLarge,
    /// The answer.
    #[error("the peer's answer cannot be read")]
    Unreadable,
    /// The answer is this server's own.
    #[error("`url` of [peer-http] leads to this server itself, or to one of the same name")]
    Itself,
}

impl PeerError {
    /// What to do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NotConfigured => {
                "add [peer-http] with url, user and password-file, and start the server anew"
            }
            Self::Password(_) => "let `password-file` of [peer-http] name a file that this server may read",
            Self::Certificates(_) => "let `ca-file` of [peer-http] name a PEM file with certificates",
            Self::Unreachable(_) => {
                "is the peer up, and does its `listen` of [http] stand on an address that this server reaches?"
            }
            Self::Untrusted(_) => "let `ca-file` of [peer-http] hold who signed the peer's certificate",
            Self::NoTls(_) => {
                "write `url` of [peer-http] with http://, or let it name what ends TLS before the peer"
            }
            Self::Late | Self::Busy => "look at /health and /metrics of the peer, then ask again",
            Self::Unauthorised(_) => {
                "compare `user` and the file `password-file` with the peer's [[person]] (after 5 failures wait 30 s)"
            }
            Self::Forbidden(_) => "give that [[person]] of the peer the role supervisor",
            Self::NoSuchPage | Self::Unreadable => {
                "bring both sites to the same version, and look where `url` leads"
            }
            Self::Status(_) => "look where `url` of [peer-http] leads, and at the peer's log",
            Self::TooLarge => "look where `url` of [peer-http] leads",
            Self::Itself => "let `url` of [peer-http] name the other site's administration interface",
        }
    }
}

impl From<PeerError> for NotAsked {
    fn from(error: PeerError) -> Self {
        Self { text: error.to_string(), advice: error.advice().to_owned() }
    }
}

/// GETs `path` of the peer, as its user if `proven`.
///
/// # Errors
/// See [`PeerError`].
pub async fn get(peer: &PeerHttp, path: &str, proven: bool) -> Result<Bytes, PeerError> {
    tokio::time::timeout(PEER_ANSWER_WITHIN, ask(peer, path, proven)).await.unwrap_or(Err(PeerError::Late))
}

async fn ask(peer: &PeerHttp, path: &str, proven: bool) -> Result<Bytes, PeerError> {
    let proof = if proven { Some(proof(peer).await?) } else { None };
    let tls = peer.url.scheme_str() == Some("https");
    let host = peer.url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = peer.url.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let unreachable = || PeerError::Unreachable(peer.url.to_string());
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|_| unreachable())?;
    if !tls {
        return exchange(stream, peer, path, proof).await;
    }
    let file = peer.ca_file.clone();
    let trusted = tokio::task::spawn_blocking(move || roots(&file)).await;
    let Ok(Ok(trusted)) = trusted else {
        return Err(PeerError::Certificates(peer.ca_file.display().to_string()));
    };
    let untrusted = || PeerError::Untrusted(peer.url.to_string());
    let name = ServerName::try_from(host).map_err(|_| untrusted())?;
    let stream = tokio_rustls::TlsConnector::from(trusted).connect(name, stream).await;
    let stream = stream.map_err(|error| match error.get_ref().and_then(|why| why.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(_)) => untrusted(),
        Some(rustls::Error::InvalidMessage(_)) => PeerError::NoTls(peer.url.to_string()),
        Some(_) | None => unreachable(),
    })?;
    exchange(stream, peer, path, proof).await
}

async fn proof(peer: &PeerHttp) -> Result<String, PeerError> {
    let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("{}:{password}", peer.user)));
    let file = match &peer.password {
        PeerPassword::Written(password) => return Ok(basic(&password.0)),
        PeerPassword::File(file) => file,
    };
    let text = tokio::fs::read_to_string(file).await;
    let line = text.as_deref().ok().and_then(|text| text.lines().next()).filter(|line| !line.is_empty());
    line.map(basic).ok_or_else(|| PeerError::Password(file.display().to_string()))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: &PeerHttp,
    path: &str,
    proof: Option<String>,
) -> Result<Bytes, PeerError> {
    let unreachable = || PeerError::Unreachable(peer.url.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| unreachable())?;
    let mut connection = tokio::task::JoinSet::from_iter([connection]);
    let authority = peer.url.authority().map_or("", |authority| authority.as_str());
    let mut request = Request::get(path).header(header::HOST, authority);
    if let Some(proof) = proof {
        request = request.header(header::AUTHORIZATION, proof);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| unreachable())?;
    let response = sender.send_request(request).await.map_err(|_| unreachable())?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Err(PeerError::Unauthorised(peer.user.clone())),
        StatusCode::FORBIDDEN => return Err(PeerError::Forbidden(peer.user.clone())),
        StatusCode::NOT_FOUND => return Err(PeerError::NoSuchPage),
        StatusCode::SERVICE_UNAVAILABLE => return Err(PeerError::Busy),
        other => return Err(PeerError::Status(other.as_u16())),
    }
    let body = Limited::new(response.into_body(), MAX_PEER_ANSWER).collect().await;
    connection.abort_all();
    match body {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(PeerError::TooLarge),
        Err(_) => Err(unreachable()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::config::PeerPassword;

    /// What is made of an answer, and what the other side was asked.
    fn answered(scheme: &str, answer: &'static [u8]) -> (Result<Bytes, PeerError>, String) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap();
            // Who asked may be gone before all of it is written.
            let _ = stream.write_all(answer);
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        let authority = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(&ca_file, authority.cert.pem()).unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "secret\nand no more\n").unwrap();
        let peer = PeerHttp {
            url: url.parse().unwrap(),
            user: "watcher".into(),
            password: PeerPassword::File(file),
            ca_file,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = runtime.block_on(get(&peer, "/page", true));
        (found, other.join().unwrap())
    }

    #[test]
    fn the_page_is_asked_for_with_the_first_line_of_the_password_file() {
        let (found, asked) = answered("http", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        assert_eq!(found.unwrap(), "{}");
        assert!(asked.starts_with("GET /page HTTP/1.1\r\n"), "{asked}");
        let proof = format!("authorization: Basic {}\r\n", STANDARD.encode("watcher:secret"));
        assert!(asked.contains(&proof) && asked.contains("host: 127.0.0.1:"), "{asked}");
    }

    #[test]
    fn every_refusal_is_a_sentence_of_our_own_that_says_what_to_do() {
        for (answer, wanted) in [
            (
                &b"HTTP/1.1 401 No\r\nContent-Length: 4\r\n\r\nevil"[..],
                "does not accept the user \"watcher\"",
            ),
            (b"HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nevil", "does not let the user \"watcher\" ask"),
            (b"HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nevil", "no such page"),
            (b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nevil", "too busy"),
            (
                b"HTTP/1.1 302 No\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n",
                "the peer answered 302",
            ),
            (b"SIP/2.0 evil\r\n\r\n", "does not answer at http://127.0.0.1:"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nevil", "does not answer at http://127.0.0.1:"),
            (b"", "does not answer at http://127.0.0.1:"),
        ] {
            let error = answered("http", answer).0.unwrap_err();
            assert!(error.to_string().contains(wanted), "{wanted}: {error}");
            assert!(!error.to_string().contains("evil") && !error.advice().is_empty(), "{error}");
        }
    }

    #[test]
    fn what_does_not_speak_tls_is_told_so() {
        let (found, asked) = answered("https", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        let error = found.unwrap_err();
        assert!(matches!(error, PeerError::NoTls(_)), "{error}");
        assert!(!asked.contains("watcher"), "nothing is said in the clear");
    }
}
