//! The group in `/metrics`.

use std::fmt::Write as _;

use tandem_quorum::Kind;

use super::About;
use super::page::page;
use crate::edges::members::Seen;

/// The lines; none where the member does not answer.
pub async fn metrics(about: &About) -> String {
    let Ok(asked) = about.ask().await else { return String::new() };
    let page = page(about, &asked);
    let status = &asked.status;
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, value: u64| {
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
    };
    gauge("tandem_ha_serving", "Whether this server serves.", status.serving.is_some().into());
    gauge("tandem_ha_ready", "Whether it serves, or could take over now.", page.is_ready().into());
    gauge("tandem_ha_epoch", "Counts who served, one after the other.", page.epoch().into());
    gauge("tandem_ha_members", "Members of its group.", status.members.len() as u64);
    gauge(
        "tandem_ha_differing_keys",
        "Keys in which its configuration differs from that of the other server.",
        about.differing().len() as u64,
    );
    let others: Vec<_> = status.members.iter().filter(|member| member.info.id != status.id).collect();
    if !others.is_empty() && status.serving.is_some() {
        let name = "tandem_ha_lag_records";
        let _ = write!(
            out,
            "# HELP {name} Changes that a member lacks, as the primary sees it.\n# TYPE {name} gauge\n"
        );
        for member in others {
            let kind = if member.info.kind == Kind::Server { "server" } else { "witness" };
            let lag = member.lag.unwrap_or_default();
            let _ = writeln!(out, "{name}{{member=\"{}\",kind=\"{kind}\"}} {lag}", member.info.id);
        }
    }
    links(about, &mut out);
    out
}

/// How much went to and came from each member, and whether it is connected.
fn links(about: &About, out: &mut String) {
    let seen = about.links.as_ref().map(|links| links.seen()).unwrap_or_default();
    if seen.is_empty() {
        return;
    }
    let mut family = |name: &str, kind: &str, help: &str, of: fn(&Seen) -> u64| {
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for seen in &seen {
            let _ = writeln!(out, "{name}{{member=\"{}\"}} {}", seen.id, of(seen));
        }
    };
    family("tandem_ha_connected", "gauge", "Whether there is a link to the member.", |seen| {
        seen.connected.is_some().into()
    });
    family("tandem_ha_frames_sent_total", "counter", "Frames handed to the link.", |seen| seen.sent);
    let help = "Frames that found no link, or too much on its way.";
    family("tandem_ha_frames_dropped_total", "counter", help, |seen| seen.dropped);
    family("tandem_ha_frames_received_total", "counter", "Frames that came.", |seen| seen.received);
}
