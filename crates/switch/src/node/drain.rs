//! Graceful shutdown: nothing new comes in, what runs ends by itself, callers who wait go to the peer site, agents leave
//! when their work is done. The process may end when no call is left, `graceful-shutdown-sip-timeout` has passed since,
//! and nobody is logged in.
//!
//! What may bring a call to life asks first: an INVITE outside a dialog, a request that makes a call or a consultation, a
//! login (it nails up connections). What goes on with a call that is there does not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_cti::{ErrorCode, KvList, Refusal, Request};
use tandem_peer::Replicated;
use tandem_peer::drain::{DEFAULT_REJECT_CODE, DrainAnswer, NewCall, answer_new_call};
use tandem_peer::replica::Change;
use tandem_sip::{Flow, HeaderName, Message};

use super::drain_record::Draining;
use super::floor::desk;
use super::{Node, Restored};
use crate::agent::{Drained, LogoutBy, View, drained};
use crate::call::control::Operation;
use crate::call::{Carried, Stage, has_marker};
use crate::event::{Event, MigrationNews};
use crate::input::DrainOrder;
use crate::limits::MAX_DRAIN_LINES;
use crate::reject::Reject;
use crate::routing::{self, ToPeer};
use crate::time::Now;
use crate::{agent, view};

/// How often a draining server looks whether its last call is gone.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often it tries again to hand over callers who wait and could not be.
const HAND_OVER_EVERY: Duration = Duration::from_secs(5);

/// A drain that is under way.
#[derive(Debug)]
pub(super) struct Drain {
    /// What another process would go on from.
    record: Replicated<Draining>,
    /// Agents whose state changed: they are looked at when the rooms are silent.
    changed: Vec<Arc<str>>,
    /// Since when no call is left.
    quiet: Option<Instant>,
    look_at: Instant,
    hand_over_at: Instant,
}

impl Drain {
    /// Looks at these agents first.
    fn of(record: Replicated<Draining>, agents: Vec<View>, now: Now) -> Self {
        Self {
            record,
            changed: agents.into_iter().rev().map(|agent| agent.dn).collect(),
            quiet: None,
            look_at: now.mono,
            hand_over_at: now.mono,
        }
    }
}

impl Node {
    /// Whether this server shuts down gracefully.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    pub(super) fn drain_order(&mut self, order: DrainOrder) {
        match order {
            DrainOrder::Start { by } => self.start_drain(by),
            DrainOrder::Abort { by } => {
                if let Some(drain) = self.drain.take() {
                    drain.record.delete(&mut self.rooms.log);
                    self.rooms.report(Event::DrainAborted { by });
                    self.distribute_again();
                }
            }
        }
    }

    /// Starts the drain; one that is under way goes on.
    pub(super) fn start_drain(&mut self, by: Box<str>) {
        if self.drain.is_some() {
            return;
        }
        let now = self.rooms.now;
        let agents = self.floor.agents.list();
        let (calls, agents_then) = (self.calls_in_progress(), agents.len());
        let record = Draining {
            by: by.clone(),
            since_unix_ms: now.unix_ms,
            calls_then: u32::try_from(calls).unwrap_or(u32::MAX),
            agents_then: u32::try_from(agents_then).unwrap_or(u32::MAX),
            over: false,
        };
        let record = Replicated::create(self.rooms.record_id(), record, &mut self.rooms.log);
        self.drain = Some(Drain::of(record, agents, now));
        self.end_migration(MigrationNews::Aborted, by.clone());
        self.rooms.report(Event::DrainStarted { by, calls, agents: agents_then });
        self.calls.unnail_all(&mut self.rooms);
    }

    /// Goes on with the drain of the process before. One that was complete is over: whoever started this process, or lost
    /// the one that had the site, wants it to serve.
    pub(super) fn restore_drain(&mut self, changes: &[Change], restored: &mut Restored) {
        for change in changes {
            self.rooms.next_record = self.rooms.next_record.max(change.key.id);
            let Some(record) = Replicated::<Draining>::restore(change) else {
                restored.unread(change.key);
                continue;
            };
            if record.over || self.drain.is_some() {
                record.delete(&mut self.rooms.log);
                continue;
            }
            restored.draining = Some(record.by.clone());
            let agents = self.floor.agents.list();
            self.drain = Some(Drain::of(record, agents, self.rooms.now));
        }
    }

    /// Calls that a draining server waits for. One that has ended but owes an answer is waited for by time alone.
    fn calls_in_progress(&self) -> usize {
        self.calls.iter().filter(|call| !call.is_ending()).count()
    }

    /// Whether a BYE that nobody answered in the time of its transaction is sent anew: until the process ends.
    pub(super) fn repeats_byes(&self) -> bool {
        self.drain.as_ref().is_some_and(|drain| !drain.record.over)
    }

    /// The next moment at which the drain is looked at.
    pub(super) fn drain_timeout(&self) -> Option<Instant> {
        self.drain.as_ref().filter(|drain| !drain.record.over).map(|drain| drain.look_at)
    }

    /// Runs the drain's timers.
    pub(super) fn run_drain(&mut self) {
        let now = self.rooms.now;
        let Some(drain) = self.drain.as_mut().filter(|drain| !drain.record.over && drain.look_at <= now.mono)
        else {
            return;
        };
        drain.look_at = now.mono + LOOK_EVERY;
        if drain.hand_over_at <= now.mono {
            drain.hand_over_at = now.mono + HAND_OVER_EVERY;
            for (conn, at) in self.floor.queues.undecided() {
                self.hand_over(conn, &at);
            }
        }
        let calls = self.calls_in_progress();
        let agents = self.floor.agents.list().len();
        let patience = self.rooms.directory.options.graceful_shutdown_sip_timeout;
        let Some(drain) = &mut self.drain else { return };
        if calls > 0 {
            drain.quiet = None;
        } else if *drain.quiet.get_or_insert(now.mono) + patience <= now.mono && agents == 0 {
            // Stored before anybody is told: the process ends then, and the other server of a pair with it.
            drain.record.update(&mut self.rooms.log, |drain| drain.over = true);
            let lasted_ms = now.unix_ms.saturating_sub(drain.record.since_unix_ms);
            self.rooms.report(Event::Drained { lasted_ms });
        }
    }

    /// An agent's state or calls changed.
    pub(super) fn drain_sees(&mut self, dn: &Arc<str>) {
        if let Some(drain) = &mut self.drain {
            drain.changed.push(Arc::clone(dn));
        }
        self.migration_sees(dn);
    }

    /// Looks at one agent, when the rooms are silent, and logs him out if his work is done. False: there was none.
    pub(super) fn drain_next_agent(&mut self) -> bool {
        let Some(dn) = self.drain.as_mut().and_then(|drain| drain.changed.pop()) else { return false };
        if self.floor.agents.at(&dn).is_some_and(|agent| drained(&agent) == Drained::LogOut) {
            let (desk, nothing) = (&mut desk!(self, agent), KvList::new);
            let by = LogoutBy::GracefulShutdown;
            // He is logged in, and a logout that nobody asked for is never refused.
            let _ = self.floor.agents.logout(desk, &dn, by, None, nothing(), nothing());
        }
        true
    }

    /// What a new INVITE is told; `None` when the server is in service.
    pub(super) fn drain_answer(&mut self, flow: Flow, request: &Message) -> Option<Reject> {
        self.drain.as_ref()?;
        self.rooms.counters.refused_draining += 1;
        let directory = &self.rooms.directory;
        let peer = directory.options.dr_peer_trunk;
        let trunk = self.rooms.trunks.identify(directory, flow).map(|(trunk, _)| trunk);
        let from_peer = trunk.is_some() && trunk == peer || has_marker(request);
        let call = if from_peer { NewCall::FromPeer } else { NewCall::Other };
        let code = directory.options.shutdown_sip_reject_code;
        let reject = match (answer_new_call(code, call, peer.is_some()), peer) {
            (DrainAnswer::RedirectToPeer, Some(peer)) => {
                let dialled = routing::dialled(request).unwrap_or_default();
                routing::redirect(directory, peer, &dialled)
            }
            (DrainAnswer::RedirectToPeer, None) => Reject::new(DEFAULT_REJECT_CODE),
            (DrainAnswer::Refuse(code), _) => Reject::new(code),
        };
        Some(reject.with(HeaderName::XTandemDraining, "yes"))
    }

    /// What a request is told that would begin a call, or an agent's work.
    pub(super) fn drain_refuses(&self, request: &Request) -> Result<(), Refusal> {
        if begins_something(request) && !self.calls_for_help(request) { self.may_begin() } else { Ok(()) }
    }

    /// Whether a request makes an emergency call: that one is made to the last.
    fn calls_for_help(&self, request: &Request) -> bool {
        let emergency = &self.rooms.directory.options.emergency;
        matches!(request, Request::TMakeCall(make) if emergency.dialled(make.other_dn.as_bytes()).is_some())
    }

    /// Whether something new may begin. It is asked again when the call is made: a consultation may have waited for its
    /// call to come to rest.
    pub(super) fn may_begin(&self) -> Result<(), Refusal> {
        if self.is_draining() {
            let text = "the server is being shut down: use the other site";
            return Err(Refusal::because(ErrorCode::AdminShutdown, text));
        }
        Ok(())
    }

    /// A caller who waits at a queue or routing point goes where his call can be distributed: by 302 where his side takes
    /// one, else in the signalling path. One who has no way to the peer is refused like a new call, unless he is on the
    /// line already: he waits on, and another attempt follows. Who came from the peer, or was forwarded before, is not sent
    /// back.
    pub(super) fn hand_over(&mut self, conn: u64, at: &Arc<str>) {
        let Some(key) = self.floor.tcalls.key_of(conn) else { return };
        let Some(call) = self.calls.get(key) else { return };
        let (device, caller) = call.caller();
        let (refusable, forwarded) = (call.can_be_refused(), call.is_marked());
        let carried = Carried { user_data: self.floor.tcalls.user_data(conn), conn_id: Some(conn) };
        let origin = self.rooms.now_called(&caller.directory, device);
        let forwarded =
            forwarded || origin.is_some_and(|origin| routing::is_peer(&self.rooms.directory, origin));
        let way = origin
            .filter(|_| !forwarded)
            .and_then(|origin| routing::to_peer(&self.rooms, origin, at, refusable, carried));
        let operation = match way {
            Some(ToPeer::Redirect(contact)) => Operation::Deflect(contact),
            Some(ToPeer::InPath(mut onward)) => {
                if !refusable || !self.is_draining() {
                    onward.stages.push(Stage::Wait(Arc::clone(at)));
                }
                Operation::Redirect(onward)
            }
            None if refusable && self.is_draining() => {
                let call = if forwarded { NewCall::FromPeer } else { NewCall::Other };
                let code = self.rooms.directory.options.shutdown_sip_reject_code;
                match answer_new_call(code, call, false) {
                    DrainAnswer::Refuse(code) => Operation::Refuse(code),
                    DrainAnswer::RedirectToPeer => Operation::Refuse(DEFAULT_REJECT_CODE),
                }
            }
            None => return,
        };
        let refused = matches!(operation, Operation::Refuse(_));
        self.leaves_queue(conn, (!refused).then_some(at));
        if self.operate(key, operation).is_err() {
            let _ = self.operate(key, Operation::Refuse(480));
        }
    }

    /// The same for a call that has just come to wait, if the server is being drained. One whose caller is on the line may
    /// have come back from the peer this moment: its next attempt is the timer's.
    pub(super) fn hand_over_if_draining(&mut self, conn: u64) {
        let key = self.floor.tcalls.key_of(conn);
        let refusable =
            key.and_then(|key| self.calls.get(key)).is_some_and(crate::call::Call::can_be_refused);
        if self.is_draining()
            && refusable
            && let Some(at) = self.floor.tcalls.waits_at(conn)
        {
            self.hand_over(conn, &at);
        }
    }

    /// Who became available during a drain that was called off is told to the queues now.
    fn distribute_again(&mut self) {
        for agent in self.floor.agents.list().into_iter().filter(|agent| agent.available) {
            self.available(&agent.dn);
        }
    }

    /// `tandem drain --status`.
    #[must_use]
    pub fn drain_status(&self, now: Now) -> view::Drain {
        let Some(drain) = &self.drain else {
            return view::Drain { state: "in-service", ..view::Drain::default() };
        };
        let agents = self.floor.agents.list();
        let in_progress = self.calls.iter().filter(|call| !call.is_ending());
        let calls_left = self.calls_in_progress();
        let patience = self.rooms.directory.options.graceful_shutdown_sip_timeout;
        let byes =
            drain.quiet.map_or(patience, |quiet| (quiet + patience).saturating_duration_since(now.mono));
        let (estimate_s, estimate) = self.estimate(calls_left, &agents, byes, now);
        let mut waits_for = Vec::new();
        if calls_left > 0 {
            waits_for.push(format!("{calls_left} calls in progress"));
        }
        if !agents.is_empty() {
            waits_for.push(format!("{} agents logged in", agents.len()));
        }
        if !drain.record.over && !byes.is_zero() {
            waits_for
                .push(format!("{} s after the last call for BYEs to be answered", byes.as_secs_f32().ceil()));
        }
        view::Drain {
            state: if drain.record.over { "drained" } else { "draining" },
            by: Some(drain.record.by.to_string()),
            since_s: Some(now.unix_ms.saturating_sub(drain.record.since_unix_ms) / 1000),
            calls_then: usize::try_from(drain.record.calls_then).unwrap_or(usize::MAX),
            agents_then: usize::try_from(drain.record.agents_then).unwrap_or(usize::MAX),
            calls_left,
            agents_left: agents.len(),
            calls: in_progress.take(MAX_DRAIN_LINES).map(|call| call.view(now)).collect(),
            agents: agents.iter().take(MAX_DRAIN_LINES).map(|agent| left(agent, now)).collect(),
            waits_for,
            estimate_s,
            estimate,
        }
    }

    /// When the drain will be done: calls end as those of late did (a mean of exponentially distributed ones: the last of
    /// n ends after the mean times ln n + 0.577), after-call work ends by its timers.
    fn estimate(&self, calls: usize, agents: &[View], byes: Duration, now: Now) -> (Option<u64>, String) {
        let wraps = agents.iter().filter_map(|agent| agent.until);
        let wrap = wraps.map(|until| until.remaining(now.unix_ms)).max().unwrap_or_default();
        let last_call = match (calls, self.pace.mean()) {
            (0, _) => Duration::ZERO,
            (_, None) => return (None, format!("{calls} calls; none has ended yet to reckon from")),
            (calls, Some(mean)) => mean.mul_f64((calls as f64).ln() + 0.577),
        };
        let total = last_call.max(wrap) + byes;
        let mean = self.pace.mean().unwrap_or_default().as_secs();
        let text = match calls {
            0 => format!("after-call work {} s, then {} s for BYEs", wrap.as_secs(), byes.as_secs()),
            _ => format!("{calls} calls that last {mean} s on average, then {} s for BYEs", byes.as_secs()),
        };
        (Some(total.as_secs_f64().ceil() as u64), text)
    }
}

pub(super) fn left(agent: &View, now: Now) -> view::DrainAgent {
    let wraps_up = agent.until.is_some();
    view::DrainAgent {
        agent_id: agent.agent_id.to_string(),
        dn: agent.dn.to_string(),
        why: if agent.calls > 0 { "a call at his DN" } else { "after-call work" },
        until_s: agent.until.filter(|_| wraps_up).map(|until| until.remaining(now.unix_ms).as_secs()),
    }
}

/// Whether a request begins a call, a consultation or an agent's work.
fn begins_something(request: &Request) -> bool {
    matches!(
        request,
        Request::TMakeCall(_)
            | Request::TInitiateTransfer(_)
            | Request::TInitiateConference(_)
            | Request::TMuteTransfer(_)
            | Request::TAgentLogin(_)
    )
}
