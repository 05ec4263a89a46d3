//! `[stat]`: the statistics service. It stands in a server's file, for the service within its process, or in a file of
//! its own with the same `include`, for `tandem stat`.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::de::DeTable;

use super::fault::{At, SourceFile};
use super::reader::{Reader, Section};
use super::{ConfigError, Origin, read_files, root, syntax};
use crate::limits::{MAX_HISTORY_DAYS, MAX_STAT_SITES};

/// Port of the statistics service where the configuration names none.
const DEFAULT_PORT: u16 = 8070;

/// What the statistics service is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatSettings {
    /// Where it answers.
    pub listen: SocketAddr,
    /// SQLite file of history and of what goes on; `None`: neither is kept.
    pub database: Option<PathBuf>,
    /// File of history as JSON lines.
    pub json_file: Option<PathBuf>,
    /// How long history is kept in the database, days; zero is for ever.
    pub history_days: u64,
    /// Minutes that local midnight is ahead of midnight UTC.
    pub utc_offset_min: i32,
    /// Servers that it is a client of.
    pub sites: Vec<StatSite>,
}

/// A CTI server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatSite {
    /// Its switch.
    pub switch: String,
    /// Addresses, tried in turn: a primary and its backup.
    pub urls: Vec<String>,
    /// User name.
    pub user: String,
    /// Where the password is.
    pub password: PasswordAt,
    /// Certificates that a `wss` server's is checked against, a PEM file.
    pub ca_file: Option<PathBuf>,
}

/// Where a password is; it never stands in the configuration itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordAt {
    /// First line of a file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

/// A configuration for the service, with the files that say what exists.
#[derive(Debug)]
pub struct StatConfig {
    /// `[stat]`.
    pub settings: StatSettings,
    /// The files, as they were read.
    pub files: Vec<SourceFile>,
}

/// Reads `[stat]` for the service. Tables of the server are left to the server.
///
/// # Errors
/// Every fault that was found.
pub fn load(origin: &Origin) -> Result<StatConfig, ConfigError> {
    let reader = Reader::default();
    let files = read_files(origin, &reader)?;
    let main = files.first().map(|file| file.text.clone()).unwrap_or_default();
    let (document, errors) = DeTable::parse_recoverable(&main);
    errors.iter().for_each(|error| syntax(&reader, 0, error));
    let mut root = root(&reader, 0, &document);
    let settings = read(&reader, &mut root);
    if settings.is_none() && reader.is_clean() {
        reader.fault(At { file: 0, span: 0..0 }, "`stat` is missing", "add a table [stat]");
    }
    match settings {
        Some(settings) if reader.is_clean() => Ok(StatConfig { settings, files }),
        Some(_) | None => Err(ConfigError::new(&files, reader.into_faults())),
    }
}

/// Reads the table if it is there.
pub fn read(reader: &Reader, root: &mut Section<'_>) -> Option<StatSettings> {
    let mut table = root.table("stat", "[stat]")?;
    let listen = table.parsed("listen", "\"127.0.0.1:8070\"", |text| {
        text.parse().map_err(|_| format!("\"{text}\" is not address:port"))
    });
    let database = table.string("database").map(|file| PathBuf::from(file.value));
    let json_file = table.string("json-file");
    if let (Some(found), None) = (&json_file, &database) {
        let hint = "add database = \"/var/lib/tandem/stat.db\"";
        reader.fault(found.at.clone(), "`json-file` of [stat] is written from the database", hint);
    }
    let history_days = table.integer("history-days", 0..=MAX_HISTORY_DAYS);
    let utc_offset = table.parsed("utc-offset", "\"+01:00\"", offset);
    let at = table.at();
    let tables = table.tables("site", "[[stat.site]]");
    let sites: Vec<StatSite> = tables.into_iter().filter_map(|table| site(reader, table)).collect();
    if sites.is_empty() && reader.is_clean() {
        reader.fault(at.clone(), "[stat] names no server", "add [[stat.site]] with switch, url and user");
    }
    if sites.len() > MAX_STAT_SITES {
        let hint = format!("at most {MAX_STAT_SITES}");
        reader.fault(at.clone(), "[stat] names too many servers", hint);
    }
    for (position, site) in sites.iter().enumerate() {
        if sites.iter().take(position).any(|earlier| earlier.switch == site.switch) {
            let text = format!("two [[stat.site]] are about the switch \"{}\"", site.switch);
            reader.fault(at.clone(), text, "name primary and backup in one: url = [\"…\", \"…\"]");
        }
    }
    table.finish();
    Some(StatSettings {
        listen: listen.map_or(SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)), |found| found.value),
        database,
        json_file: json_file.map(|file| PathBuf::from(file.value)),
        history_days: history_days.map_or(90, |found| found.value),
        utc_offset_min: utc_offset.map_or(0, |found| found.value),
        sites,
    })
}

fn site(reader: &Reader, mut table: Section<'_>) -> Option<StatSite> {
    let switch = table.string("switch");
    let switch = table.required("switch", switch, "\"site-a\"");
    let urls = table.list("url", "\"ws://127.0.0.1:8061/cti\"", url);
    let urls = table.required("url", urls, "\"ws://127.0.0.1:8061/cti\"");
    let user = table.string("user");
    let user = table.required("user", user, "\"statistics\"");
    let file = table.string("password-file").map(|file| PasswordAt::File(file.value.into()));
    let variable = table.string("password-env").map(|name| PasswordAt::Variable(name.value));
    let ca_file = table.string("ca-file").map(|file| PathBuf::from(file.value));
    let password = match (file, variable) {
        (Some(_), Some(_)) => {
            reader.fault(table.at(), "[[stat.site]] has two passwords", "remove one of them");
            None
        }
        (None, None) => {
            let hint = "add password-file or password-env";
            reader.fault(table.at(), "[[stat.site]] has no password", hint);
            None
        }
        (file, variable) => file.or(variable),
    };
    let tls = urls.iter().flatten().find(|url| url.value.starts_with("wss:"));
    if let (Some(found), None) = (tls, &ca_file) {
        let hint = "add ca-file = \"…\", the PEM file of who signed the server's certificate";
        reader.fault(found.at.clone(), "`url` of [[stat.site]] is wss without a `ca-file`", hint);
    }
    table.finish();
    Some(StatSite {
        switch: switch?.value,
        urls: urls?.into_iter().map(|url| url.value).collect(),
        user: user?.value,
        password: password?,
        ca_file,
    })
}

fn url(text: &str) -> Result<String, String> {
    let uri: axum::http::Uri = text.parse().map_err(|_| format!("\"{text}\" is not a URL"))?;
    match uri.scheme_str() {
        Some("ws" | "wss") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(text.to_owned()),
        Some(_) | None => Err(format!("\"{text}\" is no URL of the kind ws://ADDRESS:PORT/cti")),
    }
}

/// `+01:00` in minutes.
fn offset(text: &str) -> Result<i32, String> {
    let wrong = || format!("\"{text}\" is not an offset such as +01:00");
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        Some(_) | None => return Err(wrong()),
    };
    let (hours, minutes) = rest.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<i32>().ok().filter(|_| text.len() == 2);
    match (number(hours), number(minutes)) {
        (Some(hours @ 0..=14), Some(minutes @ 0..=59)) => Ok(sign * (hours * 60 + minutes)),
        (Some(_) | None, _) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &str) -> (tempfile::TempDir, Origin) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stat.toml");
        std::fs::write(&path, text).unwrap();
        (folder, Origin::File(path))
    }

    const SITE: &str = "[[stat.site]]\nswitch = \"site-a\"\nurl = \"ws://127.0.0.1:8061/cti\"\n\
        user = \"statistics\"\npassword-env = \"STAT_PASSWORD\"\n";

    fn report(text: &str) -> String {
        load(&write(text).1).unwrap_err().report
    }

    #[test]
    fn a_file_of_its_own_needs_nothing_of_a_server() {
        let (_folder, origin) = write(&format!("[stat]\nutc-offset = \"-03:30\"\n{SITE}"));
        let settings = load(&origin).unwrap().settings;
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8070");
        assert_eq!((settings.utc_offset_min, settings.history_days, settings.database), (-210, 90, None));
        let [site] = settings.sites.as_slice() else { panic!() };
        assert_eq!(site.password, PasswordAt::Variable("STAT_PASSWORD".into()));
        assert_eq!(site.urls, ["ws://127.0.0.1:8061/cti"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        assert!(report("").contains("`stat` is missing"));
        assert!(report("[stat]\n").contains("[stat] names no server"));
        assert!(report(&format!("[stat]\n{SITE}{SITE}")).contains("two [[stat.site]]"));
        assert!(report(&format!("[stat]\njson-file = \"x\"\n{SITE}")).contains("from the database"));
        assert!(report(&format!("[stat]\nutc-offset = \"1\"\n{SITE}")).contains("such as +01:00"));
        let text = format!("[stat]\n{}", SITE.replace("password-env", "password"));
        let shown = report(&text);
        assert!(shown.contains("`password` is not a key") && !shown.contains("STAT_PASSWORD"), "{shown}");
        assert!(report(&format!("[stat]\n{}", SITE.replace("ws://", "http://"))).contains("no URL"));
        assert!(report(&format!("[stat]\n{}", SITE.replace("ws://", "wss://"))).contains("ca-file"));
    }
}
