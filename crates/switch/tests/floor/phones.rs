//! Phones that answer by themselves.

use std::collections::BTreeMap;

use tandem_sip::{HeaderName, Message};

use crate::support::{answer, body, from_callee, header, in_dialog, invite, line, sdp, with};

/// What a phone does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    Answers,
    Rings,
    Refuses(u16),
    Dead,
}

/// A call at a phone.
struct Leg {
    /// The phone's own number of it.
    id: String,
    /// The INVITE that came, and the phone's tag; or the INVITE that went out.
    side: Side,
    up: bool,
}

enum Side {
    Called { invite: Message, tag: String },
    Calling { invite: String, ok: Option<Message> },
}

pub struct Phone {
    at: String,
    pub acts: Acts,
    legs: Vec<Leg>,
    /// First lines of everything that came.
    pub heard: Vec<String>,
    next: u32,
}

/// By address.
pub type Phones = BTreeMap<String, Phone>;

fn call_id(message: &Message) -> String {
    header(message, HeaderName::CallId)
}

fn typed(text: &str) -> String {
    with(text, "Content-Type: application/sdp")
}

impl Phone {
    pub fn new(at: &str) -> Self {
        Self { at: at.to_owned(), acts: Acts::Answers, legs: Vec::new(), heard: Vec::new(), next: 0 }
    }

    /// Calls that it talks, rings or dials in.
    pub fn calls(&self) -> usize {
        self.legs.len()
    }

    /// What it sends when this comes.
    pub fn hears(&mut self, message: &Message) -> Vec<String> {
        self.heard.push(line(message));
        if message.code().is_some() { self.response(message) } else { self.request(message) }
    }

    fn request(&mut self, request: &Message) -> Vec<String> {
        let method = line(request).split(' ').next().unwrap().to_owned();
        let tagged = header(request, HeaderName::To).contains(";tag=");
        if self.acts == Acts::Dead {
            return Vec::new();
        }
        match &*method {
            "ACK" => Vec::new(),
            "INVITE" if tagged => {
                let way = if body(request).contains("a=inactive") { "inactive" } else { "sendrecv" };
                vec![typed(&answer(request, 200, "", &self.at, &sdp("phone", way)))]
            }
            "INVITE" => self.called(request),
            "CANCEL" => self.cancelled(request),
            "BYE" => {
                self.legs.retain(|leg| leg.call_id() != call_id(request));
                vec![answer(request, 200, "", &self.at, "")]
            }
            "NOTIFY" if header(request, HeaderName::Event) == "talk" => {
                let mut sent = vec![answer(request, 200, "", &self.at, "")];
                sent.extend(self.answers_one(Some(&call_id(request))));
                sent
            }
            _ => vec![answer(request, 200, "", &self.at, "")],
        }
    }

    fn called(&mut self, invite: &Message) -> Vec<String> {
        if self.legs.iter().any(|leg| leg.call_id() == call_id(invite)) {
            return Vec::new();
        }
        if let Acts::Refuses(code) = self.acts {
            return vec![answer(invite, code, "no", &self.at, "")];
        }
        self.next += 1;
        let tag = format!("p{}", self.next);
        let mut sent = vec![answer(invite, 180, &tag, &self.at, "")];
        let id = call_id(invite);
        self.legs.push(Leg { id: id.clone(), side: Side::Called { invite: invite.clone(), tag }, up: false });
        let asked_to = String::from_utf8_lossy(invite.bytes()).contains("answer-after=0");
        if self.acts == Acts::Answers || asked_to {
            sent.extend(self.answers_one(Some(&id)));
        }
        sent
    }

    fn cancelled(&mut self, cancel: &Message) -> Vec<String> {
        let mut sent = vec![answer(cancel, 200, "c", &self.at, "")];
        let id = call_id(cancel);
        for leg in self.legs.iter().filter(|leg| leg.id == id && !leg.up) {
            if let Side::Called { invite, tag } = &leg.side {
                sent.push(answer(invite, 487, tag, &self.at, ""));
            }
        }
        self.legs.retain(|leg| leg.id != id || leg.up);
        sent
    }

    /// Answers what rings: this one, or the oldest.
    pub fn answers_one(&mut self, id: Option<&str>) -> Option<String> {
        let rings = |leg: &&mut Leg| !leg.up && id.is_none_or(|id| leg.id == id);
        let leg = self.legs.iter_mut().filter(|leg| leg.is_called()).find(rings)?;
        leg.up = true;
        let Side::Called { invite, tag } = &leg.side else { return None };
        Some(typed(&answer(invite, 200, tag, &self.at, &sdp("phone", "sendrecv"))))
    }

    fn response(&mut self, response: &Message) -> Vec<String> {
        let code = response.code().unwrap();
        let cseq = header(response, HeaderName::CSeq);
        let Some((number, "INVITE")) = cseq.split_once(' ') else { return Vec::new() };
        if code < 200 {
            return Vec::new();
        }
        let (at, id) = (self.at.clone(), call_id(response));
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == id) else {
            return if code < 300 {
                vec![in_dialog(response, "ACK", number.parse().unwrap(), &at, "")]
            } else {
                Vec::new()
            };
        };
        let Side::Calling { invite, ok } = &mut leg.side else { return Vec::new() };
        if code < 300 {
            let ack = in_dialog(response, "ACK", number.parse().unwrap(), &at, "");
            *ok = Some(response.clone());
            leg.up = true;
            return vec![ack];
        }
        let head = invite.split("Content-Type").next().unwrap().replace("INVITE sip", "ACK sip");
        let head = head.replace("1 INVITE", "1 ACK");
        let to = head.lines().find(|line| line.starts_with("To: ")).unwrap().to_owned();
        let ack = head.replace(&to, &format!("To: {}", header(response, HeaderName::To)));
        self.legs.retain(|leg| leg.id != id);
        vec![format!("{ack}Content-Length: 0\n\n")]
    }

    /// Calls somebody: the INVITE.
    pub fn dials(&mut self, from: &str, to: &str, id: &str) -> String {
        let plain = invite(from, &self.at, to, id);
        let offer = sdp("caller", "sendrecv");
        let head = plain.split("Content-Length").next().unwrap();
        let invite = format!("{head}Content-Length: {}\n\n{offer}", offer.len());
        let side = Side::Calling { invite: invite.clone(), ok: None };
        self.legs.push(Leg { id: id.to_owned(), side, up: false });
        invite
    }

    /// Transfers what it talks in: the oldest call to a number or, with none, to the party of the next one. Nothing if it
    /// has no call for that.
    pub fn refers(&mut self, to: Option<&str>) -> Option<String> {
        self.next += 1;
        let (cseq, at) = (500 + self.next, self.at.clone());
        let mut up = self.legs.iter().filter(|leg| leg.up);
        let leg = up.next()?;
        let refer_to = match (to, up.next()) {
            (Some(to), _) => format!("Refer-To: <sip:{to}@10.0.0.1>"),
            (None, Some(other)) => other.replaces()?,
            (None, None) => return None,
        };
        let refer = match &leg.side {
            Side::Called { invite, tag } => from_callee(invite, tag, "REFER", cseq, &at, ""),
            Side::Calling { ok, .. } => in_dialog(ok.as_ref()?, "REFER", cseq, &at, ""),
        };
        Some(with(&refer, &refer_to))
    }

    /// `Replaces` of the call that rings at it, as its busy lamp tells it.
    pub fn ringing_dialog(&self) -> Option<String> {
        let leg = self.legs.iter().find(|leg| leg.is_called() && !leg.up)?;
        let Side::Called { invite, tag } = &leg.side else { return None };
        let theirs = header(invite, HeaderName::From);
        let theirs = theirs.split(";tag=").nth(1)?;
        Some(format!("Replaces: {};to-tag={theirs};from-tag={tag}", leg.id))
    }

    /// Ends all its calls.
    pub fn hangs_up(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        let (legs, at) = (std::mem::take(&mut self.legs), self.at.clone());
        for leg in legs {
            self.next += 1;
            let cseq = 900 + self.next;
            match (&leg.side, leg.up) {
                (Side::Called { invite, tag }, true) => {
                    sent.push(from_callee(invite, tag, "BYE", cseq, &at, ""));
                }
                (Side::Called { invite, tag }, false) => sent.push(answer(invite, 486, tag, &at, "")),
                (Side::Calling { ok: Some(ok), .. }, _) => {
                    sent.push(in_dialog(ok, "BYE", cseq, &at, ""));
                }
                (Side::Calling { invite, .. }, _) => {
                    sent.push(crate::support::cancel_of(invite));
                    self.legs.push(leg);
                }
            }
        }
        sent
    }
}

impl Leg {
    fn call_id(&self) -> &str {
        &self.id
    }

    /// `Refer-To` of its dialog, as the phone sees it.
    fn replaces(&self) -> Option<String> {
        let tag_of = |value: String| value.split(";tag=").nth(1).unwrap_or_default().to_owned();
        let (theirs, own) = match &self.side {
            Side::Called { invite, tag } => (tag_of(header(invite, HeaderName::From)), tag.clone()),
            Side::Calling { ok, .. } => {
                let ok = ok.as_ref()?;
                (tag_of(header(ok, HeaderName::To)), tag_of(header(ok, HeaderName::From)))
            }
        };
        let id = &self.id;
        Some(format!("Refer-To: <sip:x@10.0.0.1?Replaces={id}%3Bto-tag%3D{theirs}%3Bfrom-tag%3D{own}>"))
    }

    fn is_called(&self) -> bool {
        matches!(self.side, Side::Called { .. })
    }
}
