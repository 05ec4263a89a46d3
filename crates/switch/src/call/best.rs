//! Which refusal the caller is told when nobody answers (RFC 3261 16.7).

use tandem_peer::continuity::{InPathOutcome, fallback_allowed};
use tandem_sip::{HeaderName, Message};

use super::branch::Target;
use super::hide::{Hosts, host_of};
use super::setup::{Setup, Stage};
use crate::explain::Absent;

/// The final response that the caller gets if nobody answers.
#[derive(Debug)]
pub(super) struct Best {
    pub(super) status: u16,
    pub(super) message: Option<Message>,
    /// Hosts of who gave it: they do not reach the caller in a redirection's Contact.
    pub(super) hosts: Hosts,
    /// Contact of a redirection of this server's own.
    pub(super) contact: Option<Box<[u8]>>,
    /// It speaks of this server, and is told as it is.
    decided_here: bool,
}

impl Best {
    /// A refusal of this server's own.
    pub(super) fn own(status: u16) -> Self {
        Self { status, message: None, hosts: Hosts::new(), contact: None, decided_here: false }
    }

    /// A refusal by which this server speaks of itself: its 503 sends the caller to another.
    pub(super) fn decided_here(status: u16) -> Self {
        Self { decided_here: true, ..Self::own(status) }
    }

    /// The same, with a `Warning` that says what is missing.
    pub(super) fn saying(status: u16, warning: &str) -> Self {
        Self::with(status, HeaderName::Warning, warning.as_bytes())
    }

    /// A refusal by which this server speaks of itself, with a header that says more.
    fn with(status: u16, name: HeaderName, value: &[u8]) -> Self {
        let mut scratch = Vec::new();
        let phrase = crate::rooms::phrase(status).as_bytes();
        let mut builder = tandem_sip::Builder::response(&mut scratch, status, phrase);
        builder.header(name, value);
        let message = Message::parse(builder.finish(b"")).ok();
        Self { message, ..Self::decided_here(status) }
    }

    /// Nothing at this place takes the call. A trunk that is full is said to be so: the caller's own line is well.
    pub(super) fn absent(why: Absent) -> Self {
        match why {
            Absent::Full(_) => {
                Self::with(503, HeaderName::Reason, b"Q.850;cause=34;text=\"No circuit available\"")
            }
            Absent::OutOfService
            | Absent::NotRegistered
            | Absent::Suspended
            | Absent::Unresolved
            | Absent::NotSecure
            | Absent::LeftAlone => Self::own(480),
        }
    }

    /// What the caller is told.
    pub(super) fn told(&self) -> u16 {
        if self.decided_here { self.status } else { mapped(self.status) }
    }

    /// A redirection of this server's own.
    pub(super) fn redirection(contact: Box<[u8]>) -> Self {
        Self { contact: Some(contact), ..Self::own(302) }
    }

    /// The refusal of a branch.
    pub(super) fn of(target: &Target, code: u16, message: &Message) -> Self {
        let mut hosts: Hosts = host_of(&target.uri).into_iter().collect();
        hosts.push(target.flow.remote.ip().to_string().into_bytes().into());
        Self { hosts, message: Some(message.detach()), ..Self::own(code) }
    }
}

impl Setup {
    /// Keeps a refusal if it is better than what there is.
    pub(super) fn offer_best(&mut self, offered: Best) {
        if self.best.as_ref().is_none_or(|best| rank(offered.status) < rank(best.status)) {
            self.best = Some(offered);
        }
    }

    /// Whether nobody else need be asked: a 6xx speaks for the person. The drain mark of the peer does not.
    pub(super) fn is_decided(&self, outcome: InPathOutcome) -> bool {
        let falls_back =
            matches!(self.current, Some(Stage::Peer(..) | Stage::PeerQueue(..))) && self.may_go_on(outcome);
        !falls_back && self.best.as_ref().is_some_and(|best| best.status >= 600)
    }

    /// Whether the next place may be tried after this one ended so.
    pub(super) fn may_go_on(&self, outcome: InPathOutcome) -> bool {
        match self.current {
            // A phone that rang at the peer in vain does not ring here as well.
            Some(Stage::Peer(..)) => fallback_allowed(outcome) && !(self.rang && is_absence(outcome)),
            // Progress of a call that waits there says nothing of a phone.
            Some(Stage::PeerQueue(..)) => fallback_allowed(outcome),
            // Of the numbers that a redirection names each is tried.
            Some(Stage::Trunk(..) | Stage::Extension(_)) if self.redirections.is_some() => true,
            Some(Stage::Trunk(..)) => match outcome {
                InPathOutcome::TransportFailed | InPathOutcome::NoAnswer => true,
                InPathOutcome::Status { code, .. } => code == 503,
            },
            Some(Stage::Extension(_) | Stage::Mixer(_) | Stage::Wait(_)) | None => false,
        }
    }
}

/// The peer says that it has no such endpoint.
fn is_absence(outcome: InPathOutcome) -> bool {
    matches!(outcome, InPathOutcome::Status { code: 404 | 480, drain_marked: false })
}

/// The lower the better: a 6xx, then the lowest class as the caller will see it. Within 4xx what the caller can act on
/// comes first, and silence last; an overload is the last of all.
fn rank(status: u16) -> (u16, u16) {
    let within = match status {
        415 | 420 | 484 => 0,
        408 | 487 | 503 => 2,
        _ => 1,
    };
    let class = mapped(status) / 100;
    (if class == 6 { 0 } else { class }, within)
}

/// What the caller is told when a callee refuses so: a 503 would speak of this server (RFC 3261 16.7), and a challenge
/// for this server's own credentials, or the session interval of the callee's leg, is not the caller's to answer.
pub(super) fn mapped(status: u16) -> u16 {
    match status {
        401 | 407 | 421 | 422 | 503 => 500,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_refusal_wins() {
        for (better, worse) in [
            (603, 302),
            (302, 486),
            (486, 500),
            (486, 408),
            (486, 407),
            (420, 404),
            (500, 503),
            (408, 503),
            (404, 401),
        ] {
            assert!(rank(better) < rank(worse), "{better} is better than {worse}");
        }
    }
}
