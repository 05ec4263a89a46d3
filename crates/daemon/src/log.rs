//! Logs: structured lines on standard error. A line about a call carries its Call-ID.

use std::io::IsTerminal;

use tandem_peer::continuity::Mode;
use tandem_switch::Event;
use tandem_switch::cdr::{Cdr, EndedBy, LegRecord};
use tandem_switch::guard::Incident;
use tandem_switch::overload::Change;
use tandem_switch::registrar::Happened;
use tandem_switch::storm::{Burst, Told};
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging. `chosen` (the command line) wins over `RUST_LOG`, and that over `configured`.
///
/// # Errors
/// A sentence that names the filter that cannot be read.
pub fn start(chosen: Option<&str>, configured: &str, format: LogFormat) -> Result<(), String> {
    let environment = std::env::var("RUST_LOG").ok().filter(|value| !value.is_empty());
    let (source, filter) = match (chosen, &environment) {
        (Some(chosen), _) => ("--log", chosen),
        (None, Some(value)) => ("RUST_LOG", value.as_str()),
        (None, None) => ("the configuration", configured),
    };
    let filter: EnvFilter = filter
        .parse()
        .map_err(|error| format!("the log filter \"{filter}\" of {source} cannot be read: {error}"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

/// What the `Node` reports.
pub fn event(event: &Event) {
    match event {
        Event::DnOutOfService { dn, reason } => tracing::warn!(%dn, %reason, "EventDNOutOfService"),
        Event::DnBackInService { dn, reason } => tracing::info!(%dn, %reason, "EventDNBackInService"),
        Event::TargetOutOfService { dn, target, reason } => {
            tracing::warn!(%dn, %target, %reason, "a target of the trunk is out of service; it has others");
        }
        Event::TargetBackInService { dn, target, reason } => {
            tracing::info!(%dn, %target, %reason, "a target of the trunk is back in service");
        }
        Event::DrainStarted { by, calls, agents } => {
            tracing::warn!(%by, calls, agents, "graceful shutdown: no new calls from now on");
        }
        Event::DrainAborted { by } => tracing::warn!(%by, "graceful shutdown called off: back in service"),
        Event::Drained { lasted_ms } => tracing::info!(lasted_ms, "graceful shutdown is done"),
        Event::Migration { news, by, to, percent, target } => {
            tracing::warn!(%by, %to, percent, target, "graceful migration {news}");
        }
        Event::PeeredAgain { agents_without_phone: 0, logged_out: _ } => {
            tracing::info!("peered again: every agent's phone is here");
        }
        Event::PeeredAgain { agents_without_phone, logged_out: true } => {
            tracing::warn!(agents_without_phone, "peered again: agents without a phone here are logged out");
        }
        Event::PeeredAgain { agents_without_phone, logged_out: false } => {
            tracing::warn!(
                agents_without_phone,
                "peered again: agents are logged in whose phone is out of service here; their direct calls may be \
                 forwarded to the peer (dr-recovery-sweep would log them out)"
            );
        }
        Event::Storm(Told::Begun) => {
            tracing::warn!("a storm of registrations: REGISTERs wait for their turn (register-rate)");
        }
        Event::Storm(Told::Over(burst)) => {
            let Burst { waited, most, longest_ms, refused, crowded, crowd, lasted_ms } = burst;
            tracing::warn!(
                waited,
                most,
                longest_ms,
                refused,
                crowded,
                source = crowd.map(tracing::field::display),
                lasted_ms,
                "the storm of registrations is over"
            );
        }
        Event::Binding { dn, contact, what } => binding(dn, contact, what),
        Event::PeerFailure { rating, seen } => {
            tracing::warn!(because = %seen, "why the peer seems to be lost: {rating}");
        }
        Event::Guard(incident) => guard(incident),
        Event::Overload(Change::Begins(burden)) => {
            tracing::warn!(because = %burden, "overloaded: what matters least is refused (503)");
        }
        Event::Overload(Change::Ends(refused)) => tracing::warn!(refused, "no longer overloaded"),
        Event::TollBarred { dn, dialled, rule } => {
            tracing::warn!(%dn, ?dialled, limit = %rule, "an external call was refused: a limit of the Extension");
        }
        Event::EmergencyCall { from, number } => tracing::warn!(?from, %number, "emergency call"),
        Event::ModeChanged { from, to } => match to {
            Mode::SingleSite => tracing::warn!(%from, %to, "continuity mode changed: the peer site is lost"),
            Mode::Peered | Mode::StandAlone => tracing::info!(%from, %to, "continuity mode changed"),
        },
    }
}

fn binding(dn: &str, contact: &str, what: &Happened) {
    match what {
        Happened::PutAway(why) => {
            tracing::warn!(%dn, %contact, reason = %why, "a registered contact is not called any more");
        }
        Happened::TakenBack => tracing::info!(%dn, %contact, "a registered contact is called again"),
        Happened::Removed(why) => {
            tracing::info!(%dn, %contact, reason = %why, "a dead contact was removed");
        }
    }
}

/// packaging/fail2ban reads these lines. What a stranger wrote stands behind the source, in quotes, and is escaped: nobody
/// can have another's address banned.
fn guard(incident: &Incident) {
    let Incident { offence, source, transport, user, method, agent, unlogged } = incident;
    tracing::warn!(
        source = %source.ip(),
        port = source.port(),
        %transport,
        ?user,
        ?method,
        ?agent,
        detail = %offence.detail(),
        unlogged,
        "guard: {}",
        offence.words()
    );
}

/// What is bad about a call that is over, and the leg that tells it.
pub enum Worst<'a> {
    /// People talked, and lost each other.
    Lost(&'a LegRecord),
    /// Nobody answered, because this server or the network failed.
    Failed(&'a LegRecord),
}

/// What is bad about a call, if anything is.
pub fn worst(cdr: &Cdr) -> Option<Worst<'_>> {
    let caller = cdr.legs.first()?;
    let cut = cdr.legs.iter().find(|leg| leg.ended_by == EndedBy::Network);
    match cut {
        Some(leg) if caller.answered_unix_ms.is_some() => Some(Worst::Lost(leg)),
        Some(leg) => Some(Worst::Failed(leg)),
        None => (caller.status >= 500).then_some(Worst::Failed(caller)),
    }
}

/// A call that is over, by the Call-ID of the caller's leg. What was lost while people talked is a warning, what this
/// server or the network failed is said, and the rest is for whoever asks for level debug; `tandem why` has it anyway.
pub fn call_over(cdr: &Cdr) {
    let Some(caller) = cdr.legs.first() else { return };
    let (call_id, from, to, status) = (&caller.sip_call_id, &cdr.from, &cdr.to, caller.status);
    match worst(cdr) {
        Some(Worst::Lost(LegRecord { device, reason, .. })) => {
            tracing::warn!(%call_id, %from, %to, %device, %reason, "an established call was lost");
        }
        Some(Worst::Failed(LegRecord { device, reason, .. })) => {
            tracing::info!(%call_id, %from, %to, status, %device, %reason, "a call failed");
        }
        None => tracing::debug!(%call_id, %from, %to, status, reason = %caller.reason, "a call ended"),
    }
}
