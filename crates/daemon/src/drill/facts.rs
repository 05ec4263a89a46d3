//! From what happened to a report: when everybody was served again, which calls were lost and why, which goals were met.

mod pair;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::guard::{Reality, real_agents};
use super::plan::Side;
use super::record::{Call, Facts, Line, Outcome, Party, Record};
use super::servers::{Server, Took};
use super::watch::{LOOK_EVERY, Seen};
use super::{Kind, Task, Verdict};

/// Lost calls that a report lists one by one; further ones are counted.
const MAX_LISTED: usize = 200;
/// What the detection may take beyond `oos-check` and `oos-force`: a tick, and a look at the server.
const DETECTION_SLACK: Duration = Duration::from_millis(1_000);

/// The moments of a drill.
#[derive(Debug, Default)]
pub struct Course {
    /// Everybody was well.
    pub well: Option<Instant>,
    /// The failure began.
    pub lost: Option<Instant>,
    /// Everybody was served again.
    pub recovered: Option<Instant>,
    /// The failure was taken back.
    pub restored: Option<Instant>,
    /// Both sites were peered again.
    pub peered: Option<Instant>,
    /// Everybody was in his place again.
    pub home: Option<Instant>,
    /// The parties began to leave.
    pub ending: Option<Instant>,
    /// Nothing was left of them.
    pub clean: Option<Instant>,
    /// What the servers said before the failure.
    pub before: [Seen; 2],
    /// What they said at its end.
    pub during: [Seen; 2],
    /// Why it was ended early.
    pub abort: Option<String>,
    /// What was left behind.
    pub left: Vec<String>,
    /// The server that was lost, where it was one.
    pub server: Option<Server>,
    /// Who served after it.
    pub took_over: Option<Took>,
    /// Each server of the site could stand in for the other again.
    pub whole: Option<Instant>,
    /// Why none could.
    pub unwhole: Option<String>,
}

/// When everybody was served again.
///
/// # Errors
/// Who is not.
pub fn served(task: &Task, facts: &Facts, seen: &[Seen; 2], lost: Instant) -> Result<Instant, String> {
    let mut latest = lost;
    let mut note = |at: Option<Instant>, who: &str| match at {
        Some(at) => {
            latest = latest.max(at);
            Ok(())
        }
        None => Err(who.to_owned()),
    };
    match task.kind {
        Kind::SlowLink => {}
        Kind::HaLoss => return pair::served(facts, lost),
        Kind::SiteLoss => {
            note(Side::Peer.of(seen).came_to("single-site", lost), "the peer does not work alone")?;
            for (what, parties) in [("phone", &facts.phones), ("agent", &facts.desks)] {
                for (name, party) in parties.iter().filter(|(_, party)| party.home == Side::Site) {
                    let there = party.first_at(Side::Peer, lost).filter(|_| party.at() == Some(Side::Peer));
                    note(there, &format!("{what} {name} is not at the peer"))?;
                }
            }
            let answered =
                first_answered(facts, lost, |call, side| call.home == Side::Site && side == Side::Peer);
            note(answered, "no call for a phone that lost its site was answered")?;
        }
        Kind::LinkLoss => {
            for side in Side::BOTH {
                let alone = side.of(seen).came_to("single-site", lost);
                note(alone, "a site does not work alone")?;
                let own = facts.phones.values().any(|phone| phone.home == side);
                if let Some(alone) = alone.filter(|_| own) {
                    let answered = first_answered(facts, alone, |call, at| call.home == side && at == side);
                    note(answered, "no call for a phone of its own was answered at a site")?;
                }
            }
        }
    }
    Ok(latest)
}

fn first_answered(facts: &Facts, after: Instant, fits: impl Fn(&Call, Side) -> bool) -> Option<Instant> {
    let begun = facts.calls.iter().filter(|call| call.began >= after);
    let answered = begun.filter_map(|call| call.answered.filter(|(_, side)| fits(call, *side)));
    answered.map(|(at, _)| at).min()
}

/// Why a call was lost; nothing if it was not.
fn reason(call: &Call, record: &Record) -> Option<String> {
    let (_, outcome) = call.ended?;
    let name = |side: Side| record.name(side);
    let crosses = |side: Side| {
        if side == call.home {
            String::new()
        } else {
            format!(", and its phone belongs to {}", name(call.home))
        }
    };
    match outcome {
        Outcome::Done => None,
        Outcome::Cut(side) if call.answered.is_none() => {
            Some(format!("was being set up through {}, which no longer answered", name(side)))
        }
        Outcome::Cut(side) => Some(format!("was up through {}, which no longer answered", name(side))),
        Outcome::EndedBy(side) => Some(format!("was up and ended by {}{}", name(side), crosses(side))),
        Outcome::Refused(side, code) => {
            Some(format!("{} refused it with {code}{}", name(side), crosses(side)))
        }
        Outcome::Silence => Some("no site answered".to_owned()),
        Outcome::Unanswered(side) => Some(format!("rang in vain at {}{}", name(side), crosses(side))),
    }
}

/// One lost call, for people.
pub fn worded(call: &Call, record: &Record) -> String {
    let why = reason(call, record).unwrap_or_else(|| "it was not lost".to_owned());
    format!("the call for {} at {:.2} s: {why}", call.number, record.ms(call.began) as f64 / 1000.0)
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How long something took, of those for whom it happened.
fn spread(what: &str, of: usize, mut taken: Vec<u64>) -> Value {
    taken.sort_unstable();
    let at = |percent: usize| {
        let place = (taken.len() * percent).div_ceil(100).saturating_sub(1);
        taken.get(place).copied()
    };
    json!({
        "what": what, "count": taken.len(), "of": of,
        "p50_ms": at(50), "p95_ms": at(95), "max_ms": taken.last(),
    })
}

fn since(lost: Instant, at: Instant) -> u64 {
    ms(at.saturating_duration_since(lost))
}

/// Everything that a report is made from.
struct Sheet<'a> {
    task: &'a Task,
    record: &'a Record,
    facts: &'a Facts,
    seen: &'a [Seen; 2],
    course: &'a Course,
    lost: Instant,
}

/// The verdict, and the report.
pub fn report(task: &Task, record: &Record, seen: &[Seen; 2], course: &Course) -> (Verdict, Value) {
    let facts = record.facts();
    let lost = course.lost.unwrap_or(record.begun);
    let sheet = Sheet { task, record, facts: &facts, seen, course, lost };
    let goals = sheet.goals();
    let met = goals.iter().all(|(_, _, _, met)| *met);
    let verdict = match (&course.abort, met) {
        (Some(_), _) => Verdict::Aborted,
        (None, true) => Verdict::Passed,
        (None, false) => Verdict::Missed,
    };
    let goals: Vec<Value> = goals
        .into_iter()
        .map(|(goal, wanted, seen, met)| json!({ "goal": goal, "wanted": wanted, "seen": seen, "met": met }))
        .collect();
    let mut lines: Vec<&Line> = facts.lines.iter().collect();
    lines.sort_by_key(|line| line.at);
    let lines: Vec<Value> =
        lines.into_iter().map(|line| json!({ "at_ms": record.ms(line.at), "text": line.text })).collect();
    let unix_ms = crate::run::now().unix_ms.saturating_sub(ms(record.begun.elapsed()));
    let report = json!({
        "format": "tandem-drill/1",
        "tandem": env!("CARGO_PKG_VERSION"),
        "verdict": verdict.name(),
        "aborted": course.abort,
        "began_unix_ms": unix_ms,
        "drill": sheet.drill(),
        "sites": sheet.sites(),
        "pair": sheet.pair(),
        "parties": sheet.parties(),
        "phases": sheet.phases(),
        "goals": goals,
        "recovery": sheet.recovery(),
        "calls": sheet.calls(),
        "moves": sheet.moves(),
        "real": sheet.real(),
        "timeline": lines,
        "timeline_left_out": facts.unsaid,
        "left_behind": course.left,
        "not_measured": sheet.not_measured(),
    });
    (verdict, report)
}

type Goal = (String, String, String, bool);

impl Sheet<'_> {
    fn name(&self, side: Side) -> String {
        self.record.name(side)
    }

    fn drill(&self) -> Value {
        let task = self.task;
        let guards: Vec<String> = task.guards.iter().map(super::Guard::worded).collect();
        json!({
            "kind": task.kind.name(),
            "command": task.command,
            "injected_by": match (&task.inject_with, &self.course.server) {
                (Some(command), _) => format!("the command `{command}`"),
                (None, Some(server)) => format!("{}, which ended as by kill -9 by order of {}", server.name, task.user),
                (None, None) => format!("{}, which isolated itself by order of {}", self.name(Side::Site), task.user),
            },
            "share_percent": task.share,
            "delay_ms": ms(task.delay),
            "guards": guards,
            "goal_recovery_ms": task.goal.map(ms),
        })
    }

    fn sites(&self) -> Value {
        let site = |side: Side| {
            let (at, seen) = (side.of(&self.task.plan.sites), side.of(self.seen));
            let modes: Vec<Value> = seen
                .modes
                .iter()
                .filter_map(|(at, mode)| Some(json!({ "at_ms": self.record.ms((*at)?), "mode": mode })))
                .collect();
            json!({
                "name": self.name(side), "http": at.http.join(", "), "sip": at.sip.to_string(),
                "oos_check_s": seen.oos_check_s, "oos_force_s": seen.oos_force_s, "modes": modes,
            })
        };
        json!({ "site": site(Side::Site), "peer": site(Side::Peer) })
    }

    fn parties(&self) -> Value {
        let plan = &self.task.plan;
        let at = |side: Side| plan.seats.iter().filter(|seat| seat.home == side).count();
        json!({
            "phones_at_site": at(Side::Site),
            "phones_at_peer": at(Side::Peer),
            "desktops": self.facts.desks.len(),
            "phones_refresh_ms": ms(plan.refresh),
            "phones_give_up_ms": ms(plan.phone_gives_up),
            "site_timeout_ms": ms(plan.site_timeout),
            "call_every_ms": ms(plan.call_every),
            "talk_ms": ms(plan.talk),
            "gateway_gives_up_ms": ms(plan.gateway_gives_up),
            "held_calls": plan.held_calls,
        })
    }

    fn phases(&self) -> Value {
        let Course { well, lost, recovered, restored, home, ending, clean, .. } = self.course;
        let last = clean.or(*ending).or(*home).or(*restored);
        let steps = [
            ("before", Some(self.record.begun), *well),
            ("loss to service", *lost, recovered.or(*restored)),
            (
                if self.task.kind == Kind::HaLoss { "one server short" } else { "alone" },
                *recovered,
                *restored,
            ),
            ("return", *restored, home.or(*ending)),
            ("after", *home, *ending),
            ("leaving", *ending, last),
        ];
        let phase = |(name, from, to): (&str, Option<Instant>, Option<Instant>)| {
            let (from, to) = (self.record.ms(from?), self.record.ms(to?));
            Some(json!({ "name": name, "from_ms": from, "to_ms": to }))
        };
        steps.into_iter().filter_map(phase).collect()
    }

    /// Parties that lost their site.
    fn affected<'b>(&self, all: &'b BTreeMap<String, Party>) -> Vec<&'b Party> {
        let hit = self.task.kind == Kind::SiteLoss;
        all.values().filter(|party| hit && party.home == Side::Site).collect()
    }

    fn restored(&self) -> Instant {
        self.course.restored.unwrap_or_else(Instant::now)
    }

    fn recovery(&self) -> Value {
        if self.task.kind == Kind::HaLoss {
            return self.takeover();
        }
        let (lost, restored, peer) = (self.lost, self.restored(), self.name(Side::Peer));
        let during = |at: &Instant| *at <= restored;
        let mut lines = Vec::new();
        for side in Side::BOTH {
            let alone = side.of(self.seen).came_to("single-site", lost).filter(during);
            let taken = alone.map(|at| since(lost, at)).into_iter().collect();
            lines.push(spread(&format!("{} worked alone (server's detection)", self.name(side)), 1, taken));
        }
        let phones = self.affected(&self.facts.phones);
        let desks = self.affected(&self.facts.desks);
        let mut taken = |what: &str, parties: &[&Party], of: &dyn Fn(&Party) -> Option<u64>| {
            if !parties.is_empty() {
                let taken = parties.iter().filter_map(|party| of(party)).collect();
                lines.push(spread(what, parties.len(), taken));
            }
        };
        let noticed = |party: &Party| party.noticed(lost, LOOK_EVERY).filter(during);
        let moved = |party: &Party| party.first_at(Side::Peer, lost).filter(during);
        let ask = "phones: until the next one asked, in vain (refresh)";
        taken(ask, &phones, &|party| Some(since(lost, noticed(party)?)));
        taken("phones: from asking in vain to registered", &phones, &|party| {
            Some(since(noticed(party)?, moved(party)?))
        });
        taken(&format!("phones: registered at {peer}"), &phones, &|party| Some(since(lost, moved(party)?)));
        let gone = "desktops: until the connection was missed";
        taken(gone, &desks, &|party| Some(since(lost, noticed(party)?)));
        taken(&format!("desktops: logged in at {peer}"), &desks, &|party| Some(since(lost, moved(party)?)));
        let turned: Vec<u64> = self
            .facts
            .calls
            .iter()
            .filter(|call| call.began >= lost && call.began <= restored && !call.silent.is_empty())
            .filter_map(|call| Some(since(call.began, call.answered?.0)))
            .collect();
        if !turned.is_empty() {
            let calls = turned.len();
            let what = "gateway: calls answered at the other site after the first was silent";
            lines.push(spread(what, calls, turned));
        }
        let everybody = self.course.recovered.map(|at| since(lost, at)).into_iter().collect();
        if self.task.kind != Kind::SlowLink {
            lines.push(spread("everybody served again", 1, everybody));
        }
        json!({ "counted_from": "the loss", "resolution_ms": ms(LOOK_EVERY), "steps": lines })
    }

    fn is_lost(call: &Call) -> bool {
        call.ended.is_some_and(|(_, how)| how != Outcome::Done)
    }

    /// Calls of one kind: how many there were, and how many were lost.
    fn count(&self, what: &str, fits: impl Fn(&Call) -> bool) -> Value {
        let (mut total, mut answered, mut lost, mut setup) = (0u64, 0u64, 0u64, Vec::new());
        for call in self.facts.calls.iter().filter(|call| fits(call)) {
            total += 1;
            lost += u64::from(Self::is_lost(call));
            if let Some((at, _)) = call.answered {
                answered += 1;
                setup.push(since(call.began, at));
            }
        }
        let setup = spread("answered after", setup.len(), setup);
        json!({ "what": what, "calls": total, "answered": answered, "lost": lost, "setup": setup })
    }

    fn crosses(call: &Call) -> bool {
        call.answered.is_some_and(|(_, side)| side != call.home)
    }

    fn calls(&self) -> Value {
        let (lost, restored) = (self.lost, self.restored());
        let served = self.course.recovered.unwrap_or(restored);
        let up = |call: &Call| {
            call.answered.is_some_and(|(at, _)| at < lost) && call.ended.is_none_or(|(at, _)| at >= lost)
        };
        let through = |call: &Call, side: Side| call.answered.is_some_and(|(_, at)| at == side);
        let between = |call: &Call, from: Instant, to: Instant| call.began >= from && call.began < to;
        let by_name = |side: Side| self.name(side);
        let rang = |call: &Call| {
            call.began < lost
                && call.answered.is_none_or(|(at, _)| at >= lost)
                && call.ended.is_none_or(|(at, _)| at >= lost)
        };
        let over = |call: &Call| call.began < lost && !up(call) && !rang(call);
        let mut groups = vec![self.count("over before the loss", over)];
        for side in Side::BOTH {
            let what = format!("up at the loss, wholly at {}", by_name(side));
            groups.push(self.count(&what, |call| up(call) && through(call, side) && !Self::crosses(call)));
        }
        groups.push(self.count("up at the loss, over the link", |call| up(call) && Self::crosses(call)));
        groups.push(self.count("in set-up at the loss", rang));
        groups.push(self.count("begun until everybody was served", |call| between(call, lost, served)));
        let pair = self.task.kind == Kind::HaLoss;
        let short = if pair {
            "begun after that, until both servers were well"
        } else {
            "begun after that, while it was lost"
        };
        groups.push(self.count(short, |call| between(call, served, restored)));
        if self.task.kind != Kind::SiteLoss && !pair {
            let what = "of both, answered over the link";
            groups.push(self.count(what, |call| between(call, lost, restored) && Self::crosses(call)));
        }
        groups.push(self.count("begun after the return", |call| call.began >= restored));
        let mut why: BTreeMap<String, u64> = BTreeMap::new();
        let mut listed = Vec::new();
        for call in &self.facts.calls {
            let Some(reason) = reason(call, self.record) else { continue };
            if listed.len() < MAX_LISTED {
                let ended = call.ended.map(|(at, _)| self.record.ms(at));
                let began = self.record.ms(call.began);
                listed.push(json!({
                    "number": call.number, "began_ms": began, "ended_ms": ended, "held": call.held, "why": reason,
                }));
            }
            *why.entry(reason).or_default() += 1;
        }
        let dots: Vec<Value> = self
            .facts
            .calls
            .iter()
            .take(2_000)
            .map(|call| json!([self.record.ms(call.began), u8::from(Self::is_lost(call))]))
            .collect();
        json!({ "groups": groups, "lost_because": why, "lost": listed, "begun": dots })
    }

    fn moves(&self) -> Value {
        let away = |all: &BTreeMap<String, Party>| -> (Vec<String>, Vec<String>) {
            let hit = all.iter().filter(|(_, p)| self.task.kind == Kind::SiteLoss && p.home == Side::Site);
            let restored = self.restored();
            let (moved, stayed): (Vec<_>, Vec<_>) =
                hit.partition(|(_, p)| p.first_at(Side::Peer, self.lost).is_some_and(|at| at <= restored));
            let names =
                |list: Vec<(&String, &Party)>| list.into_iter().map(|(name, _)| name.clone()).collect();
            (names(moved), names(stayed))
        };
        let (phones, phones_not) = away(&self.facts.phones);
        let (agents, agents_not) = away(&self.facts.desks);
        let refused: u32 = self.facts.desks.values().map(|desk| desk.refused).sum();
        let not_home = |all: &BTreeMap<String, Party>| -> Vec<String> {
            let left = self.course.ending.unwrap_or_else(Instant::now);
            let at =
                |party: &Party| party.stays.iter().rfind(|stay| stay.since < left).and_then(|stay| stay.at);
            all.iter().filter(|(_, p)| at(p) != Some(p.home)).map(|(name, _)| name.clone()).collect()
        };
        json!({
            "phones_moved": phones, "phones_not_moved": phones_not,
            "agents_moved": agents, "agents_not_moved": agents_not,
            "logins_refused_phone_not_there": refused,
            "phones_not_back": not_home(&self.facts.phones), "agents_not_back": not_home(&self.facts.desks),
        })
    }

    fn real(&self) -> Value {
        let Course { before, during, .. } = self.course;
        let plan = &self.task.plan;
        let reality = Reality::new(plan, before, during, Duration::ZERO);
        let after = Reality::new(plan, before, self.seen, Duration::ZERO);
        json!({
            "agents_before": real_agents(plan, before).len(),
            "agents_down_at_the_end_of_the_loss": reality.agents_down,
            "agents_down_afterwards": after.agents_down,
            "established_calls_lost": after.calls_lost,
            "longest_wait_s_at_the_end_of_the_loss": reality.longest_wait_s,
        })
    }

    fn goals(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        if self.task.kind == Kind::HaLoss {
            goals.extend(self.pair_goals());
            goals.extend(self.ending());
            return goals;
        }
        let (lost, restored) = (self.lost, self.restored());
        if self.task.kind == Kind::SlowLink {
            goals.push(self.stays_peered());
        } else {
            goals.push(self.detection());
            goals.push(self.service());
            let served = self.course.recovered.unwrap_or(restored);
            let own = self.task.kind == Kind::LinkLoss;
            let what = if own { "calls for a site's own phones after that" } else { "calls after that" };
            let fits = |call: &Call| {
                let (at, _) = call.ended.unwrap_or((call.began, Outcome::Done));
                let here = !own || Self::last_side(call).is_none_or(|side| side == call.home);
                call.began >= served && at < restored && here
            };
            goals.push(self.none_lost(what, fits));
        }
        let untouched = |call: &Call| {
            let Some((_, side)) = call.answered else { return false };
            let spared = self.task.kind != Kind::SiteLoss || side == Side::Peer;
            let whole = self.task.kind == Kind::SlowLink || side == call.home;
            spared && whole && call.ended.is_some_and(|(at, _)| at >= lost)
        };
        goals.push(self.none_lost("calls that did not touch what failed", untouched));
        goals.extend(self.ending());
        goals
    }

    /// The site that had the last word on a call.
    fn last_side(call: &Call) -> Option<Side> {
        match call.ended?.1 {
            Outcome::Done => call.answered.map(|(_, side)| side),
            Outcome::Refused(side, _)
            | Outcome::Unanswered(side)
            | Outcome::Cut(side)
            | Outcome::EndedBy(side) => Some(side),
            Outcome::Silence => None,
        }
    }

    fn none_lost(&self, what: &str, fits: impl Fn(&Call) -> bool) -> Goal {
        let calls = self.facts.calls.iter().filter(|call| fits(call));
        let (total, lost) =
            calls.fold((0, 0), |(all, lost), call| (all + 1, lost + usize::from(Self::is_lost(call))));
        (format!("{what}: none lost"), "0 lost".to_owned(), format!("{lost} lost of {total}"), lost == 0)
    }

    fn stays_peered(&self) -> Goal {
        let [site, peer] = [Side::Site, Side::Peer].map(|side| side.of(self.seen));
        let alone = [site, peer].iter().filter_map(|s| s.came_to("single-site", self.lost)).count();
        let limit = Duration::from_secs(site.oos_force_s.min(peer.oos_force_s));
        let bearable = self.task.delay < limit;
        let wanted = if bearable {
            format!("both stay peered: {} ms is less than oos-force", ms(self.task.delay))
        } else {
            format!("both work alone: {} ms is not less than oos-force", ms(self.task.delay))
        };
        let seen = format!("{alone} of 2 sites worked alone");
        ("the sites judge the link rightly".to_owned(), wanted, seen, (alone == 0) == bearable)
    }

    fn detection(&self) -> Goal {
        let limit = |seen: &Seen| Duration::from_secs(seen.oos_check_s + seen.oos_force_s) + DETECTION_SLACK;
        let (mut met, mut seen, mut wanted) = (true, Vec::new(), Duration::ZERO);
        for side in Side::BOTH {
            let server = side.of(self.seen);
            wanted = wanted.max(limit(server));
            // A server that does not answer, because it is really cut off, cannot say what it noticed.
            let silent =
                self.task.inject_with.is_some() && side == Side::Site && self.task.kind == Kind::SiteLoss;
            match server.came_to("single-site", self.lost) {
                _ if silent => seen.push(format!("{} could not be asked while it was lost", self.name(side))),
                Some(at) => {
                    let took = at.saturating_duration_since(self.lost);
                    met &= took <= limit(server);
                    seen.push(format!("{} after {:.2} s", self.name(side), took.as_secs_f64()));
                }
                None => {
                    met = false;
                    seen.push(format!("{} was not seen to", self.name(side)));
                }
            }
        }
        let wanted = format!("within {:.0} s (oos-check + oos-force and 1 s)", wanted.as_secs_f64());
        ("each site works alone".to_owned(), wanted, seen.join(", "), met)
    }

    fn service(&self) -> Goal {
        let wanted = self.task.goal.unwrap_or(self.task.lasts);
        self.served_within(wanted)
    }

    fn served_within(&self, wanted: Duration) -> Goal {
        let took = self.course.recovered.map(|at| at.saturating_duration_since(self.lost));
        let seen = match took {
            Some(took) => format!("after {:.2} s", took.as_secs_f64()),
            None => {
                let why = served(self.task, self.facts, &self.course.during, self.lost).err();
                format!("no: {}", why.unwrap_or_else(|| "not in time".to_owned()))
            }
        };
        let met = took.is_some_and(|took| took <= wanted);
        ("everybody is served again".to_owned(), format!("within {:.1} s", wanted.as_secs_f64()), seen, met)
    }

    fn ending(&self) -> Vec<Goal> {
        let Course { restored, peered, home, clean, left, .. } = self.course;
        let after = |at: &Option<Instant>| match (at, restored) {
            (Some(at), Some(from)) => format!("after {:.2} s", since(*from, *at) as f64 / 1000.0),
            (_, _) => "no".to_owned(),
        };
        let gone = if left.is_empty() { "nothing".to_owned() } else { left.join("; ") };
        vec![
            (
                "both sites are peered again".to_owned(),
                "within 60 s of the return".to_owned(),
                after(peered),
                peered.is_some(),
            ),
            (
                "everybody is in his place again".to_owned(),
                "within 60 s of that".to_owned(),
                after(home),
                home.is_some(),
            ),
            (
                "nothing of the drill is left".to_owned(),
                "no call, registration or agent".to_owned(),
                gone,
                clean.is_some(),
            ),
        ]
    }

    fn not_measured(&self) -> Vec<String> {
        let mut not = vec![
            "Media: the drill's parties exchange no sound. A call counts as lost when its signalling is.".to_owned(),
            format!("What servers say is known to {} ms: so often they are asked.", ms(LOOK_EVERY)),
            "The devices of real customers: of them only lost calls, agents and waiting times are known, from the servers."
                .to_owned(),
        ];
        if self.task.kind == Kind::HaLoss {
            not.push(
                "A machine that loses its power or its cable: the process ended, and its kernel closed its connections, so that \
                 desktops learnt of it at once. Lease, election and address are the same."
                    .to_owned(),
            );
        } else if self.task.inject_with.is_none() {
            not.push(
                "The process itself: it went on, deaf and mute. A site that really dies also forgets its registrations, and \
                 needs its time to start."
                    .to_owned(),
            );
        }
        if self.task.share > 0 {
            not.push(
                "How the share of real Extensions came back: their phones and desktops are not the drill's."
                    .to_owned(),
            );
        }
        not
    }
}
