//! Holds the virtual addresses for as long as a lease lasts, on a thread of its own: a server that is stuck, whatever in it
//! is stuck, loses them. (Of a process that is killed or stopped the kernel takes them, see [`ADDRESS_LIFETIME_S`].)
//!
//! [`ADDRESS_LIFETIME_S`]: crate::limits::ADDRESS_LIFETIME_S

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::addresses::Addresses;
use super::plan::{Outcome, Plan, Step, Why};
use super::{AddressError, Held};

/// See the module. Dropping it drops the addresses.
pub struct AddressHolder {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    order: Mutex<Order>,
    changed: Condvar,
    /// What is shown; a copy, so that who looks never waits for the kernel.
    held: Mutex<Held>,
    shown: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Order {
    until: Option<Instant>,
    stop: bool,
    /// It is not the lease that the thread knows, but a later one.
    anew: bool,
    /// The thread sleeps until it is woken.
    idle: bool,
}

impl AddressHolder {
    /// Looks for the interface, removes what an earlier process left, and starts the thread; holds nothing yet.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn start(interface: &str, addresses: &[IpNet]) -> Result<Self, AddressError> {
        let mut addresses = Addresses::open(interface, addresses)?;
        let shared = Arc::new(Shared::default());
        shared.show(&addresses, |held| held.interface = interface.to_owned());
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("address".to_owned());
        let thread = thread.spawn(move || own.run(&mut addresses))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Holds the addresses until then: takes them, or extends the lease. `until` is when somebody else may first hold them,
    /// by this machine's monotonic clock and with whatever margin that needs; a lease is never shortened by this. One that
    /// had ended begins anew, with another takeover: somebody else may have had the addresses meanwhile.
    ///
    /// Never waits for the kernel.
    pub fn hold(&self, until: Instant) {
        let mut order = lock(&self.shared.order);
        if order.stop {
            return;
        }
        order.anew |= order.until.is_none_or(|before| before <= Instant::now());
        order.until = Some(order.until.map_or(until, |before| before.max(until)));
        if order.idle {
            self.shared.changed.notify_one();
        }
    }

    /// Waits until the addresses have been taken, at most so long; false: they have not. What is sent from them before then
    /// cannot be delivered.
    pub fn wait_held(&self, within: Duration) -> bool {
        let held = lock(&self.shared.held);
        let waited = self.shared.shown.wait_timeout_while(held, within, |held| held.since.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.since.is_some()
    }

    /// Ends the lease now. The addresses are gone within a millisecond; [`held`](Self::held) says when.
    pub fn stand_down(&self) {
        lock(&self.shared.order).until = None;
        self.shared.changed.notify_one();
    }

    /// Drops the addresses for good, and waits until they are gone.
    pub fn stop(&self) {
        let mut order = lock(&self.shared.order);
        (order.until, order.stop) = (None, true);
        drop(order);
        self.shared.changed.notify_one();
        if let Some(thread) = lock(&self.thread).take() {
            // A thread that ended by a fault has nothing to say here; the kernel takes the addresses.
            let _ = thread.join();
        }
    }

    /// What is held now.
    pub fn held(&self) -> Held {
        lock(&self.shared.held).clone()
    }
}

impl Drop for AddressHolder {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self, addresses: &mut Addresses) {
        let mut plan = Plan::default();
        loop {
            let order = self.order();
            if plan.lease(order.until, order.anew) {
                tracing::error!(
                    "the lease ended while this process stood still; it is a new one that holds now"
                );
                lock(&self.held).lapses += 1;
            }
            match plan.due(Instant::now()) {
                Some(step) => {
                    let outcome = addresses.carry_out(step);
                    plan.done(step, outcome, Instant::now());
                    self.show(addresses, |held| note(held, step, outcome));
                }
                None if order.stop && plan.is_away() => return,
                None => self.wait(order.until, plan.next()),
            }
        }
    }

    fn order(&self) -> Order {
        let mut order = lock(&self.order);
        let read = *order;
        order.anew = false;
        read
    }

    /// Sleeps until something is due, or the lease is no more what it was.
    fn wait(&self, known: Option<Instant>, next: Option<Instant>) {
        let mut order = lock(&self.order);
        let unchanged = order.until == known && !order.stop;
        match next {
            // A lease that is extended meanwhile wakes nobody: it is read when this time comes.
            Some(next) if unchanged || order.stop => {
                let rest = next.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                drop(self.changed.wait_timeout(order, rest));
            }
            None if unchanged => {
                order.idle = true;
                let woken = self.changed.wait(order);
                woken.unwrap_or_else(PoisonError::into_inner).idle = false;
            }
            Some(_) | None => {}
        }
    }

    fn show(&self, addresses: &Addresses, change: impl FnOnce(&mut Held)) {
        let (each, link) = (addresses.each(), addresses.link());
        let mut held = lock(&self.held);
        change(&mut held);
        (held.addresses, held.link) = (each, link);
        self.shown.notify_all();
    }
}

fn note(held: &mut Held, step: Step, outcome: Outcome) {
    match step {
        Step::Take => {
            held.takeovers += 1;
            held.since = Some(Instant::now());
        }
        Step::Drop(why) if outcome != Outcome::Failed => {
            held.lapses += u64::from(why == Why::LeaseOver);
            held.since = None;
        }
        Step::Drop(_) | Step::Renew | Step::Announce(_) => {}
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
