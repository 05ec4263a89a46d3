//! `[guard]`, `[[listener]]` and `[emergency]`: who is let in, and who always gets through; and what an Extension may spend
//! on external calls.

use ipnet::IpNet;
use tandem_sip::Uri;
use tandem_switch::Directory;
use tandem_switch::directory::{Server, TrunkId};
use tandem_switch::guard::emergency::Number;
use tandem_switch::guard::scanners::Patterns;
use tandem_switch::guard::{Emergency, Manner, Policy, TollLimits};
use tandem_switch::limits::{MAX_EMERGENCY_NUMBERS, MAX_TOLL_PER_MINUTE};

use super::application::{listen, seconds};
use super::objects::{Objects, network};
use super::reader::{Located, Reader, Section};
use crate::limits::{MAX_LOCKOUT_S, MAX_NETWORKS};

const MANNER: [(&str, Manner); 2] = [("answer", Manner::Answer), ("silence", Manner::Silence)];

/// A list of networks.
pub fn networks(table: &mut Section<'_>, key: &'static str) -> Vec<IpNet> {
    let found =
        table.list(key, "an address or a network such as \"192.0.2.0/24\"", network).unwrap_or_default();
    if let Some(beyond) = found.get(MAX_NETWORKS) {
        let text = format!("`{key}` names too many networks");
        table.fault(beyond.at.clone(), text, format!("at most {MAX_NETWORKS}"));
    }
    found.into_iter().map(|found| found.value).collect()
}

/// Reads `[guard]`; `[[listener]]` needs what `listen` names.
pub fn read(reader: &Reader, root: &mut Section<'_>, server: &Server) -> Policy {
    let mut policy = Policy::default();
    if let Some(mut table) = root.table("guard", "[guard]") {
        table_of_guard(&mut table, &mut policy);
        table.finish();
    }
    for mut table in root.tables("listener", "[[listener]]") {
        listener(reader, &mut table, server, &mut policy);
        table.finish();
    }
    policy
}

fn table_of_guard(table: &mut Section<'_>, policy: &mut Policy) {
    policy.allow = networks(table, "allow");
    policy.deny = networks(table, "deny");
    let number = |found: Option<Located<u64>>, usual: u32| {
        found.and_then(|found| u32::try_from(found.value).ok()).unwrap_or(usual)
    };
    policy.lockout_after = number(table.integer("lockout-after", 0..=1_000), policy.lockout_after);
    policy.lockout_source_after =
        number(table.integer("lockout-source-after", 0..=100_000), policy.lockout_source_after);
    policy.lockout_window =
        seconds(table, "lockout-window", 1, MAX_LOCKOUT_S).unwrap_or(policy.lockout_window);
    policy.lockout_time = seconds(table, "lockout-time", 1, MAX_LOCKOUT_S).unwrap_or(policy.lockout_time);
    policy.lockout_answer = table.choice("lockout-answer", &MANNER).unwrap_or(policy.lockout_answer);
    policy.requests_per_second = number(table.integer("requests-per-second", 0..=100_000), 0);
    policy.requests_burst = number(table.integer("requests-burst", 0..=1_000_000), 0);
    policy.limit_answer = table.choice("limit-answer", &MANNER).unwrap_or(policy.limit_answer);
    policy.scanners = table.choice("scanners", &MANNER).unwrap_or(policy.scanners);
    let agents = table.list("scanner-agents", "part of a User-Agent, 3 characters or more", |text| {
        if text.len() < 3 { Err(format!("\"{text}\" is too short")) } else { Ok(text.to_owned()) }
    });
    if let Some(agents) = agents {
        policy.scanner_agents = Patterns::new(agents.iter().map(|found| found.value.as_str()));
    }
    let domains = table.list("domains", "a host such as \"example.com\"", |text| {
        let uri = format!(
            "sip:{}",
            if text.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{text}]") } else { text.to_owned() }
        );
        match Uri::parse(uri.as_bytes()) {
            Ok(uri) if uri.port.is_none() && uri.user().is_none() => Ok(text.to_ascii_lowercase().into()),
            Ok(_) | Err(_) => Err(format!("\"{text}\" is not a host")),
        }
    });
    policy.domains =
        domains.unwrap_or_default().into_iter().map(|found: Located<Box<str>>| found.value).collect();
}

/// `[[listener]]`: what is said of one address of `listen`.
fn listener(reader: &Reader, table: &mut Section<'_>, server: &Server, policy: &mut Policy) {
    let address = table.parsed("address", "an address of `listen`, such as \"udp:192.0.2.1:5060\"", listen);
    let address = table.required("address", address, "\"udp:192.0.2.1:5060\"");
    let allowed = networks(table, "allow-from");
    let Some(address) = address else { return };
    match server.listen.iter().position(|listen| *listen == address.value) {
        Some(place) => {
            policy.listeners.resize(policy.listeners.len().max(place + 1), Vec::new());
            if let Some(networks) = policy.listeners.get_mut(place) {
                *networks = allowed;
            }
        }
        None => {
            let names: Vec<String> = server
                .listen
                .iter()
                .map(|l| format!("{}:{}", l.transport.as_str().to_ascii_lowercase(), l.addr))
                .collect();
            let text = "`address` of [[listener]] is not in `listen` of [application]";
            reader.fault(address.at, text, format!("one of {}", names.join(", ")));
        }
    }
}

/// `[emergency]`, before its trunks are known.
pub struct Help {
    emergency: Emergency,
    numbers: Vec<Located<Number>>,
    trunks: Vec<Located<String>>,
}

/// Reads `[emergency]` if it is there.
pub fn help(reader: &Reader, root: &mut Section<'_>) -> Option<Help> {
    let mut table = root.table("emergency", "[emergency]")?;
    let numbers =
        table.list("numbers", "a number, or \"9112=112\" for one that is sent as another", |text| {
            let (dialled, sent) = text.split_once('=').unwrap_or((text, text));
            let fine = |number: &str| !number.is_empty() && number.bytes().all(|b| b.is_ascii_graphic());
            match fine(dialled) && fine(sent) {
                true => Ok(Number { dialled: dialled.into(), sent: sent.into() }),
                false => Err(format!("\"{text}\" is not a number")),
            }
        });
    let numbers = table.required("numbers", numbers, "[\"112\", \"911\"]").unwrap_or_default();
    let trunks = table.list("trunks", "the name of a trunk", |name| Ok(name.to_owned()));
    let trunks = table.required("trunks", trunks, "[\"gateway\"]").unwrap_or_default();
    if trunks.is_empty() && table.has("trunks") && reader.is_clean() {
        reader.fault(table.at(), "`trunks` of [emergency] is empty", "name at least one trunk");
    }
    if let Some(beyond) = numbers.get(MAX_EMERGENCY_NUMBERS) {
        let text = "`numbers` of [emergency] names too many";
        reader.fault(beyond.at.clone(), text, format!("at most {MAX_EMERGENCY_NUMBERS}"));
    }
    let without_credentials = table.boolean("without-credentials").unwrap_or(false);
    table.finish();
    let known = numbers.iter().map(|found| found.value.clone()).collect();
    let emergency = Emergency { numbers: known, trunks: Vec::new(), without_credentials };
    Some(Help { emergency, numbers, trunks })
}

impl Help {
    /// With its trunks.
    pub fn join(&self, reader: &Reader, objects: &Objects) -> Emergency {
        let most = tandem_switch::limits::MAX_STAGES;
        if let Some(beyond) = self.trunks.get(most) {
            let text = "`trunks` of [emergency] names too many";
            reader.fault(beyond.at.clone(), text, format!("at most {most}"));
        }
        let find = |name: &Located<String>| objects.find(reader, "trunks", name);
        let trunks: Vec<TrunkId> = self.trunks.iter().filter_map(find).collect();
        Emergency { trunks, ..self.emergency.clone() }
    }

    /// Who dials such a number must not reach a DN instead, nor the DN be out of reach.
    pub fn check(&self, reader: &Reader, directory: &Directory) {
        for number in &self.numbers {
            if directory.has_dn(&number.value.dialled) {
                let text =
                    format!("`numbers` of [emergency]: {} is a DN of this switch", number.value.dialled);
                reader.fault(number.at.clone(), text, "give the DN another number");
            }
        }
    }
}

/// What calls that leave the switch may cost, of one level.
pub fn toll(table: &mut Section<'_>) -> TollLimits {
    let number = |found: Option<Located<u64>>| found.and_then(|found| u32::try_from(found.value).ok());
    let prefixes = |table: &mut Section<'_>, key| {
        let list = table.list(key, "the beginning of a number, as it is dialled", |text| Ok(Box::from(text)));
        list.map(|list| list.into_iter().map(|found: Located<Box<str>>| found.value).collect())
    };
    TollLimits {
        calls: number(table.integer("external-calls", 0..=100_000)),
        per_minute: number(table.integer("external-calls-per-minute", 0..=MAX_TOLL_PER_MINUTE as u64)),
        minutes_per_day: number(table.integer("external-minutes-per-day", 0..=1_000_000)),
        allow: prefixes(table, "external-allow"),
        deny: prefixes(table, "external-deny"),
    }
}
