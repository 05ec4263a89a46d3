//! Whether a login is let in, and what an agent is at first.

use std::sync::Arc;

use tandem_cti::{ErrorCode, KvList, Refusal, WorkMode};

use super::check;
use super::state::{Agent, NO_WRAP_UP, Stance};
use super::word::{Login, LogoutBy};
use crate::directory::floor::{InForce, StrictId};
use crate::directory::{Directory, FloorDn};
use crate::limits::MAX_AGENT_ID_BYTES;

/// The number as the directory has it, if agents log in there.
pub(super) fn extension(directory: &Directory, dn: &str) -> Result<Arc<str>, Refusal> {
    let not_here =
        |what| Refusal::because(ErrorCode::UnsupOper, format!("agents log in at Extensions; this is {what}"));
    match directory.floor_dn(dn.as_bytes()) {
        Some(FloorDn::Queue(_)) => return Err(not_here("an ACD Queue")),
        Some(FloorDn::RoutingPoint(_)) => return Err(not_here("a Routing Point")),
        None => {}
    }
    let id = directory.find(dn.as_bytes()).and_then(|id| directory.extension(id));
    let extension = id.ok_or(ErrorCode::NotConfigured)?;
    if directory.is_port(dn) {
        return Err(not_here("a Call Processing Port"));
    }
    Ok(Arc::clone(&extension.number))
}

/// Checks everything that does not depend on who is logged in.
pub(super) fn admit(directory: &Directory, login: &Login<'_>, options: &InForce) -> Result<(), Refusal> {
    let invalid = |why: &'static str| Refusal::because(ErrorCode::InvalidAttr, why);
    if !check::takes_calls(login.work_mode) {
        return Err(invalid("a login goes with ManualIn or AutoIn"));
    }
    if login.agent_id.is_empty() || login.agent_id.len() > MAX_AGENT_ID_BYTES {
        return Err(invalid("the AgentID is empty or too long"));
    }
    check::lists([&login.reasons, &login.extensions])?;
    check::wrap_up(&login.extensions)?;
    if let Some(queue) = login.queue
        && directory.queue(queue).is_none()
    {
        return Err(Refusal::because(ErrorCode::NotConfigured, "ThisQueue is no ACD Queue of this switch"));
    }
    identify(directory, login, options.agent_strict_id)
}

/// `agent-strict-id`.
fn identify(directory: &Directory, login: &Login<'_>, strict: StrictId) -> Result<(), Refusal> {
    if strict == StrictId::Any {
        return Ok(());
    }
    let configured = directory.login(login.agent_id).ok_or(ErrorCode::AgentIdInv)?;
    let password = configured.password.as_ref().map_or("", |password| &*password.0);
    let known =
        strict == StrictId::Configured || check::same_password(login.password.unwrap_or_default(), password);
    if known { Ok(()) } else { Err(ErrorCode::BadPasswd.into()) }
}

/// 506 for a login or a logout by request at a DN with a call in progress.
pub(super) fn check_idle(busy: bool, extensions: &KvList, options: &InForce) -> Result<(), Refusal> {
    let allowed = check::login_on_call(extensions)?.unwrap_or(options.agent_emu_login_on_call);
    if busy && !allowed {
        let why = "a call is in progress at the DN (agent-emu-login-on-call)";
        return Err(Refusal::because(ErrorCode::RecvdInvState, why));
    }
    Ok(())
}

/// An agent as he logs in.
pub(super) fn arrive(dn: Arc<str>, login: &Login<'_>, directory: &Directory, now_ms: u64) -> Agent {
    let stance = match login.work_mode {
        WorkMode::AutoIn => Stance::ready(WorkMode::AutoIn),
        WorkMode::Unknown
        | WorkMode::ManualIn
        | WorkMode::LegalGuard
        | WorkMode::AfterCallWork
        | WorkMode::AuxWork
        | WorkMode::NoCallDisconnect
        | WorkMode::WalkAway
        | WorkMode::ReturnBack => Stance::not_ready(login.work_mode, login.reasons.clone()),
    };
    Agent {
        dn,
        agent_id: Arc::from(login.agent_id),
        configured: directory.login(login.agent_id).is_some(),
        client: login.client,
        queues: login.queue.into_iter().cloned().collect(),
        login_unix_ms: now_ms,
        manner: login.work_mode,
        wrap_up: super::word::wrap_up_of(&login.extensions),
        told: (stance.ready, stance.mode),
        stance,
        pause: None,
        guard_until: None,
        owed: NO_WRAP_UP,
        asked: None,
        since_unix_ms: now_ms,
        idle_since_unix_ms: now_ms,
        call_over_unix_ms: 0,
    }
}

/// The option or happening that logs an agent out, for the event's reasons; `None` when somebody asked for it.
fn cause(by: LogoutBy) -> Option<&'static str> {
    match by {
        LogoutBy::Request | LogoutBy::Supervisor | LogoutBy::DrForce | LogoutBy::GracefulShutdown => None,
        LogoutBy::OutOfService => Some("logout-on-out-of-service"),
        LogoutBy::Disconnect => Some("logout-on-disconnect"),
        LogoutBy::Unregister => Some("agent-logout-on-unreg"),
        LogoutBy::Idle => Some("auto-logout-timeout"),
        LogoutBy::NoAnswer => Some("agent-no-answer-action"),
        LogoutBy::Configuration => Some("configuration"),
    }
}

/// Puts into the lists of an `EventAgentLogout` what the server has to say.
pub(super) fn explain(by: LogoutBy, reasons: &mut KvList, extensions: &mut KvList) {
    let code = match by {
        LogoutBy::DrForce => Some("dr-force_logout"),
        LogoutBy::GracefulShutdown => Some("graceful_shutdown_logout"),
        LogoutBy::Request
        | LogoutBy::Supervisor
        | LogoutBy::OutOfService
        | LogoutBy::Disconnect
        | LogoutBy::Unregister
        | LogoutBy::Idle
        | LogoutBy::NoAnswer
        | LogoutBy::Configuration => None,
    };
    if let Some(code) = code {
        extensions.insert("ReasonCode".to_owned(), code.into());
    }
    if let Some(cause) = cause(by) {
        reasons.insert("Cause".to_owned(), cause.into());
    }
}
