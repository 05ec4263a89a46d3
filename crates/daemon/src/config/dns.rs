//! `[dns]`: who is asked for the names in trunk contacts.

use std::net::{IpAddr, SocketAddr};

use super::reader::Section;
use crate::limits::MAX_DNS_SERVERS;

/// Who is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsSettings {
    /// Name servers; none: those of the system.
    pub servers: Vec<SocketAddr>,
}

/// Reads the table if it is there.
pub fn read(root: &mut Section<'_>) -> DnsSettings {
    let Some(mut table) = root.table("dns", "[dns]") else { return DnsSettings::default() };
    let servers = table.list("servers", "\"192.0.2.53\" or \"192.0.2.53:5353\"", |text| {
        let plain = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
        plain.or_else(|_| text.parse::<SocketAddr>()).map_err(|_| format!("\"{text}\" is not an address"))
    });
    let servers: Vec<SocketAddr> = servers.unwrap_or_default().into_iter().map(|found| found.value).collect();
    let at = table.at();
    if servers.len() > MAX_DNS_SERVERS {
        table.fault(at, "`servers` names too many", format!("at most {MAX_DNS_SERVERS}"));
    }
    table.finish();
    DnsSettings { servers }
}
