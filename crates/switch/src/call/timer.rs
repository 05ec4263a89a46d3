//! The session timer of one leg (RFC 4028): what is agreed with its far end, who refreshes, and when. This server
//! refreshes wherever it may choose: it then hears within half an interval that a far end is gone.

use std::time::{Duration, Instant};

use tandem_peer::Deadline;

use tandem_peer::replica::{Reader, Writer};
use tandem_sip::{Builder, HeaderName, Message, lexer};

use crate::directory::{SessionTimer, SessionTimerMode};
use crate::limits::MAX_KEPT_DESCRIPTION;
use crate::reject::Reject;
use crate::time::Now;

const TIMER: &[u8] = b"timer";
/// What Min-SE means where it is absent (RFC 4028 5).
const USUAL_MIN_SE_S: u32 = 90;
/// How long before its end a session that is not refreshed is given up, s; a third of the interval if that is less
/// (RFC 4028 10).
const GRACE_S: u32 = 32;

/// See the module.
#[derive(Clone, Debug)]
pub struct Timer {
    options: SessionTimer,
    /// The agreed interval, s; 0: none was agreed.
    agreed_s: u32,
    /// Longest Min-SE that was heard of, s.
    min_se_s: u32,
    /// The far end refreshes.
    far_refreshes: bool,
    /// The far end takes UPDATE, or does not, if it has said.
    takes_update: Option<bool>,
    /// Our refresh was challenged, and goes again with credentials.
    challenged: bool,
    due: Option<Instant>,
    ends: Option<Instant>,
    /// The same by the wall clock: that outlives the process.
    deadline: Option<Deadline>,
    /// The latest description that the far end was sent, where a refresh must repeat it.
    said: Option<Box<[u8]>>,
}

impl Default for Timer {
    /// Of a leg that is not answered yet, or is being released: there is no timer.
    fn default() -> Self {
        let options = SessionTimer { mode: SessionTimerMode::Off, ..SessionTimer::default() };
        Self::new(options)
    }
}

/// How a session is refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresh {
    /// UPDATE without a description.
    Update,
    /// INVITE with the latest description once more.
    Invite,
    /// OPTIONS: there is no session timer to refresh, or nothing to repeat; it shows whether the far end lives.
    Options,
}

impl SessionTimer {
    /// Why a request that may begin or refresh a session is refused: 421 to who must know session timers and does not,
    /// 422 to who asks for too short an interval (RFC 4028 9).
    #[must_use]
    pub fn refusal(&self, request: &Message) -> Option<Reject> {
        let knows = knows_timer(request);
        match self.mode {
            SessionTimerMode::Off => return None,
            SessionTimerMode::Required if !knows => {
                return Some(Reject::new(421).with(HeaderName::Require, TIMER));
            }
            SessionTimerMode::On | SessionTimerMode::Required => {}
        }
        let (asked_s, _) = expires(request).filter(|_| knows)?;
        (asked_s < self.min_se_s).then(|| Reject::new(422).with(HeaderName::MinSe, self.min_se_s.to_string()))
    }
}

impl Timer {
    /// Nothing is agreed yet.
    pub(super) fn new(options: SessionTimer) -> Self {
        Self {
            options,
            agreed_s: 0,
            min_se_s: options.min_se_s,
            far_refreshes: false,
            takes_update: None,
            challenged: false,
            due: None,
            ends: None,
            deadline: None,
            said: None,
        }
    }

    fn is_off(&self) -> bool {
        self.options.mode == SessionTimerMode::Off
    }

    /// Why a request of the far end within the dialog is refused.
    pub(super) fn refusal(&self, request: &Message) -> Option<Reject> {
        match self.options.mode {
            SessionTimerMode::Off => None,
            SessionTimerMode::On | SessionTimerMode::Required => {
                SessionTimer { mode: SessionTimerMode::On, ..self.options }.refusal(request)
            }
        }
    }

    /// A request of the far end is about to be answered with a 2xx (RFC 4028 9, table 2).
    pub(super) fn accept(&mut self, request: &Message, now: Now) {
        self.heard(request);
        if self.is_off() {
            return;
        }
        let (knows, floor) = (knows_timer(request), min_se(request).max(self.options.min_se_s));
        let usual = self.options.interval_s.max(floor);
        (self.agreed_s, self.far_refreshes) = match expires(request) {
            Some((asked_s, refresher)) => (asked_s.min(usual), knows && refresher == Some(Refresher::Uac)),
            // Whoever did not ask, and would have to be offered everything again, is asked by OPTIONS instead.
            None if knows && self.takes_update == Some(true) => (usual, false),
            None => (0, false),
        };
        self.start(now);
    }

    /// The far end answered a request of ours with a 2xx (RFC 4028 7.2).
    pub(super) fn accepted(&mut self, response: &Message, now: Now) {
        self.heard(response);
        if self.is_off() {
            return;
        }
        (self.agreed_s, self.far_refreshes) = match expires(response) {
            Some((agreed_s, refresher)) => (agreed_s, refresher == Some(Refresher::Uas)),
            None => (0, false),
        };
        self.start(now);
    }

    /// What a message of the far end says of the methods that it takes.
    pub(super) fn heard(&mut self, message: &Message) {
        if message.header(HeaderName::Allow).is_some() {
            self.takes_update = Some(message.has_token(HeaderName::Allow, b"UPDATE"));
        }
        self.challenged = false;
    }

    /// Whether the far end takes UPDATE, if it has said.
    pub(super) fn allows_update(&self) -> Option<bool> {
        self.takes_update
    }

    /// The timer that a branch asked for, with what its early dialog has told.
    pub(super) fn begun_by(&self, branch: &Self) -> Self {
        Self { takes_update: self.takes_update, ..branch.clone() }
    }

    /// The far end lives: the time begins anew.
    pub(super) fn start(&mut self, now: Now) {
        let period = self.period();
        self.ends = Some(now.mono + period);
        self.deadline = Some(Deadline::after(now.unix_ms, period));
        self.due = Some(now.mono + (period - self.before_end()));
        if !self.keeps() {
            self.said = None;
        }
    }

    fn period(&self) -> Duration {
        let seconds = if self.agreed_s > 0 { self.agreed_s } else { self.options.interval_s };
        Duration::from_secs(seconds.into())
    }

    /// How long before its end something is done.
    fn before_end(&self) -> Duration {
        if self.far_refreshes { self.grace() } else { self.period() / 2 }
    }

    /// How long before its end whoever waits for a refresh gives the session up.
    fn grace(&self) -> Duration {
        Duration::from_secs(GRACE_S.into()).min(self.period() / 3)
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the session was not refreshed in its time.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
            && (self.far_refreshes || self.ends.is_some_and(|ends| ends <= now))
    }

    pub(super) fn next(&self) -> Refresh {
        match (self.agreed_s, self.takes_update == Some(true), &self.said) {
            (0, ..) | (_, false, None) => Refresh::Options,
            (_, true, _) => Refresh::Update,
            (_, false, Some(_)) => Refresh::Invite,
        }
    }

    /// A refresh is under way, or is tried again, and looked after then; never later than the session's end.
    pub(super) fn look_at(&mut self, at: Instant) {
        self.due = Some(self.ends.map_or(at, |ends| at.min(ends)));
    }

    /// UPDATE is refused by name.
    pub(super) fn takes_no_update(&mut self) {
        self.takes_update = Some(false);
    }

    /// A refresh goes again with credentials; false if it did before.
    pub(super) fn may_answer_challenge(&mut self) -> bool {
        !std::mem::replace(&mut self.challenged, true)
    }

    /// A 422: the interval was too short for somebody on the way. False: it says nothing that helps.
    pub(super) fn lengthen(&mut self, response: &Message) -> bool {
        let wanted = min_se(response);
        let longer = !self.is_off() && wanted > self.min_se_s.max(self.agreed_s);
        if longer {
            self.min_se_s = wanted;
            if self.agreed_s > 0 {
                self.agreed_s = wanted;
            }
        }
        longer
    }

    fn keeps(&self) -> bool {
        self.agreed_s > 0 && self.takes_update != Some(true)
    }

    /// The far end was sent this description.
    pub(super) fn say(&mut self, sdp: &[u8]) {
        if self.is_new(sdp) {
            self.said = Some(sdp.into());
        }
    }

    /// Whether [`say`](Self::say) changes anything: an ACK, which mostly has no description, is worth no record.
    pub(super) fn is_new(&self, sdp: &[u8]) -> bool {
        let kept = self.keeps() && !sdp.is_empty() && sdp.len() <= MAX_KEPT_DESCRIPTION;
        kept && self.said.as_deref() != Some(sdp)
    }

    /// The latest description that it was sent.
    pub(super) fn said(&self) -> Option<&[u8]> {
        self.said.as_deref()
    }

    /// Writes what is agreed.
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.agreed_s);
        out.u32(self.min_se_s);
        out.bool(self.far_refreshes);
        out.option(self.takes_update, Writer::bool);
        out.option(self.deadline, Writer::deadline);
        out.option(self.said.as_deref(), Writer::bytes);
    }

    /// Reads it. The timer runs from [`resume`](Self::resume) on.
    pub(super) fn read(fields: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            agreed_s: fields.u32()?,
            min_se_s: fields.u32()?,
            far_refreshes: fields.bool()?,
            takes_update: fields.option(Reader::bool)?,
            deadline: fields.option(Reader::deadline)?,
            said: fields.option(Reader::bytes)?.map(Box::from),
            ..Self::default()
        })
    }

    /// Runs on in another process, from the moment at which the session ends. A far end that could not refresh it
    /// meanwhile, or answer, has `patience` to do so. What is overdue on this side is done within `spread`, and before the
    /// far end gives the session up.
    pub(super) fn resume(&mut self, options: SessionTimer, now: Now, patience: Duration, spread: Duration) {
        self.options = options;
        let Some(deadline) = self.deadline.filter(|_| !self.is_off()) else { return };
        let left = deadline.remaining(now.unix_ms).min(self.period());
        let ends = left.max(patience);
        self.ends = Some(now.mono + ends);
        self.deadline = Some(Deadline::after(now.unix_ms, ends));
        let due = if self.far_refreshes {
            ends.saturating_sub(self.before_end())
        } else {
            let given_up = left.saturating_sub(self.grace());
            left.saturating_sub(self.before_end()).max(spread.min(given_up / 2))
        };
        self.due = Some(now.mono + due);
    }

    /// Writes what an INVITE that opens a dialog asks for.
    pub(super) fn print_opening(&self, builder: &mut Builder<'_>) {
        if self.is_off() {
            return;
        }
        builder.header(HeaderName::Supported, TIMER);
        if self.options.mode == SessionTimerMode::Required {
            builder.header(HeaderName::Require, TIMER);
        }
        let interval = self.options.interval_s.max(self.min_se_s);
        self.print_interval(builder, interval, b"uac");
    }

    /// Writes what an INVITE or UPDATE within the dialog says.
    pub(super) fn print_request(&self, builder: &mut Builder<'_>) {
        if self.is_off() {
            return;
        }
        builder.header(HeaderName::Supported, TIMER);
        if self.agreed_s > 0 {
            let refresher: &[u8] = if self.far_refreshes { b"uas" } else { b"uac" };
            self.print_interval(builder, self.agreed_s, refresher);
        }
    }

    fn print_interval(&self, builder: &mut Builder<'_>, interval_s: u32, refresher: &[u8]) {
        let seconds = interval_s.to_string();
        builder.parts(HeaderName::SessionExpires, &[seconds.as_bytes(), b";refresher=", refresher]);
        if self.min_se_s > USUAL_MIN_SE_S {
            builder.number(HeaderName::MinSe, self.min_se_s.into());
        }
    }

    /// Writes what a 2xx to an INVITE or UPDATE says.
    pub(super) fn print_answer(&self, builder: &mut Builder<'_>) {
        if self.is_off() {
            return;
        }
        builder.header(HeaderName::Supported, TIMER);
        if self.agreed_s == 0 {
            return;
        }
        let refresher: &[u8] = if self.far_refreshes { b"uac" } else { b"uas" };
        if self.far_refreshes {
            builder.header(HeaderName::Require, TIMER);
        }
        let seconds = self.agreed_s.to_string();
        builder.parts(HeaderName::SessionExpires, &[seconds.as_bytes(), b";refresher=", refresher]);
    }
}

/// Who refreshes, as the two ends of a request are called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refresher {
    Uac,
    Uas,
}

fn knows_timer(message: &Message) -> bool {
    message.has_token(HeaderName::Supported, TIMER) || message.has_token(HeaderName::Require, TIMER)
}

/// Session-Expires, if it can be read.
fn expires(message: &Message) -> Option<(u32, Option<Refresher>)> {
    let mut parts = message.header(HeaderName::SessionExpires)?.split(|byte| *byte == b';');
    let seconds = seconds(parts.next()?)?.max(LEAST_S);
    let refresher = parts.find_map(|part| {
        let (name, value) = part.split_at(part.iter().position(|byte| *byte == b'=')?);
        let is = name.trim_ascii().eq_ignore_ascii_case(b"refresher");
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        match value.to_ascii_lowercase().as_slice() {
            b"uac" if is => Some(Refresher::Uac),
            b"uas" if is => Some(Refresher::Uas),
            _ => None,
        }
    });
    Some((seconds, refresher))
}

fn min_se(message: &Message) -> u32 {
    let value = message.header(HeaderName::MinSe).and_then(|value| value.split(|byte| *byte == b';').next());
    value.and_then(seconds).unwrap_or(USUAL_MIN_SE_S)
}

/// A number of seconds; one that no timer can hold is as long as any.
fn seconds(digits: &[u8]) -> Option<u32> {
    lexer::number(digits.trim_ascii()).map(|number| u32::try_from(number).unwrap_or(u32::MAX).min(LONGEST_S))
}

/// What is shorter would be refreshed all the time.
const LEAST_S: u32 = 10;
/// A year: what is longer is no timer.
const LONGEST_S: u32 = 31_536_000;

/// Whether an UPDATE does nothing but refresh its session.
pub(super) fn is_mere_refresh(update: &Message) -> bool {
    update.body().is_empty()
        && update.header(HeaderName::SessionExpires).is_some()
        && update.header(HeaderName::PAssertedIdentity).is_none()
}
