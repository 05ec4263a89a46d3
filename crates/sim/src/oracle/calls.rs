//! The call as a whole, over both servers: no forwarding loop, and no server that rings a phone of its own while its
//! forward of the same call is alive. Legs are matched by the mark in their bodies.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::Invariant;
use crate::sites::{A, B, SiteId};
use crate::text::{Mark, Text};

/// URI parameter by which the server that redirects tells the other one.
const MARKER: &str = ";x-tandem-forwarded";

/// An INVITE over the peer trunk.
#[derive(Debug)]
struct Forward {
    site: SiteId,
    mark: Mark,
    provisional: bool,
    cancelled: bool,
}

/// A crossing of the peer trunk that was not refused.
#[derive(Clone, Copy, Debug)]
struct Crossing {
    from: SiteId,
    /// The process that sent it is gone: the one after it takes it back and sends the call the same way anew.
    orphaned: bool,
}

/// What is known about calls.
#[derive(Debug, Default)]
pub struct Calls {
    /// Overlaps that lost messages caused.
    pub overlaps: u64,
    /// Forwards without a final response, by branch.
    forwards: BTreeMap<String, Forward>,
    /// Where a mark crossed the peer trunk, by Call-ID.
    crossed: BTreeMap<Mark, BTreeMap<String, Crossing>>,
    /// Call-IDs in which a mark was redirected.
    redirected: BTreeMap<Mark, BTreeSet<String>>,
    /// Redirected calls that came back without the marker that the 302 gave them: the other server cannot know.
    unmarked: BTreeSet<Mark>,
    /// INVITEs to phones and gateways, by branch.
    offered: BTreeSet<String>,
    /// Max-Forwards with which a mark arrived, by site.
    arrived: BTreeMap<(SiteId, Mark), u32>,
}

/// Rules that were found broken, and how.
type Found = Vec<(Invariant, String)>;

fn is_peer(addr: SocketAddr) -> bool {
    addr == A.addr() || addr == B.addr()
}

fn opens_call(text: &Text) -> Option<Mark> {
    (text.method() == "INVITE" && text.to_tag().is_none()).then(|| text.mark()).flatten()
}

fn max_forwards(text: &Text) -> Option<u32> {
    text.get("Max-Forwards")?.parse().ok()
}

impl Calls {
    /// A server is given a request.
    pub fn request_came(&mut self, site: SiteId, text: &Text) {
        if let (Some(mark), Some(hops)) = (opens_call(text), max_forwards(text)) {
            let kept = self.arrived.entry((site, mark)).or_insert(hops);
            *kept = hops.min(*kept);
            let marked = text.uri().is_some_and(|uri| uri.contains(MARKER));
            if !marked && self.redirected.contains_key(&mark) {
                self.unmarked.insert(mark);
            }
        }
    }

    /// A server is given a response.
    pub fn response_came(&mut self, text: &Text) {
        if text.method() != "INVITE" {
            return;
        }
        if let Some(code) = text.code().filter(|code| *code >= 200) {
            let forward = self.forwards.remove(text.branch()).filter(|_| code >= 300);
            // What the peer has refused is over: it may be tried again later.
            if let Some(crossed) = forward.and_then(|forward| self.crossed.get_mut(&forward.mark)) {
                crossed.remove(text.call_id());
            }
        } else if let Some(forward) = self.forwards.get_mut(text.branch()) {
            forward.provisional = true;
        }
    }

    /// A server sends a response.
    pub fn response_sent(&mut self, text: &Text, found: &mut Found) {
        if text.method() != "INVITE" || text.code() != Some(302) {
            return;
        }
        let Some(mark) = text.mark() else { return };
        let redirected = self.redirected.entry(mark).or_default();
        redirected.insert(text.call_id().to_owned());
        let most = if self.unmarked.contains(&mark) { 2 } else { 1 };
        if redirected.len() > most {
            found.push((Invariant::NoForwardingLoop, format!("{mark} is redirected again")));
        }
    }

    /// A server sends a request.
    pub fn request_sent(&mut self, site: SiteId, text: &Text, to: SocketAddr, found: &mut Found) {
        if text.method() == "CANCEL"
            && let Some(forward) = self.forwards.get_mut(text.branch())
        {
            forward.cancelled = true;
        }
        let Some(mark) = opens_call(text) else { return };
        if let (Some(came), Some(goes)) = (self.arrived.get(&(site, mark)), max_forwards(text))
            && goes >= *came
        {
            let text = format!("Max-Forwards {goes} after {came} came in");
            found.push((Invariant::NoForwardingLoop, text));
        }
        if is_peer(to) {
            self.forwarded(site, mark, text, found);
        } else {
            self.rings_locally(site, mark, text, found);
        }
    }

    fn forwarded(&mut self, site: SiteId, mark: Mark, text: &Text, found: &mut Found) {
        let crossed = self.crossed.entry(mark).or_default();
        let fresh = Crossing { from: site, orphaned: false };
        crossed.entry(text.call_id().to_owned()).or_insert(fresh);
        if crossed.values().filter(|crossing| !(crossing.orphaned && crossing.from == site)).count() > 1 {
            found.push((Invariant::NoForwardingLoop, format!("{mark} crosses the peer trunk twice")));
        }
        let fresh = Forward { site, mark, provisional: false, cancelled: false };
        self.forwards.entry(text.branch().to_owned()).or_insert(fresh);
    }

    /// A forward that was cancelled, or of which nothing was ever heard, may still be alive at the other end: lost
    /// messages cause that, and Timer B bounds it.
    fn rings_locally(&mut self, site: SiteId, mark: Mark, text: &Text, found: &mut Found) {
        if !self.offered.insert(text.branch().to_owned()) {
            // Repeated because nothing was heard of it: it rang, if at all, before the forward.
            return;
        }
        let alive = self.forwards.values().find(|forward| forward.site == site && forward.mark == mark);
        match alive {
            None => {}
            Some(forward) if forward.cancelled || !forward.provisional => self.overlaps += 1,
            Some(_) => {
                let text = format!("{mark} rings here while its forward is alive");
                found.push((Invariant::NoRingBesideForward, text));
            }
        }
    }

    /// A server died: its forwards are nobody's, until it goes on and takes them back.
    pub fn forget(&mut self, site: SiteId) {
        self.forwards.retain(|_, forward| forward.site != site);
        let crossings = self.crossed.values_mut().flat_map(BTreeMap::values_mut);
        crossings.filter(|crossing| crossing.from == site).for_each(|crossing| crossing.orphaned = true);
        self.arrived.retain(|(at, _), _| *at != site);
    }
}
