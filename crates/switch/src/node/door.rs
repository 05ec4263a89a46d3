//! The door: what becomes of a request outside a dialog before anybody looks at what it is for. Trunks, those who call
//! for help and networks in `allow` pass; of the others, in this order: networks that may not come, scanners, who is
//! locked out, who comes too fast. What is left is refused by its class while more comes than is done.
//!
//! Whoever is turned away here leaves nothing behind. What is refused costs its sender's address one answer, whatever it
//! sends again is a new request.

use std::borrow::Cow;

use tandem_sip::{Envelope, Flow, HeaderName, Message, Method};

use super::Node;
use crate::admission::Purpose;
use crate::directory::{DnId, TrunkId, contains};
use crate::event::Event;
use crate::explain::KnownBy;
use crate::guard::{Incident, Manner, Offence, incident, scanners, source_of};
use crate::limits::{LOCKED_PROOF_INTERVAL, MAX_HELD_OUTPUTS};
use crate::overload::{self, Burden, Class, Load};
use crate::reject::Reject;
use crate::rooms::{Device, Rooms};
use crate::routing;
use crate::time::Now;
use crate::view;

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Door {
    /// It comes in.
    Open,
    /// It is refused.
    Refused(Reject),
    /// It is not answered.
    Unheard,
}

impl Node {
    pub(super) fn door(
        &mut self,
        flow: Flow,
        trunk: Option<TrunkId>,
        request: &Message,
        env: &Envelope<'_>,
    ) -> Door {
        let rooms = &mut self.rooms;
        if env.cseq.method == Method::Invite && rooms.asks_for_help(request) {
            return rooms.help_at_the_door(flow, request, env);
        }
        if trunk.is_none() && !rooms.directory.options.guard.allows(flow.remote.ip()) {
            let door = rooms.stranger(flow, request, env);
            if !matches!(door, Door::Open) {
                return door;
            }
        }
        self.under_load(flow, trunk, request, env)
    }

    /// What becomes of it while more comes than is done.
    fn under_load(
        &mut self,
        flow: Flow,
        trunk: Option<TrunkId>,
        request: &Message,
        env: &Envelope<'_>,
    ) -> Door {
        let rooms = &mut self.rooms;
        if rooms.overload.because().is_none() {
            return Door::Open;
        }
        let dn = claimed(env);
        let known = || trunk.is_some() || request.header(HeaderName::Authorization).is_some();
        let class = match env.cseq.method {
            Method::Invite if known() || rooms.is_known_flow(flow, env) => Class::Call,
            Method::Invite => Class::StrangersCall,
            Method::Register if !rooms.has_shown(flow, request, env) => Class::StrangersRegistration,
            Method::Register if self.floor.agents.is_logged_in(&dn) => Class::AgentsRegistration,
            Method::Register => Class::Registration,
            // A trunk that is not answered believes that this server is lost.
            Method::Options if trunk.is_some() => return Door::Open,
            Method::Ack
            | Method::Cancel
            | Method::Bye
            | Method::Prack
            | Method::Update
            | Method::Info
            | Method::Notify => return Door::Open,
            Method::Options
            | Method::Message
            | Method::Subscribe
            | Method::Refer
            | Method::Publish
            | Method::Other => Class::Chat,
        };
        let (admitted, change) = rooms.overload.admits(class, rooms.now.mono);
        if let Some(change) = change {
            rooms.report(Event::Overload(change));
        }
        if admitted {
            return Door::Open;
        }
        let counters = &mut rooms.counters;
        *match class {
            Class::Chat => &mut counters.shed_chat,
            Class::StrangersCall | Class::Call => &mut counters.shed_calls,
            Class::StrangersRegistration | Class::Registration | Class::AgentsRegistration => {
                &mut counters.shed_registrations
            }
        } += 1;
        let dice = rooms.ids.below(overload::SPREAD + 1);
        let after = rooms.overload.retry_after_s(dice).to_string();
        Door::Refused(Reject::because(503, "Overloaded").with(HeaderName::RetryAfter, after))
    }

    /// The driver says how much waits; what waits here is known.
    pub(super) fn load(&mut self, load: Load) {
        let rooms = &mut self.rooms;
        let burdens = [
            (Burden::Behind, overload::behind(load.waits)),
            (Burden::Queue, u32::from(load.queued_percent) * 2),
            (Burden::HeldOutputs, overload::of_half(self.outbox.len(), MAX_HELD_OUTPUTS)),
            (Burden::Transactions, overload::of_half(rooms.endpoint.len(), rooms.endpoint.capacity())),
        ];
        if let Some(change) = rooms.overload.measured(burdens, rooms.now.mono) {
            rooms.report(Event::Overload(change));
        }
    }
}

impl Node {
    pub(super) fn guard_view(&self, now: Now) -> view::Guard {
        view::Guard {
            emergency_calls: self.rooms.ledger.emergencies(),
            external_calls: self.rooms.ledger.external_calls(),
            locked_out: self.rooms.guard.locks.len(now.mono),
            pressure: self.rooms.overload.pressure(),
            overloaded_by: self.rooms.overload.because().map(|burden| burden.to_string()),
        }
    }

    /// `tandem guard list`: who is locked out.
    #[must_use]
    pub fn lock_outs(&self, now: Now) -> Vec<view::LockOut> {
        let held = self.rooms.guard.locks.list(now.mono);
        let view =
            |((source, user), failures, lasts): (&crate::guard::locks::Who, u32, std::time::Duration)| {
                view::LockOut {
                    source: source.to_string(),
                    user: user.as_ref().map(|user| user.to_string()),
                    failures,
                    for_s: lasts.as_secs(),
                }
            };
        held.map(view).collect()
    }
}

impl Rooms {
    fn stranger(&mut self, flow: Flow, request: &Message, env: &Envelope<'_>) -> Door {
        let directory = std::sync::Arc::clone(&self.directory);
        let policy = &directory.options.guard;
        if !policy.admits(flow.local, flow.remote.ip()) {
            return self.turned_away(Offence::Denied, Manner::Silence, flow, request, env);
        }
        if let Some(sign) = scanners::sign(policy, request).filter(|_| !self.is_known_flow(flow, env)) {
            let turned = self.turned_away(Offence::Scanner(sign), policy.scanners, flow, request, env);
            if policy.scanners == Manner::Silence {
                return turned;
            }
        }
        let (source, now) = (source_of(flow.remote.ip()), self.now.mono);
        if self.is_locked_out(flow, env) {
            self.counters.refused_locked_out += 1;
            return match policy.lockout_answer {
                Manner::Answer => Door::Refused(Reject::new(403)),
                Manner::Silence => Door::Unheard,
            };
        }
        let (rate, burst) = (policy.requests_per_second, policy.requests_burst);
        if rate > 0
            && !self.is_known_flow(flow, env)
            && !self.guard.sources.may_ask(source, rate, burst.max(rate), now)
        {
            return self.turned_away(Offence::TooFast, policy.limit_answer, flow, request, env);
        }
        Door::Open
    }

    /// Whoever calls for help comes in, but credentials are not judged without end of who is locked out.
    fn help_at_the_door(&mut self, flow: Flow, request: &Message, env: &Envelope<'_>) -> Door {
        let shows = request.header(HeaderName::Authorization).is_some();
        if !shows || self.directory.options.emergency.without_credentials || !self.is_locked_out(flow, env) {
            return Door::Open;
        }
        if self.guard.locks.may_prove(source_of(flow.remote.ip()), &claimed(env), self.now.mono) {
            return Door::Open;
        }
        self.counters.refused_locked_out += 1;
        let after = LOCKED_PROOF_INTERVAL.as_secs().to_string();
        Door::Refused(Reject::because(503, "Locked Out").with(HeaderName::RetryAfter, after))
    }

    /// Whether the sender is locked out: not by the flow of his own phone, nor for others at the source that he is
    /// registered at.
    fn is_locked_out(&self, flow: Flow, env: &Envelope<'_>) -> bool {
        let user = claimed(env);
        let source = source_of(flow.remote.ip());
        let dn = self.directory.find(user.as_bytes());
        let resident = dn.is_some_and(|dn| {
            self.registrar.bindings(dn).any(|binding| source_of(binding.flow().remote.ip()) == source)
        });
        self.guard.locks.holds(source, &user, resident, self.now.mono) && !self.is_known_flow(flow, env)
    }

    /// Notes why, and how it is said.
    fn turned_away(
        &mut self,
        offence: Offence,
        manner: Manner,
        flow: Flow,
        request: &Message,
        env: &Envelope<'_>,
    ) -> Door {
        self.incident(offence, flow, request, env);
        match manner {
            Manner::Answer => Door::Refused(Reject::full()),
            Manner::Silence => Door::Unheard,
        }
    }

    /// Whether the request comes by the flow of a registered contact of the DN that it says it is of.
    pub(super) fn is_known_flow(&self, flow: Flow, env: &Envelope<'_>) -> bool {
        let dn = self.directory.find(claimed(env).as_bytes());
        dn.is_some_and(|dn| self.registrar.is_from_binding(dn, flow))
    }

    /// Whether the sender of a REGISTER has shown before any proof that he is no mere stranger: he comes by the flow of the
    /// DN, or with a nonce that he was given. Where nobody is asked for proof all are alike.
    pub(super) fn has_shown(&self, flow: Flow, request: &Message, env: &Envelope<'_>) -> bool {
        !self.directory.options.authenticate.register
            || self.is_known_flow(flow, env)
            || self.admission.knows_nonce(request, &self.directory, flow.remote.ip(), self.now)
    }

    /// An INVITE over UDP of somebody who has shown by nothing but words, if at all, that he is where it came from.
    pub(crate) fn is_strangers_invite(&self, flow: Flow, env: &Envelope<'_>) -> bool {
        env.cseq.method == Method::Invite
            && !flow.transport.is_reliable()
            && self.directory.options.authenticate.invite
            && self.trunks.identify(&self.directory, flow).is_none()
            && !self.is_known_flow(flow, env)
    }

    /// The digest gate, and what follows from wrong credentials.
    ///
    /// # Errors
    /// Those of [`Admission::check`](crate::admission::Admission::check).
    pub(crate) fn prove(
        &mut self,
        flow: Flow,
        request: &Message,
        env: &Envelope<'_>,
        dn: Option<DnId>,
        purpose: Purpose,
    ) -> Result<(), Reject> {
        let failures = self.admission.failures();
        let proven =
            self.admission.check(request, env, &self.directory, dn, (purpose, flow.remote.ip()), self.now);
        if self.admission.failures() > failures {
            self.failed(flow, request, env);
        } else if proven.is_ok() {
            self.guard.locks.succeeded(source_of(flow.remote.ip()), &claimed(env));
        }
        proven
    }

    fn failed(&mut self, flow: Flow, request: &Message, env: &Envelope<'_>) {
        let policy = &self.directory.options.guard;
        if policy.allows(flow.remote.ip()) || self.is_known_flow(flow, env) {
            return self.incident(Offence::WrongCredentials(0), flow, request, env);
        }
        let source = source_of(flow.remote.ip());
        let failed = self.guard.locks.failed(source, &claimed(env), policy, self.now.mono);
        let lasts = policy.lockout_time.as_secs();
        self.incident(Offence::WrongCredentials(failed.failures), flow, request, env);
        for (locked, offence) in [
            (failed.user_locked, Offence::UserLockedOut(lasts)),
            (failed.source_locked, Offence::SourceLockedOut(lasts)),
        ] {
            if locked {
                self.counters.locked_out += 1;
                self.report(Event::Guard(Box::new(described(offence, flow, request, env, 0))));
            }
        }
    }

    /// Counts what a source did and says so, unless too much has been said of it.
    pub(crate) fn incident(&mut self, offence: Offence, flow: Flow, request: &Message, env: &Envelope<'_>) {
        let counter = match offence {
            Offence::Scanner(_) => Some(&mut self.counters.scanners),
            Offence::TooFast => Some(&mut self.counters.refused_too_fast),
            Offence::Denied | Offence::NotFromThere => Some(&mut self.counters.refused_networks),
            Offence::WrongCredentials(_)
            | Offence::UserLockedOut(_)
            | Offence::SourceLockedOut(_)
            | Offence::UnknownCaller => None,
        };
        if let Some(counter) = counter {
            *counter += 1;
        }
        match self.guard.sources.may_log(source_of(flow.remote.ip()), self.now.mono) {
            Some(unlogged) => {
                self.report(Event::Guard(Box::new(described(offence, flow, request, env, unlogged))));
            }
            None => self.counters.guard_unlogged += 1,
        }
    }

    /// Whether an Extension may come from there. Asked when it has proven who it is, so that nobody else learns of it.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn may_come_from_there(
        &mut self,
        dn: DnId,
        flow: Flow,
        request: &Message,
        env: &Envelope<'_>,
    ) -> Result<(), Reject> {
        let networks = self.directory.extension(dn).map(|extension| &extension.class.allow_from);
        if networks.is_none_or(|all| all.is_empty() || contains(all, flow.remote.ip().to_canonical())) {
            return Ok(());
        }
        self.incident(Offence::NotFromThere, flow, request, env);
        Err(Reject::because(403, "Not Allowed From There"))
    }

    /// Whether an INVITE asks for help.
    pub(crate) fn asks_for_help(&self, request: &Message) -> bool {
        let emergency = &self.directory.options.emergency;
        !emergency.numbers.is_empty()
            && emergency
                .asked(request.request_uri().unwrap_or_default(), routing::dialled(request).as_deref())
                .is_some()
    }

    /// Who calls for help without being asked for credentials: a phone that is registered where it calls from; with
    /// `without-credentials`, whoever says that he is an Extension.
    pub(super) fn believed_in_need(
        &self,
        registered: Option<DnId>,
        claimed: Option<DnId>,
        for_help: bool,
    ) -> Option<(Device, KnownBy)> {
        if !for_help {
            return None;
        }
        let believed = claimed.filter(|_| self.directory.options.emergency.without_credentials);
        registered
            .map(|dn| (Device::Extension(dn), KnownBy::Registration))
            .or_else(|| believed.map(|dn| (Device::Extension(dn), KnownBy::Emergency)))
    }

    /// A call for help goes to the emergency trunks.
    pub(crate) fn help_is_called(&mut self, uuid: u128, from: &[u8], number: &str) {
        self.counters.emergency_calls += 1;
        self.ledger.emergency(uuid);
        self.report(Event::EmergencyCall { from: incident::readable(from), number: number.into() });
    }
}

/// The number that the sender says he is.
fn claimed<'a>(env: &Envelope<'a>) -> Cow<'a, str> {
    let header = if env.cseq.method == Method::Register { &env.to } else { &env.from };
    let user = header.uri().ok().and_then(|uri| uri.user_unescaped()).unwrap_or_default();
    let user = user.get(..incident::longest(&user)).unwrap_or_default();
    Cow::Owned(String::from_utf8_lossy(user).into_owned())
}

fn described(offence: Offence, flow: Flow, request: &Message, env: &Envelope<'_>, unlogged: u32) -> Incident {
    Incident {
        offence,
        source: std::net::SocketAddr::new(flow.remote.ip().to_canonical(), flow.remote.port()),
        transport: flow.transport,
        user: incident::readable(claimed(env).as_bytes()),
        method: incident::readable(env.cseq.method_token),
        agent: incident::readable(request.header(HeaderName::UserAgent).unwrap_or_default()),
        unlogged,
    }
}
