//! A phone that is registered and suspected to be gone: it is called, but waited for only for a short while, and then the
//! peer site is asked, where it may have gone. What a phone or a person says is not asked of the peer again.

use smallvec::SmallVec;
use tandem_peer::continuity::InPathOutcome;
use tandem_sip::{Flow, Message};

use super::Call;
use super::branch::{Bound, Branch};
use super::setup::{Setup, Stage};
use crate::directory::DnId;
use crate::explain::What;
use crate::rooms::Rooms;

impl Setup {
    /// The peer site stands behind the Extension that is tried, for the case that nobody is there.
    fn has_last_resort(&self, call: &Call) -> bool {
        let (Some(Stage::Extension(dn)), Some(Stage::Peer(_, number))) = (&self.current, self.stages.front())
        else {
            return false;
        };
        call.directory.extension(*dn).is_some_and(|extension| extension.number.as_bytes() == &**number)
    }

    /// Whether the peer is asked now that the last contact is lost: not if a phone rang, or one has refused.
    pub(super) fn asks_the_peer(&self, call: &Call, outcome: InPathOutcome) -> bool {
        let unreached = match outcome {
            InPathOutcome::TransportFailed | InPathOutcome::NoAnswer => true,
            InPathOutcome::Status { .. } => false,
        };
        unreached && !self.rang && self.has_last_resort(call)
    }

    /// Somebody is there: the peer is not asked.
    pub(super) fn forget_last_resort(&mut self, call: &Call) {
        if self.has_last_resort(call) {
            self.stages.pop_front();
        }
    }
}

impl Call {
    /// The peer site is tried although the Extension is in service here.
    pub(super) fn note_last_resort(&mut self, rooms: &mut Rooms, setup: &Setup, next: &Stage) {
        if matches!((&setup.current, next), (Some(Stage::Extension(_)), Stage::Peer(..))) {
            rooms.counters.forwards_in_path += 1;
            self.note(rooms, What::AsksPeer);
        }
    }

    /// Phones in quarantine that have said nothing for `trunk-target-timeout` are given up.
    pub(super) fn suspects_silent(&mut self, rooms: &mut Rooms, silent: impl Fn(&Branch, &Rooms) -> bool) {
        let super::Phase::Setup(setup) = &self.phase else { return };
        let silent = setup.branches.iter().filter(|branch| silent(branch, rooms));
        let ids: SmallVec<[u8; 4]> = silent.map(|branch| branch.id).collect();
        for id in ids {
            self.give_up(rooms, b"SIP;cause=480;text=\"no sign of the phone\"", |branch, _| branch.id == id);
        }
    }
}

/// A phone that says something is there. What a proxy in front of it says of itself proves nothing.
pub(super) fn shows_life(rooms: &mut Rooms, bound: Option<&Bound>, flow: Flow, response: &Message) {
    let Some(bound) = bound else { return };
    let own_word = match response.code() {
        Some(430) | None => false,
        Some(code) => bound.path.is_none() || (101..300).contains(&code),
    };
    if own_word {
        rooms.registrar.responded(bound.dn, bound.record, flow, &mut rooms.log, rooms.now);
    }
}

/// The Extension's phone is called although every contact of it is in quarantine.
pub(super) fn is_suspect(rooms: &Rooms, dn: DnId) -> bool {
    rooms.registrar.is_suspended(dn)
}
