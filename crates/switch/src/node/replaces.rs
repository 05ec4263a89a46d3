//! INVITE with `Replaces` (RFC 3891 3): its sender takes a party's place in an answered call of this server, or a call that
//! rings elsewhere. Who may is decided here.

use std::sync::Arc;

use tandem_sip::HeaderName;

use super::Node;
use crate::anchor::{Speaks, Taker, Unbridged};
use crate::arena::Key;
use crate::call::{Call, Incoming, LegNo, Replaces, media_of};
use crate::directory::{Directory, DnId, Pickup, Watchers};
use crate::ids::Tag;
use crate::reject::Reject;
use crate::rooms::{Device, Rooms};
use crate::routing;

impl Node {
    /// Such an INVITE.
    pub(super) fn invite_replacing(&mut self, incoming: &Incoming<'_>) -> Result<(), Reject> {
        let replaces = named(incoming)?;
        let (origin, _) = self.origin(incoming.flow, incoming.message, incoming.env)?;
        super::requests::check_dialog(incoming.message, incoming.env)?;
        let (key, place) = self.place(origin, &replaces)?;
        if self.is_described_first(key, origin, incoming)? {
            incoming.answer(&mut self.rooms, &Reject::new(100));
            return Ok(());
        }
        self.take_place(origin, (key, place), &replaces, incoming)
    }

    /// The same INVITE once a media server has described its sender's media: what it names may have gone meanwhile.
    pub(super) fn replace_described(&mut self, taker: &Taker) {
        let Taker { txn, flow, message, device } = taker;
        let Ok(env) = message.envelope() else { return };
        let incoming = Incoming { txn: *txn, flow: *flow, message, env: &env };
        let outcome = named(&incoming).and_then(|replaces| {
            let at = self.place(*device, &replaces)?;
            self.take_place(*device, at, &replaces, &incoming)
        });
        if let Err(reject) = outcome {
            self.rooms.refuse(*txn, *flow, message, &env, &reject);
        }
    }

    /// What a device may take that names this dialog.
    fn place(&self, origin: Device, replaces: &Replaces) -> Result<(Key, Place), Reject> {
        let key = self.call_in(replaces).ok_or_else(gone)?;
        let call = self.calls.get(key).ok_or_else(gone)?;
        if call.is_ending() {
            return Err(Reject::new(603));
        }
        if let Some(leg) = call.rings_in(replaces) {
            let may = self.may_replace(origin, call, leg, may_pick_up);
            let refused = || Reject::because(403, "Not Allowed To Take The Call");
            return may.then_some((key, Place::Rings)).ok_or_else(refused);
        }
        let place = call.place_in(replaces);
        if place.is_none() && call.rang_in(replaces) {
            return Err(Reject::because(603, "Does Not Ring Any More"));
        }
        let leg = place.ok_or_else(gone)?;
        if replaces.early_only {
            return Err(Reject::because(486, "Answered Already"));
        }
        if call.is_at_mixer() || !self.may_replace(origin, call, leg, names_him) {
            return Err(Reject::because(403, "Not Allowed To Replace"));
        }
        Ok((key, Place::Talks(leg)))
    }

    fn take_place(
        &mut self,
        origin: Device,
        (key, place): (Key, Place),
        replaces: &Replaces,
        incoming: &Incoming<'_>,
    ) -> Result<(), Reject> {
        match place {
            Place::Rings => self.pick_up(origin, key, replaces, incoming),
            Place::Talks(leg) => {
                self.call(key, |call, rooms| call.taken_over(rooms, leg, origin, incoming));
                Ok(())
            }
        }
    }

    /// Whether the INVITE waits for a media server first, as that of a caller does whose leg is anchored. Who speaks plain
    /// RTP goes without where there is none.
    ///
    /// # Errors
    /// 488: browser and phone do not understand each other, and there is no media server.
    fn is_described_first(
        &mut self,
        key: Key,
        origin: Device,
        incoming: &Incoming<'_>,
    ) -> Result<bool, Reject> {
        let Incoming { txn, flow, message, .. } = *incoming;
        let unbridged = self.calls.get(key).is_some_and(Call::is_unbridged);
        let rooms = &mut self.rooms;
        let media = media_of(&rooms.directory, origin);
        let profile = media.and_then(|media| media.of_caller(flow.transport, message.body()));
        let browser = profile.as_ref().is_some_and(|profile| profile.speaks == Speaks::WebRtc);
        let alone = || {
            let why = Unbridged::unconfigured();
            Reject::because(488, "No Media Server Between Browser And Phone")
                .with(HeaderName::Warning, why.warning())
        };
        let Some(profile) = profile.filter(|_| !unbridged) else {
            return if unbridged && !browser { Err(alone()) } else { Ok(false) };
        };
        let taker = Taker { txn, flow, message: message.detach(), device: origin };
        if rooms.directory.options.media && rooms.anchors.begin_taker(key, profile, taker, rooms.now) {
            return Ok(true);
        }
        if browser { Err(alone()) } else { Ok(false) }
    }

    /// The call that has a dialog of this name, told from either end.
    fn call_in(&self, replaces: &Replaces) -> Option<Key> {
        let tags = [&replaces.to_tag, &replaces.from_tag];
        tags.into_iter().find_map(|tag| self.rooms.tags.get(&Tag::parse(tag)?).copied())
    }

    /// A call that rings is taken. One that is offered by a queue leaves it, as if its agent had sent it on; somebody who is
    /// called beside a conversation comes into it first.
    fn pick_up(
        &mut self,
        origin: Device,
        key: Key,
        replaces: &Replaces,
        incoming: &Incoming<'_>,
    ) -> Result<(), Reject> {
        let refusal = self.rooms.directory.session_timer(origin).refusal(incoming.message);
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        if self.calls.get(key).is_some_and(Call::is_aside) {
            self.calls.bring_in(&mut self.rooms, key);
        }
        let key = self.call_in(replaces).ok_or_else(gone)?;
        let call = self.calls.get(key).ok_or_else(gone)?;
        if call.is_aside() {
            return Err(Reject::because(491, "A Transfer Is Under Way"));
        }
        let leg = call.rings_in(replaces).ok_or_else(gone)?;
        let name = Rooms::shared_name(&self.rooms.directory, origin).unwrap_or_default();
        if let Some(conn) = self.floor.tcalls.conn_of(key) {
            self.leaves_queue(conn, Some(&name));
        }
        self.call(key, |call, rooms| call.picked_up(rooms, leg, origin, incoming));
        Ok(())
    }

    /// Whether a device may do this at the place of a leg: it is its own, or the peer site asks, or `may` says so.
    fn may_replace(&self, origin: Device, call: &Call, leg: LegNo, may: May) -> bool {
        let directory = &self.rooms.directory;
        let Device::Extension(dn) = origin else { return routing::is_peer(directory, origin) };
        let Some(number) = directory.extension(dn).map(|extension| &extension.number) else { return false };
        let place = call.name_at(leg);
        place.as_ref() == Some(number)
            || place
                .and_then(|place| directory.find(place.as_bytes()))
                .is_some_and(|place| may(directory, place, number))
    }
}

/// What is taken.
#[derive(Clone, Copy)]
enum Place {
    /// A call, from where it rings.
    Rings,
    /// A party's place in an answered call.
    Talks(LegNo),
}

/// The dialog that an INVITE names.
fn named(incoming: &Incoming<'_>) -> Result<Replaces, Reject> {
    let mut values = incoming.message.lines(HeaderName::Replaces);
    let replaces = values.next().and_then(Replaces::parse).filter(|_| values.next().is_none());
    replaces.ok_or_else(|| Reject::because(400, "Bad Replaces"))
}

type May = fn(&Directory, DnId, &Arc<str>) -> bool;

/// Who is not named may look, and no more.
fn names_him(directory: &Directory, place: DnId, number: &Arc<str>) -> bool {
    let watchers = directory.dialog_watchers(place);
    matches!(watchers, Watchers::Only(_)) && watchers.may(number)
}

fn may_pick_up(directory: &Directory, place: DnId, number: &Arc<str>) -> bool {
    match directory.call_pickup(place) {
        Pickup::Named => names_him(directory, place, number),
        Pickup::Watchers => directory.dialog_watchers(place).may(number),
        Pickup::Own => false,
    }
}

fn gone() -> Reject {
    Reject::because(481, "No Such Dialog To Replace")
}
