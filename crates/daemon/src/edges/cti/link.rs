//! One connection of the CTI interface, from its handshake to its end. One task reads and writes it, so that a client
//! that is not read from is not listened to either.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use tandem_cti::{ErrorCode, Event, Refusal, Request, TOpenServer, Unreadable, decode, encode};
use tandem_switch::Input;
use tandem_switch::cti::{CtiInput, LinkId, Outgoing};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request as Upgrade, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use super::doorkeeper::Refused;
use super::{Acceptor, CtiEdge, Ending};
use crate::edges::line::Line;
use crate::limits::{
    CTI_FAILURE_PAUSE, CTI_HANDSHAKE_WITHIN, CTI_IDLE, CTI_OPEN_WITHIN, CTI_PING_EVERY, CTI_READ_BUFFER,
    CTI_REQUESTS_PER_S, CTI_WRITE_CHUNK, MAX_CTI_EARLY, WRITE_WITHIN,
};
use crate::run::now;

const PATH: &str = "/cti";

/// Why a connection ends.
enum End {
    /// Its client closed it, or it broke.
    Gone,
    /// This server closes it, with a code, a reason, and what is told before.
    Close(CloseCode, &'static str, Option<Box<Event>>),
}

impl End {
    fn refusing(code: CloseCode, reason: &'static str, refusal: &Refusal, reference_id: Option<u32>) -> Self {
        let mut event = Event::error(refusal, reference_id);
        event.time = now().unix_ms;
        // It is no part of any session's stream.
        event.sequence = Some(0);
        Self::Close(code, reason, Some(Box::new(event)))
    }
}

type Socket<S> = WebSocketStream<S>;

/// Serves a connection until it ends.
pub async fn serve(
    edge: &CtiEdge,
    stream: Line,
    remote: SocketAddr,
    tls: Option<Acceptor>,
    place: OwnedSemaphorePermit,
) {
    match tls {
        None => Box::pin(shake_hands(edge, stream, remote, place)).await,
        Some(acceptor) => match timeout(CTI_HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Box::pin(shake_hands(edge, stream, remote, place)).await,
            Ok(Err(error)) => tracing::info!(%remote, %error, "CTI connection closed: no TLS"),
            Err(_) => tracing::info!(%remote, "CTI connection closed: no TLS in time"),
        },
    }
}

async fn shake_hands<S>(edge: &CtiEdge, stream: S, remote: SocketAddr, place: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(CTI_READ_BUFFER)
        .write_buffer_size(CTI_READ_BUFFER)
        .max_message_size(Some(tandem_cti::limits::MAX_REQUEST_BYTES))
        .max_frame_size(Some(tandem_cti::limits::MAX_REQUEST_BYTES));
    let upgrade = tokio_tungstenite::accept_hdr_async_with_config(stream, only_cti, Some(config));
    let mut socket = match timeout(CTI_HANDSHAKE_WITHIN, upgrade).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => {
            tracing::debug!(%remote, %error, "CTI connection closed: no WebSocket");
            return;
        }
        Err(_) => {
            tracing::debug!(%remote, "CTI connection closed: no WebSocket handshake in time");
            return;
        }
    };
    let end = tokio::select! {
        biased;
        () = edge.stopping.cancelled() => stopping(),
        end = prove_and_talk(edge, &mut socket, remote, place) => end,
    };
    if let End::Close(code, reason, told) = end {
        if !matches!(code, CloseCode::Normal | CloseCode::Away) {
            tracing::info!(%remote, reason, "CTI connection closed");
        }
        let _ = timeout(WRITE_WITHIN, part(&mut socket, code, reason, told)).await;
    }
}

async fn prove_and_talk<S>(
    edge: &CtiEdge,
    socket: &mut Socket<S>,
    remote: SocketAddr,
    place: OwnedSemaphorePermit,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match prove(edge, socket, remote).await {
        Ok(open) => {
            drop(place);
            talk(edge, socket, remote, open).await
        }
        Err(end) => end,
    }
}

fn stopping() -> End {
    End::Close(CloseCode::Away, "the server is stopping", None)
}

#[expect(clippy::result_large_err, reason = "the answer that the library asks for")]
fn only_cti(upgrade: &Upgrade, response: Response) -> Result<Response, ErrorResponse> {
    if upgrade.uri().path() == PATH {
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(Some(format!("the CTI interface is at {PATH}\n")));
    *refusal.status_mut() = StatusCode::NOT_FOUND;
    Err(refusal)
}

async fn part<S>(socket: &mut Socket<S>, code: CloseCode, reason: &'static str, told: Option<Box<Event>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(text) = told.and_then(|event| serde_json::to_string(&event).ok()) {
        let _ = socket.send(Message::text(text)).await;
    }
    let _ = socket.close(Some(CloseFrame { code, reason: reason.into() })).await;
    // What the client has sent meanwhile is read away: data that nobody reads would reset the connection, and the
    // explanation with it.
    while let Some(Ok(_)) = socket.next().await {}
}

/// The next text, or why there is none. Pings are answered by the library.
async fn next_text<S>(socket: &mut Socket<S>) -> Result<Option<String>, End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match socket.next().await {
        Some(Ok(Message::Text(text))) => Ok(Some(text.as_str().to_owned())),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => {
            let refusal = Refusal::because(ErrorCode::InvalidAttr, "binary frames are not understood");
            Err(End::refusing(CloseCode::Unsupported, "a binary frame", &refusal, None))
        }
        Some(Ok(Message::Close(_))) | None => Err(End::Gone),
        Some(Err(tungstenite::Error::Capacity(error))) => {
            let refusal = Refusal::because(ErrorCode::InvalidAttr, error.to_string());
            Err(End::refusing(CloseCode::Size, "a frame that is too long", &refusal, None))
        }
        Some(Err(tungstenite::Error::Utf8(_))) => {
            let refusal = Refusal::because(ErrorCode::InvalidAttr, "the frame is not UTF-8");
            Err(End::refusing(CloseCode::Invalid, "a frame that is not UTF-8", &refusal, None))
        }
        Some(Err(_)) => Err(End::Gone),
    }
}

fn unreadable(edge: &CtiEdge, fatal: tandem_cti::Fatal) -> End {
    edge.counters.unreadable.fetch_add(1, Ordering::Relaxed);
    let refusal = Refusal::because(ErrorCode::InvalidAttr, fatal.to_string());
    End::refusing(CloseCode::Invalid, "a frame that is no JSON object", &refusal, None)
}

/// A client that is who it says.
struct Open {
    input: CtiInput,
    link: LinkId,
    queue: mpsc::Receiver<Outgoing>,
    ending: Arc<Ending>,
    /// Requests that came before the answer.
    early: Vec<String>,
}

/// Waits for TOpenServer and checks it.
async fn prove<S>(edge: &CtiEdge, socket: &mut Socket<S>, remote: SocketAddr) -> Result<Open, End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let first = async {
        loop {
            if let Some(text) = next_text(socket).await? {
                return Ok::<String, End>(text);
            }
        }
    };
    let Ok(text) = timeout(CTI_OPEN_WITHIN, first).await else {
        let refusal = Refusal::because(ErrorCode::Timeout, "TOpenServer did not come in time");
        return Err(End::refusing(CloseCode::Policy, "no TOpenServer in time", &refusal, None));
    };
    let refuse = |refusal: &Refusal, reference_id| {
        End::refusing(CloseCode::Policy, "not opened", refusal, reference_id)
    };
    let asked = match decode(&text?) {
        Ok(Request::TOpenServer(open)) => open,
        Ok(other) => {
            let refusal = Refusal::because(ErrorCode::RecvdInvState, "the first request must be TOpenServer");
            return Err(refuse(&refusal, other.reference_id()));
        }
        Err(Unreadable::Fatal(fatal)) => return Err(unreadable(edge, fatal)),
        Err(Unreadable::Malformed(bad)) => return Err(refuse(&bad.refusal, bad.reference_id)),
    };
    let reference_id = asked.reference_id;
    let directory = Arc::clone(&edge.directory.borrow());
    let admitted = edge.doorkeeper.admit(remote.ip(), &directory, &asked.user_name, asked.password.clone());
    let mut early = Vec::new();
    let admitted = tokio::select! {
        admitted = admitted => admitted,
        end = gone(socket, &mut early) => return Err(end),
    };
    match admitted {
        Ok((person, _)) if !edge.isolation.admits(remote.ip(), Some(&person), Instant::now()) => {
            Err(End::Gone)
        }
        Ok((person, role)) => {
            let (link, queue, ending) = edge.register(remote.ip(), &person);
            let input = opening(link, person, role, asked);
            Ok(Open { input, link, queue, ending, early })
        }
        Err(refused) => {
            let refusal = turned_away(edge, remote, &asked.user_name, refused);
            if refused == Refused::Wrong {
                tokio::time::sleep(CTI_FAILURE_PAUSE).await;
            }
            Err(refuse(&refusal, reference_id))
        }
    }
}

/// Keeps what the client says before it is let in, and resolves when it goes away.
async fn gone<S>(socket: &mut Socket<S>, early: &mut Vec<String>) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while early.len() < MAX_CTI_EARLY {
        match next_text(socket).await {
            Ok(text) => early.extend(text),
            Err(end) => return end,
        }
    }
    std::future::pending().await
}

fn opening(link: LinkId, person: Arc<str>, role: tandem_cti::Role, asked: TOpenServer) -> CtiInput {
    CtiInput::Open {
        link,
        person,
        role,
        application: asked.application_name.unwrap_or_default().into(),
        resume: asked.session.map(|session| (session.into(), asked.after.unwrap_or(0))),
        reference_id: asked.reference_id,
    }
}

/// Counts and logs a refusal, without the password.
pub(super) fn turned_away(edge: &CtiEdge, remote: SocketAddr, user: &str, refused: Refused) -> Refusal {
    match refused {
        Refused::Wrong => {
            edge.counters.failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%remote, user = ?user, "login refused: wrong user name or password");
            Refusal::because(ErrorCode::InvPasswd, "wrong user name or password")
        }
        Refused::LockedOut(left) => {
            edge.counters.locked_out.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%remote, user = ?user, "login refused: too many failures before");
            let again = left.as_secs() + 1;
            Refusal::because(ErrorCode::InvPasswd, format!("too many failures; try again in {again} s"))
        }
        Refused::Busy => {
            tracing::warn!(%remote, user = ?user, "login refused: too many wait for their turn");
            Refusal::because(ErrorCode::ResUnavail, "too many clients open sessions; try again")
        }
    }
}

/// Carries requests and events until either side ends it.
async fn talk<S>(edge: &CtiEdge, socket: &mut Socket<S>, remote: SocketAddr, open: Open) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Open { input, link, mut queue, ending, early } = open;
    let opened = async {
        pass_on(edge, input).await?;
        for text in early {
            pass_on(edge, request(edge, link, &text)?).await?;
        }
        Ok(())
    };
    let end = match opened.await {
        Ok(()) => exchange(edge, socket, link, &mut queue, &ending).await,
        Err(end) => end,
    };
    edge.unregister(link);
    edge.commands.input(Input::Cti(CtiInput::Closed { link })).await;
    if let End::Close(CloseCode::Again, reason, _) = &end {
        edge.counters.too_slow.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%remote, reason, "CTI client dropped; it may resume its session");
        // It does not read: there is nobody to part from.
        return End::Gone;
    }
    end
}

/// Waits for room in the `Node`'s queue.
async fn pass_on(edge: &CtiEdge, input: CtiInput) -> Result<(), End> {
    match edge.commands.input(Input::Cti(input)).await {
        true => Ok(()),
        false => Err(stopping()),
    }
}

/// What the connection is ended for.
fn ended(ending: &Ending) -> End {
    if ending.cut.load(Ordering::Relaxed) {
        return End::Gone;
    }
    if ending.replaced.load(Ordering::Relaxed) {
        let why = "another connection has taken this session over, or its person was changed: open it anew";
        return End::Close(CloseCode::Policy, why, None);
    }
    TOO_SLOW
}

const TOO_SLOW: End = End::Close(CloseCode::Again, "the client does not read its events", None);

async fn exchange<S>(
    edge: &CtiEdge,
    socket: &mut Socket<S>,
    link: LinkId,
    queue: &mut mpsc::Receiver<Outgoing>,
    ending: &Ending,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut ping = interval_at(tokio::time::Instant::now() + CTI_PING_EVERY, CTI_PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let mut pace = Pace::new(heard);
    loop {
        tokio::select! {
            () = ending.now.cancelled() => return ended(ending),
            event = queue.recv() => {
                let Some(event) = event else { return End::Gone };
                if let Err(end) = write(edge, socket, event, queue, ending).await {
                    return end;
                }
            }
            () = sleep_until(pace.until.into()), if pace.is_full() => pace = Pace::new(Instant::now()),
            text = next_text(socket), if !pace.is_full() => {
                heard = Instant::now();
                let read = match text {
                    Ok(None) => continue,
                    Ok(Some(text)) => request(edge, link, &text),
                    Err(end) => return end,
                };
                pace.count(heard);
                let passed = match read {
                    Ok(input) => pass_on(edge, input).await,
                    Err(end) => return end,
                };
                if let Err(end) = passed {
                    return end;
                }
            }
            _ = ping.tick() => {
                if heard.elapsed() > CTI_IDLE {
                    return End::Close(CloseCode::Policy, "the client is silent", None);
                }
                let sent = timeout(WRITE_WITHIN, socket.send(Message::Ping(Vec::new().into()))).await;
                match sent {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return End::Gone,
                    Err(_) => return TOO_SLOW,
                }
            }
        }
    }
}

/// What a text of an open session means.
fn request(edge: &CtiEdge, link: LinkId, text: &str) -> Result<CtiInput, End> {
    edge.counters.requests.fetch_add(1, Ordering::Relaxed);
    match decode(text) {
        Ok(Request::TOpenServer(again)) => {
            let refusal = Refusal::because(ErrorCode::RecvdInvState, "the session is open already");
            Ok(CtiInput::Malformed { link, reference_id: again.reference_id, refusal })
        }
        Ok(request) => Ok(CtiInput::Request { link, request: Box::new(request) }),
        Err(Unreadable::Malformed(bad)) => {
            Ok(CtiInput::Malformed { link, reference_id: bad.reference_id, refusal: bad.refusal })
        }
        Err(Unreadable::Fatal(fatal)) => Err(unreadable(edge, fatal)),
    }
}

/// Writes an event and those behind it, as many as fit one chunk.
async fn write<S>(
    edge: &CtiEdge,
    socket: &mut Socket<S>,
    first: Outgoing,
    queue: &mut mpsc::Receiver<Outgoing>,
    ending: &Ending,
) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let chunk = async {
        let (mut bytes, mut next) = (0, Some(first));
        while let Some(event) = next.take() {
            let text = encode(&event.event, event.sequence, event.reference_id);
            bytes += text.len();
            socket.feed(Message::text(text)).await?;
            edge.counters.events.fetch_add(1, Ordering::Relaxed);
            if bytes < CTI_WRITE_CHUNK {
                next = queue.try_recv().ok();
            }
        }
        socket.flush().await
    };
    tokio::select! {
        written = timeout(WRITE_WITHIN, chunk) => match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(TOO_SLOW),
        },
        () = ending.now.cancelled() => Err(ended(ending)),
    }
}

/// How many requests a client has made in this second.
struct Pace {
    requests: u32,
    until: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { requests: 0, until: now + std::time::Duration::from_secs(1) }
    }

    fn is_full(&self) -> bool {
        self.requests >= CTI_REQUESTS_PER_S
    }

    fn count(&mut self, now: Instant) {
        if now >= self.until {
            *self = Self::new(now);
        }
        self.requests += 1;
    }
}
