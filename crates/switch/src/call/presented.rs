//! Who calls, as a callee is told: what the caller withholds (RFC 3323), what is asserted of him (RFC 3325), the number
//! that an operator presents to a carrier, and from where the call was sent on (`history`).

use std::sync::Arc;

use smallvec::SmallVec;
use tandem_sip::{Builder, HeaderName, Message};

use super::history::Told;
use super::passage::{Passage, believes, outside};
use super::privacy::Privacy;
use super::setup::{Caller, Setup};
use super::{Call, headers};
use crate::directory::{Asserted, Directory, Forwarding, Presentation, calling_number};
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
    /// From where the call was sent on.
    sent_on: Told,
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

    fn new(passage: Passage) -> Self {
        Self { from: None, lines: SmallVec::new(), sent_on: Told::default(), passage }
    }

    /// Writes the lines of this server's own that stand in front of what passes of the caller's.
    pub(super) fn print(&self, builder: &mut Builder<'_>) {
        for (name, value) in &self.lines {
            builder.raw_header(name, value);
        }
        self.sent_on.print(builder);
    }

    /// Writes those that stand behind it.
    pub(super) fn print_behind(&self, builder: &mut Builder<'_>) {
        self.sent_on.print_behind(builder);
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
        let (trunk, forwarding) = match outside(&directory, to) {
            Some(trunk) => {
                let forwarding = trunk.forwarding;
                (Some(trunk), forwarding)
            }
            None if matches!(to, Device::Extension(_)) => (None, directory.options.forwarding),
            None => (None, Forwarding::NONE),
        };
        let mut sent_on = Told::default();
        if trunk.is_none() || forwarding.diversion {
            sent_on.diversions(&self.sent_on, forwarding, ours);
        }
        if forwarding.history_info {
            sent_on.history(&self.sent_on, setup.goes_to(&directory), request, ours);
        }
        match (trunk, to) {
            (Some(trunk), _) => Some(Box::new(to_trunk(&who, &trunk, ours, sent_on))),
            (None, Device::Extension(_)) => to_phone(&who, sent_on).map(Box::new),
            (None, Device::Trunk(_) | Device::Mixer) => {
                let passage = Passage { believed: who.believed, ..Passage::default() };
                let told = who.believed || !sent_on.is_empty();
                told.then(|| Box::new(Presented { sent_on, ..Presented::new(passage) }))
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
fn to_phone(who: &Who<'_>, sent_on: Told) -> Option<Presented> {
    let withheld = who.privacy.withholds();
    if !withheld && !who.believed && sent_on.is_empty() {
        return None;
    }
    let passage = Passage { believed: who.believed, withheld, told: withheld, ..Passage::default() };
    let mut presented = Presented::new(passage);
    if withheld {
        presented.withhold(who);
    } else {
        presented.sent_on = sent_on;
    }
    Some(presented)
}

fn to_trunk(
    who: &Who<'_>,
    trunk: &Arc<crate::directory::TrunkIdentity>,
    ours: &[u8],
    sent_on: Told,
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
    let mut presented = Presented::new(passage);
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
        presented.sent_on = sent_on;
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
}

fn name_addr(display: &[u8], number: &str, host: &[u8]) -> Box<[u8]> {
    let space: &[u8] = if display.is_empty() { b"" } else { b" " };
    let user = crate::routing::escaped(number.as_bytes());
    [display, space, b"<sip:", &user, b"@", host, b">"].concat().into()
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
