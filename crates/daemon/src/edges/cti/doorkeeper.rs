//! Who may come in: passwords of persons, checked one after the other on few threads, with the same effort whether or
//! not the user exists, and not at all after too many failures.
//!
//! Whoever was proven once is proven again by a keyed hash (HMAC-SHA-256 under a key of this process), so that ten
//! thousand desktops that reconnect at once need not wait for ten thousand argon2 hashes. A wrong password never takes
//! that way.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tandem_cti::Role;
use tandem_switch::Directory;
use tokio::sync::Semaphore;

use crate::limits::{
    CTI_LOCKED_OUT, CTI_PROOF_WITHIN, CTI_SOURCE_FAILURES, CTI_USER_FAILURES, MAX_CTI_FAILURES,
};
use crate::password;

/// Checked for users who do not exist where no person could lend a hash of the usual cost.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AO0ntorvWamP6kThMyJNcg$XmcqFAdxR6Jh4EH9lAuKOB9LAjU7k6tIeNTSUGRpAO4";

/// Why somebody may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// User name or password.
    Wrong,
    /// Too many failures before; try again after this long.
    LockedOut(Duration),
    /// Too many wait.
    Busy,
}

/// A source address, alone or with a user name.
type Origin = (IpAddr, Option<Box<str>>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    latest: Instant,
}

/// See the module.
pub struct Doorkeeper {
    threads: Arc<Semaphore>,
    failures: DashMap<Origin, Failures>,
    key: [u8; 32],
    proven: DashMap<Arc<str>, [u8; 32]>,
}

impl Doorkeeper {
    /// One that leaves a core to the `Node`.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Without randomness nothing else of this server starts either.
        let key = crate::serve::random().unwrap_or_default();
        Self {
            threads: Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))),
            failures: DashMap::new(),
            key,
            proven: DashMap::new(),
        }
    }

    /// Checks a password.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn admit(
        &self,
        source: IpAddr,
        directory: &Directory,
        user: &str,
        password: String,
    ) -> Result<(Arc<str>, Role), Refused> {
        let now = Instant::now();
        if let Some(left) = self.locked_out(source, user, now) {
            return Err(Refused::LockedOut(left));
        }
        let person = directory.person(user);
        // Somebody else's hash takes as long, so that an answer does not tell who exists.
        let hash = person.or_else(|| directory.floor().persons.first());
        let hash = hash.map_or(NOBODY, |person| &person.password_hash.0).to_owned();
        if let Some(person) = person
            && self.is_known(&person.name, &hash, &password)
        {
            return Ok((Arc::clone(&person.name), person.role));
        }
        let tag = self.tag(&hash, &password);
        let right = self.check(password, hash).await?;
        match person {
            Some(person) if right => {
                if let Some(tag) = tag {
                    self.proven.insert(Arc::clone(&person.name), tag);
                }
                self.failures.remove(&(source, Some(Box::from(user))));
                Ok((Arc::clone(&person.name), person.role))
            }
            Some(_) | None => {
                self.failed(source, user, now);
                Err(Refused::Wrong)
            }
        }
    }

    /// argon2, when its turn comes. Whoever goes away while waiting makes room.
    async fn check(&self, password: String, hash: String) -> Result<bool, Refused> {
        let turn = Arc::clone(&self.threads).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(CTI_PROOF_WITHIN, turn).await else {
            return Err(Refused::Busy);
        };
        let check = tokio::task::spawn_blocking(move || {
            // Held until the hash is made, whether or not anybody still waits for it.
            let _turn = turn;
            password::verify(&password, &hash)
        });
        check.await.map_err(|_| Refused::Busy)
    }

    fn mac(&self, hash: &str, password: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(&hash.len().to_le_bytes());
        mac.update(hash.as_bytes());
        mac.update(password.as_bytes());
        Some(mac)
    }

    fn tag(&self, hash: &str, password: &str) -> Option<[u8; 32]> {
        self.mac(hash, password).map(|mac| mac.finalize().into_bytes().into())
    }

    fn is_known(&self, name: &Arc<str>, hash: &str, password: &str) -> bool {
        let Some(tag) = self.proven.get(name).map(|tag| *tag) else { return false };
        self.mac(hash, password).is_some_and(|mac| mac.verify_slice(&tag).is_ok())
    }

    /// How long this user, or everybody, at this source is still locked out.
    fn locked_out(&self, source: IpAddr, user: &str, now: Instant) -> Option<Duration> {
        let origins =
            [((source, Some(Box::from(user))), CTI_USER_FAILURES), ((source, None), CTI_SOURCE_FAILURES)];
        origins.iter().find_map(|(origin, most)| {
            let failures = self.failures.get(origin).map(|found| *found)?;
            let left = CTI_LOCKED_OUT.checked_sub(now.saturating_duration_since(failures.latest))?;
            (failures.count >= *most && !left.is_zero()).then_some(left)
        })
    }

    fn failed(&self, source: IpAddr, user: &str, now: Instant) {
        if self.failures.len() >= MAX_CTI_FAILURES {
            self.failures
                .retain(|_, failures| now.saturating_duration_since(failures.latest) < CTI_LOCKED_OUT);
        }
        if self.failures.len() >= MAX_CTI_FAILURES {
            // That many within half a minute: forgetting is what is left.
            self.failures.clear();
        }
        for origin in [(source, Some(Box::from(user))), (source, None)] {
            let mut failures = self.failures.entry(origin).or_insert(Failures { count: 0, latest: now });
            if now.saturating_duration_since(failures.latest) >= CTI_LOCKED_OUT {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.latest = now;
        }
    }
}
