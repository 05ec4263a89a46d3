//! One call as one device sees it: its dialog, its phase and how it ended.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::text::{Mark, Text, address_of, param, uri_of};
use crate::time::At;

/// Which end of the call the device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It sent the INVITE.
    Caller,
    /// It received the INVITE.
    Callee,
}

/// Where the leg stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The INVITE is on its way; nothing but 100 has come.
    Calling,
    /// A 18x was sent or received.
    Ringing,
    /// The caller wants out; its CANCEL is sent, or waits for a provisional response.
    Cancelling,
    /// The callee sent 200 and waits for the ACK.
    Answered,
    /// Both ends agree.
    Talking,
    /// A BYE is on its way.
    Ending,
    /// Over.
    Over,
}

/// Who ended a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// This device.
    Us,
    /// The other side, by request or response.
    Them,
    /// Silence.
    Silence,
}

/// How a leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Who ended it.
    pub by: By,
    /// Final status of the INVITE; 200 if it was answered; 0 if nothing came.
    pub code: u16,
    /// When.
    pub at: At,
}

/// One call as one device sees it.
#[derive(Debug)]
pub struct Leg {
    /// Number of the leg, unique in its device.
    pub id: u64,
    /// Which simulated call it belongs to.
    pub mark: Mark,
    /// Which end the device is.
    pub role: Role,
    /// Where it stands.
    pub phase: Phase,
    /// When it entered that phase.
    pub since: At,
    /// How it ended.
    pub end: Option<End>,
    /// Status of the INVITE so far.
    pub code: u16,
    /// To-tags of the 2xx responses that came.
    pub answers: Vec<String>,
    /// The other party's number.
    pub number: String,
    /// The site it was sent to or came from.
    pub site: SocketAddr,
    /// Sites still to be tried when this one does not answer.
    pub others: Vec<SocketAddr>,
    /// The INVITE asks the phone to answer by itself (`answer-after` in Call-Info).
    pub answers_at_once: bool,
    /// It was given up for another site: whatever still comes is refused.
    pub superseded: bool,
    /// Redirections followed so far.
    pub redirected: u8,
    /// Challenges answered so far.
    pub challenged: u8,
    /// Bodies that came with 18x or 200, requests that came within the dialog: what a scenario asserts about.
    pub heard: Vec<String>,
    /// What NOTIFYs said of a transfer that the device asked for.
    pub told: Vec<u16>,
    /// It hangs up when it hears that its transfer succeeded.
    pub leaves_when_told: bool,
    /// The device consulted somebody here, whom it connects with the party of that leg.
    pub leaves_with: Option<u64>,
    /// Numbers of the latest reliable provisional responses, by the tags of their dialogs.
    pub(super) numbers: BTreeMap<String, u32>,
    /// A re-INVITE is to be sent again then, after a 491.
    pub hold_again_at: Option<At>,
    /// The BYE is to be repeated then, for it was not answered.
    pub bye_again_at: Option<At>,
    pub(super) session: Option<super::session::Session>,
    /// The device does the next thing of its profile then.
    pub act_at: Option<At>,
    pub(super) dialog: Dialog,
    pub(super) ack: Option<(u32, crate::wire::Wire)>,
}

/// RFC 3261 12: what both ends remember.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialog {
    pub call_id: String,
    /// From of our requests, with our tag.
    pub local: String,
    /// To of our requests, with their tag once it is known.
    pub remote: String,
    pub target: String,
    pub routes: Vec<String>,
    pub local_cseq: u32,
    pub remote_cseq: u32,
}

impl Dialog {
    pub fn local_tag(&self) -> &str {
        param(&self.local, "tag").unwrap_or_default()
    }

    pub fn remote_tag(&self) -> &str {
        param(&self.remote, "tag").unwrap_or_default()
    }

    /// Whether a request belongs here.
    pub fn owns(&self, request: &Text) -> bool {
        self.call_id == request.call_id()
            && request.to_tag() == Some(self.local_tag())
            && request.from_tag() == Some(self.remote_tag())
    }

    /// The caller's dialog is confirmed by a 2xx (12.1.2).
    pub fn confirm(&mut self, response: &Text) {
        self.remote = response.get("To").unwrap_or_default().to_owned();
        self.routes = response.all("Record-Route").map(|r| uri_of(r).to_owned()).collect();
        self.routes.reverse();
        self.refresh(response);
    }

    /// A target refresh (12.2.1.2).
    pub fn refresh(&mut self, message: &Text) {
        if let Some(contact) = message.contact() {
            contact.clone_into(&mut self.target);
        }
    }

    /// Where the next request goes.
    pub fn next_hop(&self) -> Option<SocketAddr> {
        address_of(self.routes.first().unwrap_or(&self.target))
    }

    /// A request within the dialog, without its Via.
    pub fn request(&self, method: &str, cseq: u32) -> Text {
        self.request_with_hops(method, cseq, 70)
    }

    /// The same with another Max-Forwards.
    pub fn request_with_hops(&self, method: &str, cseq: u32, hops: u8) -> Text {
        let mut request = Text::request(method, &self.target)
            .with("From", self.local.as_str())
            .with("To", self.remote.as_str())
            .with("Call-ID", self.call_id.as_str())
            .with("CSeq", format!("{cseq} {method}"))
            .with("Max-Forwards", hops.to_string());
        for route in &self.routes {
            request = request.with("Route", format!("<{route}>"));
        }
        request
    }
}

impl Leg {
    pub(super) fn enter(&mut self, phase: Phase, now: At) {
        if self.phase != phase {
            self.phase = phase;
            self.since = now;
        }
    }

    pub(super) fn finish(&mut self, by: By, now: At) {
        if self.end.is_none() {
            self.end = Some(End { by, code: self.code, at: now });
        }
        self.enter(Phase::Over, now);
        (self.act_at, self.hold_again_at, self.bye_again_at) = (None, None, None);
        self.session = None;
    }

    /// Its session is this device's to refresh: what was refused goes again when that is next tried.
    pub(super) fn refreshes_by_itself(&self) -> bool {
        self.session.is_some_and(|session| session.is_ours())
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Whether the INVITE is still without a final response.
    #[must_use]
    pub fn is_early(&self) -> bool {
        matches!(self.phase, Phase::Calling | Phase::Ringing | Phase::Cancelling)
    }

    /// The Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.dialog.call_id
    }

    pub(super) fn next_timeout(&self) -> Option<At> {
        let session =
            self.session.filter(|_| self.phase == Phase::Talking).map(|session| session.next_timeout());
        [self.act_at, self.hold_again_at, self.bye_again_at, session].into_iter().flatten().min()
    }
}
