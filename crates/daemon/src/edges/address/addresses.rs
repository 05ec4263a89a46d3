//! The virtual addresses at the kernel and among the neighbours: carries out what the [plan](super::plan) asks for.

use std::io;
use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;
use nix::libc;

use super::announcer::Announcer;
use super::frames::Mac;
use super::interface::{self, Interface};
use super::kernel::Kernel;
use super::leftover::{self, is_left_over};
use super::plan::{Outcome, Step, Why};
use super::wire::Put;
use super::{AddressError, OneStatus};
use crate::limits::{ADDRESS_CLAIM_COUNTS_FOR, ADDRESS_CONTESTED_AFTER, ADDRESS_LIFETIME_S};

/// One of them.
struct One {
    net: IpNet,
    /// Whether this server has put it there.
    up: bool,
    /// Why it is not there, or not renewed.
    fault: Option<String>,
    /// Who else has said that he has it, and when.
    claimed: Option<(Mac, Instant)>,
    /// Whether that was said in the log, as a leftover of the takeover and as more than that.
    told: (bool, bool),
}

/// See the module.
pub struct Addresses {
    name: String,
    list: Vec<One>,
    kernel: Kernel,
    announcer: Announcer,
    since: Instant,
}

impl Addresses {
    /// Makes everything ready, and removes what an earlier process left.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn open(name: &str, wanted: &[IpNet]) -> Result<Self, AddressError> {
        let found = interface::look(name)?;
        let announcer =
            Announcer::open(found).map_err(|error| AddressError::of("announce", "CAP_NET_RAW", error))?;
        let mut kernel = Kernel::open()?;
        let had = leftover::sweep(&mut kernel, wanted).map_err(|error| {
            AddressError::of("remove an address that an earlier process left", "CAP_NET_ADMIN", error)
        })?;
        for entry in had.left_over {
            tracing::warn!(address = %entry.ip, "removed: an earlier process had left it");
        }
        if let Some(entry) = had.foreign.first() {
            let ip = entry.ip;
            return Err(AddressError::Foreign { ip, prefix: entry.prefix, index: entry.index });
        }
        let one =
            |net: &IpNet| One { net: *net, up: false, fault: None, claimed: None, told: (false, false) };
        let list = wanted.iter().map(one).collect();
        Ok(Self { name: name.to_owned(), list, kernel, announcer, since: Instant::now() })
    }

    /// Carries out a step.
    pub fn carry_out(&mut self, step: Step) -> Outcome {
        match step {
            Step::Take => {
                self.since = Instant::now();
                // Claims of earlier holders are no news.
                self.announcer.others();
                self.list.iter_mut().for_each(|one| (one.claimed, one.told) = (None, (false, false)));
                self.ask();
                let outcome = self.put();
                let took_us = self.since.elapsed().as_micros();
                let up = self.list.iter().filter(|one| one.up).map(|one| one.net.to_string());
                let addresses = up.collect::<Vec<_>>().join(", ");
                tracing::warn!(%addresses, interface = %self.name, took_us, "virtual addresses taken");
                outcome
            }
            Step::Renew => {
                let outcome = self.put();
                self.listen();
                outcome
            }
            Step::Announce(nth) => {
                self.announce();
                if nth > 0 {
                    self.ask();
                }
                self.listen();
                Outcome::Done
            }
            Step::Drop(why) => self.drop_all(why),
        }
    }

    /// Each address as it is.
    pub fn each(&self) -> Vec<OneStatus> {
        let counts = |at: Instant| at.elapsed() < ADDRESS_CLAIM_COUNTS_FOR;
        self.list
            .iter()
            .map(|one| OneStatus {
                address: one.net.to_string(),
                held: one.up,
                fault: one.fault.clone(),
                claimed_by: one.claimed.filter(|(_, at)| counts(*at)).map(|(mac, _)| mac.to_string()),
            })
            .collect()
    }

    /// Whether the interface has a carrier, as of the last renewal.
    pub fn link(&self) -> bool {
        self.announcer.interface().running
    }

    /// Adds what is not there, renews what is.
    fn put(&mut self) -> Outcome {
        let mut outcome = Outcome::Done;
        match interface::look(&self.name) {
            Ok(found) if found == self.announcer.interface() => {}
            Ok(found) => outcome = self.changed(found),
            Err(error) => {
                self.list.iter_mut().for_each(|one| one.is_at_fault(&error.to_string()));
                return Outcome::Failed;
            }
        }
        let index = self.announcer.interface().index;
        for one in &mut self.list {
            let was_up = one.up;
            match one.put(&mut self.kernel, index) {
                Ok(()) if was_up => {}
                Ok(()) => outcome = Outcome::News,
                Err(why) => one.is_at_fault(&why),
            }
        }
        outcome
    }

    /// The interface came or went, has another MAC, or was made anew.
    fn changed(&mut self, found: Interface) -> Outcome {
        let before = self.announcer.interface();
        tracing::warn!(interface = %self.name, mac = %found.mac, link = found.running, "the interface has changed");
        match Announcer::open(found) {
            Ok(announcer) => self.announcer = announcer,
            Err(error) => {
                tracing::error!(%error, interface = %self.name, "neighbours cannot be told of addresses");
            }
        }
        if found.index != before.index {
            self.list.iter_mut().for_each(|one| one.up = false);
        }
        // Behind a cable that is back there may be other neighbours.
        if found.running { Outcome::News } else { Outcome::Done }
    }

    fn drop_all(&mut self, why: Why) -> Outcome {
        let began = Instant::now();
        let index = self.announcer.interface().index;
        let mut outcome = Outcome::Done;
        for one in self.list.iter_mut().filter(|one| one.up) {
            match self.kernel.remove(one.net, index) {
                Ok(()) => {
                    one.up = false;
                    one.fault = None;
                }
                Err(error) => {
                    one.is_at_fault(&format!(
                        "it cannot be removed ({error}); the kernel does it {ADDRESS_LIFETIME_S} s after the last renewal"
                    ));
                    outcome = Outcome::Failed;
                }
            }
        }
        let took_us = began.elapsed().as_micros();
        if outcome == Outcome::Done {
            match why {
                Why::StoodDown => tracing::warn!(took_us, "virtual addresses dropped"),
                Why::LeaseOver => {
                    tracing::error!(
                        took_us,
                        "virtual addresses dropped: the lease ended, and the server did not extend it"
                    );
                }
            }
        }
        outcome
    }

    fn announce(&self) {
        for one in self.list.iter().filter(|one| one.up) {
            if let Err(error) = self.announcer.announce(one.net.addr()) {
                tracing::warn!(address = %one.net, %error, "neighbours were not told of it");
            }
        }
    }

    fn ask(&self) {
        for one in &self.list {
            if let IpAddr::V4(ip) = one.net.addr() {
                // Nobody answers where nothing can be sent; announcing it says so.
                let _ = self.announcer.ask(ip);
            }
        }
    }

    /// Hears who else says that he has an address of ours.
    fn listen(&mut self) {
        let now = Instant::now();
        let late = now.saturating_duration_since(self.since) > ADDRESS_CONTESTED_AFTER;
        for (ip, mac) in self.announcer.others() {
            let Some(one) = self.list.iter_mut().find(|one| one.net.addr() == ip) else { continue };
            one.claimed = Some((mac, now));
            match (&mut one.told, late) {
                ((told @ false, _), false) => {
                    *told = true;
                    tracing::warn!(address = %ip, %mac, "another machine still answers for it: the former holder's kernel, \
                        until the address runs out there; the neighbours are told again");
                }
                ((_, told @ false), true) => {
                    *told = true;
                    tracing::error!(address = %ip, %mac, "another machine has this virtual address, too: find it by this MAC and \
                        take the address away from it, or the phones reach now the one, now the other");
                }
                ((true, _), false) | ((_, true), true) => {}
            }
        }
    }
}

impl One {
    fn put(&mut self, kernel: &mut Kernel, index: u32) -> Result<(), String> {
        let put = if self.up { Put::Renew } else { Put::New };
        let done = match kernel.put(self.net, index, put) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => self.take_over(kernel, index)?,
            done => done,
        };
        done.map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM) => "this process may not add addresses: it needs CAP_NET_ADMIN".to_owned(),
            _ => error.to_string(),
        })?;
        if self.fault.take().is_some() {
            tracing::info!(address = %self.net, "the virtual address is there now");
        }
        self.up = true;
        Ok(())
    }

    /// It is there although this process has not added it: somebody else's is left alone.
    fn take_over(&self, kernel: &mut Kernel, index: u32) -> Result<io::Result<()>, String> {
        let entries = kernel.entries().map_err(|error| error.to_string())?;
        let foreign = entries.iter().any(|entry| entry.ip == self.net.addr() && !is_left_over(*entry));
        if foreign {
            return Err("somebody else put it on this machine, and it stays there; remove it (`ip addr del`), or say \
                virtual-address-by = \"notify\" if another program moves it"
                .to_owned());
        }
        Ok(kernel.put(self.net, index, Put::Renew))
    }

    fn is_at_fault(&mut self, why: &str) {
        if self.fault.as_deref() != Some(why) {
            tracing::error!(address = %self.net, why, "the virtual address is at fault");
            self.fault = Some(why.to_owned());
        }
    }
}
