//! What a member is told and what it asks for.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::frame::BadFrame;
use crate::roster::{BadChange, MemberId, Roster};
use crate::stored::{Identity, Record, Snapshot};

/// A fact from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A frame came from a member. The edge has made sure that it is from nobody else.
    Frame {
        /// The whole frame, as [`frame::length`](crate::frame::length) cuts it.
        bytes: Bytes,
    },
    /// The writes up to this one are on the disk.
    Stored {
        /// Of the last of them.
        token: u64,
    },
    /// The snapshot that [`Output::SnapshotWanted`] asked for. It may come at any time after.
    SnapshotMade {
        /// The place that was asked for.
        index: u64,
        /// The state there.
        data: Bytes,
    },
}

/// Something to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To be sent. It may be lost; better a frame lost than one that waits for long.
    Send {
        /// To whom.
        to: MemberId,
        /// What.
        frame: Bytes,
    },
    /// To be written. Answered by [`Input::Stored`], in the order of the tokens.
    Write(Write),
    /// Agreed on: to be applied. Each index at most once in a life of the process, in order, and never after a higher one.
    Committed {
        /// Its place.
        index: u64,
        /// The epoch in which it was proposed.
        epoch: u32,
        /// What [`propose`](crate::Member::propose) was given.
        batch: Bytes,
    },
    /// The state is this one now, whatever it was before.
    Install(Snapshot),
    /// The state as of the outputs before this one is wanted: [`Input::SnapshotMade`].
    SnapshotWanted {
        /// The place it stands for.
        index: u64,
    },
    /// The member is this now.
    Standing(Standing),
    /// The member is to serve: everything that was agreed on before has been handed over. What it proposes from now on is
    /// of this epoch.
    Serve {
        /// The epoch, higher than all before.
        epoch: u32,
        /// It served in this epoch before, lost its lease, and has it again: nobody else served meanwhile.
        resumed: bool,
    },
    /// The member is to serve no more: nothing may leave the server, its address included.
    StandDown {
        /// The epoch that ends, or rests.
        epoch: u32,
        /// Why.
        reason: StandDown,
    },
    /// The group is this now.
    Roster(Roster),
    /// Worth a line in the log.
    Note(Note),
}

/// Something to be written, whole, before anything that is asked later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Write {
    /// Answered by [`Input::Stored`].
    pub token: u64,
    /// Everything that was stored before is void: the snapshot is to be deleted, then the journal begun anew.
    pub fresh: bool,
    /// To be kept in place of the snapshot from before, first of all.
    pub snapshot: Option<Snapshot>,
    /// To be appended to the journal.
    pub records: Vec<Record>,
    /// Entries before this one are not needed any more.
    pub first_needed: Option<u64>,
    /// `Stored` is to wait for the disk; otherwise for the call that wrote.
    pub sync: bool,
}

/// What a member is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It leads in this epoch. Whether it serves is another matter.
    Leader {
        /// The epoch.
        epoch: u32,
    },
    /// It follows, if it knows whom.
    Follower {
        /// The epoch.
        epoch: u32,
        /// Who leads.
        leader: Option<MemberId>,
    },
    /// It stands for election.
    Candidate {
        /// The epoch that it had before.
        epoch: u32,
    },
    /// It takes no part: [`Status::stopped`](crate::Status::stopped) says why.
    Stopped,
}

/// Why a member serves no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandDown {
    /// No quorum has acknowledged it for the length of a lease. It serves again if one does before another leads.
    LeaseLost,
    /// Another leads, or no quorum is there.
    Deposed,
    /// It hands over.
    Switchover {
        /// To whom.
        to: MemberId,
    },
    /// Its disk does not answer; it hands over.
    DiskStalled,
    /// A takeover by hand has made its epoch a thing of the past.
    Superseded {
        /// Who took over.
        by: MemberId,
    },
    /// It was removed from the group.
    Dismissed,
    /// Its log contradicts what was agreed on.
    Diverged,
}

impl fmt::Display for StandDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaseLost => f.write_str("too few members answer for the lease to hold"),
            Self::Deposed => f.write_str("another member leads, or too few members answer"),
            Self::Switchover { to } => write!(f, "switching over to member {to}"),
            Self::DiskStalled => f.write_str("the disk does not answer; handing over"),
            Self::Superseded { by } => write!(f, "member {by} took over by command"),
            Self::Dismissed => f.write_str("this member was removed from the group"),
            Self::Diverged => f.write_str("this member's log contradicts what was agreed on"),
        }
    }
}

/// Why a member takes no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// A takeover by hand has made what it has a thing of the past. [`rejoin`](crate::Member::rejoin) makes it a member of
    /// the new generation, empty.
    Superseded {
        /// Who took over.
        by: MemberId,
        /// Its generation.
        generation: u32,
        /// The last entry that this member had agreed on; what it has behind the other's first is lost to the group.
        committed: u64,
    },
    /// It was removed from the group.
    Dismissed,
    /// Its log contradicts what was agreed on: a disk lost what it had confirmed. `rejoin` empties the member.
    Diverged {
        /// Where.
        index: u64,
    },
    /// It is about to take over by its sole vote, or to be emptied, once the disk has written so.
    Changing,
}

/// Why a request is refused. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// This member does not serve.
    NotServing {
        /// Who leads, if known.
        leader: Option<MemberId>,
    },
    /// More than [`MAX_PROPOSAL`](crate::limits::MAX_PROPOSAL) bytes.
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// As much waits for its commitment as may.
    Full {
        /// Proposals that wait.
        proposals: u64,
    },
    /// It is switching over.
    SwitchingOver,
    /// The change is not possible.
    Change(BadChange),
    /// There is nobody to switch over to.
    NoServer,
    /// The other server lacks entries.
    Behind {
        /// Who.
        id: MemberId,
        /// How many.
        records: u64,
    },
    /// The other server has not been heard of.
    Silent {
        /// Who.
        id: MemberId,
        /// For how long.
        since: Duration,
    },
    /// A leader lives: switch over instead.
    LeaderLives {
        /// Who.
        leader: MemberId,
    },
    /// A witness never serves.
    Witness,
    /// The member has never been brought up to date: it has nothing to serve with.
    Empty,
    /// The member is neither superseded nor diverged: nothing to do.
    Sound,
    /// The member takes no part.
    Stopped,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotServing { leader: Some(leader) } => write!(f, "member {leader} leads: ask there"),
            Self::NotServing { leader: None } => f.write_str("nobody leads at the moment"),
            Self::TooLong { bytes } => write!(f, "a batch of {bytes} bytes is too long"),
            Self::Full { proposals } => write!(f, "{proposals} batches wait for disks and members already"),
            Self::SwitchingOver => f.write_str("a switchover is under way"),
            Self::Change(bad) => bad.fmt(f),
            Self::NoServer => f.write_str("there is no other server"),
            Self::Behind { id, records } => {
                write!(f, "member {id} lacks {records} records: wait, or use force")
            }
            Self::Silent { id, since } => {
                write!(f, "member {id} has not answered for {} ms", since.as_millis())
            }
            Self::LeaderLives { leader } => {
                write!(f, "member {leader} leads and answers: switch over instead")
            }
            Self::Witness => f.write_str("a witness never serves"),
            Self::Empty => f.write_str("this member has never been brought up to date"),
            Self::Sound => f.write_str("this member is in order"),
            Self::Stopped => f.write_str("this member takes no part: see its status"),
        }
    }
}

impl std::error::Error for Refused {}

/// Worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A frame was not understood.
    BadFrame(BadFrame),
    /// A frame of another group came: two groups are mixed up.
    OtherGroup {
        /// Of this member.
        from: MemberId,
    },
    /// A member was started again.
    Restarted {
        /// Which.
        id: MemberId,
    },
    /// The disk has not answered for a while.
    SlowDisk {
        /// For how long.
        waiting: Duration,
    },
    /// The disk answers again.
    DiskAnswers,
    /// A snapshot is sent to a member that is too far behind for the log.
    SnapshotSent {
        /// To whom.
        to: MemberId,
        /// How long it is.
        bytes: u64,
    },
    /// A snapshot did not get through.
    SnapshotFailed {
        /// To whom.
        to: MemberId,
    },
    /// A snapshot came.
    SnapshotReceived {
        /// How long it is.
        bytes: u64,
    },
    /// The state is longer than a snapshot may be: the log grows until it is not.
    SnapshotTooLong {
        /// How long it is.
        bytes: u64,
    },
    /// A switchover did not happen: the other server did not take over in time.
    SwitchoverFailed {
        /// Whose.
        to: MemberId,
    },
    /// The witness leads, to bring a server up to date.
    WitnessLeads,
    /// Who votes has changed.
    Voters(Vec<MemberId>),
    /// A member of an older generation was heard of, and told.
    ToldSuperseded {
        /// Whom.
        id: MemberId,
    },
    /// This member has lost its log, or never had one, and waits to be brought up to date.
    LogTooShort {
        /// The last entry it has.
        last: u64,
        /// What the leader believes that it has.
        believed: u64,
    },
    /// What is behind this place was agreed on by the former primary alone, and is not part of the new generation.
    Superseded {
        /// The new identity's.
        identity: Identity,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadFrame(bad) => write!(f, "a frame was not understood: {bad}"),
            Self::OtherGroup { from } => {
                write!(f, "member {from} belongs to another group: two groups are mixed up")
            }
            Self::Restarted { id } => write!(f, "member {id} was started again"),
            Self::SlowDisk { waiting } => {
                write!(f, "the disk has not answered for {} ms", waiting.as_millis())
            }
            Self::DiskAnswers => f.write_str("the disk answers again"),
            Self::SnapshotSent { to, bytes } => {
                write!(f, "member {to} is too far behind for the log: a snapshot of {bytes} bytes goes there")
            }
            Self::SnapshotFailed { to } => {
                write!(f, "a snapshot did not get through to member {to}: it is sent anew")
            }
            Self::SnapshotReceived { bytes } => write!(f, "a snapshot of {bytes} bytes came"),
            Self::SnapshotTooLong { bytes } => {
                write!(f, "a snapshot would be {bytes} bytes, which is too long: the log grows until it is not")
            }
            Self::SwitchoverFailed { to } => write!(f, "member {to} did not take over in time: nothing changed"),
            Self::WitnessLeads => f.write_str("the witness leads, to bring a server up to date"),
            Self::Voters(voters) => {
                f.write_str("those who vote now are")?;
                voters.iter().try_for_each(|id| write!(f, " {id}"))
            }
            Self::ToldSuperseded { id } => {
                write!(f, "member {id} came back from before the takeover by command, and was told so")
            }
            Self::LogTooShort { last, believed } => write!(
                f,
                "this member's log ends at {last} and the leader relies on {believed}: a disk lost what it had confirmed"
            ),
            Self::Superseded { .. } => f.write_str(
                "another member took over by command: what this one agreed on alone since is not part of the group",
            ),
        }
    }
}

/// Until when a member may let anything out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Not at all.
    None,
    /// Until this moment, by this server's monotonic clock.
    Until(Instant),
    /// For as long as it leads: it is the only voter.
    Sole,
}

impl Lease {
    /// May anything leave at `now`?
    #[must_use]
    pub fn holds_at(self, now: Instant) -> bool {
        match self {
            Self::None => false,
            Self::Until(end) => now < end,
            Self::Sole => true,
        }
    }
}

/// What the next timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A tick of the engine.
    Tick,
    /// The lease ends.
    LeaseEnd,
}
