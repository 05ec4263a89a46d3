//! Which of a DN's registered contacts are called.
//!
//! A call is forked to every contact, but to one flow of each instance only, the best and latest of those that live
//! (RFC 5626 5.3 and 6). When that flow turns out to be dead, the next one of the same instance is tried at once.

use smallvec::SmallVec;
use tandem_sip::Uri;

use crate::call::{Bound, SessionIds, Target, address};
use crate::directory::DnId;
use crate::limits::MAX_BRANCHES;
use crate::registrar::{Binding, Registrar};
use crate::rooms::Device;

/// Where the INVITEs for the contacts of `dn` go. `device` is what the call knows it as. When every contact is in
/// quarantine, those that a request can be sent to are called all the same: to be suspected is not to be gone.
pub fn targets(registrar: &Registrar, device: Device, dn: DnId) -> SmallVec<[Target; 2]> {
    let mut found: SmallVec<[Target; 2]> = SmallVec::new();
    let mut instances: SmallVec<[&[u8]; 4]> = SmallVec::new();
    let suspended = registrar.is_suspended(dn);
    let called = |binding: &Binding| binding.reachable() || (suspended && binding.may_answer());
    for (record, binding) in registrar.records(dn).filter(|(_, binding)| called(binding)) {
        if found.len() >= MAX_BRANCHES {
            break;
        }
        match binding.instance() {
            Some(instance) if instances.contains(&instance) => continue,
            Some(instance) => instances.push(instance),
            None => {}
        }
        found.push(target(device, dn, record, binding));
    }
    found
}

/// The next flow of the instance whose flow failed, if it has one that lives.
#[must_use]
pub fn another_flow(registrar: &Registrar, failed: &Target) -> Option<Target> {
    let bound = failed.contact.as_ref()?;
    let (_, dead) = registrar.records(bound.dn).find(|(record, _)| *record == bound.record)?;
    let instance = dead.instance()?;
    let (record, next) = registrar.records(bound.dn).find(|(record, binding)| {
        *record != bound.record && binding.reachable() && binding.instance() == Some(instance)
    })?;
    Some(Target {
        marked: failed.marked,
        answers: failed.answers.clone(),
        ..target(failed.device, bound.dn, record, next)
    })
}

fn target(device: Device, dn: DnId, record: u64, binding: &Binding) -> Target {
    let flow = binding.flow();
    let named = Uri::parse(binding.uri()).ok().and_then(|uri| address(&uri));
    Target {
        device,
        uri: binding.uri().into(),
        flow,
        nat: named != Some(flow.remote),
        marked: false,
        carried: None,
        presented: None,
        session_ids: SessionIds::default(),
        reliable: false,
        answers: None,
        contact: Some(Bound {
            dn,
            record,
            path: (!binding.path().is_empty()).then(|| binding.path().into()),
        }),
    }
}
