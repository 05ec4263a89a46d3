//! Which engine has a session, and the names of sessions: an engine is shared between servers and outlives them, so each
//! says whose a session is.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use tandem_switch::anchor::AnchorId;

/// Where a session is.
#[derive(Debug, Default)]
pub struct Place(Mutex<Option<SocketAddr>>);

impl Place {
    pub fn settle(&self, engine: SocketAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(engine);
    }

    pub fn leave(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub fn at(&self) -> Option<SocketAddr> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names of the sessions that a server makes while it serves. They begin with the group and the epoch, so that whoever
/// serves next knows those that nobody ends any more, and whoever served before never takes those of his successor for such.
#[derive(Clone, Debug)]
pub struct Names {
    group: String,
    epoch: u32,
    /// Of this process.
    process: String,
}

/// Whose a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Another group's, a later epoch's, or none of Tandem's.
    Foreign,
    /// An earlier epoch's: it goes on if a leg has it, and nobody will end it otherwise.
    Past,
    /// This process's, for an anchored leg.
    Anchor,
    /// This process's, for a waiting caller.
    Player,
}

impl Names {
    /// Of a server that serves its group in this epoch; `process` says who it is, for people.
    #[must_use]
    pub fn new(group: u64, epoch: u32, process: &str) -> Self {
        let group = format!("tandem-{group:x}-");
        let process = format!("{group}{epoch:08x}-{process}-");
        Self { group, epoch, process }
    }

    pub fn player(&self, number: u64) -> String {
        format!("{}p{number}", self.process)
    }

    pub fn anchor(&self, id: AnchorId) -> String {
        format!("{}a{}", self.process, id.0)
    }

    pub fn whose(&self, name: &str) -> Whose {
        if let Some(own) = name.strip_prefix(&self.process) {
            return if own.starts_with('a') { Whose::Anchor } else { Whose::Player };
        }
        let epoch = name.strip_prefix(&self.group).and_then(|rest| rest.split('-').next());
        match epoch.and_then(|epoch| u32::from_str_radix(epoch, 16).ok()) {
            Some(epoch) if epoch < self.epoch => Whose::Past,
            Some(_) | None => Whose::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_a_session_is() {
        let (before, now) = (Names::new(7, 1, "site-a@one-f"), Names::new(7, 2, "site-a@other-f"));
        assert_eq!(now.whose(&now.anchor(AnchorId(7))), Whose::Anchor);
        assert_eq!(now.whose(&now.player(7)), Whose::Player);
        assert_eq!(now.whose(&before.anchor(AnchorId(7))), Whose::Past);
        assert_eq!(now.whose(&before.player(7)), Whose::Past);
        assert_eq!(
            before.whose(&now.player(7)),
            Whose::Foreign,
            "one that was deposed leaves its successor's alone"
        );
        for other in [Names::new(8, 1, "site-a@one-f"), Names::new(0x71, 1, "site-a@one-f")] {
            assert_eq!(now.whose(&other.player(7)), Whose::Foreign);
        }
        assert_eq!(now.whose("a-call-of-kamailio"), Whose::Foreign);
    }
}
