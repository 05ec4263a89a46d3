//! Which keys two servers that stand in for each other must have alike, and a digest of what each holds.
//!
//! What is compared is what stands in the files: the order of keys and of tables does not matter, nor do comments, nor
//! which file something stands in; a default that is written out does differ from one that is not. What concerns one
//! machine alone is left out, and of its own addresses only transport and port are taken.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use sha2::{Digest as _, Sha256};
use toml::de::{DeTable, DeValue};

use super::fault::ConfigError;
use super::reader::Reader;
use super::source::Origin;
use super::{read_files, syntax};

/// The digest of a value.
pub type Digest = [u8; 32];

/// What of a key is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// What it holds.
    Value,
    /// An address and port, or several: the address only if it is virtual or a wildcard.
    Endpoint,
    /// A host: only if it is virtual, or a name for what is virtual.
    Host,
    /// Whether it stands there: it names a file, which may lie elsewhere on another machine.
    Presence,
    /// Nothing: it concerns this machine, or how it is watched.
    Nothing,
}

/// The rule for each key. A new one is compared unless somebody thinks of it here.
fn rule(table: &str, key: &str) -> Rule {
    match (table, key) {
        // Each server has a name of its own, call records and logs of its own, and statistics are a client's.
        ("application", "name" | "cdr-file") | ("http" | "log" | "stat", _) => Rule::Nothing,
        // Which name servers a machine reaches is a matter of its network.
        ("dns", _) => Rule::Nothing,
        ("application", "listen" | "cti-listen") | ("listener", "address") => Rule::Endpoint,
        ("TServer", "sip-address") => Rule::Host,
        ("application", "cti-certificate" | "cti-key") | ("sip-tls", _) => Rule::Presence,
        ("peer-http", "password-file" | "ca-file") => Rule::Presence,
        ("ha", "virtual-address" | "virtual-address-by" | "arbitration" | "durability") => Rule::Value,
        ("ha", _) => Rule::Nothing,
        _ => Rule::Value,
    }
}

/// What names an entry of an array of tables.
const NAMES: [&str; 9] = ["number", "numbers", "id", "ids", "name", "user", "prefix", "address", "switch"];

/// Longest name of an entry, bytes; what is longer is cut, and told apart by its digest.
const MAX_NAME: usize = 60;

/// Names and digests of what is compared: each key of a table, `[TServer] sip-port`, and each entry of an array of tables,
/// `[[extension]] 1005`.
///
/// # Errors
/// The files cannot be read.
pub fn compared(origin: &Origin) -> Result<Vec<(String, Digest)>, ConfigError> {
    let reader = Reader::default();
    let files = read_files(origin, &reader)?;
    let documents: Vec<_> = files.iter().map(|file| DeTable::parse_recoverable(&file.text)).collect();
    for (file, (_, errors)) in documents.iter().enumerate() {
        errors.iter().for_each(|error| syntax(&reader, file, error));
    }
    if !reader.is_clean() {
        return Err(ConfigError::new(&files, reader.into_faults()));
    }
    let mut found = Found::default();
    if let Some((own, _)) = documents.first() {
        found.moving = moving(own.get_ref());
    }
    for (document, _) in &documents {
        found.document(document.get_ref());
    }
    Ok(found.digests())
}

/// The virtual addresses.
fn moving(own: &DeTable<'_>) -> Vec<IpAddr> {
    let ha = own.get("ha").and_then(|ha| ha.get_ref().as_table());
    let Some(named) = ha.and_then(|ha| ha.get("virtual-address")) else { return Vec::new() };
    let address = |text: &str| text.split('/').next().and_then(|ip| ip.parse().ok());
    texts(named.get_ref()).into_iter().filter_map(address).collect()
}

/// A string, or those of a list.
fn texts<'v>(value: &'v DeValue<'_>) -> Vec<&'v str> {
    let listed = value.as_array().into_iter().flat_map(|list| list.iter());
    value.as_str().into_iter().chain(listed.filter_map(|item| item.get_ref().as_str())).collect()
}

#[derive(Default)]
struct Found {
    moving: Vec<IpAddr>,
    /// Several entries may have the same name: an Extension of each of two switches.
    digests: BTreeMap<String, Vec<Digest>>,
}

impl Found {
    fn document(&mut self, root: &DeTable<'_>) {
        for (table, value) in root.iter() {
            let table = table.get_ref().as_ref();
            match value.get_ref() {
                DeValue::Table(keys) => self.table(table, keys),
                DeValue::Array(entries) => {
                    for entry in entries.iter().filter_map(|entry| entry.get_ref().as_table()) {
                        self.entry(table, entry);
                    }
                }
                // Only `include` stands outside of tables: what is in the files counts, not their names.
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_) => {}
            }
        }
    }

    fn table(&mut self, table: &str, keys: &DeTable<'_>) {
        for (key, value) in keys.iter() {
            let key = key.get_ref().as_ref();
            let mut hash = Sha256::new();
            if self.feed(&mut hash, rule(table, key), value.get_ref()) {
                self.digests.entry(format!("[{table}] {key}")).or_default().push(hash.finalize().into());
            }
        }
    }

    fn entry(&mut self, array: &str, entry: &DeTable<'_>) {
        let mut keys: Vec<(&str, &DeValue<'_>)> =
            entry.iter().map(|(key, value)| (key.get_ref().as_ref(), value.get_ref())).collect();
        keys.sort_unstable_by_key(|(key, _)| *key);
        let mut hash = Sha256::new();
        for (key, value) in keys {
            // A key that is left out leaves its name behind: that is the same on every machine that has it.
            feed_text(&mut hash, key);
            self.feed(&mut hash, rule(array, key), value);
        }
        let name = format!("[[{array}]] {}", self.name(array, entry));
        self.digests.entry(name).or_default().push(hash.finalize().into());
    }

    fn name(&self, array: &str, entry: &DeTable<'_>) -> String {
        let named = NAMES.iter().find_map(|key| Some((*key, entry.get(*key)?)));
        let Some((key, value)) = named else { return "without a name".to_owned() };
        let endpoint = rule(array, key) == Rule::Endpoint;
        let shown = texts(value.get_ref()).into_iter().map(|text| match endpoint {
            true => self.endpoint(text),
            false => text.to_owned(),
        });
        let whole = shown.collect::<Vec<_>>().join(", ");
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        match whole.len() {
            0 => "\"\"".to_owned(),
            1..=MAX_NAME => whole.chars().map(printable).collect(),
            _ => {
                let cut = whole.get(..whole.floor_char_boundary(MAX_NAME - 10)).unwrap_or_default();
                let [a, b, c, ..]: Digest = Sha256::digest(&whole).into();
                let cut: String = cut.chars().map(printable).collect();
                format!("{cut}… ({a:02x}{b:02x}{c:02x})")
            }
        }
    }

    /// Feeds what a rule takes of a value; false if it takes nothing.
    fn feed(&self, hash: &mut Sha256, rule: Rule, value: &DeValue<'_>) -> bool {
        match rule {
            Rule::Value => feed_value(hash, value),
            Rule::Endpoint => texts(value).into_iter().for_each(|text| feed_text(hash, &self.endpoint(text))),
            Rule::Host => texts(value).into_iter().for_each(|text| feed_text(hash, self.host(text))),
            Rule::Presence => feed_text(hash, "there"),
            Rule::Nothing => return false,
        }
        true
    }

    /// `udp:192.0.2.11:5060` is `udp:own:5060` unless the address is virtual or a wildcard.
    fn endpoint(&self, text: &str) -> String {
        let split = text.split_once(':').filter(|(word, _)| word.chars().all(|c| c.is_ascii_alphabetic()));
        let (transport, address) = split.unwrap_or(("", text));
        match address.parse::<SocketAddr>() {
            Ok(addr) if !addr.ip().is_unspecified() && !self.moving.contains(&addr.ip()) => {
                format!("{transport}:own:{}", addr.port())
            }
            Ok(_) | Err(_) => text.to_owned(),
        }
    }

    /// Without a virtual address each server may be reached at one of its own, by number or name.
    fn host<'t>(&self, text: &'t str) -> &'t str {
        let own = match text.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => !self.moving.contains(&ip),
            Err(_) => self.moving.is_empty(),
        };
        if own { "own" } else { text }
    }

    fn digests(self) -> Vec<(String, Digest)> {
        let one = |(name, mut digests): (String, Vec<Digest>)| {
            digests.sort_unstable();
            let digest = match digests.as_slice() {
                [one] => *one,
                several => Sha256::digest(several.concat()).into(),
            };
            (name, digest)
        };
        self.digests.into_iter().map(one).collect()
    }
}

/// Values that mean the same feed the same: one string stands for a list of one, and a number is a number.
fn feed_value(hash: &mut Sha256, value: &DeValue<'_>) {
    match value {
        DeValue::String(text) => feed_text(hash, text),
        DeValue::Boolean(truth) => feed_text(hash, if *truth { "true" } else { "false" }),
        DeValue::Integer(number) => {
            let parsed = i128::from_str_radix(number.as_str(), number.radix());
            hash.update(b"n");
            hash.update(parsed.unwrap_or_default().to_be_bytes());
        }
        DeValue::Float(number) => feed_text(hash, number.as_str()),
        DeValue::Datetime(moment) => feed_text(hash, &moment.to_string()),
        DeValue::Array(list) => {
            if list.len() != 1 {
                hash.update(b"a");
                hash.update((list.len() as u64).to_be_bytes());
            }
            list.iter().for_each(|item| feed_value(hash, item.get_ref()));
        }
        DeValue::Table(table) => {
            let mut keys: Vec<_> =
                table.iter().map(|(key, value)| (key.get_ref().as_ref(), value.get_ref())).collect();
            keys.sort_unstable_by_key(|(key, _): &(&str, _)| *key);
            hash.update(b"t");
            hash.update((keys.len() as u64).to_be_bytes());
            for (key, value) in keys {
                feed_text(hash, key);
                feed_value(hash, value);
            }
        }
    }
}

fn feed_text(hash: &mut Sha256, text: &str) {
    hash.update(b"s");
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    const ONE: &str = r#"
[application]
name = "a1"
listen = ["udp:192.0.2.11:5060", "udp:192.0.2.10:5060"]
realm = "tandem"
[TServer]
sip-address = "192.0.2.10"
ring-timeout = 60
[ha]
virtual-address = ["192.0.2.10"]
state-directory = "/var/lib/one"
[sip-tls]
certificate = "/etc/one.pem"
[[extension]]
number = "1005"
password = "secret"
[[extension]]
numbers = ["2001-2010", "reception"]
"#;

    fn of(text: &str) -> BTreeSet<(String, Digest)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.toml");
        std::fs::write(&file, text).unwrap();
        compared(&Origin::File(file)).unwrap().into_iter().collect()
    }

    fn differ(edits: &[(&str, &str)]) -> Vec<String> {
        let mut other = ONE.to_owned();
        for (from, to) in edits {
            assert!(other.contains(from), "{from}");
            other = other.replace(from, to);
        }
        let (one, other) = (of(ONE), of(&other));
        let names: BTreeSet<_> = one.symmetric_difference(&other).map(|(name, _)| name.clone()).collect();
        names.into_iter().collect()
    }

    #[test]
    fn each_key_is_named_with_its_table_and_each_entry_with_its_number() {
        assert_eq!(differ(&[("realm = \"tandem\"", "realm = \"other\"")]), ["[application] realm"]);
        assert_eq!(differ(&[("ring-timeout = 60\n", "")]), ["[TServer] ring-timeout"]);
        assert_eq!(differ(&[("\"secret\"", "\"secrets\"")]), ["[[extension]] 1005"]);
        assert_eq!(
            differ(&[("\"reception\"]", "\"reception\"]\nnat = \"yes\"")]),
            ["[[extension]] 2001-2010, reception"]
        );
        assert_eq!(differ(&[("certificate =", "key =")]), ["[sip-tls] certificate", "[sip-tls] key"]);
    }

    #[test]
    fn what_belongs_to_one_machine_may_differ() {
        let own = [
            ("\"a1\"", "\"a2\""),
            ("udp:192.0.2.11:5060", "udp:192.0.2.12:5060"),
            ("/var/lib/one", "/var/lib/two"),
            ("/etc/one.pem", "/etc/two.pem"),
            ("[ha]", "[http]\nlisten = \"off\"\n[log]\nlevel = \"debug\"\n[ha]"),
        ];
        assert_eq!(differ(&own), Vec::<String>::new());
    }

    #[test]
    fn of_addresses_the_virtual_ones_and_every_port_count() {
        assert_eq!(differ(&[("192.0.2.11:5060", "192.0.2.11:5070")]), ["[application] listen"]);
        assert_eq!(differ(&[("udp:192.0.2.10:5060", "udp:192.0.2.20:5060")]), ["[application] listen"]);
        assert_eq!(
            differ(&[("sip-address = \"192.0.2.10\"", "sip-address = \"192.0.2.11\"")]),
            ["[TServer] sip-address"]
        );
        let alone = ("virtual-address = [\"192.0.2.10\"]\n", "");
        let (one, other) = (
            ONE.replace(alone.0, alone.1),
            ONE.replace(alone.0, alone.1).replace("192.0.2.10", "192.0.2.99"),
        );
        assert_eq!(of(&one), of(&other), "without a virtual address each has its own");
    }

    #[test]
    fn the_same_in_other_words_is_no_difference() {
        let same = [
            ("ring-timeout = 60", "# how long\nring-timeout = 0x3C"),
            ("number = \"1005\"\npassword = \"secret\"", "password = 'secret'\nnumber = \"1005\""),
            ("virtual-address = [\"192.0.2.10\"]", "virtual-address = \"192.0.2.10\""),
        ];
        assert_eq!(differ(&same), Vec::<String>::new());
    }

    #[test]
    fn objects_may_stand_in_whichever_file() {
        let folder = tempfile::tempdir().unwrap();
        let (main, office) = ONE.split_at(ONE.find("[[extension]]").unwrap());
        std::fs::write(folder.path().join("site.toml"), format!("include = [\"office.toml\"]\n{main}"))
            .unwrap();
        std::fs::write(folder.path().join("office.toml"), office).unwrap();
        let split = compared(&Origin::File(folder.path().join("site.toml"))).unwrap();
        assert_eq!(split.into_iter().collect::<BTreeSet<_>>(), of(ONE));
    }

    #[test]
    fn two_entries_of_one_number_are_both_compared() {
        let twice = format!("{ONE}[[extension]]\nnumber = \"1005\"\nswitches = [\"b\"]\n");
        let names: BTreeSet<_> =
            of(ONE).symmetric_difference(&of(&twice)).map(|(name, _)| name.clone()).collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["[[extension]] 1005"]);
    }

    #[test]
    fn every_key_of_the_example_has_its_rule_and_no_rule_is_for_a_key_that_is_gone() {
        let example = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/example.toml"));
        let text = std::fs::read_to_string(&example).unwrap();
        let (document, _) = DeTable::parse_recoverable(&text);
        let mut rules: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (table, value) in document.get_ref().iter() {
            let table = table.get_ref().as_ref();
            let tables = value.get_ref().as_table().into_iter();
            let listed = value.get_ref().as_array().into_iter().flat_map(|list| list.iter());
            for keys in tables.chain(listed.filter_map(|item| item.get_ref().as_table())) {
                for key in keys.keys().map(|key| key.get_ref().as_ref()) {
                    let named = format!("{table}.{key}");
                    let list = rules.entry(format!("{:?}", rule(table, key))).or_default();
                    if !list.contains(&named) && (table != "ha" || rule(table, key) == Rule::Value) {
                        list.push(named);
                    }
                }
            }
        }
        assert_eq!(rules["Endpoint"], ["application.cti-listen", "application.listen", "listener.address"]);
        assert_eq!(rules["Host"], ["TServer.sip-address"]);
        let presence = [
            "application.cti-certificate",
            "application.cti-key",
            "peer-http.ca-file",
            "peer-http.password-file",
            "sip-tls.ca-file",
            "sip-tls.certificate",
            "sip-tls.client-ca-file",
            "sip-tls.key",
        ];
        assert_eq!(rules["Presence"], presence);
        let nothing: Vec<&String> = rules["Nothing"].iter().filter(|key| !key.starts_with("stat.")).collect();
        let wanted = [
            "application.cdr-file",
            "application.name",
            "dns.servers",
            "http.listen",
            "log.format",
            "log.level",
        ];
        assert_eq!(nothing, wanted);
        for key in ["ha.durability", "ha.virtual-address", "ha.virtual-address-by", "application.realm"] {
            assert!(rules["Value"].contains(&key.to_owned()), "{key}");
        }
    }
}
