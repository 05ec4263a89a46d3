//! Phones that may be gone: keep-alives, questions to contacts in quarantine, and what is told of them (RFC 5626 5.4,
//! RFC 6223 from the server's side).

use std::time::Instant;

use bytes::Bytes;
use tandem_peer::trunk::CallFailure;
use tandem_sip::{Builder, Flow, HeaderName, Method};

use super::Node;
use crate::directory::KeepAlive;
use crate::event::Event;
use crate::limits::{MAX_BINDING_NEWS_AT_ONCE, MAX_PULSES_AT_ONCE};
use crate::registrar::{Due, Ghost, Happened, Kind};
use crate::rooms::{Rooms, Use};

impl Node {
    pub(super) fn run_pulses(&mut self) {
        let now = self.rooms.now.mono;
        self.rooms.registrar.settle(now);
        for _ in 0..MAX_PULSES_AT_ONCE {
            let Some(due) = self.rooms.registrar.pop_pulse(now) else { return };
            self.pulse(due);
        }
    }

    /// When something is to be sent to a phone, or told of one.
    pub(super) fn phones_timeout(&self) -> Option<Instant> {
        if self.rooms.registrar.has_news() {
            return Some(self.rooms.now.mono);
        }
        self.rooms.registrar.next_pulse()
    }

    fn pulse(&mut self, due: Due) {
        let rooms = &mut self.rooms;
        let Some(binding) = rooms.registrar.binding(due.dn, due.binding) else { return };
        let flow = binding.flow();
        let crlf = rooms.directory.options.registration.nat_keepalive == KeepAlive::Crlf;
        if due.kind == Kind::KeepAlive && crlf {
            rooms.endpoint.send(flow, Bytes::from_static(b"\r\n\r\n"));
            return;
        }
        let (uri, path): (Box<[u8]>, Box<[u8]>) = (binding.uri().into(), binding.path().into());
        let Some((txn, branch)) = rooms.endpoint.reserve() else { return };
        let payload = print_question(rooms, &uri, &path, flow, branch.as_ref());
        rooms.registrar.asked(due.binding);
        rooms.endpoint.start(txn, Method::Options, flow, payload, Use::Pulse(due.binding), rooms.now.mono);
    }

    /// Whatever a phone answers, it is there.
    pub(super) fn phone_answered(&mut self, binding: u64) {
        let rooms = &mut self.rooms;
        rooms.registrar.answered(binding, &mut rooms.log, rooms.now);
    }

    pub(super) fn phone_silent(&mut self, binding: u64, how: CallFailure) {
        let rooms = &mut self.rooms;
        rooms.registrar.unanswered(binding, Ghost::after(how), &mut rooms.log, rooms.now);
    }

    /// Tells what happened to contacts, as much as one turn has room for.
    pub(super) fn tell_bindings(&mut self) {
        let rooms = &mut self.rooms;
        for _ in 0..MAX_BINDING_NEWS_AT_ONCE {
            let Some(news) = rooms.registrar.poll_news() else { return };
            match news.what {
                Happened::PutAway(_) => rooms.counters.bindings_quarantined += 1,
                Happened::TakenBack => rooms.counters.bindings_restored += 1,
                Happened::Removed(_) => rooms.counters.bindings_removed += 1,
            }
            let dn = rooms.directory.extension(news.dn).map(|e| e.number.clone()).unwrap_or_default();
            rooms.report(Event::Binding { dn, contact: news.contact, what: news.what });
        }
    }
}

fn print_question(rooms: &mut Rooms, uri: &[u8], path: &[u8], flow: Flow, branch: &[u8]) -> Bytes {
    let (tag, call_id) = (rooms.ids.tag().text(), rooms.ids.call_id().text());
    let lines = &rooms.lines;
    let mut builder = Builder::request(&mut rooms.scratch, b"OPTIONS", uri);
    builder.via(flow.transport, lines.via(flow), branch);
    if !path.is_empty() {
        builder.header(HeaderName::Route, path);
    }
    builder
        .number(HeaderName::MaxForwards, 70)
        .parts(HeaderName::From, &[b"<sip:", lines.sent_by.as_bytes(), b">;tag=", &tag])
        .parts(HeaderName::To, &[b"<", uri, b">"])
        .header(HeaderName::CallId, &call_id)
        .cseq(1, b"OPTIONS")
        .header(HeaderName::Contact, lines.contact(flow))
        .header(HeaderName::Accept, b"application/sdp");
    builder.finish(b"")
}
