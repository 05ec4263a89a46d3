//! What the caller's INVITE is answered with: a callee's response passed on, or this server's own.

use tandem_sip::{Builder, Flow, HeaderName, Message, response_to};

use super::best::Best;
use super::headers;
use super::hide::hide;
use super::passage::Passage;
use super::setup::Setup;
use super::timer::Timer;
use crate::ids::Tag;
use crate::rooms::{Rooms, own_headers};

impl Setup {
    /// The final response to the caller's INVITE when nobody answers.
    pub(super) fn print_refusal(
        &self,
        rooms: &mut Rooms,
        best: &Best,
        flow: Flow,
        passage: &Passage,
    ) -> Option<bytes::Bytes> {
        let ours = rooms.lines.sent_by.as_bytes();
        let code = best.told();
        // What was mapped spoke of the callee's own affairs, its headers and body too.
        let like = best.message.as_ref().filter(|like| like.code() == Some(code));
        let mut builder = head(&mut rooms.scratch, &self.request, flow, code, like, self.refusal_tag())?;
        if let Some(contact) = &best.contact {
            builder.header(HeaderName::Contact, contact);
        }
        let Some(like) = like else { return Some(builder.finish(b"")) };
        headers::relay(&mut builder, like, ours, passage);
        if (300..400).contains(&code) {
            for contact in like.lines(HeaderName::Contact) {
                builder.header(HeaderName::Contact, &hide(contact, &best.hosts, ours));
            }
        }
        Some(builder.finish(like.body()))
    }
}

/// A provisional response to the caller's INVITE, reliable if it has a number, with what `like` carries passed on.
pub(super) fn print_response(
    rooms: &mut Rooms,
    request: &Message,
    flow: Flow,
    code: u16,
    like: Option<(&Message, &Passage)>,
    tag: Tag,
    number: Option<u32>,
) -> Option<bytes::Bytes> {
    let lines = &rooms.lines;
    let message = like.map(|(message, _)| message);
    let mut builder = head(&mut rooms.scratch, request, flow, code, message, tag)?;
    builder.copy(request, HeaderName::RecordRoute);
    own_headers(&mut builder, lines.contact(flow));
    headers::print_number(&mut builder, number);
    let Some((like, passage)) = like else { return Some(builder.finish(b"")) };
    headers::relay(&mut builder, like, lines.sent_by.as_bytes(), passage);
    Some(builder.finish(like.body()))
}

/// 199: an early dialog is over, for the reason of this final response (RFC 6228).
pub(super) fn print_ended(
    rooms: &mut Rooms,
    request: &Message,
    flow: Flow,
    code: u16,
    tag: Tag,
    number: Option<u32>,
) -> Option<bytes::Bytes> {
    let env = request.envelope().ok()?;
    let (tag, source) = (tag.text(), Some(flow.remote));
    let reason = b"Early Dialog Terminated";
    let mut builder = response_to(&mut rooms.scratch, request, &env, 199, reason, Some(&tag), source);
    builder.copy(request, HeaderName::RecordRoute);
    own_headers(&mut builder, rooms.lines.contact(flow));
    headers::print_number(&mut builder, number);
    builder.header(HeaderName::Reason, format!("SIP;cause={code}").as_bytes());
    Some(builder.finish(b""))
}

/// The 2xx to the caller's INVITE, with what a callee's `ok` carries passed on. A description that the callee gave only
/// `before`, reliably, is repeated: the caller has not seen it so.
pub(super) fn print_answer(
    rooms: &mut Rooms,
    request: &Message,
    flow: Flow,
    code: u16,
    (ok, passage): (&Message, &Passage),
    tag: Tag,
    (timer, before): (&Timer, Option<&Message>),
) -> Option<bytes::Bytes> {
    let lines = &rooms.lines;
    let mut builder = head(&mut rooms.scratch, request, flow, code, Some(ok), tag)?;
    builder.copy(request, HeaderName::RecordRoute);
    own_headers(&mut builder, lines.contact(flow));
    headers::relay(&mut builder, ok, lines.sent_by.as_bytes(), passage);
    timer.print_answer(&mut builder);
    match before.filter(|_| ok.body().is_empty()) {
        Some(before) => {
            builder.copy(before, HeaderName::ContentType);
            Some(builder.finish(before.body()))
        }
        None => Some(builder.finish(ok.body())),
    }
}

/// A provisional response that describes a session of a media server.
pub(super) fn print_described(
    rooms: &mut Rooms,
    request: &Message,
    flow: Flow,
    code: u16,
    sdp: &[u8],
    tag: Tag,
    number: Option<u32>,
) -> Option<bytes::Bytes> {
    let lines = &rooms.lines;
    let mut builder = head(&mut rooms.scratch, request, flow, code, None, tag)?;
    builder.copy(request, HeaderName::RecordRoute);
    own_headers(&mut builder, lines.contact(flow));
    headers::print_number(&mut builder, number);
    builder.header(HeaderName::ContentType, b"application/sdp");
    Some(builder.finish(sdp))
}

fn head<'b>(
    scratch: &'b mut Vec<u8>,
    request: &Message,
    flow: Flow,
    code: u16,
    like: Option<&Message>,
    tag: Tag,
) -> Option<Builder<'b>> {
    let env = request.envelope().ok()?;
    let reason = like.and_then(Message::reason).unwrap_or_else(|| crate::rooms::phrase(code).as_bytes());
    Some(response_to(scratch, request, &env, code, reason, Some(&tag.text()), Some(flow.remote)))
}
