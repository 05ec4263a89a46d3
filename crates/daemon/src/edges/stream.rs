//! SIP over a stream of bytes, TCP or TLS: messages are framed and parsed here, and go to the `Node` whole.
//!
//! A stream that cannot be framed is closed: there is no telling where its next message begins.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_sip::framer::{Framed, Framer};
use tandem_sip::{Flow, HeaderName, Message, Method, response_to};
use tandem_switch::Input;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::tcp::{Bytewise, TcpEdge};
use crate::limits::{IDLE, MESSAGE_WITHIN, READ_CHUNK, WRITE_WITHIN};

type Stream = Box<dyn Bytewise>;

/// Why a connection ended.
pub(super) enum End {
    /// The other side closed it.
    Peer,
    /// Nothing was heard for too long.
    Idle,
    /// A message took too long to come.
    SlowSender,
    /// Its other side does not read.
    TooSlow,
    /// The server ends.
    Stopping,
    /// It broke.
    Failed(io::Error),
    /// What came over it is no SIP.
    Unframeable(String),
}

impl End {
    pub(super) fn report(&self, edge: &TcpEdge, flow: Flow) {
        match self {
            Self::Peer => tracing::debug!(%flow, "connection closed by the peer"),
            Self::Idle => tracing::debug!(%flow, "connection closed: idle"),
            Self::SlowSender => {
                edge.counters.slow_sender.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%flow, "connection closed: a message took too long to come");
            }
            Self::TooSlow => tracing::warn!(%flow, "connection closed: its peer reads too slowly"),
            Self::Stopping => {}
            Self::Failed(error) => tracing::debug!(%flow, %error, "connection failed"),
            Self::Unframeable(error) => {
                edge.counters.unreadable.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%flow, %error, "connection closed: its stream cannot be framed");
            }
        }
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve(
    edge: &TcpEdge,
    stream: Stream,
    flow: Flow,
    queue: mpsc::Receiver<Bytes>,
    close: CancellationToken,
    first_within: Duration,
) {
    let (read_half, mut write_half) = tokio::io::split(stream);
    let mut framer = Framer::new();
    let ended = tokio::select! {
        ended = read(edge, &mut framer, read_half, flow, first_within) => ended,
        ended = write_all(&mut write_half, queue) => ended,
        () = close.cancelled() => End::TooSlow,
    };
    if let Some(refusal) = framer.oversized().and_then(|head| too_large(&head, flow)) {
        edge.counters.oversized.fetch_add(1, Ordering::Relaxed);
        let told = async {
            write_half.write_all(&refusal).await?;
            write_half.shutdown().await
        };
        let _ = tokio::time::timeout(WRITE_WITHIN, told).await;
    }
    ended.report(edge, flow);
}

/// The refusal of a request whose body is too long to be read: 413 (RFC 3261 21.4.11). What follows on the connection cannot
/// be read either, so it is closed behind it.
fn too_large(head: &[u8], flow: Flow) -> Option<Bytes> {
    let mut bare = Vec::with_capacity(head.len());
    let mut lines = head.split_inclusive(|byte| *byte == b'\n');
    bare.extend_from_slice(lines.next()?);
    for line in lines {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        if HeaderName::parse(name.trim_ascii()) != HeaderName::ContentLength {
            bare.extend_from_slice(line);
        }
    }
    let request = Message::parse(bare.into()).ok().filter(Message::is_request)?;
    let envelope = request.envelope().ok()?;
    if envelope.cseq.method == Method::Ack {
        return None;
    }
    let (mut scratch, tag) = (Vec::new(), format!("{:x}", flow.conn));
    let tag = Some(tag.as_bytes());
    let reason = b"Request Entity Too Large";
    let mut builder = response_to(&mut scratch, &request, &envelope, 413, reason, tag, Some(flow.remote));
    Some(builder.finish(b""))
}

async fn read(
    edge: &TcpEdge,
    framer: &mut Framer,
    mut stream: ReadHalf<Stream>,
    flow: Flow,
    first_within: Duration,
) -> End {
    let mut chunk = vec![0; READ_CHUNK];
    let mut deadline = Instant::now() + first_within;
    // Keep-alives alone keep nothing: a message comes first.
    let mut proven = first_within == IDLE;
    let mut readable = false;
    // A message that has begun must be whole by then.
    let mut whole_by: Option<Instant> = None;
    loop {
        let until = whole_by.map_or(deadline, |at| at.min(deadline));
        let read = tokio::time::timeout_at(until.into(), stream.read(&mut chunk)).await;
        let length = match read {
            Err(_) if whole_by.is_some() => return End::SlowSender,
            Err(_) => return End::Idle,
            Ok(Ok(0)) => return End::Peer,
            Ok(Ok(length)) => length,
            Ok(Err(error)) => return End::Failed(error),
        };
        edge.crowd.heard(flow.conn, Instant::now());
        framer.push(chunk.get(..length).unwrap_or_default());
        loop {
            match framer.next() {
                Err(error) => return End::Unframeable(error.to_string()),
                Ok(None) => break,
                Ok(Some(Framed::KeepAlive)) => {
                    let _ = edge.write(flow.conn, Bytes::from_static(b"\r\n"));
                    if proven {
                        deadline = Instant::now() + IDLE;
                    }
                }
                Ok(Some(Framed::Message(bytes))) => {
                    (proven, deadline, whole_by) = (true, Instant::now() + IDLE, None);
                    match deliver(edge, flow, &bytes).await {
                        Delivered::Message if !readable => {
                            edge.crowd.proven(flow.conn);
                            readable = true;
                        }
                        Delivered::Message | Delivered::Unreadable => {}
                        Delivered::Stopping => return End::Stopping,
                    }
                }
            }
        }
        whole_by =
            framer.is_within_message().then(|| whole_by.unwrap_or_else(|| Instant::now() + MESSAGE_WITHIN));
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// The `Node` has it.
    Message,
    /// It cannot be read.
    Unreadable,
    /// The server is stopping.
    Stopping,
}

/// A queue that is full holds the reader back, and TCP the sender.
pub(super) async fn deliver(edge: &TcpEdge, flow: Flow, bytes: &[u8]) -> Delivered {
    // A copy of its own size, so that what the `Node` keeps does not hold the stream's buffer.
    match Message::parse(Bytes::copy_from_slice(bytes)) {
        Ok(message) => {
            edge.may_alias(flow, &message);
            let taken = edge.commands.input(Input::Sip { flow, message }).await;
            if taken { Delivered::Message } else { Delivered::Stopping }
        }
        Err(error) => {
            edge.counters.unreadable.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%flow, length = bytes.len(), %error, "unreadable message dropped");
            Delivered::Unreadable
        }
    }
}

async fn write_all(stream: &mut WriteHalf<Stream>, mut queue: mpsc::Receiver<Bytes>) -> End {
    while let Some(payload) = queue.recv().await {
        let written = async {
            stream.write_all(&payload).await?;
            stream.flush().await
        };
        match tokio::time::timeout(WRITE_WITHIN, written).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return End::Failed(error),
            Err(_) => return End::TooSlow,
        }
    }
    End::Stopping
}
