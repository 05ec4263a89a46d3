//! SIP over WebSocket (RFC 7118): one message a frame, text or binary. Only browsers open such connections.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tandem_sip::Flow;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::sync::CancellationToken;

use super::stream::{Delivered, End, deliver};
use super::tcp::{Bytewise, TcpEdge};
use crate::limits::{IDLE, MAX_WS_MESSAGE, READ_CHUNK, WRITE_WITHIN, WS_PING_EVERY, WS_SILENCE};

/// A connection after its handshake.
pub(super) type Socket = WebSocketStream<Box<dyn Bytewise>>;

/// The subprotocol (RFC 7118 4.1).
const SIP: &str = "sip";
/// What a browser's user agent sends to keep its connection (RFC 7118 6): as over TCP.
const PING: &[u8] = b"\r\n\r\n";

/// The handshake. A client that does not offer the subprotocol `sip` gets 400.
pub(super) async fn accept(stream: Box<dyn Bytewise>) -> Result<Socket, String> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_CHUNK)
        .max_message_size(Some(MAX_WS_MESSAGE))
        .max_frame_size(Some(MAX_WS_MESSAGE));
    let upgrade = tokio_tungstenite::accept_hdr_async_with_config(stream, only_sip, Some(config));
    upgrade.await.map_err(|error| error.to_string())
}

#[expect(clippy::result_large_err, reason = "the answer that the library asks for")]
fn only_sip(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if offered.any(|name| name.trim().eq_ignore_ascii_case(SIP)) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SIP));
        return Ok(response);
    }
    let mut refusal =
        ErrorResponse::new(Some("SIP is spoken here: offer the subprotocol \"sip\"\n".to_owned()));
    *refusal.status_mut() = StatusCode::BAD_REQUEST;
    Err(refusal)
}

/// Serves a connection until it ends.
pub(super) async fn serve(
    edge: &TcpEdge,
    mut socket: Socket,
    flow: Flow,
    mut queue: mpsc::Receiver<Bytes>,
    close: CancellationToken,
    first_within: Duration,
) {
    let ended = tokio::select! {
        ended = talk(edge, &mut socket, flow, &mut queue, first_within) => ended,
        () = close.cancelled() => End::TooSlow,
    };
    if let End::Unframeable(why) = &ended {
        let (code, reason) = (CloseCode::Size, why.clone().into());
        let _ = timeout(WRITE_WITHIN, socket.close(Some(CloseFrame { code, reason }))).await;
    }
    ended.report(edge, flow);
}

async fn talk(
    edge: &TcpEdge,
    socket: &mut Socket,
    flow: Flow,
    queue: &mut mpsc::Receiver<Bytes>,
    first_within: Duration,
) -> End {
    let mut deadline = Instant::now() + first_within;
    let mut proven = false;
    // Pongs come between messages only: who sends one too slowly is not heard.
    let mut heard = Instant::now();
    let mut pings = interval_at((Instant::now() + WS_PING_EVERY).into(), WS_PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            frame = socket.next() => {
            heard = Instant::now();
            edge.crowd.heard(flow.conn, heard);
            match frame {
                None | Some(Ok(Message::Close(_))) => return End::Peer,
                Some(Ok(Message::Text(text))) => {
                    match hear(edge, flow, text.as_str().as_bytes()).await {
                        Ok(message) => proves(edge, flow, &mut proven, message),
                        Err(end) => return end,
                    }
                    if proven {
                        deadline = Instant::now() + IDLE;
                    }
                }
                Some(Ok(Message::Binary(bytes))) => {
                    match hear(edge, flow, &bytes).await {
                        Ok(message) => proves(edge, flow, &mut proven, message),
                        Err(end) => return end,
                    }
                    if proven {
                        deadline = Instant::now() + IDLE;
                    }
                }
                // The library answers pings; either says that the browser is there.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                    if proven {
                        deadline = Instant::now() + IDLE;
                    }
                }
                Some(Ok(Message::Frame(_))) => {}
                Some(Err(tungstenite::Error::Capacity(error))) => return End::Unframeable(error.to_string()),
                Some(Err(tungstenite::Error::Io(error))) => return End::Failed(error),
                Some(Err(_)) => return End::Peer,
            }
            }
            payload = queue.recv() => {
                let Some(payload) = payload else { return End::Stopping };
                if let Some(end) = say(socket, frame(payload)).await {
                    return end;
                }
            }
            _ = pings.tick() => {
                if heard.elapsed() > WS_SILENCE {
                    return End::Idle;
                }
                if let Some(end) = say(socket, Message::Ping(Bytes::new())).await {
                    return end;
                }
            }
            () = sleep_until(deadline.into()) => return End::Idle,
        }
    }
}

fn proves(edge: &TcpEdge, flow: Flow, proven: &mut bool, message: bool) {
    if message && !std::mem::replace(proven, true) {
        edge.crowd.proven(flow.conn);
    }
}

/// A frame is a message that can be read (true), or a keep-alive or a message that cannot.
async fn hear(edge: &TcpEdge, flow: Flow, bytes: &[u8]) -> Result<bool, End> {
    if bytes.iter().all(|byte| b"\r\n".contains(byte)) {
        if bytes == PING {
            let _ = edge.write(flow.conn, Bytes::from_static(b"\r\n"));
        }
        return Ok(false);
    }
    match deliver(edge, flow, bytes).await {
        Delivered::Message => Ok(true),
        Delivered::Unreadable => Ok(false),
        Delivered::Stopping => Err(End::Stopping),
    }
}

/// Browsers that read text are served text; what is none goes as binary.
fn frame(payload: Bytes) -> Message {
    match std::str::from_utf8(&payload) {
        Ok(text) => Message::text(text),
        Err(_) => Message::Binary(payload),
    }
}

async fn say(socket: &mut Socket, message: Message) -> Option<End> {
    match timeout(WRITE_WITHIN, socket.send(message)).await {
        Ok(Ok(())) => None,
        Ok(Err(tungstenite::Error::Io(error))) => Some(End::Failed(error)),
        Ok(Err(_)) => Some(End::Peer),
        Err(_) => Some(End::TooSlow),
    }
}
