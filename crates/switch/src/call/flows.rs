//! What becomes of a call when the flow to a phone turns out to be dead (RFC 5626 5.3 and 7): another flow of the same
//! instance is tried at once, and the dead one is put away.

use smallvec::SmallVec;
use tandem_peer::continuity::InPathOutcome;
use tandem_sip::Uri;

use super::Call;
use super::best::Best;
use super::branch::{Branch, Target};
use super::setup::Setup;
use crate::directory::Directory;
use crate::explain::Absent;
use crate::registrar::Ghost;
use crate::rooms::{Device, Rooms};
use crate::routing::{self, contacts};

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

impl Setup {
    /// Of the contacts of the Extension that was dialled, those that its address means (RFC 5627 5.4): it may lead to one
    /// phone alone. Where the call is sent on to, the address says nothing.
    pub(super) fn narrowed(
        &self,
        rooms: &Rooms,
        directory: &Directory,
        targets: Result<SmallVec<[Target; 2]>, (Device, Absent)>,
    ) -> Result<SmallVec<[Target; 2]>, (Device, Absent)> {
        let mut targets = targets?;
        let dialled = self.request.request_uri().and_then(|uri| Uri::parse(uri).ok());
        let (Some(uri), Some(device)) = (dialled, targets.first().map(|target| target.device)) else {
            return Ok(targets);
        };
        let Some(only) = rooms.gruus.only(&uri) else { return Ok(targets) };
        let number = rooms.gruus.number(&uri).or_else(|| routing::number(&uri));
        let meant = number.and_then(|number| directory.find(&number)).map(Device::Extension);
        if meant == Some(device) {
            rooms.gruus.narrow(&rooms.registrar, &only, &mut targets);
        }
        if targets.is_empty() { Err((device, Absent::NotRegistered)) } else { Ok(targets) }
    }
}
