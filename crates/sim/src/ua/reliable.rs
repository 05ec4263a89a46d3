//! Reliable provisional responses (RFC 3262): a caller acknowledges them in their order, a callee repeats them until then.

use super::Ua;
use super::client::{PATIENCE, Purpose};
use super::profile::Reliable;
use crate::text::Text;
use crate::time::At;

/// The option tag.
pub(super) const RELIABLE: &str = "100rel";

impl Reliable {
    /// The header in which a caller says so.
    pub(super) fn as_caller(self) -> Option<&'static str> {
        match self {
            Self::No => None,
            Self::Takes => Some("Supported"),
            Self::Only => Some("Require"),
        }
    }
}

fn names(message: &Text, header: &str) -> bool {
    message.all(header).any(|value| value.split(',').any(|tag| tag.trim() == RELIABLE))
}

/// A response with its number.
pub(super) fn numbered(response: Text, number: Option<u32>) -> Text {
    match number {
        Some(number) => response.with("Require", RELIABLE).with("RSeq", number.to_string()),
        None => response,
    }
}

impl Ua {
    /// The caller's side: a reliable response is acknowledged if it is the next one of its dialog (4). Whether it counts.
    pub(super) fn takes_provisional(&mut self, id: u64, response: &Text, now: At) -> bool {
        let reliable = names(response, "Require");
        if self.profile.reliable == Reliable::Only && !reliable {
            self.faults.push(format!("{} is sent a provisional response unreliably", self.profile.name));
        }
        let number: Option<u32> = response.get("RSeq").and_then(|number| number.parse().ok());
        let (Some(number), true) = (number, reliable) else { return !reliable };
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        let tag = response.to_tag().unwrap_or_default().to_owned();
        let last = leg.numbers.get(&tag).copied();
        if last == Some(number) {
            return false;
        }
        if last.is_some_and(|last| last + 1 != number) {
            let text = format!("{} is sent {number} after {last:?} in one dialog", self.profile.name);
            self.faults.push(text);
            return false;
        }
        leg.numbers.insert(tag, number);
        let (cseq, _) = response.cseq().unwrap_or((0, ""));
        let mut dialog = leg.dialog.clone();
        dialog.confirm(response);
        leg.dialog.local_cseq += 1;
        let prack = dialog.request("PRACK", leg.dialog.local_cseq);
        let prack = prack.with("RAck", format!("{number} {cseq} INVITE"));
        if let Some(to) = dialog.next_hop() {
            self.send_request(prack, to, Purpose::CleanUp, PATIENCE, now);
        }
        true
    }

    /// The callee's side: the number of what it says next, if its caller takes numbers.
    pub(super) fn numbers_its_own(&mut self, at: usize) -> Option<u32> {
        let server = self.servers.get(at).filter(|_| self.profile.reliable != Reliable::No)?;
        let takes = names(&server.request, "Supported") || names(&server.request, "Require");
        takes.then(|| u32::try_from(self.dice.below(1 << 30)).unwrap_or(0) + 1)
    }

    /// PRACK.
    pub(super) fn take_prack(&mut self, id: u64, at: usize, request: &Text, now: At) {
        let number = request.get("RAck").and_then(|rack| rack.split(' ').next()?.parse().ok());
        let invite = self.servers.iter_mut().find(|s| s.leg == Some(id) && s.request.method() == "INVITE");
        let known = invite.zip(number).is_some_and(|(server, number)| server.acknowledged_early(number));
        self.respond(at, if known { 200 } else { 481 }, |r| r, now);
    }
}
