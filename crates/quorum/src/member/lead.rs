//! What a leader does beside what the engine does.

use super::Member;
use crate::roster::Kind;

impl Member {
    pub(super) fn lead(&mut self) {
        // The first round of a lease begins as soon as the leader's own entry is agreed on.
        if self.engine.raft.commit_to_current_term() && !self.rounds.has_begun() && !self.is_sole_voter() {
            self.beat();
        }
        if self.settings.kind == Kind::Witness || self.has_lost_its_vote() {
            self.hand_over_to_a_server();
        } else {
            self.switch_progress();
        }
        self.settle_votes();
        self.want_snapshot();
    }

    /// A leader that completes a change in which it loses its vote leads on, in the engine, until it is relieved. It must not
    /// serve: whoever votes alone now asks nobody, and may have been started again, without a memory of this leader.
    pub(super) fn has_lost_its_vote(&self) -> bool {
        !self.votes.is_joint() && !self.votes.voters.contains(&self.id())
    }

    /// A witness leads only because it alone has the end of the log. Once a server has it too, that one leads.
    fn hand_over_to_a_server(&mut self) {
        let raft = &self.engine.raft;
        if raft.lead_transferee.is_some() {
            return;
        }
        let last = self.last();
        let server = self.votes.voters.iter().copied().find(|id| {
            let has_all = raft
                .prs()
                .get(*id)
                .is_some_and(|progress| progress.matched == last && progress.recent_active);
            self.roster.is_server(*id) && has_all
        });
        if let Some(id) = server {
            self.engine.transfer_leader(id);
        }
    }
}
