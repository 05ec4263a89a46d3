//! Making the certificates of members: an authority that signs them and nobody else (X.509, RFC 5280).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest, Sha256};

/// How long an authority is valid, days: longer than any machine.
const AUTHORITY_DAYS: u32 = 36_500;

/// An authority with its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate and its key, as PEM.
pub struct Made {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Why a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CannotMake {
    /// The library says no.
    #[error(transparent)]
    Made(#[from] rcgen::Error),
    /// What is there is not what it should be.
    #[error("the authority's certificate and its key do not belong together, or one cannot be read")]
    Authority,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new() -> Result<Self, CannotMake> {
        let key = KeyPair::generate()?;
        let certificate = params(&key)?.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params(&key)?, key), certificate })
    }

    /// The one that was made before.
    ///
    /// # Errors
    /// The two do not fit.
    pub fn load(certificate: &str, key: &str) -> Result<Self, CannotMake> {
        let key = KeyPair::from_pem(key).map_err(|_| CannotMake::Authority)?;
        Ok(Self { issuer: Issuer::new(params(&key)?, key), certificate: certificate.to_owned() })
    }

    /// Its certificate and its key.
    pub fn made(&self) -> Made {
        Made { certificate: self.certificate.clone(), key: self.issuer.key().serialize_pem() }
    }

    /// Signs a member that is reached at these hosts: it connects and is connected to.
    ///
    /// # Errors
    /// A host is none, or the certificate would not be believed.
    pub fn member(&self, name: &str, hosts: &[String], days: u32) -> Result<Made, CannotMake> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name = called(name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        valid(&mut params, days);
        let certificate = params.signed_by(&key, &self.issuer)?;
        self.believes(certificate.der())?;
        Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Whether those who trust the authority will believe a certificate.
    fn believes(&self, made: &CertificateDer<'_>) -> Result<(), CannotMake> {
        let own = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        let mut trusted = RootCertStore::empty();
        trusted.add(own.map_err(|_| CannotMake::Authority)?).map_err(|_| CannotMake::Authority)?;
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider).build();
        let verified =
            verifier.map_err(|_| CannotMake::Authority)?.verify_client_cert(made, &[], UnixTime::now());
        verified.map(drop).map_err(|_| CannotMake::Authority)
    }
}

/// The name is that of the key, so that it is known again, and two authorities are told apart.
fn params(key: &KeyPair) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(key.der_bytes()).into();
    params.distinguished_name = called(&format!("Tandem members {a:02x}{b:02x}{c:02x}{d:02x}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    valid(&mut params, AUTHORITY_DAYS);
    Ok(params)
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

/// From yesterday on, for clocks that are slow.
fn valid(params: &mut CertificateParams, days: u32) {
    const DAY: Duration = Duration::from_secs(86_400);
    let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    params.not_before = date_time_ymd(1970, 1, 1) + today.saturating_sub(DAY);
    params.not_after = date_time_ymd(1970, 1, 1) + today + DAY * days;
}
