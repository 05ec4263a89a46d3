//! From where a call was sent on, as who is called next is told it: `Diversion` (RFC 5806) and `History-Info` (RFC 7044, with
//! the `cause` of RFC 4458 at each number that it was sent to; RFC 7544 says how the two compare).

use smallvec::SmallVec;
use tandem_sip::{Builder, HeaderName, Message, NameAddr};

use super::Call;
use super::hide::{Hosts, hide};
use super::setup::{Setup, Stage};
use crate::directory::{Directory, Forwarding};
use crate::limits::{MAX_HISTORY_INDEX_BYTES, MAX_SENT_ON};
use crate::routing::escaped;

/// A number that a call was at before it was sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentOn {
    /// The number.
    pub from: Box<[u8]>,
    /// Why.
    pub why: WhySentOn,
    /// The device there did it (3xx): the next one is told, whatever is told of what this server does by itself.
    pub by_device: bool,
    /// `Diversion` as that device gave it.
    pub own: Option<Box<[u8]>>,
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
    /// Who was called refused it, or redirected it when it rang.
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

    /// The word of RFC 5806, and the number of RFC 4458.
    const fn words(self) -> (&'static str, u16) {
        match self {
            Self::Unconditional => ("unconditional", 302),
            Self::NoAnswer => ("no-answer", 408),
            Self::Busy => ("user-busy", 486),
            Self::Unavailable => ("unavailable", 503),
            Self::Deflection => ("deflection", 480),
        }
    }

    /// The response that the number before gave, as far as it is known.
    const fn response(self) -> u16 {
        match self {
            Self::Deflection => 302,
            Self::Unconditional | Self::NoAnswer | Self::Busy | Self::Unavailable => self.words().1,
        }
    }
}

/// What is told of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    diversion: SmallVec<[Box<[u8]>; 1]>,
    history: SmallVec<[Box<[u8]>; 2]>,
}

impl Told {
    /// By whom the call was sent on, the last first (RFC 5806 4); of what this server did itself as `by` says.
    pub(super) fn diversions(&mut self, sent_on: &[SentOn], by: Forwarding, ours: &[u8]) {
        let told = sent_on.iter().rev().filter(|step| by.diversion || step.by_device);
        self.diversion = told.map(|step| step.diversion(ours).into()).collect();
    }

    /// The numbers that it was at and the one where it goes, behind those that the INVITE brought.
    pub(super) fn history(&mut self, sent_on: &[SentOn], to: &[u8], request: &Message, ours: &[u8]) {
        let Some(first) = sent_on.first() else { return };
        let (mut index, known) = match last_entry(request) {
            None => ("1".to_owned(), false),
            // The one who sent the call here has told where.
            Some((Some(index), number)) if *number == *first.from => (index, true),
            Some((Some(index), _)) => (format!("{index}.1"), false),
            Some((None, _)) => return,
        };
        if !known {
            self.history.push(first.entry(None, Some(first.why.response()), &index, ours));
        }
        let next = sent_on.iter().skip(1).map(|step| (&*step.from, Some(step.why.response())));
        let targets = next.chain([(to, None)]);
        for (step, (number, response)) in sent_on.iter().zip(targets) {
            let parent = std::mem::take(&mut index);
            index = format!("{parent}.1");
            if index.len() > MAX_HISTORY_INDEX_BYTES || number.is_empty() {
                return;
            }
            let (_, cause) = step.why.words();
            let target = SentOn { from: number.into(), why: step.why, by_device: false, own: None };
            self.history.push(target.entry(Some((cause, &parent)), response, &index, ours));
        }
    }

    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.diversion.is_empty() && self.history.is_empty()
    }

    /// Writes what stands in front of what others have said.
    pub(super) fn print(&self, builder: &mut Builder<'_>) {
        for line in &self.diversion {
            builder.header(HeaderName::Diversion, line);
        }
    }

    /// Writes what stands behind it.
    pub(super) fn print_behind(&self, builder: &mut Builder<'_>) {
        for line in &self.history {
            builder.header(HeaderName::HistoryInfo, line);
        }
    }
}

/// Index, as far as it can be counted on from, and number of the last entry that a request brought.
fn last_entry(request: &Message) -> Option<(Option<String>, Vec<u8>)> {
    let last = request.values(HeaderName::HistoryInfo).last()?;
    let Ok(entry) = NameAddr::parse(last) else { return Some((None, Vec::new())) };
    let index = entry.params.value(b"index").filter(|index| index.len() <= MAX_HISTORY_INDEX_BYTES);
    let index = index.and_then(|index| std::str::from_utf8(index).ok());
    let counts =
        |index: &&str| index.split('.').all(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()));
    let number = entry.uri().ok().and_then(|uri| crate::routing::number(&uri));
    Some((index.filter(counts).map(str::to_owned), number.unwrap_or_default()))
}

impl SentOn {
    fn diversion(&self, ours: &[u8]) -> Vec<u8> {
        if let Some(own) = &self.own {
            return own.to_vec();
        }
        let (reason, _) = self.why.words();
        [b"<sip:", &*escaped(&self.from), b"@", ours, b">;reason=", reason.as_bytes(), b";counter=1"].concat()
    }

    /// An entry; with the cause for which the call came there and the index of where it came from, and the response that
    /// was given there.
    fn entry(&self, came: Option<(u16, &str)>, response: Option<u16>, index: &str, ours: &[u8]) -> Box<[u8]> {
        let cause = came.map(|(cause, _)| format!(";cause={cause}")).unwrap_or_default();
        let reason = response.map(|code| format!("?Reason=SIP%3Bcause%3D{code}")).unwrap_or_default();
        let parent = came.map(|(_, parent)| format!(";mp={parent}")).unwrap_or_default();
        let tail = format!("{cause}{reason}>;index={index}{parent}");
        [b"<sip:", &*escaped(&self.from), b"@", ours, tail.as_bytes()].concat().into()
    }
}

impl Call {
    /// The call was at this number and goes elsewhere from now on: who is called next may be told.
    pub(crate) fn redirected(&mut self, from: &[u8], why: WhySentOn) {
        self.leaves_number(SentOn { from: from.into(), why, by_device: false, own: None });
    }

    /// The same where the device there has said so in this response.
    pub(super) fn redirected_by(
        &mut self,
        from: &[u8],
        rang: bool,
        (response, hosts): (&Message, &Hosts),
        ours: &[u8],
    ) {
        let why = if rang { WhySentOn::Deflection } else { WhySentOn::Unconditional };
        let lines: Vec<Vec<u8>> =
            response.lines(HeaderName::Diversion).map(|line| hide(line, hosts, ours)).collect();
        let own = (!lines.is_empty()).then(|| lines.join(&b", "[..]).into());
        self.leaves_number(SentOn { from: from.into(), why, by_device: true, own });
    }

    fn leaves_number(&mut self, step: SentOn) {
        let told = self.sent_on.last().is_some_and(|last| last.from == step.from);
        if !told && self.sent_on.len() < MAX_SENT_ON && !step.from.is_empty() {
            self.sent_on.push(step);
        }
    }
}

impl Setup {
    /// The number at which the call is tried now.
    pub(super) fn goes_to<'a>(&'a self, directory: &'a Directory) -> &'a [u8] {
        match &self.current {
            Some(Stage::Extension(dn)) => directory.extension(*dn).map_or(b"", |e| e.number.as_bytes()),
            Some(Stage::Trunk(_, number) | Stage::Peer(_, number) | Stage::PeerQueue(_, number)) => number,
            Some(Stage::Mixer(_) | Stage::Wait(_)) | None => b"",
        }
    }
}
