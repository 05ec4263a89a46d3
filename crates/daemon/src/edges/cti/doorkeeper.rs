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
        let known = person.is_some_and(|person| self.is_known(&person.name, &hash, &password));
        let tag = self.tag(&hash, &password);
        let right = known || self.check(password, hash).await?;
        let Some(person) = person.filter(|_| right) else {
            self.failed(source, user, now);
            return Err(Refused::Wrong);
        };
        if let Some(tag) = tag {
            self.proven.insert(Arc::clone(&person.name), tag);
        }
        self.failures.remove(&(source, Some(Box::from(user))));
        Ok((Arc::clone(&person.name), person.role))
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::config::{Origin, Site, load};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    fn office() -> Directory {
        load(&Origin::Demo(Site::SiteA), [7; 32]).unwrap().directory
    }

    async fn ask(keeper: &Doorkeeper, source: IpAddr, user: &str, secret: &str) -> Result<(), Refused> {
        let admitted = keeper.admit(source, &office(), user, secret.to_owned()).await;
        admitted.map(|(person, _)| assert_eq!(&*person, user))
    }

    #[tokio::test]
    async fn the_right_password_opens_and_tells_the_role() {
        let keeper = Doorkeeper::new();
        let (person, role) = keeper.admit(HERE, &office(), "router", "secret-router".into()).await.unwrap();
        assert_eq!((&*person, role), ("router", Role::RoutingApplication));
        assert_eq!(ask(&keeper, HERE, "router", "secret-admin").await, Err(Refused::Wrong));
        assert_eq!(ask(&keeper, HERE, "nobody", "secret-router").await, Err(Refused::Wrong));
        assert_eq!(ask(&keeper, HERE, "router", "").await, Err(Refused::Wrong));
    }

    #[tokio::test]
    async fn who_was_proven_needs_no_thread_again_and_everybody_else_does() {
        let keeper = Doorkeeper::new();
        ask(&keeper, HERE, "agent01", "secret-agent01").await.unwrap();
        // Nobody gets a turn from here on: whoever needs one is told so.
        keeper.threads.close();
        assert_eq!(ask(&keeper, THERE, "agent01", "secret-agent01").await, Ok(()));
        assert_eq!(ask(&keeper, HERE, "agent01", "secret-agent02").await, Err(Refused::Busy));
        assert_eq!(ask(&keeper, HERE, "agent02", "secret-agent02").await, Err(Refused::Busy));
        assert_eq!(ask(&keeper, HERE, "nobody", "x").await, Err(Refused::Busy), "the same effort for nobody");
    }

    #[tokio::test]
    async fn a_new_password_ends_the_old_one_at_once() {
        let keeper = Doorkeeper::new();
        ask(&keeper, HERE, "agent01", "secret-agent01").await.unwrap();
        let hash = password::hash("changed", 8, 1).unwrap();
        assert!(!keeper.is_known(&"agent01".into(), &hash, "secret-agent01"));
    }

    #[tokio::test]
    async fn five_failures_lock_a_user_out_at_his_source_alone() {
        let keeper = Doorkeeper::new();
        for _ in 0..CTI_USER_FAILURES {
            assert_eq!(ask(&keeper, HERE, "agent01", "guess").await, Err(Refused::Wrong));
        }
        assert!(matches!(ask(&keeper, HERE, "agent01", "secret-agent01").await, Err(Refused::LockedOut(_))));
        assert_eq!(ask(&keeper, THERE, "agent01", "secret-agent01").await, Ok(()));
        assert_eq!(ask(&keeper, HERE, "agent02", "secret-agent02").await, Ok(()));
    }

    #[tokio::test]
    async fn success_forgets_the_failures_before_it() {
        let keeper = Doorkeeper::new();
        for _ in 0..3 {
            for _ in 1..CTI_USER_FAILURES {
                assert_eq!(ask(&keeper, HERE, "agent01", "guess").await, Err(Refused::Wrong));
            }
            assert_eq!(ask(&keeper, HERE, "agent01", "secret-agent01").await, Ok(()));
        }
    }

    #[test]
    fn many_failures_lock_a_source_out_and_time_lets_it_in_again() {
        let keeper = Doorkeeper::new();
        let start = Instant::now();
        for user in 0..CTI_SOURCE_FAILURES {
            assert_eq!(keeper.locked_out(HERE, "somebody", start), None);
            keeper.failed(HERE, &user.to_string(), start);
        }
        assert_eq!(keeper.locked_out(HERE, "somebody", start), Some(CTI_LOCKED_OUT));
        assert_eq!(keeper.locked_out(THERE, "somebody", start), None);
        let later = start + CTI_LOCKED_OUT;
        assert_eq!(keeper.locked_out(HERE, "somebody", later), None);
        keeper.failed(HERE, "somebody", later);
        assert_eq!(keeper.locked_out(HERE, "somebody", later), None, "the count begins anew");
    }

    #[test]
    fn failures_that_are_remembered_are_bounded() {
        let keeper = Doorkeeper::new();
        let start = Instant::now();
        for number in 0..u32::try_from(MAX_CTI_FAILURES).unwrap() {
            keeper.failed(IpAddr::V4(Ipv4Addr::from(number)), "x", start);
        }
        assert!(keeper.failures.len() <= MAX_CTI_FAILURES + 1, "{}", keeper.failures.len());
    }
}
