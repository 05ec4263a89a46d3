//! What has been said of those who come and are not let in: each reason once for each source.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::limits::{MAX_MEMBER_SOURCES, MEMBER_SAID_AGAIN};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Said {
    last: BTreeMap<IpAddr, (String, Instant)>,
}

impl Said {
    /// Whether the log has to say it: this source gives another reason than before, or the same a long time after. While as
    /// many sources complain as are remembered, those of further ones stay unsaid.
    pub(super) fn is_news(&mut self, source: IpAddr, why: &str, now: Instant) -> bool {
        let is_old = |at: Instant| now.saturating_duration_since(at) >= MEMBER_SAID_AGAIN;
        if self.last.len() >= MAX_MEMBER_SOURCES {
            self.last.retain(|_, (_, at)| !is_old(*at));
        }
        match self.last.get(&source) {
            Some((before, at)) if before == why && !is_old(*at) => return false,
            None if self.last.len() >= MAX_MEMBER_SOURCES => return false,
            Some(_) | None => {}
        }
        self.last.insert(source, (why.to_owned(), now));
        true
    }

    /// It was let in.
    pub(super) fn fine(&mut self, source: IpAddr) {
        self.last.remove(&source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_said_once_until_it_changes_or_was_overcome_or_is_forgotten() {
        let (mut said, now) = (Said::default(), Instant::now());
        let source = "192.0.2.9".parse().unwrap();
        assert!(said.is_news(source, "no certificate", now));
        assert!(!said.is_news(source, "no certificate", now));
        assert!(said.is_news(source, "expired", now));
        said.fine(source);
        assert!(said.is_news(source, "expired", now));
        assert!(!said.is_news(source, "expired", now + MEMBER_SAID_AGAIN / 2));
        assert!(said.is_news(source, "expired", now + MEMBER_SAID_AGAIN));
    }

    #[test]
    fn a_flood_of_sources_does_not_flood_the_log() {
        let (mut said, now) = (Said::default(), Instant::now());
        let sources = (0..10_000u32).map(|n| IpAddr::from(n.to_be_bytes()));
        let lines = sources.filter(|source| said.is_news(*source, "what?", now)).count();
        assert_eq!(lines, MAX_MEMBER_SOURCES);
    }
}
