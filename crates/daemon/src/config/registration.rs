//! How phones register in real networks: the options of `[TServer]` about NAT, flows, paths and storms.

use std::time::Duration;

use tandem_sip::{NameAddr, Scheme};
use tandem_switch::directory::{KeepAlive, Nat, PathMode, Registration};

use super::application::seconds;
use super::reader::Section;
use crate::limits::{MAX_GRACE_S, MAX_HEADER_VALUE, MAX_REGISTER_RATE};

/// The words of `nat`.
pub const NAT: [(&str, Nat); 3] = [("auto", Nat::Auto), ("yes", Nat::Yes), ("no", Nat::No)];

/// Reads them.
pub fn read(table: &mut Section<'_>) -> Registration {
    let usual = Registration::default();
    let keep_alive = [("options", KeepAlive::Options), ("crlf", KeepAlive::Crlf)];
    let path_modes = [("lazy", PathMode::Lazy), ("strict", PathMode::Strict)];
    Registration {
        nat: table.choice("nat", &NAT).unwrap_or(usual.nat),
        nat_keepalive: table.choice("nat-keepalive", &keep_alive).unwrap_or(usual.nat_keepalive),
        nat_keepalive_interval: interval(table).unwrap_or(usual.nat_keepalive_interval),
        flow_timer_s: number(table, "flow-timer", 0, MAX_GRACE_S).unwrap_or(usual.flow_timer_s),
        ghost_quarantine: seconds(table, "ghost-quarantine", 0, MAX_GRACE_S)
            .unwrap_or(usual.ghost_quarantine),
        out_of_service_on_flow_failure: table
            .boolean("out-of-service-on-flow-failure")
            .unwrap_or(usual.out_of_service_on_flow_failure),
        path_mode: table.choice("path-mode", &path_modes).unwrap_or(usual.path_mode),
        service_route: table
            .parsed("service-route", "\"<sip:edge.example.com;lr>\"", service_route)
            .map(|found| found.value),
        gruu: table.boolean("gruu").unwrap_or(usual.gruu),
        register_rate: number(table, "register-rate", 100, MAX_REGISTER_RATE).unwrap_or(usual.register_rate),
        expires_spread: number(table, "expires-spread", 0, 50).unwrap_or(usual.expires_spread),
    }
}

/// Less than 10 s would be a load of its own, and no NAT forgets so soon.
fn interval(table: &mut Section<'_>) -> Option<Duration> {
    let found = table.integer("nat-keepalive-interval", 0..=MAX_GRACE_S)?;
    if (1..10).contains(&found.value) {
        table.fault(
            found.at.clone(),
            "`nat-keepalive-interval` is too short",
            "0 (never), or 10 to 3600 seconds",
        );
    }
    Some(Duration::from_secs(found.value))
}

fn number(table: &mut Section<'_>, key: &'static str, least: u64, most: u64) -> Option<u32> {
    table.integer(key, least..=most).and_then(|found| u32::try_from(found.value).ok())
}

fn service_route(text: &str) -> Result<Box<str>, String> {
    let wrong = |why: &str| Err(format!("\"{text}\" {why}"));
    let address = match NameAddr::parse(text.as_bytes()) {
        Ok(address) if text.starts_with('<') && text.len() <= MAX_HEADER_VALUE => address,
        Ok(_) | Err(_) => return wrong("is not an address in angle brackets"),
    };
    match address.uri() {
        Ok(uri) if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) => wrong("is not a SIP URI"),
        Ok(uri) if !uri.params.has(b"lr") => wrong("lacks ;lr"),
        Ok(_) => Ok(text.into()),
        Err(_) => wrong("cannot be read"),
    }
}
