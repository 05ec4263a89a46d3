//! Sessions that this server describes itself. A plain call's descriptions pass untouched; from the first one that this
//! server writes to a leg on, every description to that leg carries this server's origin, the identifier kept and the
//! version one higher each time (RFC 3264 8), whatever parties come and go behind it.

use tandem_sip::{Direction, HeaderName, Message, Origin, Sdp};

use super::Talking;
use super::leg::{Leg, Side};
use crate::rooms::Rooms;

/// This server's session towards one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its identifier.
    pub id: u64,
    /// Version of the latest description.
    pub version: u64,
}

impl Session {
    fn origin(self, rooms: &Rooms) -> Origin<'_> {
        Origin { id: self.id, version: self.version, address: &rooms.directory.server.sip_address }
    }
}

impl Leg {
    /// The session as its next description names it; the first one begins it.
    fn next_session(&self, rooms: &mut Rooms) -> Session {
        let begun = self.session.unwrap_or_else(|| Session { id: rooms.ids.bits() >> 33, version: 0 });
        Session { version: begun.version + 1, ..begun }
    }

    /// The answer to an offer of this leg that lets no media flow. `None`: there is no offer that can be read.
    pub fn inactive_answer(&mut self, rooms: &mut Rooms, offer: &Message) -> Option<Vec<u8>> {
        let (session, sdp) = self.parked(rooms, offer)?;
        self.session = Some(session);
        self.timer.say(&sdp);
        Some(sdp)
    }

    /// A media server's description as it is told this leg in this server's name. `None`: it cannot be read.
    pub(super) fn describe_raw(&mut self, rooms: &mut Rooms, sdp: &[u8]) -> Option<Vec<u8>> {
        let sdp = Sdp::parse(sdp).ok()?;
        let session = self.next_session(rooms);
        let told = sdp.with_origin(&session.origin(rooms));
        self.session = Some(session);
        self.timer.say(&told);
        Some(told)
    }

    fn parked(&self, rooms: &mut Rooms, offer: &Message) -> Option<(Session, Vec<u8>)> {
        let offer = description(offer)?;
        let session = self.next_session(rooms);
        Some((session, offer.inactive_answer(&session.origin(rooms))))
    }

    /// The description in `message` as it is passed to this leg in this server's name, with media this way. `None`: there
    /// is none.
    pub(super) fn described(
        &self,
        rooms: &mut Rooms,
        message: &Message,
        way: Option<Direction>,
    ) -> Option<(Session, Vec<u8>)> {
        let sdp = description(message)?;
        let session = self.next_session(rooms);
        let turned = way.map(|way| sdp.with_direction(way));
        let sdp = turned.as_deref().and_then(|sdp| Sdp::parse(sdp).ok()).unwrap_or(sdp);
        Some((session, sdp.with_origin(&session.origin(rooms))))
    }
}

impl Talking {
    /// The description in `message` as it is passed to one side in this server's name. `None`: there is none.
    pub(super) fn describe(&mut self, rooms: &mut Rooms, side: Side, message: &Message) -> Option<Vec<u8>> {
        let described = self.talk.leg(side).described(rooms, message, None);
        self.keep_session(rooms, side, described)
    }

    /// The same for what the parties themselves exchange: only where this server describes the session already, and
    /// without media while it holds the call.
    pub(super) fn redescribe(&mut self, rooms: &mut Rooms, side: Side, message: &Message) -> Option<Vec<u8>> {
        self.talk.leg(side).session?;
        let way = self.talk.is_parked().then_some(Direction::Inactive);
        let described = self.talk.leg(side).described(rooms, message, way);
        self.keep_session(rooms, side, described)
    }

    /// The answer to an offer of one side that lets no media flow.
    pub(super) fn park(&mut self, rooms: &mut Rooms, side: Side, offer: &Message) -> Option<Vec<u8>> {
        let described = self.talk.leg(side).parked(rooms, offer);
        self.keep_session(rooms, side, described)
    }

    fn keep_session(
        &mut self,
        rooms: &mut Rooms,
        side: Side,
        described: Option<(Session, Vec<u8>)>,
    ) -> Option<Vec<u8>> {
        let (session, sdp) = described?;
        self.talk.update(&mut rooms.log, |talk| {
            let leg = talk.leg_mut(side);
            leg.session = Some(session);
            leg.timer.say(&sdp);
        });
        Some(sdp)
    }
}

/// The session description of a message, if it has one that can be read.
#[must_use]
pub fn description(message: &Message) -> Option<Sdp<'_>> {
    let kind = message.header(HeaderName::ContentType).unwrap_or(b"application/sdp").trim_ascii();
    let kind = kind.split(|byte| matches!(byte, b';' | b' ')).next().unwrap_or_default();
    Sdp::parse(message.body()).ok().filter(|_| kind.eq_ignore_ascii_case(b"application/sdp"))
}
