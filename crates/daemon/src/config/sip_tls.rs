//! `[sip-tls]`: the certificate of this server towards phones, gateways and the peer, and what it trusts.

use std::path::PathBuf;

use super::reader::Section;

/// Certificates that are trusted where `ca-file` names none.
const SYSTEM_CAS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// PEM files of SIP over TLS and secure WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipTlsSettings {
    /// Certificate chain of this server; it shows it when it opens a connection, too.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// What certificates of those it connects to are checked against.
    pub ca_file: PathBuf,
    /// What certificates of those who connect are checked against; `None`: they are not asked for one.
    pub client_ca_file: Option<PathBuf>,
}

/// Reads `[sip-tls]` if it is there.
pub fn read(root: &mut Section<'_>) -> Option<SipTlsSettings> {
    let mut table = root.table("sip-tls", "[sip-tls]")?;
    let certificate = table.string("certificate");
    let certificate = table.required("certificate", certificate, "\"/etc/tandem/sip.pem\"");
    let key = table.string("key");
    let key = table.required("key", key, "\"/etc/tandem/sip.key\"");
    let (ca_file, client_ca_file) = (table.string("ca-file"), table.string("client-ca-file"));
    table.finish();
    Some(SipTlsSettings {
        certificate: certificate?.value.into(),
        key: key?.value.into(),
        ca_file: ca_file.map_or_else(|| SYSTEM_CAS.into(), |file| PathBuf::from(file.value)),
        client_ca_file: client_ca_file.map(|file| file.value.into()),
    })
}
