//! The next target of a trunk, when the one that was asked does not take the call (RFC 3263 4.3): it was silent for
//! `trunk-target-timeout`, could not be reached, or answered 503. Each try is a branch, and a leg in the call's record.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use tandem_peer::continuity::InPathOutcome;
use tandem_peer::trunk::CallFailure;
use tandem_sip::{HeaderName, Message};

use super::best::Best;
use super::branch::{Branch, Target, Why};
use super::record::EndReason;
use super::setup::{Setup, Stage};
use super::suspect::is_suspect;
use super::{Call, Phase};
use crate::cdr::EndedBy;
use crate::directory::Directory;
use crate::explain::What;
use crate::rooms::{Device, Fact, Rooms};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Spare {
    targets: VecDeque<Target>,
    /// When the target that is being tried has been silent for too long.
    due_at: Option<Instant>,
}

impl Spare {
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    fn wait(&mut self, rooms: &Rooms, directory: &Directory) {
        let patience = directory.options.trunk_target_timeout;
        self.due_at = (!self.targets.is_empty()).then(|| rooms.now.mono + patience);
    }
}

impl Setup {
    /// Those of a place's targets that are tried at once; a trunk's others are kept.
    pub(super) fn keep_spare(
        &mut self,
        rooms: &Rooms,
        directory: &Directory,
        targets: SmallVec<[Target; 2]>,
    ) -> SmallVec<[Target; 2]> {
        let mut first = targets;
        let rest = match self.current {
            Some(Stage::Trunk(..) | Stage::Peer(..) | Stage::PeerQueue(..)) => {
                let keep = first.len().min(1);
                first.drain(keep..).collect()
            }
            Some(Stage::Extension(_) | Stage::Mixer(_) | Stage::Wait(_)) | None => VecDeque::new(),
        };
        self.spare = Spare { targets: rest, due_at: None };
        self.spare.wait(rooms, directory);
        if first.iter().any(|target| target.contact.as_ref().is_some_and(|bound| is_suspect(rooms, bound.dn)))
        {
            self.spare.due_at = Some(rooms.now.mono + directory.options.trunk_target_timeout);
        }
        first
    }
}

impl Call {
    /// Tries the trunk's next target; false when there is none, or what happened is no reason to.
    pub(super) fn next_target(
        &mut self,
        rooms: &mut Rooms,
        setup: &mut Setup,
        outcome: InPathOutcome,
    ) -> bool {
        let elsewhere = match outcome {
            InPathOutcome::TransportFailed | InPathOutcome::NoAnswer => true,
            InPathOutcome::Status { code, .. } => code == 503,
        };
        while elsewhere && let Some(target) = setup.spare.targets.pop_front() {
            setup.spare.wait(rooms, &self.directory);
            self.ring(rooms, setup, target);
            if !setup.branches.is_empty() {
                return true;
            }
        }
        setup.spare = Spare::default();
        false
    }

    /// The target that is being tried has been silent for `trunk-target-timeout`.
    pub(super) fn target_silent(&mut self, rooms: &mut Rooms) {
        let Phase::Setup(setup) = &mut self.phase else { return };
        setup.spare.due_at = None;
        let silent = |branch: &Branch, rooms: &Rooms| rooms.endpoint.is_calling(branch.txn);
        let Some(branch) = setup.branches.iter().find(|branch| silent(branch, rooms)) else { return };
        let (device, flow) = (branch.target.device, branch.target.flow);
        if matches!(device, Device::Extension(_)) {
            return self.suspects_silent(rooms, silent);
        }
        self.give_up(rooms, b"SIP;cause=408;text=\"next target is tried\"", silent);
        if let Some(device) = rooms.now_called(&self.directory, device) {
            rooms.facts.push(Fact::CallFailed(device, flow, CallFailure::Timeout));
        }
    }

    /// A trunk was lost, or this target of it: a call offered there that has heard nothing is tried at the next place now,
    /// instead of after Timer B. The unheard INVITE is cancelled as soon as anything is heard of it.
    pub fn trunk_lost(&mut self, rooms: &mut Rooms, trunk: &str, target: Option<SocketAddr>) {
        self.given_up_at(rooms, trunk, target, false);
    }

    /// A trunk has been silent for so long that a phone that rings behind it rings for nobody.
    pub fn trunk_stays_silent(&mut self, rooms: &mut Rooms, trunk: &str) {
        self.given_up_at(rooms, trunk, None, true);
    }

    /// The branch over a trunk is over, unless it rings; with `ringing` also then.
    fn given_up_at(&mut self, rooms: &mut Rooms, trunk: &str, target: Option<SocketAddr>, ringing: bool) {
        let Phase::Setup(setup) = &self.phase else { return };
        let waits_there = ringing || setup.waits_at_peer();
        let directory = std::sync::Arc::clone(&self.directory);
        let silent = |branch: &Branch, rooms: &Rooms| {
            let device = branch.target.device;
            matches!(device, Device::Trunk(_))
                && Rooms::name_of(&directory, device) == trunk
                && target.is_none_or(|addr| branch.target.flow.remote == addr)
                && (waits_there || rooms.endpoint.is_calling(branch.txn))
        };
        self.give_up(rooms, b"SIP;cause=408;text=\"trunk out of service\"", silent);
    }

    /// The first such branch is over, and the next place is tried.
    pub(super) fn give_up(&mut self, rooms: &mut Rooms, why: &[u8], which: impl Fn(&Branch, &Rooms) -> bool) {
        let Phase::Setup(setup) = &self.phase else { return };
        let Some(place) = setup.branches.iter().position(|branch| which(branch, rooms)) else { return };
        let Some(mut setup) = self.take_setup() else { return };
        let mut branch = setup.branches.remove(place);
        branch.cancel(rooms, &setup.request, &Why::Ours(why));
        let status = if matches!(branch.target.device, Device::Extension(_)) { 480 } else { 408 };
        self.branch_ended(rooms, &branch, status, EndedBy::Network, EndReason::NoResponse);
        self.note(rooms, What::Unreachable(branch.target.device, EndReason::NoResponse));
        self.losers.push(branch);
        setup.offer_best(Best::own(status));
        self.branch_lost(rooms, setup, InPathOutcome::NoAnswer);
    }

    /// A trunk's 503 with Retry-After: its target gets no call until then (RFC 3261 21.5.4). Of the peer it holds for this
    /// call only: under load it takes a share, and while its trunk is in service calls are forwarded.
    pub(super) fn asked_to_wait(&self, rooms: &mut Rooms, target: &Target, refusal: &Message) {
        if refusal.code() != Some(503) {
            return;
        }
        let Some(Device::Trunk(id)) = rooms.now_called(&self.directory, target.device) else { return };
        if rooms.directory.options.dr_peer_trunk == Some(id) {
            return;
        }
        if let Some(wait) = refusal.header(HeaderName::RetryAfter).and_then(seconds) {
            let now = rooms.now;
            rooms.trunks.rest(id, target.flow, wait, now);
        }
    }
}

/// The seconds of a Retry-After, without its comment and parameters (RFC 3261 20.33).
fn seconds(value: &[u8]) -> Option<Duration> {
    let digits = value.split(|byte| b" \t;(".contains(byte)).next()?;
    tandem_sip::lexer::number(digits).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_after_may_carry_a_comment_and_parameters() {
        for (value, wanted) in [
            ("18000;duration=3600", Some(18_000)),
            ("120 (I'm in a meeting)", Some(120)),
            ("5", Some(5)),
            ("soon", None),
        ] {
            assert_eq!(seconds(value.as_bytes()), wanted.map(Duration::from_secs), "{value}");
        }
    }
}
