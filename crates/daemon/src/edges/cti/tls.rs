//! TLS of the CTI interface, by rustls: the server's certificate, and what the command line trusts.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Answers TLS handshakes.
pub type Acceptor = tokio_rustls::TlsAcceptor;

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>();
    let found = read().with_context(|| format!("cannot read certificates from {}", file.display()))?;
    anyhow::ensure!(!found.is_empty(), "no certificate stands in {}", file.display());
    Ok(found)
}

/// A server's side, from a certificate chain and its key.
///
/// # Errors
/// Names the file that cannot be used.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<Acceptor> {
    let chain = certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read a private key from {}", key.display()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .with_context(|| format!("{} and {} do not fit", certificate.display(), key.display()))?;
    Ok(Arc::new(config).into())
}

/// A client's side that trusts the certificates in a file and nothing else.
///
/// # Errors
/// Names the file that cannot be used.
pub fn roots(file: &Path) -> Result<Arc<ClientConfig>> {
    let mut trusted = RootCertStore::empty();
    for certificate in certificates(file)? {
        trusted.add(certificate).with_context(|| format!("in {}", file.display()))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
