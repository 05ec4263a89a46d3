//! What both sites say of themselves while a drill lasts, asked over and over: of the servers of a site, the one that serves.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::plan::{Plan, Side};
use super::record::Record;
use crate::cli::client;
use crate::limits::MAX_PAGE_ROWS;

/// How often a server is asked for its mode: no moment in a report is known better than that.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A server that is silent for so long does not answer: one that is cut off is not waited for.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// How many looks at the mode make one at agents, queues and lost calls.
const LOOKS: u32 = 10;

/// What a server that took over knew of the drill's parties and of real ones when it was first asked.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    /// DNs with a registration.
    pub phones: BTreeSet<String>,
    /// Agents logged in.
    pub agents: BTreeSet<String>,
}

/// What one server says.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Does it answer?
    pub answers: bool,
    /// Its name.
    pub name: String,
    /// Continuity mode.
    pub mode: String,
    /// Each mode that it came to, and when that was seen.
    pub modes: Vec<(Option<Instant>, String)>,
    /// Is it being drained?
    pub draining: bool,
    /// Is a drill on there?
    pub drill: Option<String>,
    /// Agents logged in.
    pub agents: BTreeSet<String>,
    /// Longest wait in a queue now, s.
    pub longest_wait_s: u64,
    /// Calls now.
    pub calls: u64,
    /// Established calls that were lost since the start of its first server, those of drills excepted.
    pub calls_lost: u64,
    /// What servers that serve no more had lost: who takes over counts from nothing.
    pub calls_lost_before: u64,
    /// What the last server that took over had from the one before.
    pub inherited: Option<Inherited>,
    /// `oos-check` of its peer trunk, s.
    pub oos_check_s: u64,
    /// `oos-force` of its peer trunk, s.
    pub oos_force_s: u64,
}

/// See the module.
pub struct Watch {
    plan: Arc<Plan>,
    seen: Mutex<[Seen; 2]>,
    /// Which server of each site was the last to answer for it.
    serves: [AtomicUsize; 2],
    stopping: CancellationToken,
}

fn number(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or_default()
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl Watch {
    /// Asks both once.
    ///
    /// # Errors
    /// A sentence about the first that does not answer.
    pub async fn new(plan: &Arc<Plan>) -> Result<Arc<Self>, String> {
        let watch = Arc::new(Self {
            plan: Arc::clone(plan),
            seen: Mutex::default(),
            serves: Default::default(),
            stopping: CancellationToken::new(),
        });
        for side in Side::BOTH {
            watch.look(side, None).await?;
            watch.look_closely(side).await?;
        }
        Ok(watch)
    }

    /// Goes on asking, until dropped or stopped. Changes of the mode go to the record.
    pub fn start(self: &Arc<Self>, record: &Arc<Record>) {
        for side in Side::BOTH {
            let (watch, record) = (Arc::clone(self), Arc::clone(record));
            tokio::spawn(async move {
                let mut tick = interval(LOOK_EVERY);
                tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
                for look in 1u32.. {
                    tokio::select! {
                        () = watch.stopping.cancelled() => return,
                        _ = tick.tick() => {}
                    }
                    let closely = look.is_multiple_of(LOOKS);
                    let looked = match watch.look(side, Some(&record)).await {
                        Ok(()) if closely => watch.look_closely(side).await,
                        looked => looked,
                    };
                    side.of_mut(&mut watch.seen()).answers = looked.is_ok();
                }
            });
        }
    }

    /// Asks no more.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// What both say.
    pub fn seen(&self) -> MutexGuard<'_, [Seen; 2]> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What one says.
    pub fn at(&self, side: Side) -> Seen {
        side.of(&self.seen()).clone()
    }

    /// A page of a site.
    ///
    /// # Errors
    /// A sentence.
    pub async fn page(&self, side: Side, path: &str) -> Result<Value, String> {
        let (servers, serves) = (&side.of(&self.plan.sites).http, side.of(&self.serves));
        let (first, mut why) = (serves.load(Relaxed), String::new());
        for place in (first..servers.len()).chain(0..first) {
            let Some(server) = servers.get(place) else { continue };
            match timeout(ANSWERS_WITHIN, client::fetch(server, path)).await {
                Ok(Ok(answer)) => {
                    serves.store(place, Relaxed);
                    return Ok(answer);
                }
                Ok(Err(error)) if servers.len() == 1 => why = error.to_string(),
                Ok(Err(error)) => why = format!("{server}: {error}"),
                Err(_) => why = format!("no answer from {server} within {} s", ANSWERS_WITHIN.as_secs()),
            }
        }
        Err(why)
    }

    /// The administration interface of the server that answers for a site.
    pub fn serving(&self, side: Side) -> String {
        let servers = &side.of(&self.plan.sites).http;
        servers.get(side.of(&self.serves).load(Relaxed)).cloned().unwrap_or_default()
    }

    /// Every registration that a site has.
    ///
    /// # Errors
    /// As [`Watch::page`].
    pub async fn registrations(&self, side: Side) -> Result<Value, String> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().and_then(|row| row.get("dn")?.as_str()).map(client::escape);
            let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
            let page = self.page(side, &format!("/api/reg?limit={MAX_PAGE_ROWS}{after}")).await?;
            let rows = page.as_array().map(Vec::as_slice).unwrap_or_default();
            all.extend_from_slice(rows);
            if rows.len() < MAX_PAGE_ROWS {
                return Ok(Value::Array(all));
            }
        }
    }

    async fn look(&self, side: Side, record: Option<&Record>) -> Result<(), String> {
        let before = side.of(&self.serves).load(Relaxed);
        let status = self.page(side, "/api/status").await?;
        if record.is_some() && side.of(&self.serves).load(Relaxed) != before {
            let inherited = self.inherit(side).await;
            // Asked again with the next look.
            inherited.inspect_err(|_| side.of(&self.serves).store(before, Relaxed))?;
        }
        let mode = text(&status, "mode");
        let changed = {
            let mut seen = self.seen();
            let seen = side.of_mut(&mut seen);
            seen.answers = true;
            seen.name = text(&status, "server");
            seen.draining = status.get("draining").and_then(Value::as_bool).unwrap_or(false);
            seen.drill = status.get("drill").and_then(Value::as_str).map(str::to_owned);
            seen.calls = number(&status, "calls");
            let changed = seen.mode != mode;
            if changed {
                seen.modes.push((record.map(|_| Instant::now()), mode.clone()));
                seen.mode.clone_from(&mode);
            }
            changed
        };
        if let Some(record) = record.filter(|_| changed) {
            record.say(format!("{} works {}", record.name(side), worded(&mode)));
        }
        Ok(())
    }

    /// Another server answers for the site: what it has from the one before.
    async fn inherit(&self, side: Side) -> Result<(), String> {
        let names = |page: &Value, field: &str| rows(page).map(|row| text(row, field)).collect();
        let registrations = self.registrations(side).await?;
        let agents = self.page(side, "/api/agent").await?;
        let inherited = Inherited { phones: names(&registrations, "dn"), agents: names(&agents, "agent_id") };
        let mut seen = self.seen();
        let seen = side.of_mut(&mut seen);
        seen.calls_lost_before = seen.calls_lost;
        seen.inherited = Some(inherited);
        Ok(())
    }

    async fn look_closely(&self, side: Side) -> Result<(), String> {
        let agents = self.page(side, "/api/agent").await?;
        let queues = self.page(side, "/api/queue").await?;
        let drill = self.page(side, "/api/drill").await?;
        let trunks = self.page(side, "/api/trunk").await?;
        let mut seen = self.seen();
        let seen = side.of_mut(&mut seen);
        seen.agents = rows(&agents).map(|agent| text(agent, "agent_id")).collect();
        seen.longest_wait_s = rows(&queues).map(|queue| number(queue, "longest_wait_s")).max().unwrap_or(0);
        seen.calls_lost = seen.calls_lost_before + number(&drill, "calls_lost");
        let is_peer = |trunk: &&Value| trunk.get("peer").and_then(Value::as_bool) == Some(true);
        if let Some(trunk) = rows(&trunks).find(is_peer) {
            (seen.oos_check_s, seen.oos_force_s) =
                (number(trunk, "oos_check_s"), number(trunk, "oos_force_s"));
        }
        Ok(())
    }
}

fn worded(mode: &str) -> &str {
    match mode {
        "single-site" => "alone (single-site)",
        "peered" => "with its peer (peered)",
        other => other,
    }
}

impl Seen {
    /// When it was first seen in a mode after a moment.
    pub fn came_to(&self, mode: &str, after: Instant) -> Option<Instant> {
        let found = self.modes.iter().filter(|(_, name)| name == mode);
        found.filter_map(|(at, _)| *at).find(|at| *at >= after)
    }
}
