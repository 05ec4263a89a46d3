//! TLS 1.3 between members (RFC 8446): both ends show a certificate of the members' own authority.

use std::sync::{Arc, RwLock};

use anyhow::{Context, Result};
use rustls::client::{Resumption, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::LinkSettings;
use super::own::Own;
use crate::edges::tls::{certificates, key, trusted};

/// Nothing else that speaks TLS takes a link for its own, nor is taken for one (RFC 7301).
const PROTOCOL: &[u8] = b"tandem-members/1";

/// The certificates of a member.
pub(super) struct Security {
    settings: LinkSettings,
    sides: RwLock<Sides>,
}

struct Sides {
    own: Own,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl Security {
    /// # Errors
    /// Which file cannot be used, and why.
    pub(super) fn new(settings: &LinkSettings) -> Result<Self> {
        let sides = RwLock::new(sides(settings)?);
        Ok(Self { settings: settings.clone(), sides })
    }

    /// Reads the files anew. What cannot be used changes nothing.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(super) fn reload(&self) -> Result<()> {
        let read = sides(&self.settings)?;
        if let Ok(mut sides) = self.sides.write() {
            *sides = read;
        }
        Ok(())
    }

    /// What answers handshakes; `None` only after a fault of another thread.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.sides.read().ok().map(|sides| sides.acceptor.clone())
    }

    /// Says in the log when this member's certificate ends soon.
    pub(super) fn look(&self) {
        if let Ok(sides) = self.sides.read() {
            sides.own.look();
        }
    }

    /// What opens connections.
    pub(super) fn connector(&self) -> Option<TlsConnector> {
        self.sides.read().ok().map(|sides| sides.connector.clone())
    }
}

/// Whether a certificate is for a host: a name among its dNSNames, an address among its iPAddresses.
pub(super) fn names(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let named = ServerName::try_from(host).ok().zip(ParsedCertificate::try_from(certificate).ok());
    named.is_some_and(|(host, certificate)| verify_server_name(&certificate, &host).is_ok())
}

fn sides(settings: &LinkSettings) -> Result<Sides> {
    let LinkSettings { listen: _, advertise: _, certificate, key: secret, ca } = settings;
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(certificate)?;
    let authority = Arc::new(trusted(ca)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&authority), Arc::clone(&provider))
        .build()
        .with_context(|| format!("nothing in {} can be trusted", ca.display()))?;
    let own = Own::new(settings, &chain, Arc::clone(&verifier))?;
    own.look();
    let fit = || format!("{} and {} do not fit", certificate.display(), secret.display());
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), key(secret)?)
        .with_context(fit)?;
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(authority)
        .with_client_auth_cert(chain, key(secret)?)
        .with_context(fit)?;
    server.alpn_protocols = vec![PROTOCOL.to_vec()];
    client.alpn_protocols = vec![PROTOCOL.to_vec()];
    // A certificate is looked at anew on each connection: one that was withdrawn lives on in no ticket.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    client.resumption = Resumption::disabled();
    Ok(Sides { own, acceptor: Arc::new(server).into(), connector: Arc::new(client).into() })
}
