//! The server's own tables: `[application]`, `[TServer]`, `[http]`, `[log]`, `[desktop]`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tandem_peer::continuity::DrForward;
use tandem_peer::limits::RECOVERY_DELAY_MAX_S;
use tandem_peer::readiness::Goals;
use tandem_sip::auth::Algorithm;
use tandem_sip::{Host, Timers, Transport};
use tandem_switch::directory::{AgentOptions, Authenticate, Listen, Options, Server};
use tandem_switch::limits::{MAX_CALLS, MAX_EXPLAINED};
use tandem_switch::media::is_file_name;

use super::agents::{self, Level};
use super::events;
use super::fault::At;
use super::guard;
use super::identity;
use super::peer_http;
use super::reader::{Located, Reader, Section};
use super::registration;
use super::session_timer;
use super::target::Target;
use super::{CtiSettings, LogFormat, Settings};
use crate::limits::{MAX_GRACE_S, MAX_LISTEN, RING_TIMEOUT_MAX_S};

/// The words of `dr-forward`.
pub const DR_FORWARD: [(&str, DrForward); 3] =
    [("off", DrForward::Off), ("no-agent", DrForward::NoAgent), ("oos", DrForward::Oos)];

/// What the main file says about the server itself.
pub struct Own {
    pub server: Server,
    pub options: Options,
    /// What is looked up when the trunks are known.
    pub to_peer: ToPeer,
    pub settings: Settings,
    pub agents: AgentDefaults,
    /// Where `listen` first names a transport with TLS.
    pub secure_at: Option<At>,
}

/// What ties this server to its peer.
#[derive(Default)]
pub struct ToPeer {
    /// `dr-peer-trunk`.
    pub trunk: Option<Located<String>>,
    /// `site-timeout` of the desktops.
    pub site_timeout: Option<Located<u64>>,
    /// Where `dr-failure-signals` names `control`.
    pub control: Option<At>,
    /// `mwi-source`.
    pub mwi_source: Option<Located<String>>,
}

/// What `[TServer]` says of agents.
#[derive(Default)]
pub struct AgentDefaults {
    /// Options at the Application.
    pub options: AgentOptions,
    /// `untimed-wrap-up-value`.
    pub untimed: u64,
    /// `logout-on-disconnect-grace`.
    pub logout_on_disconnect_grace: Duration,
    /// Where calls to agents overflow to.
    pub targets: Vec<Target>,
}

/// Reads the tables that only the main file may hold.
pub fn read(reader: &Reader, root: &mut Section<'_>, nonce_secret: [u8; 32]) -> Option<Own> {
    let application = root.table("application", "[application]");
    let application = root.required("application", application, "…, written as a table: [application]");
    let tserver = root.table("TServer", "[TServer]");
    let tserver = root.required("TServer", tserver, "…, written as a table: [TServer]");
    let (http, log_level, log_format) = http_and_log(root);
    let mut desktop = root.table("desktop", "[desktop]");
    let site_timeout = desktop.as_mut().and_then(|table| table.integer("site-timeout", 0..=MAX_GRACE_S));
    desktop.into_iter().for_each(Section::finish);
    // Both are read before either may end it: one run reports the faults of both.
    let application = application.and_then(|table| read_application(reader, table, nonce_secret));
    let tserver = tserver.and_then(|table| read_tserver(reader, table));
    let ((server, cti, cdr_file, secure_at), (address, port, options, to_peer, agents)) =
        (application?, tserver?);
    let settings = Settings {
        http,
        cti,
        cdr_file,
        log_level,
        log_format,
        sip_tls: None,
        dns: super::DnsSettings::default(),
        connections: super::ConnectionSettings::default(),
        stat: None,
        ha: super::HaSettings::default(),
        media: None,
        peer_http: None,
        goals: Goals::default(),
    };
    let server = Server { sip_address: address, sip_port: port, ..server };
    let to_peer = ToPeer { site_timeout, ..to_peer };
    Some(Own { server, options, to_peer, settings, agents, secure_at })
}

fn read_application(
    reader: &Reader,
    mut table: Section<'_>,
    nonce_secret: [u8; 32],
) -> Option<(Server, CtiSettings, Option<PathBuf>, Option<At>)> {
    let name = table.string("name");
    let name = table.required("name", name, "\"site-a\"");
    let switch = table.string("switch");
    let switch = table.required("switch", switch, "\"site-a\"");
    let listen = table.list("listen", "an address such as \"udp:127.0.0.1:5060\"", listen);
    let listen = table.required("listen", listen, "[\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\"]");
    let realm = table.parsed("realm", "printable text without quotes", realm);
    let realm = table.required("realm", realm, "\"tandem\"");
    let secret = table.parsed("nonce-secret", "64 hexadecimal digits", hex32);
    let cdr_file = table.string("cdr-file").map(|file| PathBuf::from(file.value));
    let cti = cti(&mut table);
    if let Some(list) = &listen {
        check_listen(reader, &table, list);
    }
    let secure = listen.iter().flatten().find(|found| found.value.transport.is_secure());
    let secure_at = secure.map(|found| found.at.clone());
    table.finish();
    let server = Server {
        name: name?.value.into(),
        switch: switch?.value.into(),
        sip_address: "".into(),
        sip_port: 0,
        listen: listen?.into_iter().map(|found| found.value).collect(),
        realm: realm?.value.into(),
        nonce_secret: secret.map_or(nonce_secret, |found| found.value),
    };
    Some((server, cti, cdr_file, secure_at))
}

fn check_listen(reader: &Reader, table: &Section<'_>, list: &[Located<Listen>]) {
    if list.is_empty() && reader.is_clean() {
        reader.fault(table.at(), "`listen` of [application] is empty", "name at least one address");
    }
    if let Some(beyond) = list.get(MAX_LISTEN) {
        reader.fault(beyond.at.clone(), "`listen` names too many addresses", format!("at most {MAX_LISTEN}"));
    }
    for (position, found) in list.iter().enumerate() {
        if list.iter().take(position).any(|earlier| earlier.value == found.value) {
            reader.fault(found.at.clone(), "`listen` names this address twice", "remove one");
        }
    }
}

fn cti(table: &mut Section<'_>) -> CtiSettings {
    let listen = table.parsed("cti-listen", "\"127.0.0.1:8061\" or \"off\"", web);
    let (certificate, key) = (table.string("cti-certificate"), table.string("cti-key"));
    if let (Some(one), None) | (None, Some(one)) = (&certificate, &key) {
        let hint = "write both, or neither to speak without TLS";
        table.fault(one.at.clone(), "`cti-certificate` and `cti-key` go together", hint);
    }
    CtiSettings {
        named: listen.is_some(),
        listen: listen.and_then(|found| found.value),
        tls: certificate.zip(key).map(|(certificate, key)| (certificate.value.into(), key.value.into())),
    }
}

type TServer = (Box<str>, u16, Options, ToPeer, AgentDefaults);

fn read_tserver(reader: &Reader, mut table: Section<'_>) -> Option<TServer> {
    let usual = Options::default();
    let address = table.parsed("sip-address", "an address or a host name", host);
    let address = table.required("sip-address", address, "\"127.0.0.1\"");
    let port = table.integer("sip-port", 1..=65_535);
    let trunk = table.string("dr-peer-trunk");
    let (dr_failure_signals, control) = peer_http::signals(&mut table);
    let (events, mwi_source) = events::read(reader, &mut table);
    let min = table.integer("min-expires", 1..=86_400);
    let max = table.integer("max-expires", 1..=86_400);
    let default = table.integer("default-expires", 1..=86_400);
    let options = Options {
        dr_forward: table.choice("dr-forward", &DR_FORWARD).unwrap_or(usual.dr_forward),
        dr_peer_trunk: None,
        dr_recovery_delay: seconds(&mut table, "dr-recovery-delay", 0, RECOVERY_DELAY_MAX_S)
            .unwrap_or(usual.dr_recovery_delay),
        dr_recovery_sweep: table.boolean("dr-recovery-sweep").unwrap_or(usual.dr_recovery_sweep),
        site_timeout: None,
        dr_failure_signals,
        authenticate: authenticate(&mut table).unwrap_or(usual.authenticate),
        authenticate_algorithms: algorithms(&mut table).unwrap_or(usual.authenticate_algorithms),
        shutdown_sip_reject_code: table
            .integer("shutdown-sip-reject-code", 300..=603)
            .and_then(|found| u16::try_from(found.value).ok())
            .unwrap_or(usual.shutdown_sip_reject_code),
        graceful_shutdown_sip_timeout: seconds(&mut table, "graceful-shutdown-sip-timeout", 0, MAX_GRACE_S)
            .unwrap_or(usual.graceful_shutdown_sip_timeout),
        ring_timeout: seconds(&mut table, "ring-timeout", 1, RING_TIMEOUT_MAX_S)
            .unwrap_or(usual.ring_timeout),
        ring_tone: file(&mut table, "ring-tone"),
        follow_redirects: table.boolean("follow-redirects").unwrap_or(usual.follow_redirects),
        session_timer: session_timer::read(&mut table).over(usual.session_timer),
        min_expires_s: whole(min.as_ref(), usual.min_expires_s),
        max_expires_s: whole(max.as_ref(), usual.max_expires_s),
        default_expires_s: whole(default.as_ref(), usual.default_expires_s),
        trunk_target_timeout: seconds(&mut table, "trunk-target-timeout", 1, 31)
            .unwrap_or(usual.trunk_target_timeout),
        default_music: file(&mut table, "default-music"),
        registration: registration::read(&mut table),
        dialog_audit_timeout: seconds(&mut table, "dialog-audit-timeout", 1, 60)
            .unwrap_or(usual.dialog_audit_timeout),
        max_calls: count(&mut table, "max-calls", 1..=MAX_CALLS).unwrap_or(usual.max_calls),
        why_history: count(&mut table, "why-history", 0..=MAX_EXPLAINED).unwrap_or(usual.why_history),
        events,
        guard: usual.guard,
        emergency: usual.emergency,
        toll: guard::toll(&mut table),
        forwarding: identity::forwarding(&mut table).unwrap_or(usual.forwarding),
        media: usual.media,
        timers: timers(&mut table, usual.timers),
    };
    let named = [&min, &default, &max].into_iter().flatten().next();
    let ordered = options.min_expires_s <= options.default_expires_s
        && options.default_expires_s <= options.max_expires_s;
    if let (false, Some(found)) = (ordered, named) {
        let (min, default, max) = (options.min_expires_s, options.default_expires_s, options.max_expires_s);
        let text = format!(
            "`min-expires` {min}, `default-expires` {default} and `max-expires` {max} are out of order"
        );
        reader.fault(found.at.clone(), text, "min-expires <= default-expires <= max-expires must hold");
    }
    let agents = agent_defaults(&mut table);
    table.finish();
    let port = port.and_then(|found| u16::try_from(found.value).ok()).unwrap_or(5060);
    let to_peer = ToPeer { trunk, site_timeout: None, control, mwi_source };
    Some((address?.value.into(), port, options, to_peer, agents))
}

/// The timers of RFC 3261.
fn timers(table: &mut Section<'_>, usual: Timers) -> Timers {
    Timers {
        t1: milliseconds(table, "timer-t1", usual.t1),
        t2: milliseconds(table, "timer-t2", usual.t2),
        t4: milliseconds(table, "timer-t4", usual.t4),
    }
}

fn agent_defaults(table: &mut Section<'_>) -> AgentDefaults {
    let untimed = table.integer("untimed-wrap-up-value", 1..=1_000_000).map(|found| found.value);
    let untimed = untimed.unwrap_or(agents::UNTIMED_WRAP_UP);
    let mut targets = Vec::new();
    AgentDefaults {
        options: agents::read(table, Level::Application, untimed, &mut targets),
        untimed,
        logout_on_disconnect_grace: seconds(table, "logout-on-disconnect-grace", 0, MAX_GRACE_S)
            .unwrap_or_default(),
        targets,
    }
}

fn whole(found: Option<&Located<u64>>, usual: u32) -> u32 {
    found.and_then(|found| u32::try_from(found.value).ok()).unwrap_or(usual)
}

fn count(table: &mut Section<'_>, key: &'static str, range: RangeInclusive<usize>) -> Option<usize> {
    let found = table.integer(key, *range.start() as u64..=*range.end() as u64)?;
    usize::try_from(found.value).ok()
}

/// A time in seconds.
pub fn seconds(table: &mut Section<'_>, key: &'static str, least: u64, most: u64) -> Option<Duration> {
    table.integer(key, least..=most).map(|found| Duration::from_secs(found.value))
}

fn milliseconds(table: &mut Section<'_>, key: &'static str, usual: Duration) -> Duration {
    table.integer(key, 10..=60_000).map_or(usual, |found| Duration::from_millis(found.value))
}

fn authenticate(table: &mut Section<'_>) -> Option<Authenticate> {
    let words = table.list("authenticate-requests", "\"register\" or \"invite\"", |word| match word {
        "register" | "invite" => Ok(word.to_owned()),
        other => Err(format!("\"{other}\" is not a value of it")),
    })?;
    let has = |wanted: &str| words.iter().any(|word| word.value == wanted);
    Some(Authenticate { register: has("register"), invite: has("invite") })
}

fn algorithms(table: &mut Section<'_>) -> Option<Vec<Algorithm>> {
    let expected = "\"SHA-256\" or \"MD5\"";
    let words = table.list("authenticate-algorithms", expected, |word| {
        Algorithm::parse(word.as_bytes()).ok_or_else(|| format!("\"{word}\" is not an algorithm of it"))
    })?;
    let mut found: Vec<Algorithm> = Vec::new();
    for word in words {
        if !found.contains(&word.value) {
            found.push(word.value);
        }
    }
    (!found.is_empty()).then_some(found)
}

/// `transport:address:port`.
pub fn listen(text: &str) -> Result<Listen, String> {
    let wrong = || format!("\"{text}\" is not transport:address:port");
    let (transport, addr) = text.split_once(':').ok_or_else(wrong)?;
    let transport = Transport::parse(transport.as_bytes())
        .ok_or_else(|| format!("\"{transport}\" is not a transport; udp, tcp, tls, ws and wss are"))?;
    let addr = addr.parse().map_err(|_| wrong())?;
    Ok(Listen { transport, addr })
}

/// `[http]` and `[log]`, which every program of this kind has.
pub(super) fn http_and_log(root: &mut Section<'_>) -> (Option<SocketAddr>, String, LogFormat) {
    let (mut http, mut log) = (root.table("http", "[http]"), root.table("log", "[log]"));
    let listen = http.as_mut().and_then(|table| table.parsed("listen", "\"127.0.0.1:8060\" or \"off\"", web));
    let level = log.as_mut().and_then(|table| table.parsed("level", "\"info\" or \"tandem=debug\"", level));
    let format = log
        .as_mut()
        .and_then(|table| table.choice("format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]));
    [http, log].into_iter().flatten().for_each(Section::finish);
    let listen = listen.map_or(Some(SocketAddr::from(([127, 0, 0, 1], 8060))), |found| found.value);
    let level = level.map_or_else(|| "info".to_owned(), |found| found.value);
    (listen, level, format.unwrap_or(LogFormat::Text))
}

fn web(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "off" => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("\"{text}\" is not address:port")),
    }
}

fn level(text: &str) -> Result<String, String> {
    let plain = ["trace", "debug", "info", "warn", "error", "off"].contains(&text);
    let filter = text.contains('=') && text.parse::<tracing_subscriber::EnvFilter>().is_ok();
    if plain || filter { Ok(text.to_owned()) } else { Err(format!("\"{text}\" is not a log level")) }
}

/// A host as Via and Contact print it: IPv6 addresses in brackets.
fn host(text: &str) -> Result<String, String> {
    match Host::parse(text.as_bytes()) {
        Ok(Host::V6(address)) => Ok(format!("[{address}]")),
        Ok(Host::V4(_) | Host::Name(_)) if !text.is_empty() => Ok(text.to_owned()),
        Ok(Host::V4(_) | Host::Name(_)) | Err(_) => Err(format!("\"{text}\" is not a host")),
    }
}

fn realm(text: &str) -> Result<String, String> {
    let fine = !text.is_empty() && text.chars().all(|c| (' '..='~').contains(&c) && c != '"' && c != '\\');
    if fine { Ok(text.to_owned()) } else { Err("holds what a quoted string cannot, or nothing".to_owned()) }
}

fn hex32(text: &str) -> Result<[u8; 32], String> {
    let mut secret = [0u8; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return Err(format!("has {} characters", digits.len()));
    }
    for (byte, pair) in secret.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).map_err(|_| "is not hexadecimal".to_owned())?;
    }
    Ok(secret)
}

/// What is played from the directory of media.
fn file(table: &mut Section<'_>, key: &'static str) -> Option<Arc<str>> {
    table.parsed(key, "the name of a file, \"hold.wav\"", file_name).map(|found| found.value)
}

/// The name of a file in the directory of media.
fn file_name(name: &str) -> Result<Arc<str>, String> {
    match is_file_name(name) {
        true => Ok(name.into()),
        false => Err(format!("\"{name}\" is not one name within the directory of media")),
    }
}
