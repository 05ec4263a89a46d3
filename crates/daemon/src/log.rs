//! Logs: structured lines on standard error. A line about a call carries its Call-ID.

use std::io::IsTerminal;

use tandem_peer::continuity::Mode;
use tandem_switch::Event;
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

/// What the `Node` reports. Decisions about single calls are at level debug: `tandem why` has them without a log.
pub fn event(event: &Event) {
    match event {
        Event::DnOutOfService { dn, reason } => tracing::warn!(%dn, %reason, "EventDNOutOfService"),
        Event::DnBackInService { dn, reason } => tracing::info!(%dn, %reason, "EventDNBackInService"),
        Event::ModeChanged { from, to } => match to {
            Mode::SingleSite => tracing::warn!(%from, %to, "continuity mode changed: the peer site is lost"),
            Mode::Peered | Mode::StandAlone => tracing::info!(%from, %to, "continuity mode changed"),
        },
        Event::Decided { call_id, text } => tracing::debug!(%call_id, "{text}"),
    }
}
