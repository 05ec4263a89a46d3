//! Bounds of the switch: what happens when a table is full stands beside each number.

/// Calls at once; a further INVITE gets 503 with Retry-After.
pub const MAX_CALLS: usize = 100_000;
/// Contacts to which one call is forked; further contacts of the DN are not tried.
pub const MAX_BRANCHES: usize = 16;
/// Early dialogs of one call; a provisional response that would open one more is not passed on.
pub const MAX_PAIRS: usize = 16;
/// Places one call is tried in turn (trunks of a rule, then local delivery).
pub const MAX_STAGES: usize = 8;
/// In-dialog requests of one call that wait for their answer at once; a further one gets 503 with Retry-After.
pub const MAX_PENDING: usize = 16;
/// Contacts per address of record unless the DN says otherwise; a REGISTER that would exceed it gets 403.
pub const MAX_CONTACTS: usize = 10;
/// Calls whose decisions are kept after they end, for `tandem why`; the oldest are forgotten.
pub const MAX_EXPLAINED: usize = 100_000;
/// Steps kept of one call's decisions; later ones are counted only.
pub const MAX_STEPS: usize = 64;
/// Outputs that may wait for one commit; beyond it new requests get 503 with Retry-After.
pub const MAX_HELD_OUTPUTS: usize = 262_144;
/// ACKs kept for repeated 2xx; the oldest beyond it is forgotten.
pub const MAX_KEPT_ACKS: usize = 400_000;
/// Legs of a lost peer trunk that are audited in one second.
pub const AUDITS_PER_SECOND: u32 = 100;
/// Seconds named in Retry-After when a table is full.
pub const RETRY_AFTER_S: u32 = 5;
/// DNs whose expired bindings are removed in one turn; the others follow in the next, so that calls are not held up.
pub const MAX_EXPIRED_AT_ONCE: usize = 1_000;
/// Longest contact URI with its parameters that a REGISTER may bring, bytes; a longer one gets 400.
pub const MAX_CONTACT_BYTES: usize = 1_024;
/// Granted for an `expires` that is no number, seconds (RFC 3261 20.10); `max-expires` still applies.
pub const MALFORMED_EXPIRES_S: u32 = 3_600;
/// How long a nonce of digest authentication is good, ms; an older one is answered with `stale=true`.
pub const NONCE_LIFETIME_MS: u64 = 300_000;
/// Used nonces whose counts are remembered; when there are more the oldest is forgotten, and stale.
pub const MAX_NONCES: usize = 262_144;
