//! Early dialogs (RFC 3261 12.1): each one that a callee opens becomes one that the caller sees, with a To-tag of ours.

use smallvec::SmallVec;
use tandem_sip::dialog::Dialog;
use tandem_sip::{HeaderName, Message};

use super::Call;
use super::branch::{Branch, with_contact};
use super::incoming::Answer;
use super::leg::{Leg, Side, behind_nat};
use super::news::News;
use super::reliable::{self, Knows};
use super::reply::{print_ended, print_response};
use super::session_id;
use super::setup::{Caller, Setup};
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
    /// The dialog with the callee; absent until a response names a Contact.
    pub(super) callee: Option<Leg>,
    /// The caller's, if he called by INVITE.
    pub(super) caller: Option<Leg>,
    /// Number of the callee's latest reliable response.
    number: Option<u32>,
    /// What described the session in a response that was acknowledged for the caller.
    pub(super) answer: Option<Message>,
}

impl Early {
    /// Whether a reliable response of the callee is the next one, which it is then counted as (RFC 3262 4).
    pub(super) fn is_next(&mut self, number: u32) -> bool {
        let next = self.number.is_none_or(|last| last.checked_add(1) == Some(number));
        if next {
            self.number = Some(number);
        }
        next
    }
}

impl Setup {
    /// Highest CSeq of a request of ours in the early dialogs of a branch; 0 if there was none.
    pub(super) fn spent(&self, branch: u8) -> u32 {
        let callees =
            self.pairs.iter().filter(|pair| pair.branch == branch).filter_map(|pair| pair.callee.as_ref());
        callees.map(|leg| leg.dialog.local_cseq()).max().unwrap_or(0)
    }

    /// The early dialogs behind a tag of ours: by the caller's view, or by a branch's and the callee's own tag.
    pub(super) fn early(&mut self, to: Tag, from: Option<&[u8]>) -> Option<(Side, [&mut Leg; 2])> {
        let branch = self.branches.iter().find(|branch| branch.tag == to).map(|branch| branch.id);
        let pair = self.pairs.iter_mut().find(|pair| match branch {
            Some(id) => pair.branch == id && Some(&*pair.remote_tag) == from,
            None => pair.tag == to,
        })?;
        let side = if branch.is_some() { Side::Callee } else { Side::Caller };
        Some((side, [pair.caller.as_mut()?, pair.callee.as_mut()?]))
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
    ) -> Option<(Option<Leg>, Leg)> {
        if answer.env.to_tag.is_none() && !answer.is_ok() {
            return None;
        }
        let caller = match &self.caller {
            Caller::Invite(_, flow) => {
                let asked = self.request.envelope().ok()?;
                let dialog = Dialog::uas(&self.request, &asked, &tag.text()).ok()?;
                let nat = behind_nat(&rooms.directory, origin, &dialog, &asked, flow.remote);
                let mut caller = Leg::new(dialog, *flow, origin, nat);
                caller.timer.heard(&self.request);
                Some(caller)
            }
            Caller::Leg(..) | Caller::Nobody(_) | Caller::Aside(_) => None,
        };
        let callee = match Dialog::uac(answer.message, answer.env) {
            Ok(dialog) => dialog,
            Err(_) if answer.is_ok() => {
                let whole = with_contact(rooms, answer.message, &branch.target.uri)?;
                Dialog::uac(&whole, answer.env).ok()?
            }
            Err(_) => return None,
        };
        let target = &branch.target;
        let flow = if target.flow.transport == answer.flow.transport { target.flow } else { answer.flow };
        let mut callee = Leg::new(callee, flow, target.device, target.nat);
        callee.authorization.clone_from(&branch.authorization);
        callee.session_ids.party = session_id::of(answer.message).unwrap_or_default();
        callee.timer.heard(answer.message);
        Some((caller, callee))
    }
}

impl Setup {
    /// A branch is refused while others go on: the caller is told that its early dialogs are over, if he takes 199 (RFC 6228),
    /// so that his phone need not keep them until the call is answered.
    pub(super) fn early_dialogs_end(&mut self, rooms: &mut Rooms, branch: u8, code: u16) {
        let goes_on = !self.branches.is_empty() || !self.stages.is_empty();
        let told = goes_on && !self.hides_progress() && self.request.has_token(HeaderName::Supported, b"199");
        let Caller::Invite(txn, flow) = self.caller else { return };
        if !told {
            return;
        }
        let ended: SmallVec<[Tag; 1]> =
            self.pairs.iter().filter(|pair| pair.branch == branch).map(|pair| pair.tag).collect();
        self.pairs.retain(|pair| pair.branch != branch);
        for tag in ended {
            let number = self.next_number(rooms, tag);
            let payload = print_ended(rooms, &self.request, flow, code, tag, number);
            if let Some(payload) = payload {
                let number = number.map(|number| (number, None));
                self.send_provisional(rooms, txn, (199, payload), tag, number);
            }
        }
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
        self.wait_for_progress(rooms, setup);
        let Some(early) = self.early_dialog(rooms, setup, place, answer) else { return };
        let theirs = reliable::number(answer.message).filter(|_| !setup.hides_progress());
        if !self.takes_number(rooms, setup, early, theirs, answer.message) {
            return;
        }
        let Some(branch) = setup.branches.get(place) else { return };
        let (leg, hidden) = (branch.leg(), setup.hides_progress());
        (setup.ringing, setup.rang) = (true, true);
        let now = rooms.now.unix_ms;
        let rings = self.legs.get_mut(usize::from(leg)).is_some_and(|leg| begins(&mut leg.ringing, now));
        if let (Some(caller), false) = (self.legs.first_mut(), hidden) {
            caller.ringing.get_or_insert(now);
        }
        if rings && leg > 0 {
            self.tell(rooms, News::Ringing { leg });
            self.aside_rings(rooms, setup);
            self.ring_tone(rooms, setup);
        }
        let Caller::Invite(txn, flow) = setup.caller else { return };
        let Some(tag) = setup.pairs.get(early).map(|pair| pair.tag).filter(|_| !hidden) else { return };
        let own = setup.next_number(rooms, tag);
        let number = own.or(theirs.filter(|_| setup.knows == Knows::Both));
        let like = setup.passable(rooms, answer.message, theirs);
        let like = Some((like.as_ref().unwrap_or(answer.message), &self.passage_back(leg)));
        let payload = print_response(rooms, &setup.request, flow, answer.code, like, tag, number);
        if let Some(payload) = payload {
            let number = own.map(|own| (own, theirs));
            setup.send_provisional(rooms, txn, (answer.code, payload), tag, number);
        }
    }

    /// Whether a response of a callee is to be passed on as far as its number goes: not when it came before. Where the
    /// caller does not know such responses it is acknowledged for him.
    fn takes_number(
        &mut self,
        rooms: &mut Rooms,
        setup: &mut Setup,
        early: usize,
        number: Option<u32>,
        response: &Message,
    ) -> bool {
        match (number, setup.knows) {
            (None, _) | (_, Knows::Both) => true,
            (Some(number), Knows::Nothing) => {
                self.acknowledge_for_caller(rooms, setup, early, number, response)
            }
            (Some(number), Knows::OnlyThem) => {
                setup.pairs.get_mut(early).is_some_and(|pair| pair.is_next(number))
            }
        }
    }

    /// The place of the early dialog that a response belongs to, new or known. `None`: there are too many.
    pub(super) fn early_dialog(
        &mut self,
        rooms: &mut Rooms,
        setup: &mut Setup,
        place: usize,
        answer: &Answer<'_>,
    ) -> Option<usize> {
        let branch = setup.branches.get(place)?;
        let remote_tag = answer.env.to_tag.unwrap_or_default();
        let known = setup.pairs.iter().position(|p| p.branch == branch.id && *p.remote_tag == *remote_tag);
        let index = match known {
            Some(index) => index,
            None if setup.pairs.len() >= MAX_PAIRS && !answer.is_ok() => return None,
            None => {
                // Who hears nothing of callees has one early dialog with this server, and his answer comes in it.
                let tag = if setup.hides_progress() { setup.tag } else { rooms.ids.tag() };
                let remote_tag = remote_tag.into();
                let (branch, callee, caller) = (branch.id, None, None);
                setup.pairs.push(Early {
                    tag,
                    branch,
                    remote_tag,
                    callee,
                    caller,
                    number: None,
                    answer: None,
                });
                if tag != setup.tag {
                    self.own_tag(rooms, tag);
                }
                setup.pairs.len() - 1
            }
        };
        let origin = self.legs.first()?.device;
        let made = match setup.pairs.get(index) {
            Some(pair) if pair.callee.is_none() => setup.dialogs(rooms, pair.tag, branch, answer, origin),
            Some(_) | None => None,
        };
        let pair = setup.pairs.get_mut(index)?;
        if let Some((caller, callee)) = made {
            (pair.caller, pair.callee) = (caller, Some(callee));
        }
        Some(index)
    }
}

/// Notes the first moment of something; whether this is it.
fn begins(at: &mut Option<u64>, now: u64) -> bool {
    let first = at.is_none();
    at.get_or_insert(now);
    first
}
