//! A WebSocket to a CTI server, with or without TLS: text frames in and out.

use std::path::Path;
use std::sync::Arc;

use axum::http::Uri;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::limits::MAX_CTI_EVENT;

/// Why there is no connection, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The URL.
    #[error("the URL cannot be used: {0}")]
    Url(String),
    /// Certificates.
    #[error("the certificates of {path} cannot be used: {why}")]
    Certificates { path: String, why: String },
    /// The network.
    #[error("{0}")]
    Network(#[from] std::io::Error),
    /// The WebSocket.
    #[error("{0}")]
    WebSocket(Box<tungstenite::Error>),
    /// The server closed.
    #[error("the server closed the connection")]
    Closed,
}

impl From<tungstenite::Error> for WireError {
    fn from(error: tungstenite::Error) -> Self {
        Self::WebSocket(Box::new(error))
    }
}

type Tls = tokio_rustls::client::TlsStream<TcpStream>;

/// The connection.
pub struct Wire {
    stream: Stream,
    /// Something was received since this was last asked for.
    heard: bool,
}

enum Stream {
    Plain(Box<WebSocketStream<TcpStream>>),
    Tls(Box<WebSocketStream<Tls>>),
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn connect(url: &str, ca_file: Option<&Path>) -> Result<Self, WireError> {
        let uri: Uri = url.parse().map_err(|_| WireError::Url(url.to_owned()))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let tls = uri.scheme_str() == Some("wss");
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let tcp = TcpStream::connect((host.as_str(), port)).await?;
        tcp.set_nodelay(true)?;
        let mut config = WebSocketConfig::default();
        config.max_message_size = Some(MAX_CTI_EVENT);
        config.max_frame_size = Some(MAX_CTI_EVENT);
        let config = Some(config);
        let stream = if tls {
            let name = ServerName::try_from(host).map_err(|error| WireError::Url(error.to_string()))?;
            let stream = connector(ca_file)?.connect(name, tcp).await?;
            Stream::Tls(Box::new(client_async_with_config(url, stream, config).await?.0))
        } else {
            Stream::Plain(Box::new(client_async_with_config(url, tcp, config).await?.0))
        };
        Ok(Self { stream, heard: false })
    }

    /// Sends a request.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn send(&mut self, request: &tandem_cti::Request) -> Result<(), WireError> {
        let text = serde_json::to_string(request).map_err(std::io::Error::from)?;
        self.put(Message::text(text)).await
    }

    /// Asks whether the server is there.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn ping(&mut self) -> Result<(), WireError> {
        self.put(Message::Ping(Default::default())).await
    }

    /// Whether anything came since the last call.
    pub fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    async fn put(&mut self, message: Message) -> Result<(), WireError> {
        use futures_util::SinkExt as _;
        match &mut self.stream {
            Stream::Plain(stream) => stream.send(message).await?,
            Stream::Tls(stream) => stream.send(message).await?,
        }
        Ok(())
    }

    /// The next text.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn next(&mut self) -> Result<String, WireError> {
        use futures_util::StreamExt as _;
        loop {
            let message = match &mut self.stream {
                Stream::Plain(stream) => stream.next().await,
                Stream::Tls(stream) => stream.next().await,
            };
            self.heard = true;
            match message.ok_or(WireError::Closed)?? {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(_) => return Err(WireError::Closed),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, WireError> {
    let path = ca_file.map(|path| path.display().to_string()).unwrap_or_default();
    let fault = |why: String| WireError::Certificates { path: path.clone(), why };
    let mut roots = rustls::RootCertStore::empty();
    let certificates = ca_file.map(CertificateDer::pem_file_iter).transpose();
    for certificate in certificates.map_err(|error| fault(error.to_string()))?.into_iter().flatten() {
        let certificate = certificate.map_err(|error| fault(error.to_string()))?;
        roots.add(certificate).map_err(|error| fault(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(fault("it holds none".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
