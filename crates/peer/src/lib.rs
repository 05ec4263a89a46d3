//! What this server believes about other servers: is the trunk to them alive, does it therefore run as one of two
//! peers or alone, is a call theirs to deliver, and what do the copies of its own state hold.
//!
//! Pure: time is an argument, nothing is sent or stored here, and no SIP message is known. The caller feeds facts
//! ("probe 7 was answered 200") and carries out what comes back ("the DN is out of service, because ...").
//!
//! * [`trunk`]: active out-of-service detection of one trunk (`oos-check`, `oos-force`, `recovery-timeout`).
//! * [`continuity`]: operating mode, the forwarding decision and its loop guards, login admission, forced logout.
//! * [`audit`]: which legs over a lost peer trunk are asked whether they still live, and what an answer means.
//! * [`drain`]: what a new call is told while the server shuts down gracefully.
//! * [`failure`]: whether the peer or only the link to it is dead, to explain the loss.
//! * [`readiness`]: what would be lost if a site died, from what both say of themselves.
//! * [`replica`]: the one gate through which a value that must survive is changed.

pub mod audit;
pub mod continuity;
pub mod drain;
pub mod failure;
pub mod limits;
pub mod readiness;
pub mod replica;
pub mod time;
pub mod trunk;

pub use continuity::{DrForward, Mode};
pub use replica::{Batch, Change, ChangeLog, Record, RecordKey, ReplicaSet, Replicated, Seq, Stamp};
pub use time::Deadline;
pub use trunk::{TrunkHealth, TrunkOptions, TrunkRole};
