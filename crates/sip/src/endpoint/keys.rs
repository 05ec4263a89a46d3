//! What makes two requests belong to one server transaction (RFC 3261 17.2.3, and 8.2.2.2 for merged ones).

use std::hash::{DefaultHasher, Hasher};

use crate::flow::{Flow, Transport};
use crate::host::Host;
use crate::message::{Envelope, Message};
use crate::start_line::Method;
use crate::{lexer, limits};

/// A hash that nobody outside can steer: the seed goes in first.
#[derive(Clone, Debug)]
pub(super) struct Keyed {
    seeded: DefaultHasher,
}

impl Keyed {
    pub(super) fn new(seed: u64) -> Self {
        let mut seeded = DefaultHasher::new();
        seeded.write_u64(seed);
        Keyed { seeded }
    }

    pub(super) fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = self.seeded.clone();
        hasher.write(bytes);
        hasher.finish()
    }

    pub(super) fn hash_id(&self, slot: u32, generation: u32) -> u64 {
        let mut hasher = self.seeded.clone();
        hasher.write_u64(u64::from(slot) << 32 | u64::from(generation));
        hasher.finish()
    }

    pub(super) fn hash_flow(&self, flow: &Flow) -> u64 {
        let mut hasher = self.seeded.clone();
        std::hash::Hash::hash(flow, &mut hasher);
        hasher.finish()
    }
}

/// The keys of a request, in one buffer: the transaction's, then the one that merged requests share.
#[derive(Debug, Default)]
pub(super) struct RequestKeys {
    bytes: Vec<u8>,
    transaction: usize,
    /// Without the magic cookie: matched as RFC 2543 does.
    pub(super) is_rfc2543: bool,
}

impl RequestKeys {
    /// Computes the keys of `message`, into the same buffer each time. `method` is INVITE for an ACK and for what a
    /// CANCEL is about.
    pub(super) fn set(&mut self, message: &Message, envelope: &Envelope<'_>, method: &[u8]) {
        self.bytes.clear();
        self.is_rfc2543 = !envelope.via.is_magic_cookie();
        if self.is_rfc2543 {
            self.by_headers(message, envelope, method);
        } else {
            self.by_branch(envelope, method);
        }
        self.transaction = self.bytes.len();
        if envelope.to_tag.is_none() && !matches!(envelope.cseq.method, Method::Ack | Method::Cancel) {
            self.field(b"merged");
            self.field(envelope.from_tag.unwrap_or_default());
            self.field(envelope.call_id);
            self.bytes.extend_from_slice(&envelope.cseq.number.to_be_bytes());
            self.field(method);
        }
    }

    /// The branch is compared byte by byte: it is a token, but deployed elements tell their branches apart by case,
    /// and none changes the case of one.
    fn by_branch(&mut self, envelope: &Envelope<'_>, method: &[u8]) {
        let via = &envelope.via;
        self.field(via.branch().unwrap_or_default());
        match via.host {
            Host::V4(address) => self.host(b'4', address.octets()),
            Host::V6(address) => self.host(b'6', address.octets()),
            Host::Name(name) => self.host(b'n', name.iter().map(u8::to_ascii_lowercase)),
        }
        let port = via.port.unwrap_or_else(|| via.transport.unwrap_or(Transport::Udp).default_port());
        self.bytes.extend_from_slice(&port.to_be_bytes());
        self.field(method);
    }

    /// Elements of RFC 2543 have no unique branch: the Request-URI, From-tag, Call-ID, CSeq and Via tell. The To-tag
    /// stays out, because the ACK of a refusal carries the one that we gave.
    fn by_headers(&mut self, message: &Message, envelope: &Envelope<'_>, method: &[u8]) {
        self.field(b"rfc2543");
        self.field(message.request_uri().unwrap_or_default());
        self.field(envelope.from_tag.unwrap_or_default());
        self.field(envelope.call_id);
        self.bytes.extend_from_slice(&envelope.cseq.number.to_be_bytes());
        self.field(method);
        let via = message.header(crate::header_name::HeaderName::Via).unwrap_or_default();
        self.field(lexer::trim(lexer::split_element(via).0));
    }

    /// The kind comes first, because the bytes of an address may spell a name.
    fn host(&mut self, kind: u8, bytes: impl IntoIterator<Item = u8>) {
        self.bytes.push(kind);
        self.bytes.extend(bytes);
        self.bytes.push(0);
    }

    fn field(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.bytes.push(0);
    }

    /// The key of the transaction.
    pub(super) fn transaction(&self) -> &[u8] {
        self.bytes.get(..self.transaction).unwrap_or_default()
    }

    /// The key that merged requests share; empty if this request cannot be merged.
    pub(super) fn merged(&self) -> &[u8] {
        self.bytes.get(self.transaction..).unwrap_or_default()
    }

    /// A copy to keep.
    pub(super) fn stored(&self) -> StoredKeys {
        let transaction = u16::try_from(self.transaction).unwrap_or(u16::MAX);
        StoredKeys { bytes: self.bytes.as_slice().into(), transaction }
    }
}

// The longest key holds a Request-URI, a Call-ID, tags, a method and a Via.
const _: () = assert!(
    limits::MAX_START_LINE
        + 2 * limits::MAX_TAG
        + limits::MAX_CALL_ID
        + 2 * limits::MAX_METHOD
        + limits::MAX_HEADER_LINE
        < u16::MAX as usize
);

/// The keys of a server transaction.
#[derive(Debug)]
pub(super) struct StoredKeys {
    bytes: Box<[u8]>,
    transaction: u16,
}

impl StoredKeys {
    pub(super) fn transaction(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.transaction)).unwrap_or_default()
    }

    pub(super) fn merged(&self) -> &[u8] {
        self.bytes.get(usize::from(self.transaction)..).unwrap_or_default()
    }
}
