//! Over which connections the parties of a call are reached, or expected to answer.

use super::setup::Caller;
use super::{Call, Phase};

impl Call {
    /// Tells each, some twice; 0 is any connection. What has ended needs none for longer than a transaction lasts.
    pub fn connections(&self, each: &mut dyn FnMut(u64)) {
        match &self.phase {
            Phase::Talk(talking) => talking.talk.legs.iter().for_each(|leg| each(leg.flow.conn)),
            Phase::Setup(setup) => {
                setup.branches.iter().for_each(|branch| each(branch.target.flow.conn));
                match &setup.caller {
                    Caller::Invite(_, flow) => each(flow.conn),
                    Caller::Leg(_, leg) => each(leg.flow.conn),
                    // Those are branches, or have a call of their own.
                    Caller::Nobody(_) | Caller::Aside(_) => {}
                }
            }
            Phase::Ending => {}
        }
    }
}
