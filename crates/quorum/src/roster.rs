//! Who belongs to a group, what each is for, and who votes.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use raft::eraftpb::ConfState;

use crate::limits::{MAX_ADDRESS, MAX_MEMBERS};
use crate::wire::{Take, put_numbers, put_piece};

/// Names a member for ever. A member that lost its disk comes back under another, because others rely on what the old
/// one promised. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// What a member is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// May lead and serve.
    Server,
    /// Votes, and keeps what was agreed on. It leads only to bring a server up to date and hand over to it.
    Witness,
}

/// Whether a member is to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// It votes, once it has caught up.
    Voter,
    /// It follows. It leads only after a takeover by hand.
    Learner,
}

/// What all members know of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberInfo {
    /// Its name.
    pub id: MemberId,
    /// What it is for.
    pub kind: Kind,
    /// Whether it is to count.
    pub seat: Seat,
    /// Where the others reach it; opaque here.
    pub address: String,
}

/// The members of a group as it was last agreed on, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    members: Vec<MemberInfo>,
}

impl Roster {
    /// The group of these; of two with the same name the last counts.
    #[must_use]
    pub fn new(members: impl IntoIterator<Item = MemberInfo>) -> Self {
        let mut roster = Self::default();
        for member in members {
            roster.set(member);
        }
        roster
    }

    /// The members.
    #[must_use]
    pub fn members(&self) -> &[MemberInfo] {
        &self.members
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: MemberId) -> Option<&MemberInfo> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Those who are to vote.
    pub fn voters(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.members.iter().filter(|member| member.seat == Seat::Voter).map(|member| member.id)
    }

    pub(crate) fn is_server(&self, id: u64) -> bool {
        self.get(MemberId(id)).is_some_and(|member| member.kind == Kind::Server)
    }

    fn set(&mut self, member: MemberInfo) {
        match self.members.binary_search_by_key(&member.id, |known| known.id) {
            Ok(at) => {
                if let Some(place) = self.members.get_mut(at) {
                    *place = member;
                }
            }
            Err(at) => self.members.insert(at, member),
        }
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(u8::try_from(self.members.len()).unwrap_or(u8::MAX));
        for member in &self.members {
            out.put_u64(member.id.0);
            out.put_u8(u8::from(member.kind == Kind::Witness));
            out.put_u8(u8::from(member.seat == Seat::Learner));
            put_piece(out, member.address.as_bytes());
        }
    }

    pub(crate) fn decode(take: &mut Take) -> Option<Self> {
        let count = take.u8()?;
        let mut roster = Self::default();
        for _ in 0..count {
            let id = MemberId(take.u64()?);
            let kind = if take.flag()? { Kind::Witness } else { Kind::Server };
            let seat = if take.flag()? { Seat::Learner } else { Seat::Voter };
            let address = String::from_utf8(take.piece()?.to_vec()).ok()?;
            roster.set(MemberInfo { id, kind, seat, address });
        }
        roster.is_sound().then_some(roster)
    }

    fn is_sound(&self) -> bool {
        let named = |member: &MemberInfo| member.id.0 != 0 && member.address.len() <= MAX_ADDRESS;
        self.members.len() <= MAX_MEMBERS && self.members.iter().all(named)
    }
}

/// A change of the roster, asked of the member that serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// New members, or known ones under another address or seat.
    pub set: Vec<MemberInfo>,
    /// Who leaves.
    pub remove: Vec<MemberId>,
}

impl Change {
    /// `member` joins.
    #[must_use]
    pub fn add(member: MemberInfo) -> Self {
        Self { set: vec![member], remove: Vec::new() }
    }

    /// `gone` leaves.
    #[must_use]
    pub fn remove(gone: MemberId) -> Self {
        Self { set: Vec::new(), remove: vec![gone] }
    }

    /// `gone` keeps its vote until `member` has caught up and takes it over.
    #[must_use]
    pub fn replace(gone: MemberId, member: MemberInfo) -> Self {
        Self { set: vec![member], remove: vec![gone] }
    }

    /// The roster after it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn apply(&self, roster: &Roster) -> Result<Roster, BadChange> {
        let mut after = roster.clone();
        for gone in &self.remove {
            let at = after.members.iter().position(|member| member.id == *gone);
            after.members.remove(at.ok_or(BadChange::Unknown(*gone))?);
        }
        for member in &self.set {
            after.set(member.clone());
        }
        match after.is_sound() {
            true => Ok(after),
            false => Err(BadChange::Unsound),
        }
    }
}

/// What is wrong with a [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadChange {
    /// Nobody of that name belongs to the group.
    Unknown(MemberId),
    /// More than seven members, a name of 0, or an address longer than 255 bytes.
    Unsound,
    /// The member that serves cannot take its own vote: switch over first.
    Itself,
    /// Somebody would lose the vote and an even number of voters would be left, which is no safer and fails sooner.
    EvenVoters,
    /// A witness that learns is of no use.
    LearningWitness,
}

impl fmt::Display for BadChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(f, "no member {id}"),
            Self::Unsound => f.write_str("a group has at most seven members, each with a name and an address"),
            Self::Itself => f.write_str("this member serves: switch over to the other server first"),
            Self::EvenVoters => f.write_str(
                "two voters would be left, and the loss of either would stop the service: replace the member, or \
                 remove backup and witness together",
            ),
            Self::LearningWitness => f.write_str("a witness votes, or is of no use"),
        }
    }
}

/// Who votes, at one place in the log: what Raft calls the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Votes {
    /// Who votes.
    pub voters: Vec<u64>,
    /// Who follows.
    pub learners: Vec<u64>,
    /// Who votes as well, while the one set takes over from the other.
    pub outgoing: Vec<u64>,
    /// Who follows after that.
    pub learners_next: Vec<u64>,
    /// The change ends by itself.
    pub auto_leave: bool,
}

impl Votes {
    pub(crate) fn alone(id: MemberId, learners: Vec<u64>) -> Self {
        Self { voters: vec![id.0], learners, ..Self::default() }
    }

    pub(crate) fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    pub(crate) fn knows(&self, id: u64) -> bool {
        [&self.voters, &self.learners, &self.outgoing].into_iter().any(|set| set.contains(&id))
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        for set in [&self.voters, &self.learners, &self.outgoing, &self.learners_next] {
            put_numbers(out, set);
        }
        out.put_u8(self.auto_leave.into());
    }

    pub(crate) fn decode(take: &mut Take) -> Option<Self> {
        let (voters, learners) = (take.numbers()?, take.numbers()?);
        let (outgoing, learners_next) = (take.numbers()?, take.numbers()?);
        let votes = Self { voters, learners, outgoing, learners_next, auto_leave: take.flag()? };
        // The engine takes these for granted, in what it is told by others too.
        let sets = [&votes.voters, &votes.learners, &votes.outgoing, &votes.learners_next];
        let named = sets.iter().all(|set| set.iter().all(|id| *id != 0) && set.len() <= 2 * MAX_MEMBERS);
        let apart =
            votes.learners.iter().all(|id| !votes.voters.contains(id) && !votes.outgoing.contains(id));
        let next =
            votes.learners_next.iter().all(|id| votes.outgoing.contains(id) && !votes.voters.contains(id));
        let alone = !votes.auto_leave || votes.is_joint();
        let once = sets.iter().all(|set| {
            set.iter().enumerate().all(|(at, id)| !set.iter().skip(at + 1).any(|other| other == id))
        });
        (named && apart && next && alone && once).then_some(votes)
    }

    pub(crate) fn of(state: &ConfState) -> Self {
        let sorted = |set: &[u64]| {
            let mut set = set.to_vec();
            set.sort_unstable();
            set
        };
        Self {
            voters: sorted(&state.voters),
            learners: sorted(&state.learners),
            outgoing: sorted(&state.voters_outgoing),
            learners_next: sorted(&state.learners_next),
            auto_leave: state.auto_leave,
        }
    }

    pub(crate) fn to_raft(&self) -> ConfState {
        ConfState {
            voters: self.voters.clone(),
            learners: self.learners.clone(),
            voters_outgoing: self.outgoing.clone(),
            learners_next: self.learners_next.clone(),
            auto_leave: self.auto_leave,
            ..ConfState::default()
        }
    }
}

pub(crate) fn encoded(roster: &Roster) -> Bytes {
    let mut out = BytesMut::new();
    roster.encode(&mut out);
    out.freeze()
}
