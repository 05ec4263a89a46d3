//! What passes from one leg to the other and what stays: everything does, unless it belongs to the hop or the dialog
//! (RFC 7092 section 3: a signalling-only B2BUA).

use tandem_sip::{Builder, Header, HeaderName, Message, NameAddr, Uri};

use super::hide::{Hosts, hide, hosts_of, names_somebody};
use super::passage::Passage;
use super::reliable::RELIABLE;

/// Option tags whose meaning survives two dialogs: the parties agree on them end to end.
const END_TO_END: [&[u8]; 8] = [
    b"100rel",
    b"histinfo",
    b"privacy",
    b"early-session",
    b"uui",
    b"answermode",
    b"resource-priority",
    b"precondition",
];

/// Option tags that this server itself honours: calls are joined and left within it (RFC 3891, RFC 4488).
pub const OWN: &[u8] = b"replaces, norefersub";

/// The same and what this server does itself, leg by leg, as it tells of itself.
pub const SUPPORTED: &[u8] =
    b"100rel, timer, histinfo, privacy, early-session, uui, answermode, resource-priority, precondition, replaces, norefersub";

/// URI parameter of a 302's Contact that marks the call as forwarded once (loop guard b).
pub const MARKER_PARAM: &[u8] = b"x-tandem-forwarded";

/// Whether a header belongs to one hop or one dialog, or is written anew by this server.
fn stays(name: HeaderName) -> bool {
    matches!(
        name,
        HeaderName::Via
            | HeaderName::From
            | HeaderName::To
            | HeaderName::CallId
            | HeaderName::CSeq
            | HeaderName::Contact
            | HeaderName::MaxForwards
            | HeaderName::ContentLength
            | HeaderName::Route
            | HeaderName::RecordRoute
            | HeaderName::Authorization
            | HeaderName::ProxyAuthorization
            | HeaderName::WwwAuthenticate
            | HeaderName::ProxyAuthenticate
            | HeaderName::Allow
            | HeaderName::Supported
            | HeaderName::Require
            | HeaderName::ProxyRequire
            | HeaderName::UserAgent
            | HeaderName::Server
            | HeaderName::Path
            | HeaderName::RAck
            | HeaderName::RSeq
            | HeaderName::Replaces
            | HeaderName::Timestamp
            | HeaderName::SessionExpires
            | HeaderName::MinSe
            | HeaderName::XTandemForwarded
            | HeaderName::XTandemDraining
    )
}

/// Headers of one hop, or between sites, that are known by their names only.
const OTHERS_THAT_STAY: [&[u8]; 4] = [
    b"Authentication-Info",
    b"Proxy-Authentication-Info",
    super::carried::USER_DATA,
    super::carried::CONN_ID,
];

/// Passes the headers of `message` on, into a request or response of the other leg. `ours` takes the place of the
/// sender's own addresses in headers that name somebody; `passage` says what passes between the two.
pub fn relay(builder: &mut Builder<'_>, message: &Message, ours: &[u8], passage: &Passage) {
    let mut hosts: Option<Hosts> = None;
    for header in message.headers() {
        if stays(header.name) || is_other_that_stays(&header) || !passage.admits(&header) {
            continue;
        }
        if names_somebody(&header) {
            let hosts = hosts.get_or_insert_with(|| hosts_of(message));
            builder.raw_header(header.name_token, &hide(header.value, hosts, ours));
        } else {
            builder.copy_line(&header);
        }
    }
    if !passage.session_ids.is_nil() && message.header(HeaderName::SessionId).is_none() {
        passage.session_ids.print(builder);
    }
    option_tags(builder, message, HeaderName::Supported);
    option_tags(builder, message, HeaderName::Require);
    if message.code() == Some(405) {
        // The method is one that this server passes on: what is allowed is for the far end to say.
        builder.copy(message, HeaderName::Allow);
    }
}

fn is_other_that_stays(header: &Header<'_>) -> bool {
    header.name == HeaderName::Other
        && OTHERS_THAT_STAY.iter().any(|name| header.name_token.eq_ignore_ascii_case(name))
}

/// That a response is reliable is said by who passes it on, with the number (RFC 3262).
fn option_tags(builder: &mut Builder<'_>, message: &Message, name: HeaderName) {
    let numbered = name == HeaderName::Require && message.code().is_some();
    for tag in message.values(name) {
        if is_end_to_end(tag) && !(numbered && tag.eq_ignore_ascii_case(RELIABLE)) {
            builder.header(name, tag);
        }
    }
}

fn is_end_to_end(tag: &[u8]) -> bool {
    END_TO_END.iter().any(|known| known.eq_ignore_ascii_case(tag))
}

fn is_own(tag: &[u8]) -> bool {
    OWN.split(|byte| *byte == b',').any(|own| own.trim_ascii().eq_ignore_ascii_case(tag))
}

/// Option tags in `Require` that this server can neither do nor pass on, joined for `Unsupported` (RFC 3261 8.2.2.3).
#[must_use]
pub fn unsupported(message: &Message) -> Option<Vec<u8>> {
    unsupported_beside(message, &[])
}

/// The same of a request for which this server can do more.
#[must_use]
pub fn unsupported_beside(message: &Message, also: &[&[u8]]) -> Option<Vec<u8>> {
    let known = |tag: &[u8]| {
        is_end_to_end(tag)
            || is_own(tag)
            || tag.eq_ignore_ascii_case(b"timer")
            || also.iter().any(|also| also.eq_ignore_ascii_case(tag))
    };
    let mut joined: Vec<u8> = Vec::new();
    for tag in message.values(HeaderName::Require).filter(|tag| !known(tag)) {
        if !joined.is_empty() {
            joined.extend_from_slice(b", ");
        }
        joined.extend_from_slice(tag);
    }
    (!joined.is_empty()).then_some(joined)
}

/// Says that a provisional response is reliable, and its number.
pub fn print_number(builder: &mut Builder<'_>, number: Option<u32>) {
    if let Some(number) = number {
        builder.header(HeaderName::Require, RELIABLE).number(HeaderName::RSeq, number.into());
    }
}

/// Whether a request carries the mark of a call that was forwarded once (loop guard b).
#[must_use]
pub fn has_marker(message: &Message) -> bool {
    if message.header(HeaderName::XTandemForwarded).is_some() {
        return true;
    }
    let uri = message.request_uri().and_then(|uri| Uri::parse(uri).ok());
    uri.is_some_and(|uri| uri.params.get(MARKER_PARAM).is_some())
}

/// Prints the From of the callee's leg: display name and user are the caller's, the host is this server's, so that
/// the caller's own address stays hidden; `anonymous@anonymous.invalid` and tel URIs pass as they are.
pub fn print_from(builder: &mut Builder<'_>, from: &NameAddr<'_>, host: &[u8], tag: &[u8]) {
    let uri = from.uri().ok();
    let hidden = uri.as_ref().and_then(|uri| uri.host_is_hideable().then_some(uri.user()).flatten());
    let space: &[u8] = if from.display.is_empty() { b"" } else { b" " };
    match hidden {
        Some(user) => {
            let parts: [&[u8]; 8] = [from.display, space, b"<sip:", user, b"@", host, b">;tag=", tag];
            builder.parts(HeaderName::From, &parts);
        }
        None => {
            builder.parts(HeaderName::From, &[from.display, space, b"<", from.uri, b">;tag=", tag]);
        }
    }
}

/// Whether a URI's host may be replaced by ours.
trait Hideable {
    fn host_is_hideable(&self) -> bool;
}

impl Hideable for Uri<'_> {
    fn host_is_hideable(&self) -> bool {
        match self.scheme {
            tandem_sip::Scheme::Sip | tandem_sip::Scheme::Sips => match self.host {
                tandem_sip::Host::Name(name) => !name.eq_ignore_ascii_case(b"anonymous.invalid"),
                tandem_sip::Host::V4(_) | tandem_sip::Host::V6(_) => true,
            },
            tandem_sip::Scheme::Tel | tandem_sip::Scheme::Other => false,
        }
    }
}
