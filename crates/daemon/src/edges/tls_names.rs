//! Whom the other end of a connection with TLS must prove to be (RFC 5922).
//!
//! A trunk's certificate names the host of its contact, or what `tls-name` says. A name is sought among the dNSNames of the
//! certificate; an address among its iPAddresses (RFC 5280 4.2.1.6), never as text among the names. Common names and SIP URIs
//! in it count for nothing.

use std::net::{IpAddr, SocketAddr};

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use tandem_sip::Transport;
use tandem_switch::Directory;
use tandem_switch::directory::Trunk;

/// Whether a connection from `remote` may be used: one from a trunk with `tls-client-certificate` has shown a certificate,
/// and that names the trunk (RFC 5922 7.3). `found_at`: whether a host name leads to an address. True:
/// it has, so requests to the trunk may go by this connection too (RFC 5923).
///
/// # Errors
/// The trunk, and why not.
pub fn may_come(
    directory: &Directory,
    remote: SocketAddr,
    shown: Option<&[CertificateDer<'_>]>,
    found_at: impl Fn(&str, IpAddr) -> bool,
) -> Result<bool, String> {
    let mut proven = false;
    let ip = remote.ip().to_canonical();
    let from = |trunk: &&Trunk| {
        trunk.tls_client_certificate
            && (trunk.contact.addr.is_some_and(|addr| addr.ip().to_canonical() == ip)
                || trunk.contact.resolve.as_ref().is_some_and(|wanted| found_at(&wanted.host, ip))
                || trunk.sources.iter().any(|network| network.contains(&ip)))
    };
    for trunk in directory.trunks().iter().filter(from) {
        let name = &trunk.name;
        let Some(certificate) = shown.and_then(<[_]>::first) else {
            return Err(format!("trunk {name}: no certificate was shown"));
        };
        let host = trunk.certified();
        let named = ServerName::try_from(&*host).ok().zip(ParsedCertificate::try_from(certificate).ok());
        let names = named.is_some_and(|(host, certificate)| verify_server_name(&certificate, &host).is_ok());
        if !names {
            return Err(format!(
                "trunk {name}: its certificate does not name {host} (`tls-name` says otherwise)"
            ));
        }
        proven = true;
    }
    Ok(proven)
}

/// What the certificate at an address must name: what the trunk there says, or the address itself. Trunks that share an
/// address share its certificate; what one of them says by `tls-name` comes first. `found_at`: whether a host name leads
/// to an address.
///
/// # Errors
/// It can stand in no certificate.
pub fn expected(
    directory: &Directory,
    to: SocketAddr,
    found_at: impl Fn(&str, SocketAddr) -> bool,
) -> Result<ServerName<'static>, String> {
    let is_there = |trunk: &&Trunk| match &trunk.contact.resolve {
        Some(wanted) => found_at(&wanted.host, to),
        None => trunk.contact.addr == Some(to) && trunk.contact.transport == Transport::Tls,
    };
    let there = directory.trunks().iter().filter(is_there);
    let wanted = there.map(|trunk| (trunk.tls_name.is_none(), trunk.certified())).min();
    match wanted {
        Some((_, host)) => {
            ServerName::try_from(host).map_err(|bad| format!("its host can stand in no certificate: {bad}"))
        }
        None => Ok(ServerName::IpAddress(to.ip().to_canonical().into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Config, Origin, SipTlsSettings};
    use crate::edges::tls::{SipTls, acceptor};

    const SBC: &str = "192.0.2.10:5061";

    /// A switch with these trunks.
    fn directory(trunks: &str) -> Directory {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.toml");
        let text = format!(
            "[application]\nname = \"a\"\nswitch = \"a\"\nlisten = [\"tls:127.0.0.1:5061\"]\nrealm = \"a\"\n\
             [TServer]\nsip-address = \"127.0.0.1\"\n\
             [sip-tls]\ncertificate = \"a.pem\"\nkey = \"a.key\"\nclient-ca-file = \"a.pem\"\n{trunks}"
        );
        std::fs::write(&file, text).unwrap();
        let loaded = config::load(&Origin::File(file), [0; 32]);
        let Config { directory, .. } = loaded.unwrap_or_else(|error| panic!("{}", error.report));
        directory
    }

    fn trunk(name: &str, contact: &str, more: &str) -> String {
        format!("[[trunk]]\nname = \"{name}\"\ncontact = \"{contact}\"\n{more}\n")
    }

    /// What the handshake with an SBC says whose certificate names these.
    async fn connected(directory: &Directory, named: &[&str]) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(named).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let (near, far) = tokio::io::duplex(65_536);
        let sbc = acceptor(&certificate, &key).unwrap();
        tokio::spawn(async move { sbc.accept(far).await.map(drop) });
        let settings = SipTlsSettings {
            certificate: certificate.clone(),
            key,
            ca_file: certificate,
            client_ca_file: None,
        };
        let connector = SipTls::new(settings).unwrap().connector().unwrap();
        let name = expected(directory, SBC.parse().unwrap(), |host, _| host == "sbc.example").unwrap();
        connector.connect(name, near).await.map(drop).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_trunk_by_address_must_show_a_certificate_for_that_address() {
        let by_address = directory(&trunk("sbc", "sips:192.0.2.10", ""));
        connected(&by_address, &["192.0.2.10"]).await.unwrap();
        for other in ["192.0.2.11", "sbc.example", "2001:db8::10"] {
            let why = connected(&by_address, &[other]).await.unwrap_err();
            assert!(why.contains("not valid for"), "{why}");
        }
    }

    #[tokio::test]
    async fn a_trunk_by_address_may_have_a_certificate_for_the_name_that_the_configuration_says() {
        let named = directory(&trunk("sbc", "sips:192.0.2.10", "tls-name = \"sbc.carrier.example\""));
        connected(&named, &["other.example", "sbc.carrier.example"]).await.unwrap();
        let why = connected(&named, &["192.0.2.10"]).await.unwrap_err();
        assert!(why.contains("sbc.carrier.example"), "{why}");
    }

    #[tokio::test]
    async fn a_trunk_by_name_must_show_that_name_and_not_the_address_that_it_was_found_at() {
        let by_name = directory(&trunk("sbc", "sips:sbc.example", ""));
        connected(&by_name, &["sbc.example"]).await.unwrap();
        connected(&by_name, &["192.0.2.10"]).await.unwrap_err();
        let elsewhere = directory(&trunk("sbc", "sips:sbc.example", "tls-name = \"192.0.2.10\""));
        connected(&elsewhere, &["192.0.2.10"]).await.unwrap();
    }

    #[test]
    fn of_trunks_that_share_an_address_the_one_with_a_name_of_its_own_says_what_must_be_shown() {
        let both =
            trunk("a", "sips:192.0.2.10", "") + &trunk("b", "sips:192.0.2.10", "tls-name = \"b.example\"");
        let name = |to: &str| expected(&directory(&both), to.parse().unwrap(), |_, _| false).unwrap();
        assert_eq!(name(SBC), ServerName::try_from("b.example").unwrap());
        assert_eq!(name("192.0.2.10:5070"), ServerName::try_from("192.0.2.10").unwrap(), "nobody's address");
        assert_eq!(name("[::ffff:192.0.2.99]:5061"), ServerName::try_from("192.0.2.99").unwrap());
        assert_eq!(name("[2001:db8::1]:5061"), ServerName::try_from("2001:db8::1").unwrap());
    }

    #[test]
    fn a_trunk_that_connects_must_name_itself_in_the_same_way() {
        let asks = |more: &str| {
            directory(&trunk("sbc", "sips:192.0.2.10", &format!("tls-client-certificate = true\n{more}")))
        };
        let shown = |named: &str| {
            let made = rcgen::generate_simple_self_signed([named.to_owned()]).unwrap();
            CertificateDer::from(made.cert.der().to_vec())
        };
        let come = |directory: &Directory, named: Option<&str>| {
            let shown: Option<Vec<_>> = named.map(|named| vec![shown(named)]);
            may_come(directory, "192.0.2.10:40000".parse().unwrap(), shown.as_deref(), |_, _| false)
        };
        assert_eq!(come(&asks(""), Some("192.0.2.10")), Ok(true));
        assert!(come(&asks(""), Some("sbc.example")).unwrap_err().contains("does not name 192.0.2.10"));
        assert!(come(&asks(""), None).unwrap_err().contains("no certificate was shown"));
        let named = asks("tls-name = \"sbc.example\"");
        assert_eq!(come(&named, Some("sbc.example")), Ok(true));
        assert!(come(&named, Some("192.0.2.10")).unwrap_err().contains("does not name sbc.example"));
    }
}
