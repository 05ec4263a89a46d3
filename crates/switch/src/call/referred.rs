//! What a REFER asks for: `Refer-To` (RFC 3515 2.1), with `Replaces` in its URI (RFC 3891 6.1), `Refer-Sub` (RFC 4488) and
//! `Referred-By` (RFC 3892).

use std::sync::Arc;

use tandem_sip::uri::unescape;
use tandem_sip::{Dialog, HeaderName, Message, NameAddr, Params, Scheme};

use super::news::LegNo;
use super::setup::Caller;
use super::{Call, Phase};
use crate::directory::Directory;
use crate::reject::Reject;
use crate::rooms::{Device, Rooms};
use crate::routing;

pub(super) const REFER_SUB: &[u8] = b"Refer-Sub";
/// Option tag of RFC 4488.
const NO_REFER_SUB: &[u8] = b"norefersub";
/// Option tag of RFC 3891.
const REPLACES: &[u8] = b"replaces";

/// A REFER within a call.
#[derive(Clone, Debug)]
pub struct Referred {
    /// Leg of the party that sent it.
    pub by: LegNo,
    /// Where to.
    pub to: ReferTo,
    /// `Referred-By` as it came.
    pub referred_by: Option<Box<[u8]>>,
}

/// `Refer-To`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferTo {
    /// The number, as it would be dialled.
    pub number: Box<[u8]>,
    /// The dialog that the call is to take the place of.
    pub replaces: Option<Replaces>,
}

/// `Replaces`, as the one who is asked sees the dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// Call-ID.
    pub call_id: Box<[u8]>,
    /// His own tag.
    pub to_tag: Box<[u8]>,
    /// The other end's tag.
    pub from_tag: Box<[u8]>,
    /// Only while it is not answered.
    pub early_only: bool,
}

impl Replaces {
    /// Reads a `Replaces` value. `None`: it is none, or names a tag twice.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let at = value.iter().position(|byte| *byte == b';')?;
        let call_id = value.get(..at)?.trim_ascii();
        let params = Params::parse(value.get(at..)?).ok()?;
        let once = |name: &[u8]| params.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).count() == 1;
        if call_id.is_empty() || !once(b"to-tag") || !once(b"from-tag") {
            return None;
        }
        Some(Self {
            call_id: call_id.into(),
            to_tag: params.value(b"to-tag")?.into(),
            from_tag: params.value(b"from-tag")?.into(),
            early_only: params.has(b"early-only"),
        })
    }

    /// Reads a `Target-Dialog` value (RFC 4538 7), turned round: its sender's own tag is the other end's here.
    #[must_use]
    pub fn of_target_dialog(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let at = value.iter().position(|byte| *byte == b';')?;
        let params = Params::parse(value.get(at..)?).ok()?;
        Some(Self {
            call_id: value.get(..at)?.trim_ascii().into(),
            to_tag: params.value(b"remote-tag")?.into(),
            from_tag: params.value(b"local-tag")?.into(),
            early_only: false,
        })
    }

    /// As it stands in a header.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut out = self.call_id.to_vec();
        for (name, tag) in [(&b";to-tag="[..], &self.to_tag), (b";from-tag=", &self.from_tag)] {
            out.extend_from_slice(name);
            out.extend_from_slice(tag);
        }
        if self.early_only {
            out.extend_from_slice(b";early-only");
        }
        out
    }
}

impl ReferTo {
    /// Reads the `Refer-To` of a REFER.
    ///
    /// # Errors
    /// 400 when there is not exactly one that can be read, 403 for what is no telephone address, 501 for a request other
    /// than INVITE.
    pub fn of(refer: &Message) -> Result<Self, Reject> {
        let bad = || Reject::because(400, "Bad Refer-To");
        let mut values = refer.lines(HeaderName::ReferTo);
        let value = values.next().ok_or_else(|| Reject::because(400, "Missing Refer-To"))?;
        if values.next().is_some() {
            return Err(Reject::because(400, "Refer-To More Than Once"));
        }
        let address = NameAddr::parse(value).map_err(|_| bad())?;
        let uri = address.uri().map_err(|_| bad())?;
        match uri.scheme {
            Scheme::Sip | Scheme::Sips | Scheme::Tel => {}
            Scheme::Other => return Err(Reject::because(403, "Refer-To Is No Telephone Address")),
        }
        if uri.params.value(b"method").is_some_and(|method| !method.eq_ignore_ascii_case(b"INVITE")) {
            return Err(Reject::because(501, "Refer-To Asks For A Request Other Than INVITE"));
        }
        let mut replaces = None;
        for (name, value) in uri.header_pairs() {
            if unescape(name).eq_ignore_ascii_case(REPLACES) {
                let read = Replaces::parse(&unescape(value)).filter(|_| replaces.is_none());
                replaces = Some(read.ok_or_else(|| Reject::because(400, "Bad Replaces"))?);
            }
        }
        let number = match routing::number(&uri) {
            Some(number) => number,
            // A dialog says all; a phone that never learnt a number may leave it out.
            None if replaces.is_some() => Vec::new(),
            None => return Err(Reject::because(400, "Refer-To Without A Number")),
        };
        Ok(Self { number: number.into(), replaces })
    }
}

impl Call {
    /// The configuration that its devices belong to.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory)
    }

    /// The device at a leg.
    #[must_use]
    pub fn device_at(&self, leg: LegNo) -> Option<Device> {
        self.legs.get(usize::from(leg)).map(|leg| leg.device)
    }

    /// Who is at a leg, by name.
    #[must_use]
    pub fn name_at(&self, leg: LegNo) -> Option<Arc<str>> {
        Rooms::shared_name(&self.directory, self.device_at(leg)?)
    }

    /// The leg of an answered call whose dialog this is, seen from this server.
    #[must_use]
    pub fn leg_of(&self, replaces: &Replaces) -> Option<LegNo> {
        let Phase::Talk(talking) = &self.phase else { return None };
        talking.talk.legs.iter().find(|leg| replaces.names(&leg.dialog)).map(|leg| leg.no)
    }

    /// Whose place an INVITE wants that names this dialog: of the party whose dialog with this server it is, told from this
    /// server's end; told from the party's own end, of the other one (RFC 3891 3).
    #[must_use]
    pub fn place_in(&self, replaces: &Replaces) -> Option<LegNo> {
        let Phase::Talk(talking) = &self.phase else { return None };
        self.leg_of(replaces).or_else(|| {
            let turned = Replaces {
                to_tag: replaces.from_tag.clone(),
                from_tag: replaces.to_tag.clone(),
                ..replaces.clone()
            };
            let leg = talking.talk.legs.iter().find(|leg| turned.names(&leg.dialog))?;
            self.other_leg(leg.no)
        })
    }

    /// The leg that an answered one talks with.
    #[must_use]
    pub fn other_leg(&self, leg: LegNo) -> Option<LegNo> {
        let Phase::Talk(talking) = &self.phase else { return None };
        Some(talking.talk.leg(talking.talk.side_of(leg)?.other()).no)
    }

    /// Whether it is a conference's.
    #[must_use]
    pub fn is_at_mixer(&self) -> bool {
        self.legs.iter().any(|leg| leg.device == Device::Mixer)
    }

    /// The number that an unanswered call is for, if this dialog is its caller's.
    #[must_use]
    pub fn dialled_in(&self, replaces: &Replaces) -> Option<&[u8]> {
        let Phase::Setup(setup) = &self.phase else { return None };
        let Caller::Invite(..) = setup.caller else { return None };
        let asked = setup.request.envelope().ok()?;
        let is_his = asked.call_id == &*replaces.call_id && asked.from_tag == Some(&*replaces.from_tag);
        is_his.then_some(&*self.to)
    }
}

impl Replaces {
    /// Whether it names this dialog of ours.
    #[must_use]
    pub fn names(&self, dialog: &Dialog) -> bool {
        dialog.call_id() == &*self.call_id
            && dialog.local_tag() == &*self.to_tag
            && dialog.remote_tag() == &*self.from_tag
    }
}

/// Whether the sender of a REFER wants no subscription (RFC 4488 4).
#[must_use]
pub fn wants_no_subscription(refer: &Message) -> bool {
    let says_no = |value: &[u8]| {
        let token = value.split(|byte| *byte == b';').next().unwrap_or_default();
        token.trim_ascii().eq_ignore_ascii_case(b"false")
    };
    refer.other(REFER_SUB).is_some_and(says_no) || refer.has_token(HeaderName::Require, NO_REFER_SUB)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refer_to(value: &str) -> Result<ReferTo, u16> {
        let text = format!(
            "REFER sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP b;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n\
             Call-ID: x\r\nCSeq: 2 REFER\r\n{value}Content-Length: 0\r\n\r\n"
        );
        let message = Message::parse(text.into_bytes().into()).unwrap();
        ReferTo::of(&message).map_err(|reject| reject.status)
    }

    #[test]
    fn a_number_and_the_dialog_to_replace_are_read_from_the_uri() {
        let found = refer_to("Refer-To: <sip:1004@h>\r\n").unwrap();
        assert_eq!((&*found.number, found.replaces), (&b"1004"[..], None));
        let found = refer_to(
            "Refer-To: \"X\" <sip:1004@h;transport=tcp?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n",
        );
        let replaces = found.unwrap().replaces.unwrap();
        assert_eq!(
            (&*replaces.call_id, &*replaces.to_tag, &*replaces.from_tag),
            (&b"a@b"[..], &b"1"[..], &b"2"[..])
        );
        assert_eq!(replaces.print(), b"a@b;to-tag=1;from-tag=2");
        assert_eq!(&*refer_to("r: <tel:+49-30>\r\n").unwrap().number, b"+4930");
        assert_eq!(&*refer_to("Refer-To: sip:1004@h;method=INVITE\r\n").unwrap().number, b"1004");
    }

    #[test]
    fn what_cannot_be_called_gets_its_own_refusal() {
        for (value, status) in [
            ("", 400),
            ("Refer-To: <sip:1@h>\r\nRefer-To: <sip:2@h>\r\n", 400),
            ("Refer-To: <sip:1@h\r\n", 400),
            ("Refer-To: <sip:h>\r\n", 400),
            ("Refer-To: <http://h/1>\r\n", 403),
            ("Refer-To: <sip:1@h;method=BYE>\r\n", 501),
            ("Refer-To: <sip:1@h?Replaces=a>\r\n", 400),
            ("Refer-To: <sip:1@h?Replaces=a%3Bto-tag%3D1%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n", 400),
        ] {
            assert_eq!(refer_to(value), Err(status), "{value}");
        }
    }
}
