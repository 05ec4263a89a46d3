//! One agent: what is stored of him, and how that looks from outside.
//!
//! Two layers. The stance is what the agent himself has chosen, Ready or NotReady. Over it lies at times a pause that
//! the server imposes or that he asked for: after-call work, then the legal guard. When the pause is over the stance
//! shows again. During a business call there is no pause: the stance then says what follows the call.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tandem_cti::{AgentState, KvList, WorkMode};

use super::word::{AgentNews, Told};
use crate::directory::floor::{InForce, WrapUp};
use crate::time::Deadline;

/// No after-call work.
pub(super) const NO_WRAP_UP: WrapUp = WrapUp::Timed(Duration::ZERO);

/// What an agent has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stance {
    pub ready: bool,
    pub mode: WorkMode,
    pub reasons: KvList,
}

impl Stance {
    pub fn ready(mode: WorkMode) -> Self {
        Self { ready: true, mode, reasons: KvList::new() }
    }

    pub fn not_ready(mode: WorkMode, reasons: KvList) -> Self {
        Self { ready: false, mode, reasons }
    }
}

/// Which pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PauseKind {
    /// After-call work.
    Wrap,
    /// The legal guard.
    Guard,
}

impl PauseKind {
    pub fn mode(self) -> WorkMode {
        match self {
            Self::Wrap => WorkMode::AfterCallWork,
            Self::Guard => WorkMode::LegalGuard,
        }
    }
}

/// A pause that hides the stance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    pub kind: PauseKind,
    /// `None`: until the agent ends it.
    pub until: Option<Deadline>,
    pub reasons: KvList,
}

/// After-call work that was asked for during a business call, or that one interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// How long, if that was said.
    pub wrap_up: Option<WrapUp>,
    pub reasons: KvList,
}

/// The stored agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    pub(super) dn: Arc<str>,
    pub(super) agent_id: Arc<str>,
    /// There was an Agent Login for him: when it goes he goes.
    pub(super) configured: bool,
    /// The client that logged him in.
    pub(super) client: u64,
    pub(super) queues: Vec<Arc<str>>,
    pub(super) login_unix_ms: u64,
    /// How he takes calls: `ManualIn`, `AutoIn`, or `Unknown` if he never said.
    pub(super) manner: WorkMode,
    /// `WrapUpTime` of his login.
    pub(super) wrap_up: Option<WrapUp>,
    pub(super) stance: Stance,
    pub(super) pause: Option<Pause>,
    /// Ready is refused until then.
    pub(super) guard_until: Option<Deadline>,
    /// After-call work of business calls that ended while another went on.
    pub(super) owed: WrapUp,
    pub(super) asked: Option<Asked>,
    /// Whether he was told to be ready, and the work mode, by the last event.
    pub(super) told: (bool, WorkMode),
    pub(super) since_unix_ms: u64,
    pub(super) idle_since_unix_ms: u64,
    /// When his last call ended.
    pub(super) call_over_unix_ms: u64,
}

/// A call at a DN.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub conn: u64,
    pub business: bool,
    pub established: bool,
    pub wrap_up: Option<WrapUp>,
}

impl Call {
    /// It makes its agent busy.
    pub fn occupies(&self) -> bool {
        self.business && self.established
    }
}

/// The calls at a DN.
pub(super) type CallsAtDn = SmallVec<[Call; 2]>;

impl Agent {
    /// State and work mode, as they look from outside.
    pub(super) fn shown(&self, calls: &[Call], options: &InForce) -> (AgentState, WorkMode) {
        let mode = self.pause.as_ref().map_or(self.stance.mode, |pause| pause.kind.mode());
        let busy = calls.iter().any(Call::occupies);
        let state = match (busy, self.stance.ready && self.pause.is_none()) {
            (true, _) if self.wraps_up_after(calls, options) => AgentState::BusyAfterCallWork,
            (true, true) => AgentState::BusyReady,
            (true, false) => AgentState::BusyNotReady,
            (false, true) => AgentState::Ready,
            (false, false) => AgentState::NotReady,
        };
        (state, mode)
    }

    /// Whether after-call work follows the business calls he is on.
    fn wraps_up_after(&self, calls: &[Call], options: &InForce) -> bool {
        let wraps = |call: &Call| self.wrap_up_after(call, options) != NO_WRAP_UP;
        self.asked.is_some()
            || self.owed != NO_WRAP_UP
            || calls.iter().filter(|call| call.occupies()).any(wraps)
    }

    /// After-call work of one call: the call's own, that of the login, that of the options.
    pub(super) fn wrap_up_after(&self, call: &Call, options: &InForce) -> WrapUp {
        call.wrap_up.or(self.wrap_up).unwrap_or(options.wrap_up_time)
    }

    /// Why he is NotReady.
    pub(super) fn reasons(&self) -> &KvList {
        self.pause.as_ref().map_or(&self.stance.reasons, |pause| &pause.reasons)
    }

    /// The attributes of his next event.
    pub(super) fn attributes(&self, mode: WorkMode, reasons: KvList, extensions: KvList) -> Told {
        Told {
            dn: Arc::clone(&self.dn),
            agent_id: Arc::clone(&self.agent_id),
            work_mode: mode,
            reasons,
            extensions,
        }
    }
}

/// The longer of two.
pub(super) fn longer(a: WrapUp, b: WrapUp) -> WrapUp {
    match (a, b) {
        (WrapUp::Timed(a), WrapUp::Timed(b)) => WrapUp::Timed(a.max(b)),
        (WrapUp::Untimed, _) | (_, WrapUp::Untimed) => WrapUp::Untimed,
    }
}

/// One change of one agent: what it may look at and write to.
pub(super) struct Turn<'a> {
    pub agent: &'a mut Agent,
    pub offer: &'a mut Option<u64>,
    pub in_service: &'a mut bool,
    /// His phone is suspected to be gone.
    pub suspended: bool,
    pub calls: &'a [Call],
    pub options: &'a InForce,
    pub now_ms: u64,
    pub news: &'a mut VecDeque<AgentNews>,
}

impl Turn<'_> {
    /// Whether he is on a business call.
    pub fn busy(&self) -> bool {
        self.calls.iter().any(Call::occupies)
    }

    /// Tells that he is Ready.
    pub fn tell_ready(&mut self, reasons: KvList, extensions: KvList) {
        let mode = self.agent.stance.mode;
        self.agent.told = (true, mode);
        self.agent.since_unix_ms = self.now_ms;
        self.agent.idle_since_unix_ms = self.now_ms;
        self.news.push_back(AgentNews::Ready(self.agent.attributes(mode, reasons, extensions)));
    }

    /// Tells that he is NotReady.
    pub fn tell_not_ready(&mut self, mode: WorkMode, reasons: KvList, extensions: KvList) {
        self.agent.told = (false, mode);
        self.agent.since_unix_ms = self.now_ms;
        self.news.push_back(AgentNews::NotReady(self.agent.attributes(mode, reasons, extensions)));
    }

    /// Tells his stance.
    pub fn tell_stance(&mut self) {
        if self.agent.stance.ready {
            self.tell_ready(KvList::new(), KvList::new());
        } else {
            let Stance { mode, reasons, .. } = self.agent.stance.clone();
            self.tell_not_ready(mode, reasons, KvList::new());
        }
    }
}
