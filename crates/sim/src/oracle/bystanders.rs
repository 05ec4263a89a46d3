//! Established calls that touch nothing of what failed go on until one of their parties ends them.
//!
//! A call has touched a failure when a message of its own was lost, when a server in its path died or was stopped, when
//! a connection of a party broke, when a party has bad manners or transfers it, or when a desktop asked something of a party's DN.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::sites::{A, B};
use crate::text::{Mark, Text};

/// Calls that are remembered; the oldest is forgotten first.
const MOST: usize = 2_000;

/// A packet on its way.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// What it says.
    pub text: &'a Text,
    /// Who sends it.
    pub from: SocketAddr,
    /// Where it is to go.
    pub to: SocketAddr,
    /// It does not arrive, or much too late.
    pub lost: bool,
}

#[derive(Debug, Default)]
struct Call {
    /// Everybody who sent or was sent a message of it.
    parties: BTreeSet<SocketAddr>,
    /// Call-IDs under which a device opened it, once a server has answered there.
    answered: BTreeSet<String>,
    /// Why it may end.
    excuse: Option<&'static str>,
    /// The branches of the requests and responses by which devices ended it.
    ended: BTreeSet<String>,
    /// A server has sent a BYE.
    passed_on: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Bystanders {
    calls: BTreeMap<Mark, Call>,
    marks: BTreeMap<String, Mark>,
}

fn is_site(addr: SocketAddr) -> bool {
    addr == A.addr() || addr == B.addr()
}

impl Bystanders {
    /// A packet leaves its sender. What is wrong with it, if a server ends a call that nothing has happened to.
    pub fn passes(&mut self, packet: &Passing<'_>) -> Option<String> {
        let Passing { text, from, to, lost } = *packet;
        self.consulted(text);
        let mark = self.mark_of(text)?;
        let call = self.calls.entry(mark).or_default();
        call.parties.extend([from, to]);
        if lost {
            call.excuse.get_or_insert("a message was lost");
        }
        let wrong = if is_site(from) { call.server_sends(text, to) } else { call.device_sends(text) };
        let why = wrong.filter(|_| call.excuse.is_none())?;
        call.excuse = Some("it is reported");
        Some(format!("{mark} is lost to a party that did nothing: {why}"))
    }

    fn mark_of(&mut self, text: &Text) -> Option<Mark> {
        if let Some(mark) = self.marks.get(text.call_id()) {
            return Some(*mark);
        }
        let opens = text.method() == "INVITE" && text.code().is_none() && text.to_tag().is_none();
        // What a server makes by itself has no mark of its own.
        let mark = opens.then(|| text.mark()).flatten().filter(|mark| mark.label > 0)?;
        self.marks.insert(text.call_id().to_owned(), mark);
        if self.calls.len() > MOST {
            self.calls.pop_first();
        }
        Some(mark)
    }

    /// Whom a party of a call is transferred to in another call leaves that call for the first (RFC 5589 7).
    fn consulted(&mut self, text: &Text) {
        let refer_to = text.get("Refer-To").filter(|_| text.method() == "REFER" && text.code().is_none());
        let replaces = refer_to.and_then(|to| to.split_once("?Replaces=")?.1.split_once("%3B"));
        let call_id = replaces.map(|(call_id, _)| call_id.replace("%40", "@"));
        let mark = call_id.and_then(|call_id| self.marks.get(&call_id));
        if let Some(call) = mark.and_then(|mark| self.calls.get_mut(mark)) {
            call.excuse.get_or_insert("a party transfers it");
        }
    }

    /// Everything that passes there has touched a failure.
    pub fn failed(&mut self, party: SocketAddr, why: &'static str) {
        for call in self.calls.values_mut().filter(|call| call.parties.contains(&party)) {
            call.excuse.get_or_insert(why);
        }
    }
}

impl Call {
    fn device_sends(&mut self, text: &Text) -> Option<&'static str> {
        let ends = match text.code() {
            None => matches!(text.method(), "BYE" | "CANCEL"),
            Some(code) => matches!(code, 408 | 481),
        };
        if text.code().is_none() && text.method() == "REFER" {
            self.excuse.get_or_insert("a party transfers it");
        }
        if ends {
            self.ended.insert(text.branch().to_owned());
        }
        None
    }

    fn server_sends(&mut self, text: &Text, to: SocketAddr) -> Option<&'static str> {
        let is_bye = text.code().is_none() && text.method() == "BYE";
        let wrong = if is_site(to) { None } else { self.wrong_for_device(text) };
        self.passed_on |= is_bye;
        wrong
    }

    fn wrong_for_device(&mut self, text: &Text) -> Option<&'static str> {
        let established = self.answered.contains(text.call_id());
        match (text.code(), text.method()) {
            (Some(200..300), "INVITE") => drop(self.answered.insert(text.call_id().to_owned())),
            (None, "BYE") if established && self.ended.is_empty() => return Some("the server hangs up"),
            // Where BYEs cross, the slower one finds nothing.
            (Some(481), "BYE") if established && !self.passed_on && self.ended.len() == 1 => {
                return self.ended.contains(text.branch()).then_some("the server no longer knows it");
            }
            _ => {}
        }
        None
    }
}
