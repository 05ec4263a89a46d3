//! Between whom a message passes, and which headers pass there: what names persons (RFC 3325), what tells of
//! forwardings, and private headers.

use std::sync::Arc;

use tandem_sip::{Header, HeaderName};

use super::leg::Side;
use super::news::LegNo;
use super::session_id::{self, SessionIds};
use super::{Call, Talking};
use crate::directory::{Directory, TrunkIdentity};
use crate::limits::MAX_USER_TO_USER_BYTES;
use crate::rooms::Device;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Passage {
    /// What the sender says of persons is believed: it is a trusted Trunk.
    pub(super) believed: bool,
    /// The far end, if it is a Trunk outside: not a phone, the mixer or the peer site.
    pub(super) trunk: Option<Arc<TrunkIdentity>>,
    /// The caller asked not to be named, and this server sees to it.
    pub(super) withheld: bool,
    /// Who calls, and where from, is told in lines of this server's own.
    pub(super) told: bool,
    /// What the message says of the session if its sender does not.
    pub(super) session_ids: SessionIds,
}

impl Passage {
    /// From one device to another.
    pub(super) fn between(directory: &Directory, from: Device, to: Device) -> Self {
        Self { believed: believes(directory, from), trunk: outside(directory, to), ..Self::default() }
    }

    /// Towards a leg, from a sender who is believed or not.
    pub(super) fn to(directory: &Directory, name: Option<&str>, believed: bool) -> Self {
        let id = name.and_then(|name| directory.trunk_named(name));
        let trunk = id.and_then(|id| outside(directory, Device::Trunk(id)));
        Self { believed, trunk, ..Self::default() }
    }

    /// Whether a header passes.
    pub(super) fn admits(&self, header: &Header<'_>) -> bool {
        let name = header.name;
        let is = |known: HeaderName| name == known;
        if is(HeaderName::PAssertedIdentity) {
            self.admits_identity()
        } else if is(HeaderName::Diversion) {
            self.admits_forwarding(|trunk| trunk.forwarding.diversion)
        } else if is(HeaderName::HistoryInfo) {
            self.admits_forwarding(|trunk| trunk.forwarding.history_info)
        } else if is(HeaderName::UserToUser) {
            header.value.len() <= MAX_USER_TO_USER_BYTES
        } else if is(HeaderName::Subject) || is(HeaderName::CallInfo) || is(HeaderName::ReferredBy) {
            !self.withheld
        } else if is(HeaderName::Privacy) {
            !self.told
        } else {
            !is(HeaderName::Other) || self.admits_other(header.name_token)
        }
    }

    fn admits_identity(&self) -> bool {
        self.believed && !self.withheld && !self.told && self.trunk.as_ref().is_none_or(|trunk| trunk.trusted)
    }

    fn admits_forwarding(&self, told: impl Fn(&TrunkIdentity) -> bool) -> bool {
        !self.withheld && self.trunk.as_ref().is_none_or(|trunk| told(trunk))
    }

    fn admits_other(&self, name: &[u8]) -> bool {
        const PERSONS: [&[u8]; 2] = [b"P-Preferred-Identity", b"Remote-Party-ID"];
        const PERSONAL: [&[u8]; 3] = [b"Reply-To", b"In-Reply-To", b"Organization"];
        let among = |names: &[&[u8]]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if among(&PERSONS) {
            return self.admits_identity();
        }
        if among(&PERSONAL) {
            return !self.withheld;
        }
        let private = name.get(..2).is_some_and(|head| head.eq_ignore_ascii_case(b"x-"));
        !private || self.trunk.as_ref().is_none_or(|trunk| trunk.pass_headers.has(name))
    }
}

/// Whether what a device says of persons is believed.
pub(super) fn believes(directory: &Directory, device: Device) -> bool {
    match device {
        Device::Trunk(id) => outside(directory, device)
            .map_or_else(|| directory.options.dr_peer_trunk == Some(id), |identity| identity.trusted),
        Device::Extension(_) | Device::Mixer => false,
    }
}

/// The policy towards a device that is a Trunk other than the peer's.
pub(super) fn outside(directory: &Directory, device: Device) -> Option<Arc<TrunkIdentity>> {
    match device {
        Device::Trunk(id) if directory.options.dr_peer_trunk != Some(id) => {
            directory.trunk(id).map(|trunk| Arc::clone(&trunk.identity))
        }
        Device::Trunk(_) | Device::Extension(_) | Device::Mixer => None,
    }
}

impl Talking {
    /// From the other party to the one at this side.
    pub(super) fn passage_to(&self, directory: &Directory, side: Side) -> Passage {
        let device = |side| self.talk.leg(side).device;
        let session_ids = self.talk.leg(side).session_ids;
        Passage { session_ids, ..Passage::between(directory, device(side.other()), device(side)) }
    }
}

impl Call {
    /// From whoever refused, back to the caller.
    pub(super) fn passage_of_refusal(&self) -> Passage {
        let to = self.legs.first().map(|facts| facts.device);
        Passage { trunk: to.and_then(|to| outside(&self.directory, to)), ..Passage::default() }
    }

    /// From a leg back to the caller.
    pub(super) fn passage_back(&self, leg: LegNo) -> Passage {
        let device = |no: usize| self.legs.get(no).map(|facts| facts.device);
        match (device(usize::from(leg)), device(0)) {
            (Some(from), Some(to)) => {
                let [caller, _] = self.session_ids;
                let session_ids = SessionIds { party: caller, other: session_id::made(self.uuid, leg) };
                Passage { session_ids, ..Passage::between(&self.directory, from, to) }
            }
            (Some(_) | None, _) => Passage::default(),
        }
    }
}
