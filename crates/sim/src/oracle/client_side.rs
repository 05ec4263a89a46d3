//! What a server owes as a client: RFC 3261 8.1, 9.1, 12.2.1, 13.2.2, 17.1.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::text::Text;
use crate::time::{At, ms, secs};
use crate::wire::{Over, Wire};

/// How long retransmitted finals must still be acknowledged; Timer D and L last 32 s.
const MEMORY: Duration = secs(30);

/// The ACK to a refusal is the transaction's own and leaves in the same step.
const AT_ONCE: Duration = ms(1);

/// The ACK to a 2xx may wait for the caller's, for it may carry the answer to the offer in the 2xx. After 64*T1 the
/// callee gives up (RFC 3261 13.3.1.4).
const RELAYED: Duration = PATIENCE;

/// 64*T1.
const PATIENCE: Duration = secs(32);

/// The same by a clock that runs fast.
const PATIENCE_AT_LEAST: Duration = ms(31_800);

#[derive(Debug)]
struct Transaction {
    text: Text,
    bytes: Bytes,
    to: SocketAddr,
    provisional: bool,
    sent: At,
    /// It was over before its first final response came: the network said that it could not be delivered, or the
    /// server's patience was at its end.
    given_up: bool,
    cancelled: Option<At>,
    /// First final response: status, To, when.
    finished: Option<(u16, String, At)>,
}

/// An ACK that is owed: by Call-ID, CSeq number and To-tag.
type Debt = (String, u32, String);

/// What one server sent as a client.
#[derive(Debug, Default)]
pub struct ClientSide {
    /// By branch and method.
    transactions: BTreeMap<(String, String), Transaction>,
    /// Highest CSeq sent in a dialog, by Call-ID and own tag.
    highest: BTreeMap<(String, String), u32>,
    /// Call-IDs in which a BYE was sent: who still repeats his 2xx there hears the BYE instead of an ACK.
    ended: BTreeSet<String>,
    /// 2xx that came for an INVITE of a process of which nothing is left, by Call-ID and CSeq number: they may be
    /// acknowledged.
    strays: BTreeSet<(String, u32)>,
    /// Until when each must be paid.
    debts: BTreeMap<Debt, At>,
    /// The process that began some of it has died.
    outlived: bool,
}

impl ClientSide {
    /// A response came.
    pub fn response_came(&mut self, response: &Text, now: At) {
        let Some((number, method)) = response.cseq() else { return };
        let key = (response.branch().to_owned(), method.to_owned());
        let code = response.code().unwrap_or(0);
        let Some(transaction) = self.transactions.get_mut(&key) else {
            if method == "INVITE" && (200..300).contains(&code) {
                self.strays.insert((response.call_id().to_owned(), number));
            }
            return;
        };
        if transaction.text.call_id() != response.call_id() {
            return;
        }
        // Timer B, or 64*T1 after a CANCEL: the transaction is over, and what comes now matches nothing.
        let given_up = transaction.given_up
            || (!transaction.provisional && now - transaction.sent >= PATIENCE_AT_LEAST)
            || transaction.cancelled.is_some_and(|at| now - at >= PATIENCE_AT_LEAST);
        if transaction.finished.is_none() {
            transaction.given_up = given_up;
        }
        if code < 200 {
            transaction.provisional = true;
            return;
        }
        let to = response.get("To").unwrap_or_default().to_owned();
        let again = transaction.finished.is_some();
        let (first, _, since) = transaction.finished.get_or_insert((code, to, now));
        // Timers D and L are over, or the first final decided otherwise (a 2xx after a refusal is nobody's).
        let ended = again && self.ended.contains(response.call_id());
        let stale =
            transaction.given_up || ended || now - *since > MEMORY || (*first >= 300) != (code >= 300);
        if method == "INVITE" && !stale {
            let tag = response.to_tag().unwrap_or_default().to_owned();
            let grace = if code < 300 { RELAYED } else { AT_ONCE };
            self.debts.entry((response.call_id().to_owned(), number, tag)).or_insert(now + grace);
        }
    }

    /// A request came. Whoever ends a call says no more that he has answered it, and a process that hears of both at once,
    /// when it goes on, owes him nothing.
    pub fn request_came(&mut self, request: &Text) {
        if self.outlived && request.method() == "BYE" {
            self.debts.retain(|(id, ..), _| id != request.call_id());
            self.ended.insert(request.call_id().to_owned());
        }
    }

    /// A request is sent.
    pub fn request_sent(
        &mut self,
        request: &Text,
        wire: &Wire,
        to: SocketAddr,
        held: bool,
        now: At,
        found: &mut Vec<String>,
    ) {
        let method = request.method();
        let key = (request.branch().to_owned(), method.to_owned());
        if method == "ACK" {
            self.pay(request, found);
        }
        if let Some(known) = self.transactions.get(&key) {
            // A CANCEL of the process before said another reason; nor did that store whether it was answered.
            let anew = self.outlived && method == "CANCEL";
            if known.bytes != wire.bytes && !anew {
                found.push("a retransmission that is not identical".into());
            }
            if known.finished.is_some() && method != "ACK" && !held && !anew {
                found.push("a retransmission after the final response".into());
            }
            return;
        }
        if method == "BYE" {
            self.ended.insert(request.call_id().to_owned());
        }
        match method {
            "ACK" => self.check_ack(request, found),
            "CANCEL" => self.check_cancel(request, held, now, found),
            _ => self.check_order(request, found),
        }
        let fresh = Transaction {
            text: request.clone(),
            bytes: wire.bytes.clone(),
            to,
            provisional: false,
            sent: now,
            given_up: false,
            cancelled: None,
            finished: None,
        };
        self.transactions.insert(key, fresh);
        if self.transactions.len() > 20_000 {
            self.transactions
                .retain(|_, t| t.finished.as_ref().is_none_or(|(_, _, at)| now - *at < secs(120)));
        }
    }

    fn pay(&mut self, ack: &Text, found: &mut Vec<String>) {
        let number = ack.cseq().map_or(0, |(n, _)| n);
        let tag = ack.to_tag().unwrap_or_default().to_owned();
        if ack.to_tag().is_none() {
            found.push("an ACK without a tag in To".into());
        }
        self.debts.remove(&(ack.call_id().to_owned(), number, tag));
    }

    /// 17.1.1.3 for a refusal, 13.2.2.4 for a 2xx.
    fn check_ack(&self, ack: &Text, found: &mut Vec<String>) {
        let invite = self.transactions.get(&(ack.branch().to_owned(), "INVITE".to_owned()));
        let number = ack.cseq().map(|(n, _)| n);
        let Some(invite) = invite else {
            let answered = self.transactions.values().any(|t| {
                t.text.method() == "INVITE"
                    && t.text.call_id() == ack.call_id()
                    && t.text.cseq().map(|(n, _)| n) == number
                    && t.finished.as_ref().is_some_and(|(code, _, _)| *code < 300)
            });
            let stray = number.is_some_and(|n| self.strays.contains(&(ack.call_id().to_owned(), n)));
            if !answered && !stray {
                found.push("an ACK to no 2xx that came".into());
            }
            return;
        };
        match &invite.finished {
            Some((300.., to, _)) if ack.get("To") == Some(to) => {}
            Some((300.., _, _)) => found.push("an ACK whose To is not the refusal's".into()),
            Some(_) => found.push("an ACK to a 2xx with the INVITE's branch".into()),
            None => found.push("an ACK before any final response".into()),
        }
        if ack.uri() != invite.text.uri() || ack.cseq().map(|(n, _)| n) != invite.text.cseq().map(|(n, _)| n)
        {
            found.push("an ACK to a refusal with another Request-URI or CSeq number than its INVITE".into());
        }
    }

    /// 9.1.
    fn check_cancel(&mut self, cancel: &Text, held: bool, now: At, found: &mut Vec<String>) {
        let Some(invite) = self.transactions.get_mut(&(cancel.branch().to_owned(), "INVITE".to_owned()))
        else {
            if self.outlived {
                // The process before may have died before its INVITE left.
                return;
            }
            found.push("a CANCEL whose branch is no INVITE's".into());
            return;
        };
        if !invite.provisional && !self.outlived {
            found.push("a CANCEL before any provisional response".into());
        }
        if invite.finished.is_some() && !held && !self.outlived {
            found.push("a CANCEL after the final response".into());
        }
        invite.cancelled.get_or_insert(now);
        let same = |name| cancel.get(name) == invite.text.get(name);
        let number = |text: &Text| text.cseq().map(|(n, _)| n);
        let alike =
            ["From", "To", "Call-ID", "Via"].into_iter().all(same) && cancel.uri() == invite.text.uri();
        if !alike || number(cancel) != number(&invite.text) {
            found.push("a CANCEL that differs from its INVITE".into());
        }
    }

    /// 12.2.1.1: each request in a dialog has a higher number than the one before.
    fn check_order(&mut self, request: &Text, found: &mut Vec<String>) {
        let tag = request.from_tag().unwrap_or_default().to_owned();
        let Some((number, _)) = request.cseq() else { return };
        let key = (request.call_id().to_owned(), tag);
        if let Some(highest) = self.highest.get(&key)
            && number <= *highest
        {
            found.push(format!("CSeq {number} after {highest} in one dialog"));
        }
        self.highest.insert(key, number);
    }

    /// What is owed and was not paid in time.
    pub fn overdue(&mut self, slack: Duration, now: At, found: &mut Vec<String>) {
        while let Some((debt, due)) = self.debts.iter().min_by_key(|(_, due)| **due) {
            if now <= *due + slack {
                return;
            }
            let (call_id, number, _) = debt;
            found.push(format!("no ACK to a final response of INVITE {number} of {call_id}"));
            let debt = debt.clone();
            self.debts.remove(&debt);
        }
    }

    /// The network told the server that what it sent there was not delivered: its requests there are over, and what it
    /// owes there it may have tried to pay.
    pub fn refused(&mut self, over: Over, to: SocketAddr) {
        let token = if over == Over::Tcp { "SIP/2.0/TCP" } else { "SIP/2.0/UDP" };
        for transaction in self.transactions.values_mut().filter(|t| t.to == to) {
            let via = transaction.text.get("Via").unwrap_or_default();
            if !via.starts_with(token) {
                continue;
            }
            transaction.given_up |= transaction.finished.is_none();
            if transaction.finished.is_some() && over == Over::Tcp && transaction.text.method() == "INVITE" {
                let (call_id, number) = (transaction.text.call_id(), transaction.text.cseq().map(|(n, _)| n));
                self.debts.retain(|(id, cseq, _), _| id != call_id || Some(*cseq) != number);
            }
        }
    }

    /// Another process goes on: it owes nothing, and takes back what may never have left. What refused an INVITE of the
    /// one before says nothing of that INVITE's Request-URI, which its ACK would have to name.
    pub fn outlive(&mut self) {
        self.excuse();
        let refused = |t: &&mut Transaction| t.finished.as_ref().is_some_and(|(code, ..)| *code >= 300);
        self.transactions.values_mut().filter(refused).for_each(|t| t.given_up = true);
        self.outlived = true;
    }

    /// Nothing is owed.
    pub fn excuse(&mut self) {
        self.debts.clear();
    }
}
