//! What a call tells the floor: facts in the order in which they came true. The call itself knows nothing of agents,
//! queues or desktops; the node carries these facts to them.

use std::sync::Arc;

use tandem_cti::KvList;

use super::record::EndReason;
use crate::arena::Key;
use crate::cdr::EndedBy;
use crate::directory::Directory;
use crate::rooms::{Device, Rooms};

/// Number of a leg within its call: 0 is the caller's, others follow as they are offered. It never changes and is never
/// used again.
pub type LegNo = u8;

/// Names an operation that a request asked for, so that its outcome finds its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The far end of a leg, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Far {
    /// An Extension DN.
    Extension(Arc<str>),
    /// A Trunk DN; the party is a number outside.
    Trunk(Arc<str>),
    /// The conference mixer.
    Mixer(Arc<str>),
}

impl Far {
    /// The name of a device of a directory.
    #[must_use]
    pub fn of(directory: &Directory, device: Device) -> Self {
        let name = Rooms::shared_name(directory, device).unwrap_or_default();
        match device {
            Device::Extension(_) => Self::Extension(name),
            Device::Trunk(_) => Self::Trunk(name),
            Device::Mixer => Self::Mixer(name),
        }
    }
}

/// What an INVITE brought of the call's former life at the peer site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// User data.
    pub user_data: KvList,
    /// `ConnID` that the call had there.
    pub conn_id: Option<u64>,
}

/// One fact.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A call began: by an INVITE from `origin`, or by a request (then `ticket` is its, and leg 0 is being called).
    Opened {
        /// `CallUUID`.
        uuid: u128,
        /// Far end of leg 0.
        origin: Far,
        /// Calling number.
        from: Box<str>,
        /// Dialled number.
        to: Box<str>,
        /// Queue or routing point at which the call waits for [`Operation::Offer`](super::control::Operation::Offer).
        /// A call made by request comes there only when its own phone has answered: [`News::Parked`].
        parked: Option<Arc<str>>,
        /// What came with it.
        carried: Carried,
        /// The request that made it.
        ticket: Option<Ticket>,
    },
    /// An INVITE went to a device as this leg. One DN may have several legs (forked contacts).
    Offered {
        /// The leg.
        leg: LegNo,
        /// Its far end.
        to: Far,
    },
    /// The leg rings.
    Ringing {
        /// The leg.
        leg: LegNo,
    },
    /// The leg ended before it was answered.
    Missed {
        /// The leg.
        leg: LegNo,
        /// Final status: the device's own, or 408 for silence, 487 when it was taken back.
        status: u16,
        /// Why.
        reason: EndReason,
    },
    /// The call waits at this queue or routing point from now on. Of a call that an INVITE brings straight to it,
    /// [`News::Opened`] says so already.
    Parked {
        /// Its number.
        at: Arc<str>,
    },
    /// Every place was tried in vain, and the call waits again at its queue or routing point.
    Unplaced {
        /// Best refusal.
        status: u16,
    },
    /// The leg answered. From the second leg on: it talks with the one that waits for it.
    Answered {
        /// The leg.
        leg: LegNo,
    },
    /// The party at the leg put the call on hold, by its phone or by request.
    Held {
        /// The leg.
        leg: LegNo,
    },
    /// The party at the leg took the call back.
    Retrieved {
        /// The leg.
        leg: LegNo,
    },
    /// An answered leg ended, or the caller's before an answer.
    Ended {
        /// The leg.
        leg: LegNo,
        /// By whom.
        by: EndedBy,
        /// Why.
        reason: EndReason,
    },
    /// The caller was refused with this status; leg 0 ends with it.
    Failed {
        /// The status he was told.
        status: u16,
    },
    /// The announcement that a waiting caller heard was played to its end.
    TreatmentEnded,
    /// What a waiting caller was to hear is not, or no longer, played: he has ringback instead.
    TreatmentFailed,
    /// A leg that was called beside the conversation is this leg of it from now on.
    Moved {
        /// What it was: the call beside, and its leg there.
        from: (Key, LegNo),
        /// The leg.
        leg: LegNo,
    },
    /// An operation is finished: `Err` is the SIP status that it met, or 0 if the call ended first.
    Done {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: Result<(), u16>,
    },
    /// Nothing is left of the call; its key means nothing from now on.
    Over,
}
