//! Registration: single, dual, or active-backup; refreshed in time, with digest, and moved when a site is silent.

use std::net::SocketAddr;
use std::time::Duration;

use super::client::Purpose;
use super::digest::Challenge;
use super::profile::Registers;
use super::{Ua, offer};
use crate::text::{Text, address_of, param, uri_of, user_of};
use crate::time::{At, secs};

/// Where a registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not wanted, or not tried yet.
    Idle,
    /// A REGISTER is on its way.
    Trying,
    /// Registered until then.
    Registered {
        /// When it expires.
        until: At,
    },
    /// The last attempt failed.
    Failed,
}

/// The registration with one site.
#[derive(Debug)]
pub struct Binding {
    /// The site.
    pub site: SocketAddr,
    /// Where it stands.
    pub state: State,
    /// When it was last confirmed.
    pub confirmed: Option<At>,
    /// When a registration that held was found to be lost.
    pub lost: Option<At>,
    wanted: bool,
    removing: bool,
    due: Option<At>,
    call_id: String,
    tag: String,
    cseq: u32,
    challenge: Option<Challenge>,
    attempts: u8,
    expires: Duration,
}

impl Binding {
    pub(super) fn next_timeout(&self) -> Option<At> {
        self.due
    }

    /// Whether the site confirmed it and it has not expired.
    #[must_use]
    pub fn is_registered(&self, now: At) -> bool {
        matches!(self.state, State::Registered { until } if until > now)
    }
}

impl Ua {
    pub(super) fn start_registering(&mut self, now: At) {
        let registers = self.profile.registers;
        let mut bindings = Vec::new();
        for (index, site) in self.profile.sites.iter().enumerate() {
            let wanted = match registers {
                Registers::Never => false,
                Registers::Dual => true,
                Registers::Single | Registers::ActiveBackup => index == 0,
            };
            bindings.push(Binding {
                site: *site,
                state: State::Idle,
                confirmed: None,
                lost: None,
                wanted,
                removing: false,
                due: wanted.then_some(now),
                call_id: self.dice.hex(),
                tag: self.dice.hex(),
                cseq: 0,
                challenge: None,
                attempts: 0,
                expires: self.profile.expires,
            });
        }
        self.bindings = bindings;
    }

    /// Whether the site has confirmed a registration that has not expired.
    #[must_use]
    pub fn is_registered_at(&self, site: SocketAddr, now: At) -> bool {
        self.bindings.iter().any(|b| b.site == site && b.is_registered(now))
    }

    /// When it last found out that a site does not keep its registration any more.
    #[must_use]
    pub fn missed(&self, site: SocketAddr) -> Option<At> {
        self.bindings.iter().find(|binding| binding.site == site)?.lost
    }

    /// Takes its registration away from a site, as a phone does that is switched off in order.
    pub fn unregister(&mut self, site: SocketAddr, now: At) {
        let Some(index) = self.bindings.iter().position(|b| b.site == site) else { return };
        if let Some(binding) = self.bindings.get_mut(index) {
            (binding.wanted, binding.removing) = (false, true);
        }
        self.send_register(index, now);
    }

    /// Refreshes its registrations now.
    pub fn register_again(&mut self, now: At) {
        for index in 0..self.bindings.len() {
            if self.bindings.get(index).is_some_and(|binding| binding.wanted) {
                self.send_register(index, now);
            }
        }
    }

    pub(super) fn registration_timeouts(&mut self, now: At) {
        for index in 0..self.bindings.len() {
            if self.bindings.get(index).is_some_and(|b| b.due.is_some_and(|due| due <= now)) {
                self.send_register(index, now);
            }
        }
    }

    fn send_register(&mut self, index: usize, now: At) {
        let (number, contact) = (self.profile.number.clone(), self.contact());
        self.clients.retain(|client| client.purpose != Purpose::Register(index));
        let Some(binding) = self.bindings.get_mut(index) else { return };
        binding.cseq += 1;
        binding.due = None;
        if binding.state == State::Idle || binding.state == State::Failed {
            binding.state = State::Trying;
        }
        let (site, expires) = (binding.site, if binding.removing { 0 } else { binding.expires.as_secs() });
        let uri = format!("sip:{}", site.ip());
        let mut request = Text::request("REGISTER", &uri)
            .with("From", format!("<sip:{number}@{}>;tag={}", site.ip(), binding.tag))
            .with("To", format!("<sip:{number}@{}>", site.ip()))
            .with("Call-ID", binding.call_id.as_str())
            .with("CSeq", format!("{} REGISTER", binding.cseq))
            .with("Max-Forwards", "70")
            .with("Contact", contact)
            .with("Expires", expires.to_string())
            .with("Allow", offer::ALLOW);
        if let Some(challenge) = &mut binding.challenge {
            let answer = challenge.answer(&number, &self.profile.password, "REGISTER", &uri);
            request = request.with("Authorization", answer);
        }
        let patience = self.profile.register_timeout;
        self.send_request(request, site, Purpose::Register(index), patience, now);
    }

    pub(super) fn register_answered(&mut self, index: usize, response: &Text, code: u16, now: At) {
        let Some(binding) = self.bindings.get_mut(index) else { return };
        // An answer to a REGISTER that a newer one has overtaken says nothing about now.
        if code < 200 || response.cseq().is_none_or(|(number, _)| number != binding.cseq) {
            return;
        }
        match code {
            200..300 => self.registered(index, response, now),
            401 if binding.attempts < 2 => {
                binding.attempts += 1;
                binding.challenge = response.all("WWW-Authenticate").find_map(Challenge::parse);
                self.send_register(index, now);
            }
            423 if binding.attempts < 2 => {
                binding.attempts += 1;
                let least = response.get("Min-Expires").and_then(|v| v.parse().ok()).unwrap_or(3600);
                binding.expires = secs(least);
                self.send_register(index, now);
            }
            _ => self.register_failed(index, &format!("{code}"), now),
        }
    }

    fn registered(&mut self, index: usize, response: &Text, now: At) {
        let (number, addr) = (self.profile.number.clone(), self.profile.addr);
        let Some(binding) = self.bindings.get_mut(index) else { return };
        binding.attempts = 0;
        if binding.removing {
            (binding.removing, binding.state) = (false, State::Idle);
            return;
        }
        let ours = response.all("Contact").flat_map(|line| line.split(',')).find(|contact| {
            let uri = uri_of(contact.trim());
            user_of(uri) == number && address_of(uri) == Some(addr)
        });
        let granted = ours.and_then(|contact| param(contact, "expires")).and_then(|e| e.parse().ok());
        let Some(granted) = granted else {
            self.faults.push(format!("{number}: 200 to REGISTER does not list the contact that it accepted"));
            return;
        };
        let granted = secs(granted);
        binding.state = State::Registered { until: now + granted };
        binding.confirmed = Some(now);
        // Early enough that a lost refresh can be repeated before the binding expires.
        binding.due = binding.wanted.then(|| now + granted.mul_f64(0.75));
        if self.profile.registers == Registers::ActiveBackup && index == 0 {
            self.leave_backups(now);
        }
    }

    /// The primary is back: the backup's binding is taken away.
    fn leave_backups(&mut self, now: At) {
        for index in 1..self.bindings.len() {
            let Some(backup) = self.bindings.get_mut(index) else { continue };
            if !std::mem::take(&mut backup.wanted) {
                continue;
            }
            backup.due = None;
            backup.removing = true;
            self.send_register(index, now);
        }
    }

    pub(super) fn register_failed(&mut self, index: usize, why: &str, now: At) {
        let retry = self.profile.register_retry;
        let Some(binding) = self.bindings.get_mut(index) else { return };
        binding.attempts = 0;
        if !binding.wanted {
            (binding.removing, binding.state) = (false, State::Idle);
            return;
        }
        if matches!(binding.state, State::Registered { .. }) {
            binding.lost = Some(now);
        }
        binding.state = State::Failed;
        binding.due = Some(now + retry);
        let site = binding.site;
        self.notes.push(format!("{} cannot register at {site}: {why}", self.profile.name));
        let count = self.bindings.len();
        match self.profile.registers {
            Registers::Single if count > 1 => {
                if let Some(lost) = self.bindings.get_mut(index) {
                    (lost.wanted, lost.due) = (false, None);
                }
                self.want((index + 1) % count, now);
            }
            Registers::ActiveBackup if index == 0 => (1..count).for_each(|backup| self.want(backup, now)),
            Registers::Single | Registers::ActiveBackup | Registers::Dual | Registers::Never => {}
        }
    }

    fn want(&mut self, index: usize, now: At) {
        let retry = self.profile.register_retry;
        let Some(binding) = self.bindings.get_mut(index) else { return };
        if !binding.wanted {
            binding.wanted = true;
            binding.removing = false;
            // Two dead sites must not make a phone spin.
            binding.due = Some(if binding.state == State::Failed { now + retry } else { now });
        }
    }
}
