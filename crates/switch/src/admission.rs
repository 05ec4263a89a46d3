//! The digest gate: a request of an Extension DN passes when its sender has proven to be that DN (RFC 3261 22,
//! RFC 7616, RFC 8760).
//!
//! Whatever is wrong with credentials (the password, the user, a DN that does not exist or has no password, a realm of
//! somebody else) gets one answer, a 401 with a fresh challenge, after the same work. Nobody learns from it which
//! numbers exist. A phone that gets a second 401 without `stale` asks its user instead of trying again (RFC 3261 22.2).

use std::net::IpAddr;

use tandem_sip::auth::{Asked, Credentials, Ha1, Nonces, Offer, Verdict, verify};
use tandem_sip::{Envelope, HeaderName, Message};

use crate::directory::{Directory, DnId, Extension, Secret};
use crate::guard::source_of;
use crate::limits::{MAX_NONCES, NONCE_LIFETIME_MS};
use crate::reject::Reject;
use crate::time::Now;

/// What the sender wants: `authenticate-requests` says which of it must be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To register.
    Register,
    /// To open a call, or anything else outside a dialog.
    Invite,
}

/// Challenges and judges.
#[derive(Debug)]
pub struct Admission {
    nonces: Nonces,
    challenges: u64,
    failures: u64,
}

impl Admission {
    /// `secret` seals the nonces: servers that share it accept each other's.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self { nonces: Nonces::new(&secret, NONCE_LIFETIME_MS, MAX_NONCES), challenges: 0, failures: 0 }
    }

    /// Challenges sent since start.
    #[must_use]
    pub const fn challenges(&self) -> u64 {
        self.challenges
    }

    /// Credentials since start that were wrong, and came from where their nonce had been given.
    #[must_use]
    pub const fn failures(&self) -> u64 {
        self.failures
    }

    /// Lets the request of `dn` pass, or says why not. `dn` is the DN that the sender claims to be, `None` if there is
    /// none of that number. ACK and CANCEL cannot be challenged and must not be asked about.
    ///
    /// # Errors
    /// 401 with a challenge for SHA-256 and one for MD5: `stale=true` when the password was right but the nonce is
    /// used up or too old, otherwise as the module says. 400 for credentials made for another Request-URI
    /// (RFC 7616 3.4.6).
    pub fn check(
        &mut self,
        request: &Message,
        env: &Envelope<'_>,
        directory: &Directory,
        dn: Option<DnId>,
        (purpose, source): (Purpose, IpAddr),
        now: Now,
    ) -> Result<(), Reject> {
        let source = name_of(source);
        let source = source.as_slice();
        let required = match purpose {
            Purpose::Register => directory.options.authenticate.register,
            Purpose::Invite => directory.options.authenticate.invite,
        };
        if !required {
            return Ok(());
        }
        let realm = directory.server.realm.as_bytes();
        let stale = match Credentials::for_realm(request.lines(HeaderName::Authorization), realm) {
            None => false,
            // Nobody has proven that he is where it came from: it is held against nobody.
            Some(Err(_)) => false,
            Some(Ok(credentials)) => {
                let offered = directory.options.authenticate_algorithms.contains(&credentials.algorithm);
                let ha1 = ha1(&credentials, directory, dn).filter(|_| offered);
                let asked = Asked {
                    realm,
                    method: env.cseq.method_token,
                    request_uri: request.request_uri().unwrap_or_default(),
                    source,
                    unix_ms: now.unix_ms,
                };
                match verify(&mut self.nonces, &credentials, ha1.as_ref(), asked) {
                    Verdict::Ok => return Ok(()),
                    Verdict::OtherUri => {
                        let live = self.nonces.is_live(credentials.nonce, source, now.unix_ms);
                        self.failures += u64::from(live);
                        return Err(Reject::because(400, "Credentials Are for Another Request-URI"));
                    }
                    Verdict::Stale => true,
                    Verdict::Wrong => {
                        self.failures += 1;
                        false
                    }
                    Verdict::Unproven => false,
                }
            }
        };
        Err(self.challenge(directory, stale, source, now))
    }

    /// Whether a request carries a nonce that this source was given lately, whatever its credentials are worth.
    #[must_use]
    pub fn knows_nonce(&self, request: &Message, directory: &Directory, source: IpAddr, now: Now) -> bool {
        let realm = directory.server.realm.as_bytes();
        match Credentials::for_realm(request.lines(HeaderName::Authorization), realm) {
            Some(Ok(shown)) => self.nonces.is_live(shown.nonce, &name_of(source), now.unix_ms),
            Some(Err(_)) | None => false,
        }
    }

    /// `Authentication-Info` of a 200: with which nonce the sender may prove himself next time, without being asked
    /// (RFC 7616 3.5).
    pub fn next_nonce(&mut self, source: IpAddr, now: Now) -> Vec<u8> {
        let nonce = self.nonces.issue(&name_of(source), now.unix_ms);
        [b"nextnonce=\"", nonce.as_ref(), b"\""].concat()
    }

    fn challenge(&mut self, directory: &Directory, stale: bool, source: &[u8], now: Now) -> Reject {
        self.challenges += 1;
        let realm = directory.server.realm.as_bytes();
        let offer = Offer::new(&mut self.nonces, realm, None, stale, (source, now.unix_ms));
        directory.options.authenticate_algorithms.iter().fold(Reject::new(401), |reject, algorithm| {
            let mut value = Vec::with_capacity(256);
            offer.write(*algorithm, &mut value);
            reject.with(HeaderName::WwwAuthenticate, value)
        })
    }
}

/// A source as nonces know it: a nonce is good wherever the same lock-out would hold.
fn name_of(source: IpAddr) -> [u8; 16] {
    match source_of(source) {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// The HA1 that the credentials must match; `None` if nothing can match. A hash is computed in either case.
fn ha1(credentials: &Credentials<'_>, directory: &Directory, dn: Option<DnId>) -> Option<Ha1> {
    let extension = dn.and_then(|dn| directory.extension(dn));
    let number = extension.map_or("", |e| &e.number);
    let known = extension.is_some() && is_user(&credentials.user(), number, &directory.server.realm);
    // Somebody unknown costs what the first Extension costs.
    let (password, stored) =
        match extension.or(directory.extensions().first()).map(|e: &Extension| &e.class.secret) {
            Some(Secret::Password(password)) => (Some(&**password), None),
            Some(Secret::Ha1(stored)) => (None, Some(*stored)),
            Some(Secret::None) | None => (None, None),
        };
    let made = password.map(|password| {
        let password = password.replace("{number}", number);
        let realm = directory.server.realm.as_bytes();
        Ha1::for_algorithm(credentials.algorithm, credentials.username, realm, password.as_bytes())
    });
    made.or(stored).filter(|_| known)
}

/// `1001` or `1001@realm`.
fn is_user(user: &[u8], number: &str, realm: &str) -> bool {
    user.strip_prefix(number.as_bytes()).is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix(b"@").is_some_and(|domain| domain == realm.as_bytes())
    })
}
