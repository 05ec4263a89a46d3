//! Early dialogs (RFC 3261 12.1): each one that a callee opens becomes one that the caller sees, with a To-tag of ours.

use tandem_sip::dialog::Dialog;

use super::Call;
use super::branch::{Branch, with_contact};
use super::incoming::Answer;
use super::leg::{Leg, Side, behind_nat};
use super::setup::Setup;
use crate::ids::Tag;
use crate::limits::MAX_PAIRS;
use crate::rooms::{Device, Rooms};

/// An early dialog of a branch, and the one that the caller sees for it.
#[derive(Debug)]
pub(super) struct Early {
    /// Our To-tag towards the caller.
    pub(super) tag: Tag,
    pub(super) branch: u8,
    pub(super) remote_tag: Box<[u8]>,
    /// The two dialogs, caller's first; absent until a response names a Contact.
    pub(super) legs: Option<[Leg; 2]>,
}

impl Setup {
    /// The early dialogs behind a tag of ours: by the caller's view, or by a branch's and the callee's own tag.
    pub(super) fn early(&mut self, to: Tag, from: Option<&[u8]>) -> Option<(Side, &mut [Leg; 2])> {
        let branch = self.branches.iter().find(|branch| branch.tag == to).map(|branch| branch.id);
        let pair = self.pairs.iter_mut().find(|pair| match branch {
            Some(id) => pair.branch == id && Some(&*pair.remote_tag) == from,
            None => pair.tag == to,
        })?;
        let side = if branch.is_some() { Side::Callee } else { Side::Caller };
        pair.legs.as_mut().map(|legs| (side, legs))
    }

    /// CSeq of the caller's INVITE, and of the one that the early dialog with this tag answers.
    pub(super) fn invite_numbers(&self, to: Tag) -> Option<(u32, u32)> {
        let pair = self.pairs.iter().find(|pair| pair.tag == to)?;
        let branch = self.branches.iter().find(|branch| branch.id == pair.branch)?;
        Some((self.request.envelope().ok()?.cseq.number, branch.cseq))
    }

    /// The two dialogs that a response of a branch makes, if it names what a dialog needs. A 2xx is believed even
    /// without a To-tag (RFC 3261 12.1.2) or a Contact.
    fn dialogs(
        &self,
        rooms: &mut Rooms,
        tag: Tag,
        branch: &Branch,
        answer: &Answer<'_>,
        origin: Device,
    ) -> Option<[Leg; 2]> {
        if answer.env.to_tag.is_none() && !answer.is_ok() {
            return None;
        }
        let asked = self.request.envelope().ok()?;
        let caller = Dialog::uas(&self.request, &asked, &tag.text()).ok()?;
        let callee = match Dialog::uac(answer.message, answer.env) {
            Ok(dialog) => dialog,
            Err(_) if answer.is_ok() => {
                let whole = with_contact(rooms, answer.message, &branch.target.uri)?;
                Dialog::uac(&whole, answer.env).ok()?
            }
            Err(_) => return None,
        };
        let nat = behind_nat(&asked, self.flow.remote);
        let target = &branch.target;
        let flow = if target.flow.transport == answer.flow.transport { target.flow } else { answer.flow };
        let mut callee = Leg::new(callee, flow, target.device, target.nat);
        callee.authorization.clone_from(&branch.authorization);
        Some([Leg::new(caller, self.flow, origin, nat), callee])
    }
}

impl Call {
    /// Ringing or early media: relayed in the caller's view of that early dialog.
    pub(super) fn provisional(
        &mut self,
        rooms: &mut Rooms,
        setup: &mut Setup,
        place: usize,
        answer: &Answer<'_>,
    ) {
        let Some(tag) = self.early_dialog(rooms, setup, place, answer) else { return };
        let Some(id) = setup.branches.get(place).map(|branch| branch.id) else { return };
        (setup.ringing, setup.rang) = (true, true);
        let now = rooms.now.unix_ms;
        for leg in [0, usize::from(id) + 1] {
            if let Some(leg) = self.legs.get_mut(leg) {
                leg.ringing.get_or_insert(now);
            }
        }
        if let Some(payload) = setup.print_response(rooms, answer.code, Some(answer.message), tag) {
            rooms.endpoint.respond(setup.txn, answer.code, payload, rooms.now.mono);
        }
    }

    /// The caller's To-tag for the dialog that a response belongs to, new or known. `None`: there are too many.
    pub(super) fn early_dialog(
        &mut self,
        rooms: &mut Rooms,
        setup: &mut Setup,
        place: usize,
        answer: &Answer<'_>,
    ) -> Option<Tag> {
        let branch = setup.branches.get(place)?;
        let remote_tag = answer.env.to_tag.unwrap_or_default();
        let known = setup.pairs.iter().position(|p| p.branch == branch.id && *p.remote_tag == *remote_tag);
        let index = match known {
            Some(index) => index,
            None if setup.pairs.len() >= MAX_PAIRS && !answer.is_ok() => return None,
            None => {
                let tag = rooms.ids.tag();
                setup.pairs.push(Early { tag, branch: branch.id, remote_tag: remote_tag.into(), legs: None });
                self.own_tag(rooms, tag);
                setup.pairs.len() - 1
            }
        };
        let origin = self.legs.first()?.device;
        let made = match setup.pairs.get(index) {
            Some(pair) if pair.legs.is_none() => setup.dialogs(rooms, pair.tag, branch, answer, origin),
            Some(_) | None => None,
        };
        let pair = setup.pairs.get_mut(index)?;
        pair.legs = pair.legs.take().or(made);
        Some(pair.tag)
    }
}
