//! Agents: who is logged in at which DN, and in which state.
//!
//! One DN holds one agent, one agent sits at one DN. An agent is a [`Replicated`] record with absolute deadlines. The
//! calls at a DN are not stored with him: after a restart they are told again ([`Agents::call_began`]).
//!
//! Choices that the sources leave open. `ManualIn` means that each business call ends in NotReady unless the agent says
//! otherwise during it; one who never named a work mode stays Ready. A setting made during a call or during after-call
//! work decides what follows; only the legal guard cannot be cut short. A call that was never answered leaves no
//! after-call work and no idle time behind. A repeated login tells `EventAgentLogin` again and changes nothing but the
//! client whose loss counts and, if one is named, the queues.

mod check;
mod drain;
pub mod heard;
mod login;
mod record;
mod seats;
mod state;
mod word;
mod work;

use std::collections::VecDeque;
use std::sync::Arc;

use tandem_cti::{ErrorCode, KvList, Refusal, WorkMode};
use tandem_peer::replica::Change;
use tandem_peer::{ChangeLog, Replicated};

pub use drain::{Drained, drained};
pub use state::Agent;
pub use word::{AgentNews, Login, LogoutBy, Told, View, Work, wrap_up_of, wrap_up_value};

use crate::directory::Directory;
use crate::directory::floor::{NoAnswerAction, OnUnregister, StrictId, WrapUp};
use crate::limits::{MAX_AGENT_TIMERS_AT_ONCE, MAX_AGENTS, MAX_QUEUES_OF_AGENT};
use crate::time::{Deadline, Now};
use heard::What;
use seats::{Seat, Seats};
use state::{Call, Turn};

/// What a change of an agent may look at and write to.
#[derive(Debug)]
pub struct Desk<'a> {
    /// What is configured.
    pub directory: &'a Directory,
    /// Where changes are logged.
    pub log: &'a mut ChangeLog,
    /// The moment.
    pub now: Now,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Agents {
    seats: Seats,
    last_record: u64,
    /// What the room was told, if somebody listens.
    heard: Option<Vec<heard::Told>>,
}

impl Agents {
    /// Takes a new configuration: agents whose DN or Agent Login is gone are logged out, options take effect from the
    /// next change of state on, and queues that are gone are forgotten.
    pub fn adopt(&mut self, desk: &mut Desk<'_>) {
        self.hear(desk, "", || What::Adopted);
        self.seats.suspended.retain(|dn| desk.directory.find(dn.as_bytes()).is_some());
        for dn in self.seats.occupied() {
            let directory = desk.directory;
            let stays = self.seats.turn(desk, &dn, |turn| {
                let configured = directory.login(&turn.agent.agent_id).is_some();
                let missed = turn.agent.configured || turn.options.agent_strict_id != StrictId::Any;
                turn.agent.configured = configured;
                turn.agent.queues.retain(|queue| directory.queue(queue).is_some());
                configured || !missed
            });
            if stays != Some(true) || login::extension(directory, &dn).is_err() {
                self.log_out(desk, &dn, LogoutBy::Configuration, KvList::new(), KvList::new());
            }
        }
    }

    /// Logs an agent in. The same login again is answered with `EventAgentLogin` and changes no state.
    ///
    /// # Errors
    /// 59 and 51 where no agent can log in, 53 for attributes, 192 and 119 by `agent-strict-id`, 506 with a call in
    /// progress, 527 and 550 for conflicts, 166 when the table is full.
    #[allow(clippy::needless_pass_by_value, reason = "a login is used up")]
    pub fn login(&mut self, desk: &mut Desk<'_>, login: Login<'_>) -> Result<(), Refusal> {
        let what = What::login(&login);
        let dn = Arc::clone(login.dn);
        let done = self.log_in(desk, login);
        self.hear_outcome(desk, &dn, number(&done), || what);
        done
    }

    fn log_in(&mut self, desk: &mut Desk<'_>, login: Login<'_>) -> Result<(), Refusal> {
        let dn = login::extension(desk.directory, login.dn)?;
        let options = desk.directory.agent_options(&dn, login.agent_id);
        login::admit(desk.directory, &login, &options)?;
        match self.seats.at(&dn).map(|seated| *seated.agent.agent_id == *login.agent_id) {
            Some(true) => return self.log_in_again(desk, &dn, &login),
            Some(false) => return Err(ErrorCode::PositionSignedIn.into()),
            None => {}
        }
        if let Some(elsewhere) = self.seats.dn_of(login.agent_id) {
            let why = format!("the AgentID is active at DN {elsewhere}");
            return Err(Refusal::because(ErrorCode::AgentIdActive, why));
        }
        let calls = self.seats.by_dn.get(&dn).is_some_and(|seat| !seat.calls.is_empty());
        login::check_idle(login.busy || calls, &login.extensions, &options)?;
        if self.seats.agents() >= MAX_AGENTS {
            return Err(Refusal::because(ErrorCode::ResUnavail, "too many agents are logged in"));
        }
        let agent = login::arrive(Arc::clone(&dn), &login, desk.directory, desk.now.unix_ms);
        self.last_record += 1;
        self.seats.sit(Replicated::create(self.last_record, agent, desk.log), login.in_service);
        self.seats.turn(desk, &dn, |turn| {
            let told = turn.agent.attributes(login.work_mode, login.reasons, login.extensions);
            turn.news.push_back(AgentNews::LoggedIn(told));
            turn.tell_stance();
        });
        Ok(())
    }

    fn log_in_again(&mut self, desk: &mut Desk<'_>, dn: &str, login: &Login<'_>) -> Result<(), Refusal> {
        let again = |turn: &mut Turn<'_>| {
            if let Some(queue) = login.queue.filter(|queue| !turn.agent.queues.contains(queue)) {
                if turn.agent.queues.len() >= MAX_QUEUES_OF_AGENT {
                    return Err(Refusal::because(ErrorCode::ResUnavail, "the agent names too many queues"));
                }
                turn.agent.queues.push(Arc::clone(queue));
            }
            turn.agent.client = login.client;
            let (reasons, extensions) = (login.reasons.clone(), login.extensions.clone());
            let told = turn.agent.attributes(turn.agent.manner, reasons, extensions);
            turn.news.push_back(AgentNews::LoggedIn(told));
            Ok(())
        };
        self.seats.turn(desk, dn, again).unwrap_or(Ok(()))
    }

    /// Logs the agent of a DN out; of one queue only if `queue` is given, which is no event of its own.
    ///
    /// # Errors
    /// 551 if nobody is logged in; 53 for attributes, or a queue that he did not name; 506 with a call in progress,
    /// unless `by` is not a request.
    pub fn logout(
        &mut self,
        desk: &mut Desk<'_>,
        dn: &str,
        by: LogoutBy,
        queue: Option<&str>,
        reasons: KvList,
        extensions: KvList,
    ) -> Result<(), Refusal> {
        let what = What::logout(by == LogoutBy::Request, queue.is_some(), &extensions);
        let done = self.log_out_of(desk, dn, by, queue, reasons, extensions);
        self.hear_outcome(desk, dn, number(&done), || what);
        done
    }

    fn log_out_of(
        &mut self,
        desk: &mut Desk<'_>,
        dn: &str,
        by: LogoutBy,
        queue: Option<&str>,
        reasons: KvList,
        extensions: KvList,
    ) -> Result<(), Refusal> {
        check::lists([&reasons, &extensions])?;
        let asked = by == LogoutBy::Request;
        let ends = self.seats.turn(desk, dn, |turn| {
            if let Some(queue) = queue {
                let Some(at) = turn.agent.queues.iter().position(|named| **named == *queue) else {
                    let why = "the agent is not logged in to this queue by a login that names it";
                    return Err(Refusal::because(ErrorCode::InvalidAttr, why));
                };
                turn.agent.queues.remove(at);
                return Ok(false);
            }
            if asked {
                login::check_idle(!turn.calls.is_empty(), &extensions, turn.options)?;
            }
            Ok(true)
        });
        if ends.ok_or(ErrorCode::PositionSignedOut)?? {
            self.log_out(desk, dn, by, reasons, extensions);
        }
        Ok(())
    }

    fn log_out(
        &mut self,
        desk: &mut Desk<'_>,
        dn: &str,
        by: LogoutBy,
        mut reasons: KvList,
        mut extensions: KvList,
    ) {
        let Some(seated) = self.seats.rise(dn) else { return };
        login::explain(by, &mut reasons, &mut extensions);
        let told = seated.agent.attributes(seated.shown.1, reasons, extensions);
        if seated.available {
            self.seats.news.push_back(AgentNews::Unavailable { dn: Arc::clone(&told.dn) });
        }
        self.seats.news.push_back(AgentNews::LoggedOut(told));
        seated.agent.delete(desk.log);
    }

    fn log_out_by(&mut self, desk: &mut Desk<'_>, dn: &str, by: LogoutBy) {
        self.log_out(desk, dn, by, KvList::new(), KvList::new());
    }

    /// `TAgentSetReady`.
    ///
    /// # Errors
    /// 187 if nobody is logged in, 43 if he is ready already, 506 during the legal guard, 53 for attributes.
    pub fn set_ready(
        &mut self,
        desk: &mut Desk<'_>,
        dn: &str,
        mode: WorkMode,
        reasons: KvList,
        extensions: KvList,
    ) -> Result<(), Refusal> {
        let set = check::lists([&reasons, &extensions]).and_then(|()| {
            let set = self.seats.turn(desk, dn, |turn| turn.set_ready(mode, reasons, extensions));
            set.ok_or(ErrorCode::AcdLogoff)?
        });
        self.hear_outcome(desk, dn, number(&set), || What::Ready { mode });
        set
    }

    /// `TAgentSetNotReady`.
    ///
    /// # Errors
    /// 187 if nobody is logged in, 53 for attributes.
    pub fn set_not_ready(
        &mut self,
        desk: &mut Desk<'_>,
        dn: &str,
        mode: WorkMode,
        reasons: KvList,
        extensions: KvList,
    ) -> Result<(), Refusal> {
        let wrap_up = wrap_up_of(&extensions);
        let set = check::lists([&reasons, &extensions]).and_then(|()| {
            let set = self.seats.turn(desk, dn, |turn| turn.set_not_ready(mode, reasons, extensions));
            set.ok_or(ErrorCode::AcdLogoff)?
        });
        self.hear_outcome(desk, dn, number(&set), || What::NotReady { mode, wrap_up });
        set
    }

    /// A queue offers him a call: he is not available until it is answered or taken back.
    pub fn offered(&mut self, desk: &mut Desk<'_>, dn: &str, conn: u64) {
        self.hear(desk, dn, || What::Offered { conn });
        self.seats.turn(desk, dn, |turn| *turn.offer = Some(conn));
    }

    /// The offer was taken back, or refused, or not answered.
    pub fn offer_over(&mut self, desk: &mut Desk<'_>, dn: &str, conn: u64) {
        self.hear(desk, dn, || What::OfferOver { conn });
        self.seats.turn(desk, dn, |turn| {
            if *turn.offer == Some(conn) {
                *turn.offer = None;
            }
        });
    }

    /// `agent-no-answer-timeout` is over with the call still ringing: applies `agent-no-answer-action`. If he stays
    /// Ready he counts as idle from now on only, so that the next call is offered to others first.
    pub fn no_answer(&mut self, desk: &mut Desk<'_>, dn: &str) {
        self.hear(desk, dn, || What::NoAnswer);
        let action = self.seats.turn(desk, dn, |turn| {
            turn.agent.idle_since_unix_ms = turn.now_ms;
            if turn.options.agent_no_answer_action == NoAnswerAction::NotReady {
                turn.no_answer_not_ready(KvList::from([(
                    "Cause".to_owned(),
                    "agent-no-answer-action".into(),
                )]));
            }
            turn.options.agent_no_answer_action
        });
        if action == Some(NoAnswerAction::Logout) {
            self.log_out_by(desk, dn, LogoutBy::NoAnswer);
        }
    }

    /// A call came to the DN (rings or is dialled), whether an agent is logged in there or not.
    pub fn call_began(&mut self, desk: &mut Desk<'_>, dn: &str, work: Work) {
        self.hear(desk, dn, || What::Began { work });
        if !self.seats.by_dn.contains_key(dn) {
            let extension = desk.directory.find(dn.as_bytes()).and_then(|id| desk.directory.extension(id));
            let Some(extension) = extension else { return };
            self.seats.by_dn.entry(Arc::clone(&extension.number)).or_default();
        }
        let Some(seat) = self.seats.by_dn.get_mut(dn) else { return };
        let Work { conn, business, wrap_up } = work;
        let established = false;
        match seat.calls.iter_mut().find(|call| call.conn == conn) {
            Some(call) => call.wrap_up = wrap_up,
            None => seat.calls.push(Call { conn, business, established, wrap_up }),
        }
        self.seats.turn(desk, dn, |_| ());
    }

    /// It is answered.
    pub fn call_established(&mut self, desk: &mut Desk<'_>, dn: &str, conn: u64) {
        self.hear(desk, dn, || What::Established { conn });
        let Some(seat) = self.seats.by_dn.get_mut(dn) else { return };
        let was_busy = seat.calls.iter().any(Call::occupies);
        let Some(call) = seat.calls.iter_mut().find(|call| call.conn == conn) else { return };
        call.established = true;
        self.seats.turn(desk, dn, |turn| {
            turn.answered(conn);
            if !was_busy && turn.busy() {
                turn.begin_busy();
            }
        });
    }

    /// The call at the DN is another one from now on (a transfer or conference was completed): `work` takes the place
    /// of `old`, and what it left of after-call work is not lost.
    pub fn call_became(&mut self, desk: &mut Desk<'_>, dn: &str, old: u64, work: Work) {
        self.hear(desk, dn, || What::Became { old, work });
        let Some(seat) = self.seats.by_dn.get_mut(dn) else { return };
        let was_busy = seat.calls.iter().any(Call::occupies);
        let Some(place) = seat.calls.iter().position(|call| call.conn == old) else { return };
        let mut call = seat.calls.remove(place);
        let other =
            seat.calls.iter().position(|other| other.conn == work.conn).map(|at| seat.calls.remove(at));
        call.conn = work.conn;
        call.business |= work.business || other.as_ref().is_some_and(|other| other.business);
        call.established |= other.as_ref().is_some_and(|other| other.established);
        call.wrap_up = work.wrap_up.or(call.wrap_up).or(other.and_then(|other| other.wrap_up));
        seat.calls.push(call);
        self.seats.turn(desk, dn, |turn| {
            if !was_busy && turn.busy() {
                turn.begin_busy();
            }
        });
    }

    /// `WrapUpTime` of a call's user data changed.
    pub fn set_wrap_up(&mut self, desk: &mut Desk<'_>, dn: &str, conn: u64, wrap_up: Option<WrapUp>) {
        self.hear(desk, dn, || What::WrapUp { conn, wrap_up });
        let Some(seat) = self.seats.by_dn.get_mut(dn) else { return };
        if let Some(call) = seat.calls.iter_mut().find(|call| call.conn == conn) {
            call.wrap_up = wrap_up;
            self.seats.turn(desk, dn, |_| ());
        }
    }

    /// After-call work that will follow a business call: `WrapUpTime` of `EventEstablished` (see [`wrap_up_value`]).
    /// `None` if nobody is logged in, or it is no business call.
    #[must_use]
    pub fn expected_wrap_up(&self, directory: &Directory, dn: &str, conn: u64) -> Option<WrapUp> {
        let seat = self.seats.by_dn.get(dn)?;
        let agent = &seat.seated.as_ref()?.agent;
        let call = seat.calls.iter().find(|call| call.conn == conn && call.business)?;
        Some(agent.wrap_up_after(call, &directory.agent_options(dn, &agent.agent_id)))
    }

    /// It left the DN. After-call work begins here: call this before the `EventReleased` is told.
    pub fn call_ended(&mut self, desk: &mut Desk<'_>, dn: &str, conn: u64) {
        self.hear(desk, dn, || What::Ended { conn });
        let Some(seat) = self.seats.by_dn.get_mut(dn) else { return };
        let Some(at) = seat.calls.iter().position(|call| call.conn == conn) else { return };
        let call = seat.calls.remove(at);
        self.seats.turn(desk, dn, |turn| turn.ended(&call));
        self.seats.tidy(dn);
    }

    /// The DN is in service or not; only what `logout-on-out-of-service` says and availability follow.
    pub fn dn_in_service(&mut self, desk: &mut Desk<'_>, dn: &str, in_service: bool) {
        self.hear(desk, dn, || What::InService { yes: in_service });
        let leaves = self.seats.turn(desk, dn, |turn| {
            *turn.in_service = in_service;
            !in_service && turn.options.logout_on_out_of_service
        });
        if leaves == Some(true) {
            self.log_out_by(desk, dn, LogoutBy::OutOfService);
        }
    }

    /// The phone of the DN is suspected to be gone, or is known to be there: while it is suspected, no queue offers the
    /// agent a call. He is still logged in and Ready, for the DN is in service until its registration ends.
    pub fn dn_suspended(&mut self, desk: &mut Desk<'_>, dn: &Arc<str>, suspended: bool) {
        if self.seats.suspended.contains(dn) == suspended {
            return;
        }
        self.hear(desk, dn, || What::Suspended { yes: suspended });
        if suspended {
            self.seats.suspended.insert(Arc::clone(dn));
        } else {
            self.seats.suspended.remove(dn);
        }
        self.seats.turn(desk, dn, |_| ());
    }

    /// The client is gone (`logout-on-disconnect`, `agent-logout-on-unreg`).
    pub fn client_gone(&mut self, desk: &mut Desk<'_>, client: u64) {
        self.hear(desk, "", || What::ClientGone { client });
        for dn in self.seats.of_client(client) {
            let by = self.seats.turn(desk, &dn, |turn| {
                let by_unregister = turn.options.agent_logout_on_unreg != OnUnregister::Stay;
                let by = by_unregister.then_some(LogoutBy::Unregister);
                if turn.options.logout_on_disconnect { Some(LogoutBy::Disconnect) } else { by }
            });
            if let Some(by) = by.flatten() {
                self.log_out_by(desk, &dn, by);
            }
        }
    }

    /// A client unregistered the DN (`agent-logout-on-unreg`); only that of the client that logged the agent in counts.
    pub fn unregistered(&mut self, desk: &mut Desk<'_>, dn: &str, client: u64) {
        self.hear(desk, dn, || What::Unregistered { client });
        let leaves = self.seats.turn(desk, dn, |turn| {
            turn.agent.client == client && turn.options.agent_logout_on_unreg != OnUnregister::Stay
        });
        if leaves == Some(true) {
            self.log_out_by(desk, dn, LogoutBy::Unregister);
        }
    }

    /// DN of a stored agent; `None` if the record is none.
    pub(crate) fn dn_in(change: &Change) -> Option<Arc<str>> {
        Replicated::<Agent>::restore(change).map(|agent| Arc::clone(&agent.dn))
    }

    /// Takes up a stored agent after a restart or a takeover; false if the record is no agent. One whose DN is no
    /// more, or taken, is deleted. Tell the calls that survived by [`call_began`](Self::call_began) and
    /// [`call_established`](Self::call_established), before or after.
    pub fn restore(&mut self, desk: &mut Desk<'_>, change: &Change, in_service: bool) -> bool {
        let Some(agent) = Replicated::<Agent>::restore(change) else { return false };
        self.last_record = self.last_record.max(change.key.id);
        let dn = Arc::clone(&agent.dn);
        let taken = self.seats.at(&dn).is_some() || self.seats.dn_of(&agent.agent_id).is_some();
        if taken || login::extension(desk.directory, &dn).is_err() {
            agent.delete(desk.log);
            return true;
        }
        self.seats.sit(agent, in_service);
        self.seats.turn(desk, &dn, |_| ());
        true
    }

    /// Takes back what it has told and nobody has heard yet.
    pub(crate) fn withhold(&mut self) -> VecDeque<AgentNews> {
        std::mem::take(&mut self.seats.news)
    }

    /// Tells after all what it took back: who is available still.
    pub(crate) fn tell_available(&mut self, withheld: VecDeque<AgentNews>) {
        let seats = &mut self.seats;
        let still = |news: &AgentNews| match news {
            AgentNews::Available { dn } => seats.by_dn.get(dn).is_some_and(Seat::is_available),
            AgentNews::LoggedIn(_)
            | AgentNews::Ready(_)
            | AgentNews::NotReady(_)
            | AgentNews::LoggedOut(_)
            | AgentNews::Unavailable { .. } => true,
        };
        let news: Vec<AgentNews> = withheld.into_iter().filter(still).collect();
        seats.news.extend(news);
    }

    /// The agent at a DN.
    #[must_use]
    pub fn at(&self, dn: &str) -> Option<View> {
        Some(self.shown(self.seats.by_dn.get(dn)?.view()?))
    }

    /// Whether an agent is logged in at the DN.
    #[must_use]
    pub fn is_logged_in(&self, dn: &str) -> bool {
        self.seats.at(dn).is_some()
    }

    /// The agent who is logged in at the DN.
    #[must_use]
    pub fn agent_id(&self, dn: &str) -> Option<&str> {
        self.seats.at(dn).map(|seated| &*seated.agent.agent_id)
    }

    /// DN at which this agent is logged in.
    #[must_use]
    pub fn dn_of(&self, agent_id: &str) -> Option<Arc<str>> {
        self.seats.dn_of(agent_id).cloned()
    }

    /// Calls at all DNs.
    pub(crate) fn calls_at_dns(&self) -> usize {
        self.seats.by_dn.values().map(|seat| seat.calls.len()).sum()
    }

    /// Agents logged in.
    pub(crate) fn len(&self) -> usize {
        self.seats.agents()
    }

    /// Every agent, by DN.
    #[must_use]
    pub fn list(&self) -> Vec<View> {
        self.seats.by_dn.values().filter_map(Seat::view).map(|view| self.shown(view)).collect()
    }

    fn shown(&self, view: View) -> View {
        View { suspended: self.seats.suspended.contains(&view.dn), ..view }
    }

    /// Runs what is due; at most [`MAX_AGENT_TIMERS_AT_ONCE`] agents, and [`poll_timeout`](Self::poll_timeout) stays in
    /// the past while more are due.
    pub fn handle_timeout(&mut self, desk: &mut Desk<'_>) {
        self.hear(desk, "", || What::Timeout);
        for _ in 0..MAX_AGENT_TIMERS_AT_ONCE {
            let Some((deadline, dn)) = self.seats.next_timer() else { return };
            if !deadline.is_past(desk.now.unix_ms) {
                return;
            }
            let dn = Arc::clone(dn);
            let idle = self.seats.turn(desk, &dn, |turn| {
                let idle = turn.idle_deadline().is_some_and(|until| until.is_past(turn.now_ms));
                turn.pause_due();
                idle
            });
            if idle == Some(true) {
                self.log_out_by(desk, &dn, LogoutBy::Idle);
            }
        }
    }

    /// When the next timer is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.seats.next_timer().map(|(deadline, _)| *deadline)
    }

    /// What happened, oldest first, until there is nothing.
    pub fn poll_news(&mut self) -> Option<AgentNews> {
        self.seats.news.pop_front()
    }
}

/// Number of a refusal.
fn number(outcome: &Result<(), Refusal>) -> Option<u16> {
    outcome.as_ref().err().map(|refusal| refusal.code.number())
}
