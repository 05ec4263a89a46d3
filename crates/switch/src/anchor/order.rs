//! What is asked of a media server for an anchored leg, and what it says.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

/// Names one anchored leg, and never another one of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnchorId(pub u64);

/// An end of an anchored leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The device.
    Far,
    /// The rest of the call, as this server speaks for it.
    Near,
}

impl End {
    /// The opposite end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Far => Self::Near,
            Self::Near => Self::Far,
        }
    }
}

/// What a session description is to whom it is told (RFC 3264).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// An offer.
    Offer,
    /// The answer to the latest offer of the other end.
    Answer,
}

/// What the device speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// RTP as the other party does; the media server only stands between.
    Rtp,
    /// What browsers do: SRTP keyed by DTLS, with ICE (RFC 8827, RFC 8445).
    WebRtc,
}

/// How an anchored leg is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What the device speaks.
    pub speaks: Speaks,
    /// The network it is reached in, by its name at the media server; `None`: the server has one.
    pub network: Option<Arc<str>>,
}

/// The session of a leg at a media server. It outlives the process that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its name there.
    pub name: Arc<str>,
    /// Where the media server takes orders.
    pub engine: SocketAddr,
}

/// What is asked of the media server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnchorOrder {
    /// Say how this description of one end is told to the other. The first order for a leg makes its session.
    Describe {
        /// The leg.
        id: AnchorId,
        /// Numbers the orders for a leg; one is out at a time.
        turn: u32,
        /// Whose description it is.
        from: End,
        /// Offer or answer.
        part: Part,
        /// The description.
        sdp: Bytes,
        /// How the leg is spoken to.
        profile: Profile,
    },
    /// Go on with a session that an earlier process of this site made.
    TakeUp {
        /// The leg.
        id: AnchorId,
        /// Its session.
        seat: Seat,
        /// Both ends have been described there.
        answered: bool,
        /// The file that plays; nothing else does.
        music: Option<Arc<str>>,
    },
    /// Whatever session an earlier process made and none of the orders so far has named is nobody's any more.
    AllTakenUp,
    /// Play a file to the device, over and over, in place of what the other party sends.
    Play {
        /// The leg.
        id: AnchorId,
        /// Name of the file: one name, without a folder.
        file: Arc<str>,
    },
    /// Play nothing any more.
    Quiet {
        /// The leg.
        id: AnchorId,
    },
    /// The leg is over, or does not need the server any more. Nothing is told of it after this.
    Release {
        /// The leg.
        id: AnchorId,
    },
}

impl AnchorOrder {
    /// The news that there is no media server for this order; `None` if that does not matter.
    #[must_use]
    pub fn failed(&self, why: &str) -> Option<AnchorNews> {
        match self {
            Self::Describe { id, turn, .. } => {
                Some(AnchorNews::Failed { id: *id, turn: *turn, why: why.into(), refused: false })
            }
            Self::TakeUp { .. }
            | Self::AllTakenUp
            | Self::Play { .. }
            | Self::Quiet { .. }
            | Self::Release { .. } => None,
        }
    }
}

/// What the media server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnchorNews {
    /// The description as the other end is told it.
    Described {
        /// The leg.
        id: AnchorId,
        /// Of which order.
        turn: u32,
        /// It.
        sdp: Bytes,
    },
    /// There is no such description.
    Failed {
        /// The leg.
        id: AnchorId,
        /// Of which order.
        turn: u32,
        /// For whoever asks why.
        why: Arc<str>,
        /// A media server works, and refused this description; otherwise none works.
        refused: bool,
    },
    /// The leg has this session from now on. Told before the description that made it.
    Placed {
        /// The leg.
        id: AnchorId,
        /// Its session.
        seat: Seat,
    },
    /// The session of the leg is lost, and another media server can take it: both ends are to be described anew.
    Lost {
        /// The leg.
        id: AnchorId,
    },
}
