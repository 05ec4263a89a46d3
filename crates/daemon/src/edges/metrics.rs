//! `/metrics` in the Prometheus text format: the `Node`'s counters as they are, gauges from what an operator may see,
//! and the process itself. Scraping makes the numbers; nothing is counted twice on the hot path.

use std::fmt::{Display, Write as _};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use tandem_journal::Condition;
use tandem_peer::failure::Cause;
use tandem_switch::{Counters, view};

use super::address::AddressEdge;
use super::cdr::CdrCounters;
use super::cti::CtiCounters;
use super::disk::Disk;
use super::isolation::Kind;
use super::media::{MediaCounters, MediaEdge};
use super::tcp::TcpCounters;
use super::udp::UdpCounters;
use crate::command::Peek;
use crate::readiness::Ran;

/// What plays to callers.
#[derive(Default)]
pub struct MediaSample {
    engines: usize,
    up: usize,
    players: usize,
    plays: u64,
    failures: u64,
    anchored: usize,
    unbridged: u64,
    moved: u64,
}

impl MediaSample {
    /// Reads it.
    pub fn take(edge: &MediaEdge) -> Self {
        let (engines, up) = edge.engines();
        let MediaCounters { plays, failures, unbridged, moved } = &edge.counters;
        Self {
            engines,
            up,
            players: edge.players(),
            plays: plays.load(Relaxed),
            failures: failures.load(Relaxed),
            anchored: edge.anchored(),
            unbridged: unbridged.load(Relaxed),
            moved: moved.load(Relaxed),
        }
    }
}

/// What is read on the `Node`'s thread; the page is made of it elsewhere.
pub struct Sample {
    counters: Counters,
    status: view::Status,
    trunks: Vec<view::Trunk>,
    udp: UdpCounters,
    unwritten: usize,
    journal: Option<Journal>,
}

/// What the journal has done.
struct Journal {
    failed: bool,
    batches: u64,
    bytes: u64,
    syncs: u64,
    sync_us: u64,
    size: u64,
    waiting: u64,
}

impl Journal {
    fn take(disk: &Disk) -> Option<Self> {
        let counters = disk.counters()?;
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Some(Self {
            failed: matches!(disk.condition(), Condition::Failed(_)),
            batches: read(&counters.batches),
            bytes: read(&counters.bytes),
            syncs: read(&counters.syncs),
            sync_us: read(&counters.sync_us),
            size: read(&counters.size),
            waiting: read(&counters.waiting),
        })
    }

    fn page(&self, page: &mut Page) {
        page.gauge("tandem_journal_failed", "1 while nothing more is stored", u8::from(self.failed));
        page.counter("tandem_journal_batches_total", "Batches of records written", self.batches);
        page.counter("tandem_journal_bytes_total", "Bytes of them", self.bytes);
        page.counter("tandem_journal_syncs_total", "Times that the disk was waited for", self.syncs);
        let seconds = self.sync_us as f64 / 1e6;
        page.counter("tandem_journal_sync_seconds_total", "How long that took together", seconds);
        page.gauge("tandem_journal_size_bytes", "What lies on the disk, the snapshot too", self.size);
        page.gauge("tandem_journal_waiting", "Batches that wait for the disk", self.waiting);
    }
}

impl Sample {
    /// Reads it.
    pub fn take(peek: &Peek<'_>) -> Self {
        Self {
            counters: peek.node.counters(),
            status: peek.node.status(peek.now),
            trunks: peek.node.trunk_list(peek.now),
            udp: peek.udp,
            unwritten: peek.node.unwritten(),
            journal: Journal::take(peek.disk),
        }
    }
}

/// The page.
pub fn page(
    sample: &Sample,
    tcp: &TcpCounters,
    links: &CtiCounters,
    cdrs: &CdrCounters,
    media: &MediaSample,
    drill: Option<Kind>,
    readiness: Option<&Ran>,
) -> String {
    let mut page = Page::default();
    for (name, help, value) in sample.counters.each() {
        page.counter(name, help, value);
    }
    datagrams(&mut page, &sample.udp);
    if let Some(journal) = &sample.journal {
        journal.page(&mut page);
    }
    connections(&mut page, tcp);
    records(&mut page, cdrs, sample.unwritten);
    page.counter(
        "tandem_calls_lost_total",
        "Established calls that were lost",
        cdrs.calls_lost.load(Relaxed),
    );
    page.counter(
        "tandem_calls_failed_total",
        "Calls that nobody answered because this server or the network failed",
        cdrs.calls_failed.load(Relaxed),
    );
    page.head("tandem_drill", "1 for what a drill rehearses at this server now", "gauge");
    for kind in Kind::ALL {
        page.labelled("tandem_drill", &[("kind", kind.name())], u8::from(drill == Some(kind)));
    }
    page.gauge("tandem_media_engines", "Media servers configured", media.engines);
    page.gauge("tandem_media_engines_up", "Media servers that answer", media.up);
    page.gauge("tandem_media_players", "Waiting callers with a player", media.players);
    page.counter("tandem_media_plays_total", "Files that began to play", media.plays);
    page.counter(
        "tandem_media_failures_total",
        "Treatments that were not, or no longer, played",
        media.failures,
    );
    page.gauge("tandem_media_anchored", "Legs whose media a media server carries", media.anchored);
    page.counter(
        "tandem_media_unbridged_total",
        "Session descriptions that no media server took",
        media.unbridged,
    );
    page.counter(
        "tandem_media_moved_total",
        "Legs whose media server was lost, and who were offered another",
        media.moved,
    );
    cti(&mut page, links);
    status(&mut page, &sample.status);
    trunks(&mut page, &sample.trunks);
    if let Some(ran) = readiness {
        last_readiness(&mut page, ran);
    }
    process(&mut page);
    page.text
}

fn records(page: &mut Page, cdrs: &CdrCounters, unwritten: usize) {
    page.counter("tandem_cdr_written_total", "Call records written", cdrs.written.load(Relaxed));
    page.counter(
        "tandem_cdr_lost_total",
        "Call records dropped or refused by the disk",
        cdrs.lost.load(Relaxed),
    );
    page.gauge(
        "tandem_cdr_unconfirmed",
        "Calls that are over and stored until their records are written",
        unwritten,
    );
}

fn datagrams(page: &mut Page, udp: &UdpCounters) {
    page.counter("tandem_udp_received_total", "Datagrams received", udp.received);
    page.counter("tandem_udp_unreadable_total", "Datagrams that are no SIP message, dropped", udp.unreadable);
    page.counter("tandem_udp_keep_alives_total", "STUN binding requests answered", udp.keep_alives);
    page.counter("tandem_udp_sent_total", "Datagrams sent", udp.sent);
    page.counter("tandem_udp_dropped_total", "Datagrams dropped because a socket would block", udp.dropped);
    page.counter("tandem_udp_failed_total", "Datagrams reported undeliverable", udp.failed);
    page.counter(
        "tandem_udp_lost_total",
        "Datagrams that the kernel dropped because they were not read in time",
        udp.lost,
    );
    page.counter(
        "tandem_udp_crowded_total",
        "REGISTERs, SUBSCRIBEs and PUBLISHs dropped because too many waited, in all or of their source",
        udp.crowded,
    );
    page.gauge(
        "tandem_udp_waiting",
        "REGISTERs, SUBSCRIBEs and PUBLISHs read and not handled yet",
        udp.waiting,
    );
}

fn connections(page: &mut Page, tcp: &TcpCounters) {
    page.gauge("tandem_tcp_connections", "SIP connections open", tcp.open.load(Relaxed));
    for (name, help, counter) in [
        ("tandem_tcp_opened_total", "SIP connections accepted or opened", &tcp.opened),
        ("tandem_tcp_refused_total", "SIP connections refused: too many", &tcp.refused),
        (
            "tandem_tcp_made_room_total",
            "SIP connections closed: silent, and their place was needed",
            &tcp.made_room,
        ),
        ("tandem_tcp_slow_sender_total", "SIP connections closed: a message took too long", &tcp.slow_sender),
        ("tandem_tcp_oversized_total", "Messages refused on connections: too long", &tcp.oversized),
        ("tandem_tcp_too_slow_total", "SIP connections closed: slow reader", &tcp.too_slow),
        ("tandem_tcp_unreadable_total", "Unreadable streams and messages on connections", &tcp.unreadable),
        (
            "tandem_tcp_no_handshake_total",
            "Connections without a TLS or WebSocket handshake",
            &tcp.no_handshake,
        ),
    ] {
        page.counter(name, help, counter.load(Relaxed));
    }
}

fn cti(page: &mut Page, links: &CtiCounters) {
    page.gauge("tandem_cti_connections", "CTI connections open", links.open.load(Relaxed));
    page.gauge("tandem_cti_sessions_connected", "CTI connections with a session", links.proven.load(Relaxed));
    for (name, help, counter) in [
        ("tandem_cti_connections_accepted_total", "CTI connections accepted", &links.accepted),
        ("tandem_cti_connections_refused_total", "CTI connections refused: too many", &links.refused),
        ("tandem_cti_frames_read_total", "CTI frames read from clients", &links.requests),
        ("tandem_cti_frames_written_total", "CTI frames written to clients", &links.events),
        ("tandem_cti_too_slow_total", "CTI connections closed: slow reader", &links.too_slow),
        ("tandem_cti_unreadable_total", "CTI connections closed: unreadable frame", &links.unreadable),
        ("tandem_cti_auth_failures_total", "CTI logins with a wrong user or password", &links.failures),
        ("tandem_cti_locked_out_total", "CTI logins refused after too many failures", &links.locked_out),
    ] {
        page.counter(name, help, counter.load(Relaxed));
    }
}

fn status(page: &mut Page, status: &view::Status) {
    page.gauge("tandem_calls", "Calls now", status.calls);
    page.gauge("tandem_bindings", "Registered contacts", status.bindings);
    page.gauge("tandem_transactions", "SIP transactions alive", status.transactions);
    let subscriptions = &status.subscriptions;
    let all = subscriptions.dialog + subscriptions.reg + subscriptions.message_summary;
    page.gauge("tandem_subscriptions", "Subscriptions to calls, contacts and mailboxes", all);
    page.gauge("tandem_emergency_calls", "Emergency calls now", status.guard.emergency_calls);
    page.gauge(
        "tandem_external_calls",
        "External calls now that a limit counts",
        status.guard.external_calls,
    );
    page.gauge(
        "tandem_overload",
        "How hard the load presses, 0 to 1000; above 0 requests are refused",
        status.guard.pressure,
    );
    page.gauge("tandem_locked_out", "Users and sources locked out now", status.guard.locked_out);
    page.gauge("tandem_extensions", "Extension DNs configured", status.extensions);
    page.gauge("tandem_extensions_in_service", "Extension DNs in service", status.in_service);
    page.gauge("tandem_draining", "1 while the server shuts down gracefully", u8::from(status.draining));
    let help = "So many of a hundred new calls and agents go to the peer by graceful migration";
    page.gauge("tandem_migration_percent", help, status.migration_percent);
    page.head("tandem_mode", "Continuity mode: 1 for the one in force", "gauge");
    for mode in ["stand-alone", "peered", "single-site"] {
        page.labelled("tandem_mode", &[("mode", mode)], u8::from(status.mode == mode));
    }
    if let Some(failure) = &status.peer_failure {
        page.head(
            "tandem_peer_failure",
            "What the loss of the peer seems to be: 1 possible, 2 likely, 3 certain",
            "gauge",
        );
        for cause in Cause::ALL.iter().filter(|cause| **cause != Cause::Unknown).map(|cause| cause.as_str()) {
            let sure = match failure.confidence {
                "certain" => 3,
                "likely" => 2,
                _ => 1,
            };
            page.labelled(
                "tandem_peer_failure",
                &[("cause", cause)],
                if failure.cause == cause { sure } else { 0 },
            );
        }
    }
    page.head("tandem_build_info", "Which server and version this is", "gauge");
    let labels =
        [("server", &*status.server), ("switch", &*status.switch), ("version", env!("CARGO_PKG_VERSION"))];
    page.labelled("tandem_build_info", &labels, 1);
}

fn trunks(page: &mut Page, trunks: &[view::Trunk]) {
    page.head("tandem_trunk_in_service", "1 if calls may be sent to the trunk", "gauge");
    for trunk in trunks {
        let peer = if trunk.peer { "true" } else { "false" };
        let labels = [("trunk", &*trunk.name), ("peer", peer)];
        page.labelled("tandem_trunk_in_service", &labels, u8::from(trunk.state != "out-of-service"));
    }
    page.head(
        "tandem_trunk_target_in_service",
        "1 if calls may be sent to this target of the trunk",
        "gauge",
    );
    for trunk in trunks {
        for target in &trunk.targets {
            let labels =
                [("trunk", &*trunk.name), ("transport", target.transport), ("target", &*target.addr)];
            let takes = target.state != "out-of-service" && target.left_alone_s == 0;
            page.labelled("tandem_trunk_target_in_service", &labels, u8::from(takes));
        }
    }
    page.head("tandem_trunk_calls", "Calls with a leg over the trunk", "gauge");
    for trunk in trunks {
        page.labelled("tandem_trunk_calls", &[("trunk", &trunk.name)], trunk.calls);
    }
    page.head("tandem_trunk_capacity", "capacity of the trunk, 0 without a limit", "gauge");
    for trunk in trunks {
        page.labelled("tandem_trunk_capacity", &[("trunk", &trunk.name)], trunk.capacity);
    }
    let help = "Calls kept away by capacity or max-calls-per-second of the trunk";
    page.head("tandem_trunk_calls_refused_total", help, "counter");
    for trunk in trunks {
        page.labelled("tandem_trunk_calls_refused_total", &[("trunk", &trunk.name)], trunk.refused);
    }
}

fn last_readiness(page: &mut Page, ran: &Ran) {
    page.gauge(
        "tandem_readiness_asked_seconds",
        "When `tandem readiness` was run last, Unix time",
        ran.unix_s,
    );
    page.head("tandem_readiness_score", "0 to 100 for the loss of each site, at that time", "gauge");
    for (lost, score) in &ran.scores {
        page.labelled("tandem_readiness_score", &[("direction", lost)], score);
    }
    page.head("tandem_readiness_reasons", "What spoke against it, by severity", "gauge");
    for (severity, count) in &ran.reasons {
        page.labelled("tandem_readiness_reasons", &[("severity", severity)], count);
    }
}

/// Linux only; a file that cannot be read leaves its lines out.
fn process(page: &mut Page) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (field, name, help) in [
        ("VmRSS:", "process_resident_memory_bytes", "Resident memory"),
        ("VmSize:", "process_virtual_memory_bytes", "Virtual memory"),
    ] {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        if let Some(kilobytes) = kilobytes {
            page.gauge(name, help, kilobytes * 1024);
        }
    }
    if let Ok(usage) = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF) {
        let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
        let total = seconds(usage.user_time()) + seconds(usage.system_time());
        page.counter("process_cpu_seconds_total", "User and system time", total);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        page.gauge("process_open_fds", "Open file descriptors", files.count());
    }
}

/// The virtual addresses that this process holds itself.
pub fn addresses(edge: &AddressEdge) -> String {
    let mut page = Page::default();
    if let Some(held) = edge.held() {
        page.head("tandem_virtual_address_held", "1 while the virtual address is at this server", "gauge");
        for one in &held.addresses {
            page.labelled("tandem_virtual_address_held", &[("address", &one.address)], u8::from(one.held));
        }
        page.head("tandem_virtual_address_contested", "1 while another machine claims it, too", "gauge");
        for one in &held.addresses {
            let claimed = u8::from(one.claimed_by.is_some());
            page.labelled("tandem_virtual_address_contested", &[("address", &one.address)], claimed);
        }
        page.gauge(
            "tandem_virtual_address_link",
            "1 while their interface has a carrier",
            u8::from(held.link),
        );
        page.counter("tandem_virtual_address_takeovers_total", "Times that they were taken", held.takeovers);
        page.counter(
            "tandem_virtual_address_lapses_total",
            "Times that they were dropped because the server did not extend its lease",
            held.lapses,
        );
    }
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "counter");
        let _ = writeln!(self.text, "{name} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "gauge");
        let _ = writeln!(self.text, "{name} {value}");
    }

    fn labelled(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escape(text))).collect();
        let _ = writeln!(self.text, "{name}{{{}}} {value}", labels.join(","));
    }
}

/// A label value of the exposition format.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_one_head_and_its_samples() {
        let status = view::Status {
            server: "site \"a\"".into(),
            switch: "site-a".into(),
            mode: "peered".into(),
            peered_in_s: None,
            peer_trunk: None,
            calls: 3,
            extensions: 10,
            in_service: 4,
            bindings: 5,
            trunks_out_of_service: Vec::new(),
            transactions: 2,
            subscriptions: view::Subscriptions::default(),
            guard: view::Guard::default(),
            draining: true,
            peer_failure: Some(view::PeerFailure {
                cause: "link-dead",
                confidence: "certain",
                text: String::new(),
                because: String::new(),
                since_s: 3,
            }),
            migration: None,
            migration_percent: 30,
        };
        let (trunks, udp) = (Vec::new(), UdpCounters::default());
        let counters = Counters { calls: 7, ..Counters::default() };
        let sample = Sample { unwritten: 0, journal: None, counters, status, trunks, udp };
        let ran = Ran {
            unix_s: 1000,
            scores: vec![("this-site", 75)],
            reasons: [("blocker", 2), ("warning", 0), ("note", 0)],
        };
        let text = page(
            &sample,
            &TcpCounters::default(),
            &CtiCounters::default(),
            &CdrCounters::default(),
            &MediaSample::default(),
            Some(Kind::LinkLoss),
            Some(&ran),
        );
        assert!(text.contains("\ntandem_readiness_score{direction=\"this-site\"} 75\n"), "{text}");
        assert!(text.contains("\ntandem_readiness_reasons{severity=\"blocker\"} 2\n"));
        assert!(text.contains("\ntandem_readiness_asked_seconds 1000\n"));
        assert!(text.contains("tandem_drill{kind=\"link-loss\"} 1\n"), "{text}");
        assert!(text.contains("tandem_drill{kind=\"site-loss\"} 0\n"));
        assert!(text.contains("tandem_peer_failure{cause=\"link-dead\"} 3\n"), "{text}");
        assert!(text.contains("tandem_peer_failure{cause=\"site-dead\"} 0\n"));
        assert!(text.contains("\ntandem_calls_total 7\n"), "{text}");
        assert!(
            text.contains("\ntandem_calls 3\n")
                && text.contains("\ntandem_draining 1\n")
                && text.contains("\ntandem_migration_percent 30\n")
        );
        assert!(text.contains("tandem_mode{mode=\"peered\"} 1\n"));
        assert!(text.contains("tandem_mode{mode=\"single-site\"} 0\n"));
        assert!(text.contains("server=\"site \\\"a\\\"\""));
        assert!(text.contains("process_resident_memory_bytes"));
        let mut heads: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let families = heads.len();
        heads.sort_unstable();
        heads.dedup();
        assert_eq!(heads.len(), families);
    }
}
