//! A client of the CTI interface that does what it is told, and waits for what it is told to wait for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

const PATIENCE: Duration = Duration::from_secs(30);

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

pub struct Desktop {
    runtime: Runtime,
    socket: WebSocketStream<Box<dyn Wire>>,
}

/// How a connection ended: close code and reason.
pub type End = (u16, String);

impl Desktop {
    /// Connects; says nothing yet.
    pub fn connect(port: u16) -> Self {
        Self::connect_by(port, "/cti", None, None).unwrap()
    }

    /// Connects with TLS, trusting one configuration.
    pub fn connect_tls(port: u16, trusted: Arc<rustls::ClientConfig>) -> Self {
        Self::connect_by(port, "/cti", Some(trusted), None).unwrap()
    }

    /// Connects with a receive buffer that holds next to nothing.
    pub fn connect_narrow(port: u16) -> Self {
        Self::connect_by(port, "/cti", None, Some(4096)).unwrap()
    }

    pub fn connect_by(
        port: u16,
        path: &str,
        tls: Option<Arc<rustls::ClientConfig>>,
        buffer: Option<u32>,
    ) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            if let Some(buffer) = buffer {
                socket.set_recv_buffer_size(buffer).unwrap();
            }
            let stream = socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
            let wire: Box<dyn Wire> = match tls {
                None => Box::new(stream),
                Some(config) => {
                    let name = ServerName::try_from("127.0.0.1").unwrap();
                    Box::new(tokio_rustls::TlsConnector::from(config).connect(name, stream).await?)
                }
            };
            let url = format!("ws://127.0.0.1:{port}{path}");
            tokio_tungstenite::client_async(url, wire).await.map(|(socket, _)| socket)
        })?;
        Ok(Self { runtime, socket })
    }

    pub fn send(&mut self, request: &Value) {
        self.send_frame(Message::text(request.to_string()));
    }

    pub fn send_frame(&mut self, frame: Message) {
        self.runtime.block_on(self.socket.send(frame)).unwrap();
    }

    /// The next event, or how the connection ended.
    pub fn next(&mut self) -> Result<Value, End> {
        let next = async { timeout(PATIENCE, self.socket.next()).await.expect("nothing came") };
        match self.runtime.block_on(next) {
            Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Close(Some(frame)))) => Err((frame.code.into(), frame.reason.to_string())),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => self.next(),
            Some(Ok(Message::Close(None) | Message::Binary(_) | Message::Frame(_)) | Err(_)) | None => {
                Err((0, String::new()))
            }
        }
    }

    /// The next event.
    pub fn event(&mut self) -> Value {
        self.next().unwrap()
    }

    /// Reads until the connection ends; answers the last event and how it ended.
    pub fn until_end(&mut self) -> (Option<Value>, End) {
        let mut last = None;
        loop {
            match self.next() {
                Ok(event) => last = Some(event),
                Err(end) => return (last, end),
            }
        }
    }

    pub fn open_request(user: &str) -> Value {
        json!({ "request": "TOpenServer", "ReferenceID": 1, "UserName": user, "Password": format!("secret-{user}") })
    }

    /// Opens a session; answers its EventLinkConnected.
    pub fn open(&mut self, user: &str) -> Value {
        self.send(&Self::open_request(user));
        self.event()
    }
}
