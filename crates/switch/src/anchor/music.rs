//! What a device hears that is put on hold: `default-music`, which the media server plays into the leg.
//!
//! The other party's description says that nobody listens there any more (RFC 3264 8.4). When it says `inactive`, the
//! device is told `sendonly`, or it would take no music; its answer is told back as `inactive`. Music begins when the
//! description is agreed on, and ends with the next one that lets media flow both ways. Before a leg has had a
//! conversation nothing is played: who waits for an answer, or in a queue, has what is meant for that.

use std::sync::Arc;

use bytes::Bytes;
use tandem_peer::replica::{Reader, Writer};
use tandem_sip::{Direction, Sdp};

use super::order::{AnchorId, AnchorOrder, Part};
use super::stored::{put_way, way};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Music {
    /// The file; without one nothing of all this happens.
    pub(super) file: Option<Arc<str>>,
    /// The device has been told of media both ways.
    talked: bool,
    /// The way of the other party's latest description.
    near: Option<Direction>,
    plays: bool,
    wish: Option<bool>,
}

impl Music {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.option(self.file.as_deref(), Writer::str);
        out.bool(self.talked);
        out.option(self.near, put_way);
        out.bool(self.plays);
    }

    pub(super) fn read(fields: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            file: fields.option(|fields| fields.str().map(Arc::from))?,
            talked: fields.bool()?,
            near: fields.option(way)?,
            plays: fields.bool()?,
            wish: None,
        })
    }

    /// The same with everything asked for.
    pub(super) fn settled(&self) -> Self {
        Self { wish: None, ..self.clone() }
    }

    /// What plays.
    pub(super) fn playing(&self) -> Option<Arc<str>> {
        self.file.clone().filter(|_| self.plays)
    }

    fn holds(&self, way: Direction) -> bool {
        self.file.is_some() && self.talked && !way.receives()
    }

    /// The other party's description, as the media server is to make it for the device. `heard`: the device's own latest.
    pub(super) fn to_device(&self, part: Part, sdp: &Bytes, heard: Option<&[u8]>) -> Bytes {
        let Some(parsed) = Sdp::parse(sdp).ok().filter(|_| self.file.is_some()) else { return sdp.clone() };
        let listens = part == Part::Offer
            || heard
                .and_then(|heard| Sdp::parse(heard).ok())
                .is_some_and(|heard| heard.direction().receives());
        if parsed.direction() == Direction::Inactive && self.holds(Direction::Inactive) && listens {
            return parsed.with_direction(Direction::SendOnly).into();
        }
        sdp.clone()
    }

    /// The device's description, as the other party is told it.
    pub(super) fn of_device(&self, part: Part, sdp: Bytes) -> Bytes {
        let inactive = self.near.filter(|way| part == Part::Answer && self.holds(*way));
        match Sdp::parse(&sdp) {
            Ok(parsed) if inactive == Some(Direction::Inactive) => {
                parsed.with_direction(Direction::Inactive).into()
            }
            Ok(_) | Err(_) => sdp,
        }
    }

    /// The device is told this description of the other party.
    pub(super) fn described(&mut self, sdp: &[u8]) {
        let Ok(parsed) = Sdp::parse(sdp) else { return };
        let way = parsed.direction();
        self.near = Some(way);
        if way.receives() {
            self.talked = true;
            self.turn(false);
        }
    }

    /// Both ends have agreed.
    pub(super) fn agreed(&mut self) {
        if self.near.is_some_and(|way| self.holds(way)) {
            self.turn(true);
        }
    }

    /// The media server has forgotten the leg, and that it played.
    pub(super) fn stopped(&mut self) {
        (self.plays, self.wish) = (false, None);
    }

    fn turn(&mut self, plays: bool) {
        if std::mem::replace(&mut self.plays, plays) != plays {
            self.wish = Some(plays);
        }
    }

    /// What is asked of the media server.
    pub(super) fn poll(&mut self, id: AnchorId) -> Option<AnchorOrder> {
        let file = self.file.as_ref()?;
        Some(match self.wish.take()? {
            true => AnchorOrder::Play { id, file: Arc::clone(file) },
            false => AnchorOrder::Quiet { id },
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Music that plays, with something in each field.
    pub fn playing() -> Music {
        let (file, near) = (Some("held.wav".into()), Some(Direction::SendOnly));
        Music { file, talked: true, near, plays: true, wish: None }
    }
}
