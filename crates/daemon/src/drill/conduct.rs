//! The course of a drill: everybody well, the loss, everybody served again, the loss taken back, everything as before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::time::sleep;

use super::desktops::Desktops;
use super::facts::{self, Course};
use super::gateway::Gateway;
use super::guard::Reality;
use super::inject::Injected;
use super::phones::Phones;
use super::plan::Side;
use super::probe::Probe;
use super::record::{Outcome, Record};
use super::servers::{Server, Servers};
use super::watch::{Seen, Watch};
use super::{Kind, Task, Verdict};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// How often guards are looked at.
const GUARD_EVERY: Duration = Duration::from_secs(1);
/// Longest time for everybody to be in his place, before and afterwards.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// Longest time for the traces of a drill to be gone from both servers: calls without an answer end after 64 * T1.
const CLEAN_WITHIN: Duration = Duration::from_secs(45);

/// Everybody who takes part.
struct Cast {
    phones: Arc<Phones>,
    gateway: Arc<Gateway>,
    desktops: Desktops,
    /// Until it is dropped.
    _probe: Option<Probe>,
}

struct Drill {
    task: Arc<Task>,
    record: Arc<Record>,
    watch: Arc<Watch>,
    /// The servers of the site, where one of them is to be lost.
    servers: Option<Arc<Servers>>,
    abort: Sender<Option<String>>,
    aborted: Receiver<Option<String>>,
}

/// See the module.
///
/// # Errors
/// Why it could not run.
pub async fn conduct(task: Task) -> Result<(Verdict, Value), String> {
    let task = Arc::new(task);
    let record = Arc::new(Record::new(&task.plan, task.quiet));
    let watch = Watch::new(&task.plan).await?;
    record.name_sites(Side::BOTH.map(|side| watch.at(side).name));
    fit(&task, &watch)?;
    let servers = match task.kind {
        Kind::HaLoss => Some(Servers::new(&task.plan).await),
        Kind::SiteLoss | Kind::LinkLoss | Kind::SlowLink => None,
    };
    if let Some(servers) = &servers {
        servers.whole().map_err(|why| format!("{} would be lost: {why}", record.name(Side::Site)))?;
        servers.start(&record);
    }
    let (abort, aborted) = channel(None);
    let drill = Drill { task, record, watch, servers, abort, aborted };
    drill.watch.start(&drill.record);
    let open = async {
        let phones = Phones::start(&drill.task.plan, &drill.record).await?;
        let gateway = Gateway::open(&drill.task.plan, &drill.record).await?;
        let desktops = Desktops::start(&drill.task.plan, &drill.record);
        let _probe = match drill.servers {
            Some(_) => Some(Probe::start(&drill.task.plan, &drill.record).await?),
            None => None,
        };
        std::io::Result::Ok(Cast { phones, gateway, desktops, _probe })
    };
    let cast = open.await.map_err(|error| {
        format!(
            "the drill's parties cannot speak: {error} (do the addresses of the plan belong to this machine?)"
        )
    })?;
    let done = drill.play(&cast).await;
    if done.is_err() {
        drill.bow_out(&cast).await;
    }
    drill.watch.stop();
    if let Some(servers) = &drill.servers {
        servers.stop();
    }
    let course = done?;
    Ok(facts::report(&drill.task, &drill.record, &drill.watch.seen(), &course))
}

/// Whether both servers are in a state that a drill may disturb.
fn fit(task: &Task, watch: &Watch) -> Result<(), String> {
    for side in Side::BOTH {
        let Seen { name, mode, draining, drill, .. } = watch.at(side);
        if draining {
            return Err(format!("{name} is being drained: no drill now"));
        }
        if let Some(kind) = drill {
            return Err(format!("a drill is on at {name}: {kind}; it ends by `tandem drill abort`"));
        }
        if mode != "peered" {
            let why = if mode == "stand-alone" { "it has no peer" } else { "its peer is lost already" };
            return Err(format!("{name} works {mode}: {why}, so a drill would show nothing"));
        }
    }
    let [site, peer] = Side::BOTH.map(|side| &side.of(&task.plan.sites).http);
    if site.iter().any(|server| peer.contains(server)) {
        return Err("[site] and [peer] of the plan are the same server".to_owned());
    }
    Ok(())
}

impl Drill {
    /// Waits until something holds, and answers when; nothing when it does not hold in time, or the drill is aborted.
    async fn until(&self, within: Duration, holds: impl Fn() -> bool) -> Option<Instant> {
        let end = Instant::now() + within;
        while Instant::now() < end && self.aborted.borrow().is_none() {
            if holds() {
                return Some(Instant::now());
            }
            sleep(LOOK_EVERY).await;
        }
        None
    }

    /// Lets time go by, unless the drill is aborted.
    async fn pass(&self, time: Duration) {
        self.until(time, || false).await;
    }

    fn is_everybody_home(&self) -> bool {
        let facts = self.record.facts();
        facts.phones.values().chain(facts.desks.values()).all(|party| party.at() == Some(party.home))
    }

    fn both(&self, mode: &str) -> bool {
        self.watch.seen().iter().all(|seen| seen.answers && seen.mode == mode)
    }

    async fn play(&self, cast: &Cast) -> Result<Course, String> {
        let mut course = Course::default();
        self.before(cast).await?;
        course.well = Some(Instant::now());
        course.before = self.watch.seen().clone();
        let injected = self.inject(&mut course).await?;
        let lost = injected.at;
        course.lost = Some(lost);
        self.lose(lost, &course);
        let guards = tokio::spawn(guard(
            Arc::clone(&self.task),
            Arc::clone(&self.watch),
            Guarding {
                before: course.before.clone(),
                lost,
                record: Arc::clone(&self.record),
                abort: self.abort.clone(),
            },
        ));
        let interrupt = tokio::spawn(interrupted(self.abort.clone()));
        self.live_through(lost, &mut course).await;
        guards.abort();
        course.abort = self.aborted.borrow().clone();
        if let Some(why) = &course.abort {
            self.record.say(format!("aborted: {why}"));
        }
        course.during = self.watch.seen().clone();
        self.restore(&injected, &mut course).await;
        // From here on nothing is left to be aborted: what follows only puts things in order.
        interrupt.abort();
        tokio::spawn(interrupted_again());
        self.abort.send_replace(None);
        self.after(cast, &mut course).await;
        Ok(course)
    }

    /// Brings the failure about.
    async fn inject(&self, course: &mut Course) -> Result<Injected, String> {
        let Some(servers) = &self.servers else {
            let abort = self.abort.clone();
            let over = move |why| {
                abort.send_replace(Some(why));
            };
            let at_servers = Side::BOTH.map(|side| self.watch.serving(side));
            return Injected::start(&self.task, at_servers, over).await;
        };
        let server = servers.whole().map_err(|why| format!("nothing is lost, for all would be: {why}"))?;
        let injected = Injected::server_loss(&self.task, &server).await?;
        course.server = Some(server);
        Ok(injected)
    }

    /// Takes the failure back, or waits until what was lost has come back by itself.
    async fn restore(&self, injected: &Injected, course: &mut Course) {
        if let (Some(servers), Some(Server { epoch, .. })) = (&self.servers, &course.server) {
            course.took_over = servers.took_over(*epoch);
            self.until(SETTLES_WITHIN, || servers.whole_since().is_some()).await;
            course.whole = servers.whole_since();
            course.restored = Some(Instant::now());
            match servers.whole() {
                Ok(_) => self.record.say("each server of the site could stand in for the other again"),
                Err(why) => {
                    self.record.say(format!("the servers of the site are not well: {why}"));
                    course.unwhole = Some(why);
                }
            }
            return;
        }
        let ended = injected.end(&self.task).await;
        course.restored = Some(Instant::now());
        match ended {
            Ok(()) => self.record.say("the failure is taken back"),
            Err(why) => {
                self.record.say(format!("the failure could not be taken back: {why}"));
                course.abort.get_or_insert(format!("the failure could not be taken back: {why}"));
            }
        }
    }

    async fn before(&self, cast: &Cast) -> Result<(), String> {
        let record = &self.record;
        let phones = self.task.plan.seats.len();
        let desks = self.task.plan.seats.iter().filter(|seat| seat.desk.is_some()).count();
        let [site, peer] = Side::BOTH.map(|side| record.name(side));
        record.say(format!(
            "{site} and {peer} see each other; {phones} phones and {desks} desktops take their places"
        ));
        if self.until(SETTLES_WITHIN / 4, || self.is_everybody_home()).await.is_none() {
            return Err(format!("the drill's own parties do not come up: {}", self.missing()));
        }
        record.say("everybody is in his place; the gateway calls");
        cast.gateway.start();
        self.pass(self.task.before).await;
        let facts = record.facts();
        let bad = facts.calls.iter().filter(|call| call.ended.is_some_and(|(_, how)| how != Outcome::Done));
        let bad: Vec<String> = bad.map(|call| facts::worded(call, record)).take(3).collect();
        let answered = facts.calls.iter().filter(|call| call.answered.is_some()).count();
        drop(facts);
        if !bad.is_empty() {
            return Err(format!("calls fail before anything is lost: {}", bad.join("; ")));
        }
        if answered == 0 {
            return Err("no call was answered before anything is lost: is --before long enough?".to_owned());
        }
        if !self.both("peered") {
            return Err("the sites lost each other before the drill began".to_owned());
        }
        Ok(())
    }

    fn missing(&self) -> String {
        let facts = self.record.facts();
        let away = |(name, party): (&String, &super::record::Party)| {
            (party.at() != Some(party.home)).then(|| name.clone())
        };
        let phones: Vec<String> = facts.phones.iter().filter_map(away).take(5).collect();
        let desks: Vec<String> = facts.desks.iter().filter_map(away).take(5).collect();
        let list = |what: &str, names: Vec<String>| {
            if names.is_empty() { String::new() } else { format!("{what} {} ", names.join(", ")) }
        };
        format!("{}{}missing", list("phones", phones), list("agents", desks))
    }

    /// What is lost with the site is lost, whatever the server, which only keeps silent, remembers of it.
    fn lose(&self, lost: Instant, course: &Course) {
        let text = match self.task.kind {
            Kind::HaLoss => {
                let name = course.server.as_ref().map_or("the server", |server| &server.name);
                format!("{name}, which served {}, has ended without a word", self.record.name(Side::Site))
            }
            Kind::SiteLoss => format!("{} is lost", self.record.name(Side::Site)),
            Kind::LinkLoss => "the link between the sites is lost".to_owned(),
            Kind::SlowLink => format!(
                "what {} sends to its peer is {} ms late",
                self.record.name(Side::Site),
                self.task.delay.as_millis()
            ),
        };
        self.record.say_at(lost, text);
        if self.task.kind != Kind::SiteLoss {
            return;
        }
        for call in &mut self.record.facts().calls {
            if call.ended.is_none() && call.through == Some(Side::Site) {
                call.ended = Some((lost, Outcome::Cut(Side::Site)));
            }
        }
    }

    async fn live_through(&self, lost: Instant, course: &mut Course) {
        if self.task.kind == Kind::SlowLink {
            return self.pass(self.task.longest()).await;
        }
        course.recovered = self.until(self.task.lasts, || self.served(lost).is_some()).await;
        if course.recovered.is_none() {
            if self.aborted.borrow().is_none() {
                self.record.say(format!("not everybody is served again: {}", self.unserved(lost)));
            }
            return;
        }
        course.recovered = self.served(lost);
        let took = course.recovered.unwrap_or(lost).saturating_duration_since(lost);
        self.record.say(format!("everybody is served again {:.2} s after the loss", took.as_secs_f64()));
        self.pass(self.task.hold).await;
    }

    /// When everybody was served again.
    fn served(&self, lost: Instant) -> Option<Instant> {
        facts::served(&self.task, &self.record.facts(), &self.watch.seen(), lost).ok()
    }

    fn unserved(&self, lost: Instant) -> String {
        let served = facts::served(&self.task, &self.record.facts(), &self.watch.seen(), lost);
        served.err().unwrap_or_default()
    }

    async fn after(&self, cast: &Cast, course: &mut Course) {
        course.peered = self.until(SETTLES_WITHIN, || self.both("peered")).await;
        course.home = self.until(SETTLES_WITHIN, || self.is_everybody_home()).await;
        match course.home {
            Some(_) => self.record.say("both sites are peered, and everybody is in his place again"),
            None => self.record.say(format!("not everybody is in his place again: {}", self.missing())),
        }
        self.pass(self.task.after).await;
        course.ending = Some(Instant::now());
        self.bow_out(cast).await;
        let begun = Instant::now();
        loop {
            course.left = self.left().await;
            if course.left.is_empty() || begun.elapsed() > CLEAN_WITHIN {
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
        course.clean = course.left.is_empty().then(Instant::now);
        self.record.say(match course.left.first() {
            None => "nothing of the drill is left at either site".to_owned(),
            Some(_) => format!("left behind: {}", course.left.join("; ")),
        });
    }

    async fn bow_out(&self, cast: &Cast) {
        cast.gateway.stop().await;
        cast.desktops.stop().await;
        cast.phones.stop().await;
    }

    /// What both servers still have of the drill.
    async fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for side in Side::BOTH {
            for (path, field, what) in [
                ("/api/call", "from", "calls"),
                ("/api/reg", "dn", "registrations"),
                ("/api/agent", "agent_id", "agents"),
            ] {
                let rows = match path {
                    "/api/reg" => self.watch.registrations(side).await,
                    _ => self.watch.page(side, path).await,
                };
                match rows {
                    Ok(rows) => {
                        let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
                        let names = rows.iter().filter_map(|row| row.get(field)?.as_str());
                        let count = names.filter(|name| self.is_own(name)).count();
                        if count > 0 {
                            left.push(format!("{count} {what} at {}", self.record.name(side)));
                        }
                    }
                    Err(why) => left.push(format!("{} does not answer: {why}", self.record.name(side))),
                }
            }
        }
        left
    }

    /// Whether a caller, a phone or an agent belongs to the drill.
    fn is_own(&self, name: &str) -> bool {
        let facts = self.record.facts();
        name.starts_with(&self.record.callers)
            || facts.phones.contains_key(name)
            || facts.desks.contains_key(name)
    }
}

struct Guarding {
    before: [Seen; 2],
    lost: Instant,
    record: Arc<Record>,
    abort: Sender<Option<String>>,
}

/// Looks at what the guards guard until one is breached.
async fn guard(task: Arc<Task>, watch: Arc<Watch>, guarding: Guarding) {
    let Guarding { before, lost, record, abort } = guarding;
    loop {
        sleep(GUARD_EVERY).await;
        let mut now = watch.seen().clone();
        if task.kind == Kind::HaLoss {
            // Until the other server answers, what the one before said of real agents holds.
            Side::Site.of_mut(&mut now).answers = true;
        }
        let measured = task.kind != Kind::SlowLink;
        let served = facts::served(&task, &record.facts(), &now, lost).is_ok();
        let unrecovered = if measured && !served { lost.elapsed() } else { Duration::ZERO };
        let reality = Reality::new(&task.plan, &before, &now, unrecovered);
        for guard in &task.guards {
            if let Some(why) = guard.breached(&reality) {
                abort.send_replace(Some(format!("guard {}: {why}", guard.worded())));
                return;
            }
        }
    }
}

/// Whoever interrupts what only puts things in order wants no more of it.
async fn interrupted_again() {
    if interrupt().await {
        std::process::exit(i32::from(crate::cli::DRILL_ABORTED));
    }
}

/// Whoever interrupts a drill wants his site back.
async fn interrupted(abort: Sender<Option<String>>) {
    if interrupt().await {
        abort.send_replace(Some("interrupted".to_owned()));
    }
}

/// Waits for Ctrl-C, SIGTERM or the end of the terminal. False: this system has no signals for it.
async fn interrupt() -> bool {
    let (Ok(mut terminate), Ok(mut hangup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return false;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    true
}
