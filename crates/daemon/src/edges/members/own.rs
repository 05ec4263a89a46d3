//! This member's own certificate, looked at as the others will look at it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, Error};

use super::LinkSettings;
use super::admission::host_and_port;
use super::security::names;
use crate::limits::{DAY, MEMBER_EXPIRY_SAID};

/// See the module.
pub(super) struct Own {
    file: PathBuf,
    certificate: CertificateDer<'static>,
    between: Vec<CertificateDer<'static>>,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// How long a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Validity {
    /// For a good while.
    Long,
    /// For so many days.
    Days(u64),
    Over,
    /// A clock is wrong.
    NotYet,
}

impl Own {
    /// # Errors
    /// The others would not believe it, whatever the time.
    pub(super) fn new(
        settings: &LinkSettings,
        chain: &[CertificateDer<'static>],
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Self> {
        let LinkSettings { listen: _, advertise, certificate: file, key: _, ca } = settings;
        let (certificate, between) = chain.split_first().context("no certificate")?;
        let none = || format!("\"{advertise}\" is not host:port");
        let (host, _) = host_and_port(advertise).with_context(none)?;
        anyhow::ensure!(
            names(certificate, host),
            "{} does not name {host}, at which the other members are to reach this one: make a certificate that does \
             (tandem ha certificates)",
            file.display()
        );
        let own = Self {
            file: file.clone(),
            certificate: certificate.clone(),
            between: between.to_vec(),
            verifier,
        };
        let wrong = || format!("{} was not signed for a member by {}", file.display(), ca.display());
        own.validity(now()).with_context(wrong)?;
        Ok(own)
    }

    /// Says in the log when it ends soon, or has ended. There are no links without it; but a server is worth more than they
    /// are, and starts all the same.
    pub(super) fn look(&self) {
        let certificate = self.file.display();
        match self.validity(now()) {
            Ok(Validity::Long) | Err(_) => {}
            Ok(Validity::Days(days)) => tracing::warn!(
                %certificate,
                days,
                "this member's certificate ends soon: make a new one (tandem ha certificates), and SIGHUP"
            ),
            Ok(Validity::Over) => tracing::error!(
                %certificate,
                "this member's certificate has expired and no other accepts it: make a new one (tandem ha certificates), and \
                 SIGHUP"
            ),
            Ok(Validity::NotYet) => {
                tracing::error!(%certificate, "this member's certificate is not valid yet: look at the clock");
            }
        }
    }

    /// rustls has more kinds than concern anybody here, and gets further ones.
    #[allow(clippy::wildcard_enum_match_arm)]
    fn validity(&self, now: Duration) -> Result<Validity, Error> {
        let at = |moment| {
            let moment = UnixTime::since_unix_epoch(moment);
            self.verifier.verify_client_cert(&self.certificate, &self.between, moment).map(drop)
        };
        match at(now) {
            Ok(()) => {}
            Err(Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            )) => return Ok(Validity::Over),
            Err(Error::InvalidCertificate(
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
            )) => return Ok(Validity::NotYet),
            Err(other) => return Err(other),
        }
        Ok(match at(now + MEMBER_EXPIRY_SAID) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                Validity::Days(not_after.as_secs().saturating_sub(now.as_secs()) / DAY.as_secs())
            }
            Ok(()) | Err(_) => Validity::Long,
        })
    }
}

fn now() -> Duration {
    Duration::from_secs(UnixTime::now().as_secs())
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject;
    use rustls::server::WebPkiClientVerifier;

    use super::super::authority::Authority;
    use super::*;

    #[test]
    fn how_long_a_certificate_lasts_is_known_before_it_ends() {
        let authority = Authority::new().unwrap();
        let made = authority.member("a", &["192.0.2.11".to_owned()], 90).unwrap();
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut trusted = RootCertStore::empty();
        trusted.add(der(&authority.made().certificate)).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider).build();
        let own = Own {
            file: PathBuf::new(),
            certificate: der(&made.certificate),
            between: Vec::new(),
            verifier: verifier.unwrap(),
        };
        let after = |days: u32| own.validity(now() + DAY * days - Duration::from_secs(3_600));
        assert_eq!(own.validity(now() - 2 * DAY), Ok(Validity::NotYet));
        assert_eq!((after(1), after(60)), (Ok(Validity::Long), Ok(Validity::Long)));
        assert_eq!((after(61), after(90)), (Ok(Validity::Days(29)), Ok(Validity::Days(0))));
        assert_eq!(after(92), Ok(Validity::Over));
    }
}
