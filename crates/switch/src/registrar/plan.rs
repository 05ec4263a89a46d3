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
    if grows && plan.len() > max_contacts {
        return Err(contact::too_many());
    }
    plan.sort_by_key(|slot| slot.contact.unwrap_or(usize::MAX));
    Ok(plan)
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

/// Whether the slot is for a URI equal to that of `wanted` (RFC 3261 19.1.4). Mostly the bytes are the same.
fn holds(
    slot: Slot,
    bindings: &[Replicated<Binding>],
    contacts: &[Contact<'_>],
    wanted: &Contact<'_>,
) -> bool {
    let asked = slot.contact.and_then(|at| contacts.get(at));
    if let Some(contact) = asked {
        return contact.uri.raw() == wanted.uri.raw() || contact.uri.equivalent(&wanted.uri);
    }
    let Some(binding) = slot.binding.and_then(|at| bindings.get(at)) else { return false };
    binding.uri() == wanted.uri.raw()
        || Uri::parse(binding.uri()).is_ok_and(|uri| uri.equivalent(&wanted.uri))
}
