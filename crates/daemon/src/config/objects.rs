//! Objects: `[[trunk]]`, `[[dial-plan]]`, and those of [`extension`] and [`floor`](super::floor). The main file and the included ones may hold them.

use ipnet::IpNet;
use tandem_peer::limits::{OOS_CHECK_MAX_S, OOS_FORCE_MAX_S, OPTIONS_MAX_FORWARDS_MAX};
use tandem_peer::trunk::{TrunkOptions, TrunkRole};
use tandem_switch::Directory;
use tandem_switch::directory::{DialRule, Options, Server, StaticContact, Trunk, TrunkCapacity, TrunkId};
use tandem_switch::limits::MAX_TRUNK_CALLS;

use super::SipTlsSettings;
use super::application::{AgentDefaults, ToPeer};
use super::closest::closest;
use super::contact;
use super::extension::{self, Declared, Kind};
use super::fault::At;
use super::floor::{Around, FloorObjects};
use super::identity;
use super::reader::{Located, Reader, Section};
use super::session_timer;

/// Objects as they were declared.
#[derive(Default)]
pub struct Objects {
    pub(super) extensions: Vec<Declared>,
    pub(super) floor: FloorObjects,
    pub(super) trunks: Vec<Located<Trunk>>,
    /// Names of trunks with faults of their own: who refers to one is not blamed too.
    faulty: Vec<String>,
    rules: Vec<Rule>,
}

/// One `[[dial-plan]]`; its trunks are looked up when all are known.
struct Rule {
    prefix: String,
    strip: usize,
    add: String,
    trunks: Vec<Located<String>>,
    at: At,
}

impl Objects {
    /// Reads the objects of one file.
    pub fn read(&mut self, reader: &Reader, root: &mut Section<'_>, untimed: u64) {
        for kind in [Kind::Extension, Kind::Port] {
            for table in root.tables(kind.key(), kind.title()) {
                self.extensions.extend(extension::read(reader, table, kind, untimed));
            }
        }
        self.floor.read(reader, root, untimed);
        for table in root.tables("trunk", "[[trunk]]") {
            match trunk(reader, table) {
                Ok(trunk) => self.trunks.push(trunk),
                Err(name) => self.faulty.extend(name),
            }
        }
        for table in root.tables("dial-plan", "[[dial-plan]]") {
            self.rules.extend(rule(reader, table));
        }
    }

    /// Joins everything that was declared.
    pub fn build(
        mut self,
        reader: &Reader,
        server: Server,
        mut options: Options,
        to_peer: &ToPeer,
        agents: AgentDefaults,
    ) -> Option<Directory> {
        self.check_trunks(reader, &server);
        let has_peer = to_peer.trunk.is_some();
        self.join_peer(reader, to_peer, &mut options);
        let rules = std::mem::take(&mut self.rules);
        for (position, rule) in rules.iter().enumerate() {
            if rules.iter().take(position).any(|earlier| earlier.prefix == rule.prefix) {
                let text = format!("`prefix` \"{}\" stands in two [[dial-plan]]", rule.prefix);
                reader.fault(rule.at.clone(), text, "put all its trunks in one list");
            }
        }
        let dial_plan: Vec<DialRule> = rules.into_iter().map(|rule| self.dial_rule(reader, rule)).collect();
        let dns = extension::join(
            reader,
            std::mem::take(&mut self.extensions),
            &server.switch,
            &self.floor.numbers_in_places(),
        );
        if let Some(source) = &to_peer.mwi_source {
            options.events.mwi_source = Some(source.value.as_str().into());
            if !dns.kinds.contains_key(source.value.as_str()) {
                self.find(reader, "mwi-source", source);
            }
        }
        let around = Around { switch: &server.switch, has_peer, dns: &dns, dial_plan: &dial_plan };
        let floor = self.floor.join(reader, &around, agents);
        if !reader.is_clean() {
            return None;
        }
        let extensions = dns.extensions;
        let trunks = self.trunks.into_iter().map(|trunk| trunk.value).collect();
        let directory = Directory::new(server, options, extensions, trunks, dial_plan);
        match directory.and_then(|directory| directory.with_floor(floor)) {
            Ok(directory) => Some(directory),
            Err(fault) => {
                reader.fault(
                    At { file: 0, span: 0..0 },
                    fault.to_string(),
                    "these parts contradict each other",
                );
                None
            }
        }
    }

    /// A trunk that must show a certificate is asked for one.
    pub fn check_tls(&self, reader: &Reader, tls: Option<&SipTlsSettings>) {
        let asks = tls.is_some_and(|tls| tls.client_ca_file.is_some());
        for trunk in self.trunks.iter().filter(|trunk| trunk.value.tls_client_certificate && !asks) {
            let text = format!(
                "`tls-client-certificate` of trunk \"{}\": nobody is asked for one",
                trunk.value.name
            );
            reader.fault(
                trunk.at.clone(),
                text,
                "name what to check it against: `client-ca-file` of [sip-tls]",
            );
        }
    }

    fn check_trunks(&self, reader: &Reader, server: &Server) {
        for (position, trunk) in self.trunks.iter().enumerate() {
            if self.trunks.iter().take(position).any(|earlier| earlier.value.name == trunk.value.name) {
                let text = format!("`name`: the trunk \"{}\" is declared twice", trunk.value.name);
                reader.fault(trunk.at.clone(), text, "give it another name or remove one");
            }
            let transport = trunk.value.contact.transport;
            if trunk
                .value
                .contact
                .resolve
                .as_ref()
                .is_some_and(|wanted| wanted.transport.is_none() && !wanted.secure)
            {
                // Its records say how it is reached.
                continue;
            }
            if !server.listen.iter().any(|listen| listen.transport == transport) {
                let text = format!("`contact`: trunk \"{}\" uses {transport}", trunk.value.name);
                let hint = format!("add a {transport} address to `listen` of [application]");
                reader.fault(trunk.at.clone(), text, hint);
            }
        }
    }

    pub(super) fn find(&self, reader: &Reader, key: &str, name: &Located<String>) -> Option<TrunkId> {
        let found = (0u32..).zip(&self.trunks).find(|(_, trunk)| *trunk.value.name == *name.value);
        if found.is_none() && !self.faulty.contains(&name.value) {
            let names = || self.trunks.iter().map(|trunk| &*trunk.value.name);
            let hint = match closest(&name.value, names()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None if self.trunks.is_empty() => "declare it with [[trunk]]".to_owned(),
                None => format!("declared trunks: {}", names().collect::<Vec<_>>().join(", ")),
            };
            reader.fault(
                name.at.clone(),
                format!("`{key}` names the trunk \"{}\", which is not there", name.value),
                hint,
            );
        }
        found.map(|(id, _)| TrunkId(id))
    }

    fn dial_rule(&self, reader: &Reader, rule: Rule) -> DialRule {
        let most = tandem_switch::limits::MAX_STAGES;
        if rule.trunks.len() > most {
            reader.fault(
                rule.at.clone(),
                "`trunks` of [[dial-plan]] names too many",
                format!("at most {most}"),
            );
        }
        let trunks = rule.trunks.iter().filter_map(|name| self.find(reader, "trunks", name)).collect();
        DialRule { prefix: rule.prefix.into(), strip: rule.strip, add: rule.add.into(), trunks }
    }
}

/// The options by which a device is watched.
pub fn oos(reader: &Reader, table: &mut Section<'_>) -> TrunkOptions {
    let usual = TrunkOptions::default();
    let check = table.integer("oos-check", 0..=OOS_CHECK_MAX_S.into());
    let force = table.integer("oos-force", 0..=OOS_FORCE_MAX_S.into());
    let refused = table.integer("oos-refused-force", 0..=OOS_FORCE_MAX_S.into());
    let short = |found: Option<&Located<u64>>, usual| {
        found.and_then(|found| u16::try_from(found.value).ok()).unwrap_or(usual)
    };
    let options = TrunkOptions {
        oos_check_s: short(check.as_ref(), usual.oos_check_s),
        oos_force_s: short(force.as_ref(), usual.oos_force_s),
        oos_refused_force_s: refused.as_ref().and_then(|found| u16::try_from(found.value).ok()),
        recovery_timeout_s: table
            .integer("recovery-timeout", 0..=86_400)
            .and_then(|found| u32::try_from(found.value).ok())
            .unwrap_or(usual.recovery_timeout_s),
        oos_options_max_forwards: table
            .integer("oos-options-max-forwards", 0..=OPTIONS_MAX_FORWARDS_MAX.into())
            .and_then(|found| u8::try_from(found.value).ok())
            .unwrap_or(usual.oos_options_max_forwards),
        oos_error_check: table.boolean("oos-error-check").unwrap_or(usual.oos_error_check),
        role: TrunkRole::Other,
    };
    if let Err(bad) = options.check() {
        let at = refused.or(force).or(check).map_or_else(|| table.at(), |found| found.at);
        reader.fault(at, format!("`{}` does not fit: {bad}", bad.key()), "change it or its fellow");
    }
    options
}

/// A trunk, or only its name if it cannot be made.
fn trunk(reader: &Reader, mut table: Section<'_>) -> Result<Located<Trunk>, Option<String>> {
    let name = table.string("name");
    let name = table.required("name", name, "\"gateway\"");
    let contact = table.parsed("contact", contact::EXPECTED, contact::read);
    let contact = table.required("contact", contact, "\"sip:192.0.2.10:5060\"");
    let oos = oos(reader, &mut table);
    let oosp_transfer_enabled = table.boolean("oosp-transfer-enabled").unwrap_or(false);
    let sources = table.list("sources", "an address or a network such as \"192.0.2.0/24\"", network);
    let session_timer = session_timer::read(&mut table);
    let sip_enable_100rel = table.boolean("sip-enable-100rel").unwrap_or(true);
    let tls_client_certificate = table.boolean("tls-client-certificate").unwrap_or(false);
    let tls_name = table.parsed("tls-name", CERTIFIED, certified);
    let media = super::media::option(&mut table);
    let capacity = capacity(&mut table);
    let username = table.string("username");
    let password = table.string("password");
    if username.is_some() != password.is_some() {
        let hint = "write both, or neither if the trunk does not ask for credentials";
        reader.fault(table.at(), "`username` and `password` of [[trunk]] go together", hint);
    }
    let identity = identity::read(reader, &mut table);
    table.finish();
    let (name, at, contact): (_, _, StaticContact) = match (name, contact) {
        (Some(name), Some(contact)) => (name.value, name.at, contact.value),
        (name, _) => return Err(name.map(|name| name.value)),
    };
    if let Some(tls_name) =
        tls_name.as_ref().filter(|_| contact.addr.is_some() && !contact.transport.is_secure())
    {
        let text = format!("`tls-name`: the trunk \"{name}\" is reached by {}", contact.transport);
        reader.fault(tls_name.at.clone(), text, "reach it by `sips:` or `;transport=tls`, or remove it");
    }
    let trunk = Trunk {
        name: name.into(),
        contact,
        oos,
        oosp_transfer_enabled,
        tls_client_certificate,
        tls_name: tls_name.map(|found| found.value.into()),
        media,
        sources: sources.unwrap_or_default().into_iter().map(|found| found.value).collect(),
        credentials: username
            .zip(password)
            .map(|(user, password)| (user.value.into(), password.value.into())),
        identity: identity.into(),
        session_timer,
        sip_enable_100rel,
        capacity,
    };
    Ok(Located { value: trunk, at })
}

/// `capacity` and its fellows.
fn capacity(table: &mut Section<'_>) -> TrunkCapacity {
    let usual = TrunkCapacity::default();
    let limit = |found: Option<Located<u64>>, usual| {
        found.and_then(|found| u32::try_from(found.value).ok()).unwrap_or(usual)
    };
    TrunkCapacity {
        calls: limit(table.integer("capacity", 0..=MAX_TRUNK_CALLS), usual.calls),
        limit_inbound: table.boolean("capacity-limit-inbound").unwrap_or(usual.limit_inbound),
        per_second: limit(table.integer("max-calls-per-second", 0..=MAX_TRUNK_CALLS), usual.per_second),
    }
}

const CERTIFIED: &str = "a host name or an address, such as \"sbc.carrier.example\"";

/// What can stand in a certificate.
fn certified(text: &str) -> Result<String, String> {
    let name = rustls::pki_types::ServerName::try_from(text);
    name.map(|_| text.to_owned()).map_err(|_| format!("\"{text}\" is not one"))
}

pub(super) fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| format!("\"{text}\" is not one"))
}

fn rule(reader: &Reader, mut table: Section<'_>) -> Option<Rule> {
    let at = table.at();
    let prefix = table.parsed("prefix", "the first characters of the number; \"\" matches all", |text| {
        Ok::<_, String>(text.to_owned())
    });
    let prefix = table.required("prefix", prefix, "\"9\"");
    let strip = table.integer("strip", 0..=64);
    let add = table.parsed("add", "characters to put in front", |text| Ok::<_, String>(text.to_owned()));
    let trunks = table.list("trunks", "the name of a trunk", |name| Ok(name.to_owned()));
    let trunks = table.required("trunks", trunks, "[\"gateway\"]");
    if trunks.as_ref().is_some_and(Vec::is_empty) {
        reader.fault(at.clone(), "`trunks` of [[dial-plan]] is empty", "name at least one trunk");
    }
    table.finish();
    Some(Rule {
        prefix: prefix?.value,
        strip: strip.and_then(|found| usize::try_from(found.value).ok()).unwrap_or(0),
        add: add.map(|found| found.value).unwrap_or_default(),
        trunks: trunks?,
        at,
    })
}
