//! What a member knows of itself and the others.

use std::time::{Duration, Instant};

use super::Member;
use crate::limits::SLOW_DISK;
use crate::roster::MemberInfo;
use crate::status::{MemberStatus, Status, Unready};

impl Member {
    /// What it knows at `now`.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        let write_waits =
            self.pending.front().map_or(Duration::ZERO, |write| now.saturating_duration_since(write.since));
        Status {
            id: self.identity.id,
            group: self.identity.group,
            generation: self.identity.generation,
            standing: self.told,
            stopped: self.stopped.clone(),
            successor_heard: self.heard_successor,
            serving: self.serving,
            lease: self.lease(),
            last: self.last(),
            committed: self.engine.raft.raft_log.committed,
            applied: self.applied,
            snapshot: self.latest.0,
            snapshot_bytes: self.latest.1,
            writes: self.pending.len(),
            write_waits,
            uncommitted: self.uncommitted(),
            members: self.roster.members().iter().map(|info| self.member_status(info, now)).collect(),
            voters_change: self.votes.is_joint(),
        }
    }

    fn member_status(&self, info: &MemberInfo, now: Instant) -> MemberStatus {
        let id = info.id.0;
        let other = id != self.id();
        let lag = self.lag(id).filter(|_| other && self.is_leader());
        MemberStatus {
            info: info.clone(),
            votes: self.votes.voters.contains(&id),
            heard: self.peers.get(&id).map(|heard| now.saturating_duration_since(heard.at)),
            lag,
            lag_time: lag.map(|lag| self.age_of(self.last().saturating_sub(lag), now)),
            snapshot_percent: self.sending.get(&id).map(super::chunks::Sending::percent),
        }
    }

    /// How long ago the log grew past `index`.
    fn age_of(&self, index: u64, now: Instant) -> Duration {
        let grown = self.trail.iter().find(|(last, _)| *last > index);
        grown.map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(*at))
    }

    /// Could this member take over at this moment? A member that serves could.
    ///
    /// # Errors
    /// Why not.
    pub fn readiness(&self, now: Instant) -> Result<(), Unready> {
        if let Some(stopped) = &self.stopped {
            return Err(Unready::Stopped(stopped.clone()));
        }
        if self.last() == 0 {
            return Err(Unready::Empty);
        }
        let waiting =
            self.pending.front().map_or(Duration::ZERO, |write| now.saturating_duration_since(write.since));
        if waiting >= SLOW_DISK {
            return Err(Unready::SlowDisk { waiting });
        }
        if self.serving.is_some() {
            return Ok(());
        }
        let Some(leader) = self.leader() else { return Err(Unready::NoLeader) };
        let heard = self.silence(leader.0).is_some_and(|silent| silent < self.settings.timing.election());
        if leader.0 != self.id() && !heard {
            return Err(Unready::NoLeader);
        }
        match self.last().saturating_sub(self.applied) {
            records if records > crate::limits::SYNCHRONISED => Err(Unready::CatchingUp { records }),
            _ => Ok(()),
        }
    }
}
