//! `[[extension]]`, and `[[call-processing-port]]`, which is an Extension with a fixed contact and without agents.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tandem_sip::auth::Ha1;
use tandem_switch::directory::{AnswerMode, DnClass, Extension, Secret, StaticContact};

use super::agents::{self, Level};
use super::application::{DR_FORWARD, seconds};
use super::fault::At;
use super::objects::oos;
use super::reader::{Located, Reader, Section};
use super::session_timer;
use super::target::Target;
use super::{contact, events, guard, identity, numbers, registration};
use crate::limits::{MAX_EXTENSIONS, MAX_HEADER_VALUE, RING_TIMEOUT_MAX_S};

/// What a table declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `[[extension]]`.
    Extension,
    /// `[[call-processing-port]]`.
    Port,
}

impl Kind {
    /// Its key.
    pub fn key(self) -> &'static str {
        match self {
            Self::Extension => "extension",
            Self::Port => "call-processing-port",
        }
    }

    /// How its table is written.
    pub fn title(self) -> &'static str {
        match self {
            Self::Extension => "[[extension]]",
            Self::Port => "[[call-processing-port]]",
        }
    }

    /// What it is called in a sentence.
    fn noun(self) -> &'static str {
        match self {
            Self::Extension => "Extension",
            Self::Port => "Call Processing Port",
        }
    }
}

/// DNs that are declared alike.
pub struct Declared {
    kind: Kind,
    numbers: Vec<Located<Vec<String>>>,
    class: DnClass,
    targets: Vec<Target>,
    at: At,
}

impl Declared {
    /// Whether a number is among them.
    pub fn holds(&self, number: &str) -> bool {
        self.numbers.iter().any(|range| range.value.iter().any(|one| one == number))
    }

    /// What they are.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// Every Extension and Call Processing Port, joined.
#[derive(Default)]
pub struct Dns {
    /// Those of this server's switch.
    pub extensions: Vec<Extension>,
    /// Numbers of those that are Call Processing Ports.
    pub ports: Vec<Arc<str>>,
    /// Where calls to agents overflow to.
    pub targets: Vec<Target>,
    /// What each number of this switch is.
    pub kinds: HashMap<Arc<str>, Kind>,
    /// Switches for which the numbers that places name are declared; an empty list is every switch.
    declared_for: HashMap<String, Vec<Vec<Box<str>>>>,
    /// Names of switches that appear, this server's own first.
    pub switches: Vec<Box<str>>,
}

impl Dns {
    /// Whether an Extension with this number, which a place names, is declared for a switch.
    pub fn declares(&self, switch: &str, number: &str) -> bool {
        let names = |list: &Vec<Box<str>>| list.is_empty() || list.iter().any(|name| **name == *switch);
        self.declared_for.get(number).is_some_and(|lists| lists.iter().any(names))
    }
}

/// Joins what was declared. A number may be declared once for each switch. `in_places`: numbers that places name.
pub fn join(reader: &Reader, declared: Vec<Declared>, switch: &str, in_places: &BTreeSet<&str>) -> Dns {
    let mut dns = Dns { switches: vec![Box::from(switch)], ..Dns::default() };
    for declared in declared {
        dns.note(&declared, in_places);
        let switches = &declared.class.switches;
        if (switches.is_empty() || switches.iter().any(|name| **name == *switch))
            && !dns.add(reader, declared, switch)
        {
            break;
        }
    }
    dns
}

impl Dns {
    /// What must be known of DNs of every switch.
    fn note(&mut self, declared: &Declared, in_places: &BTreeSet<&str>) {
        let switches = &declared.class.switches;
        for name in switches {
            if !self.switches.contains(name) {
                self.switches.push(name.clone());
            }
        }
        if in_places.is_empty() || declared.kind == Kind::Port {
            return;
        }
        for number in declared.numbers.iter().flat_map(|range| &range.value) {
            if in_places.contains(number.as_str()) {
                self.declared_for.entry(number.clone()).or_default().push(switches.clone());
            }
        }
    }

    /// Adds DNs of this switch; false when there are too many.
    fn add(&mut self, reader: &Reader, declared: Declared, switch: &str) -> bool {
        let class = Arc::new(declared.class);
        let noun = declared.kind.noun();
        self.targets.extend(declared.targets);
        for range in declared.numbers {
            if self.extensions.len() + range.value.len() > MAX_EXTENSIONS {
                reader.fault(declared.at, "too many Extensions", format!("at most {MAX_EXTENSIONS}"));
                return false;
            }
            let mut twice = None;
            for number in range.value {
                let number: Arc<str> = number.into();
                if self.kinds.insert(number.clone(), declared.kind).is_some() {
                    twice.get_or_insert_with(|| number.clone());
                }
                if declared.kind == Kind::Port {
                    self.ports.push(number.clone());
                }
                self.extensions.push(Extension { number, class: Arc::clone(&class) });
            }
            if let Some(number) = twice {
                let text = format!("{noun} {number} is declared twice for the switch \"{switch}\"");
                reader.fault(range.at, text, "each number may stand in one table");
            }
        }
        true
    }
}

/// Reads one table.
pub fn read(reader: &Reader, mut table: Section<'_>, kind: Kind, untimed: u64) -> Option<Declared> {
    let at = table.at();
    let numbers = one_or_many(reader, &mut table, ("number", "numbers"), "1001");
    let mut targets = Vec::new();
    let contact = table.parsed("contact", contact::EXPECTED, fixed_contact);
    let contact = match kind {
        Kind::Extension => contact,
        Kind::Port => table.required("contact", contact, "\"sip:{number}@192.0.2.30:5060\""),
    };
    let mut class = DnClass {
        contact: contact.map(|found| found.value),
        oos: oos(reader, &mut table),
        ring_timeout: seconds(&mut table, "ring-timeout", 1, RING_TIMEOUT_MAX_S),
        session_timer: session_timer::read(&mut table),
        sip_enable_100rel: table.boolean("sip-enable-100rel").unwrap_or(true),
        media: super::media::option(&mut table),
        switches: switches(&mut table),
        ..DnClass::default()
    };
    if kind == Kind::Extension {
        class.secret = secret(reader, &mut table);
        class.dr_forward = table.choice("dr-forward", &DR_FORWARD);
        class.max_contacts = table
            .integer("max-contacts", 1..=tandem_switch::limits::MAX_BRANCHES as u64)
            .and_then(|found| usize::try_from(found.value).ok())
            .unwrap_or(tandem_switch::limits::MAX_CONTACTS);
        class.nat = table.choice("nat", &registration::NAT);
        class.agent = agents::read(&mut table, Level::Application, untimed, &mut targets);
        class.answer = answer(&mut table);
        class.dialog_watchers = events::watchers(reader, &mut table);
        class.call_pickup = events::pickup(&mut table);
        class.allow_from = guard::networks(&mut table, "allow-from");
        class.toll = guard::toll(&mut table);
        class.presentation = identity::presentation(&mut table);
    }
    if class.oos.oos_check_s > 0 && class.contact.is_none() && !table.has("contact") {
        let hint = "add `contact`, or remove oos-check: a registered DN is in service while it is registered";
        reader.fault(at.clone(), format!("`oos-check` of {} needs a static `contact`", kind.title()), hint);
    }
    table.finish();
    Some(Declared { kind, numbers: numbers?, class, targets, at })
}

/// One name or number, or ranges of them, under one of two keys.
pub fn one_or_many(
    reader: &Reader,
    table: &mut Section<'_>,
    (one_key, many_key): (&'static str, &'static str),
    example: &str,
) -> Option<Vec<Located<Vec<String>>>> {
    let expected = "a number, or a range such as \"1001-1010\"";
    let one = table.parsed(one_key, "one number", |text| match numbers::expand(text) {
        Ok(list) if list.len() == 1 && !text.contains('-') => Ok(list),
        Ok(_) => Err(format!("is a range; write `{many_key}`")),
        Err(why) => Err(why),
    });
    let many = table.list(many_key, expected, numbers::expand);
    if one.is_some() && many.is_some() {
        let text = format!("`{one_key}` and `{many_key}` stand in one table");
        reader.fault(table.at(), text, "keep one");
    }
    if many.is_none() && !table.has(one_key) {
        let example = format!("\"{example}-{example}9\", or {one_key} = \"{example}\"");
        let _: Option<()> = table.required(many_key, None, &example);
    }
    let found: Vec<_> = one.into_iter().chain(many.into_iter().flatten()).collect();
    (!found.is_empty()).then_some(found)
}

/// `switches`: where objects exist.
pub fn switches(table: &mut Section<'_>) -> Vec<Box<str>> {
    let names = table.list("switches", "the name of a switch", |name| Ok(Box::from(name)));
    names.unwrap_or_default().into_iter().map(|found: Located<Box<str>>| found.value).collect()
}

/// How the phone is made to answer.
fn answer(table: &mut Section<'_>) -> AnswerMode {
    let words = table.parsed("sip-cti-control", "\"talk\", \"hold\" or \"talk,hold\"", |text| {
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        match words.iter().find(|word| !["talk", "hold"].contains(*word)) {
            Some(other) => Err(format!("\"{other}\" is not a value of it")),
            None => Ok((words.contains(&"talk"), words.contains(&"hold"))),
        }
    });
    let (notify_talk, notify_hold) = words.map(|found| found.value).unwrap_or_default();
    let mut header = |key| {
        let found = table.parsed(key, "the value of a SIP header", |text| {
            let fine = !text.is_empty()
                && text.len() <= MAX_HEADER_VALUE
                && text.bytes().all(|b| (b' '..=b'~').contains(&b));
            if fine {
                Ok(Box::from(text))
            } else {
                Err("is empty, too long or not printable ASCII".to_owned())
            }
        });
        found.map(|found: Located<Box<str>>| found.value)
    };
    AnswerMode {
        notify_talk,
        notify_hold,
        make_call_alert_info: header("make-call-alert-info"),
        make_call_call_info: header("make-call-call-info"),
    }
}

/// Names are resolved for trunks only.
fn fixed_contact(text: &str) -> Result<StaticContact, String> {
    match contact::read(text)? {
        contact if contact.addr.is_some() => Ok(contact),
        _ => Err(format!("\"{text}\" names a host; the contact of an Extension needs an address")),
    }
}

fn secret(reader: &Reader, table: &mut Section<'_>) -> Secret {
    let password = table.string("password");
    let md5 = table.parsed("ha1-md5", "32 hexadecimal digits", |text| hexadecimal(text, 32));
    let sha256 = table.parsed("ha1-sha256", "64 hexadecimal digits", |text| hexadecimal(text, 64));
    match (password, md5, sha256) {
        (None, None, None) => Secret::None,
        (Some(password), None, None) => Secret::Password(password.value.into()),
        (None, Some(md5), Some(sha256)) => {
            Ha1::from_hex(md5.value.as_bytes(), sha256.value.as_bytes()).map_or(Secret::None, Secret::Ha1)
        }
        (Some(password), _, _) => {
            reader.fault(password.at, "`password` stands beside `ha1-md5` or `ha1-sha256`", "keep one kind");
            Secret::None
        }
        (None, Some(one), None) | (None, None, Some(one)) => {
            let hint = "write both: a phone chooses the algorithm";
            reader.fault(one.at, "`ha1-md5` and `ha1-sha256` go together", hint);
            Secret::None
        }
    }
}

fn hexadecimal(text: &str, digits: usize) -> Result<String, String> {
    if text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("is not {digits} hexadecimal digits"))
    }
}
