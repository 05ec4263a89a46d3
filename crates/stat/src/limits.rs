//! Bounds of the model: what happens when one is reached stands beside each number.

/// DNs of all sites together; what happens at a further one is not counted, but in `untracked`.
pub const MAX_STATIONS: usize = 200_000;
/// Calls at one DN; a further one is not followed.
pub const MAX_LEGS: usize = 64;
/// Calls at all queues together; a further one is not followed.
pub const MAX_QUEUED: usize = 200_000;
/// Objects with counts; a further agent is shown without.
pub const MAX_OBJECTS: usize = 200_000;
/// Agents that nobody configured and that are remembered after their logout.
pub const MAX_AGENTS: usize = 100_000;
/// Longest window of time, minutes.
pub const WINDOW_MIN: u64 = 60;
/// Answered calls from which the average handling time of the estimated wait is made.
pub const RECENT_CALLS: usize = 20;
/// A call that left its queue towards an agent, rings nowhere and did not come back for so long by the site's own
/// clock is counted as lost from view.
pub const UNSEEN_MS: u64 = 30_000;
/// Longest reason kept of an agent's state, characters; the rest is cut.
pub const MAX_REASON: usize = 128;
