//! `[peer-http]`: the peer's administration interface, asked by `tandem readiness` and its like; `[readiness]`: what the
//! loss of a site is held against. No rule reads either.

use std::path::PathBuf;

use axum::http::Uri;
use tandem_peer::failure::FailureSignals;
use tandem_peer::readiness::Goals;
use tandem_switch::directory::floor::Password;

use super::application::Own;
use super::fault::At;
use super::reader::{Reader, Section};

/// Longest `recovery-goal`, s.
const LONGEST_S: u64 = 86_400;

/// Certificates that are trusted where `ca-file` names none.
const SYSTEM_CAS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The peer's administration interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerHttp {
    /// `http://ADDRESS:PORT` or `https://ADDRESS:PORT`.
    pub url: Uri,
    /// User name of a supervisor or administrator there.
    pub user: String,
    /// His password.
    pub password: PeerPassword,
    /// Certificates that an `https` peer's is checked against, a PEM file.
    pub ca_file: PathBuf,
}

/// Where the password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerPassword {
    /// It is the first line of this file.
    File(PathBuf),
    /// It is written down in the configuration.
    Written(Password),
}

/// Reads `[peer-http]` if it is there.
pub fn read(root: &mut Section<'_>) -> Option<PeerHttp> {
    let mut table = root.table("peer-http", "[peer-http]")?;
    let url = table.parsed("url", "\"http://192.0.2.2:8060\"", url);
    let url = table.required("url", url, "\"http://192.0.2.2:8060\"");
    let user = table.string("user");
    let user = table.required("user", user, "\"readiness\"");
    let password = password(&mut table);
    let ca_file = table.string("ca-file");
    table.finish();
    Some(PeerHttp {
        url: url?.value,
        user: user?.value,
        password: password?,
        ca_file: ca_file.map_or_else(|| SYSTEM_CAS.into(), |file| PathBuf::from(file.value)),
    })
}

/// One of the two keys.
fn password(table: &mut Section<'_>) -> Option<PeerPassword> {
    if table.has("password")
        && let Some(written) = table.string("password")
    {
        if table.has("password-file") {
            table.fault(written.at, "`password` and `password-file` say the same", "write one of them");
            table.string("password-file");
        }
        return Some(PeerPassword::Written(Password(written.value.into())));
    }
    let file = table.string("password-file");
    let file = table.required("password-file", file, "\"/etc/tandem/peer-password\"");
    file.map(|file| PeerPassword::File(file.value.into()))
}

fn url(text: &str) -> Result<Uri, String> {
    let wrong = || format!("\"{text}\" is no URL of the kind http://ADDRESS:PORT");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.authority().is_some_and(|a| !a.host().is_empty() && !a.as_str().contains('@'));
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    if scheme && host && bare { Ok(uri) } else { Err(wrong()) }
}

/// Reads `[readiness]`; what it does not say has its default.
pub fn goals(root: &mut Section<'_>) -> Goals {
    let usual = Goals::default();
    let Some(mut table) = root.table("readiness", "[readiness]") else { return usual };
    let goal = table.integer("recovery-goal", 1..=LONGEST_S);
    table.finish();
    let goal_s = goal.and_then(|found| u32::try_from(found.value).ok());
    Goals { recovery_goal_s: goal_s.unwrap_or(usual.recovery_goal_s), ..usual }
}

/// The words of `dr-failure-signals`.
const SIGNALS: [&str; 3] = ["control", "gateways", "phones"];

/// Reads `dr-failure-signals`; with it, where `control` stands.
pub fn signals(table: &mut Section<'_>) -> (FailureSignals, Option<At>) {
    let expected = "\"control\", \"gateways\" or \"phones\"";
    let words = table.list("dr-failure-signals", expected, |word| match SIGNALS.contains(&word) {
        true => Ok(word.to_owned()),
        false => Err(format!("\"{word}\" is not a value of it")),
    });
    let words = words.unwrap_or_default();
    let at = |wanted: &str| words.iter().find(|word| word.value == wanted).map(|word| word.at.clone());
    let watched = FailureSignals {
        control: at("control").is_some(),
        gateways: at("gateways").is_some(),
        phones: at("phones").is_some(),
    };
    (watched, at("control"))
}

/// Whether what `dr-failure-signals` asks for can be asked.
pub fn check_signals(reader: &Reader, own: &Own) {
    if let (Some(at), None) = (&own.to_peer.control, &own.settings.peer_http) {
        let text = "`dr-failure-signals` names \"control\", but nothing says where the peer's interface is";
        reader.fault(at.clone(), text, "add [peer-http] with its url, or leave \"control\" out");
    }
}
