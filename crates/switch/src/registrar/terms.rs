//! What a REGISTER says beside its contacts: the proxies it came through (RFC 3327), and whether its flows are managed
//! (RFC 5626 6).

use tandem_sip::{HeaderName, Message, NameAddr, Uri};

use super::contact::Contact;
use crate::directory::{PathMode, Registration};
use crate::limits::{MAX_PATH, MAX_PATH_BYTES};
use crate::reject::Reject;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Terms<'a> {
    /// The values of Path as one Route header has them; empty if there are none.
    pub path: Vec<u8>,
    /// The proxy that requests to the contacts go to first.
    pub first: Option<Uri<'a>>,
    /// Contacts with `reg-id` are flows: replaced by their number, and lost with their flow.
    pub outbound: bool,
    /// The phone spoke to this server directly: this is the first hop.
    pub first_hop: bool,
}

/// Reads them.
///
/// # Errors
/// 400 for a Path that cannot be routed by, and for two flows at once; 420 for a Path that the phone does not know of, in
/// mode `strict`; 439 when the phone's first hop keeps no flows.
pub(super) fn read<'a>(
    request: &'a Message,
    contacts: &[Contact<'_>],
    options: &Registration,
) -> Result<Terms<'a>, Reject> {
    let mut terms = Terms { first_hop: request.values(HeaderName::Via).nth(1).is_none(), ..Terms::default() };
    let mut last = None;
    for (n, value) in request.values(HeaderName::Path).enumerate() {
        let malformed = || Reject::because(400, "Malformed Path");
        let uri = NameAddr::parse(value).and_then(|address| address.uri()).map_err(|_| malformed())?;
        if n >= MAX_PATH || terms.path.len() + value.len() > MAX_PATH_BYTES {
            return Err(Reject::because(400, "Path Too Long"));
        }
        if n > 0 {
            terms.path.extend_from_slice(b", ");
        }
        tandem_sip::lexer::unfold_into(&mut terms.path, value);
        terms.first.get_or_insert(uri);
        last = Some(uri);
    }
    if last.is_some() && options.path_mode == PathMode::Strict && !supports(request, b"path") {
        return Err(Reject::new(420).with(HeaderName::Unsupported, b"path".to_vec()));
    }
    let mut flows = contacts.iter().filter(|contact| contact.reg_id != 0);
    if flows.next().is_none() {
        return Ok(terms);
    }
    if contacts.iter().filter(|contact| contact.reg_id != 0 && contact.expires_s > 0).nth(1).is_some() {
        return Err(Reject::because(400, "More Than One Flow at Once"));
    }
    // The proxy that the phone speaks to wrote the last Path, and says `ob` if it keeps flows.
    terms.outbound = match last {
        Some(edge) => edge.params.has(b"ob"),
        None => terms.first_hop,
    };
    if !terms.outbound && supports(request, b"outbound") {
        return Err(Reject::because(439, "First Hop Lacks Outbound Support"));
    }
    Ok(terms)
}

/// Whether the sender knows an extension.
pub(super) fn supports(request: &Message, tag: &[u8]) -> bool {
    request.has_token(HeaderName::Supported, tag) || request.has_token(HeaderName::Require, tag)
}
