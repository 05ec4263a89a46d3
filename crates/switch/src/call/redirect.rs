//! A callee redirects the call (3xx, RFC 3261 13.2.2.2, 16.5): this server follows, if `follow-redirects` says so, to the
//! numbers that its Contacts name, the best first, with the permissions of who redirected: a phone sends a call where it
//! could call itself. Bounded, and to no number twice.

use tandem_sip::{HeaderName, Message, NameAddr};

use super::best::Best;
use super::branch::Why;
use super::headers::MARKER_PARAM;
use super::record::EndReason;
use super::setup::{Caller, Setup, Stage};
use super::table::Calls;
use super::{Call, Phase};
use crate::arena::Key;
use crate::cdr::EndedBy;
use crate::explain::What;
use crate::limits::{MAX_REDIRECT_TARGETS, MAX_REDIRECTS};
use crate::rooms::{Device, Fact, Rooms};
use crate::routing;

/// A call that is to go on to other numbers.
#[derive(Debug)]
pub struct Redirected {
    /// Who redirected it.
    pub by: Device,
    /// Numbers, the best first.
    pub to: Vec<Box<[u8]>>,
}

/// Where a call has been sent by redirections.
#[derive(Debug, Default)]
pub(super) struct Redirections {
    /// Numbers so far.
    visited: Vec<Box<[u8]>>,
    /// How often.
    hops: u8,
    /// Who sent it on last, until its way is found.
    by: Option<Device>,
}

impl Calls {
    /// A redirected call goes on here; nowhere, for this reason, if there is no place.
    pub fn go_on_after_redirect(
        &mut self,
        rooms: &mut Rooms,
        key: Key,
        stages: Vec<Stage>,
        steps: Vec<What>,
        status: u16,
    ) {
        self.act(rooms, key, |call, rooms| call.go_on_after_redirect(rooms, stages, steps, status));
    }
}

impl Call {
    /// Follows the redirection that everybody at a place came down to. The set-up comes back if there is none to follow.
    pub(super) fn follow(&mut self, rooms: &mut Rooms, mut setup: Box<Setup>) -> Option<Box<Setup>> {
        let followed = self.directory.options.follow_redirects
            && setup.waiting.is_none()
            && !matches!(setup.caller, Caller::Nobody(_));
        let by = match setup.current {
            Some(Stage::Extension(dn)) => Some(Device::Extension(dn)),
            Some(Stage::Trunk(trunk, _)) => Some(Device::Trunk(trunk)),
            // The peer's 302 is for who called (it is marked, or the peer is being drained).
            Some(Stage::Peer(..) | Stage::PeerQueue(..) | Stage::Mixer(_) | Stage::Wait(_)) | None => None,
        };
        let message = setup.best.as_ref().and_then(|best| best.message.clone());
        let (true, Some(by), Some(message)) = (followed, by, message) else { return Some(setup) };
        let Some(named) = targets(&message) else { return Some(setup) };
        let own = setup.request.request_uri().and_then(|uri| tandem_sip::Uri::parse(uri).ok());
        let own = own.and_then(|uri| routing::number(&uri)).unwrap_or_default();
        let redirections = setup.redirections.get_or_insert_default();
        let known = |number: &[u8]| redirections.visited.iter().any(|visited| **visited == *number);
        let fresh = named.into_iter().filter(|number| **number != *own && !known(number));
        let to: Vec<Box<[u8]>> = fresh.take(MAX_REDIRECT_TARGETS).collect();
        if to.is_empty() || redirections.hops >= MAX_REDIRECTS {
            setup.best = Some(Best::own(482));
            return Some(setup);
        }
        redirections.hops += 1;
        redirections.by = Some(by);
        redirections.visited.extend(to.iter().cloned());
        for number in &to {
            self.note(rooms, What::Redirected(by, number.clone()));
        }
        let number = match by {
            Device::Extension(_) => Rooms::name_of(&self.directory, by).as_bytes().to_vec(),
            Device::Trunk(_) | Device::Mixer => own,
        };
        let hosts = setup.best.as_ref().map(|best| best.hosts.clone()).unwrap_or_default();
        self.redirected_by(&number, setup.rang, (&message, &hosts), rooms.lines.sent_by.as_bytes());
        (setup.best, setup.current) = (None, None);
        rooms.counters.redirects_followed += 1;
        self.phase = Phase::Setup(setup);
        rooms.facts.push(Fact::Redirected(self.key, Box::new(Redirected { by, to })));
        None
    }

    fn go_on_after_redirect(&mut self, rooms: &mut Rooms, stages: Vec<Stage>, steps: Vec<What>, status: u16) {
        let awaited = match &mut self.phase {
            Phase::Setup(setup) => setup.redirections.as_mut().and_then(|known| known.by.take()).is_some(),
            Phase::Talk(_) | Phase::Ending => false,
        };
        let Some(mut setup) = self.take_setup() else { return };
        if !awaited {
            self.phase = Phase::Setup(setup);
            return;
        }
        for step in steps {
            self.note(rooms, step);
        }
        if stages.is_empty() {
            setup.best = Some(Best::own(status));
            self.drop_branches(rooms, &mut setup, EndReason::TakenBack, &Why::Ours(NOWHERE));
            return self.nobody_took_it(rooms, setup, EndedBy::Server);
        }
        setup.stages = stages.into();
        self.advance(rooms, setup);
    }
}

const NOWHERE: &[u8] = b"SIP;cause=404;text=\"Redirected to nowhere\"";

/// The numbers that a redirection names, the best first. `None`: it is none that could be followed, or it bears the mark of
/// a peer's (loop guard b), which is for the caller.
fn targets(response: &Message) -> Option<Vec<Box<[u8]>>> {
    if !matches!(response.code(), Some(300..=302)) {
        return None;
    }
    let mut found: Vec<(u16, Box<[u8]>)> = Vec::new();
    for value in response.values(HeaderName::Contact) {
        let Ok(address) = NameAddr::parse(value) else { continue };
        let Ok(uri) = address.uri() else { continue };
        if uri.params.has(MARKER_PARAM) {
            return None;
        }
        let number = match uri.scheme {
            tandem_sip::Scheme::Sip | tandem_sip::Scheme::Sips | tandem_sip::Scheme::Tel => {
                routing::number(&uri)
            }
            tandem_sip::Scheme::Other => None,
        };
        if let Some(number) = number {
            found.push((quality(address.params.value(b"q")), number.into()));
        }
    }
    // Equal ones stay in their order.
    found.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
    (!found.is_empty()).then(|| found.into_iter().map(|(_, number)| number).collect())
}

/// `q` in thousandths; 1 where it is not said (RFC 3261 20.10 leaves that open).
fn quality(q: Option<&[u8]>) -> u16 {
    let Some(q) = q.and_then(|q| std::str::from_utf8(q).ok()) else { return 1_000 };
    let (whole, part) = q.split_once('.').unwrap_or((q, ""));
    let thousandths =
        format!("{part:0<3}").get(..3).and_then(|digits| digits.parse::<u16>().ok()).unwrap_or(0);
    if whole == "1" { 1_000 } else { thousandths.min(999) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirection(code: u16, contacts: &str) -> Option<Vec<String>> {
        let text = format!(
            "SIP/2.0 {code} Moved\r\nVia: SIP/2.0/UDP b;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n\
             Call-ID: x\r\nCSeq: 1 INVITE\r\n{contacts}Content-Length: 0\r\n\r\n"
        );
        let found = targets(&Message::parse(text.into_bytes().into()).unwrap())?;
        Some(found.iter().map(|number| String::from_utf8_lossy(number).into_owned()).collect())
    }

    #[test]
    fn contacts_are_tried_in_the_order_of_their_q() {
        let contacts =
            "Contact: <sip:1@h>;q=0.5, <sip:2@h>\r\nContact: <tel:+3>;q=0.75, <sip:4@h>;q=0, <sip:h>\r\n";
        assert_eq!(redirection(300, contacts).unwrap(), ["2", "+3", "1", "4"]);
    }

    #[test]
    fn what_is_for_the_caller_is_not_followed() {
        assert_eq!(redirection(305, "Contact: <sip:1@h>\r\n"), None, "use a proxy");
        assert_eq!(redirection(302, ""), None);
        assert_eq!(redirection(302, "Contact: <mailto:a@h>\r\n"), None);
        assert_eq!(redirection(302, "Contact: <sip:1@h;x-tandem-forwarded=site-b>\r\n"), None, "a peer's");
    }
}
