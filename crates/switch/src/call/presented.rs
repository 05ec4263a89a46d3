//! Who calls, as a callee is told: what the caller withholds (RFC 3323), what is asserted of him (RFC 3325), the number
//! that an operator presents to a carrier, and from where the call was sent on (RFC 5806, RFC 7044).

use std::sync::Arc;

use smallvec::SmallVec;
use tandem_sip::{Builder, HeaderName, Message};

use super::passage::{Passage, believes, outside};
use super::privacy::Privacy;
use super::setup::{Caller, Setup};
use super::{Call, headers};
use crate::directory::{Asserted, Directory, Forwarding, Presentation, calling_number};
use crate::limits::MAX_SENT_ON;
use crate::rooms::{Device, Rooms};

/// Name and value of a header.
type Line = (&'static [u8], Box<[u8]>);

/// See the module; of one INVITE.
#[derive(Clone, Debug)]
pub struct Presented {
    /// From without its tag, where it is not the caller's own.
    from: Option<Box<[u8]>>,
    /// Lines of this server's own.
    lines: SmallVec<[Line; 4]>,
    /// What passes of the caller's.
    pub(super) passage: Passage,
}

impl Presented {
    /// Writes From; false where it is the caller's own.
    pub(super) fn print_from(&self, builder: &mut Builder<'_>, tag: &[u8]) -> bool {
        let Some(from) = &self.from else { return false };
        builder.parts(HeaderName::From, &[from, b";tag=", tag]);
        true
    }

    /// Writes the lines of this server's own.
    pub(super) fn print(&self, builder: &mut Builder<'_>) {
        for (name, value) in &self.lines {
            builder.raw_header(name, value);
        }
    }
}

/// What is known of a caller.
struct Who<'a> {
    /// His display name, with its quotes.
    display: &'a [u8],
    /// His number, if he is an Extension here.
    extension: Option<(&'a str, &'a Presentation)>,
    believed: bool,
    privacy: Privacy,
    /// He calls for help: who answers must know who he is, whatever he or the operator withholds from others.
    for_help: bool,
}

impl Call {
    /// What an INVITE to this device says of the caller; `None` where his own words are enough.
    pub(super) fn presented_to(&self, rooms: &Rooms, setup: &Setup, to: Device) -> Option<Box<Presented>> {
        let directory = Arc::clone(&self.directory);
        let from = match &setup.caller {
            Caller::Leg(_, leg) => leg.device,
            Caller::Invite(..) | Caller::Nobody(_) | Caller::Aside(_) => self.legs.first()?.device,
        };
        let request = &setup.request;
        let env = request.envelope().ok()?;
        let for_help = rooms.ledger.is_emergency(self.uuid);
        let who = Who {
            display: env.from.display,
            extension: own(&directory, from),
            believed: believes(&directory, from),
            privacy: if for_help { Privacy::default() } else { Privacy::of(request) },
            for_help,
        };
        let ours = rooms.lines.sent_by.as_bytes();
        let sent_on = &self.sent_on;
        match (outside(&directory, to), to) {
            (Some(trunk), _) => Some(Box::new(to_trunk(&who, &trunk, request, ours, sent_on))),
            (None, Device::Extension(_)) => to_phone(&who, request, &directory, ours, sent_on).map(Box::new),
            (None, Device::Trunk(_) | Device::Mixer) => {
                let passage = Passage { believed: who.believed, ..Passage::default() };
                Some(Box::new(Presented { from: None, lines: SmallVec::new(), passage }))
                    .filter(|_| who.believed)
            }
        }
    }
}

fn own(directory: &Directory, device: Device) -> Option<(&str, &Presentation)> {
    match device {
        Device::Extension(id) => directory.extension(id).map(|e| (&*e.number, &e.class.presentation)),
        Device::Trunk(_) | Device::Mixer => None,
    }
}

const ANONYMOUS: &[u8] = b"\"Anonymous\" <sip:anonymous@anonymous.invalid>";

/// A phone shows what it is told: of who withholds himself nothing.
fn to_phone(
    who: &Who<'_>,
    request: &Message,
    directory: &Directory,
    ours: &[u8],
    sent_on: &[SentOn],
) -> Option<Presented> {
    let withheld = who.privacy.withholds();
    let forwarding = directory.options.forwarding;
    let sent_on = if forwarding == Forwarding::NONE { &[] } else { sent_on };
    if !withheld && !who.believed && sent_on.is_empty() {
        return None;
    }
    let passage = Passage { believed: who.believed, withheld, told: withheld, ..Passage::default() };
    let mut presented = Presented { from: None, lines: SmallVec::new(), passage };
    if withheld {
        presented.withhold(who);
    } else {
        presented.sent_on(sent_on, forwarding, request, ours);
    }
    Some(presented)
}

fn to_trunk(
    who: &Who<'_>,
    trunk: &Arc<crate::directory::TrunkIdentity>,
    request: &Message,
    ours: &[u8],
    sent_on: &[SentOn],
) -> Presented {
    let restricted = who.extension.is_some_and(|(_, own)| own.restricted || trunk.restricted)
        && !who.privacy.is_refused()
        && !who.for_help;
    let withheld = (who.privacy.withholds() && !trunk.trusted) || restricted;
    let passage = Passage {
        believed: who.believed,
        withheld,
        told: withheld,
        trunk: Some(Arc::clone(trunk)),
        ..Passage::default()
    };
    let mut presented = Presented { from: None, lines: SmallVec::new(), passage };
    let template = who.extension.and_then(|(_, own)| own.cpn.as_deref()).or(trunk.cpn.as_deref());
    let number = who.extension.map(|(number, _)| match template {
        Some(template) => calling_number(template, number),
        None => number.to_owned(),
    });
    if withheld {
        presented.withhold(who);
    } else if let (Some(number), Some(_)) = (&number, template) {
        presented.from = Some(name_addr(who.display, number, ours));
    }
    if restricted && !who.privacy.asks_id() {
        presented.lines.push((b"Privacy", Box::from(&b"id"[..])));
    }
    let name: &'static [u8] = match trunk.asserted {
        Asserted::Nowhere => b"",
        Asserted::PAsserted => b"P-Asserted-Identity",
        Asserted::PPreferred => b"P-Preferred-Identity",
        Asserted::RemoteParty => b"Remote-Party-ID",
    };
    if let (Some(number), false) = (&number, name.is_empty()) {
        let mut value = name_addr(who.display, number, ours).into_vec();
        if trunk.asserted == Asserted::RemoteParty {
            let private = withheld || who.privacy.withholds();
            let tail: &[u8] = if private { b"full" } else { b"off" };
            value = [&value, &b";party=calling;screen=yes;privacy="[..], tail].concat();
        }
        presented.lines.push((name, value.into()));
    }
    if !withheld {
        presented.sent_on(sent_on, trunk.forwarding, request, ours);
    }
    presented
}

impl Presented {
    /// The caller is nobody; of what he asked for remains what others have to see to.
    fn withhold(&mut self, who: &Who<'_>) {
        self.from = Some(ANONYMOUS.into());
        if let Some(rest) = who.privacy.rest() {
            self.lines.push((b"Privacy", rest));
        }
    }

    /// From where the call was sent on, the last first (RFC 5806 4).
    fn sent_on(&mut self, sent_on: &[SentOn], by: Forwarding, request: &Message, ours: &[u8]) {
        if by.diversion {
            for step in sent_on.iter().rev() {
                self.lines.push((b"Diversion", step.diversion(ours).into()));
            }
        }
        if by.history_info && !sent_on.is_empty() && request.header(HeaderName::HistoryInfo).is_none() {
            let mut index = String::from("1");
            for step in sent_on {
                self.lines.push((b"History-Info", step.history(ours, &index).into()));
                index.push_str(".1");
            }
        }
    }
}

fn name_addr(display: &[u8], number: &str, host: &[u8]) -> Box<[u8]> {
    let space: &[u8] = if display.is_empty() { b"" } else { b" " };
    let user = crate::routing::escaped(number.as_bytes());
    [display, space, b"<sip:", &user, b"@", host, b">"].concat().into()
}

/// A number that a call was at before it was sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentOn {
    /// The number.
    pub from: Box<[u8]>,
    /// Why.
    pub why: WhySentOn,
}

/// Why a call was sent on (RFC 5806 `reason`, RFC 4458 `cause`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhySentOn {
    /// By rule or by request, whatever the state of who was called.
    Unconditional,
    /// Nobody answered.
    NoAnswer,
    /// Who was called is busy.
    Busy,
    /// Who was called cannot be reached.
    Unavailable,
    /// Who was called refused or redirected it.
    Deflection,
}

impl WhySentOn {
    /// Of the status with which the number before failed.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            486 | 600 => Self::Busy,
            408 | 487 => Self::NoAnswer,
            404 | 410 | 480 | 503 => Self::Unavailable,
            300..=399 | 603 => Self::Deflection,
            _ => Self::Unconditional,
        }
    }

    const fn words(self) -> (&'static str, u16) {
        match self {
            Self::Unconditional => ("unconditional", 302),
            Self::NoAnswer => ("no-answer", 408),
            Self::Busy => ("user-busy", 486),
            Self::Unavailable => ("unavailable", 503),
            Self::Deflection => ("deflection", 480),
        }
    }
}

impl SentOn {
    fn uri(&self, ours: &[u8]) -> Vec<u8> {
        [b"sip:", &*crate::routing::escaped(&self.from), b"@", ours].concat()
    }

    fn diversion(&self, ours: &[u8]) -> Vec<u8> {
        let (reason, _) = self.why.words();
        [b"<", &*self.uri(ours), b">;reason=", reason.as_bytes(), b";counter=1"].concat()
    }

    fn history(&self, ours: &[u8], index: &str) -> Vec<u8> {
        let (_, cause) = self.why.words();
        let reason = format!("?Reason=SIP%3Bcause%3D{cause}>;index={index}");
        [b"<", &*self.uri(ours), reason.as_bytes()].concat()
    }
}

impl Call {
    /// The call was at this number and goes elsewhere from now on: who is called next may be told.
    pub(crate) fn redirected(&mut self, from: &[u8], why: WhySentOn) {
        let told = self.sent_on.last().is_some_and(|last| *last.from == *from);
        if !told && self.sent_on.len() < MAX_SENT_ON && !from.is_empty() {
            self.sent_on.push(SentOn { from: from.into(), why });
        }
    }
}

/// From of an INVITE: the presented one, or the caller's.
pub(super) fn print_from(
    builder: &mut Builder<'_>,
    presented: Option<&Presented>,
    request: &Message,
    host: &[u8],
    tag: &[u8],
) {
    if presented.is_some_and(|presented| presented.print_from(builder, tag)) {
        return;
    }
    if let Ok(env) = request.envelope() {
        headers::print_from(builder, &env.from, host, tag);
    }
}
