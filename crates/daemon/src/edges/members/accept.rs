//! Members that come.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::admission::Side;
use super::dial::prepare;
use super::error::{LinkError, handshake};
use super::hello::Hello;
use super::link::{self, Ready};
use super::room::{Place, Room};
use crate::limits::{MAX_MEMBER_STRANGERS, MEMBER_HANDSHAKE_WITHIN};

/// Connections whose other end has not proven yet who it is, the oldest first.
#[derive(Default)]
struct Strangers(Mutex<VecDeque<CancellationToken>>);

impl Strangers {
    /// Room for one more; the oldest gives way if there is none. Of a flood that never proves anything a member needs a
    /// few milliseconds only.
    fn enter(&self) -> CancellationToken {
        let token = CancellationToken::new();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| !other.is_cancelled());
        if all.len() >= MAX_MEMBER_STRANGERS
            && let Some(oldest) = all.pop_front()
        {
            oldest.cancel();
        }
        all.push_back(token.clone());
        token
    }
}

/// Accepts connections until the links end.
pub(super) async fn accept(room: Arc<Room>, listener: TcpListener) {
    let strangers = Strangers::default();
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                let (token, of) = (strangers.enter(), Arc::clone(&room));
                let source = remote.ip().to_canonical();
                let served = async move {
                    let come =
                        token.run_until_cancelled(timeout(MEMBER_HANDSHAKE_WITHIN, welcome(&of, stream)));
                    let come = come.await.unwrap_or(Ok(Err(LinkError::Late))).unwrap_or(Err(LinkError::Late));
                    token.cancel();
                    match come {
                        Ok(Some((ready, place))) => {
                            of.let_in(source);
                            ready.serve(&of, place).await;
                        }
                        Ok(None) => of.let_in(source),
                        // Somebody looks whether the port is open, or went while it came.
                        Err(LinkError::Closed) => {
                            tracing::debug!(%source, "somebody came, and went without a word");
                        }
                        Err(why) => of.kept_out(source, &why.to_string()),
                    }
                };
                room.edges.spawn(room.stop.clone().run_until_cancelled_owned(served));
            }
            Err(error) => {
                tracing::warn!(%error, "a member's connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// What is to be done before there is a link. `None`: somebody only wanted to know who is here.
async fn welcome(room: &Room, stream: TcpStream) -> Result<Option<(Ready, Place)>, LinkError> {
    prepare(&stream);
    let acceptor = room.security.acceptor().ok_or(LinkError::Late)?;
    let stream = acceptor.accept(stream).await.map_err(|error| handshake(&error))?;
    let facts = room.facts.borrow().clone();
    let ready = link::introduce(stream.into(), Hello::new(facts.me.clone(), false)).await?;
    if ready.other.only {
        return Ok(None);
    }
    if let Err(why) = ready.admit(&facts, Side::Accepted) {
        return Err(ready.refuse(why).await);
    }
    let ready = ready.welcome().await?;
    match room.enter(&ready.other.introduction, Side::Accepted) {
        Ok(place) => Ok(Some((ready, place))),
        Err(why) => Err(ready.refuse(why).await),
    }
}
