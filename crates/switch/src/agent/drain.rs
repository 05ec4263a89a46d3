//! What a graceful shutdown does with an agent.

use tandem_cti::{AgentState, WorkMode};

use super::word::View;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Log him out now, with `graceful_shutdown_logout`.
    LogOut,
    /// Ask again when his call or his after-call work is over.
    Wait,
}

/// Whether a draining server lets an agent go now: not during a call, and not in after-call work that will end by
/// itself. Untimed after-call work would never end, so it is no reason to wait.
#[must_use]
pub fn drained(view: &View) -> Drained {
    let wraps_up = view.state == AgentState::NotReady
        && view.work_mode == WorkMode::AfterCallWork
        && view.until.is_some();
    if view.calls > 0 || wraps_up { Drained::Wait } else { Drained::LogOut }
}
