//! What a member knows of itself and the others: for `tandem ha status`, readiness and metrics.

use std::fmt;
use std::time::Duration;

use crate::io::{Lease, Standing, Stopped};
use crate::roster::{MemberId, MemberInfo};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The member.
    pub id: MemberId,
    /// The group; 0 until one has taken the member in.
    pub group: u64,
    /// Counts takeovers by hand.
    pub generation: u32,
    /// What it is to the others.
    pub standing: Standing,
    /// Why it takes no part, if so.
    pub stopped: Option<Stopped>,
    /// It takes no part because another has taken over, and that one has been heard since: it is there.
    pub successor_heard: bool,
    /// The epoch in which it serves, if it does.
    pub serving: Option<u32>,
    /// Its lease.
    pub lease: Lease,
    /// The last entry of its log.
    pub last: u64,
    /// The last entry that it knows to be agreed on.
    pub committed: u64,
    /// The last entry that it has handed over.
    pub applied: u64,
    /// The last snapshot's place.
    pub snapshot: u64,
    /// Bytes of the last snapshot.
    pub snapshot_bytes: u64,
    /// Writes that the disk has not answered.
    pub writes: usize,
    /// How long the oldest of them has waited.
    pub write_waits: Duration,
    /// Proposals that wait for their commitment.
    pub uncommitted: u64,
    /// The members, as this one sees them.
    pub members: Vec<MemberStatus>,
    /// The set of voters is about to change.
    pub voters_change: bool,
}

/// One member, as another sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Who it is.
    pub info: MemberInfo,
    /// It votes now; its seat says whether it is to.
    pub votes: bool,
    /// How long ago something came from it; `None` for the member itself and for one that was never heard of.
    pub heard: Option<Duration>,
    /// Seen by the leader alone: entries that it lacks.
    pub lag: Option<u64>,
    /// Seen by the leader alone: how old the first entry is that it lacks; zero if it lacks none.
    pub lag_time: Option<Duration>,
    /// Seen by the leader alone: how much of a snapshot it has got, in hundredths, while one is sent.
    pub snapshot_percent: Option<u8>,
}

/// Why a member could not take over at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unready {
    /// It takes no part.
    Stopped(Stopped),
    /// It hears no leader.
    NoLeader,
    /// It has never been brought up to date.
    Empty,
    /// It knows of more than it has handed over.
    CatchingUp {
        /// How many entries more.
        records: u64,
    },
    /// Its disk does not answer.
    SlowDisk {
        /// For how long.
        waiting: Duration,
    },
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(Stopped::Superseded { by, .. }) => {
                write!(f, "member {by} took over by command: rejoin as its backup")
            }
            Self::Stopped(Stopped::Dismissed) => f.write_str("removed from the group"),
            Self::Stopped(Stopped::Diverged { index }) => {
                write!(f, "the log contradicts what was agreed on at entry {index}: rejoin, empty")
            }
            Self::Stopped(Stopped::Changing) => f.write_str("waits for its disk to change its part"),
            Self::NoLeader => f.write_str("no leader is heard"),
            Self::Empty => f.write_str("waits to be brought up to date for the first time"),
            Self::CatchingUp { records } => write!(f, "{records} records behind"),
            Self::SlowDisk { waiting } => {
                write!(f, "the disk has not answered for {} ms", waiting.as_millis())
            }
        }
    }
}
