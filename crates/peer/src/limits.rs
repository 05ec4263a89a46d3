//! Every bound of this crate, by name.

use std::time::Duration;

/// Largest `oos-check`, seconds between two probes.
pub const OOS_CHECK_MAX_S: u16 = 300;

/// Largest `oos-force`, seconds that a silent device is tolerated. Timer F of the probe's own transaction is 32 s
/// (RFC 3261 section 17.1.2.2); beyond it nobody would be listening for the answer.
pub const OOS_FORCE_MAX_S: u16 = 32;

/// Usual `oos-refused-force` of the peer trunk, seconds: the host of a process that died refuses for it, and its backup is
/// there within a second.
pub const REFUSED_FORCE_OF_PEER_S: u16 = 3;

/// Largest Max-Forwards of a probe (RFC 3261 section 8.1.1.6).
pub const OPTIONS_MAX_FORWARDS_MAX: u8 = 70;

/// Shortest time between two probes of one device, however many calls to it fail.
pub const PROBE_SPACING: Duration = Duration::from_secs(1);

/// How long a redirection to the peer is remembered, so that the same call coming back is not redirected again.
pub const REDIRECT_MEMORY: Duration = Duration::from_secs(10);

/// Redirections remembered at once; beyond it the oldest is forgotten. 1,600 redirections a second fill it.
pub const REDIRECTS_MAX: usize = 16_384;

/// Most legs audited in one second when a configuration asks for more.
pub const AUDITS_PER_SECOND_MAX: u32 = 1_000;

/// How soon a leg is asked again when its audit could not be delivered.
pub const AUDIT_RETRY: Duration = Duration::from_secs(4);

/// Longest `dr-recovery-delay`, seconds.
pub const RECOVERY_DELAY_MAX_S: u64 = 3_600;

/// How long after its start a server logs out nobody because his phone is not there yet: the phones' registrations are
/// not known to a server that has just begun, and one that was granted the usual time refreshes within it.
pub const FORCED_LOGOUT_GRACE: Duration = Duration::from_secs(300);

/// Deleted records whose stamp is remembered, so that a late older copy does not bring one back.
pub const TOMBSTONES_MAX: usize = 65_536;
