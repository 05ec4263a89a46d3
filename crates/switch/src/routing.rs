//! Where a call goes: the dialled number, the dial plan, and Business Continuity Forwarding.

pub mod contacts;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tandem_peer::continuity::{
    CallKind, Decision, DrForward, Facts, How, Mode, Originator, Rule, Verdict, decide,
};
use tandem_sip::{Envelope, HeaderName, Message, Uri};

use crate::agent::Agents;
use crate::call::control::Onward;
use crate::call::{Carried, SessionIds, Stage, Target, has_marker};
use crate::directory::{Directory, DnId, FloorDn, Trunk, TrunkId};
use crate::event::Event;
use crate::explain::{Absent, What};
use crate::limits::RETRY_AFTER_S;
use crate::reject::Reject;
use crate::rooms::{Device, Rooms};
use crate::trunks::Full;

/// Where a number leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Places to try, in order.
    Try(Vec<Stage>),
    /// The call waits at this queue or routing point.
    Wait(Arc<str>),
}

/// What is done with a call.
#[derive(Debug)]
pub struct Route {
    /// Where it goes; or the refusal, a 302 to the peer included.
    pub outcome: Result<Way, Reject>,
    /// How it was found.
    pub steps: Vec<What>,
    /// How long it may ring.
    pub ring_timeout: Duration,
}

/// What a request does with a call.
#[derive(Debug)]
pub enum Onwards {
    /// It is sent there.
    To(Onward),
    /// It waits at this queue or routing point.
    Park(Arc<str>),
}

/// A call that looks for its way.
#[derive(Debug)]
struct Seeker<'a> {
    origin: Device,
    dialled: &'a [u8],
    caller: Cow<'a, str>,
    kind: CallKind,
    originator: Originator,
    marked: bool,
    max_forwards: u8,
    /// It is an INVITE: it may have been forwarded here.
    is_invite: bool,
    /// It may go where the dial plan leads.
    may_dial_out: bool,
    /// On whose account it leaves the switch.
    payer: Option<DnId>,
}

/// Finds where a call from `origin` goes.
#[must_use]
pub fn route(
    rooms: &mut Rooms,
    agents: &Agents,
    origin: Device,
    request: &Message,
    env: &Envelope<'_>,
) -> Route {
    let asked = request.request_uri().unwrap_or_default();
    let temporary = request.request_uri().and_then(|uri| rooms.gruus.number(&Uri::parse(uri).ok()?));
    let dialled = temporary.or_else(|| dialled(request));
    let emergency = rooms.directory.options.emergency.asked(asked, dialled.as_deref());
    let help = emergency.map(|number| number.dialled.as_bytes().to_vec());
    let Some(dialled) = help.or(dialled) else {
        let ring_timeout = rooms.directory.options.ring_timeout;
        return Route { outcome: Err(Reject::new(484)), steps: Vec::new(), ring_timeout };
    };
    if emergency.is_none()
        && let Some(route) = kept_out(rooms, origin)
    {
        return route;
    }
    let is_trunk = matches!(origin, Device::Trunk(_));
    let seeker = Seeker {
        origin,
        dialled: &dialled,
        caller: caller_key(env),
        kind: if is_trunk { CallKind::Inbound } else { CallKind::Internal },
        originator: originator(&rooms.directory, origin),
        marked: has_marker(request),
        max_forwards: env.max_forwards.unwrap_or(70),
        is_invite: true,
        may_dial_out: !is_trunk,
        payer: extension_of(origin),
    };
    seek(rooms, agents, &seeker)
}

/// A call that comes over a trunk which takes no further one. It is worth another try when a call is over, or a second.
fn kept_out(rooms: &mut Rooms, origin: Device) -> Option<Route> {
    let Device::Trunk(id) = origin else { return None };
    let directory = Arc::clone(&rooms.directory);
    let trunk = directory.trunk(id).filter(|trunk| trunk.capacity.limit_inbound)?;
    let full = rooms.trunks.load.admit(trunk, rooms.now.mono).err()?;
    let after_s = match full {
        Full::Capacity(_) => RETRY_AFTER_S,
        Full::Rate(_) => 1,
    };
    let refusal =
        Reject::because(503, "Trunk Capacity Reached").with(HeaderName::RetryAfter, after_s.to_string());
    let steps = vec![What::TrunkFull(origin, full)];
    Some(Route { outcome: Err(refusal), steps, ring_timeout: directory.options.ring_timeout })
}

/// Finds where a request sends a call of `origin` and `caller`: one that it makes, a consultation, a transferred or
/// waiting one. Such a call is never redirected by 302: it has no INVITE, or one that has been told of progress. Only
/// requests for DNs of this switch come here, so the dial plan holds whoever the caller is. `payer` is the Extension that
/// sends the call on, if it is not the caller himself; `ring_timeout` replaces the DN's own.
///
/// # Errors
/// 404 for a number that leads nowhere, 403 for one that a limit of the payer bars.
#[expect(clippy::too_many_arguments, reason = "each is a fact of its own, and callers differ in all of them")]
pub fn onward(
    rooms: &mut Rooms,
    agents: &Agents,
    origin: Device,
    dialled: &[u8],
    caller: &[u8],
    kind: CallKind,
    payer: Option<DnId>,
    ring_timeout: Option<Duration>,
    carried: Carried,
) -> Result<Onwards, Reject> {
    let seeker = Seeker {
        origin,
        dialled,
        caller: String::from_utf8_lossy(caller),
        kind,
        originator: Originator::ExternalInPath,
        marked: false,
        max_forwards: 70,
        is_invite: false,
        may_dial_out: true,
        payer: payer.or(extension_of(origin)),
    };
    let found = seek(rooms, agents, &seeker);
    onwards(found, dialled, ring_timeout, carried)
}

/// Finds where a party sends its call by REFER: as if it had dialled the number itself, so that a trunk reaches DNs of this
/// switch only. Such a call is never redirected by 302.
///
/// # Errors
/// 404 for a number that leads nowhere.
pub fn referred(
    rooms: &mut Rooms,
    agents: &Agents,
    origin: Device,
    dialled: &[u8],
    caller: &[u8],
    carried: Carried,
) -> Result<Onwards, Reject> {
    let seeker = Seeker {
        origin,
        dialled,
        caller: String::from_utf8_lossy(caller),
        kind: CallKind::Transfer,
        originator: Originator::ExternalInPath,
        marked: false,
        max_forwards: 70,
        is_invite: false,
        may_dial_out: !matches!(origin, Device::Trunk(_)),
        payer: extension_of(origin),
    };
    let found = seek(rooms, agents, &seeker);
    onwards(found, dialled, None, carried)
}

fn onwards(
    found: Route,
    dialled: &[u8],
    ring_timeout: Option<Duration>,
    carried: Carried,
) -> Result<Onwards, Reject> {
    Ok(match found.outcome? {
        Way::Wait(number) => Onwards::Park(number),
        Way::Try(stages) => Onwards::To(Onward {
            to: dialled.into(),
            stages,
            steps: found.steps,
            ring_timeout: ring_timeout.unwrap_or(found.ring_timeout),
            carried,
        }),
    })
}

fn seek(rooms: &mut Rooms, agents: &Agents, seeker: &Seeker<'_>) -> Route {
    let directory = Arc::clone(&rooms.directory);
    let number = seeker.dialled;
    let is_dn = directory.find(number).is_some() || directory.floor_dn(number).is_some();
    let number = if is_dn { Cow::Borrowed(number) } else { without_separators(number) };
    let seeker = &Seeker { dialled: &number, caller: Cow::Borrowed(&seeker.caller), ..*seeker };
    let ring_timeout = directory.options.ring_timeout;
    if let Some(route) = to_help(&directory, seeker) {
        return route;
    }
    if let Some(dn) = directory.find(seeker.dialled) {
        let ring_timeout = directory.extension(dn).and_then(|e| e.class.ring_timeout).unwrap_or(ring_timeout);
        let (outcome, steps) = to_extension(rooms, agents, &directory, dn, seeker);
        return Route { outcome: outcome.map(Way::Try), steps, ring_timeout };
    }
    if let Some(number) = directory.floor_dn(seeker.dialled).and_then(|dn| floor_number(&directory, dn)) {
        return to_floor(rooms, &directory, &number, seeker);
    }
    let Some((place, rule)) = directory
        .dial_plan()
        .iter()
        .enumerate()
        .find(|(_, rule)| seeker.dialled.starts_with(rule.prefix.as_bytes()))
    else {
        return Route { outcome: Err(Reject::new(404)), steps: Vec::new(), ring_timeout };
    };
    if !seeker.may_dial_out {
        // Only a DN of this switch may dial out: a trunk that could would make this server a toll-free exchange for
        // anybody.
        let refusal = Reject::because(404, "Not Found (a trunk reaches DNs of this switch only)");
        return Route { outcome: Err(refusal), steps: Vec::new(), ring_timeout };
    }
    let mut steps = vec![What::MatchedRule(place)];
    if let Err(refusal) = on_account(rooms, &directory, seeker, &mut steps) {
        return Route { outcome: Err(refusal), steps, ring_timeout };
    }
    let mut out = rule.add.as_bytes().to_vec();
    out.extend_from_slice(seeker.dialled.get(rule.strip..).unwrap_or_default());
    let stages = rule.trunks.iter().map(|trunk| Stage::Trunk(*trunk, out.as_slice().into())).collect();
    Route { outcome: Ok(Way::Try(stages)), steps, ring_timeout }
}

/// The way of an emergency call of this switch, or of one that the peer site passes on: the emergency trunks in order.
fn to_help(directory: &Directory, seeker: &Seeker<'_>) -> Option<Route> {
    let emergency = &directory.options.emergency;
    let number = emergency.dialled(seeker.dialled)?;
    if !seeker.may_dial_out && !is_peer(directory, seeker.origin) {
        return None;
    }
    let stage = |trunk: &TrunkId| Stage::Trunk(*trunk, number.sent.as_bytes().into());
    Some(Route {
        outcome: Ok(Way::Try(emergency.trunks.iter().map(stage).collect())),
        steps: vec![What::Emergency(number.sent.clone())],
        ring_timeout: directory.options.ring_timeout,
    })
}

/// A call that leaves the switch, on the account of whoever causes it.
fn on_account(
    rooms: &mut Rooms,
    directory: &Directory,
    seeker: &Seeker<'_>,
    steps: &mut Vec<What>,
) -> Result<(), Reject> {
    let Some(payer) = seeker.payer.and_then(|dn| directory.extension(dn)) else { return Ok(()) };
    let limits = payer.class.toll.or(&directory.options.toll);
    let dn = &payer.number;
    if let Err(rule) = rooms.ledger.admit(dn, &limits, seeker.dialled, rooms.now) {
        rooms.counters.toll_barred += 1;
        let dialled = crate::guard::incident::readable(seeker.dialled);
        rooms.report(Event::TollBarred { dn: Arc::clone(dn), dialled, rule });
        steps.push(What::TollBarred(Box::new((Arc::clone(dn), rule))));
        let text = format!("SIP;cause=403;text=\"{rule}\"");
        return Err(
            Reject::because(403, "Forbidden (limit of external calls)").with(HeaderName::Reason, text)
        );
    }
    if limits.counts() {
        steps.push(What::External(Arc::clone(dn)));
    }
    Ok(())
}

fn extension_of(device: Device) -> Option<DnId> {
    match device {
        Device::Extension(dn) => Some(dn),
        Device::Trunk(_) | Device::Mixer => None,
    }
}

/// A call for a queue or routing point waits here, unless graceful migration sends it to the peer: a new call, once, and
/// only while the peer is there. In the signalling path it comes back here when the peer does not take it.
fn to_floor(rooms: &mut Rooms, directory: &Directory, number: &Arc<str>, seeker: &Seeker<'_>) -> Route {
    let ring_timeout = directory.options.ring_timeout;
    let here = || Ok(Way::Wait(Arc::clone(number)));
    let Seeker { origin, caller, .. } = seeker;
    let is_new =
        seeker.is_invite && !seeker.marked && seeker.max_forwards > 1 && !is_peer(directory, *origin);
    let peer = directory.options.dr_peer_trunk.filter(|_| {
        is_new
            && rooms.trunks.mode() == Mode::Peered
            && !rooms.trunks.redirects.is_recent(number, caller, rooms.now.mono)
    });
    let turn = peer.and_then(|_| rooms.share.as_mut()?.turn(number));
    let (Some(peer), Some(turn)) = (peer, turn) else {
        return Route { outcome: here(), steps: Vec::new(), ring_timeout };
    };
    rooms.counters.calls_migrated += u64::from(turn.goes);
    let outcome = if !turn.goes {
        here()
    } else if seeker.originator == Originator::ExternalRedirectable {
        rooms.trunks.redirects.remember(number, caller, rooms.now.mono);
        Err(redirect(directory, peer, number.as_bytes()))
    } else {
        Ok(Way::Try(vec![Stage::PeerQueue(peer, number.as_bytes().into()), Stage::Wait(Arc::clone(number))]))
    };
    Route { outcome, steps: vec![What::Migrates(turn)], ring_timeout }
}

fn floor_number(directory: &Directory, dn: FloorDn) -> Option<Arc<str>> {
    let floor = directory.floor();
    match dn {
        FloorDn::Queue(place) => floor.queues.get(place).map(|queue| Arc::clone(&queue.number)),
        FloorDn::RoutingPoint(place) => {
            floor.routing_points.get(place).map(|point| Arc::clone(&point.number))
        }
    }
}

fn to_extension(
    rooms: &mut Rooms,
    agents: &Agents,
    directory: &Directory,
    dn: DnId,
    seeker: &Seeker<'_>,
) -> (Result<Vec<Stage>, Reject>, Vec<What>) {
    let mut steps = vec![What::IsExtension(Device::Extension(dn))];
    let Some(extension) = directory.extension(dn) else { return (Err(Reject::new(404)), steps) };
    let Seeker { origin, caller, .. } = seeker;
    let dr_forward = DrForward::effective(directory.options.dr_forward, extension.class.dr_forward);
    let facts = Facts {
        mode: rooms.trunks.mode(),
        dr_forward,
        call: seeker.kind,
        originator: seeker.originator,
        from_peer: is_peer(directory, *origin),
        marked: seeker.marked,
        max_forwards: seeker.max_forwards,
        redirected_recently: rooms.trunks.redirects.is_recent(&extension.number, caller, rooms.now.mono),
        endpoint_in_service: in_service(rooms, directory, dn),
        agent_logged_in: agents.is_logged_in(&extension.number),
    };
    if seeker.is_invite && (facts.from_peer || facts.marked) {
        rooms.counters.forwards_received += 1;
    }
    let decision: Decision = decide(&facts);
    steps.push(What::Continuity { decision, mode: facts.mode, dr_forward: facts.dr_forward });
    let here = Stage::Extension(dn);
    let peer = directory.options.dr_peer_trunk;
    let outcome = match (decision.verdict, peer) {
        (Verdict::Local, Some(peer))
            if decision.rule == Rule::EndpointInService && seeker.max_forwards > 1 =>
        {
            // The registration says that the phone is here, and may outlive it. Where nobody is, the peer is asked.
            let here = [here].into_iter();
            let there = rooms.registrar.registered(dn);
            let there = there.then(|| Stage::Peer(peer, extension.number.as_bytes().into()));
            Ok(here.chain(there).collect())
        }
        (Verdict::Local, _) | (Verdict::Forward(_), None) => Ok(vec![here]),
        (Verdict::Forward(How::InPath), Some(peer)) => {
            rooms.counters.forwards_in_path += 1;
            Ok(vec![Stage::Peer(peer, extension.number.as_bytes().into()), here])
        }
        (Verdict::Forward(How::Redirect302), Some(peer)) => {
            rooms.counters.forwards_redirected += 1;
            rooms.trunks.redirects.remember(&extension.number, caller, rooms.now.mono);
            Err(redirect(directory, peer, extension.number.as_bytes()))
        }
    };
    (outcome, steps)
}

/// What tells one caller from another for loop guard d; a caller without a name is told by his call.
fn caller_key<'a>(env: &Envelope<'a>) -> Cow<'a, str> {
    let user = env.from.uri().ok().and_then(|uri| uri.user()).unwrap_or_default();
    let named = !user.is_empty() && !user.eq_ignore_ascii_case(b"anonymous");
    String::from_utf8_lossy(if named { user } else { env.call_id })
}

/// How a call that this site cannot serve reaches the peer.
#[derive(Debug)]
pub enum ToPeer {
    /// Contact of a 302: the caller calls there himself.
    Redirect(Box<[u8]>),
    /// In the signalling path.
    InPath(Onward),
}

/// The way of a call of `origin` for `number` to the same number at the peer, whatever `dr-forward` says: this site takes
/// nothing new. `None` when the peer is not in service, or the call came from there. `redirects`: the caller waits for a
/// final response, so he can be redirected if his side allows it.
#[must_use]
pub fn to_peer(
    rooms: &Rooms,
    origin: Device,
    number: &str,
    redirects: bool,
    carried: Carried,
) -> Option<ToPeer> {
    let directory = &rooms.directory;
    let peer = directory.options.dr_peer_trunk.filter(|peer| rooms.trunks.in_service(*peer))?;
    if is_peer(directory, origin) {
        return None;
    }
    if redirects && originator(directory, origin) == Originator::ExternalRedirectable {
        return Some(ToPeer::Redirect(peer_contact(directory, peer, number.as_bytes())?.into_boxed_slice()));
    }
    Some(ToPeer::InPath(Onward {
        to: number.as_bytes().into(),
        stages: vec![Stage::PeerQueue(peer, number.as_bytes().into())],
        steps: Vec::new(),
        ring_timeout: directory.options.ring_timeout,
        carried,
    }))
}

/// The number that an INVITE is for.
#[must_use]
pub fn dialled(request: &Message) -> Option<Vec<u8>> {
    number(&request.request_uri().and_then(|uri| Uri::parse(uri).ok())?)
}

/// A 302 to the peer, marked so that the peer does not send it back (loop guard b).
#[must_use]
pub fn redirect(directory: &Directory, peer: TrunkId, number: &[u8]) -> Reject {
    match peer_contact(directory, peer, number) {
        Some(contact) => Reject::new(302).with(HeaderName::Contact, contact),
        None => Reject::new(480),
    }
}

fn peer_contact(directory: &Directory, peer: TrunkId, number: &[u8]) -> Option<Vec<u8>> {
    let trunk = directory.trunk(peer)?;
    let mut contact = vec![b'<'];
    contact.extend_from_slice(&with_user(&trunk.contact.uri, number));
    contact.extend_from_slice(b";x-tandem-forwarded=");
    contact.extend(
        directory.server.name.bytes().map(|b| if b.is_ascii_alphanumeric() || b == b'-' { b } else { b'_' }),
    );
    contact.push(b'>');
    Some(contact)
}

fn originator(directory: &Directory, origin: Device) -> Originator {
    match origin {
        Device::Extension(_) | Device::Mixer => Originator::Internal,
        Device::Trunk(id) if directory.trunk(id).is_some_and(|t| t.oosp_transfer_enabled) => {
            Originator::ExternalRedirectable
        }
        Device::Trunk(_) => Originator::ExternalInPath,
    }
}

/// Whether a device is the peer trunk.
#[must_use]
pub fn is_peer(directory: &Directory, origin: Device) -> bool {
    matches!(origin, Device::Trunk(id) if directory.options.dr_peer_trunk == Some(id))
}

/// Whether an Extension can be rung here: registered, or static and not known to be dead.
#[must_use]
pub fn in_service(rooms: &Rooms, directory: &Directory, dn: DnId) -> bool {
    let is_static = directory.extension(dn).is_some_and(|extension| extension.class.contact.is_some());
    if is_static { rooms.trunks.extension_answers(dn) != Some(false) } else { rooms.registrar.registered(dn) }
}

/// Where the INVITEs of one place go: those of an Extension all at once, those of a trunk one after the other.
///
/// # Errors
/// The device that cannot be reached, and why.
pub fn targets(
    rooms: &mut Rooms,
    directory: &Arc<Directory>,
    stage: &Stage,
) -> Result<SmallVec<[Target; 2]>, (Device, Absent)> {
    match stage {
        Stage::Extension(dn) => extension_targets(rooms, directory, *dn),
        Stage::Trunk(id, number) => trunk_targets(rooms, directory, *id, number, false),
        Stage::Peer(id, number) | Stage::PeerQueue(id, number) => {
            trunk_targets(rooms, directory, *id, number, true)
        }
        Stage::Mixer(conference) => mixer_target(rooms, conference),
        // Nobody is rung: the call waits.
        Stage::Wait(_) => Ok(SmallVec::new()),
    }
}

/// The mixer is the current one, whatever the directory under which the call began.
fn mixer_target(rooms: &Rooms, conference: &str) -> Result<SmallVec<[Target; 2]>, (Device, Absent)> {
    let device = Device::Mixer;
    let mixer = rooms.directory.floor().mixer.as_ref().ok_or((device, Absent::OutOfService))?;
    let addr = mixer.contact.addr.ok_or((device, Absent::Unresolved))?;
    let uri = mixer.contact.uri.replace("{conference}", conference).into_bytes().into_boxed_slice();
    let flow = rooms.flow_to(mixer.contact.transport, addr);
    Ok(smallvec::smallvec![Target {
        device,
        uri,
        flow,
        nat: false,
        marked: false,
        carried: None,
        presented: None,
        session_ids: SessionIds::default(),
        reliable: false,
        answers: None,
        contact: None
    }])
}

fn extension_targets(
    rooms: &Rooms,
    directory: &Arc<Directory>,
    dn: DnId,
) -> Result<SmallVec<[Target; 2]>, (Device, Absent)> {
    let device = Device::Extension(dn);
    let absent = |why| (device, why);
    let extension = directory.extension(dn).ok_or(absent(Absent::NotRegistered))?;
    let now = match rooms.now_called(directory, device) {
        Some(Device::Extension(id)) => id,
        Some(Device::Trunk(_) | Device::Mixer) | None => return Err(absent(Absent::NotRegistered)),
    };
    if let Some(contact) = &extension.class.contact {
        if rooms.trunks.extension_answers(now) == Some(false) {
            return Err(absent(Absent::OutOfService));
        }
        let addr = contact.addr.ok_or(absent(Absent::Unresolved))?;
        let uri = contact.uri.replace("{number}", &extension.number).into_bytes().into_boxed_slice();
        let flow = rooms.flow_to(contact.transport, addr);
        return Ok(smallvec::smallvec![Target {
            device,
            uri,
            flow,
            nat: false,
            marked: false,
            carried: None,
            presented: None,
            session_ids: SessionIds::default(),
            reliable: false,
            answers: None,
            contact: None
        }]);
    }
    let found = contacts::targets(&rooms.registrar, device, now);
    if !found.is_empty() {
        return Ok(found);
    }
    let suspended = rooms.registrar.is_suspended(now);
    Err(absent(if suspended { Absent::Suspended } else { Absent::NotRegistered }))
}

fn trunk_targets(
    rooms: &mut Rooms,
    directory: &Arc<Directory>,
    id: TrunkId,
    number: &[u8],
    marked: bool,
) -> Result<SmallVec<[Target; 2]>, (Device, Absent)> {
    let device = Device::Trunk(id);
    let trunk: &Trunk = directory.trunk(id).ok_or((device, Absent::OutOfService))?;
    let now = match rooms.now_called(directory, device) {
        Some(Device::Trunk(now)) => now,
        Some(Device::Extension(_) | Device::Mixer) | None => return Err((device, Absent::OutOfService)),
    };
    // Help is called for over a trunk that is believed lost, too: nothing is lost by asking it.
    let for_help = !marked && directory.options.emergency.trunks.contains(&id) && is_help(directory, number);
    if !for_help && !rooms.trunks.in_service(now) {
        return Err((device, Absent::OutOfService));
    }
    let ids = &mut rooms.ids;
    let draw = |most: u32| u32::try_from(ids.below(u64::from(most) + 1)).unwrap_or(0);
    let ways = if for_help {
        rooms.trunks.ways_for_help(now, rooms.now, draw)
    } else {
        rooms.trunks.ways(now, rooms.now, draw)
    };
    if ways.is_empty() {
        let located = rooms.trunks.targets(now).iter().any(|target| target.at.is_some());
        return Err((device, if located { Absent::LeftAlone } else { Absent::Unresolved }));
    }
    if !for_help && let Err(full) = rooms.trunks.load.admit(trunk, rooms.now.mono) {
        return Err((device, Absent::Full(full)));
    }
    let uri = with_user(&trunk.contact.uri, number).into_boxed_slice();
    let target = |at: &tandem_sip::locate::Candidate| {
        let flow = rooms.flow_to(at.transport, at.addr);
        Target {
            device,
            uri: uri.clone(),
            flow,
            nat: false,
            marked,
            reliable: false,
            carried: None,
            presented: None,
            session_ids: SessionIds::default(),
            answers: None,
            contact: None,
        }
    };
    Ok(ways.iter().map(target).collect())
}

fn is_help(directory: &Directory, number: &[u8]) -> bool {
    directory.options.emergency.numbers.iter().any(|known| known.sent.as_bytes() == number)
}

/// The URI with another user part.
#[must_use]
pub fn with_user(uri: &str, user: &[u8]) -> Vec<u8> {
    let (scheme, rest) = uri.split_once(':').unwrap_or(("sip", uri));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let mut out = Vec::with_capacity(uri.len() + user.len() + 1);
    out.extend_from_slice(scheme.as_bytes());
    out.push(b':');
    out.extend_from_slice(&escaped(user));
    out.push(b'@');
    out.extend_from_slice(host.as_bytes());
    out
}

/// A number as the user part of a URI: what may not stand there is percent-encoded (RFC 3261 25.1).
#[must_use]
pub fn escaped(user: &[u8]) -> Cow<'_, [u8]> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(byte);
    if user.iter().all(plain) {
        return Cow::Borrowed(user);
    }
    let encode = |byte: &u8| if plain(byte) { vec![*byte] } else { format!("%{byte:02X}").into_bytes() };
    Cow::Owned(user.iter().flat_map(encode).collect())
}

/// The dialled number of a Request-URI, without user parameters or the separators of a tel URI.
pub(crate) fn number(uri: &Uri<'_>) -> Option<Vec<u8>> {
    if uri.scheme == tandem_sip::Scheme::Tel {
        return uri.number();
    }
    let user = uri.user_unescaped()?;
    let plain = user.split(|byte| *byte == b';').next().unwrap_or_default();
    (!plain.is_empty()).then(|| plain.to_vec())
}

/// A telephone number as a gateway dials it: without visual separators (RFC 3966 3), so that neither the dial plan nor a
/// limit, nor what is an emergency number, can be written around. What is more than digits and separators stays.
#[must_use]
pub fn without_separators(dialled: &[u8]) -> Cow<'_, [u8]> {
    let separates = |byte: &u8| b"-.()".contains(byte);
    let digits = dialled.strip_prefix(b"+").unwrap_or(dialled);
    let is_number = digits.iter().all(|byte| byte.is_ascii_digit() || separates(byte));
    if !is_number || !digits.iter().any(u8::is_ascii_digit) || !digits.iter().any(separates) {
        return Cow::Borrowed(dialled);
    }
    Cow::Owned(dialled.iter().copied().filter(|byte| !separates(byte)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_replaces_the_one_in_a_contact() {
        for (uri, wanted) in [
            ("sip:10.0.0.1:5070", "sip:1001@10.0.0.1:5070"),
            ("sip:gw@10.0.0.1;transport=tcp", "sip:1001@10.0.0.1;transport=tcp"),
            ("sip:[::1]:5060", "sip:1001@[::1]:5060"),
        ] {
            assert_eq!(with_user(uri, b"1001"), wanted.as_bytes());
        }
    }

    #[test]
    fn numbers_come_from_sip_and_tel_uris() {
        for (uri, wanted) in [
            ("sip:1001@a", "1001"),
            ("sip:1%30@a", "10"),
            ("sip:+49;ext=1@a", "+49"),
            ("tel:+1-201-555", "+1201555"),
        ] {
            assert_eq!(number(&Uri::parse(uri.as_bytes()).unwrap()).unwrap(), wanted.as_bytes());
        }
        assert_eq!(number(&Uri::parse(b"sip:host").unwrap()), None);
    }

    #[test]
    fn separators_are_no_part_of_a_telephone_number() {
        for (dialled, wanted) in [
            ("1-1-2", "112"),
            ("(0).0(44)", "0044"),
            ("+49-30-1", "+49301"),
            ("0900", "0900"),
            ("a.b-1", "a.b-1"),
            ("*21-1", "*21-1"),
            ("-.-", "-.-"),
        ] {
            assert_eq!(without_separators(dialled.as_bytes()), wanted.as_bytes(), "{dialled}");
        }
    }
}
