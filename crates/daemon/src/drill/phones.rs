//! The phones of a drill. Each is registered at one site: its own while that answers, else the other one
//! (active-backup). They answer every call, and hang up when the caller is gone.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_sip::auth::{Challenge, Login, answer};
use tandem_sip::{HeaderName, Method, Uri};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::plan::{Plan, Seat, Side};
use super::record::Record;
use super::wire::{Came, Line, Request, SDP, text};

/// How long a phone rings before it answers.
const RINGS: Duration = Duration::from_millis(50);
/// How long an answer is repeated until its ACK comes (64 * T1).
const ANSWER_REPEATS: Duration = Duration::from_secs(32);
/// How soon a phone asks again that has no other site to turn to.
const ASKS_AGAIN: Duration = Duration::from_millis(100);
/// What a phone asks for, s.
const EXPIRES: u64 = 60;

struct Leg {
    tag: String,
    /// The gateway's call, if its caller says so.
    call: Option<usize>,
    invite: Option<Came>,
    acknowledged: bool,
    last: Bytes,
}

/// All of them, on one socket.
pub struct Phones {
    line: Arc<Line>,
    plan: Arc<Plan>,
    record: Arc<Record>,
    legs: Mutex<BTreeMap<Vec<u8>, Leg>>,
    stopping: CancellationToken,
    alive: TaskTracker,
}

impl Phones {
    /// They begin to register.
    ///
    /// # Errors
    /// What the operating system says about their socket.
    pub async fn start(plan: &Arc<Plan>, record: &Arc<Record>) -> io::Result<Arc<Self>> {
        let (line, came) = Line::open(SocketAddr::new(plan.phones_at, 0)).await?;
        let phones = Arc::new(Self {
            line,
            plan: Arc::clone(plan),
            record: Arc::clone(record),
            legs: Mutex::default(),
            stopping: CancellationToken::new(),
            alive: TaskTracker::new(),
        });
        tokio::spawn(Arc::clone(&phones).hear(came));
        for place in 0..plan.seats.len() {
            phones.alive.spawn(Arc::clone(&phones).live(place));
        }
        Ok(phones)
    }

    /// They unregister and go.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.alive.close();
        self.alive.wait().await;
    }

    fn legs(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Leg>> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn live(self: Arc<Self>, place: usize) {
        let Some(seat) = self.plan.seats.get(place) else { return };
        // Phones do not all ask in the same moment.
        let refresh = self.plan.refresh;
        let mut pause = refresh.mul_f64(place as f64 / self.plan.seats.len().max(1) as f64);
        let mut at: Option<Side> = None;
        // A drill that was killed may have left some.
        self.clear(seat).await;
        loop {
            if at.is_some() {
                tokio::select! {
                    () = self.stopping.cancelled() => break,
                    () = sleep(pause) => {}
                }
                pause = refresh;
            }
            let asked = Instant::now();
            if self.register(seat, seat.home, EXPIRES).await {
                if at == Some(seat.home.other()) {
                    self.register(seat, seat.home.other(), 0).await;
                }
                at = Some(seat.home);
            } else {
                if at == Some(seat.home) {
                    self.record.phone_asks_in_vain(&seat.number, asked);
                }
                let backup = seat.home.other();
                let found = !self.plan.loyal && self.register(seat, backup, EXPIRES).await;
                at = found.then_some(backup);
            }
            self.record.phone_is(&seat.number, at);
            if at.is_none() {
                tokio::select! {
                    () = self.stopping.cancelled() => break,
                    () = sleep(if self.plan.loyal { ASKS_AGAIN } else { refresh }) => {}
                }
            }
        }
        self.clear(seat).await;
    }

    /// Removes every contact of a phone at both sites.
    async fn clear(self: &Arc<Self>, seat: &Seat) {
        for side in Side::BOTH {
            self.ask(seat, side, "*", 0).await;
        }
    }

    async fn register(self: &Arc<Self>, seat: &Seat, side: Side, expires: u64) -> bool {
        self.ask(seat, side, &seat.number, expires).await
    }

    /// REGISTER with a contact of this user part, answered 200.
    async fn ask(self: &Arc<Self>, seat: &Seat, side: Side, user: &str, expires: u64) -> bool {
        let to = side.of(&self.plan.sites).sip;
        let (uri, aor) = (format!("sip:{to}"), format!("<sip:{}@{to}>", seat.number));
        let (call_id, from) = (self.line.fresh(), format!("{aor};tag={}", self.line.fresh()));
        let expires = expires.to_string();
        let lasts = (HeaderName::Expires, expires.as_bytes());
        let request = Request {
            method: "REGISTER",
            uri: &uri,
            from: &from,
            to: &aor,
            call_id: &call_id,
            cseq: 1,
            user,
            lines: &[lasts],
            body: b"",
        };
        let patience = self.plan.phone_gives_up;
        let Some(first) = self.line.ask(to, &request, patience).await else { return false };
        if first.code() != Some(401) {
            return first.code() == Some(200);
        }
        let Some(challenge) = Challenge::best(first.lines(HeaderName::WwwAuthenticate)) else { return false };
        let login = Login { user: seat.number.as_bytes(), password: seat.password.as_bytes() };
        let cnonce = self.line.fresh();
        let proof = answer(&challenge, login, b"REGISTER", uri.as_bytes(), cnonce.as_bytes(), 1);
        let lines = [lasts, (HeaderName::Authorization, proof.as_slice())];
        let second = self.line.ask(to, &Request { cseq: 2, lines: &lines, ..request }, patience).await;
        second.is_some_and(|response| response.code() == Some(200))
    }

    async fn hear(self: Arc<Self>, mut came: mpsc::Receiver<Came>) {
        while let Some(request) = came.recv().await {
            self.handle(request).await;
        }
    }

    async fn handle(self: &Arc<Self>, came: Came) {
        let Some(method) = came.message.method() else { return };
        let Ok(envelope) = came.message.envelope() else { return };
        let (id, inside) = (envelope.call_id.to_vec(), envelope.to_tag.is_some());
        match method {
            Method::Invite if !inside => return self.rings(came, id).await,
            Method::Ack => {
                if let Some(leg) = self.legs().get_mut(&id) {
                    leg.acknowledged = true;
                }
                return;
            }
            Method::Cancel => return self.cancelled(&came, &id).await,
            Method::Bye => {
                let code = if self.legs().remove(&id).is_some() { 200 } else { 481 };
                return self.reply(&came, code, "", None, b"").await;
            }
            Method::Invite
            | Method::Register
            | Method::Options
            | Method::Info
            | Method::Update
            | Method::Prack
            | Method::Message
            | Method::Notify
            | Method::Subscribe
            | Method::Refer
            | Method::Publish
            | Method::Other => {}
        }
        let known = self.legs().get(&id).map(|leg| (leg.tag.clone(), leg.call));
        let hung_up = |call: Option<usize>| call.is_some_and(|call| self.record.is_over(call));
        match known {
            Some((tag, call)) if !hung_up(call) => {
                let body = if method == Method::Invite { SDP } else { b"" };
                self.reply(&came, 200, &tag, Some("phone"), body).await;
            }
            // Whoever held the receiver has put it down: the caller was gone.
            Some(_) => {
                self.legs().remove(&id);
                self.reply(&came, 481, "", None, b"").await;
            }
            None if inside => self.reply(&came, 481, "", None, b"").await,
            None => self.reply(&came, 200, "phone", None, b"").await,
        }
    }

    async fn reply(&self, came: &Came, code: u16, tag: &str, user: Option<&str>, body: &[u8]) {
        let response = self.line.response(came, code, tag, user, body);
        self.line.send(came.from, &response).await;
    }

    async fn rings(self: &Arc<Self>, came: Came, id: Vec<u8>) {
        let again = self.legs().get(&id).map(|leg| leg.last.clone());
        if let Some(last) = again {
            return self.line.send(came.from, &last).await;
        }
        let uri = came.message.request_uri().and_then(|uri| Uri::parse(uri).ok()?.number());
        let number = String::from_utf8(uri.unwrap_or_default()).unwrap_or_default();
        if !self.plan.seats.iter().any(|seat| seat.number == number) {
            return self.reply(&came, 404, "phone", None, b"").await;
        }
        let from = text(&came.message, HeaderName::From);
        let mark = format!("sip:{}", self.record.callers);
        let call = from.split_once(&mark).and_then(|(_, rest)| rest.split(['@', ';']).next()?.parse().ok());
        let tag = self.line.fresh();
        let last = self.line.response(&came, 180, &tag, Some(&number), b"");
        self.line.send(came.from, &last).await;
        let leg = Leg { tag, call, invite: Some(came), acknowledged: false, last };
        self.legs().insert(id.clone(), leg);
        let phones = Arc::clone(self);
        tokio::spawn(async move { phones.answers(id, number).await });
    }

    /// Answers when it has rung, and repeats it until the ACK comes (RFC 3261 13.3.1.4).
    async fn answers(&self, id: Vec<u8>, number: String) {
        sleep(RINGS).await;
        let answered = {
            let mut legs = self.legs();
            let Some(leg) = legs.get_mut(&id) else { return };
            let Some(invite) = leg.invite.take() else { return };
            leg.last = self.line.response(&invite, 200, &leg.tag, Some(&number), SDP);
            (leg.last.clone(), invite.from)
        };
        let (begun, mut pause) = (Instant::now(), Duration::from_millis(500));
        while begun.elapsed() < ANSWER_REPEATS {
            self.line.send(answered.1, &answered.0).await;
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(4));
            if self.legs().get(&id).is_none_or(|leg| leg.acknowledged) {
                return;
            }
        }
        self.legs().remove(&id);
    }

    async fn cancelled(&self, came: &Came, id: &[u8]) {
        self.reply(came, 200, "phone", None, b"").await;
        let ringing = {
            let mut legs = self.legs();
            let is_ringing = legs.get(id).is_some_and(|leg| leg.invite.is_some());
            if is_ringing { legs.remove(id) } else { None }
        };
        if let Some(Leg { tag, invite: Some(invite), .. }) = ringing {
            self.reply(&invite, 487, &tag, None, b"").await;
        }
    }
}
