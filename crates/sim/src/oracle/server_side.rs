//! What a server owes as a server: RFC 3261 8.2.6, 12.1.1, 17.2, 18.2.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::text::{Text, param};
use crate::time::{At, ms, secs};
use crate::wire::{Over, Packet, Wire};

/// A request that got no response at all by then was swallowed. One within a dialog is the other side's to answer, and
/// only an INVITE gets a 100 meanwhile.
fn patience(request: &Text) -> Duration {
    let relayed = request.to_tag().is_some() && !matches!(request.method(), "INVITE" | "BYE");
    secs(if relayed { 33 } else { 1 })
}

/// Timer J by a clock that runs fast: a repetition that a slow link brings later than that is another transaction.
const LIFETIME: Duration = ms(31_800);

#[derive(Debug)]
struct Transaction {
    request: Text,
    from: SocketAddr,
    finished: Option<Bytes>,
    /// Silence is counted from here until the first response.
    unanswered_since: Option<At>,
    at: At,
}

/// What one server received as a server.
#[derive(Debug, Default)]
pub struct ServerSide {
    /// By branch, sent-by and method.
    transactions: BTreeMap<(String, String, String), Transaction>,
    waiting: Vec<(String, String, String)>,
}

fn key(text: &Text) -> (String, String, String) {
    (text.branch().to_owned(), text.sent_by().to_owned(), text.method().to_owned())
}

/// What a repeated response must repeat. A challenge is made without a transaction, each time with a fresh nonce
/// (RFC 3261 8.2.7); all else of it must be the same.
fn comparable(bytes: &Bytes, code: u16) -> Bytes {
    if code != 401 {
        return bytes.clone();
    }
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| !line.starts_with(b"WWW-Authenticate")).flatten().copied().collect()
}

impl ServerSide {
    /// A request came.
    pub fn request_came(&mut self, request: &Text, packet: &Packet, now: At) {
        if request.method() == "ACK" {
            return;
        }
        let key = key(request);
        let old = |t: &Transaction| t.finished.is_some() && now - t.at > LIFETIME;
        if request.method() != "INVITE" && self.transactions.get(&key).is_some_and(old) {
            self.transactions.remove(&key);
        }
        self.waiting.push(key.clone());
        self.transactions.entry(key).or_insert_with(|| Transaction {
            request: request.clone(),
            from: packet.from,
            finished: None,
            unanswered_since: Some(now),
            at: now,
        });
        if self.transactions.len() > 20_000 {
            self.transactions.retain(|_, t| now - t.at < secs(600));
        }
    }

    /// A response is sent.
    pub fn response_sent(&mut self, response: &Text, wire: &Wire, to: SocketAddr, found: &mut Vec<String>) {
        let Some(transaction) = self.transactions.get_mut(&key(response)) else {
            found.push("a response to no request that came".into());
            return;
        };
        transaction.unanswered_since = None;
        let (request, code) = (&transaction.request, response.code().unwrap_or(0));
        for name in ["Call-ID", "CSeq", "From"] {
            if request.get(name) != response.get(name) {
                found.push(format!("a response whose {name} is not the request's"));
            }
        }
        if request.all("Via").count() != response.all("Via").count() {
            found.push("a response with other Vias than its request".into());
        }
        check_to(request, response, code, found);
        let via = request.get("Via").unwrap_or_default();
        // Where the connection is gone, 18.2.2 names the port of the Via.
        let elsewhere = to != transaction.from && (!via.contains("/TCP") || to.ip() != transaction.from.ip());
        if param(via, "rport").is_some() && elsewhere {
            found.push(format!("a response to {to} though the request came from {}", transaction.from));
        }
        match (&transaction.finished, code) {
            (Some(sent), ..200) if !sent.starts_with(b"SIP/2.0 401") => {
                found.push("a provisional response after the final one".into());
            }
            (Some(_), ..200) => {}
            // Made without a transaction, a challenge is forgotten: a repeated request is answered by what is true now.
            (Some(sent), _) if sent.starts_with(b"SIP/2.0 401") && code != 401 => {
                transaction.finished = Some(comparable(&wire.bytes, code));
            }
            (Some(sent), _) if *sent != comparable(&wire.bytes, code) => {
                found.push("a second, different final response".into());
            }
            (None, 200..) => transaction.finished = Some(comparable(&wire.bytes, code)),
            (Some(_) | None, _) => {}
        }
    }

    /// What is owed and was not paid in time.
    pub fn overdue(&mut self, slack: Duration, now: At, found: &mut Vec<String>) {
        let transactions = &mut self.transactions;
        self.waiting.retain(|key| {
            let Some(transaction) = transactions.get_mut(key) else { return false };
            let Some(since) = transaction.unanswered_since else { return false };
            if now - since <= patience(&transaction.request) + slack {
                return true;
            }
            transaction.unanswered_since = None;
            found.push(format!("no response at all: {}", transaction.request.summary()));
            false
        });
    }

    /// A connection broke: what was said on it may be lost, and nobody repeats it.
    pub fn refused(&mut self, over: Over, to: SocketAddr) {
        let lost = |t: &&mut Transaction| over == Over::Tcp && t.from == to;
        self.transactions.values_mut().filter(lost).for_each(|t| t.unanswered_since = None);
    }

    /// Nothing is owed.
    pub fn excuse(&mut self) {
        self.waiting.clear();
        for transaction in self.transactions.values_mut() {
            transaction.unanswered_since = None;
        }
    }
}

impl ServerSide {
    /// Another process goes on: it may answer what the one before has answered, and otherwise; it owes nothing.
    pub fn outlive(&mut self) {
        self.excuse();
        for transaction in self.transactions.values_mut() {
            transaction.finished = None;
        }
    }
}

fn check_to(request: &Text, response: &Text, code: u16, found: &mut Vec<String>) {
    let (asked, said) = (request.get("To").unwrap_or_default(), response.get("To").unwrap_or_default());
    if !said.starts_with(asked) {
        found.push("a response whose To is not the request's".into());
    }
    match (request.to_tag(), response.to_tag()) {
        (Some(asked), Some(said)) if asked != said => found.push("a response with another tag in To".into()),
        (_, None) if code > 100 => found.push("a response without a tag in To".into()),
        _ => {}
    }
}
