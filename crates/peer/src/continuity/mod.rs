//! Business continuity between two sites, as each server sees it alone.
//!
//! Nothing is shared with the peer but ordinary SIP over the inter-site trunk. Everything here is computed from local
//! facts, which is why a cut link cannot split anything: both sites then simply run as two unpeered servers.

mod agents;
mod decision;
mod fallback;
mod mode;
mod redirects;

pub use agents::{DR_FORCE_LOGOUT, LoginRefused, forced_logout_applies, login_admission};
pub use decision::{CallKind, Decision, Facts, How, Originator, Rule, Verdict, decide};
pub use fallback::{InPathOutcome, fallback_allowed};
pub use mode::{DrForward, Mode, PeerTrunk};
pub use redirects::RedirectMemory;
