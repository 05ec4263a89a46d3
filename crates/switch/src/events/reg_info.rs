//! `application/reginfo+xml` (RFC 3680 5): the contacts of an Extension. A refresh alone is not told.

use super::xml;
use crate::registrar::Binding;

/// A contact that a watcher was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Names it within the subscription.
    pub id: u64,
    /// Contact URI.
    pub uri: Box<[u8]>,
    /// Preference in thousandths of `q`.
    pub q: u16,
    /// When it ends by itself, ms since the Unix epoch; when it ended before that, it was unregistered.
    pub until_unix_ms: u64,
}

impl Contact {
    /// A binding as it is told.
    #[must_use]
    pub fn of(id: u64, binding: &Binding) -> Self {
        let until_unix_ms = binding.expires().unix_ms();
        Self { id, uri: binding.uri().into(), q: binding.q(), until_unix_ms }
    }

    /// Whether it is the same but for its time.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (self.id, &self.uri, self.q) == (other.id, &other.uri, other.q)
    }
}

/// Prints a full document: contacts that are, and those of `told` that are no more.
#[must_use]
pub fn print(version: u32, aor: &[u8], told: &[Contact], now: &[(Contact, u64)], unix_ms: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\"",
    );
    xml::attribute(&mut out, "version", version.to_string().as_bytes());
    out.extend_from_slice(b" state=\"full\">\r\n<registration");
    xml::attribute(&mut out, "aor", aor);
    let state = match (now.is_empty(), told.is_empty()) {
        (false, _) => "active",
        (true, false) => "terminated",
        (true, true) => "init",
    };
    xml::attribute(&mut out, "id", b"a");
    xml::attribute(&mut out, "state", state.as_bytes());
    out.extend_from_slice(b">\r\n");
    for (is, since_unix_ms) in now {
        let known = told.iter().any(|old| old.id == is.id);
        contact(&mut out, is, ("active", if known { "refreshed" } else { "registered" }), |out| {
            let left = is.until_unix_ms.saturating_sub(unix_ms) / 1000;
            let lasts = unix_ms.saturating_sub(*since_unix_ms) / 1000;
            xml::attribute(out, "expires", left.to_string().as_bytes());
            xml::attribute(out, "duration-registered", lasts.to_string().as_bytes());
        });
    }
    for old in told.iter().filter(|old| !now.iter().any(|(is, _)| is.id == old.id)) {
        let why = if old.until_unix_ms <= unix_ms { "expired" } else { "unregistered" };
        contact(&mut out, old, ("terminated", why), |_| {});
    }
    out.extend_from_slice(b"</registration>\r\n</reginfo>\r\n");
    out
}

fn contact(out: &mut Vec<u8>, is: &Contact, (state, event): (&str, &str), more: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"<contact");
    xml::attribute(out, "id", is.id.to_string().as_bytes());
    xml::attribute(out, "state", state.as_bytes());
    xml::attribute(out, "event", event.as_bytes());
    xml::attribute(out, "q", format!("{}.{:03}", is.q / 1000, is.q % 1000).as_bytes());
    more(out);
    out.extend_from_slice(b"><uri>");
    xml::text(out, &is.uri);
    out.extend_from_slice(b"</uri></contact>\r\n");
}
