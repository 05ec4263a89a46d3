//! One member of an HA group: who may serve, until when, and what the group has agreed on.
//!
//! Pure: time is an argument, nothing is sent or stored here. The engine is Raft (TiKV's raft-rs), which is itself without
//! sockets, clocks and threads, so that the code which runs in a server is the code that is simulated.
//!
//! A group is a primary and a backup server and a witness, all voters; or a primary that alone votes and a backup that
//! learns, with takeover by hand; or one server by itself, which keeps on its disk what it must know after a restart. All are
//! the same code.
//!
//! ```
//! use std::time::Instant;
//! use tandem_quorum::{Input, Kind, Member, MemberId, MemberInfo, Output, Persisted, Seat, Settings};
//!
//! let now = Instant::now();
//! let me = MemberInfo { id: MemberId(1), kind: Kind::Server, seat: Seat::Voter, address: String::new() };
//! let mut member = Member::start(Settings::new(Kind::Server, 0, 1), Persisted::found(7, me), now)?;
//! let mut serves = false;
//! while let Some(output) = member.poll_output() {
//!     match output {
//!         // A journal writes the records and answers; here the disk is a dream.
//!         Output::Write(write) => member.handle_input(Input::Stored { token: write.token }, now),
//!         Output::Serve { .. } => serves = true,
//!         _ => {}
//!     }
//! }
//! assert!(serves && member.lease().holds_at(now));
//! let index = member.propose(b"a registration"[..].into(), now)?;
//! # let _ = index;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod frame;
pub mod io;
pub mod limits;
mod log;
mod member;
mod message;
pub mod roster;
pub mod settings;
pub mod status;
pub mod stored;
pub mod timing;
mod wire;

pub use frame::BadFrame;
pub use io::{Input, Lease, Note, Output, Reason, Refused, StandDown, Standing, Stopped, Write};
pub use member::{CannotStart, Member};
pub use roster::{BadChange, Change, Kind, MemberId, MemberInfo, Roster, Seat, Votes};
pub use settings::{Durability, Settings};
pub use status::{MemberStatus, Status, Unready};
pub use stored::{
    Base, HardState, Identity, LogEntry, Persisted, Record, Replay, Snapshot, Successor, Takeover, Unreadable,
};
pub use timing::{BadTiming, Timing};
