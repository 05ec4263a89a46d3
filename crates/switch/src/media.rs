//! What a media server does for the calls of a node: it plays files to callers who wait. The edge speaks to the server;
//! a call knows a player by its [`MediaId`] alone.

use std::sync::Arc;

use bytes::Bytes;

use crate::arena::Key;

/// Names one player: a session of a media server with one caller. It is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaId {
    /// The call.
    pub(crate) call: Key,
    /// Which of the call's players.
    no: u8,
}

impl MediaId {
    /// The player of this number of a call.
    #[must_use]
    pub fn new(call: Key, no: u8) -> Self {
        Self { call, no }
    }
}

/// How often a file is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Once; then [`MediaNews::Ended`].
    Once,
    /// Until another order comes.
    Forever,
}

/// What is asked of the media server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaOrder {
    /// Play a file to a caller, in place of what the player plays now. The first order for a player makes it.
    Play {
        /// The player.
        id: MediaId,
        /// Numbers the orders for a player, so that news of an earlier one are known for what they are.
        turn: u32,
        /// The caller's session description, to be answered.
        offer: Bytes,
        /// Name of the file: one name, without a folder.
        file: Arc<str>,
        /// How often.
        repeat: Repeat,
    },
    /// Play nothing, and stay.
    Quiet {
        /// The player.
        id: MediaId,
    },
    /// The player is not needed any more, whether it plays, was quiet, or is being made. Nothing is told of it after this.
    Stop {
        /// The player.
        id: MediaId,
    },
}

/// What the media server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaNews {
    /// The caller is being played to.
    Playing {
        /// The player.
        id: MediaId,
        /// Of which order.
        turn: u32,
        /// Answer to the caller's offer; the same for every order of a player.
        sdp: Bytes,
    },
    /// The file was played to its end.
    Ended {
        /// The player.
        id: MediaId,
        /// Of which order.
        turn: u32,
    },
    /// There is no player any more: it could not be made, has no such file, or its server was lost.
    Failed {
        /// The player.
        id: MediaId,
        /// Of which order.
        turn: u32,
        /// For whoever asks why.
        why: Arc<str>,
    },
}

impl MediaNews {
    /// The player, and the order.
    #[must_use]
    pub fn of(&self) -> (MediaId, u32) {
        match self {
            Self::Playing { id, turn, .. } | Self::Ended { id, turn } | Self::Failed { id, turn, .. } => {
                (*id, *turn)
            }
        }
    }
}

impl MediaOrder {
    /// The news that there is no media server for this order; `None` if it does not matter to the call.
    #[must_use]
    pub fn failed(&self, why: &str) -> Option<MediaNews> {
        match self {
            Self::Play { id, turn, .. } => Some(MediaNews::Failed { id: *id, turn: *turn, why: why.into() }),
            Self::Quiet { .. } | Self::Stop { .. } => None,
        }
    }
}

/// Whether a treatment may name this file: a name within the directory of media, and no way out of it.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    let fits = |c: char| !c.is_control() && !matches!(c, '/' | '\\');
    (1..=crate::limits::MAX_MEDIA_NAME).contains(&name.len())
        && !name.starts_with('.')
        && !name.contains("..")
        && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::is_file_name;

    #[test]
    fn a_file_name_is_one_name_and_leads_nowhere_else() {
        for name in ["hold.wav", "a b.wav", "grüße.mp3", "x"] {
            assert!(is_file_name(name), "{name}");
        }
        for name in ["", ".", "..", "../x", "a/b", "a..b", "/etc/passwd", ".hidden", "a\\b", "a\nb", "a\0"] {
            assert!(!is_file_name(name), "{name:?}");
        }
        assert!(is_file_name(&"x".repeat(128)) && !is_file_name(&"x".repeat(129)));
    }
}
