//! A server that asks for credentials, phones that have them, and what is said of those who do not.

use std::sync::Arc;

use tandem_peer::trunk::TrunkOptions;
use tandem_sip::auth::{Challenge, Login, answer};
use tandem_sip::{HeaderName, Message};
use tandem_switch::Event;
use tandem_switch::directory::{Authenticate, Directory, Extension, Options};
use tandem_switch::guard::Offence;

use crate::support::{Bed, directory, header, with};

pub const STRANGER: &str = "203.0.113.7:5060";

/// Requests of Extensions need credentials; nothing is probed.
pub fn guarded(change: impl FnOnce(&mut Options, &mut Vec<Extension>)) -> Arc<Directory> {
    directory(|options, extensions, trunks| {
        options.authenticate = Authenticate { register: true, invite: true };
        options.dr_peer_trunk = None;
        trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
        change(options, extensions);
    })
}

pub fn bed(change: impl FnOnce(&mut Options)) -> Bed {
    Bed::with(guarded(|options, _| change(options)))
}

/// A REGISTER of a DN from an address.
pub fn register(dn: &str, at: &str, id: u32) -> String {
    format!(
        "REGISTER sip:10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bKr{id}{dn};rport\nMax-Forwards: 70\n\
         From: <sip:{dn}@tandem>;tag=r\nTo: <sip:{dn}@tandem>\nCall-ID: r{dn}{at}\nCSeq: {id} REGISTER\n\
         Contact: <sip:{dn}@{at}>;expires=3600\nContent-Length: 0\n\n"
    )
}

/// The request with the answer to a challenge.
pub fn proven(text: &str, challenged: &Message, dn: &str, password: &str) -> String {
    let challenge = challenged.header(HeaderName::WwwAuthenticate).expect("a challenge");
    let challenge = Challenge::parse(challenge).unwrap();
    let login = Login { user: dn.as_bytes(), password: password.as_bytes() };
    let mut words = text.split(' ');
    let (method, uri) = (words.next().unwrap(), words.next().unwrap());
    let line = answer(&challenge, login, method.as_bytes(), uri.as_bytes(), b"0a4f113b", 1);
    let text = text.replacen(";branch=z9hG4bK", ";branch=z9hG4bKp", 1);
    with(&text, &format!("Authorization: {}", String::from_utf8(line).unwrap()))
}

impl Bed {
    /// What a request is answered with, if it is.
    pub fn told(&mut self, at: &str, text: &str) -> Option<u16> {
        self.receive(at, text);
        self.take(at).last().and_then(Message::code)
    }

    /// What an attempt to register with this password is answered with at the end.
    pub fn tries(&mut self, dn: &str, at: &str, password: &str, id: u32) -> Option<u16> {
        let first = register(dn, at, id);
        self.receive(at, &first);
        let challenged = self.take(at).pop()?;
        if challenged.code() != Some(401) {
            return challenged.code();
        }
        let second = proven(&first, &challenged, dn, password)
            .replace(&format!("CSeq: {id} "), &format!("CSeq: {} ", id + 1));
        self.told(at, &second)
    }

    /// What was said of sources since this was asked last: the words, and the address.
    pub fn incidents(&mut self) -> Vec<(&'static str, String)> {
        let said = std::mem::take(&mut self.events).into_iter().filter_map(|event| {
            let Event::Guard(incident) = event else { return None };
            Some((incident.offence.words(), incident.source.ip().to_string()))
        });
        said.collect()
    }

    pub fn offences(&mut self) -> Vec<Offence> {
        let said = std::mem::take(&mut self.events).into_iter().filter_map(|event| {
            let Event::Guard(incident) = event else { return None };
            Some(incident.offence)
        });
        said.collect()
    }
}

pub fn reason(message: &Message) -> String {
    header(message, HeaderName::Reason)
}
