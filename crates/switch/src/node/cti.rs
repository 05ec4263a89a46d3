//! Requests of CTI clients: who may make them, and which room carries them out.

use std::sync::Arc;

use tandem_cti::{
    AddressType, AgentState, ErrorCode, Event as Told, EventName, KvList, Refusal, Request, Role,
    TAgentLogin, TAgentLogout, TPrivateRequest, TQueryCall, TRegisterAddress,
};
use tandem_peer::continuity::login_admission;

use super::Node;
use super::floor::{desk, with_calls};
use crate::agent;
use crate::agent::{Login, LogoutBy};
use crate::cti::calls;
use crate::cti::sessions::{Admitted, Opened, Opening, Who};
use crate::cti::{CtiInput, LinkId, SessionId};
use crate::directory::FloorDn;
use crate::routing;

/// `TPrivateRequest` that starts a graceful shutdown.
const GRACEFUL_SHUTDOWN: u32 = 3019;

/// An agent's request whose first event carries its `ReferenceID`.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) session: SessionId,
    pub(super) reference_id: Option<u32>,
    pub(super) dn: Arc<str>,
}

impl Node {
    pub(super) fn cti(&mut self, input: CtiInput) {
        match input {
            CtiInput::Open { link, person, role, application, resume, reference_id } => {
                let directory = Arc::clone(&self.rooms.directory);
                let token = self.rooms.ids.uuid();
                self.open_session(&Opening {
                    link,
                    person,
                    role,
                    application: &application,
                    resume: resume.as_ref().map(|(session, after)| (&**session, *after)),
                    reference_id,
                    server: &directory.server.name,
                    token,
                });
            }
            CtiInput::Request { link, request } => self.cti_request(link, &request),
            CtiInput::Malformed { link, reference_id, refusal } => {
                let Some(who) = self.floor.sessions.who(link) else {
                    return self.floor.sessions.refuse(self.rooms.now, link, reference_id, &refusal);
                };
                if self.floor.sessions.admit(who.session, reference_id) == Admitted::New {
                    self.refuse_request(who.session, reference_id, &refusal);
                }
            }
            CtiInput::Closed { link } => {
                self.floor.sessions.closed(self.rooms.now, link);
                self.count_routers();
            }
        }
    }

    fn open_session(&mut self, opening: &Opening<'_>) {
        let rooms = &mut self.rooms;
        let opened = self.floor.sessions.open(&mut rooms.log, rooms.now, opening);
        if let (Opened::Gap { dns }, Some(who)) = (opened, self.floor.sessions.who(opening.link)) {
            for dn in dns {
                let described = self.describe(EventName::Registered, &dn);
                self.answer(who.session, None, described);
            }
        }
        self.count_routers();
    }

    fn cti_request(&mut self, link: LinkId, request: &Request) {
        let reference_id = request.reference_id();
        let Some(who) = self.floor.sessions.who(link) else {
            let refusal = Refusal::because(ErrorCode::InvCallState, "send TOpenServer first");
            return self.floor.sessions.refuse(self.rooms.now, link, reference_id, &refusal);
        };
        if self.floor.sessions.admit(who.session, reference_id) == Admitted::Again {
            return;
        }
        self.rooms.counters.cti_requests += 1;
        if let Err(refusal) = self.carry_out(&who, request) {
            self.rooms.counters.cti_refused += 1;
            self.refuse_request(who.session, reference_id, &refusal);
        }
        self.settle_agents();
        self.asking = None;
    }

    fn carry_out(&mut self, who: &Who, request: &Request) -> Result<(), Refusal> {
        let reference_id = request.reference_id();
        self.drain_refuses(request)?;
        let may = |role: Role| if who.role >= role { Ok(()) } else { Err(Refusal::new(ErrorCode::NoRight)) };
        match request {
            Request::TOpenServer(_) => Err(Refusal::because(ErrorCode::InvCallState, "the session is open")),
            Request::TQueryServer(_) => {
                let server = Some(self.rooms.directory.server.name.to_string());
                let mut extensions = KvList::new();
                extensions.insert("Mode".to_owned(), self.mode().to_string().as_str().into());
                extensions.insert("Switch".to_owned(), (&*self.rooms.directory.server.switch).into());
                let event = Told { server, extensions, ..Told::new(EventName::ServerInfo) };
                self.answer(who.session, reference_id, event);
                Ok(())
            }
            Request::TQueryAddress(query) => {
                let (dn, _) = self.visible(who, &query.this_dn)?;
                let event = self.describe(EventName::AddressInfo, &dn);
                self.answer(who.session, reference_id, event);
                Ok(())
            }
            Request::TQueryCall(query) => self.query_call(who, query),
            Request::TRegisterAddress(register) => self.register_address(who, register),
            Request::TUnregisterAddress(register) => {
                self.unregister_address(who, reference_id, &register.this_dn)
            }
            Request::TAgentLogin(login) => self.agent_login(who, login),
            Request::TAgentLogout(logout) => self.agent_logout(who, logout),
            Request::TAgentSetReady(r) => {
                let dn = self.agent_dn(who, &r.this_dn, r.reference_id)?;
                let (mode, desk) = (r.work_mode.unwrap_or_default(), &mut desk!(self, agent));
                self.floor.agents.set_ready(desk, &dn, mode, r.reasons.clone(), r.extensions.clone())
            }
            Request::TAgentSetNotReady(r) => {
                let dn = self.agent_dn(who, &r.this_dn, r.reference_id)?;
                let (mode, desk) = (r.work_mode.unwrap_or_default(), &mut desk!(self, agent));
                self.floor.agents.set_not_ready(desk, &dn, mode, r.reasons.clone(), r.extensions.clone())
            }
            Request::TPrivateRequest(private) => {
                may(Role::Administrator)?;
                self.private_request(who, private)
            }
            Request::TRouteCall(_) | Request::TApplyTreatment(_) => {
                may(Role::RoutingApplication)?;
                self.call_request(who, request)
            }
            Request::TMakeCall(_)
            | Request::TAnswerCall(_)
            | Request::TReleaseCall(_)
            | Request::THoldCall(_)
            | Request::TRetrieveCall(_)
            | Request::TInitiateConference(_)
            | Request::TCompleteConference(_)
            | Request::TDeleteFromConference(_)
            | Request::TInitiateTransfer(_)
            | Request::TMuteTransfer(_)
            | Request::TSingleStepTransfer(_)
            | Request::TCompleteTransfer(_)
            | Request::TAlternateCall(_)
            | Request::TReconnectCall(_)
            | Request::TAttachUserData(_)
            | Request::TUpdateUserData(_)
            | Request::TDeletePair(_)
            | Request::TDeleteUserData(_)
            | Request::TSendDTMF(_)
            | Request::TRedirectCall(_)
            | Request::TClearCall(_) => self.call_request(who, request),
        }
    }

    /// A request about calls: for a DN that the client has registered to act there.
    fn call_request(&mut self, who: &Who, request: &Request) -> Result<(), Refusal> {
        let dn = request.this_dn().unwrap_or_default();
        self.controlled(who, dn)?;
        if calls_itself(request) {
            return Err(Refusal::because(ErrorCode::InvCaldDn, "OtherDN is the DN itself"));
        }
        let order = with_calls!(self, |tcalls, desk| tcalls.request(desk, who.session, request))?;
        if let Some(order) = order {
            self.order(order);
        }
        Ok(())
    }

    fn controlled(&self, who: &Who, dn: &str) -> Result<(), Refusal> {
        if self.floor.sessions.controls(who.session, dn) {
            Ok(())
        } else {
            let text = format!("DN {dn} is not registered by this client; send TRegisterAddress first");
            Err(Refusal::because(ErrorCode::NotRegistered, text))
        }
    }

    /// A DN that is configured and that a client of this role may see.
    fn visible(&self, who: &Who, dn: &str) -> Result<(Arc<str>, AddressType), Refusal> {
        let directory = &self.rooms.directory;
        let unknown = || Refusal::because(ErrorCode::NotConfigured, format!("DN {dn} is not configured"));
        if let Some(id) = directory.find(dn.as_bytes()) {
            let number = directory.extension(id).map(|e| Arc::clone(&e.number)).ok_or_else(unknown)?;
            let kind = if directory.is_port(&number) {
                AddressType::CallProcessingPort
            } else {
                AddressType::Extension
            };
            let foreign = who.role == Role::Agent && !self.is_own_seat(who, &number);
            return if foreign { Err(ErrorCode::NoRight.into()) } else { Ok((number, kind)) };
        }
        let above = who.role > Role::Agent;
        let found = match directory.floor_dn(dn.as_bytes()) {
            Some(FloorDn::Queue(place)) => {
                let queue = directory.floor().queues.get(place).map(|queue| Arc::clone(&queue.number));
                queue.map(|number| (number, AddressType::AcdQueue))
            }
            Some(FloorDn::RoutingPoint(place)) => {
                let point = directory.floor().routing_points.get(place).map(|p| Arc::clone(&p.number));
                point.map(|number| (number, AddressType::RoutingPoint))
            }
            None => {
                let trunk = directory.trunk_named(dn).and_then(|id| directory.trunk(id));
                trunk.map(|trunk| (Arc::clone(&trunk.name), AddressType::Trunk))
            }
        };
        let found = found.ok_or_else(unknown)?;
        if above { Ok(found) } else { Err(ErrorCode::NoRight.into()) }
    }

    /// A seat is an agent's own while nobody, or an agent of his, is logged in there.
    fn is_own_seat(&self, who: &Who, dn: &str) -> bool {
        self.floor.agents.at(dn).is_none_or(|agent| self.owns_login(&who.person, &agent.agent_id))
    }

    /// Whether an Agent Login is a person's own: named for him, or for nobody.
    fn owns_login(&self, person: &str, agent_id: &str) -> bool {
        let directory = &self.rooms.directory;
        match directory.person(person) {
            Some(person) if !person.logins.is_empty() => person.has_login(agent_id),
            Some(_) | None => !directory.login_has_owner(agent_id),
        }
    }

    /// Another agent sits down: clients of other persons must not hear his calls.
    pub(super) fn evict_others(&mut self, dn: &str, agent_id: &str) {
        let directory = Arc::clone(&self.rooms.directory);
        let owned = |name: &str| directory.person(name).is_some_and(|person| person.has_login(agent_id));
        let anybodys = !directory.login_has_owner(agent_id);
        let client = self.asking.as_ref().map(|asking| asking.session);
        let keep = |who: &Who| {
            who.role > Role::Agent
                || owned(&who.person)
                || client == Some(who.session)
                || (anybodys && client.is_none())
        };
        let rooms = &mut self.rooms;
        self.floor.sessions.evict(&mut rooms.log, rooms.now, dn, &keep);
    }

    fn register_address(&mut self, who: &Who, register: &TRegisterAddress) -> Result<(), Refusal> {
        let (dn, kind) = self.visible(who, &register.this_dn)?;
        if register.address_type.is_some_and(|wanted| wanted != kind) {
            let text = format!("DN {dn} is of another AddressType");
            return Err(Refusal::because(ErrorCode::InvalidAttr, text));
        }
        let mode = register.register_mode.unwrap_or_default();
        let control = register.control_mode.unwrap_or_default();
        let rooms = &mut self.rooms;
        self.floor.sessions.register(&mut rooms.log, rooms.now, who.session, &dn, mode, control)?;
        let described = self.describe(EventName::Registered, &dn);
        self.answer(who.session, register.reference_id, described);
        if kind == AddressType::RoutingPoint {
            self.count_routers();
        }
        Ok(())
    }

    fn unregister_address(&mut self, who: &Who, reference_id: Option<u32>, dn: &str) -> Result<(), Refusal> {
        self.floor.sessions.unregister(&mut self.rooms.log, who.session, dn)?;
        let event = Told { this_dn: Some(dn.to_owned()), ..Told::new(EventName::Unregistered) };
        self.answer(who.session, reference_id, event);
        self.floor.agents.unregistered(&mut desk!(self, agent), dn, who.session.0);
        self.count_routers();
        Ok(())
    }

    /// What is known of a DN: its state, its agent, and the calls in progress.
    pub(super) fn describe(&self, name: EventName, dn: &str) -> Told {
        let directory = &self.rooms.directory;
        let extension = directory.find(dn.as_bytes());
        let (kind, in_service) = match (extension, directory.floor_dn(dn.as_bytes())) {
            (Some(id), _) => {
                let port = directory.is_port(dn);
                let kind = if port { AddressType::CallProcessingPort } else { AddressType::Extension };
                (kind, routing::in_service(&self.rooms, directory, id))
            }
            (None, Some(FloorDn::Queue(_))) => (AddressType::AcdQueue, true),
            (None, Some(FloorDn::RoutingPoint(_))) => (AddressType::RoutingPoint, true),
            (None, None) => {
                let trunk = directory.trunk_named(dn);
                (AddressType::Trunk, trunk.is_some_and(|id| self.rooms.trunks.in_service(id)))
            }
        };
        let mut event = Told {
            this_dn: Some(dn.to_owned()),
            address_type: Some(kind),
            in_service: Some(in_service),
            parties: self.floor.tcalls.at(dn),
            ..Told::new(name)
        };
        if kind == AddressType::Extension {
            event.agent_state = Some(AgentState::LoggedOut);
        }
        if let Some(agent) = self.floor.agents.at(dn) {
            event.agent_id = Some(agent.agent_id.to_string());
            event.agent_state = Some(agent.state);
            event.work_mode = Some(agent.work_mode);
            event.reasons = agent.reasons;
            let times = [("AgentStateSince", agent.since_unix_ms), ("AgentLoginTime", agent.login_unix_ms)];
            for (key, unix_ms) in times {
                event.extensions.insert(key.to_owned(), i64::try_from(unix_ms).unwrap_or(i64::MAX).into());
            }
        }
        event
    }

    fn query_call(&mut self, who: &Who, query: &TQueryCall) -> Result<(), Refusal> {
        let mut event = self.floor.tcalls.call_info(&query.conn_id, None)?;
        let sees = who.role > Role::Agent
            || event.parties.iter().any(|party| self.floor.sessions.has(who.session, &party.dn));
        // A call that he may not see is as one that is not there.
        if event.parties.is_empty() || !sees {
            return Err(ErrorCode::InvConnid.into());
        }
        event.this_dn.clone_from(&query.this_dn);
        self.answer(who.session, query.reference_id, event);
        Ok(())
    }

    fn agent_login(&mut self, who: &Who, request: &TAgentLogin) -> Result<(), Refusal> {
        let directory = Arc::clone(&self.rooms.directory);
        let (dn, kind) = self.visible(who, &request.this_dn).map_err(|refusal| {
            // Whose seat it is decides the login's own check, by its own number.
            if refusal.code == ErrorCode::NoRight && directory.find(request.this_dn.as_bytes()).is_some() {
                Refusal::new(ErrorCode::PositionSignedIn)
            } else {
                refusal
            }
        })?;
        if kind != AddressType::Extension {
            let text = format!("DN {dn} is no Extension; agents log in at Extensions only");
            return Err(Refusal::because(ErrorCode::InvalidAttr, text));
        }
        self.controlled(who, &dn)?;
        if who.role < Role::Supervisor && !self.owns_login(&who.person, &request.agent_id) {
            let text = format!("AgentID {} belongs to somebody else", request.agent_id);
            return Err(Refusal::because(ErrorCode::NoRight, text));
        }
        self.migration_refuses(&request.agent_id)?;
        let queue = match &request.this_queue {
            Some(number) => {
                let queue = directory.queue(number).map(|queue| Arc::clone(&queue.number));
                Some(queue.ok_or_else(|| {
                    Refusal::because(ErrorCode::NotConfigured, format!("no ACD Queue {number}"))
                })?)
            }
            None => None,
        };
        let id = directory.find(dn.as_bytes()).ok_or(ErrorCode::NotConfigured)?;
        let in_service = routing::in_service(&self.rooms, &directory, id);
        login_admission(self.mode(), in_service).map_err(|_| {
            let text = "the DN's phone is out of service here, and the peer site is up: log in where the phone is registered";
            Refusal::because(ErrorCode::OutOfService, text)
        })?;
        self.asks(who, request.reference_id, &dn);
        let login = Login {
            dn: &dn,
            agent_id: &request.agent_id,
            password: request.password.as_deref(),
            work_mode: request.work_mode.unwrap_or_default(),
            queue: queue.as_ref(),
            reasons: request.reasons.clone(),
            extensions: request.extensions.clone(),
            busy: self.floor.tcalls.is_busy(&dn),
            in_service,
            client: who.session.0,
        };
        self.floor.agents.login(&mut desk!(self, agent), login)
    }

    fn agent_logout(&mut self, who: &Who, request: &TAgentLogout) -> Result<(), Refusal> {
        let (dn, _) = self.visible(who, &request.this_dn)?;
        let foreign = self.floor.agents.at(&dn).is_some_and(|a| !self.owns_login(&who.person, &a.agent_id));
        let by = if foreign && who.role >= Role::Supervisor {
            LogoutBy::Supervisor
        } else {
            self.controlled(who, &dn)?;
            LogoutBy::Request
        };
        self.asks(who, request.reference_id, &dn);
        let queue = request.this_queue.as_deref();
        let (reasons, extensions) = (request.reasons.clone(), request.extensions.clone());
        self.floor.agents.logout(&mut desk!(self, agent), &dn, by, queue, reasons, extensions)?;
        if queue.is_some() {
            self.left_a_queue(&dn);
            let event = Told { this_dn: Some(dn.to_string()), ..Told::new(EventName::Ack) };
            self.answer(who.session, request.reference_id, event);
        }
        Ok(())
    }

    fn agent_dn(&mut self, who: &Who, dn: &str, reference_id: Option<u32>) -> Result<Arc<str>, Refusal> {
        let (dn, _) = self.visible(who, dn)?;
        self.controlled(who, &dn)?;
        self.asks(who, reference_id, &dn);
        Ok(dn)
    }

    fn asks(&mut self, who: &Who, reference_id: Option<u32>, dn: &Arc<str>) {
        self.asking = Some(Asking { session: who.session, reference_id, dn: Arc::clone(dn) });
    }

    fn private_request(&mut self, who: &Who, request: &TPrivateRequest) -> Result<(), Refusal> {
        if request.service_id == GRACEFUL_SHUTDOWN {
            self.start_drain(who.person.as_ref().into());
            let mut extensions = KvList::new();
            extensions.insert("ServiceID".to_owned(), i64::from(GRACEFUL_SHUTDOWN).into());
            let event = Told { extensions, ..Told::new(EventName::PrivateInfo) };
            self.answer(who.session, request.reference_id, event);
            return Ok(());
        }
        let text = format!("private service {} is not offered", request.service_id);
        Err(Refusal::because(ErrorCode::UnsupOper, text))
    }
}

/// Whether a request would connect a DN with itself.
#[expect(clippy::wildcard_enum_match_arm, reason = "no other request names a second DN to be connected")]
fn calls_itself(request: &Request) -> bool {
    let (this, other) = match request {
        Request::TMakeCall(r) => (&r.this_dn, &r.other_dn),
        Request::TInitiateTransfer(r) => (&r.this_dn, &r.other_dn),
        Request::TInitiateConference(r) => (&r.this_dn, &r.other_dn),
        Request::TMuteTransfer(r) => (&r.this_dn, &r.other_dn),
        Request::TSingleStepTransfer(r) => (&r.this_dn, &r.other_dn),
        Request::TRedirectCall(r) => (&r.this_dn, &r.other_dn),
        _ => return false,
    };
    this == other
}
