//! Configuration: TOML with the vendor's option names, read whole, checked whole, then infallible to use.
//!
//! A main file holds what is this server's own; the files it includes hold objects that both sites share. Every
//! fault names file, line, column, key and what would be right, and one run reports all that can be found.

mod address;
mod agents;
mod application;
mod closest;
mod compared;
mod connections;
mod contact;
mod dns;
mod events;
mod extension;
mod fault;
mod floor;
mod guard;
mod ha;
mod identity;
mod media;
mod members;
mod numbers;
mod objects;
mod peer;
mod peer_http;
mod reader;
mod registration;
mod session_timer;
mod sip_tls;
mod source;
mod stat;
mod target;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_spanned::Spanned;
use tandem_peer::readiness::Goals;
use tandem_switch::Directory;
use toml::de::{DeTable, Error};

pub use address::{AddressBy, VirtualAddress};
pub use compared::compared;
pub use connections::ConnectionSettings;
pub use dns::DnsSettings;
pub use fault::ConfigError;
pub use ha::{Durability, HaSettings};
pub use media::MediaSettings;
pub use members::{Arbitration, MemberSettings, PairSettings, Role, WitnessConfig, load_witness};
pub use numbers::expand;
pub use peer_http::{PeerHttp, PeerPassword};
pub use sip_tls::SipTlsSettings;
pub use source::{Origin, Site};
pub use stat::{PasswordAt, StatConfig, StatSettings, StatSite, load as load_stat};

use crate::limits::MAX_INCLUDES;
use fault::{At, SourceFile};
use reader::{Reader, Section};

/// Everything a server needs to know before it starts.
#[derive(Debug)]
pub struct Config {
    /// What the `Node` is given.
    pub directory: Directory,
    /// What the program around it uses.
    pub settings: Settings,
}

/// What the program around the `Node` uses. All of it takes effect at a start only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the administration interface answers; `None` switches it off.
    pub http: Option<SocketAddr>,
    /// Where the CTI interface answers, and how.
    pub cti: CtiSettings,
    /// Files of SIP over TLS; `None`: SIP is not spoken over TLS.
    pub sip_tls: Option<SipTlsSettings>,
    /// How many connections may carry SIP.
    pub connections: ConnectionSettings,
    /// Who is asked for host names.
    pub dns: DnsSettings,
    /// Where call records go; `None`: nowhere.
    pub cdr_file: Option<PathBuf>,
    /// Least severe log level, as an `EnvFilter` directive.
    pub log_level: String,
    /// Shape of a log line.
    pub log_format: LogFormat,
    /// What plays to callers who wait; `None`: nothing does.
    pub media: Option<MediaSettings>,
    /// The peer's administration interface; `None`: the peer is never asked.
    pub peer_http: Option<PeerHttp>,
    /// What the loss of a site is held against.
    pub goals: Goals,
    /// The statistics service within this process.
    pub stat: Option<StatSettings>,
    /// How the servers of this site stand in for each other.
    pub ha: HaSettings,
}

/// Where the CTI interface answers, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CtiSettings {
    /// Address and port; `None` switches it off.
    pub listen: Option<SocketAddr>,
    /// Whether the configuration says so itself.
    named: bool,
    /// Certificate chain and key, PEM files; with them the interface speaks TLS only.
    pub tls: Option<(PathBuf, PathBuf)>,
}

impl CtiSettings {
    /// Without a word in the configuration the interface is open where somebody could use it.
    fn default_to_closed(&mut self, nobody: bool) {
        if !self.named {
            self.listen = (!nobody).then_some(SocketAddr::from(([127, 0, 0, 1], DEFAULT_CTI_PORT)));
        }
    }
}

/// Port of the CTI interface where the configuration names none.
const DEFAULT_CTI_PORT: u16 = 8061;

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads, checks and joins the configuration. `nonce_secret` is used unless the configuration names one.
///
/// # Errors
/// Every fault that was found.
pub fn load(origin: &Origin, nonce_secret: [u8; 32]) -> Result<Config, ConfigError> {
    let reader = Reader::default();
    let files = read_files(origin, &reader)?;
    let joined = join(&files, &reader, nonce_secret);
    match joined {
        Some(config) if reader.is_clean() => Ok(config),
        Some(_) | None => Err(ConfigError::new(&files, reader.into_faults())),
    }
}

/// The main file and, behind it, those it includes.
fn read_files(origin: &Origin, reader: &Reader) -> Result<Vec<SourceFile>, ConfigError> {
    let main =
        origin.main().map_err(|error| ConfigError::unreadable(&origin.to_string(), &error.to_string()))?;
    let (document, _) = DeTable::parse_recoverable(&main.text);
    let scratch = Reader::default();
    let mut root = root(&scratch, 0, &document);
    let names = root.list("include", "a file name", |name| Ok(name.to_owned())).unwrap_or_default();
    let mut included = Vec::new();
    for name in &names {
        if included.len() >= MAX_INCLUDES {
            reader.fault(
                name.at.clone(),
                "`include` names too many files",
                format!("at most {MAX_INCLUDES}"),
            );
            break;
        }
        match origin.include(&name.value) {
            Ok(file) => included.push(file),
            Err(error) => reader.fault(
                name.at.clone(),
                format!("`include`: cannot read {}: {error}", name.value),
                "a relative name counts from the folder of this file",
            ),
        }
    }
    let mut files = vec![main];
    files.append(&mut included);
    Ok(files)
}

fn root<'a>(reader: &'a Reader, file: usize, document: &'a Spanned<DeTable<'a>>) -> Section<'a> {
    Section::new(reader, "the file", document.get_ref(), At { file, span: 0..0 })
}

fn join(files: &[SourceFile], reader: &Reader, nonce_secret: [u8; 32]) -> Option<Config> {
    let documents: Vec<_> = files.iter().map(|file| DeTable::parse_recoverable(&file.text)).collect();
    for (file, (_, errors)) in documents.iter().enumerate() {
        errors.iter().for_each(|error| syntax(reader, file, error));
    }
    if documents.iter().any(|(_, errors)| !errors.is_empty()) {
        // What a broken document leaves behind would only be complained about twice.
        return None;
    }
    let mut own = None;
    let mut help = None;
    let mut objects = objects::Objects::default();
    let mut untimed = agents::UNTIMED_WRAP_UP;
    for (file, (document, _)) in documents.iter().enumerate() {
        let mut root = root(reader, file, document);
        if file == 0 {
            let _ = root.list("include", "a file name", |name| Ok(name.to_owned()));
            own = application::read(reader, &mut root, nonce_secret);
            if let Some(own) = &mut own {
                own.settings.stat = stat::read(reader, &mut root);
                own.options.guard = guard::read(reader, &mut root, &own.server);
                help = guard::help(reader, &mut root);
                own.settings.media = media::read(reader, &mut root);
                own.settings.dns = dns::read(&mut root);
                own.settings.connections = connections::read(&mut root);
                own.options.media = own.settings.media.is_some();
                own.settings.sip_tls = sip_tls::read(&mut root);
                if let (None, Some(at)) = (&own.settings.sip_tls, &own.secure_at) {
                    let text = "`listen` names a transport with TLS, and there is no certificate";
                    reader.fault(at.clone(), text, "add [sip-tls] with certificate and key");
                }
                own.settings.peer_http = peer_http::read(&mut root);
                own.settings.goals = peer_http::goals(&mut root);
                own.settings.ha = ha::read(reader, &mut root, &own.server.listen);
                peer_http::check_signals(reader, own);
            }
            untimed = own.as_ref().map_or(untimed, |own| own.agents.untimed);
        }
        objects.read(reader, &mut root, untimed);
        root.finish();
    }
    let mut own = own?;
    if let Some(help) = &help {
        own.options.emergency = help.join(reader, &objects);
    }
    objects.check_tls(reader, own.settings.sip_tls.as_ref());
    let directory = objects.build(reader, own.server, own.options, &own.to_peer, own.agents)?;
    help.inspect(|help| help.check(reader, &directory));
    let mut settings = own.settings;
    settings.cti.default_to_closed(directory.floor().persons.is_empty());
    Some(Config { directory, settings })
}

fn syntax(reader: &Reader, file: usize, error: &Error) {
    let span = error.span().unwrap_or(0..0);
    reader.fault(At { file, span }, error.message().replace('\n', "; "), "not TOML");
}
