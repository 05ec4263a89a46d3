//! Until when a member may serve.
//!
//! Each heartbeat carries the number of its round (the engine's read index does that, and counts who acknowledged, in a
//! change of voters too). Once a quorum has, the lease lasts [`Timing::lease`](crate::Timing::lease) from the moment at which
//! the round was *sent*: whoever acknowledged it helps elect nobody for longer than that, and any election needs one of
//! them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Member;
use crate::io::{Lease, Output, StandDown};
use crate::roster::Kind;

/// Rounds that are remembered while none is acknowledged: more than any election timeout holds.
const ROUNDS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Rounds {
    last: u64,
    sent: VecDeque<(u64, Instant)>,
    until: Option<Instant>,
    ticks: u32,
}

impl Rounds {
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    pub(super) fn has_begun(&self) -> bool {
        self.until.is_some() || !self.sent.is_empty()
    }

    /// The member leads no more, or in another epoch. Rounds are numbered on, so an old answer answers nothing.
    pub(super) fn clear(&mut self) {
        self.sent.clear();
        self.until = None;
        self.ticks = 0;
    }

    pub(super) fn beat_is_due(&mut self, every: u32) -> bool {
        self.ticks += 1;
        self.ticks >= every
    }

    fn begin(&mut self, now: Instant) -> u64 {
        self.last += 1;
        self.sent.push_back((self.last, now));
        if self.sent.len() > ROUNDS {
            self.sent.pop_front();
        }
        self.last
    }

    fn acknowledged(&mut self, round: u64, length: Duration) {
        while let Some((number, sent)) = self.sent.pop_front_if(|(number, _)| *number <= round) {
            if number == round {
                self.until = self.until.max(Some(sent + length));
            }
        }
    }
}

impl Member {
    /// Sends a heartbeat to everybody.
    pub(super) fn beat(&mut self) {
        self.rounds.ticks = 0;
        if self.is_sole_voter() || !self.engine.raft.commit_to_current_term() {
            self.engine.ping();
            return;
        }
        let round = self.rounds.begin(self.now);
        self.engine.read_index(round.to_be_bytes().to_vec());
    }

    /// A quorum has acknowledged a round.
    pub(super) fn acknowledged(&mut self, round: &[u8]) {
        if let Ok(round) = round.try_into() {
            self.rounds.acknowledged(u64::from_be_bytes(round), self.settings.timing.lease());
        }
    }

    /// Others vote too from now on. None of them can be elected without this member before a quorum has acknowledged the end of
    /// the change, which this member has not even sent: that is as good as a round sent now.
    pub(super) fn no_longer_sole(&mut self) {
        self.rounds.until = Some(self.now + self.settings.timing.lease());
    }

    pub(super) fn lease_if_leader(&self) -> Lease {
        if !self.is_leader() || self.is_handing_over() || self.has_lost_its_vote() {
            return Lease::None;
        }
        match self.rounds.until() {
            _ if self.is_sole_voter() => Lease::Sole,
            Some(until) => Lease::Until(until),
            None => Lease::None,
        }
    }

    /// Says when serving begins and ends.
    pub(super) fn assess(&mut self) {
        let epoch = self.epoch();
        let current = self.is_leader() && self.engine.raft.apply_to_current_term();
        let leased = self.lease_if_leader().holds_at(self.now);
        let able = current && leased && self.settings.kind == Kind::Server;
        if let Some(served) = self.serving.filter(|served| !able || *served != epoch) {
            let lapsed = self.is_leader() && !leased && served == epoch && !self.is_handing_over();
            let why = if lapsed { StandDown::LeaseLost } else { StandDown::Deposed };
            let reason = self.reason.take().unwrap_or(why);
            self.serving = None;
            self.rested = lapsed.then_some(served);
            self.outputs.push_back(Output::StandDown { epoch: served, reason });
        }
        if able && self.serving.is_none() {
            let resumed = self.rested.take() == Some(epoch);
            self.serving = Some(epoch);
            self.reason = None;
            self.outputs.push_back(Output::Serve { epoch, resumed });
        }
    }
}
