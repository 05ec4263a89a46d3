//! `[ha]` of a server that is one of several: how the members of the site's group reach each other, and who decides.
//! `[witness]` of the machine that only votes.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::de::DeTable;

use super::fault::At;
use super::ha::absolute;
use super::reader::{Reader, Section};
use super::{ConfigError, LogFormat, Origin, application, read_files, root, syntax};

/// How a member of the group is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSettings {
    /// Where it waits for the others.
    pub listen: SocketAddr,
    /// Where the others find it, as host:port.
    pub address: String,
    /// Its certificate chain, a PEM file.
    pub certificate: PathBuf,
    /// The key to it.
    pub key: PathBuf,
    /// Who signs the members' certificates, and nobody else's.
    pub ca: PathBuf,
}

/// Which of the two servers stands first when none serves. Whoever serves goes on: nothing moves back by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// First.
    #[default]
    Primary,
    /// Second.
    Backup,
}

/// Who decides that a server is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arbitration {
    /// A majority of primary, backup and witness.
    #[default]
    Witness,
    /// A person, by command.
    Manual,
}

/// A server that is one of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairSettings {
    /// Its name in listings; `None`: that of its machine.
    pub name: Option<String>,
    /// How it is reached.
    pub member: MemberSettings,
    /// Whether it stands first.
    pub role: Role,
    /// Who decides.
    pub arbitration: Arbitration,
}

/// What a witness is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessConfig {
    /// Its name in listings.
    pub name: String,
    /// How it is reached.
    pub member: MemberSettings,
    /// Where it keeps what it must not forget; `None`: where the environment says.
    pub state_directory: Option<PathBuf>,
    /// Where its administration interface answers.
    pub http: Option<SocketAddr>,
    /// Least severe log level, as an `EnvFilter` directive.
    pub log_level: String,
    /// Shape of a log line.
    pub log_format: LogFormat,
}

/// The keys of a pair in `[ha]`; `None`: the server is alone.
pub fn read_pair(reader: &Reader, table: &mut Section<'_>) -> Option<PairSettings> {
    let name = table.string("member-name");
    let role = table.choice("role", &[("primary", Role::Primary), ("backup", Role::Backup)]);
    let arbitration =
        table.choice("arbitration", &[("witness", Arbitration::Witness), ("manual", Arbitration::Manual)]);
    if !table.has("member-listen") {
        let alone = ["member-name", "member-address", "member-certificate", "member-key", "member-ca-file"];
        if role.is_some() || arbitration.is_some() || alone.iter().any(|key| table.has(key)) {
            let text = "[ha] speaks of other members, and this server waits for none";
            reader.fault(
                table.at(),
                text,
                "add member-listen = \"192.0.2.11:5071\", or remove the other keys",
            );
            // They are known all the same.
            let _ = member(reader, table);
        }
        return None;
    }
    let member = member(reader, table)?;
    Some(PairSettings {
        name: name.map(|found| found.value),
        member,
        role: role.unwrap_or_default(),
        arbitration: arbitration.unwrap_or_default(),
    })
}

fn member(reader: &Reader, table: &mut Section<'_>) -> Option<MemberSettings> {
    const LISTEN: &str = "\"192.0.2.11:5071\"";
    let listen = table.parsed("member-listen", LISTEN, |text| {
        text.parse::<SocketAddr>().map_err(|_| format!("\"{text}\" is not address:port"))
    });
    let listen = table.required("member-listen", listen, LISTEN);
    let address = table.parsed("member-address", "\"primary.site-a.example:5071\"", host_and_port);
    let certificate = table.string("member-certificate");
    let certificate = table.required("member-certificate", certificate, "\"/etc/tandem/member.pem\"");
    let key = table.string("member-key");
    let key = table.required("member-key", key, "\"/etc/tandem/member.key\"");
    let ca = table.string("member-ca-file");
    let ca = table.required("member-ca-file", ca, "\"/etc/tandem/members-ca.pem\"");
    let listen = listen?;
    if address.is_none() && listen.value.ip().is_unspecified() {
        let text = format!("`member-listen` is {}, which tells the others no address", listen.value);
        reader.fault(listen.at.clone(), text, "add member-address = \"primary.site-a.example:5071\"");
    }
    Some(MemberSettings {
        listen: listen.value,
        address: address.map_or_else(|| listen.value.to_string(), |found| found.value),
        certificate: certificate?.value.into(),
        key: key?.value.into(),
        ca: ca?.value.into(),
    })
}

fn host_and_port(text: &str) -> Result<String, String> {
    let wrong = || format!("\"{text}\" is not host:port");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let fine = port != 0 && !host.is_empty() && text.len() <= 255 && !text.contains(char::is_whitespace);
    if fine { Ok(text.to_owned()) } else { Err(wrong()) }
}

/// Reads the file of a witness.
///
/// # Errors
/// Every fault that was found.
pub fn load_witness(origin: &Origin) -> Result<WitnessConfig, ConfigError> {
    let reader = Reader::default();
    let files = read_files(origin, &reader)?;
    let main = files.first().map(|file| file.text.clone()).unwrap_or_default();
    let (document, errors) = DeTable::parse_recoverable(&main);
    errors.iter().for_each(|error| syntax(&reader, 0, error));
    let mut root = root(&reader, 0, &document);
    let (http, log_level, log_format) = application::http_and_log(&mut root);
    let read = match root.table("witness", "[witness]") {
        Some(table) => witness(&reader, table),
        None => {
            let hint = "add a table [witness]; config/witness.toml is an example";
            reader.fault(At { file: 0, span: 0..0 }, "`witness` is missing", hint);
            None
        }
    };
    root.finish();
    match read {
        Some((name, member, state_directory)) if reader.is_clean() => {
            Ok(WitnessConfig { name, member, state_directory, http, log_level, log_format })
        }
        Some(_) | None => Err(ConfigError::new(&files, reader.into_faults())),
    }
}

fn witness(reader: &Reader, mut table: Section<'_>) -> Option<(String, MemberSettings, Option<PathBuf>)> {
    let name = table.string("name");
    let name = table.required("name", name, "\"witness-a\"");
    let state_directory =
        table.parsed("state-directory", "a path such as \"/var/lib/tandem/witness-a\"", absolute);
    let member = member(reader, &mut table);
    table.finish();
    Some((name?.value, member?, state_directory.map(|found| found.value)))
}
