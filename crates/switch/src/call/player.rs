//! The player of a caller who waits (RFC 3960): a media server answers his offer, and he hears it by a 183 in an early
//! dialog of its own. The agent's answer to the same offer comes in the other dialog, as it would from another branch
//! of a forked INVITE (RFC 3261 13.2.2.4), so each dialog has one answer (RFC 3264).
//!
//! A player stays while the call waits, whatever it is told to play; without one the caller has ringback.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tandem_sip::HeaderName;

use super::news::{News, Ticket};
use super::setup::{Caller, Setup};
use super::{Call, Phase};
use crate::directory::floor::Treatment;
use crate::explain::What;
use crate::ids::Tag;
use crate::limits::{MAX_PLAYERS, MEDIA_PATIENCE};
use crate::media::{MediaId, MediaNews, MediaOrder, Repeat};
use crate::rooms::{Fact, Rooms};

/// See the module.
#[derive(Debug)]
pub(super) struct Player {
    id: MediaId,
    turn: u32,
    /// Our To-tag in the early dialog with the media server.
    tag: Tag,
    /// Until when the caller is told nothing, because the server has not said whether it plays.
    asked: Option<Instant>,
    /// The request that waits for it.
    ticket: Option<Ticket>,
    /// What it is to play, and how often.
    wanted: Option<(Arc<str>, Repeat)>,
    /// What the server answered the caller's offer with.
    sdp: Option<Bytes>,
    plays: bool,
}

impl Player {
    /// Our To-tag in the early dialog with the media server.
    pub(super) fn tag(&self) -> Tag {
        self.tag
    }
}

/// How a waiting caller is told of his treatment.
pub(super) enum Tell {
    /// Later: the media server is being asked.
    Then(Instant),
    /// By this session description, in this dialog.
    Media(Bytes, Tag),
    /// By a response without one, in this dialog.
    Plain(Tag),
}

impl Call {
    /// Lets a media server play this treatment.
    ///
    /// # Errors
    /// 501 when the caller cannot be played to, 503 when the call has had too many players; why is noted, and nothing
    /// is changed.
    pub(super) fn play(
        &mut self,
        rooms: &mut Rooms,
        setup: &mut Setup,
        treatment: &Treatment,
        ticket: Option<Ticket>,
    ) -> Result<(), u16> {
        let (file, repeat) = match treatment {
            Treatment::Ringback | Treatment::Queued => return Ok(()),
            Treatment::Music(file) => (file, Repeat::Forever),
            Treatment::Announcement(file) => (file, Repeat::Once),
        };
        if let Err(why) = self.playable(rooms, setup) {
            self.note(rooms, What::NotPlayed(why.into()));
            return Err(501);
        }
        self.give_up_request(rooms);
        let mut player = match self.player.take() {
            Some(player) => player,
            None => self.new_player(rooms).ok_or(503u16)?,
        };
        player.turn += 1;
        (player.ticket, player.plays) = (ticket, false);
        player.asked = Some(rooms.now.mono + MEDIA_PATIENCE);
        player.wanted = Some((file.clone(), repeat));
        self.note(rooms, What::ToPlay(file.clone()));
        self.player = Some(player);
        if let Some(offer) = setup.offered_to_player() {
            self.order(rooms, offer);
        } else if !setup.ask_listener(rooms, self.key) {
            self.note(rooms, What::NotPlayed("the phone on the line has an INVITE under way".into()));
            self.drop_player(rooms);
            return Err(503);
        }
        Ok(())
    }

    fn order(&mut self, rooms: &mut Rooms, offer: Bytes) {
        let Some(player) = &self.player else { return };
        let Some((file, repeat)) = player.wanted.clone() else { return };
        let (id, turn) = (player.id, player.turn);
        rooms.facts.push(Fact::Media(MediaOrder::Play { id, turn, offer, file, repeat }));
    }

    /// The party on the line has made its offer. A player that is not wanted any more leaves it without media.
    pub(super) fn order_player(&mut self, rooms: &mut Rooms) {
        let Phase::Setup(setup) = &self.phase else { return };
        match setup.offered_to_player().filter(|_| self.player.is_some()) {
            Some(offer) => self.order(rooms, offer),
            None => self.answer_listener(rooms, None),
        }
    }

    /// There is no player after all.
    pub(super) fn player_failed(&mut self, rooms: &mut Rooms) {
        let ticket = self.player.as_mut().and_then(|player| player.ticket.take());
        self.drop_player(rooms);
        match ticket {
            Some(_) => self.done(rooms, ticket, Err(503)),
            None => self.tell(rooms, News::TreatmentFailed),
        }
    }

    fn new_player(&mut self, rooms: &mut Rooms) -> Option<Box<Player>> {
        if self.players >= MAX_PLAYERS {
            self.note(rooms, What::NotPlayed("the call has had too many players".into()));
            return None;
        }
        let (id, tag) = (MediaId::new(self.key, self.players), rooms.ids.tag());
        self.players += 1;
        self.own_tag(rooms, tag);
        let (sdp, wanted) = (None, None);
        let player = Player { id, turn: 0, tag, asked: None, ticket: None, wanted, sdp, plays: false };
        Some(Box::new(player))
    }

    /// The request that waits for the player is overtaken by another.
    fn give_up_request(&mut self, rooms: &mut Rooms) {
        let ticket = self.player.as_mut().and_then(|player| player.ticket.take());
        self.done(rooms, ticket, Err(487));
    }

    /// A treatment that needs no player begins.
    pub(super) fn quieten(&mut self, rooms: &mut Rooms) {
        self.give_up_request(rooms);
        let Some(player) = &mut self.player else { return };
        player.turn += 1;
        (player.asked, player.plays) = (None, false);
        rooms.facts.push(Fact::Media(MediaOrder::Quiet { id: player.id }));
    }

    /// A call that does not wait needs no player: it was answered, sent on, refused or abandoned. Run after whatever
    /// happened to the call, so that no way out of waiting leaves one behind.
    pub(super) fn hush(&mut self, rooms: &mut Rooms) {
        let heard = |setup: &Setup| setup.waiting.is_some() || setup.tone.is_some();
        if self.player.is_none() || matches!(&self.phase, Phase::Setup(setup) if heard(setup)) {
            return;
        }
        self.drop_player(rooms);
    }

    fn drop_player(&mut self, rooms: &mut Rooms) {
        self.give_up_request(rooms);
        if let Some(player) = self.player.take() {
            rooms.facts.push(Fact::Media(MediaOrder::Stop { id: player.id }));
        }
    }

    /// How a caller whose own dialog has this tag is told now.
    pub(super) fn tell_by(&self, own: Tag, now: Instant) -> Tell {
        let Some(player) = &self.player else { return Tell::Plain(own) };
        match (player.asked, &player.sdp) {
            (Some(until), _) if now < until => Tell::Then(until),
            (_, Some(sdp)) if player.plays => Tell::Media(sdp.clone(), player.tag),
            // A phone that hears nothing in the dialog with early media makes ringback by itself on 180 (RFC 3960 3.2).
            (_, Some(_)) => Tell::Plain(player.tag),
            (_, None) => Tell::Plain(own),
        }
    }

    /// Whether the caller hears a player, or is about to.
    pub(super) fn is_heard(&self) -> bool {
        self.player.as_ref().is_some_and(|player| player.plays || player.asked.is_some())
    }

    /// What the media server says.
    pub fn media(&mut self, rooms: &mut Rooms, news: MediaNews) {
        let meant = |player: &&mut Box<Player>| news.of() == (player.id, player.turn);
        let Some(player) = self.player.as_mut().filter(meant) else { return };
        match news {
            MediaNews::Playing { sdp, .. } => {
                (player.asked, player.plays) = (None, true);
                let sdp = player.sdp.get_or_insert(sdp).clone();
                let ticket = player.ticket.take();
                self.note(rooms, What::Plays);
                self.done(rooms, ticket, Ok(()));
                self.answer_listener(rooms, Some(&sdp));
            }
            MediaNews::Ended { .. } => {
                (player.asked, player.plays) = (None, false);
                self.note(rooms, What::Played);
                self.tell(rooms, News::TreatmentEnded);
            }
            MediaNews::Failed { why, .. } => {
                self.note(rooms, What::NotPlayed(why));
                self.player_failed(rooms);
                self.answer_listener(rooms, None);
            }
        }
        if let Some(mut setup) = self.take_setup() {
            self.tell_treatment(rooms, &mut setup);
            self.phase = Phase::Setup(setup);
        }
    }
}

impl Call {
    /// Whether a player can be heard by who waits.
    fn playable(&self, rooms: &Rooms, setup: &Setup) -> Result<(), &'static str> {
        match setup.caller {
            Caller::Leg(..) if self.nail.is_some() => {
                return Err("the connection is nailed up, and waits in silence");
            }
            Caller::Leg(..) if rooms.directory.options.media => return Ok(()),
            Caller::Leg(..) => {
                return Err("the caller is on the line, and no media server is configured ([media])");
            }
            Caller::Nobody(_) | Caller::Aside(_) => return Err("nobody is on the line"),
            Caller::Invite(..) => {}
        }
        let is_sdp = |value: &[u8]| {
            let kind = value.split(|byte| *byte == b';').next().unwrap_or_default();
            kind.trim_ascii().eq_ignore_ascii_case(b"application/sdp")
        };
        match setup.request.header(HeaderName::ContentType) {
            Some(value) if is_sdp(value) && !setup.request.body().is_empty() => Ok(()),
            Some(_) | None => Err("the INVITE has no session description"),
        }
    }
}
