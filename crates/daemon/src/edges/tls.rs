//! TLS by rustls (RFC 8446, RFC 5246): this server's certificate, and what it trusts. Whom a connection's other end must
//! prove to be stands in [`tls_names`](super::tls_names).

use std::path::Path;
use std::sync::{Arc, RwLock};

use anyhow::{Context, Result};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tandem_sip::Transport;
use tokio_rustls::TlsConnector;

use crate::config::SipTlsSettings;

/// Answers TLS handshakes.
pub type Acceptor = tokio_rustls::TlsAcceptor;

/// # Errors
/// Names the file that cannot be used.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>();
    let found = read().with_context(|| format!("cannot read certificates from {}", file.display()))?;
    anyhow::ensure!(!found.is_empty(), "no certificate stands in {}", file.display());
    Ok(found)
}

/// # Errors
/// Names the file that cannot be used.
pub(super) fn key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file)
        .with_context(|| format!("cannot read a private key from {}", file.display()))
}

/// # Errors
/// Names the file that cannot be used.
pub(super) fn trusted(file: &Path) -> Result<RootCertStore> {
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
