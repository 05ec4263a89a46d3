//! Sessions that this server describes itself. A plain call's descriptions pass untouched; from the first one that this
//! server writes to a leg on, every description to that leg carries this server's origin, the identifier kept and the
//! version one higher each time (RFC 3264 8), whatever parties come and go behind it.

use tandem_sip::{HeaderName, Message, Origin, Sdp};

use super::leg::Leg;
use crate::rooms::Rooms;

/// This server's session towards one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its identifier.
    pub id: u64,
    /// Version of the latest description.
    pub version: u64,
}

impl Leg {
    /// The origin of the next description; the session begins with the first.
    fn next_origin<'a>(&mut self, rooms: &'a mut Rooms) -> Origin<'a> {
        let begun = self.session.unwrap_or_else(|| Session { id: rooms.ids.bits() >> 33, version: 0 });
        let session = Session { version: begun.version + 1, ..begun };
        self.session = Some(session);
        Origin { id: session.id, version: session.version, address: &rooms.directory.server.sip_address }
    }

    /// The description in a message as it is passed to this leg in the name of this server. `None`: there is none that
    /// can be read; the body then passes as it is.
    pub fn describe(&mut self, rooms: &mut Rooms, message: &Message) -> Option<Vec<u8>> {
        let sdp = description(message)?;
        Some(sdp.with_origin(&self.next_origin(rooms)))
    }

    /// The same, if descriptions to this leg are this server's already.
    pub(super) fn redescribe(&mut self, rooms: &mut Rooms, message: &Message) -> Option<Vec<u8>> {
        self.session?;
        self.describe(rooms, message)
    }

    /// The answer to an offer of this leg that lets no media flow. `None`: there is no offer that can be read.
    pub fn inactive_answer(&mut self, rooms: &mut Rooms, offer: &Message) -> Option<Vec<u8>> {
        let sdp = description(offer)?;
        Some(sdp.inactive_answer(&self.next_origin(rooms)))
    }
}

/// The session description of a message, if it has one that can be read.
#[must_use]
pub fn description(message: &Message) -> Option<Sdp<'_>> {
    let kind = message.header(HeaderName::ContentType).unwrap_or(b"application/sdp").trim_ascii();
    let kind = kind.split(|byte| matches!(byte, b';' | b' ')).next().unwrap_or_default();
    Sdp::parse(message.body()).ok().filter(|_| kind.eq_ignore_ascii_case(b"application/sdp"))
}
