//! TLS by rustls (RFC 8446, RFC 5246): this server's certificate, what it trusts, and what SIP asks of a connection's other
//! end (RFC 5922).

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, RwLock};

use anyhow::{Context, Result};
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tandem_sip::Transport;
use tandem_switch::Directory;
use tokio_rustls::TlsConnector;

use crate::config::SipTlsSettings;

/// Answers TLS handshakes.
pub type Acceptor = tokio_rustls::TlsAcceptor;

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>();
    let found = read().with_context(|| format!("cannot read certificates from {}", file.display()))?;
    anyhow::ensure!(!found.is_empty(), "no certificate stands in {}", file.display());
    Ok(found)
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file)
        .with_context(|| format!("cannot read a private key from {}", file.display()))
}

fn trusted(file: &Path) -> Result<RootCertStore> {
    let mut trusted = RootCertStore::empty();
    for certificate in certificates(file)? {
        trusted.add(certificate).with_context(|| format!("in {}", file.display()))?;
    }
    Ok(trusted)
}

/// A server's side, from a certificate chain and its key.
///
/// # Errors
/// Names the file that cannot be used.
pub fn acceptor(certificate: &Path, secret: &Path) -> Result<Acceptor> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates(certificate)?, key(secret)?)
        .with_context(|| format!("{} and {} do not fit", certificate.display(), secret.display()))?;
    Ok(Arc::new(config).into())
}

/// A client's side that trusts the certificates in a file and nothing else.
///
/// # Errors
/// Names the file that cannot be used.
pub fn roots(file: &Path) -> Result<Arc<ClientConfig>> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted(file)?)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// TLS of SIP. The files are read anew on reload; connections that are open keep what they began with.
pub struct SipTls {
    settings: SipTlsSettings,
    sides: RwLock<Sides>,
}

/// What shakes hands.
struct Sides {
    /// With gateways and phones.
    tls: Acceptor,
    /// With browsers, which are never asked for a certificate: they would ask their user, or give up.
    wss: Acceptor,
    connector: TlsConnector,
}

impl SipTls {
    /// Reads the files.
    ///
    /// # Errors
    /// Names the file that cannot be used.
    pub fn new(settings: SipTlsSettings) -> Result<Self> {
        let sides = RwLock::new(sides(&settings)?);
        Ok(Self { settings, sides })
    }

    /// Reads the files anew. What cannot be used changes nothing.
    ///
    /// # Errors
    /// Names the file that cannot be used.
    pub fn reload(&self) -> Result<()> {
        let read = sides(&self.settings)?;
        if let Ok(mut sides) = self.sides.write() {
            *sides = read;
        }
        Ok(())
    }

    /// What answers handshakes; `None` only after a fault of another thread.
    pub fn acceptor(&self, transport: Transport) -> Option<Acceptor> {
        let sides = self.sides.read().ok()?;
        Some(if transport == Transport::Wss { sides.wss.clone() } else { sides.tls.clone() })
    }

    /// What opens connections.
    pub fn connector(&self) -> Option<TlsConnector> {
        self.sides.read().ok().map(|sides| sides.connector.clone())
    }
}

fn sides(settings: &SipTlsSettings) -> Result<Sides> {
    let SipTlsSettings { certificate, key: secret, ca_file, client_ca_file } = settings;
    let provider = Arc::new(ring::default_provider());
    let server =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let server = match client_ca_file {
        None => server.with_no_client_auth(),
        Some(file) => {
            // Who shows none is served like before; a trunk may ask for more.
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(trusted(file)?), Arc::clone(&provider))
                    .allow_unauthenticated()
                    .build()
                    .with_context(|| format!("nothing in {} can be trusted", file.display()))?;
            server.with_client_cert_verifier(verifier)
        }
    };
    let fit = || format!("{} and {} do not fit", certificate.display(), secret.display());
    let server = server.with_single_cert(certificates(certificate)?, key(secret)?).with_context(fit)?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted(ca_file)?)
        .with_client_auth_cert(certificates(certificate)?, key(secret)?)
        .with_context(fit)?;
    let wss = acceptor(certificate, secret)?;
    Ok(Sides { tls: Arc::new(server).into(), wss, connector: Arc::new(client).into() })
}

/// Whether a connection from `remote` may be used: one from a trunk with `tls-client-certificate` has shown a certificate,
/// and that names the host of the trunk's contact (RFC 5922 7.3). `found_at`: whether a host name leads to an address. True:
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
    let from = |trunk: &&tandem_switch::directory::Trunk| {
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
        let host = trunk.contact.host();
        let named = ServerName::try_from(&*host).ok().zip(ParsedCertificate::try_from(certificate).ok());
        let names = named.is_some_and(|(host, certificate)| verify_server_name(&certificate, &host).is_ok());
        if !names {
            return Err(format!("trunk {name}: its certificate does not name {host}"));
        }
        proven = true;
    }
    Ok(proven)
}

/// The name that a certificate must show for an address: that of the trunk there, or the address itself.
pub fn name_of(host: Option<String>, remote: IpAddr) -> Option<ServerName<'static>> {
    match host {
        Some(host) => ServerName::try_from(host).ok(),
        None => Some(ServerName::IpAddress(remote.into())),
    }
}
