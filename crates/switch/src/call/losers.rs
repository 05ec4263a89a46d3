//! Branches that did not win: taken back, and kept until their final response; an answer that comes all the same is
//! acknowledged and hung up on (RFC 3261 13.2.2.4).

use tandem_peer::trunk::CallFailure;
use tandem_sip::{Flow, TxnId};

use super::branch::{self, Branch, Stranger, Why};
use super::flows;
use super::incoming::Answer;
use super::leg::Side;
use super::news::News;
use super::record::EndReason;
use super::reliable::Held;
use super::setup::{Caller, ELSEWHERE, Setup};
use super::{Call, Phase};
use crate::cdr::EndedBy;
use crate::registrar::Ghost;
use crate::rooms::{Rooms, Use};

impl Call {
    /// Cancels every branch that is left; each stays until its final response.
    pub(super) fn drop_branches(
        &mut self,
        rooms: &mut Rooms,
        setup: &mut Setup,
        reason: EndReason,
        why: &Why<'_>,
    ) {
        self.drop_line(rooms, setup, 487, reason);
        for branch in std::mem::take(&mut setup.branches) {
            self.drop_branch(rooms, setup, branch, reason, why);
        }
        // A CANCEL is too late for an answer that waits, and nothing else need come of its INVITE.
        for held in setup.take_held() {
            self.branch_response(rooms, held.txn, held.branch, &held.response, held.flow);
        }
    }

    /// An answer waits in the set-up. Another one than that is nobody's: whoever gave it is let go.
    pub(super) fn hold_one_answer(
        &mut self,
        rooms: &mut Rooms,
        mut setup: Box<Setup>,
        place: usize,
        answer: &Answer<'_>,
    ) {
        let answered = setup.branches.get(place).map(|branch| (branch.id, branch.txn));
        let (Some((id, txn)), Some(held)) = (answered, setup.first_held()) else {
            self.phase = Phase::Setup(setup);
            return;
        };
        let (is_beside, same_branch) = (held.is_beside(id, answer.env), held.branch == id);
        if is_beside && !same_branch {
            let branch = setup.branches.remove(place);
            self.drop_branch(rooms, &setup, branch, EndReason::AnsweredElsewhere, &Why::Ours(ELSEWHERE));
        }
        self.phase = Phase::Setup(setup);
        if is_beside {
            self.late_answer(rooms, txn, id, answer);
        }
    }

    /// Cancels one branch, which stays until its final response.
    pub(super) fn drop_branch(
        &mut self,
        rooms: &mut Rooms,
        setup: &Setup,
        mut branch: Branch,
        reason: EndReason,
        why: &Why<'_>,
    ) {
        branch.spent = setup.spent(branch.id);
        self.note_given_up(rooms, &branch, &setup.request, why);
        branch.cancel(rooms, &setup.request, why);
        let by = if reason == EndReason::CallerGone { EndedBy::Caller } else { EndedBy::Server };
        self.leg_missed(rooms, &branch, 487, by, reason);
        self.losers.push(branch);
    }

    pub(super) fn branch_ended(
        &mut self,
        rooms: &mut Rooms,
        branch: &Branch,
        status: u16,
        by: EndedBy,
        reason: EndReason,
    ) {
        if let Some(leg) = branch.place().and_then(|place| self.legs.get_mut(place)) {
            leg.status = status;
        }
        self.leg_missed(rooms, branch, status, by, reason);
    }

    pub(super) fn leg_missed(
        &mut self,
        rooms: &mut Rooms,
        branch: &Branch,
        status: u16,
        by: EndedBy,
        reason: EndReason,
    ) {
        if let Some(place) = branch.place() {
            self.leg_ended(rooms, place, by, reason);
            self.tell(rooms, News::Missed { leg: branch.leg(), status, reason });
        }
    }

    pub(super) fn loser_over(&mut self, id: u8, status: u16) {
        if let Some(place) = self.losers.iter().position(|branch| branch.id == id) {
            let loser = self.losers.swap_remove(place);
            if let Some(leg) = loser.place().and_then(|place| self.legs.get_mut(place)) {
                leg.status = status;
            }
        }
    }

    /// Nothing was heard of a branch that had been given up before: nobody may be there.
    pub(super) fn loser_unanswered(&mut self, rooms: &mut Rooms, id: u8, how: CallFailure) {
        if let Some(loser) = self.losers.iter().find(|branch| branch.id == id) {
            flows::suspect(rooms, &loser.target, Ghost::after(how));
        }
        self.loser_over(id, 408);
    }

    /// A 2xx to an INVITE of a branch that is not being set up: the winner's again, or one nobody wants.
    pub(super) fn late_answer(&mut self, rooms: &mut Rooms, txn: TxnId, id: u8, answer: &Answer<'_>) {
        if self.answered_again(answer.env) {
            return;
        }
        let stranger = self.stranger(id, answer.flow);
        if stranger.hang_up(rooms, txn, answer.message, Use::Stray(self.key)) {
            self.byes += 1;
        }
        self.loser_over(id, 200);
    }

    /// Who gave a late answer, and how he is reached.
    fn stranger(&self, id: u8, flow: Flow) -> Stranger {
        let loser = self.losers.iter().find(|branch| branch.id == id);
        let nat = match (&self.phase, loser) {
            (_, Some(loser)) => loser.target.nat,
            (Phase::Talk(talking), None) => talking.talk.leg(Side::Callee).nat,
            (Phase::Setup(_) | Phase::Ending, None) => true,
        };
        let leg = branch::place(id).and_then(|place| self.legs.get(place)).or(self.legs.first());
        match leg {
            Some(leg) => {
                Stranger { device: leg.device, flow, nat, spent: loser.map_or(0, |loser| loser.spent) }
            }
            None => Stranger::unknown(flow),
        }
    }
}

impl Setup {
    /// The answer that waits, if one does.
    fn first_held(&self) -> Option<&Held> {
        let ready = match &self.caller {
            Caller::Aside(aside) => aside.ready(),
            Caller::Invite(..) | Caller::Leg(..) | Caller::Nobody(_) => None,
        };
        self.held.as_deref().or(ready)
    }

    fn take_held(&mut self) -> impl Iterator<Item = Held> + use<> {
        let ready = match &mut self.caller {
            Caller::Aside(aside) => aside.take_ready(),
            Caller::Invite(..) | Caller::Leg(..) | Caller::Nobody(_) => None,
        };
        self.held.take().map(|held| *held).into_iter().chain(ready)
    }
}
