//! Subscriptions of a phone (RFC 6665): lamps of other numbers (RFC 4235) and its own mailbox (RFC 3842). What a mailbox
//! itself says is here, too.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Ua;
use super::client::{PATIENCE, Purpose};
use super::digest::Challenge;
use super::leg::Dialog;
use crate::text::Text;
use crate::time::{At, secs};
use crate::wire::Packet;

/// One subscription.
#[derive(Debug)]
pub struct Watch {
    /// Whose calls or mailbox.
    pub number: String,
    /// Event package.
    pub event: &'static str,
    /// The states of the calls by their names.
    pub lamps: BTreeMap<String, String>,
    /// Body of the latest NOTIFY, if it had one.
    pub heard: String,
    /// NOTIFYs that came.
    pub notified: u32,
    site: SocketAddr,
    version: Option<u64>,
    challenged: u8,
    dialog: Dialog,
}

impl Watch {
    /// Calls that are answered, as the lamp shows them.
    #[must_use]
    pub fn confirmed(&self) -> usize {
        self.lamps.values().filter(|state| *state == "confirmed").count()
    }

    /// Takes a document; what is wrong with it.
    fn takes(&mut self, body: &str) -> Result<(), String> {
        body.clone_into(&mut self.heard);
        let Some(root) = body.split_once("<dialog-info").map(|(_, rest)| rest) else { return Ok(()) };
        let version: u64 = attribute(root, "version").and_then(|v| v.parse().ok()).ok_or("no version")?;
        let (full, last) = (attribute(root, "state") == Some("full"), self.version);
        let in_turn = match last {
            None => full,
            Some(last) if full => version > last,
            Some(last) => version == last + 1,
        };
        if !in_turn {
            return Err(format!(
                "{} document {version} after {last:?}",
                if full { "full" } else { "partial" }
            ));
        }
        self.version = Some(version);
        if full {
            self.lamps.clear();
        }
        for dialog in root.split("<dialog ").skip(1) {
            let id = attribute(dialog, "id").ok_or("a call without a name")?;
            let state = dialog.split_once("<state>").and_then(|(_, rest)| rest.split_once("</state>"));
            match state.map(|(state, _)| state).ok_or("a call without a state")? {
                "terminated" => drop(self.lamps.remove(id)),
                state => drop(self.lamps.insert(id.to_owned(), state.to_owned())),
            }
        }
        Ok(())
    }
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

impl Ua {
    /// What the device watches.
    #[must_use]
    pub fn watches(&self) -> &[Watch] {
        &self.watches
    }

    /// Subscribes at its first site.
    pub fn subscribe(&mut self, event: &'static str, number: &str, now: At) {
        let site = self.profile.sites.first().copied().unwrap_or(self.profile.addr);
        let watch = Watch {
            number: number.to_owned(),
            event,
            lamps: BTreeMap::new(),
            heard: String::new(),
            notified: 0,
            site,
            version: None,
            challenged: 0,
            dialog: Dialog::default(),
        };
        self.watches.push(watch);
        self.subscribe_anew(self.watches.len() - 1, now);
    }

    fn subscribe_anew(&mut self, place: usize, now: At) {
        let (call_id, tag) = (self.dice.hex(), self.dice.hex());
        let (own, addr) = (&self.profile.number, self.profile.addr);
        let Some(watch) = self.watches.get_mut(place) else { return };
        watch.dialog = Dialog {
            call_id: format!("{call_id}@{}", addr.ip()),
            local: format!("<sip:{own}@{}>;tag={tag}", watch.site.ip()),
            remote: format!("<sip:{}@{}>", watch.number, watch.site.ip()),
            target: format!("sip:{}@{}", watch.number, watch.site),
            ..Dialog::default()
        };
        (watch.version, watch.challenged) = (None, 0);
        watch.lamps.clear();
        self.send_subscribe(place, None, now);
    }

    /// Refreshes a subscription, whether it is time or not.
    pub fn subscribe_again(&mut self, place: usize, now: At) {
        self.send_subscribe(place, None, now);
    }

    fn send_subscribe(&mut self, place: usize, authorization: Option<(&str, String)>, now: At) {
        let contact = self.contact();
        let Some(watch) = self.watches.get_mut(place) else { return };
        watch.dialog.local_cseq += 1;
        let to = watch.dialog.next_hop().unwrap_or(watch.site);
        let mut request = watch
            .dialog
            .request("SUBSCRIBE", watch.dialog.local_cseq)
            .with("Contact", contact)
            .with("Event", watch.event)
            .with("Expires", "3600");
        if let Some((name, value)) = authorization {
            request = request.with(name, value);
        }
        self.send_request(request, to, Purpose::Watch(place), PATIENCE, now);
    }

    pub(super) fn watch_answered(&mut self, place: usize, response: &Text, code: u16, now: At) {
        let (number, password) = (self.profile.number.clone(), self.profile.password.clone());
        let Some(watch) = self.watches.get_mut(place) else { return };
        match code {
            401 | 407 if watch.challenged < 3 => {
                let (asks, answers) = match code {
                    401 => ("WWW-Authenticate", "Authorization"),
                    _ => ("Proxy-Authenticate", "Proxy-Authorization"),
                };
                watch.challenged += 1;
                let Some(mut challenge) = response.all(asks).find_map(Challenge::parse) else { return };
                let value = challenge.answer(&number, &password, "SUBSCRIBE", &watch.dialog.target);
                self.send_subscribe(place, Some((answers, value)), now);
            }
            200..300 => {
                watch.challenged = 0;
                // A NOTIFY may have come first, and made the dialog.
                if watch.dialog.remote_tag().is_empty() {
                    watch.dialog.confirm(response);
                }
            }
            408 | 481 => self.subscribe_anew(place, now),
            _ => {}
        }
    }

    pub(super) fn watch_unanswered(&mut self, place: usize, now: At) {
        self.subscribe_anew(place, now);
    }

    /// A NOTIFY within a subscription. False: it belongs to none.
    pub(super) fn take_notify(&mut self, request: &Text, packet: &Packet, now: At) -> bool {
        let belongs = |watch: &Watch| {
            let (dialog, theirs) = (&watch.dialog, watch.dialog.remote_tag());
            dialog.call_id == request.call_id()
                && request.to_tag() == Some(dialog.local_tag())
                && (theirs.is_empty() || request.from_tag() == Some(theirs))
        };
        let Some(place) = self.watches.iter().position(belongs) else { return false };
        let at = self.admit(request, packet);
        let Some(watch) = self.watches.get_mut(place) else { return false };
        let cseq = request.cseq().map_or(0, |(n, _)| n);
        if watch.dialog.remote_tag().is_empty() {
            request.get("From").unwrap_or_default().clone_into(&mut watch.dialog.remote);
        }
        watch.dialog.refresh(request);
        let (last, wrong) = (watch.dialog.remote_cseq, watch.takes(&request.body).err());
        watch.dialog.remote_cseq = last.max(cseq);
        watch.notified += 1;
        if cseq <= last {
            self.respond(at, 500, |r| r, now);
            self.faults.push(format!("{} is sent NOTIFY {cseq} after {last}", self.profile.name));
            return true;
        }
        if let Some(wrong) = wrong {
            self.faults.push(format!("{} watches {}: {wrong}", self.profile.name, watch.number));
        }
        self.respond(at, 200, |r| r, now);
        true
    }

    /// A mailbox says what waits in it (RFC 3842 3.10).
    pub fn tell_mailbox(&mut self, number: &str, waiting: bool, now: At) {
        let site = self.profile.sites.first().copied().unwrap_or(self.profile.addr);
        let (call_id, tag, addr) = (self.dice.hex(), self.dice.hex(), self.profile.addr);
        let mut request = Text::request("NOTIFY", &format!("sip:{number}@{site}"))
            .with("From", format!("<sip:mailbox@{addr}>;tag={tag}"))
            .with("To", format!("<sip:{number}@{}>", site.ip()))
            .with("Call-ID", format!("{call_id}@{}", addr.ip()))
            .with("CSeq", "1 NOTIFY")
            .with("Max-Forwards", "70")
            .with("Contact", self.contact())
            .with("Event", "message-summary")
            .with("Subscription-State", "active")
            .with("Content-Type", "application/simple-message-summary");
        request.body = format!("Messages-Waiting: {}\r\n", if waiting { "yes" } else { "no" });
        self.send_request(request, site, Purpose::CleanUp, secs(32), now);
    }
}
