//! Bounds on every dimension of a message. What exceeds one is refused with a typed error, never truncated.

/// Longest message, start line to last body byte, in bytes: what fits a datagram and a 16-bit offset.
pub const MAX_MESSAGE: usize = 65_535;

/// Header lines that fit a [`Message`](crate::message::Message) without an allocation.
pub const INLINE_HEADERS: usize = 32;

/// Most header lines in one message.
pub const MAX_HEADERS: usize = 256;

/// Longest header, name to the end of its last fold, in bytes.
pub const MAX_HEADER_LINE: usize = 8_192;

/// Longest header name, in bytes; its length is kept in one byte.
pub const MAX_HEADER_NAME: usize = 255;

/// Longest start line without its CRLF, in bytes.
pub const MAX_START_LINE: usize = 4_096;

/// Longest method token, in bytes.
pub const MAX_METHOD: usize = 64;

/// Longest URI, in bytes.
pub const MAX_URI: usize = 2_048;

/// Longest host name, in bytes (RFC 1035 2.3.4).
pub const MAX_HOST: usize = 255;

/// Longest single Via element, in bytes, with what its answerer wrote into it.
pub const MAX_VIA: usize = 1_536;

/// Longest topmost Via element of a request, in bytes: an answer to it stays below [`MAX_VIA`].
pub const MAX_REQUEST_VIA: usize = 1_024;

/// Parameters that an answer may add to the topmost Via (`received`, `rport`) or to To (`tag`): a request leaves room.
pub const ANSWER_PARAMS: usize = 2;

/// Longest Call-ID, in bytes.
pub const MAX_CALL_ID: usize = 512;

/// Longest From- or To-tag, in bytes.
pub const MAX_TAG: usize = 256;

/// Most parameters on one header value or URI.
pub const MAX_PARAMS: usize = 64;

/// Largest CSeq number is one less than this (RFC 3261 8.1.1.5).
pub const CSEQ_BOUND: u32 = 1 << 31;

/// A request over UDP above this size, in bytes, goes by TCP (RFC 3261 18.1.1).
pub const MTU_REQUEST: usize = 1_300;

/// Most bytes a stream may hold back: one message, and what one read may bring behind it.
pub const MAX_STREAM_BUFFER: usize = 2 * MAX_MESSAGE;

/// Most transactions alive at once, unless configured otherwise.
pub const MAX_TRANSACTIONS: usize = 2_000_000;

/// One part in this many of the transaction table is kept for what belongs to running calls.
pub const TRANSACTION_HEADROOM: usize = 16;

/// Most Route or Record-Route values in a dialog.
pub const MAX_ROUTES: usize = 32;

/// Most media of one session description.
pub const MAX_MEDIA: usize = 32;

/// Servers that are looked at of one service (RFC 2782); those of the highest priority numbers beyond it are not.
pub const MAX_SERVERS: usize = 16;

/// Places that one name leads to; further ones are not tried.
pub const MAX_LOCATED: usize = 16;

/// How often the sender of a request with `keep` is told to keep its flow alive, seconds (RFC 6223): over UDP by STUN, well
/// within the 30 s after which NATs forget.
pub const KEEP_DATAGRAM_S: u64 = 25;

/// The same over streams, by CRLF (RFC 5626 4.4.1).
pub const KEEP_STREAM_S: u64 = 110;
