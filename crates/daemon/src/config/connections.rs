//! `[connections]`: how many connections may carry SIP at once.

use super::reader::Section;
use crate::limits::{MAX_CONNECTIONS, MAX_PER_SOURCE, MOST_CONNECTIONS};

/// Bounds of TCP, TLS and WebSocket together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Connections at once.
    pub max: usize,
    /// Of one source: an IPv4 address, or the /64 of an IPv6 one. Trunks are not counted.
    pub max_per_source: usize,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self { max: MAX_CONNECTIONS, max_per_source: MAX_PER_SOURCE }
    }
}

/// Reads the table if it is there.
pub fn read(root: &mut Section<'_>) -> ConnectionSettings {
    let usual = ConnectionSettings::default();
    let Some(mut table) = root.table("connections", "[connections]") else { return usual };
    let mut number = |key, usual| {
        let found = table.integer(key, 1..=MOST_CONNECTIONS as u64);
        found.and_then(|found| usize::try_from(found.value).ok()).unwrap_or(usual)
    };
    let max = number("max", usual.max);
    let max_per_source = number("max-per-source", usual.max_per_source);
    table.finish();
    ConnectionSettings { max, max_per_source }
}
