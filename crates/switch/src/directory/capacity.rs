//! How many calls a Trunk DN carries (`capacity` and its fellows). Calls for help are never held against it.

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrunkCapacity {
    /// `capacity`: calls over it at once, of both directions; 0 is as many as come.
    pub calls: u32,
    /// `capacity-limit-inbound`: a call that comes in beyond these limits is refused, too.
    pub limit_inbound: bool,
    /// `max-calls-per-second`: new calls a second, of both directions; 0 is as many as come.
    pub per_second: u32,
}

impl Default for TrunkCapacity {
    fn default() -> Self {
        Self { calls: 0, limit_inbound: true, per_second: 0 }
    }
}
