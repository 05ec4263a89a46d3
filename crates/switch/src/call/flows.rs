//! What becomes of a call when the flow to a phone turns out to be dead (RFC 5626 5.3 and 7): another flow of the same
//! instance is tried at once, and the dead one is put away.

use tandem_peer::continuity::InPathOutcome;

use super::Call;
use super::best::Best;
use super::branch::{Branch, Target};
use super::setup::Setup;
use crate::registrar::Ghost;
use crate::rooms::Rooms;
use crate::routing::contacts;

/// The proxy in front of the phone has lost the flow (RFC 5626 11.5). Only somebody who keeps flows is told this status: a
/// caller is told 480.
pub(super) const FLOW_FAILED: u16 = 430;

/// The registered contact that a request was for seems to be dead.
pub(super) fn suspect(rooms: &mut Rooms, target: &Target, why: Ghost) {
    if let Some(bound) = &target.contact {
        let (dn, record) = (bound.dn, bound.record);
        rooms.registrar.suspect(dn, record, target.flow, why, &mut rooms.log, rooms.now);
    }
}

impl Call {
    /// A branch is over because its flow is dead.
    pub(super) fn flow_failed(
        &mut self,
        rooms: &mut Rooms,
        mut setup: Box<Setup>,
        branch: &Branch,
        why: Ghost,
    ) {
        suspect(rooms, &branch.target, why);
        match contacts::another_flow(&rooms.registrar, &branch.target) {
            Some(target) => self.ring(rooms, &mut setup, target),
            None => setup.offer_best(Best::own(480)),
        }
        self.branch_lost(rooms, setup, InPathOutcome::TransportFailed);
    }
}
