//! One connection between two members, after both have introduced themselves.

use std::io;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsStream;

use super::admission::{Refusal, Side, Terms, admit};
use super::error::{LinkError, broken, handshake, is_end};
use super::hello::{BadHello, Hello, Introduction};
use super::reader::Reader;
use super::room::{Facts, Place, Room};
use super::security::names;
use super::word::{BadWord, Piece, Word, cut};
use crate::limits::{
    MAX_MEMBER_REPLIES, MEMBER_BEAT_EVERY, MEMBER_SILENCE, MEMBER_WRITE_CHUNK, MEMBER_WRITE_WITHIN,
};

pub(super) type Stream = TlsStream<TcpStream>;

/// A connection whose both ends have introduced themselves.
pub(super) struct Ready {
    stream: Stream,
    /// How this member introduced itself.
    me: Introduction,
    pub(super) other: Hello,
    /// What came behind the introduction.
    come: BytesMut,
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    Closed,
    Failed(io::Error),
    /// Nothing came for too long.
    Silent,
    /// Nothing could be written for too long.
    Stuck,
    Bad(BadWord),
    /// It spoke for another.
    Forged {
        claimed: String,
    },
    /// It introduced itself as another.
    Changed,
    /// It asked for more than it took.
    Insatiable,
    Refused(String),
    Refusal(Refusal),
    /// A newer connection has taken its place, or this member ends.
    Over,
}

const GONE: &str = "the other closed the connection: it was stopped, or killed";

impl End {
    /// What is to be said of it.
    fn why(&self) -> Option<String> {
        Some(match self {
            Self::Closed => GONE.to_owned(),
            Self::Failed(error) if is_end(error) => GONE.to_owned(),
            Self::Failed(error) => format!("the connection broke: {}", broken(error)),
            Self::Silent => format!(
                "nothing came for {} s: the other is stuck, or the way is cut",
                MEMBER_SILENCE.as_secs()
            ),
            Self::Stuck => {
                "nothing could be written for a while: the other is stuck, or the way is cut".to_owned()
            }
            Self::Bad(bad) => format!("it cannot be understood: {bad}"),
            Self::Forged { claimed } => {
                format!("it sent a frame in the name of member {claimed}: its state directory is not its own")
            }
            Self::Changed => "it introduced itself as another member in between".to_owned(),
            Self::Insatiable => "it asks faster than it takes answers".to_owned(),
            Self::Refused(why) => format!("it refuses the link: {why}"),
            Self::Refusal(refusal) => refusal.to_string(),
            Self::Over => return None,
        })
    }
}

/// Introduces both ends to each other.
///
/// # Errors
/// See [`LinkError`].
pub(super) async fn introduce(mut stream: Stream, me: Hello) -> Result<Ready, LinkError> {
    say(&mut stream, &Word::Hello(Box::new(me.clone()))).await?;
    let mut come = BytesMut::new();
    match hear(&mut stream, &mut come).await? {
        Word::Hello(other) => Ok(Ready { stream, me: me.introduction, other: *other, come }),
        Word::Welcome
        | Word::Beat
        | Word::Refused(_)
        | Word::Digest(_)
        | Word::Parts(_)
        | Word::Excerpt(_) => Err(BadHello::Unreadable.into()),
    }
}

async fn say(stream: &mut Stream, word: &Word) -> Result<(), LinkError> {
    let mut out = BytesMut::new();
    word.encode(&mut out);
    let said = async {
        stream.write_all(&out).await?;
        stream.flush().await
    };
    said.await.map_err(|error| handshake(&error))
}

/// The next word, which is no refusal.
async fn hear(stream: &mut Stream, come: &mut BytesMut) -> Result<Word, LinkError> {
    loop {
        match cut(come) {
            Ok(Some(Piece::Word(Word::Refused(why)))) => return Err(LinkError::Refused(why)),
            Ok(Some(Piece::Word(word))) => return Ok(word),
            Ok(Some(Piece::Unknown)) => continue,
            Ok(None) => {}
            Err(BadWord::Hello(bad)) => return Err(bad.into()),
            Ok(Some(Piece::Frame(_))) | Err(BadWord::Frame(_) | BadWord::Length | BadWord::Payload) => {
                return Err(BadHello::Unreadable.into());
            }
        }
        match stream.read_buf(come).await {
            Ok(0) => return Err(LinkError::Closed),
            Ok(_) => {}
            Err(error) => return Err(handshake(&error)),
        }
    }
}

impl Ready {
    /// The certificate that the other end has shown.
    pub(super) fn certificate(&self) -> Option<CertificateDer<'static>> {
        let (_, tls) = self.stream.get_ref();
        tls.peer_certificates().and_then(<[_]>::first).map(|shown| shown.clone().into_owned())
    }

    /// On which terms there is a link.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn admit(&self, facts: &Facts, side: Side) -> Result<Terms, Refusal> {
        let shown = self.certificate();
        let named = |host: &str| shown.as_ref().is_some_and(|shown| names(shown, host));
        admit(&facts.me, &facts.roster, &self.other.introduction, side, named)
    }

    /// Says that there is a link, and waits until the other says so, too.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn welcome(mut self) -> Result<Self, LinkError> {
        say(&mut self.stream, &Word::Welcome).await?;
        match hear(&mut self.stream, &mut self.come).await? {
            Word::Welcome => Ok(self),
            Word::Hello(_)
            | Word::Beat
            | Word::Refused(_)
            | Word::Digest(_)
            | Word::Parts(_)
            | Word::Excerpt(_) => Err(BadHello::Unreadable.into()),
        }
    }

    /// Says why there is no link, and ends the connection.
    pub(super) async fn refuse(mut self, why: Refusal) -> LinkError {
        let told = async {
            say(&mut self.stream, &Word::Refused(why.to_string())).await?;
            self.stream.shutdown().await.map_err(|error| handshake(&error))
        };
        // It is closed in any case.
        let _ = timeout(MEMBER_WRITE_WITHIN, told).await;
        why.into()
    }

    /// Carries frames and words until the connection ends.
    pub(super) async fn serve(self, room: &Room, mut place: Place) {
        let certificate = self.certificate();
        let Self { stream, me, other, come } = self;
        let (read_half, mut write_half) = tokio::io::split(stream);
        let (replies, queue) = mpsc::channel(MAX_MEMBER_REPLIES);
        let mut reader = Reader::new(room, place.side, (me, other.introduction), certificate, replies);
        let close = place.close.clone();
        let end = tokio::select! {
            end = reader.run(read_half, come) => end,
            end = write(&mut write_half, &mut place, queue) => end,
            () = close.cancelled() => End::Over,
        };
        room.leave(&place, end.why().as_deref());
        let parting = async {
            if let End::Refusal(refusal) = &end {
                let mut out = BytesMut::new();
                Word::Refused(refusal.to_string()).encode(&mut out);
                write_half.write_all(&out).await?;
            }
            write_half.shutdown().await
        };
        // Whoever does not hear it any more finds the connection closed.
        let _ = timeout(MEMBER_WRITE_WITHIN, parting).await;
    }
}

/// Writes frames, and answers of the other half; in between, that this member lives.
async fn write(stream: &mut WriteHalf<Stream>, place: &mut Place, mut replies: mpsc::Receiver<Word>) -> End {
    let mut out = BytesMut::new();
    loop {
        tokio::select! {
            frame = place.queue.recv() => {
                let Some(frame) = frame else { return End::Over };
                let mut next = Some(frame);
                while let Some(frame) = next {
                    place.waiting.fetch_sub(frame.len(), Ordering::Relaxed);
                    out.extend_from_slice(&frame);
                    next = (out.len() < MEMBER_WRITE_CHUNK).then(|| place.queue.try_recv().ok()).flatten();
                }
            }
            Some(word) = replies.recv() => word.encode(&mut out),
            () = sleep(MEMBER_BEAT_EVERY) => Word::Beat.encode(&mut out),
        }
        for chunk in out.chunks(MEMBER_WRITE_CHUNK) {
            let written = async {
                stream.write_all(chunk).await?;
                stream.flush().await
            };
            match timeout(MEMBER_WRITE_WITHIN, written).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return End::Failed(error),
                Err(_) => return End::Stuck,
            }
        }
        out.clear();
    }
}
