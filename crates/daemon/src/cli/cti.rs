//! `tandem cti`: a desktop for one line at a time. What it sends and prints is what the wire carries.

use std::io::{BufRead, IsTerminal};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use futures_util::{SinkExt, StreamExt};
use hyper::Uri;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::{Exit, show};
use crate::edges::tls::roots;
use crate::password;

pub const HELP: &str = "\
Opens a session, then sends each line of standard input as one request and prints each event as one line of JSON. Empty
lines and lines that begin with # are not sent. The password comes from TANDEM_CTI_PASSWORD, or is asked for on a terminal.
After the end of its input it goes on printing for --wait seconds.

Examples:
  export TANDEM_CTI_PASSWORD=secret-agent01
  tandem cti --user agent01
  {\"request\":\"TRegisterAddress\",\"ReferenceID\":1,\"ThisDN\":\"1001\"}
  {\"request\":\"TAgentLogin\",\"ReferenceID\":2,\"ThisDN\":\"1001\",\"AgentID\":\"2001\",\"WorkMode\":\"AutoIn\"}

  echo '{\"request\":\"TQueryServer\"}' | tandem cti --user supervisor --wait 1";

const PATIENCE: Duration = Duration::from_secs(10);
/// Lines that wait for the connection.
const MAX_LINES: usize = 16;

/// Arguments of `tandem cti`.
#[derive(Debug, Args)]
pub struct Line {
    /// User name of a person
    #[arg(long, env = "TANDEM_CTI_USER", value_name = "NAME")]
    user: String,
    /// CTI interface of the server
    #[arg(long, env = "TANDEM_CTI", default_value = "ws://127.0.0.1:8061/cti", value_name = "URL")]
    connect: String,
    /// Certificate to trust, PEM; needed for wss://
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Session to continue, as an earlier EventLinkConnected named it
    #[arg(long, value_name = "SESSION", requires = "after")]
    session: Option<String>,
    /// Last EventSequenceNumber that was seen of it
    #[arg(long, value_name = "N", requires = "session")]
    after: Option<u64>,
    /// How long to go on after the end of the input
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    wait: f64,
}

/// Bytes, encrypted or not.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A connection to a CTI interface.
pub type Socket = WebSocketStream<Box<dyn Wire>>;

/// Runs it.
pub fn run(line: &Line) -> Exit {
    let secret = match (std::env::var("TANDEM_CTI_PASSWORD"), std::io::stdin().is_terminal()) {
        (Ok(secret), _) => Ok(secret),
        (Err(_), true) => password::read(&format!("Password of {}: ", line.user)).map_err(|e| e.to_string()),
        (Err(_), false) => Err("no password: set TANDEM_CTI_PASSWORD".to_owned()),
    };
    let secret = match secret {
        Ok(secret) => secret,
        Err(why) => return super::failed(&why),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return super::failed(&error.to_string()),
    };
    let done = runtime.block_on(async {
        let socket = match timeout(PATIENCE, connect(&line.connect, line.ca.as_deref(), None)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(why)) => return Err((Exit::Unreachable, why)),
            Err(_) => return Err((Exit::Unreachable, "no answer in time".to_owned())),
        };
        talk(line, secret, socket).await.map_err(|why| (Exit::Failed, why))
    });
    // The thread that reads standard input may still wait for a line.
    runtime.shutdown_background();
    match done {
        Ok(()) => Exit::Done,
        Err((exit, why)) => {
            eprintln!("tandem: {}: {why}", line.connect);
            exit
        }
    }
}

/// Connects to a CTI interface, from an address of this machine if one is named.
///
/// # Errors
/// A sentence.
pub async fn connect(url: &str, ca: Option<&Path>, from: Option<IpAddr>) -> Result<Socket, String> {
    let expected = || "is not an address of the kind ws://127.0.0.1:8061/cti".to_owned();
    let uri: Uri = url.parse().map_err(|_| expected())?;
    let host = uri.host().ok_or_else(expected)?;
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().ok_or_else(expected)?;
    let stream = match from {
        None => TcpStream::connect((&*name, port)).await,
        Some(from) => connect_from(from, &name, port).await,
    };
    let stream = stream.map_err(|error| error.to_string())?;
    let wire: Box<dyn Wire> = match (uri.scheme_str(), ca) {
        (Some("ws"), _) => Box::new(stream),
        (Some("wss"), Some(ca)) => {
            let connector = TlsConnector::from(roots(ca).map_err(|error| format!("{error:#}"))?);
            let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
            let encrypted = connector.connect(name, stream).await;
            Box::new(encrypted.map_err(|error| hint(&error, "InvalidContentType", "ws"))?)
        }
        (Some("wss"), None) => return Err("wss needs --ca: the certificate to trust".to_owned()),
        (Some(_) | None, _) => return Err(expected()),
    };
    let opened = tokio_tungstenite::client_async(&uri, wire).await;
    opened.map(|(socket, _)| socket).map_err(|error| hint(&error, "invalid HTTP version", "wss"))
}

async fn connect_from(from: IpAddr, name: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut found = lookup_host((name, port)).await?;
    let of_its_kind = found.find(|to| to.is_ipv4() == from.is_ipv4());
    let to = of_its_kind.ok_or_else(|| std::io::Error::other("the host has no address of that kind"))?;
    let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(to).await
}

/// What went wrong; with what else to try, when the other side seems to speak the other of ws and wss.
fn hint(error: &dyn std::fmt::Display, sign: &str, other: &str) -> String {
    let text = error.to_string();
    if text.contains(sign) { format!("{text}; does it speak {other}:// there?") } else { text }
}

async fn talk(line: &Line, secret: String, mut socket: Socket) -> Result<(), String> {
    let open = serde_json::json!({
        "request": "TOpenServer", "ReferenceID": 0, "UserName": line.user, "Password": secret,
        "ApplicationName": "tandem cti", "Session": line.session, "After": line.after,
    });
    send(&mut socket, open.to_string()).await?;
    let mut lines = lines();
    let mut end: Option<Instant> = None;
    // Whoever ends his input at once is still told whether the session opened.
    let mut opened = false;
    loop {
        tokio::select! {
            text = lines.recv(), if end.is_none() => match text {
                Some(text) => send(&mut socket, text).await?,
                None => end = Some(Instant::now() + Duration::from_secs_f64(line.wait.clamp(0.0, 1e9))),
            },
            () = async { sleep_until(end.unwrap_or_else(Instant::now)).await }, if end.is_some() && opened => {
                let _ = timeout(PATIENCE, socket.close(None)).await;
                return Ok(());
            }
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => {
                    opened |= text.contains("\"EventLinkConnected\"");
                    show::say(&format!("{text}\n"));
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err(format!("closed by the server: {} ({})", frame.reason, u16::from(frame.code)));
                }
                Some(Ok(Message::Close(None))) | None => return Err("closed by the server".to_owned()),
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(error.to_string()),
            },
        }
    }
}

async fn send(socket: &mut Socket, text: String) -> Result<(), String> {
    socket.send(Message::text(text)).await.map_err(|error| error.to_string())
}

/// Lines of standard input that are to be sent. A thread of its own reads them: there is no other way to wait for both
/// a terminal and a socket.
fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(MAX_LINES);
    std::thread::spawn(move || {
        for text in std::io::stdin().lock().lines().map_while(Result::ok) {
            let text = text.trim();
            let idle = text.is_empty() || text.starts_with('#');
            if !idle && sender.blocking_send(text.to_owned()).is_err() {
                return;
            }
        }
    });
    lines
}
