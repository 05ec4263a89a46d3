//! What other threads ask of the `Node`'s thread, through one bounded queue.

use std::time::Duration;

use tandem_ha::Server;
use tandem_switch::{Input, Node, Now};
use tokio::sync::{mpsc, oneshot};

use crate::edges::disk::Disk;
use crate::edges::udp::UdpCounters;
use crate::limits::ANSWER_WITHIN;

/// One request to the `Node`'s thread.
#[expect(clippy::large_enum_variant, reason = "nearly all are messages; a box would cost each an allocation")]
pub enum Command {
    /// A fact.
    Input(Input),
    /// A question; the closure sends its own answer, also when there is no node to look at.
    Ask(Question),
    /// A question about the group that this server belongs to, or an order for it; the closure sends its own answer.
    Group(GroupQuestion),
    /// End the loop.
    Stop,
}

/// Looks at the server as a member of its group, or orders something of it.
pub type GroupQuestion = Box<dyn FnOnce(&mut Server, &Disk, Now) + Send>;

/// Takes what there is to look at, and answers by itself.
pub type Question = Box<dyn FnOnce(Option<&Peek<'_>>) + Send>;

/// What a question may look at.
pub struct Peek<'a> {
    /// The node.
    pub node: &'a Node,
    /// Now.
    pub now: Now,
    /// What happened at the UDP sockets.
    pub udp: UdpCounters,
    /// Where it keeps what it must not forget.
    pub disk: &'a Disk,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Too many wait.
    #[error("too many requests wait for the node")]
    Busy,
    /// The loop does not come round.
    #[error("the node did not answer within {} ms", ANSWER_WITHIN.as_millis())]
    Late,
    /// The loop has ended.
    #[error("the server is stopping")]
    Stopping,
    /// Another server of the pair serves, or none does yet.
    #[error("this server does not serve now")]
    Standby,
}

/// The sending end.
#[derive(Clone)]
pub struct Commands(mpsc::Sender<Command>);

impl Commands {
    /// A queue of the given length.
    pub fn channel(length: usize) -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(length);
        (Self(sender), receiver)
    }

    /// Hands a fact over, waiting for room. False when the loop has ended.
    pub async fn input(&self, input: Input) -> bool {
        self.0.send(Command::Input(input)).await.is_ok()
    }

    /// The records of these calls are written. Does not wait for room.
    ///
    /// # Errors
    /// There is no room, or the loop has ended: the calls, back.
    pub fn recorded(&self, calls: Vec<u128>) -> Result<(), Vec<u128>> {
        let Ok(room) = self.0.try_reserve() else { return Err(calls) };
        room.send(Command::Input(Input::Recorded { calls }));
        Ok(())
    }

    /// Asks the loop to end; waits for room.
    pub async fn stop(&self) {
        let _ = self.0.send(Command::Stop).await;
    }

    /// Asks a question. Does not wait for room: a queue that is full is an answer too.
    ///
    /// # Errors
    /// See [`Unanswered`].
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Peek<'_>) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (sender, answer) = oneshot::channel();
        let ask = Command::Ask(Box::new(move |peek| {
            let _ = sender.send(peek.map(question));
        }));
        self.0.try_send(ask).map_err(|error| unsent(&error))?;
        answered(answer, ANSWER_WITHIN).await?.ok_or(Unanswered::Standby)
    }

    /// Asks about the group, or orders something of it; also of a server that does not serve.
    ///
    /// # Errors
    /// See [`Unanswered`]; never [`Standby`](Unanswered::Standby).
    pub async fn group<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Server, &Disk, Now) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (sender, answer) = oneshot::channel();
        let ask = Command::Group(Box::new(move |server, disk, now| {
            let _ = sender.send(question(server, disk, now));
        }));
        self.0.try_send(ask).map_err(|error| unsent(&error))?;
        answered(answer, ANSWER_WITHIN).await
    }
}

fn unsent(error: &mpsc::error::TrySendError<Command>) -> Unanswered {
    match error {
        mpsc::error::TrySendError::Full(_) => Unanswered::Busy,
        mpsc::error::TrySendError::Closed(_) => Unanswered::Stopping,
    }
}

async fn answered<T>(answer: oneshot::Receiver<T>, within: Duration) -> Result<T, Unanswered> {
    match tokio::time::timeout(within, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_)) => Err(Unanswered::Stopping),
        Err(_) => Err(Unanswered::Late),
    }
}
