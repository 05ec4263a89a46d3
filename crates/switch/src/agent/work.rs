//! Ready and NotReady, after-call work and the legal guard.
//!
//! After-call work that a business call interrupts is not lost: what was left of it follows that call. Of several
//! calls at once it follows the last, as long as the longest of them asks for.

use tandem_cti::{ErrorCode, KvList, Refusal, WorkMode};

use super::check;
use super::state::{Asked, Call, NO_WRAP_UP, Pause, PauseKind, Stance, Turn, longer};
use super::word::wrap_up_value;
use crate::directory::floor::WrapUp;
use crate::time::Deadline;

impl Turn<'_> {
    /// `TAgentSetReady`.
    pub fn set_ready(&mut self, mode: WorkMode, reasons: KvList, extensions: KvList) -> Result<(), Refusal> {
        if !check::takes_calls(mode) {
            return Err(Refusal::because(ErrorCode::InvalidAttr, "Ready goes with ManualIn or AutoIn"));
        }
        let busy = self.busy();
        let agent = &mut *self.agent;
        if agent.stance.ready && agent.told.0 {
            return Err(ErrorCode::InSameState.into());
        }
        if !busy && agent.guard_until.is_some_and(|until| !until.is_past(self.now_ms)) {
            let why = "the legal guard time is not over (legal-guard-time)";
            return Err(Refusal::because(ErrorCode::RecvdInvState, why));
        }
        if mode != WorkMode::Unknown {
            agent.manner = mode;
        }
        agent.stance = Stance::ready(agent.manner);
        (agent.asked, agent.guard_until) = (None, None);
        if self.end_pause() && self.begin_guard() {
            return Ok(());
        }
        self.tell_ready(reasons, extensions);
        Ok(())
    }

    /// `TAgentSetNotReady`.
    pub fn set_not_ready(
        &mut self,
        mode: WorkMode,
        reasons: KvList,
        extensions: KvList,
    ) -> Result<(), Refusal> {
        match mode {
            WorkMode::AfterCallWork => return self.ask_wrap_up(reasons, extensions),
            WorkMode::AutoIn | WorkMode::LegalGuard => {
                let why = "NotReady does not go with AutoIn, and LegalGuard is the server's";
                return Err(Refusal::because(ErrorCode::InvalidAttr, why));
            }
            WorkMode::Unknown
            | WorkMode::ManualIn
            | WorkMode::AuxWork
            | WorkMode::NoCallDisconnect
            | WorkMode::WalkAway
            | WorkMode::ReturnBack => {}
        }
        self.agent.stance = Stance::not_ready(mode, reasons.clone());
        self.agent.asked = None;
        let guard = self.options.legal_guard_time;
        if self.end_pause() && !guard.is_zero() {
            self.agent.guard_until = Some(Deadline::after(self.now_ms, guard));
        }
        self.tell_not_ready(mode, reasons, extensions);
        Ok(())
    }

    /// After-call work asked for by the agent: now, or after the business call that he is on.
    fn ask_wrap_up(&mut self, reasons: KvList, mut extensions: KvList) -> Result<(), Refusal> {
        let said = check::wrap_up(&extensions)?;
        if self.busy() {
            self.agent.asked = Some(Asked { wrap_up: said, reasons: reasons.clone() });
            self.tell_not_ready(WorkMode::AfterCallWork, reasons, extensions);
            return Ok(());
        }
        if self.options.acw_in_idle_force_ready {
            self.agent.stance = Stance::ready(self.agent.manner);
        }
        let usual = if self.options.timed_acw_in_idle {
            self.agent.wrap_up.unwrap_or(self.options.wrap_up_time)
        } else {
            WrapUp::Untimed
        };
        let wrap_up = or_untimed(said.unwrap_or(usual));
        extensions.insert("WrapUpTime".to_owned(), wrap_up_value(wrap_up));
        self.begin_wrap_up(wrap_up, reasons, extensions);
        Ok(())
    }

    fn begin_wrap_up(&mut self, wrap_up: WrapUp, reasons: KvList, extensions: KvList) {
        let until = match wrap_up {
            WrapUp::Timed(time) => Some(Deadline::after(self.now_ms, time)),
            WrapUp::Untimed => None,
        };
        self.agent.guard_until = None;
        self.agent.pause = Some(Pause { kind: PauseKind::Wrap, until, reasons: reasons.clone() });
        self.tell_not_ready(WorkMode::AfterCallWork, reasons, extensions);
    }

    /// Begins the legal guard, if there is one.
    fn begin_guard(&mut self) -> bool {
        if self.options.legal_guard_time.is_zero() {
            return false;
        }
        let until = Some(Deadline::after(self.now_ms, self.options.legal_guard_time));
        self.agent.guard_until = until;
        self.agent.pause = Some(Pause { kind: PauseKind::Guard, until, reasons: KvList::new() });
        self.tell_not_ready(WorkMode::LegalGuard, KvList::new(), KvList::new());
        true
    }

    /// Ends the pause; whether it was after-call work.
    fn end_pause(&mut self) -> bool {
        self.agent.pause.take().is_some_and(|pause| pause.kind == PauseKind::Wrap)
    }

    /// A call is answered at his DN.
    pub fn answered(&mut self, conn: u64) {
        if *self.offer == Some(conn) {
            *self.offer = None;
        }
    }

    /// He was on no business call and is on one now.
    pub fn begin_busy(&mut self) {
        let agent = &mut *self.agent;
        agent.guard_until = None;
        if let Some(pause) = agent.pause.take() {
            agent.asked = interrupted(pause, self.now_ms);
        }
        if agent.stance.ready && agent.manner == WorkMode::ManualIn {
            agent.stance = Stance::not_ready(WorkMode::ManualIn, KvList::new());
        }
    }

    /// A call left his DN.
    pub fn ended(&mut self, call: &Call) {
        if *self.offer == Some(call.conn) {
            *self.offer = None;
        }
        self.agent.call_over_unix_ms = self.now_ms;
        if !call.established {
            return;
        }
        self.agent.idle_since_unix_ms = self.now_ms;
        if call.business {
            self.agent.owed = longer(self.agent.owed, self.agent.wrap_up_after(call, self.options));
            if !self.busy() {
                self.after_calls();
            }
        }
    }

    /// The last business call is over.
    fn after_calls(&mut self) {
        let mut wrap_up = std::mem::replace(&mut self.agent.owed, NO_WRAP_UP);
        let mut reasons = KvList::new();
        if let Some(asked) = self.agent.asked.take() {
            wrap_up = or_untimed(longer(wrap_up, asked.wrap_up.unwrap_or(NO_WRAP_UP)));
            reasons = asked.reasons;
        }
        if wrap_up != NO_WRAP_UP {
            self.ready_after_timed(wrap_up);
            let extensions = KvList::from([("WrapUpTime".to_owned(), wrap_up_value(wrap_up))]);
            self.begin_wrap_up(wrap_up, reasons, extensions);
        } else if !self.begin_guard() && self.agent.told != (self.agent.stance.ready, self.agent.stance.mode)
        {
            self.tell_stance();
        }
    }

    /// Timed after-call work ends in Ready with `ManualIn` too: that mode alone asks for NotReady only where no work
    /// stands between one call and the next. What he has set himself holds.
    fn ready_after_timed(&mut self, wrap_up: WrapUp) {
        let agent = &mut *self.agent;
        let manual = !agent.stance.ready && agent.stance.mode == WorkMode::ManualIn;
        if manual && agent.manner == WorkMode::ManualIn && wrap_up != WrapUp::Untimed {
            agent.stance = Stance::ready(agent.manner);
        }
    }

    /// Ends the pause whose time is over.
    pub fn pause_due(&mut self) {
        let over = |pause: &Pause| pause.until.is_some_and(|until| until.is_past(self.now_ms));
        if !self.agent.pause.as_ref().is_some_and(over) {
            return;
        }
        if self.end_pause() && self.begin_guard() {
            return;
        }
        self.agent.guard_until = None;
        self.tell_stance();
    }

    /// `agent-no-answer-action = notready`.
    pub fn no_answer_not_ready(&mut self, reasons: KvList) {
        if self.agent.stance.ready {
            self.agent.stance = Stance::not_ready(WorkMode::Unknown, reasons.clone());
            if self.agent.pause.is_none() && self.agent.asked.is_none() {
                self.tell_not_ready(WorkMode::Unknown, reasons, KvList::new());
            }
        }
    }

    /// When `auto-logout-timeout` will be over if nothing happens.
    pub fn idle_deadline(&self) -> Option<Deadline> {
        let timeout = self.options.auto_logout_timeout;
        let agent = &*self.agent;
        let idle = self.calls.is_empty()
            && self.offer.is_none()
            && agent.pause.is_none()
            && !agent.stance.ready
            && agent.stance.mode != WorkMode::AuxWork;
        let from = agent.since_unix_ms.max(agent.call_over_unix_ms);
        (idle && !timeout.is_zero()).then(|| Deadline::after(from, timeout))
    }

    /// When his next timer is due.
    pub fn next_deadline(&self) -> Option<Deadline> {
        self.agent.pause.as_ref().and_then(|pause| pause.until).or_else(|| self.idle_deadline())
    }

    /// Whether a queue may offer him a call.
    pub fn is_available(&self) -> bool {
        self.agent.stance.ready
            && self.agent.pause.is_none()
            && self.calls.is_empty()
            && self.offer.is_none()
            && *self.in_service
            && !self.suspended
    }
}

/// Somebody who asks for after-call work where none is configured ends it himself.
fn or_untimed(wrap_up: WrapUp) -> WrapUp {
    if wrap_up == NO_WRAP_UP { WrapUp::Untimed } else { wrap_up }
}

/// What a business call leaves of the after-call work that it interrupts. A guard begins anew after the call.
fn interrupted(pause: Pause, now_ms: u64) -> Option<Asked> {
    let left = match (pause.kind, pause.until) {
        (PauseKind::Guard, _) => NO_WRAP_UP,
        (PauseKind::Wrap, None) => WrapUp::Untimed,
        (PauseKind::Wrap, Some(until)) => WrapUp::Timed(until.remaining(now_ms)),
    };
    let left = (left != NO_WRAP_UP).then_some(left)?;
    Some(Asked { wrap_up: Some(left), reasons: pause.reasons })
}
