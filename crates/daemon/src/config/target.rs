//! Numbers that calls are sent to by an option: they must lead somewhere.

use super::fault::At;

/// A number that an option sends calls to.
#[derive(Clone, Debug)]
pub struct Target {
    /// The option.
    pub key: &'static str,
    /// The number.
    pub number: String,
    /// Where it stands.
    pub at: At,
}
