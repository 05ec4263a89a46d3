//! `application/dialog-info+xml` (RFC 4235 4): the calls of an Extension.

use std::sync::Arc;

use super::xml;
use crate::call::DialogNames;

/// Where a call stands, as a lamp shows it (RFC 4235 3.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The Extension calls, and nobody rings yet.
    Trying,
    /// It rings.
    Early,
    /// It is answered.
    Confirmed,
    /// It is over.
    Terminated,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Trying => "trying",
            Self::Early => "early",
            Self::Confirmed => "confirmed",
            Self::Terminated => "terminated",
        }
    }
}

/// One call of an Extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lamp {
    /// Names it within the subscription: its ConnID.
    pub id: u64,
    /// The Extension called.
    pub initiator: bool,
    /// Where it stands.
    pub state: State,
    /// The Extension has the call on hold.
    pub held: bool,
    /// The other party; `None` when there is none, or several.
    pub remote: Option<Remote>,
    /// Its dialog with this server.
    pub dialog: Option<DialogNames>,
}

/// The other party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// Its number.
    Number(Arc<str>),
    /// It asked not to be named (RFC 3323).
    Hidden,
}

/// A document in the making.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// Counts the documents of one subscription, from 0.
    pub version: u32,
    /// All calls, or only those that changed.
    pub full: bool,
    /// The URI that was subscribed to.
    pub entity: &'a [u8],
    /// The Extension's number.
    pub number: &'a str,
    /// Host, with port, of identities.
    pub host: &'a str,
}

impl Document<'_> {
    /// Prints it.
    #[must_use]
    pub fn print(&self, lamps: &[Lamp]) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + 512 * lamps.len());
        out.extend_from_slice(
            b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
              <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\"",
        );
        xml::attribute(&mut out, "version", self.version.to_string().as_bytes());
        xml::attribute(&mut out, "state", if self.full { b"full" } else { b"partial" });
        xml::attribute(&mut out, "entity", self.entity);
        out.extend_from_slice(b">\r\n");
        for lamp in lamps {
            self.lamp(&mut out, lamp);
        }
        out.extend_from_slice(b"</dialog-info>\r\n");
        out
    }

    fn lamp(&self, out: &mut Vec<u8>, lamp: &Lamp) {
        out.extend_from_slice(b"<dialog");
        xml::attribute(out, "id", format!("{:016x}", lamp.id).as_bytes());
        if let Some(dialog) = &lamp.dialog {
            xml::attribute(out, "call-id", &dialog.call_id);
            xml::attribute(out, "local-tag", &dialog.local_tag);
            if let Some(tag) = &dialog.remote_tag {
                xml::attribute(out, "remote-tag", tag);
            }
        }
        xml::attribute(out, "direction", if lamp.initiator { b"initiator" } else { b"recipient" });
        out.extend_from_slice(b"><state>");
        out.extend_from_slice(lamp.state.as_str().as_bytes());
        out.extend_from_slice(b"</state>");
        if lamp.state != State::Terminated {
            let local = format!("sip:{}@{}", self.number, self.host);
            // RFC 4235 4.1.6.2: a party that renders nothing has the other one on hold.
            let rendering: Option<&[u8]> =
                (lamp.state == State::Confirmed).then_some(if lamp.held { b"no" } else { b"yes" });
            party(out, "local", None, [local.as_bytes(); 2], rendering);
            match &lamp.remote {
                Some(Remote::Number(number)) => {
                    let uri = format!("sip:{number}@{}", self.host);
                    party(out, "remote", None, [uri.as_bytes(); 2], None);
                }
                Some(Remote::Hidden) => {
                    // Who takes the call from the lamp calls the target, which must lead here.
                    let target = format!("sip:anonymous@{}", self.host);
                    let uris = [&b"sip:anonymous@anonymous.invalid"[..], target.as_bytes()];
                    party(out, "remote", Some("Anonymous"), uris, None);
                }
                None => {}
            }
        }
        out.extend_from_slice(b"</dialog>\r\n");
    }
}

fn party(
    out: &mut Vec<u8>,
    side: &str,
    display: Option<&str>,
    [identity, target]: [&[u8]; 2],
    rendering: Option<&[u8]>,
) {
    out.extend_from_slice(format!("<{side}><identity").as_bytes());
    if let Some(display) = display {
        xml::attribute(out, "display", display.as_bytes());
    }
    out.push(b'>');
    xml::text(out, identity);
    out.extend_from_slice(b"</identity><target");
    xml::attribute(out, "uri", target);
    match rendering {
        Some(value) => {
            out.extend_from_slice(b"><param pname=\"+sip.rendering\"");
            xml::attribute(out, "pval", value);
            out.extend_from_slice(b"/></target>");
        }
        None => out.extend_from_slice(b"/>"),
    }
    out.extend_from_slice(format!("</{side}>").as_bytes());
}

/// What changed between what a watcher was told and what is: calls that are over come as terminated.
#[must_use]
pub fn changes(told: &[Lamp], now: &[Lamp]) -> Vec<Lamp> {
    let over = told.iter().filter(|old| !now.iter().any(|lamp| lamp.id == old.id));
    let over = over.map(|old| Lamp { state: State::Terminated, held: false, remote: None, ..old.clone() });
    over.chain(now.iter().filter(|lamp| !told.contains(lamp)).cloned()).collect()
}
