//! Addresses that lead to one phone and no other (RFC 5627).
//!
//! A phone that names its instance and asks for it is told two with its 200: a public one, its address of record with
//! the instance in `gr`, and a temporary one that tells nobody who it is. Nothing is remembered: a temporary address is a
//! sealed text of the number, of when it was made, and of a mark of number, instance and Call-ID. It holds while the
//! phone refreshes its registration with that Call-ID, as the standard demands, and ends with it.

use tandem_sip::Uri;
use tandem_sip::seal::Seal;

use crate::call::Target;
use crate::registrar::{Binding, Registrar};

/// What the user part of a temporary address begins with.
const TEMPORARY: &[u8] = b"tgruu.";
/// Bytes in front of the number in a sealed text: when it was made, and the mark.
const HEAD: usize = 16;

/// Makes and reads them.
#[derive(Debug)]
pub struct Gruus {
    seal: Seal,
}

/// Which contacts of a DN an address means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Only {
    /// Those of this instance.
    Instance(Vec<u8>),
    /// Those whose number, instance and Call-ID have this mark.
    Mark([u8; 8]),
}

impl Gruus {
    /// `secret` makes the temporary ones: servers that share it read each other's.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { seal: Seal::new(secret, b"temporary gruu") }
    }

    /// Contact parameters that tell a phone its addresses (RFC 5627 5.3). `aor` is the address of record as the phone
    /// writes it.
    #[must_use]
    pub fn params(&self, aor: &Uri<'_>, binding: &Binding) -> Vec<u8> {
        let Some(instance) = binding.instance() else { return Vec::new() };
        let host = host_of(aor.raw());
        let mut out = b";pub-gruu=\"sip:".to_vec();
        out.extend_from_slice(aor.user().unwrap_or_default());
        out.push(b'@');
        out.extend_from_slice(host);
        out.extend_from_slice(b";gr=");
        escape_into(&mut out, bare(instance));
        out.push(b'"');
        let mut text = binding.updated_unix_ms().to_be_bytes().to_vec();
        text.extend_from_slice(&self.mark(binding));
        text.extend_from_slice(binding.number());
        if let Some(token) = self.seal.seal(&text) {
            let parts: [&[u8]; 6] = [b";temp-gruu=\"sip:", TEMPORARY, &token, b"@", host, b";gr\""];
            parts.into_iter().for_each(|part| out.extend_from_slice(part));
        }
        out
    }

    /// The number that a temporary address stands for.
    #[must_use]
    pub fn number(&self, uri: &Uri<'_>) -> Option<Vec<u8>> {
        Some(self.open(uri)?.get(HEAD..)?.to_vec())
    }

    /// Which contacts an address means; `None`: all of its DN.
    #[must_use]
    pub fn only(&self, uri: &Uri<'_>) -> Option<Only> {
        match uri.params.get(b"gr")? {
            Some(value) => Some(Only::Instance(tandem_sip::uri::unescape(value).into_owned())),
            None => {
                let mark = self.open(uri)?.get(8..HEAD)?.try_into().ok()?;
                Some(Only::Mark(mark))
            }
        }
    }

    /// Leaves of the targets of a DN those that are meant.
    pub fn narrow(&self, registrar: &Registrar, only: &Only, targets: &mut smallvec::SmallVec<[Target; 2]>) {
        targets.retain(|target| {
            let bound = target.contact.as_ref();
            let binding = bound.and_then(|bound| registrar.binding(bound.dn, bound.record));
            binding.is_some_and(|binding| self.means(only, binding))
        });
    }

    fn means(&self, only: &Only, binding: &Binding) -> bool {
        let Some(instance) = binding.instance() else { return false };
        match only {
            Only::Instance(wanted) => bare(instance) == wanted,
            Only::Mark(mark) => self.mark(binding) == *mark,
        }
    }

    fn mark(&self, binding: &Binding) -> [u8; 8] {
        let instance = binding.instance().unwrap_or_default();
        self.seal.mark(&[binding.number(), instance, binding.call_id()])
    }

    fn open(&self, uri: &Uri<'_>) -> Option<Vec<u8>> {
        if uri.params.get(b"gr")?.is_some() {
            return None;
        }
        self.seal.open(uri.user()?.strip_prefix(TEMPORARY)?)
    }
}

/// The instance without its angle brackets.
fn bare(instance: &[u8]) -> &[u8] {
    instance.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">")).unwrap_or(instance)
}

/// Host and port of a URI as they are written.
fn host_of(uri: &[u8]) -> &[u8] {
    let rest = memchr_after(uri, b':');
    let rest = if rest.contains(&b'@') { memchr_after(rest, b'@') } else { rest };
    let end = rest.iter().position(|byte| matches!(byte, b';' | b'?')).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

fn memchr_after(text: &[u8], byte: u8) -> &[u8] {
    text.iter().position(|b| *b == byte).and_then(|at| text.get(at + 1..)).unwrap_or(text)
}

/// What may not stand in a URI parameter is percent-encoded (RFC 3261 25.1).
fn escape_into(out: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/:&+$".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}
