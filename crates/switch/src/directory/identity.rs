//! Who is told what of a caller, by Trunk.

/// What a Trunk is told, and believed, of who calls (RFC 3325).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkIdentity {
    /// `trusted`: the far end belongs to the same trust domain.
    pub trusted: bool,
}
