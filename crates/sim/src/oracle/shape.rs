//! The form of every message a server sends: RFC 3261 7, 8.1.1, 20.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::text::{Text, param};

/// Checks one message by itself.
pub fn check(text: &Text, bytes: &Bytes, own: SocketAddr, found: &mut Vec<String>) {
    let mut blame = |broken: bool, what: &str| {
        if broken {
            found.push(what.to_owned());
        }
    };
    let lengths: Vec<&str> = text.all("Content-Length").collect();
    blame(lengths != [text.body.len().to_string()], "Content-Length is not the length of the body");
    blame(!text.body.is_empty() && text.get("Content-Type").is_none(), "a body without Content-Type");
    for name in ["From", "To", "Call-ID", "CSeq"] {
        blame(text.all(name).count() != 1, &format!("not exactly one {name}"));
    }
    blame(text.get("Via").is_none(), "no Via");
    blame(text.from_tag().is_none(), "no tag in From");
    blame(text.cseq().is_none_or(|(_, method)| method != text.method()), "CSeq names another method");
    match tandem_sip::Message::parse(bytes.clone()) {
        Ok(message) => blame(message.envelope().is_err(), "our own parser refuses a mandatory header"),
        Err(_) => blame(true, "our own parser refuses it"),
    }
    if text.code().is_none() {
        check_request(text, own, &mut blame);
    } else if text.method() == "INVITE" && text.code().is_some_and(|code| (101..300).contains(&code)) {
        blame(text.contact().is_none(), "no Contact in a response that makes a dialog");
    }
}

fn check_request(text: &Text, own: SocketAddr, blame: &mut impl FnMut(bool, &str)) {
    let branch = text.branch();
    blame(!branch.starts_with("z9hG4bK") || branch.len() < 12, "no branch with the magic cookie in Via");
    blame(text.all("Via").count() != 1, "a Via of somebody else on a leg of its own");
    blame(text.sent_by() != own.to_string(), "Via names another sender");
    blame(text.all("Max-Forwards").count() != 1, "not exactly one Max-Forwards");
    let makes_dialog = matches!(text.method(), "INVITE" | "UPDATE");
    blame(makes_dialog && text.contact().is_none(), "no Contact");
    let via = text.get("Via").unwrap_or_default();
    blame(param(via, "rport").is_none() && via.contains("/UDP"), "no rport in a Via over UDP");
}
