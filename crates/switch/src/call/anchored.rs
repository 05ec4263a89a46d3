//! What a call has to do with the media of its anchored legs: it says which legs are anchored, waits for its caller's
//! description before it rings anybody, and negotiates anew when a media server was lost.

use std::sync::Arc;

use tandem_sip::{Flow, Message, Transport};

use super::arrange::{Aim, Move};
use super::best::Best;
use super::branch::{Branch, Target};
use super::exchange::Exchange;
use super::hold::Hold;
use super::leg::Side;
use super::news::News;
use super::record::EndReason;
use super::setup::{Caller, Setup};
use super::{Call, Phase};
use crate::anchor::{MediaOption, Profile, Speaks, Unbridged};
use crate::cdr::EndedBy;
use crate::directory::Directory;
use crate::explain::What;
use crate::ids::Tag;
use crate::rooms::{Device, Rooms};
use crate::routing::Way;

/// What is still to be done with a call whose caller's description is not known to callees yet.
#[derive(Debug)]
pub(super) enum Undescribed {
    /// The media server is asked; then the call goes this way.
    Asked(Way),
    /// Callees are told the caller's own description, which few can take: no media server works.
    Unbridged(Unbridged),
}

/// What the configuration says of a device's media.
#[must_use]
pub fn media_of(directory: &Directory, device: Device) -> Option<&MediaOption> {
    match device {
        Device::Extension(id) => directory.extension(id).map(|extension| &extension.class.media),
        Device::Trunk(id) => directory.trunk(id).map(|trunk| &trunk.media),
        Device::Mixer => None,
    }
}

impl Setup {
    /// Whether a media server is describing the caller.
    pub(super) fn is_undescribed(&self) -> bool {
        matches!(self.undescribed.as_deref(), Some(Undescribed::Asked(_)))
    }
}

impl Call {
    /// Sends the call on its way; first its caller's description is taken to the media server, if his leg is anchored.
    pub(super) fn set_out(&mut self, rooms: &mut Rooms, mut setup: Box<Setup>, way: Way) {
        let profile = self.caller_profile(&setup);
        let (Some(profile), Caller::Invite(..)) = (profile, &setup.caller) else {
            return self.go(rooms, setup, way);
        };
        if rooms.anchors.has(&setup.request) {
            // Taken up again: its request has been described.
            return self.go(rooms, setup, way);
        }
        if !rooms.directory.options.media {
            return self.go_unbridged(rooms, setup, way, &profile, Unbridged::unconfigured());
        }
        if !rooms.anchors.begin_caller(self.key, setup.tag, profile.clone(), &setup.request, rooms.now) {
            let why = Unbridged { why: "too many legs are anchored".into(), refused: false };
            self.go_unbridged(rooms, setup, way, &profile, why);
            return self.waits_from_now(rooms);
        }
        if setup.request.body().is_empty() {
            return self.go(rooms, setup, way);
        }
        setup.undescribed = Some(Box::new(Undescribed::Asked(way)));
        self.phase = Phase::Setup(setup);
    }

    fn caller_profile(&self, setup: &Setup) -> Option<Profile> {
        let Caller::Invite(_, flow) = setup.caller else { return None };
        self.profile_of(flow, &setup.request)
    }

    fn profile_of(&self, flow: Flow, request: &Message) -> Option<Profile> {
        let device = self.legs.first()?.device;
        media_of(&self.directory, device)?.of_caller(flow.transport, request.body())
    }

    /// Whether a media server is to describe the caller before anything else happens to the call: what would be asked of
    /// it meanwhile could not be done.
    pub(super) fn is_described_first(&self, rooms: &Rooms, flow: Flow, request: &Message) -> bool {
        let described = rooms.directory.options.media && !request.body().is_empty();
        described && self.profile_of(flow, request).is_some()
    }

    /// Whether its caller is being described: it goes where it was to go then, whatever happens to it meanwhile.
    pub(super) fn is_undescribed(&self) -> bool {
        matches!(&self.phase, Phase::Setup(setup) if setup.is_undescribed())
    }

    /// The call was to be described first, and is at its queue or routing point only now.
    fn waits_from_now(&self, rooms: &mut Rooms) {
        let Phase::Setup(setup) = &self.phase else { return };
        if let Some(at) = setup.waits_at().cloned() {
            self.tell(rooms, News::Parked { at });
        }
    }

    fn go(&mut self, rooms: &mut Rooms, mut setup: Box<Setup>, way: Way) {
        match way {
            Way::Try(stages) => {
                setup.stages = stages.into();
                self.advance(rooms, setup);
            }
            Way::Wait(at) => self.wait_at(rooms, setup, at),
        }
    }

    /// No media server works. Who speaks plain RTP goes without; a browser can still talk to browsers.
    fn go_unbridged(
        &mut self,
        rooms: &mut Rooms,
        mut setup: Box<Setup>,
        way: Way,
        profile: &Profile,
        why: Unbridged,
    ) {
        if profile.speaks == Speaks::Rtp {
            return self.go(rooms, setup, way);
        }
        self.unbridged(rooms, &why);
        if matches!(way, Way::Wait(_)) {
            let best = Best::saying(why.status(), &why.warning());
            let status = best.told();
            return self.finish_setup(rooms, *setup, &best, EndedBy::Server, EndReason::Status(status));
        }
        setup.undescribed = Some(Box::new(Undescribed::Unbridged(why)));
        self.go(rooms, setup, way);
    }

    /// The caller's description, as callees are told it.
    pub fn caller_described(&mut self, rooms: &mut Rooms, outcome: Result<Message, Unbridged>) {
        let Some(mut setup) = self.take_setup() else { return };
        let way = match setup.undescribed.take().map(|undescribed| *undescribed) {
            Some(Undescribed::Asked(way)) => way,
            other @ (Some(Undescribed::Unbridged(_)) | None) => {
                setup.undescribed = other.map(Box::new);
                self.phase = Phase::Setup(setup);
                return;
            }
        };
        match outcome {
            Ok(request) => {
                setup.request = request.detach();
                self.go(rooms, setup, way);
            }
            Err(why) => match self.caller_profile(&setup) {
                Some(profile) => self.go_unbridged(rooms, setup, way, &profile, why),
                None => self.go(rooms, setup, way),
            },
        }
        self.waits_from_now(rooms);
    }

    /// Whether a callee can be rung, and how his leg is anchored.
    ///
    /// # Errors
    /// What the caller is told: he speaks as browsers do, the callee does not, and no media server works.
    pub(super) fn anchoring(
        &mut self,
        rooms: &Rooms,
        setup: &Setup,
        target: &Target,
    ) -> Result<Option<Profile>, Box<Best>> {
        let media = media_of(&self.directory, target.device);
        let profile = media.and_then(|media| media.of_callee(target.flow.transport));
        match setup.undescribed.as_deref() {
            Some(Undescribed::Unbridged(why)) => match profile {
                Some(Profile { speaks: Speaks::WebRtc, .. }) => Ok(None),
                Some(Profile { speaks: Speaks::Rtp, .. }) | None => {
                    Err(Box::new(Best::saying(why.status(), &why.warning())))
                }
            },
            Some(Undescribed::Asked(_)) | None => Ok(profile.filter(|_| rooms.directory.options.media)),
        }
    }

    /// Anchors the leg of a branch that was just called; its INVITE has not left yet.
    pub(super) fn anchor(&self, rooms: &mut Rooms, branch: &Branch, profile: Option<Profile>) {
        let Some(profile) = profile else { return };
        let names = [&branch.call_id.text()[..], &branch.tag.text()[..]];
        rooms.anchors.begin(self.key, names, Some(branch.tag), profile, rooms.now);
    }

    /// The same for the phone of who makes a call by request.
    pub(super) fn anchor_own(&self, rooms: &mut Rooms, branch: &Branch, device: Device, by: Transport) {
        let media = media_of(&self.directory, device).filter(|_| rooms.directory.options.media);
        self.anchor(rooms, branch, media.and_then(|media| media.of_callee(by)));
    }

    /// The media of a leg cannot be carried.
    pub fn unbridged(&mut self, rooms: &mut Rooms, why: &Unbridged) {
        self.note(rooms, What::Unbridged(Arc::clone(&why.why)));
    }

    /// A leg has no media, and nothing can be refused any more: the call ends.
    pub fn without_media(&mut self, rooms: &mut Rooms, own: Tag, why: &Unbridged) {
        self.unbridged(rooms, why);
        let Some(side) = self.side_with(own) else { return };
        self.hang_up(rooms, side, EndedBy::Server, EndReason::NoMedia);
    }

    /// What answered the re-INVITE of the party with this tag of ours could not be told to it: whoever answered has his ACK,
    /// and the call is at rest, so that both can be offered new media.
    pub fn refused_instead(&mut self, rooms: &mut Rooms, own: Tag, why: &Unbridged) {
        self.unbridged(rooms, why);
        let side = self.side_with(own);
        let Phase::Talk(talking) = &mut self.phase else { return };
        let Exchange::Answered(answered) = &talking.exchange else { return };
        if Some(answered.from) != side || answered.is_refusal() {
            return;
        }
        let (client, cseq) = (answered.client, answered.client_cseq);
        talking.talk.leg(answered.from.other()).acknowledge(rooms, client, cseq, None);
        talking.exchange = Exchange::Idle;
    }

    fn side_with(&self, own: Tag) -> Option<Side> {
        let Phase::Talk(talking) = &self.phase else { return None };
        let mut sides = [Side::Caller, Side::Callee].into_iter();
        sides.find(|side| Tag::parse(talking.talk.leg(*side).dialog.local_tag()) == Some(own))
    }

    /// The media server that carried the leg with this tag of ours was lost: both ends are described anew, the other one
    /// first, so that the anchored device gets an offer, with which it begins its ICE and DTLS again (RFC 8839 4.4.1.1).
    /// Who is held gets new media when he is taken back.
    pub fn reoffer(&mut self, rooms: &mut Rooms, own: Tag) {
        let Some(side) = self.side_with(own) else { return };
        let Phase::Talk(talking) = &self.phase else { return };
        let held = talking.talk.legs.iter().any(|leg| leg.holds != Hold::No);
        if held || talking.alone.is_some() {
            return;
        }
        self.note(rooms, What::MediaLost(side));
        self.arrange(rooms, Aim::Reoffer, None, &[Move::Connect(side.other())]);
    }

    /// Whether nobody has answered yet.
    #[must_use]
    pub fn is_setting_up(&self) -> bool {
        matches!(self.phase, Phase::Setup(_))
    }

    /// Call-IDs of its legs that have not ended.
    pub fn live_call_ids(&self) -> impl Iterator<Item = Box<[u8]>> {
        self.legs.iter().filter(|leg| leg.ended.is_none()).map(|leg| leg.call_id().as_bytes().into())
    }

    /// Whether one of its legs that have not ended has this Call-ID.
    #[must_use]
    pub fn has_leg(&self, call_id: &[u8]) -> bool {
        self.legs.iter().any(|leg| leg.ended.is_none() && leg.is(call_id))
    }
}
