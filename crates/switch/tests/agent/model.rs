//! A reference model of agents' states, made to be read: no indexes, no records, one list of DNs. It depends on the
//! words of the CTI crate and on the options in force only, so that a simulator can run it beside a server.

use std::collections::BTreeMap;

use tandem_cti::{AgentState, WorkMode};
use tandem_switch::directory::floor::{InForce, NoAnswerAction, OnUnregister, WrapUp};

/// After-call work in ms; 0 is none, [`UNTIMED`] until ended.
pub type Wrap = u64;
pub const UNTIMED: Wrap = u64::MAX;

/// What may happen. Error numbers are the T-Library's.
#[derive(Clone, Debug)]
pub enum Op {
    Login {
        dn: String,
        id: String,
        mode: WorkMode,
        on_call: Option<bool>,
        wrap: Option<Wrap>,
        client: u64,
    },
    Logout {
        dn: String,
        on_call: Option<bool>,
    },
    Force {
        dn: String,
    },
    Ready {
        dn: String,
        mode: WorkMode,
    },
    NotReady {
        dn: String,
        mode: WorkMode,
        wrap: Option<Wrap>,
    },
    Offered {
        dn: String,
        conn: u64,
    },
    OfferOver {
        dn: String,
        conn: u64,
    },
    NoAnswer {
        dn: String,
    },
    Began {
        dn: String,
        conn: u64,
        business: bool,
        wrap: Option<Wrap>,
    },
    /// Another call takes the place of one.
    Became {
        dn: String,
        old: u64,
        conn: u64,
        business: bool,
        wrap: Option<Wrap>,
    },
    /// `WrapUpTime` of a call changed.
    WrapUp {
        dn: String,
        conn: u64,
        wrap: Option<Wrap>,
    },
    Established {
        dn: String,
        conn: u64,
    },
    Ended {
        dn: String,
        conn: u64,
    },
    InService {
        dn: String,
        yes: bool,
    },
    /// The phone is suspected to be gone, or is not any more.
    Suspended {
        dn: String,
        yes: bool,
    },
    ClientGone {
        client: u64,
    },
    Unregistered {
        dn: String,
        client: u64,
    },
    /// Time goes on by so many ms.
    Pass {
        ms: u64,
    },
}

/// What was told, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Login(String, WorkMode),
    Ready(String, WorkMode),
    NotReady(String, WorkMode),
    Logout(String),
    Available(String),
    Unavailable(String),
}

/// What a query shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub id: String,
    pub state: AgentState,
    pub mode: WorkMode,
    pub until: Option<u64>,
    pub calls: usize,
    pub available: bool,
    pub idle_since: u64,
}

#[derive(Clone, Debug)]
struct Call {
    conn: u64,
    business: bool,
    talks: bool,
    wrap: Option<Wrap>,
}

#[derive(Clone, Debug)]
struct Agent {
    id: String,
    client: u64,
    manner: WorkMode,
    login_wrap: Option<Wrap>,
    /// What he chose: Ready or not, and the work mode.
    chose: (bool, WorkMode),
    /// `AfterCallWork` or `LegalGuard`, and its end.
    pause: Option<(WorkMode, Option<u64>)>,
    no_ready_before: u64,
    /// Longest wrap-up of the business calls that ended while another went on.
    owed: Wrap,
    /// After-call work asked for during a call; 0 is "as usual".
    asked: Option<Wrap>,
    told: (bool, WorkMode),
    /// Since when nothing at all happened to him.
    quiet_since: u64,
    idle_since: u64,
    offer: Option<u64>,
    in_service: bool,
    last_state: (AgentState, WorkMode),
}

#[derive(Clone, Debug, Default)]
struct Desk {
    calls: Vec<Call>,
    suspended: bool,
    agent: Option<Agent>,
}

/// See the module.
pub struct Model {
    pub now: u64,
    pub heard: Vec<Heard>,
    options: InForce,
    desks: BTreeMap<String, Desk>,
}

impl Desk {
    fn busy(&self) -> bool {
        self.calls.iter().any(|c| c.business && c.talks)
    }

    fn available(&self) -> bool {
        let free = |a: &Agent| a.chose.0 && a.pause.is_none() && a.offer.is_none() && a.in_service;
        !self.suspended && self.calls.is_empty() && self.agent.as_ref().is_some_and(free)
    }
}

fn ms(wrap: WrapUp) -> Wrap {
    match wrap {
        WrapUp::Timed(time) => time.as_millis() as u64,
        WrapUp::Untimed => UNTIMED,
    }
}

impl Model {
    /// DNs with one set of options for every agent.
    pub fn new(dns: &[&str], options: InForce, now: u64) -> Self {
        let desks = dns.iter().map(|dn| ((*dn).to_owned(), Desk::default())).collect();
        Self { now, heard: Vec::new(), options, desks }
    }

    pub fn see(&self, dn: &str) -> Option<Seen> {
        let desk = self.desks.get(dn)?;
        let agent = desk.agent.as_ref()?;
        let (state, mode) = self.state(desk, agent);
        Some(Seen {
            id: agent.id.clone(),
            state,
            mode,
            until: agent.pause.and_then(|(_, until)| until),
            calls: desk.calls.len(),
            available: desk.available(),
            idle_since: agent.idle_since,
        })
    }

    fn state(&self, desk: &Desk, agent: &Agent) -> (AgentState, WorkMode) {
        if let Some((mode, _)) = agent.pause {
            return (AgentState::NotReady, mode);
        }
        let owes = |c: &Call| c.business && c.talks && self.wrap_of(agent, c) > 0;
        let wraps = agent.asked.is_some() || agent.owed > 0 || desk.calls.iter().any(owes);
        let state = match (desk.busy(), agent.chose.0) {
            (true, _) if wraps => AgentState::BusyAfterCallWork,
            (true, true) => AgentState::BusyReady,
            (true, false) => AgentState::BusyNotReady,
            (false, true) => AgentState::Ready,
            (false, false) => AgentState::NotReady,
        };
        (state, agent.chose.1)
    }

    fn wrap_of(&self, agent: &Agent, call: &Call) -> Wrap {
        call.wrap.or(agent.login_wrap).unwrap_or(ms(self.options.wrap_up_time))
    }

    /// Carries out one operation. The error number of a refusal.
    pub fn apply(&mut self, op: &Op) -> Result<(), u16> {
        if let Op::Pass { ms } = op {
            self.pass(*ms);
            return Ok(());
        }
        if let Op::ClientGone { client } = op {
            self.client_gone(*client);
            return Ok(());
        }
        let dn = op.dn().to_owned();
        if let Op::Login { id, mode, .. } = op {
            if !matches!(mode, WorkMode::Unknown | WorkMode::ManualIn | WorkMode::AutoIn) {
                return Err(53);
            }
            let other = |(at, desk): (&String, &Desk)| {
                *at != dn && desk.agent.as_ref().is_some_and(|agent| agent.id == *id)
            };
            let vacant = self.desks[&dn].agent.is_none();
            if vacant && self.desks.iter().any(other) {
                return Err(527);
            }
        }
        self.at(&dn, |model, desk| model.act(&dn, desk, op))
    }

    /// Changes one desk and tells what follows for the queues.
    fn at<R>(&mut self, dn: &str, change: impl FnOnce(&mut Self, &mut Desk) -> R) -> R {
        let mut desk = self.desks[dn].clone();
        let (was, mark) = (desk.available(), self.heard.len());
        let answer = change(self, &mut desk);
        if was && !desk.available() {
            self.heard.insert(mark, Heard::Unavailable(dn.to_owned()));
        }
        if !was && desk.available() {
            self.heard.push(Heard::Available(dn.to_owned()));
        }
        if let Some(mut agent) = desk.agent.take() {
            let state = self.state(&Desk { calls: desk.calls.clone(), ..Desk::default() }, &agent);
            if state != agent.last_state {
                agent.quiet_since = self.now;
                agent.last_state = state;
            }
            desk.agent = Some(agent);
        }
        self.desks.insert(dn.to_owned(), desk);
        answer
    }

    fn act(&mut self, dn: &str, desk: &mut Desk, op: &Op) -> Result<(), u16> {
        let now = self.now;
        match op {
            Op::Login { id, mode, on_call, wrap, client, .. } => {
                return self.login(dn, desk, (id, *mode, *on_call, *wrap, *client));
            }
            Op::Began { conn, business, wrap, .. } => match desk.calls.iter_mut().find(|c| c.conn == *conn) {
                Some(call) => call.wrap = *wrap,
                None => {
                    desk.calls.push(Call { conn: *conn, business: *business, talks: false, wrap: *wrap });
                }
            },
            Op::Established { conn, .. } => {
                let was_busy = desk.busy();
                let Some(call) = desk.calls.iter_mut().find(|c| c.conn == *conn) else { return Ok(()) };
                call.talks = true;
                let becomes_busy = !was_busy && desk.busy();
                if let Some(agent) = &mut desk.agent {
                    agent.offer = agent.offer.filter(|offer| offer != conn);
                    if becomes_busy {
                        agent.become_busy(now);
                    }
                }
            }
            Op::Ended { conn, .. } => self.ended(dn, desk, *conn),
            Op::Became { old, conn, business, wrap, .. } => {
                let was_busy = desk.busy();
                became(desk, *old, (*conn, *business, *wrap));
                let becomes_busy = !was_busy && desk.busy();
                if let Some(agent) = desk.agent.as_mut().filter(|_| becomes_busy) {
                    agent.become_busy(now);
                }
            }
            Op::WrapUp { conn, wrap, .. } => {
                if let Some(call) = desk.calls.iter_mut().find(|c| c.conn == *conn) {
                    call.wrap = *wrap;
                }
            }
            Op::Logout { .. } | Op::Force { .. } | Op::Unregistered { .. } => {
                return self.leaves(dn, desk, op);
            }
            Op::Ready { mode, .. } => return self.set_ready(dn, desk, *mode),
            Op::NotReady { mode, wrap, .. } => return self.set_not_ready(dn, desk, *mode, *wrap),
            Op::NoAnswer { .. } => self.no_answer(dn, desk),
            Op::Offered { conn, .. } => {
                if let Some(agent) = &mut desk.agent {
                    agent.offer = Some(*conn);
                }
            }
            Op::OfferOver { conn, .. } => {
                if let Some(agent) = &mut desk.agent {
                    agent.offer = agent.offer.filter(|offer| offer != conn);
                }
            }
            Op::InService { yes, .. } => {
                let leaves = !yes && self.options.logout_on_out_of_service;
                if let Some(agent) = &mut desk.agent {
                    agent.in_service = *yes;
                    if leaves {
                        self.gone(dn, desk);
                    }
                }
            }
            Op::Suspended { yes, .. } => desk.suspended = *yes,
            Op::ClientGone { .. } | Op::Pass { .. } => {}
        }
        Ok(())
    }

    fn login(
        &mut self,
        dn: &str,
        desk: &mut Desk,
        (id, mode, on_call, wrap, client): (&str, WorkMode, Option<bool>, Option<Wrap>, u64),
    ) -> Result<(), u16> {
        if let Some(agent) = &mut desk.agent {
            if agent.id != id {
                return Err(550);
            }
            agent.client = client;
            self.heard.push(Heard::Login(dn.to_owned(), agent.manner));
            return Ok(());
        }
        if !desk.calls.is_empty() && !on_call.unwrap_or(self.options.agent_emu_login_on_call) {
            return Err(506);
        }
        let chose = (mode == WorkMode::AutoIn, mode);
        self.heard.push(Heard::Login(dn.to_owned(), mode));
        let mut agent = Agent {
            id: id.to_owned(),
            client,
            manner: mode,
            login_wrap: wrap,
            chose,
            pause: None,
            no_ready_before: 0,
            owed: 0,
            asked: None,
            told: chose,
            quiet_since: self.now,
            idle_since: self.now,
            offer: None,
            in_service: true,
            last_state: (AgentState::LoggedOut, WorkMode::Unknown),
        };
        self.tell(dn, &mut agent, chose);
        desk.agent = Some(agent);
        Ok(())
    }

    fn leaves(&mut self, dn: &str, desk: &mut Desk, op: &Op) -> Result<(), u16> {
        let on_call = self.options.agent_emu_login_on_call;
        let stays_on_unregister = self.options.agent_logout_on_unreg == OnUnregister::Stay;
        let Some(agent) = &desk.agent else {
            return if matches!(op, Op::Unregistered { .. }) { Ok(()) } else { Err(551) };
        };
        match op {
            Op::Logout { on_call: asked, .. } if !desk.calls.is_empty() && !asked.unwrap_or(on_call) => {
                return Err(506);
            }
            Op::Unregistered { client, .. } if stays_on_unregister || *client != agent.client => {
                return Ok(());
            }
            Op::Login { .. }
            | Op::Logout { .. }
            | Op::Force { .. }
            | Op::Ready { .. }
            | Op::NotReady { .. }
            | Op::Offered { .. }
            | Op::OfferOver { .. }
            | Op::NoAnswer { .. }
            | Op::Began { .. }
            | Op::Became { .. }
            | Op::WrapUp { .. }
            | Op::Established { .. }
            | Op::Ended { .. }
            | Op::InService { .. }
            | Op::Suspended { .. }
            | Op::ClientGone { .. }
            | Op::Unregistered { .. }
            | Op::Pass { .. } => self.gone(dn, desk),
        }
        Ok(())
    }

    fn gone(&mut self, dn: &str, desk: &mut Desk) {
        desk.agent = None;
        self.heard.push(Heard::Logout(dn.to_owned()));
    }

    fn client_gone(&mut self, client: u64) {
        let leave =
            self.options.logout_on_disconnect || self.options.agent_logout_on_unreg != OnUnregister::Stay;
        for dn in self.desks.keys().cloned().collect::<Vec<_>>() {
            let his = self.desks[&dn].agent.as_ref().is_some_and(|agent| agent.client == client);
            if his && leave {
                self.at(&dn, |model, desk| model.gone(&dn, desk));
            }
        }
    }

    fn set_ready(&mut self, dn: &str, desk: &mut Desk, mode: WorkMode) -> Result<(), u16> {
        let busy = desk.busy();
        if !matches!(mode, WorkMode::Unknown | WorkMode::ManualIn | WorkMode::AutoIn) {
            return Err(if desk.agent.is_some() { 53 } else { 187 });
        }
        let Some(agent) = &mut desk.agent else { return Err(187) };
        if agent.chose.0 && agent.told.0 && agent.asked.is_none() {
            return Err(43);
        }
        if !busy && self.now < agent.no_ready_before {
            return Err(506);
        }
        if mode != WorkMode::Unknown {
            agent.manner = mode;
        }
        agent.chose = (true, agent.manner);
        agent.asked = None;
        let wrapped_up = matches!(agent.pause.take(), Some((WorkMode::AfterCallWork, _)));
        if wrapped_up && self.guard(dn, agent) {
            return Ok(());
        }
        let chose = agent.chose;
        self.tell(dn, agent, chose);
        Ok(())
    }

    fn set_not_ready(
        &mut self,
        dn: &str,
        desk: &mut Desk,
        mode: WorkMode,
        wrap: Option<Wrap>,
    ) -> Result<(), u16> {
        let busy = desk.busy();
        let Some(agent) = &mut desk.agent else { return Err(187) };
        if matches!(mode, WorkMode::AutoIn | WorkMode::LegalGuard) {
            return Err(53);
        }
        if mode != WorkMode::AfterCallWork {
            let wrapped_up = matches!(agent.pause.take(), Some((WorkMode::AfterCallWork, _)));
            if wrapped_up {
                agent.no_ready_before = self.now + self.options.legal_guard_time.as_millis() as u64;
            }
            agent.asked = None;
            agent.chose = (false, mode);
            self.tell(dn, agent, (false, mode));
        } else if busy {
            agent.asked = Some(wrap.unwrap_or(0));
            self.tell(dn, agent, (false, mode));
        } else {
            if self.options.acw_in_idle_force_ready {
                agent.chose = (true, agent.manner);
            }
            let usual = agent.login_wrap.unwrap_or(ms(self.options.wrap_up_time));
            let usual = if self.options.timed_acw_in_idle { usual } else { UNTIMED };
            let wrap = wrap.unwrap_or(usual);
            self.wrap_up(dn, agent, if wrap == 0 { UNTIMED } else { wrap });
        }
        Ok(())
    }

    fn no_answer(&mut self, dn: &str, desk: &mut Desk) {
        let now = self.now;
        let Some(agent) = &mut desk.agent else { return };
        agent.idle_since = now;
        match self.options.agent_no_answer_action {
            NoAnswerAction::None => {}
            NoAnswerAction::Logout => self.gone(dn, desk),
            NoAnswerAction::NotReady if agent.chose.0 => {
                agent.chose = (false, WorkMode::Unknown);
                if agent.pause.is_none() && agent.asked.is_none() {
                    let chose = agent.chose;
                    self.tell(dn, agent, chose);
                }
            }
            NoAnswerAction::NotReady => {}
        }
    }

    fn ended(&mut self, dn: &str, desk: &mut Desk, conn: u64) {
        let Some(at) = desk.calls.iter().position(|c| c.conn == conn) else { return };
        let call = desk.calls.remove(at);
        let busy = desk.busy();
        let Some(agent) = &mut desk.agent else { return };
        agent.offer = agent.offer.filter(|offer| *offer != conn);
        agent.quiet_since = self.now;
        if !call.talks {
            return;
        }
        agent.idle_since = self.now;
        if !call.business {
            return;
        }
        agent.owed = agent.owed.max(self.wrap_of(agent, &call));
        if busy {
            return;
        }
        let asked = agent.asked.take();
        let mut wrap = std::mem::take(&mut agent.owed).max(asked.unwrap_or(0));
        if asked.is_some() && wrap == 0 {
            wrap = UNTIMED;
        }
        if wrap > 0 {
            let manual = (false, WorkMode::ManualIn);
            if wrap != UNTIMED && agent.manner == WorkMode::ManualIn && agent.chose == manual {
                agent.chose = (true, WorkMode::ManualIn);
            }
            self.wrap_up(dn, agent, wrap);
        } else if !self.guard(dn, agent) && agent.told != agent.chose {
            let chose = agent.chose;
            self.tell(dn, agent, chose);
        }
    }

    fn wrap_up(&mut self, dn: &str, agent: &mut Agent, wrap: Wrap) {
        let until = (wrap != UNTIMED).then(|| self.now + wrap);
        agent.no_ready_before = 0;
        agent.pause = Some((WorkMode::AfterCallWork, until));
        self.tell(dn, agent, (false, WorkMode::AfterCallWork));
    }

    fn guard(&mut self, dn: &str, agent: &mut Agent) -> bool {
        let time = self.options.legal_guard_time.as_millis() as u64;
        if time > 0 {
            agent.no_ready_before = self.now + time;
            agent.pause = Some((WorkMode::LegalGuard, Some(self.now + time)));
            self.tell(dn, agent, (false, WorkMode::LegalGuard));
        }
        time > 0
    }

    fn tell(&mut self, dn: &str, agent: &mut Agent, what: (bool, WorkMode)) {
        agent.told = what;
        agent.quiet_since = self.now;
        if what.0 {
            agent.idle_since = self.now;
            self.heard.push(Heard::Ready(dn.to_owned(), what.1));
        } else {
            self.heard.push(Heard::NotReady(dn.to_owned(), what.1));
        }
    }

    /// When something happens to a desk by itself.
    pub fn due(&self, dn: &str) -> Option<u64> {
        let desk = self.desks.get(dn)?;
        let agent = desk.agent.as_ref()?;
        if let Some((_, until)) = agent.pause {
            return until;
        }
        let timeout = self.options.auto_logout_timeout.as_millis() as u64;
        let idle = desk.calls.is_empty() && agent.offer.is_none();
        let leaves = timeout > 0 && idle && !agent.chose.0 && agent.chose.1 != WorkMode::AuxWork;
        leaves.then(|| agent.quiet_since + timeout)
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        loop {
            let next = self.desks.keys().filter_map(|dn| Some((self.due(dn)?, dn.clone()))).min();
            let Some((due, dn)) = next.filter(|(due, _)| *due <= end) else { break };
            self.now = self.now.max(due);
            self.at(&dn, |model, desk| {
                let Some(agent) = &mut desk.agent else { return };
                match agent.pause.take() {
                    None => model.gone(&dn, desk),
                    Some((mode, _)) => {
                        if mode == WorkMode::LegalGuard || !model.guard(&dn, agent) {
                            let chose = agent.chose;
                            model.tell(&dn, agent, chose);
                        }
                    }
                }
            });
        }
        self.now = end;
    }
}

impl Agent {
    fn become_busy(&mut self, now: u64) {
        self.no_ready_before = 0;
        if let Some((WorkMode::AfterCallWork, until)) = self.pause.take() {
            let left = until.map_or(UNTIMED, |until| until.saturating_sub(now));
            self.asked = Some(left).filter(|left| *left > 0);
        }
        if self.chose.0 && self.manner == WorkMode::ManualIn {
            self.chose = (false, WorkMode::ManualIn);
        }
    }
}

/// A transfer or conference was completed: one call goes on under another's number, or two become one.
fn became(desk: &mut Desk, old: u64, (conn, business, wrap): (u64, bool, Option<Wrap>)) {
    let Some(mut call) = desk.calls.iter().find(|c| c.conn == old).cloned() else { return };
    let other = desk.calls.iter().find(|c| c.conn == conn && conn != old).cloned();
    call.conn = conn;
    call.business |= business || other.as_ref().is_some_and(|other| other.business);
    call.talks |= other.as_ref().is_some_and(|other| other.talks);
    call.wrap = wrap.or(call.wrap).or(other.and_then(|other| other.wrap));
    desk.calls.retain(|c| c.conn != old && c.conn != conn);
    desk.calls.push(call);
}

impl Op {
    pub fn dn(&self) -> &str {
        match self {
            Self::Login { dn, .. }
            | Self::Logout { dn, .. }
            | Self::Force { dn }
            | Self::Ready { dn, .. }
            | Self::NotReady { dn, .. }
            | Self::Offered { dn, .. }
            | Self::OfferOver { dn, .. }
            | Self::NoAnswer { dn }
            | Self::Began { dn, .. }
            | Self::Became { dn, .. }
            | Self::WrapUp { dn, .. }
            | Self::Established { dn, .. }
            | Self::Ended { dn, .. }
            | Self::InService { dn, .. }
            | Self::Suspended { dn, .. }
            | Self::Unregistered { dn, .. } => dn,
            Self::ClientGone { .. } | Self::Pass { .. } => "",
        }
    }
}
