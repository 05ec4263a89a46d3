//! The members change.
//!
//! What is agreed on first is the roster: who is to belong and to vote. The leader then leads the voters there, in steps that
//! are safe: whoever joins learns first; once everybody who is to vote has caught up, and they are an odd number, the votes
//! change hands at once (Raft's joint consensus). Until then the old voters vote, so a replaced one keeps its vote until its
//! successor can use it.

use bytes::{BufMut, Bytes, BytesMut};
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2};

use super::Member;
use super::ready::ROSTER;
use crate::io::Refused;
use crate::limits::NEARLY;
use crate::roster::{BadChange, Change, Kind, MemberId, Roster, Seat, encoded};
use crate::wire::Take;

const VOTES: u8 = b'V';

fn encode(changes: &[ConfChangeSingle]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(VOTES);
    out.put_u8(u8::try_from(changes.len()).unwrap_or(u8::MAX));
    for change in changes {
        out.put_u8(match change.change_type {
            ConfChangeType::AddNode => 0,
            ConfChangeType::RemoveNode => 1,
            ConfChangeType::AddLearnerNode => 2,
        });
        out.put_u64(change.node_id);
    }
    out.freeze()
}

pub(super) fn decode(context: Bytes) -> Option<ConfChangeV2> {
    let mut take = Take::new(context);
    if take.u8()? != VOTES {
        return None;
    }
    let count = take.u8()?;
    let mut change = ConfChangeV2::default();
    for _ in 0..count {
        let kind = match take.u8()? {
            0 => ConfChangeType::AddNode,
            1 => ConfChangeType::RemoveNode,
            2 => ConfChangeType::AddLearnerNode,
            _ => return None,
        };
        change.changes.push(single(kind, take.u64()?));
    }
    Some(change)
}

fn single(kind: ConfChangeType, id: u64) -> ConfChangeSingle {
    ConfChangeSingle { change_type: kind, node_id: id, ..ConfChangeSingle::default() }
}

impl Member {
    /// Changes who belongs to the group. It is done once [`Output::Roster`](crate::Output::Roster) says so; the votes follow when
    /// those who are to have them have caught up ([`Note::Voters`](crate::Note::Voters)).
    ///
    /// # Errors
    /// Nothing changes, for the reason given.
    pub fn change(&mut self, change: &Change, now: std::time::Instant) -> Result<(), Refused> {
        self.advance(now);
        self.may_change()?;
        // One that is not agreed on yet will be before this one is.
        let before = self.proposed.as_ref().filter(|(index, _)| *index > self.applied);
        let after =
            change.apply(before.map_or(&self.roster, |(_, roster)| roster)).map_err(Refused::Change)?;
        self.check_roster(&after).map_err(Refused::Change)?;
        let index = self.append(Bytes::from_static(&[ROSTER]), encoded(&after))?;
        self.proposed = Some((index, after));
        Ok(())
    }

    fn check_roster(&self, after: &Roster) -> Result<(), BadChange> {
        let me = after.get(self.identity.id);
        if me.is_none_or(|me| me.seat != Seat::Voter || me.kind != Kind::Server) {
            return Err(BadChange::Itself);
        }
        if after.members().iter().any(|member| member.kind == Kind::Witness && member.seat == Seat::Learner) {
            return Err(BadChange::LearningWitness);
        }
        let voters: Vec<u64> = after.voters().map(|id| id.0).collect();
        let somebody_loses = self.votes.voters.iter().any(|id| !voters.contains(id));
        match voters.len().is_multiple_of(2) && somebody_loses {
            true => Err(BadChange::EvenVoters),
            false => Ok(()),
        }
    }

    /// The next step from who votes to who is to vote, if one can be taken.
    pub(super) fn settle_votes(&mut self) {
        let raft = &self.engine.raft;
        if raft.has_pending_conf() || !raft.commit_to_current_term() || raft.lead_transferee.is_some() {
            return;
        }
        // A leader that died in the middle of a change left this to its successor.
        if self.votes.is_joint() {
            self.propose_votes(Vec::new());
            return;
        }
        let changes = self.vote_changes();
        if !changes.is_empty() {
            self.propose_votes(changes);
        } else if self.serving.is_some() && self.switch.is_none() {
            self.step_aside();
        }
    }

    /// A server that is to lose its vote cannot see to it itself: another leads first.
    fn step_aside(&mut self) {
        let target: Vec<MemberId> = self.roster.voters().collect();
        if target.contains(&self.identity.id) {
            return;
        }
        let voters = &self.votes.voters;
        let other = target.into_iter().find(|id| self.roster.is_server(id.0) && voters.contains(&id.0));
        if let Some(other) = other {
            // Refused while the other is silent or behind; the next tick tries again.
            let _ = self.switchover(Some(other), false, self.now);
        }
    }

    fn vote_changes(&self) -> Vec<ConfChangeSingle> {
        let (votes, roster) = (&self.votes, &self.roster);
        let mut changes = Vec::new();
        for member in roster.members() {
            if !votes.knows(member.id.0) {
                changes.push(single(ConfChangeType::AddLearnerNode, member.id.0));
            }
        }
        for id in &votes.learners {
            if roster.get(MemberId(*id)).is_none() {
                changes.push(single(ConfChangeType::RemoveNode, *id));
            }
        }
        let target: Vec<u64> = roster.voters().map(|id| id.0).collect();
        let ready = |id: &u64| votes.voters.contains(id) || self.has_caught_up(*id);
        if target == votes.voters
            || target.len().is_multiple_of(2)
            || !target.iter().all(ready)
            || !target.contains(&self.id())
        {
            return changes;
        }
        for id in target.iter().filter(|id| !votes.voters.contains(id)) {
            changes.push(single(ConfChangeType::AddNode, *id));
        }
        for id in votes.voters.iter().filter(|id| !target.contains(id)) {
            let kind = match roster.get(MemberId(*id)) {
                Some(_) => ConfChangeType::AddLearnerNode,
                None => ConfChangeType::RemoveNode,
            };
            changes.push(single(kind, *id));
        }
        changes
    }

    fn has_caught_up(&self, id: u64) -> bool {
        let progress = self.engine.raft.prs().get(id);
        let near = progress.is_some_and(|had| had.matched > 0 && had.matched + NEARLY >= self.last());
        near && self.silence(id).is_some_and(|silent| silent < self.settings.timing.election())
    }

    /// How long nothing has come from a member.
    pub(super) fn silence(&self, id: u64) -> Option<std::time::Duration> {
        self.peers.get(&id).map(|heard| self.now.saturating_duration_since(heard.at))
    }

    fn propose_votes(&mut self, changes: Vec<ConfChangeSingle>) {
        let context = if changes.is_empty() { Vec::new() } else { encode(&changes).to_vec() };
        let mut change = ConfChangeV2::default();
        change.set_changes(changes.into());
        // Refused only while another change is under way; the next tick tries again.
        let _ = self.engine.propose_conf_change(context, change);
    }
}
