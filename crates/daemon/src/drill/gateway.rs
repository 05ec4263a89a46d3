//! The gateway of a drill: it calls the phones in turn through both sites, turns to the other site when one is silent, and
//! knows of each call how it ended.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tandem_sip::{HeaderName, Message, Method, NameAddr};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::plan::{Plan, Side};
use super::record::{Outcome, Record};
use super::wire::{Came, Client, Line, Request, SDP, target, text};

/// How long a caller lets it ring.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the gateway does not ask a site that was silent, when the other one answers.
const AVOIDS: Duration = Duration::from_secs(2);
/// Calls without an answer to their BYE that are ended at the same time, when all is over.
const BYES_AT_ONCE: usize = 32;
/// How long a BYE is repeated.
const BYE_PATIENCE: Duration = Duration::from_secs(2);
/// How long anything is repeated where there is no other site to turn to.
const LOYAL_PATIENCE: Duration = Duration::from_secs(8);

/// See the module.
pub struct Gateway {
    line: Arc<Line>,
    plan: Arc<Plan>,
    record: Arc<Record>,
    /// Calls that are up, by Call-ID: whoever ends one is told so.
    up: Mutex<BTreeMap<String, oneshot::Sender<()>>>,
    /// Calls whose BYE nobody answered: a site that is back must not keep them.
    unanswered: Mutex<Vec<Talk>>,
    avoided: Mutex<[Option<Instant>; 2]>,
    /// Seats in the order in which they are called: those of both sites mixed.
    order: Vec<(usize, usize)>,
    pausing: CancellationToken,
    letting_go: CancellationToken,
    alive: TaskTracker,
}

/// A call that was answered.
#[derive(Clone)]
struct Talk {
    side: Side,
    to: SocketAddr,
    target: String,
    from: String,
    remote: String,
    call_id: String,
    user: String,
}

/// Seats of both sites, mixed evenly, each with its place among those of its site.
fn mixed(plan: &Plan) -> Vec<(usize, usize)> {
    let count = |side: Side| plan.seats.iter().filter(|seat| seat.home == side).count().max(1);
    let counts = Side::BOTH.map(count);
    let mut met = [0usize; 2];
    let mut order: Vec<(f64, usize, usize)> = Vec::with_capacity(plan.seats.len());
    for (place, seat) in plan.seats.iter().enumerate() {
        let met = seat.home.of_mut(&mut met);
        order.push(((*met as f64 + 0.5) / *seat.home.of(&counts) as f64, place, *met));
        *met += 1;
    }
    order.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
    order.into_iter().map(|(_, place, of_its_site)| (place, of_its_site)).collect()
}

impl Gateway {
    /// Opens its socket.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn open(plan: &Arc<Plan>, record: &Arc<Record>) -> io::Result<Arc<Self>> {
        let (line, came) = Line::open(plan.gateway_at).await?;
        let gateway = Arc::new(Self {
            line,
            plan: Arc::clone(plan),
            record: Arc::clone(record),
            up: Mutex::default(),
            unanswered: Mutex::default(),
            avoided: Mutex::default(),
            order: mixed(plan),
            pausing: CancellationToken::new(),
            letting_go: CancellationToken::new(),
            alive: TaskTracker::new(),
        });
        tokio::spawn(Arc::clone(&gateway).hear(came));
        Ok(gateway)
    }

    /// Makes the calls that are held, then goes on calling. Each site gets every other call, and over two rounds each
    /// phone is called through both.
    pub fn start(self: &Arc<Self>) {
        for place in 0..self.plan.held_calls {
            self.spawn(place, true);
        }
        let gateway = Arc::clone(self);
        self.alive.spawn(async move {
            let mut tick = interval(gateway.plan.call_every);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for place in 0.. {
                tokio::select! {
                    () = gateway.pausing.cancelled() => return,
                    _ = tick.tick() => gateway.spawn(place, false),
                }
            }
        });
    }

    /// Calls no more, lets go of what is held, and waits until every call is over.
    pub async fn stop(self: &Arc<Self>) {
        self.pausing.cancel();
        self.letting_go.cancel();
        self.alive.close();
        self.alive.wait().await;
        let unanswered = std::mem::take(&mut *self.unanswered.lock().unwrap_or_else(PoisonError::into_inner));
        stream::iter(unanswered)
            .for_each_concurrent(BYES_AT_ONCE, |talk| async move { _ = self.hang_up(&talk).await })
            .await;
    }

    fn spawn(self: &Arc<Self>, place: usize, held: bool) {
        let seats = self.order.len().max(1);
        let Some((seat, of_its_site)) = self.order.get(place % seats) else { return };
        let Some(seat) = self.plan.seats.get(*seat) else { return };
        let first = if (of_its_site + place / seats).is_multiple_of(2) { Side::Site } else { Side::Peer };
        let gateway = Arc::clone(self);
        let (number, home) = (seat.number.clone(), seat.home);
        self.alive.spawn(async move { gateway.call(&number, home, first, held).await });
    }

    fn avoids(&self, side: Side) -> bool {
        let avoided = self.avoided.lock().unwrap_or_else(PoisonError::into_inner);
        side.of(&avoided).is_some_and(|since| since.elapsed() < AVOIDS)
    }

    fn was_silent(&self, side: Side) {
        let mut avoided = self.avoided.lock().unwrap_or_else(PoisonError::into_inner);
        *side.of_mut(&mut avoided) = Some(Instant::now());
    }

    async fn call(self: &Arc<Self>, number: &str, home: Side, first: Side, held: bool) {
        let call = self.record.call_begins(number, home, held);
        let avoids = !self.plan.loyal && self.avoids(first) && !self.avoids(first.other());
        let first = if avoids { first.other() } else { first };
        let mut uri = format!("sip:{number}@{}", first.of(&self.plan.sites).sip);
        let mut side = first;
        let mut outcome = Outcome::Silence;
        // Each site once by itself, and once more where a redirection leads.
        for _ in 0..3 {
            self.record.call(call, |call| call.through = Some(side));
            match self.try_at(call, side, &uri).await {
                Tried::Silent => {
                    self.was_silent(side);
                    self.record.call(call, |call| call.silent.push(side));
                    if side != first || self.plan.loyal {
                        break;
                    }
                    side = side.other();
                    uri = format!("sip:{number}@{}", side.of(&self.plan.sites).sip);
                }
                Tried::Redirected(to, contact) => (side, uri) = (to, contact),
                Tried::Refused(code) => {
                    outcome = Outcome::Refused(side, code);
                    break;
                }
                Tried::Unanswered => {
                    outcome = Outcome::Unanswered(side);
                    break;
                }
                Tried::Answered(talk) => {
                    // Nobody listens any more when it was lost while it rang.
                    let is_lost = self.record.is_over(call);
                    if is_lost {
                        self.hang_up(&talk).await;
                        break;
                    }
                    self.record.call(call, |call| call.answered = Some((Instant::now(), side)));
                    outcome = self.talk(&talk, held).await;
                    break;
                }
            }
        }
        self.record.call_ends(call, outcome);
    }

    async fn try_at(self: &Arc<Self>, call: usize, side: Side, uri: &str) -> Tried {
        let to = side.of(&self.plan.sites).sip;
        let user = format!("{}{call}", self.record.callers);
        let from = format!("<sip:{user}@{}>;tag={}", self.line.address, self.line.fresh());
        let (called, call_id) = (format!("<{uri}>"), self.line.fresh());
        let request = Request {
            method: "INVITE",
            uri,
            from: &from,
            to: &called,
            call_id: &call_id,
            cseq: 1,
            user: &user,
            lines: &[],
            body: SDP,
        };
        let mut client = self.line.begin(to, &request).await;
        let patience = if self.plan.loyal { LOYAL_PATIENCE } else { self.plan.gateway_gives_up };
        let mut until = Instant::now() + patience;
        let mut heard = false;
        loop {
            let Some(response) = client.next(until).await else {
                let abandoned = Abandoned { to, request: &request, heard };
                self.give_up(client, &abandoned).await;
                return if heard { Tried::Unanswered } else { Tried::Silent };
            };
            let code = response.code().unwrap_or_default();
            if code < 200 {
                if !heard {
                    (heard, until) = (true, Instant::now() + PATIENCE);
                }
                continue;
            }
            let remote = text(&response, HeaderName::To);
            self.acknowledge(to, &request, &response, &client.branch).await;
            if code >= 300 {
                let elsewhere = self.redirected(side, &response).filter(|_| code < 400);
                return elsewhere.map_or(Tried::Refused(code), |(to, uri)| Tried::Redirected(to, uri));
            }
            let target = target(&response).unwrap_or_else(|| uri.to_owned());
            return Tried::Answered(Talk { side, to, target, from, remote, call_id, user });
        }
    }

    fn redirected(&self, side: Side, response: &Message) -> Option<(Side, String)> {
        let contact = NameAddr::parse(response.header(HeaderName::Contact)?).ok()?;
        let uri = String::from_utf8_lossy(contact.uri().ok()?.raw()).into_owned();
        let other = side.other();
        let to = other.of(&self.plan.sites).sip;
        (uri.contains(&to.to_string()) || uri.contains(&format!("@{}", to.ip()))).then_some((other, uri))
    }

    /// What a caller does whose patience is at its end. An answer that comes late is acknowledged and ended.
    async fn give_up(self: &Arc<Self>, mut client: Client, abandoned: &Abandoned<'_>) {
        let &Abandoned { to, request, heard } = abandoned;
        if heard {
            let cancel = Request { method: "CANCEL", body: b"", ..*request };
            let printed = self.line.print(&cancel, &client.branch);
            self.line.send(to, &printed).await;
        }
        let (uri, from, called) = (request.uri.to_owned(), request.from.to_owned(), request.to.to_owned());
        let (call_id, user) = (request.call_id.to_owned(), request.user.to_owned());
        let gateway = Arc::clone(self);
        tokio::spawn(async move {
            let until = Instant::now() + PATIENCE;
            while let Some(late) = client.next(until).await {
                if late.code().is_none_or(|code| code < 200) {
                    continue;
                }
                let request = Request {
                    method: "INVITE",
                    uri: &uri,
                    from: &from,
                    to: &called,
                    call_id: &call_id,
                    cseq: 1,
                    user: &user,
                    lines: &[],
                    body: b"",
                };
                gateway.acknowledge(to, &request, &late, &client.branch).await;
                if late.code() == Some(200) {
                    let (remote, target) = (text(&late, HeaderName::To), target(&late).unwrap_or(uri));
                    let side = Side::Site;
                    gateway.hang_up(&Talk { side, to, target, from, remote, call_id, user }).await;
                }
                return;
            }
        });
    }

    async fn acknowledge(&self, to: SocketAddr, invite: &Request<'_>, answer: &Message, branch: &str) {
        let remote = text(answer, HeaderName::To);
        let success = answer.code().is_some_and(|code| code < 300);
        let (uri, branch) = match target(answer).filter(|_| success) {
            Some(target) => (target, format!("z9hG4bK{}", self.line.fresh())),
            None => (invite.uri.to_owned(), branch.to_owned()),
        };
        let ack = Request { method: "ACK", uri: &uri, to: &remote, body: b"", lines: &[], ..*invite };
        let printed = self.line.print(&ack, &branch);
        self.line.send(to, &printed).await;
    }

    async fn talk(self: &Arc<Self>, talk: &Talk, held: bool) -> Outcome {
        let (told, ended) = oneshot::channel();
        self.up.lock().unwrap_or_else(PoisonError::into_inner).insert(talk.call_id.clone(), told);
        let lasts = async {
            if held {
                self.letting_go.cancelled().await;
            } else {
                sleep(self.plan.talk).await;
            }
        };
        let by_the_site = tokio::select! {
            () = lasts => false,
            told = ended => told.is_ok(),
        };
        self.up.lock().unwrap_or_else(PoisonError::into_inner).remove(&talk.call_id);
        if by_the_site {
            return Outcome::EndedBy(talk.side);
        }
        match self.hang_up(talk).await {
            Some(200) => Outcome::Done,
            Some(_) | None => {
                self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).push(talk.clone());
                Outcome::Cut(talk.side)
            }
        }
    }

    async fn hang_up(self: &Arc<Self>, talk: &Talk) -> Option<u16> {
        let bye = Request {
            method: "BYE",
            uri: &talk.target,
            from: &talk.from,
            to: &talk.remote,
            call_id: &talk.call_id,
            cseq: 2,
            user: &talk.user,
            lines: &[],
            body: b"",
        };
        let patience = if self.plan.loyal { LOYAL_PATIENCE } else { BYE_PATIENCE };
        self.line.ask(talk.to, &bye, patience).await?.code()
    }

    /// Whether a call is up; if its other end `ends` it, its caller is told.
    fn is_told(&self, call_id: &str, ends: bool) -> bool {
        let mut up = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        if !ends {
            return up.contains_key(call_id);
        }
        let Some(told) = up.remove(call_id) else { return false };
        let _ = told.send(());
        true
    }

    async fn hear(self: Arc<Self>, mut came: mpsc::Receiver<Came>) {
        while let Some(request) = came.recv().await {
            let call_id = text(&request.message, HeaderName::CallId);
            let inside = request.message.envelope().is_ok_and(|envelope| envelope.to_tag.is_some());
            let method = request.message.method();
            let known = self.is_told(&call_id, method == Some(Method::Bye));
            let code = if known || !inside { 200 } else { 481 };
            let body = if known && method == Some(Method::Invite) { SDP } else { b"" };
            if method != Some(Method::Ack) {
                let response = self.line.response(&request, code, "gateway", Some("gateway"), body);
                self.line.send(request.from, &response).await;
            }
        }
    }
}

struct Abandoned<'a> {
    to: SocketAddr,
    request: &'a Request<'a>,
    /// Whether the site said anything.
    heard: bool,
}

/// What came of calling through one site.
enum Tried {
    /// Nothing was heard.
    Silent,
    /// It is to be called there.
    Redirected(Side, String),
    /// It was refused.
    Refused(u16),
    /// It rang in vain.
    Unanswered,
    /// Somebody answered.
    Answered(Talk),
}
