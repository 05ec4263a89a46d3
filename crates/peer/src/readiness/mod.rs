//! If this site died now, or the peer's, what would be lost?
//!
//! [`assess`] compares what two sites say of themselves at one moment. It decides nothing: no rule of
//! [`continuity`](crate::continuity) reads what is said here.

mod assess;
mod facts;
mod objects;
mod pair;
mod phones;
mod report;
#[cfg(test)]
mod tests;

pub use assess::{NotAsked, assess};
pub use facts::{Agent, CLOCKS_APART_MS, Calls, Extension, Facts, Goals, OptionsNow, Place, TrunkNow};
pub use report::{Lost, MAX_EXAMPLES, Outlook, Reason, Report, Severity, Ways};
