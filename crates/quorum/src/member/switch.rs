//! Switching over by agreement, while both servers live.
//!
//! First nothing new is proposed, until the other server has everything; that can fail, and then nothing has happened. Then
//! this server stands down, lease and all, and only then tells the other to lead: the word may be on its way for long, and the
//! other's election asks nobody whether a lease still runs. So a leader that has given the word never takes its lease up
//! again in this epoch; if nobody else leads in time it steps down and lets an election decide.

use std::time::{Duration, Instant};

use super::Member;
use crate::io::{Note, Refused, StandDown};
use crate::limits::SYNCHRONISED;
use crate::roster::{Kind, MemberId};

/// How long a forced switchover waits for the other server to catch up.
const FORCED_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    /// Nothing new is proposed until the other has everything.
    Draining { to: MemberId, until: Instant },
    /// The word is given.
    Handing { to: MemberId, until: Instant },
}

impl Member {
    /// Hands over to another server, which has everything then: nothing that was agreed on is lost. Says to whom. It is done when
    /// [`Output::StandDown`](crate::Output::StandDown) comes, and has failed without any consequence if
    /// [`Note::SwitchoverFailed`](crate::Note::SwitchoverFailed) comes first.
    ///
    /// With `force` it waits longer for a server that is behind.
    ///
    /// # Errors
    /// Nothing happens, for the reason given.
    pub fn switchover(
        &mut self,
        to: Option<MemberId>,
        force: bool,
        now: Instant,
    ) -> Result<MemberId, Refused> {
        self.advance(now);
        self.may_change()?;
        let to = self.successor(to)?;
        let silent = self.silence(to.0).ok_or(Refused::Silent { id: to, since: Duration::MAX })?;
        if silent >= self.settings.timing.election() {
            return Err(Refused::Silent { id: to, since: silent });
        }
        let records = self.lag(to.0).unwrap_or(u64::MAX);
        if records > SYNCHRONISED && !force {
            return Err(Refused::Behind { id: to, records });
        }
        let patience = if force { FORCED_PATIENCE } else { self.settings.timing.election() };
        self.switch = Some(Switch::Draining { to, until: self.now + patience });
        self.dirty = true;
        Ok(to)
    }

    fn successor(&self, to: Option<MemberId>) -> Result<MemberId, Refused> {
        let fit = |id: &MemberId| id.0 != self.id() && self.votes.knows(id.0);
        let mut servers =
            self.roster.members().iter().filter(|member| member.kind == Kind::Server).map(|member| member.id);
        // A learner leads only where this member alone votes.
        let may_lead = |id: &MemberId| self.is_sole_voter() || self.votes.voters.contains(&id.0);
        let chosen = match to {
            Some(to) => servers.find(|id| *id == to),
            None => servers.filter(|id| fit(id) && may_lead(id)).min_by_key(|id| self.lag(id.0)),
        };
        chosen.filter(|id| fit(id) && may_lead(id)).ok_or(Refused::NoServer)
    }

    /// Entries that a member lacks, as this leader knows.
    pub(super) fn lag(&self, id: u64) -> Option<u64> {
        let progress = self.engine.raft.prs().get(id)?;
        Some(self.last().saturating_sub(progress.matched))
    }

    pub(super) fn is_handing_over(&self) -> bool {
        matches!(self.switch, Some(Switch::Handing { .. }))
    }

    pub(super) fn switch_progress(&mut self) {
        match self.switch {
            None => {}
            Some(Switch::Draining { to, until }) => {
                let last = self.last();
                if self.lag(to.0) == Some(0) && self.applied == last {
                    self.hand_over(to, StandDown::Switchover { to });
                } else if self.now >= until {
                    self.switch = None;
                    self.note(Note::SwitchoverFailed { to });
                }
            }
            Some(Switch::Handing { to, until }) if self.now >= until => {
                self.note(Note::SwitchoverFailed { to });
                self.step_down(StandDown::Switchover { to });
            }
            Some(Switch::Handing { .. }) => {}
        }
    }

    fn hand_over(&mut self, to: MemberId, reason: StandDown) {
        if !self.votes.voters.contains(&to.0) {
            self.stop_for(to);
            return;
        }
        self.switch = Some(Switch::Handing { to, until: self.now + self.settings.timing.election() });
        self.reason = Some(reason);
        self.assess();
        self.engine.transfer_leader(to.0);
    }

    /// A leader whose disk stalls hands over to a server that has everything, without waiting for the disk.
    pub(super) fn hand_over_stalled(&mut self) {
        let Ok(to) = self.successor(None) else { return };
        let heard = self.silence(to.0).is_some_and(|silent| silent < self.settings.timing.election());
        let voter = self.votes.voters.contains(&to.0);
        if self.settings.kind == Kind::Server
            && !self.is_handing_over()
            && voter
            && heard
            && self.lag(to.0) == Some(0)
        {
            self.hand_over(to, StandDown::DiskStalled);
        }
    }
}
