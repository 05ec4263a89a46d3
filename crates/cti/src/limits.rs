//! Bounds of a request. What exceeds one is refused with 53 (invalid attribute), naming the attribute; a frame that is
//! too long ends the connection.

/// Longest frame that is read, bytes.
pub const MAX_REQUEST_BYTES: usize = 262_144;
/// Longest DN, number, ConnID or other name, bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// Longest password, bytes.
pub const MAX_PASSWORD_BYTES: usize = 256;
/// Longest key of a pair, bytes.
pub const MAX_KEY_BYTES: usize = 256;
/// Largest list of pairs: bytes of all keys and texts, and 8 for each number and each list within.
pub const MAX_LIST_BYTES: usize = 65_536;
/// Deepest list: a list whose values are texts and numbers has depth 1.
pub const MAX_LIST_DEPTH: usize = 4;
