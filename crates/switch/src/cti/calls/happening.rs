//! What follows from facts and requests: events, and news for the rooms of agents and queues.

use std::sync::Arc;

use tandem_cti::{CallType, Event, KvList, Refusal};

use crate::cti::SessionId;
use crate::directory::floor::WrapUp;

/// What follows from the calls, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// An event of a DN. `time` and `sequence` are filled in when it is told.
    Event {
        /// Whose.
        dn: Arc<str>,
        /// It.
        event: Box<Event>,
        /// The client whose request it answers.
        asked: Option<(SessionId, Option<u32>)>,
    },
    /// An answer that only the asking client hears (`EventPartyInfo`).
    Answer {
        /// Whose.
        to: SessionId,
        /// Its `ReferenceID`.
        reference_id: Option<u32>,
        /// It.
        event: Box<Event>,
    },
    /// A request came to nothing after all.
    Refused {
        /// Whose.
        to: SessionId,
        /// Its `ReferenceID`.
        reference_id: Option<u32>,
        /// Why.
        refusal: Refusal,
    },
    /// A call began at an Extension.
    Began {
        /// DN.
        dn: Arc<str>,
        /// Call.
        conn: u64,
        /// `CallType`: what decides, with the options in force, whether a direct call is a business call.
        kind: CallType,
        /// It came through a queue or routing point, which makes it a business call in any case.
        queued: bool,
        /// `WrapUpTime` of its user data: after-call work of this call.
        wrap_up: Option<WrapUp>,
    },
    /// A transfer or conference was completed: the call at the Extension is another one from now on.
    Became {
        /// DN.
        dn: Arc<str>,
        /// The call that it was.
        old: u64,
        /// The call that it is.
        conn: u64,
        /// `CallType` of that.
        kind: CallType,
        /// It came through a queue or routing point.
        queued: bool,
        /// `WrapUpTime` of its user data.
        wrap_up: Option<WrapUp>,
    },
    /// `WrapUpTime` in the user data of a call at the Extension changed.
    WrapUp {
        /// DN.
        dn: Arc<str>,
        /// Call.
        conn: u64,
        /// What it says now.
        wrap_up: Option<WrapUp>,
    },
    /// It was answered there.
    Established {
        /// DN.
        dn: Arc<str>,
        /// Call.
        conn: u64,
    },
    /// It left the Extension. The `EventReleased` or `EventAbandoned` follows this, so that after-call work is told
    /// before it.
    Ended {
        /// DN.
        dn: Arc<str>,
        /// Call.
        conn: u64,
    },
    /// A call waits at a queue or routing point.
    Waits {
        /// Call.
        conn: u64,
        /// Where.
        at: Arc<str>,
        /// Its user data.
        user_data: KvList,
    },
    /// It does not wait there any more: abandoned, or routed elsewhere by request.
    Left {
        /// Call.
        conn: u64,
        /// Where it was.
        at: Arc<str>,
    },
    /// The agent to whom a queue offered it answered.
    OfferAnswered {
        /// Call.
        conn: u64,
        /// DN.
        dn: Arc<str>,
    },
    /// He did not.
    OfferFailed {
        /// Call.
        conn: u64,
        /// DN; `None` when nothing could be called there.
        dn: Option<Arc<str>>,
        /// Final status of his leg; 487 when the offer was taken back.
        status: u16,
    },
}
