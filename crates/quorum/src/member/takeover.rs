//! Taking over by hand, where the votes cannot decide.
//!
//! A pair without a witness cannot tell a dead partner from a cut cable: one member votes, the other learns, and somebody
//! who can look decides. The learner then goes on with everything it has, as the sole voter of a new *generation*, whose
//! terms begin above any that the former primary could reach by starting again. Each member of an older generation that is
//! heard of is told so, stands down, remembers it on its disk, and says what it had agreed on alone. Then it can be emptied
//! and join as the backup.

use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};

use super::Member;
use super::ready::Then;
use crate::frame::{Frame, Kind};
use crate::io::{Note, Output, Refused, StandDown, Stopped, Write};
use crate::roster::{self, MemberId, MemberInfo, Roster, Seat};
use crate::stored::{Identity, Persisted, Record, Snapshot, Successor};
use crate::wire::Take;

impl Member {
    /// Makes this member the sole voter of a new generation, with everything it has; the others become learners. What the former
    /// primary alone had agreed on is lost. Done once [`Output::Serve`] comes.
    ///
    /// # Errors
    /// Nothing happens, for the reason given; `force` overrules a leader that is still heard.
    pub fn takeover(&mut self, force: bool, now: Instant) -> Result<(), Refused> {
        self.advance(now);
        if self.settings.kind == roster::Kind::Witness {
            return Err(Refused::Witness);
        }
        if self.last() == 0 {
            return Err(Refused::Empty);
        }
        match &self.stopped {
            None | Some(Stopped::Superseded { .. }) => {}
            Some(_) => return Err(Refused::Stopped),
        }
        if self.is_leader() && self.is_sole_voter() {
            return Err(Refused::Sound);
        }
        let lives = self.leader().filter(|leader| {
            let silent = self.silence(leader.0);
            leader.0 == self.id() || silent.is_some_and(|silent| silent < self.settings.timing.election())
        });
        if let Some(leader) = lives.filter(|_| !force) {
            return Err(Refused::LeaderLives { leader });
        }
        self.begin_takeover();
        Ok(())
    }

    fn begin_takeover(&mut self) {
        let me = self.identity.id;
        let demoted = |member: &MemberInfo| {
            let seat = if member.id == me { Seat::Voter } else { Seat::Learner };
            MemberInfo { seat, ..member.clone() }
        };
        let roster = Roster::new(self.roster.members().iter().map(demoted));
        let learners = roster.members().iter().map(|member| member.id.0).filter(|id| *id != me.0).collect();
        let persisted = self.engine.store().persisted(self.identity.clone()).taken_over(roster, learners);
        let records = vec![Record::Identity(persisted.identity.clone()), Record::Hard(persisted.hard)];
        self.stop(Stopped::Changing, StandDown::Deposed);
        self.write_own(Write { records, ..Write::default() }, Some(Then::TakenOver(Box::new(persisted))));
    }

    /// Empties this member, so that it can join the generation that made its own a thing of the past.
    ///
    /// # Errors
    /// Nothing happens, for the reason given.
    pub fn rejoin(&mut self, now: Instant) -> Result<(), Refused> {
        self.advance(now);
        let generation = match &self.stopped {
            Some(Stopped::Superseded { generation, .. }) => *generation,
            Some(Stopped::Diverged { .. }) => self.identity.generation,
            Some(_) => return Err(Refused::Stopped),
            None => return Err(Refused::Sound),
        };
        let identity = Identity { generation, superseded: None, takeover: None, ..self.identity.clone() };
        let persisted = Persisted::emptied(identity.clone());
        self.stopped = Some(Stopped::Changing);
        let records = vec![Record::Identity(identity)];
        let then = Then::Emptied(Box::new(persisted));
        self.write_own(Write { fresh: true, records, ..Write::default() }, Some(then));
        Ok(())
    }

    pub(super) fn become_then(&mut self, then: Then) {
        match then {
            Then::TakenOver(persisted) => {
                self.identity = persisted.identity.clone();
                if persisted.snapshot.base.index > self.applied {
                    self.applied = persisted.snapshot.base.index;
                    self.outputs.push_back(Output::Install(persisted.snapshot.clone()));
                }
                // Whatever its log holds counts as agreed on: better more than less.
                let tail = self.engine.store().behind(self.applied);
                let roster = persisted.identity.takeover.as_ref().map(|takeover| takeover.roster.clone());
                for entry in tail {
                    self.hand_over_entry(entry);
                }
                self.applied = persisted.last_index();
                self.replace_engine(&persisted);
                if let Some(roster) = roster {
                    self.roster = roster.clone();
                    self.outputs.push_back(Output::Roster(roster));
                }
                let _ = self.engine.campaign();
            }
            Then::Emptied(persisted) => {
                self.identity = persisted.identity.clone();
                (self.applied, self.latest) = (0, (0, 0));
                self.replace_engine(&persisted);
                self.outputs.push_back(Output::Install(Snapshot::default()));
            }
            Then::Relinquished { to } => self.relinquish(to),
        }
    }

    /// A frame of another generation.
    pub(super) fn other_generation(&mut self, frame: &Frame) {
        if frame.generation < self.identity.generation {
            // Whoever is emptied speaks for its new generation; whoever is stopped says nothing of it.
            let told = self.frame(Kind::Superseded, frame.from, Bytes::new());
            self.outputs.push_back(told);
            self.note(Note::ToldSuperseded { id: frame.from });
            return;
        }
        if matches!(self.stopped, Some(Stopped::Changing)) {
            return;
        }
        let known = self.identity.superseded.map_or(0, |known| known.generation);
        self.heard_successor = true;
        let successor = Successor { by: frame.from, generation: frame.generation };
        if self.last() == 0 && self.stopped.is_none() {
            // It has nothing that could be lost.
            self.identity.generation = frame.generation;
            self.write_identity(None);
            return;
        }
        if successor.generation > known {
            self.superseded(successor);
            self.write_identity(None);
        }
    }

    fn superseded(&mut self, successor: Successor) {
        let Successor { by, generation } = successor;
        self.identity.superseded = Some(successor);
        let committed = self.engine.raft.raft_log.committed;
        self.stop(Stopped::Superseded { by, generation, committed }, StandDown::Superseded { by });
        self.note(Note::Superseded { identity: self.identity.clone() });
    }

    fn write_identity(&mut self, then: Option<Then>) {
        let records = vec![Record::Identity(self.identity.clone())];
        self.write_own(Write { records, ..Write::default() }, then);
    }

    /// The sole voter stops for good in favour of a learner that has everything, and tells it once its disk knows.
    pub(super) fn stop_for(&mut self, to: MemberId) {
        let generation = self.identity.generation + 1;
        self.identity.superseded = Some(Successor { by: to, generation });
        let committed = self.engine.raft.raft_log.committed;
        self.stop(Stopped::Superseded { by: to, generation, committed }, StandDown::Switchover { to });
        self.write_identity(Some(Then::Relinquished { to }));
    }

    /// To whom this member has relinquished, for as long as the other has not answered by a frame of its new generation.
    pub(super) fn relinquishing(&self) -> Option<MemberId> {
        let successor = self.identity.superseded?;
        let waits = self.pending.is_empty() && matches!(self.stopped, Some(Stopped::Superseded { .. }));
        (waits && !self.heard_successor).then_some(successor.by)
    }

    pub(super) fn relinquish(&mut self, to: MemberId) {
        let mut place = BytesMut::with_capacity(8);
        place.put_u64(self.engine.raft.raft_log.committed);
        let frame = self.frame(Kind::Relinquished, to, place.freeze());
        self.outputs.push_back(frame);
    }

    /// The primary has stopped in favour of this member.
    pub(super) fn relinquished(&mut self, frame: &Frame) {
        let place = Take::new(frame.payload.clone()).u64();
        let sole = self.votes.voters == [frame.from.0];
        if sole
            && self.settings.kind == roster::Kind::Server
            && place.is_some_and(|place| place <= self.last())
        {
            self.begin_takeover();
        }
    }
}
