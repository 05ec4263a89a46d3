//! What a member is told at its start and nobody else need know.

use crate::roster::Kind;
use crate::timing::Timing;

/// When an entry counts as kept by a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on the member's disk. What was agreed on survives the loss of power at all members.
    #[default]
    Committed,
    /// Once it is on its way there. What was agreed on survives the loss of any one member, and may be lost when two die
    /// within moments. Votes and terms wait for the disk all the same.
    Eager,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What the member is for. The roster says so too; this is what it does until it has one.
    pub kind: Kind,
    /// How fast a loss is noticed. The same for all members.
    pub timing: Timing,
    /// Who tries first when the leader is lost: 0, then 1, and so on. Two members with the same rank could stand against each
    /// other for ever.
    pub rank: u8,
    /// When an entry counts as kept.
    pub durability: Durability,
    /// Another number at each start of the process.
    pub boot: u64,
    /// Entries after the latest snapshot at which the next is asked for.
    pub snapshot_after: u64,
    /// Entries kept behind a snapshot.
    pub kept_behind: u64,
}

impl Settings {
    /// A member with the defaults.
    #[must_use]
    pub fn new(kind: Kind, rank: u8, boot: u64) -> Self {
        Self {
            kind,
            timing: Timing::default(),
            rank,
            durability: Durability::default(),
            boot,
            snapshot_after: crate::limits::SNAPSHOT_AFTER,
            kept_behind: crate::limits::KEPT_BEHIND,
        }
    }

    /// Ticks of silence after which this member stands for election. Servers come before the witness, which could lead only
    /// to hand over, and everybody after the moment at which the others may vote.
    pub(crate) fn patience(&self) -> usize {
        let witness = if self.kind == Kind::Witness { 10 } else { 0 };
        let ticks = self.timing.election_ticks + 2 + 3 * u32::from(self.rank) + witness;
        usize::try_from(ticks).unwrap_or(usize::MAX)
    }
}
