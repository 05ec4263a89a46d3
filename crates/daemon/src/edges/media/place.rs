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

    pub fn is_at(&self, engine: SocketAddr) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) == Some(engine)
    }
}

/// Names of sessions of this process.
#[derive(Clone, Debug)]
pub struct Names {
    /// Of this server on this host, whichever process it was.
    server: String,
    /// Of this process.
    process: String,
}

/// Whose a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Another server's, or none of Tandem's.
    Foreign,
    /// An earlier process's of this server, for a waiting caller: nobody will end it.
    Past,
    /// The same for an anchored leg: its call may go on, and the engine ends it when no media comes any more.
    PastAnchor,
    /// This process's, for an anchored leg.
    Anchor(AnchorId),
    /// This process's, for a waiting caller.
    Player,
}

impl Names {
    /// `process` is random.
    #[must_use]
    pub fn new(server: &str, host: &str, process: u64) -> Self {
        let server = format!("tandem-{server}@{host}-");
        let process = format!("{server}{process:016x}-");
        Self { server, process }
    }

    pub fn player(&self, number: u64) -> String {
        format!("{}p{number}", self.process)
    }

    pub fn anchor(&self, id: AnchorId) -> String {
        format!("{}a{}", self.process, id.0)
    }

    pub fn whose(&self, name: &str) -> Whose {
        let Some(own) = name.strip_prefix(&self.process) else {
            let Some(past) = name.strip_prefix(&self.server) else { return Whose::Foreign };
            let anchored = past.rsplit('-').next().is_some_and(|own| own.starts_with('a'));
            return if anchored { Whose::PastAnchor } else { Whose::Past };
        };
        match own.strip_prefix('a').map(str::parse) {
            Some(Ok(id)) => Whose::Anchor(AnchorId(id)),
            Some(Err(_)) | None => Whose::Player,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_a_session_is() {
        let (before, now) = (Names::new("site-a", "box", 1), Names::new("site-a", "box", 2));
        assert_eq!(now.whose(&now.anchor(AnchorId(7))), Whose::Anchor(AnchorId(7)));
        assert_eq!(now.whose(&now.player(7)), Whose::Player);
        assert_eq!(now.whose(&before.anchor(AnchorId(7))), Whose::PastAnchor);
        assert_eq!(now.whose(&before.player(7)), Whose::Past);
        for other in [Names::new("site-a", "box2", 1), Names::new("site-ab", "box", 1)] {
            assert_eq!(now.whose(&other.player(7)), Whose::Foreign);
        }
        assert_eq!(now.whose("a-call-of-kamailio"), Whose::Foreign);
    }
}
