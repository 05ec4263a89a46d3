//! The registrar: which contacts an Extension DN is reached at (RFC 3261 section 10).
//!
//! A binding is a [`Replicated`] value: what a 200 OK to a REGISTER promised has been logged before. A request either
//! takes effect whole or not at all.
//!
//! Choices the standard leaves open: domains of From, To and contacts' owners do not count, because a number is unique
//! in its switch; a `sips:` contact is kept and reached like a `sip:` one; any other scheme is refused with 400;
//! contact parameters other than `q` and `expires` are kept and told back; two equal contacts in one request count as
//! the later one. A binding whose flow is dead, or that the same phone has left for another, is put into quarantine: it is
//! not called, it is asked whether it lives if it can be asked, and it is removed when its time is over.

mod binding;
mod contact;
mod ghost;
mod plan;
mod print;
mod pulse;
mod reach;
mod store;
mod terms;
mod watch;

use std::collections::VecDeque;

use tandem_peer::ChangeLog;
use tandem_peer::replica::{Change, Replicated};
use tandem_sip::{Builder, Envelope, Flow, Message, NameAddr, Transport};

pub use binding::Binding;
pub use ghost::{Ghost, Quarantine};
pub use pulse::{Due, Kind};

use crate::directory::{Directory, DnId, Extension, Registration};
use crate::limits::{MAX_CONTACTS, MAX_EXPIRED_AT_ONCE};
use crate::reject::Reject;
use crate::time::{Deadline, Now};
use binding::{Facts, Texts};
use contact::{Asked, Contact};
use plan::Plan;
use store::{Aor, Store};
use terms::Terms;

/// The bindings of all Extension DNs of one directory.
#[derive(Debug)]
pub struct Registrar {
    store: Store,
    last_record: u64,
    scratch: Vec<u8>,
    options: Registration,
    news: VecDeque<BindingNews>,
    /// Nothing expires before: a server that was down has not heard who renewed his registration.
    held_until: Option<Deadline>,
    /// Thousandths by which granted times are shortened.
    shortened: u32,
}

/// A phone whose connection is gone, as a dialog knows it.
#[derive(Clone, Copy, Debug)]
pub struct Phone<'a> {
    /// How it was reached.
    pub transport: Transport,
    /// Contact that it gave.
    pub target: &'a [u8],
    /// Its `+sip.instance`, if that is known.
    pub instance: Option<&'a [u8]>,
}

/// Something that nobody asked for happened to a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingNews {
    /// Its DN.
    pub dn: DnId,
    /// Its contact URI.
    pub contact: Box<str>,
    /// What.
    pub what: Happened,
}

/// What happened to a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It is not called any more.
    PutAway(Ghost),
    /// It showed a sign of life and is called again.
    TakenBack,
    /// It was not called any more, and is gone now.
    Removed(Ghost),
}

impl BindingNews {
    fn of(dn: DnId, binding: &Binding, what: Happened) -> Self {
        Self { dn, contact: String::from_utf8_lossy(binding.uri()).into(), what }
    }
}

/// What an accepted REGISTER did to the DN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// It had no binding and has one now.
    pub came_in_service: bool,
    /// It had a binding and has none now.
    pub went_out_of_service: bool,
    /// Its contact is a flow of RFC 5626.
    pub outbound: bool,
    /// The phone spoke to this server directly.
    pub first_hop: bool,
}

impl Registrar {
    /// Nobody is registered.
    #[must_use]
    pub fn new(directory: &Directory) -> Self {
        Self {
            store: Store::new(directory.extensions().len()),
            last_record: 0,
            scratch: Vec::new(),
            options: directory.options.registration.clone(),
            news: VecDeque::new(),
            held_until: None,
            shortened: 0,
        }
    }

    /// Carries out a REGISTER whose To names `dn` and whose sender has proven to be that DN (RFC 3261 10.3, steps 6
    /// to 8); the answer's Contact lines are [`write_contacts`](Self::write_contacts).
    ///
    /// # Errors
    /// 400 for contacts that cannot be read or routed to and for a misused `*`; 403 for a third party's registration,
    /// for a DN with a static contact and for too many contacts; 420 for a Path that the phone does not know of, if
    /// `path-mode` says so; 423 for a time below `min-expires`; 439 for a flow whose first hop keeps none; 500 for a
    /// request older than what it would change. Nothing has changed then.
    #[allow(clippy::too_many_arguments, reason = "a request, where it came from, and what it acts upon")]
    pub fn register(
        &mut self,
        dn: DnId,
        request: &Message,
        env: &Envelope<'_>,
        flow: Flow,
        directory: &Directory,
        log: &mut ChangeLog,
        now: Now,
    ) -> Result<Registered, Reject> {
        let extension = directory.extension(dn).ok_or_else(|| Reject::new(404))?;
        check_parties(extension, env)?;
        let max_contacts = extension.class.max_contacts;
        let bindings = self.store.get(dn);
        let was_registered = !bindings.is_empty();
        let mut done = Registered::default();
        match contact::read(request, &directory.options, 2 * max_contacts.max(MAX_CONTACTS))? {
            Asked::Fetch => return Ok(Registered::default()),
            Asked::RemoveAll => {
                plan::remove_all(bindings, env, now.unix_ms)?;
                self.store.change(dn, |aor| aor.drain(..).for_each(|b| drop(b.delete(log))));
            }
            Asked::Change(mut contacts) => {
                contacts.iter_mut().for_each(|contact| contact.shorten(self.shortened, &directory.options));
                let terms = terms::read(request, &contacts, &directory.options.registration)?;
                if !terms.outbound {
                    contacts.iter_mut().for_each(|contact| contact.reg_id = 0);
                }
                (done.outbound, done.first_hop) = (terms.outbound, terms.outbound && terms.first_hop);
                let plan = plan::change(bindings, &contacts, env, max_contacts, now.unix_ms)?;
                let news = News { extension, contacts: &contacts, terms: &terms, env, flow, directory, now };
                self.carry_out(dn, &plan, &news, log);
            }
        }
        let is_registered = self.registered(dn);
        done.came_in_service = !was_registered && is_registered;
        done.went_out_of_service = was_registered && !is_registered;
        Ok(done)
    }

    /// Times granted from now on are shortened by so many thousandths, never below `min-expires`: phones that registered
    /// together then do not come back together.
    pub fn shorten(&mut self, thousandths: u32) {
        self.shortened = thousandths.min(999);
    }

    /// Writes the Contact lines of the answer to a REGISTER: every binding with its `q` and the seconds it has left.
    pub fn write_contacts(&self, dn: DnId, builder: &mut Builder<'_>, now: Now) {
        self.write_contacts_with(dn, |_| Vec::new(), builder, now);
    }

    /// The same with further parameters of each, every one with its leading `;`.
    pub fn write_contacts_with(
        &self,
        dn: DnId,
        more: impl Fn(&Binding) -> Vec<u8>,
        builder: &mut Builder<'_>,
        now: Now,
    ) {
        self.bindings(dn).for_each(|binding| print::contact_line(binding, &more(binding), builder, now));
    }

    /// The bindings of a DN, by `q` descending, then most recent first. One that is past its time is here until
    /// [`expire`](Self::expire) is called.
    pub fn bindings(&self, dn: DnId) -> impl Iterator<Item = &Binding> {
        self.store.get(dn).iter().map(|binding| &**binding)
    }

    /// The same with their record numbers, in the order of these.
    pub fn numbered(&self, dn: DnId) -> impl Iterator<Item = (u64, &Binding)> {
        let mut bindings: smallvec::SmallVec<[_; 4]> =
            self.store.get(dn).iter().map(|binding| (binding.key().id, &**binding)).collect();
        bindings.sort_by_key(|(id, _)| *id);
        bindings.into_iter()
    }

    /// A DN whose bindings were made, changed or removed. `wanted`: whether somebody will ask for those that change from
    /// now on; they are not noted otherwise.
    pub fn pop_changed(&mut self, wanted: bool) -> Option<DnId> {
        self.store.pop_changed(wanted)
    }

    /// The same with the number of its record.
    pub fn records(&self, dn: DnId) -> impl Iterator<Item = (u64, &Binding)> {
        self.store.get(dn).iter().map(|binding| (binding.key().id, &**binding))
    }

    /// Whether the DN has a binding.
    #[must_use]
    pub fn registered(&self, dn: DnId) -> bool {
        !self.store.get(dn).is_empty()
    }

    /// Whether the DN is registered, and each of its contacts is in quarantine: the phone may be there, and nobody knows.
    #[must_use]
    pub fn is_suspended(&self, dn: DnId) -> bool {
        store::is_suspended(self.store.get(dn))
    }

    /// A DN that became [suspended](Self::is_suspended) or is not so any more.
    pub fn pop_turned(&mut self) -> Option<DnId> {
        self.store.pop_turned()
    }

    /// DNs with a binding.
    #[must_use]
    pub const fn registered_dns(&self) -> usize {
        self.store.registered()
    }

    /// Bindings of all DNs.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.store.len()
    }

    /// Is nobody registered?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The moment at which the next binding expires.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Deadline> {
        self.store.next_expiry().max(self.held_until.filter(|_| !self.is_empty()))
    }

    /// Nothing expires before this moment.
    pub fn hold_until(&mut self, until: Deadline) {
        self.held_until = Some(until);
    }

    /// Removes the bindings whose time has come, ghosts whose quarantine is over too, and says how many; appends to
    /// `gone` the DNs that lost their last one, with what was wrong with it if that did not expire. Costs nothing when none is due; does at most [`MAX_EXPIRED_AT_ONCE`] DNs, and
    /// [`next_expiry`](Self::next_expiry) stays in the past while more are due.
    pub fn expire(&mut self, log: &mut ChangeLog, now: Now, gone: &mut Vec<(DnId, Option<Ghost>)>) -> usize {
        let before = self.len();
        if self.held_until.is_some_and(|until| !until.is_past(now.unix_ms)) {
            return 0;
        }
        self.held_until = None;
        for _ in 0..MAX_EXPIRED_AT_ONCE {
            let Some(dn) = self.store.pop_expired(now.unix_ms) else { break };
            let Self { store, news, .. } = self;
            let mut last = None;
            store.change(dn, |aor| {
                let (due, alive): (Aor, Aor) =
                    std::mem::take(aor).into_iter().partition(|b| b.ends().is_past(now.unix_ms));
                for binding in due {
                    let ghost = binding.quarantine().filter(|_| !binding.expires().is_past(now.unix_ms));
                    last = ghost.map(|quarantine| quarantine.why);
                    news.extend(last.map(|why| BindingNews::of(dn, &binding, Happened::Removed(why))));
                    binding.delete(log);
                }
                *aor = alive;
            });
            if !self.registered(dn) {
                gone.push((dn, last));
            }
        }
        before - self.len()
    }

    /// A new directory takes effect: bindings follow their number, those of DNs that are no more are dropped.
    pub fn adopt(&mut self, old: &Directory, new: &Directory, log: &mut ChangeLog) {
        self.options = new.options.registration.clone();
        let store = std::mem::replace(&mut self.store, Store::new(new.extensions().len()));
        for (dn, aor) in store.into_aors() {
            match old.extension(dn).and_then(|e| new.find(e.number.as_bytes())) {
                Some(dn) => drop(self.store.change(dn, |slot| *slot = aor)),
                None => aor.into_iter().for_each(|b| drop(b.delete(log))),
            }
        }
    }

    /// How a phone is reached now whose connection is gone: by a binding of its instance, rather by a connection that lives
    /// than by one that would have to be made. One whose instance is not known is reached by the binding of the Contact
    /// that it gave in a dialog, or by the only one of its transport. `None`: it is not there.
    #[must_use]
    pub fn way_to(&self, dn: DnId, phone: &Phone<'_>) -> Option<Flow> {
        let here = || self.bindings(dn).filter(|b| b.reachable() && b.flow().transport == phone.transport);
        if let Some(instance) = phone.instance {
            let its = here().filter(|binding| binding.instance() == Some(instance));
            return its.max_by_key(|b| (b.flow().conn != 0, b.updated_unix_ms())).map(Binding::flow);
        }
        let same = here().find(|binding| binding.uri() == phone.target);
        let only = || here().next().filter(|_| here().count() == 1);
        same.or_else(only).map(Binding::flow)
    }

    /// The instance of the phone that spoke by `flow`, or that registered this contact; `None` if it names none.
    #[must_use]
    pub fn instance_at(&self, dn: DnId, flow: Flow, target: &[u8]) -> Option<&[u8]> {
        self.binding_at(dn, flow, target)?.instance()
    }

    /// Whether a phone of the DN spoke by `flow`, or registered this contact.
    #[must_use]
    pub fn is_at(&self, dn: DnId, flow: Flow, target: &[u8]) -> bool {
        self.binding_at(dn, flow, target).is_some()
    }

    fn binding_at(&self, dn: DnId, flow: Flow, target: &[u8]) -> Option<&Binding> {
        let there = self.bindings(dn).find(|binding| binding.is_from(flow));
        there.or_else(|| self.bindings(dn).find(|binding| binding.uri() == target))
    }

    /// Whether this flow belongs to a binding of the DN.
    #[must_use]
    pub fn is_from_binding(&self, dn: DnId, flow: Flow) -> bool {
        self.bindings(dn).any(|binding| binding.is_from(flow))
    }

    /// Takes up a stored binding after a restart or a takeover; a phone that came over a connection is then reached as
    /// after [`flow_failed`](Self::flow_failed). False if the record is no binding; the record of a DN that is no more
    /// is deleted.
    pub fn restore(&mut self, change: &Change, directory: &Directory, log: &mut ChangeLog) -> bool {
        let Some(binding) = Replicated::<Binding>::restore(change) else { return false };
        self.last_record = self.last_record.max(change.key.id);
        match directory.find(binding.number()) {
            Some(dn) => drop(self.store.change(dn, |aor| {
                aor.push(binding);
                aor.sort_by_key(|b| (std::cmp::Reverse((b.q(), b.updated_unix_ms())), b.key().id));
            })),
            None => drop(binding.delete(log)),
        }
        true
    }

    fn carry_out(&mut self, dn: DnId, plan: &Plan, news: &News<'_>, log: &mut ChangeLog) {
        let Self { store, last_record, scratch, options, news: told, .. } = self;
        store.change(dn, |aor| {
            let mut old: smallvec::SmallVec<[Option<Replicated<Binding>>; 1]> =
                std::mem::take(aor).into_iter().map(Some).collect();
            for slot in plan {
                let existing = slot.binding.and_then(|at| old.get_mut(at)).and_then(Option::take);
                let contact = slot.contact.and_then(|at| news.contacts.get(at));
                let binding = match (existing, contact) {
                    (existing, None) => existing,
                    (Some(mut binding), Some(contact)) => {
                        let facts = news.facts(contact);
                        binding.update(log, |b| b.refresh(&news.texts(contact, scratch), &facts));
                        Some(binding)
                    }
                    (None, Some(contact)) => {
                        *last_record += 1;
                        let value = Binding::new(&news.texts(contact, scratch), &news.facts(contact));
                        Some(Replicated::create(*last_record, value, log))
                    }
                };
                aor.extend(binding);
            }
            old.into_iter().flatten().for_each(|b| drop(b.delete(log)));
            aor.sort_by_key(|b| std::cmp::Reverse(b.q()));
            if aor.len() > 1 {
                leave_ghosts(dn, aor, plan, news, options, log, told);
            }
        });
        self.settle(news.now.mono);
    }
}

/// What the phone has left for a binding that is new is put away, and what was put away before has its time set: the DN
/// has another binding now.
fn leave_ghosts(
    dn: DnId,
    aor: &mut Aor,
    plan: &Plan,
    news: &News<'_>,
    options: &Registration,
    log: &mut ChangeLog,
    told: &mut VecDeque<BindingNews>,
) {
    let new = || {
        plan.iter().filter(|slot| slot.binding.is_none()).filter_map(|slot| news.contacts.get(slot.contact?))
    };
    let until = watch::quarantine_ends(options, aor.iter().any(|binding| binding.reachable()), news.now);
    for binding in aor.iter_mut() {
        if binding.updated_unix_ms() == news.now.unix_ms && news.made(binding) {
            continue;
        }
        match binding.quarantine() {
            Some(quarantine) if quarantine.until > until => {
                binding.update(log, |b| b.put_away(quarantine.why, until));
            }
            Some(_) => {}
            None if !options.ghost_quarantine.is_zero()
                && new().any(|contact| plan::supersedes(contact, binding, news.env)) =>
            {
                binding.update(log, |b| b.put_away(Ghost::Superseded, until));
                told.push_back(BindingNews::of(dn, binding, Happened::PutAway(Ghost::Superseded)));
            }
            None => {}
        }
    }
}

/// A REGISTER that was found good.
struct News<'a> {
    extension: &'a Extension,
    contacts: &'a [Contact<'a>],
    terms: &'a Terms<'a>,
    env: &'a Envelope<'a>,
    flow: Flow,
    directory: &'a Directory,
    now: Now,
}

impl News<'_> {
    fn facts(&self, contact: &Contact<'_>) -> Facts {
        let nat = self.extension.class.nat.unwrap_or(self.directory.options.registration.nat);
        let reach = match &self.terms.first {
            Some(first) => reach::reach_proxy(first, self.flow, self.directory),
            None if contact.reg_id != 0 => reach::Reach::of_flow(self.flow),
            None => reach::reach(&contact.uri, self.env, self.flow, self.directory, nat),
        };
        Facts {
            q: contact.q,
            cseq: self.env.cseq.number,
            reg_id: contact.reg_id,
            expires: Deadline::after(
                self.now.unix_ms,
                std::time::Duration::from_secs(u64::from(contact.expires_s)),
            ),
            updated_unix_ms: self.now.unix_ms,
            flow: reach.flow,
            source: self.flow.remote,
            dialable: reach.dialable,
            nat: reach.nat,
        }
    }

    /// Joins the texts in a buffer that is used again.
    fn texts<'s>(&self, contact: &Contact<'_>, scratch: &'s mut Vec<u8>) -> Texts<'s> {
        scratch.clear();
        scratch.extend_from_slice(self.extension.number.as_bytes());
        let number_len = scratch.len();
        scratch.extend_from_slice(contact.uri.raw());
        let uri_end = scratch.len();
        print::kept_params(contact.params, scratch);
        let params_end = scratch.len();
        scratch.extend_from_slice(&self.terms.path);
        let path_end = scratch.len();
        scratch.extend_from_slice(self.env.call_id);
        // Each part is bounded far below 64 KiB by the limits of a message and of a configured number.
        let short = |len: usize| u16::try_from(len).unwrap_or(u16::MAX);
        Texts {
            text: scratch,
            number_len: short(number_len),
            uri_len: short(uri_end - number_len),
            params_len: short(params_end - uri_end),
            path_len: short(path_end - params_end),
        }
    }

    /// Whether a binding is what one of the contacts of the request made.
    fn made(&self, binding: &Binding) -> bool {
        binding.call_id() == self.env.call_id
            && binding.cseq() == self.env.cseq.number
            && self.contacts.iter().any(|contact| contact.uri.raw() == binding.uri())
    }
}

/// Nobody registers for somebody else, and where a contact is configured nobody registers at all.
fn check_parties(extension: &Extension, env: &Envelope<'_>) -> Result<(), Reject> {
    if extension.class.contact.is_some() {
        return Err(Reject::because(403, "DN Has a Static Contact"));
    }
    // The To names the DN; mostly the From is the same bytes.
    if env.from.uri != env.to.uri && !names(&env.from, &extension.number) {
        return Err(Reject::because(403, "Third-Party Registration Refused"));
    }
    Ok(())
}

/// Whether an address is that of the DN with this number.
fn names(address: &NameAddr<'_>, number: &str) -> bool {
    address.uri().is_ok_and(|uri| {
        uri.user_unescaped().is_some_and(|user| *user == *number.as_bytes())
            || uri.number().is_some_and(|plain| plain == number.as_bytes())
    })
}
