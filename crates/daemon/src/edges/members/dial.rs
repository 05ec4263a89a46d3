//! Dialling other members, again and again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tandem_quorum::MemberId;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::admission::{Refusal, Side, host_and_port};
use super::error::{LinkError, handshake, unreachable};
use super::hello::{Hello, Introduction};
use super::link::{self, Ready};
use super::room::{Place, Room};
use crate::limits::{MEMBER_BACKOFF, MEMBER_BACKOFF_MOST, MEMBER_HANDSHAKE_WITHIN, MEMBER_SILENCE};

/// Keeps a connection to a member. `wake`: it was heard of.
pub(super) async fn keep(room: Arc<Room>, id: MemberId, address: String, wake: Arc<Notify>) {
    let mut pause = MEMBER_BACKOFF;
    loop {
        let begun = Instant::now();
        match timeout(MEMBER_HANDSHAKE_WITHIN, member(&room, id, &address))
            .await
            .unwrap_or(Err(LinkError::Late))
        {
            Ok((ready, place)) => ready.serve(&room, place).await,
            Err(why) => room.undialled(id, &address, &why.to_string()),
        }
        // Only what lasted was a link.
        let lasted = begun.elapsed() > MEMBER_HANDSHAKE_WITHIN + MEMBER_BACKOFF_MOST;
        pause = if lasted { MEMBER_BACKOFF } else { (pause * 2).min(MEMBER_BACKOFF_MOST) };
        tokio::select! {
            () = sleep(scattered(pause)) => {}
            () = wake.notified() => {}
        }
    }
}

/// Half of a pause to the whole of it, so that members which lost each other together do not dial each other together.
fn scattered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness it is the whole.
    let share =
        SystemRandom::new().fill(&mut byte).map_or(255, |()| u32::from(byte.first().copied().unwrap_or(255)));
    pause / 2 + pause * share / 510
}

async fn member(room: &Room, id: MemberId, address: &str) -> Result<(Ready, Place), LinkError> {
    let facts = room.facts.borrow().clone();
    let ready = dial(room, address, Hello::new(facts.me.clone(), false)).await?;
    let found = ready.other.introduction.id;
    let admitted = match found == id {
        true => ready.admit(&facts, Side::Dialled),
        false if found == facts.me.id => Err(Refusal::Itself),
        false => Err(Refusal::OtherMember { wanted: id, found }),
    };
    if let Err(why) = admitted {
        return Err(ready.refuse(why).await);
    }
    let ready = ready.welcome().await?;
    let place = room.enter(&ready.other.introduction, Side::Dialled)?;
    Ok((ready, place))
}

/// Asks whoever is there who it is.
///
/// # Errors
/// See [`LinkError`].
pub(super) async fn introduce(room: &Room, address: &str) -> Result<Introduction, LinkError> {
    let me = room.facts.borrow().me.clone();
    let asked = dial(room, address, Hello::new(me, true));
    let ready = timeout(MEMBER_HANDSHAKE_WITHIN, asked).await.unwrap_or(Err(LinkError::Late))?;
    Ok(ready.other.introduction)
}

async fn dial(room: &Room, address: &str, me: Hello) -> Result<Ready, LinkError> {
    let none = || LinkError::Address(address.to_owned());
    let (host, port) = host_and_port(address).ok_or_else(none)?;
    let named = ServerName::try_from(host.to_owned()).map_err(|_| none())?;
    let stream = connect(host, port).await.map_err(|error| unreachable(&error))?;
    prepare(&stream);
    let connector = room.security.connector().ok_or(LinkError::Late)?;
    let stream = connector.connect(named, stream).await.map_err(|error| handshake(&error))?;
    link::introduce(stream.into(), me).await
}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for found in lookup_host((host, port)).await? {
        match TcpStream::connect(found).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Frames wait for nothing, lost packets are repeated at an even pace, and a way that is cut is noticed.
pub(super) fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_thin_linear_timeouts(true);
    let _ = socket.set_tcp_user_timeout(Some(MEMBER_SILENCE));
}
