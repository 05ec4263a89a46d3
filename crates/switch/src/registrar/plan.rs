//! What a REGISTER would make of the bindings of its address of record: decided whole before anything is changed
//! (RFC 3261 10.3 steps 6 and 7).

use smallvec::SmallVec;
use tandem_peer::replica::Replicated;
use tandem_sip::{Envelope, Uri};

use super::binding::Binding;
use super::contact::{self, Contact};
use crate::reject::Reject;

/// A binding after the change: one that exists, one that is asked for, or one that exists and is refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Position among the bindings that exist.
    pub binding: Option<usize>,
    /// Position among the contacts of the request.
    pub contact: Option<usize>,
}

/// The bindings that shall be; existing ones without a slot are removed.
pub(super) type Plan = SmallVec<[Slot; 4]>;

/// Decides about each contact in turn. Two equal contacts in one request count as the later one.
///
/// A refusal (500 for a request that is not newer than the binding it would change, 403 for too many contacts) leaves
/// everything as it was. Expired bindings count as gone.
pub(super) fn change(
    bindings: &[Replicated<Binding>],
    contacts: &[Contact<'_>],
    env: &Envelope<'_>,
    max_contacts: usize,
    now_unix_ms: u64,
) -> Result<Plan, Reject> {
    let mut plan: Plan = bindings
        .iter()
        .enumerate()
        .filter(|(_, b)| !b.expires().is_past(now_unix_ms))
        .map(|(at, _)| Slot { binding: Some(at), contact: None })
        .collect();
    for (n, contact) in contacts.iter().enumerate() {
        let known = plan.iter().position(|slot| holds(*slot, bindings, contacts, contact));
        let slot = known.and_then(|at| plan.get_mut(at));
        if let Some(Slot { binding: Some(at), contact: None }) = slot
            && let Some(binding) = bindings.get(*at)
        {
            check_order(binding, env)?;
        }
        match (slot, known, contact.expires_s) {
            (_, Some(at), 0) => drop(plan.remove(at)),
            (None, _, 0) => {}
            (Some(slot), _, _) => slot.contact = Some(n),
            (None, _, _) => plan.push(Slot { binding: None, contact: Some(n) }),
        }
    }
    let grows = plan.iter().any(|slot| slot.binding.is_none());
    plan.sort_by_key(|slot| slot.contact.unwrap_or(usize::MAX));
    if grows && plan.len() > max_contacts {
        make_room(&mut plan, bindings, contacts, env, max_contacts)?;
    }
    Ok(plan)
}

/// Ghosts, and what this request makes one, do not keep a phone from registering: they go first, the oldest before
/// the others.
fn make_room(
    plan: &mut Plan,
    bindings: &[Replicated<Binding>],
    contacts: &[Contact<'_>],
    env: &Envelope<'_>,
    max_contacts: usize,
) -> Result<(), Reject> {
    while plan.len() > max_contacts {
        let ghosts = plan.iter().enumerate().filter_map(|(place, slot)| {
            let binding = slot.binding.filter(|_| slot.contact.is_none()).and_then(|at| bindings.get(at))?;
            let is_ghost = !binding.reachable() || contacts.iter().any(|new| supersedes(new, binding, env));
            is_ghost.then_some((binding.updated_unix_ms(), binding.uri(), place))
        });
        let (_, _, place) = ghosts.min().ok_or_else(contact::too_many)?;
        plan.remove(place);
    }
    Ok(())
}

/// Whether a new contact means that the phone behind a binding has moved: the same instance (RFC 5626 4.1), or, where it
/// names none, the same user by the same Call-ID at another address, or at the same host under another port. The old
/// binding is asked before it is removed: two phones may look like one.
pub(super) fn supersedes(new: &Contact<'_>, binding: &Binding, env: &Envelope<'_>) -> bool {
    let old_instance = binding.instance();
    match (new.instance, old_instance) {
        (Some(new_one), Some(old_one)) => {
            new_one == old_one && (new.reg_id == 0 || binding.reg_id() == 0 || new.reg_id == binding.reg_id())
        }
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => {
            let same_call = binding.call_id() == env.call_id;
            Uri::parse(binding.uri()).is_ok_and(|old| {
                let (same_host, same_port) = (old.host == new.uri.host, old.port == new.uri.port);
                let moved = if same_call { !same_host || !same_port } else { same_host && !same_port };
                moved && old.user() == new.uri.user()
            })
        }
    }
}

/// Checks that all bindings may be removed.
pub(super) fn remove_all(
    bindings: &[Replicated<Binding>],
    env: &Envelope<'_>,
    now_unix_ms: u64,
) -> Result<(), Reject> {
    bindings.iter().filter(|b| !b.expires().is_past(now_unix_ms)).try_for_each(|b| check_order(b, env))
}

/// A request with the Call-ID of the one that made the binding must be newer than it.
fn check_order(binding: &Binding, env: &Envelope<'_>) -> Result<(), Reject> {
    if binding.call_id() == env.call_id && env.cseq.number <= binding.cseq() {
        return Err(Reject::because(500, "CSeq Is Not Higher Than That of the Binding"));
    }
    Ok(())
}

/// Whether the slot is for a URI equal to that of `wanted` (RFC 3261 19.1.4), mostly the same bytes; or for the same flow
/// of the same instance (RFC 5626 6), whatever its URI is.
fn holds(
    slot: Slot,
    bindings: &[Replicated<Binding>],
    contacts: &[Contact<'_>],
    wanted: &Contact<'_>,
) -> bool {
    let asked = slot.contact.and_then(|at| contacts.get(at));
    if wanted.reg_id != 0 {
        let flow = |instance, reg_id| instance == wanted.instance && reg_id == wanted.reg_id;
        let binding = slot.binding.and_then(|at| bindings.get(at));
        return match asked {
            Some(contact) => flow(contact.instance, contact.reg_id),
            None => binding.is_some_and(|b| b.reg_id() == wanted.reg_id && flow(b.instance(), b.reg_id())),
        };
    }
    if let Some(contact) = asked {
        return contact.uri.raw() == wanted.uri.raw() || contact.uri.equivalent(&wanted.uri);
    }
    let Some(binding) = slot.binding.and_then(|at| bindings.get(at)) else { return false };
    binding.uri() == wanted.uri.raw()
        || Uri::parse(binding.uri()).is_ok_and(|uri| uri.equivalent(&wanted.uri))
}
