//! The loss of one server of a site: who took over, how long the site was silent, and what got lost on the way.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Goal, Sheet, first_answered, ms, since, spread};
use crate::drill::plan::Side;
use crate::drill::probe::ASKS_EVERY;
use crate::drill::record::{Call, Facts, Party};
use crate::drill::servers::{Server, Took};
use crate::drill::watch::LOOK_EVERY;

/// For each of these, a call that was begun in the gap, or rang then, may be lost.
const GAP_PER_CALL: Duration = Duration::from_millis(100);

/// The first answer to OPTIONS that were sent after a moment.
fn answer_after(facts: &Facts, moment: Instant) -> Option<Instant> {
    facts.answers.iter().filter(|(sent, _)| *sent >= moment).map(|(_, came)| *came).min()
}

fn of_site(call: &Call, side: Side) -> bool {
    call.home == Side::Site && side == Side::Site
}

/// When everybody was served again: OPTIONS and a call were answered at the site, its phones have it, and its desktops go on.
///
/// # Errors
/// Who is not.
pub fn served(facts: &Facts, lost: Instant) -> Result<Instant, String> {
    let answer = answer_after(facts, lost).ok_or("the site does not answer OPTIONS")?;
    let call = first_answered(facts, lost, of_site).ok_or("no call through the site was answered")?;
    let mut latest = answer.max(call);
    let here = |all: &std::collections::BTreeMap<String, Party>| -> Vec<(String, Party)> {
        let own = all.iter().filter(|(_, party)| party.home == Side::Site);
        own.map(|(name, party)| (name.clone(), party.clone())).collect()
    };
    for (name, phone) in here(&facts.phones) {
        let stay = phone.stays.last().filter(|stay| stay.at == Some(Side::Site));
        latest = latest.max(stay.ok_or_else(|| format!("phone {name} finds nobody"))?.since);
    }
    for (name, desk) in here(&facts.desks) {
        let back = desk.first_at(Side::Site, lost).filter(|_| desk.at() == Some(Side::Site));
        latest = latest.max(back.ok_or_else(|| format!("the desktop of agent {name} has not come back"))?);
    }
    Ok(latest)
}

impl Sheet<'_> {
    /// Which server was lost, and which took over; null for other kinds of loss.
    pub(super) fn pair(&self) -> Value {
        let Some(Server { name, http, epoch, .. }) = &self.course.server else { return Value::Null };
        let took = self.course.took_over.as_ref();
        json!({
            "lost": name, "lost_http": http, "lost_epoch": epoch,
            "took_over": took.map(|took| &took.name), "took_over_http": took.map(|took| &took.http), "epoch": took.map(|took| took.epoch),
            "took_over_seen_ms": took.map(|took| since(self.lost, took.at)),
            "silent_ms": answer_after(self.facts, self.lost).map(|at| since(self.lost, at)),
            "whole_ms": self.course.whole.map(|at| since(self.lost, at)),
            "not_whole": self.course.unwhole,
        })
    }

    fn own<'b>(&self, all: &'b std::collections::BTreeMap<String, Party>) -> Vec<(&'b String, &'b Party)> {
        all.iter().filter(|(_, party)| party.home == Side::Site).collect()
    }

    /// Steps of the recovery.
    pub(super) fn takeover(&self) -> Value {
        let (lost, facts) = (self.lost, self.facts);
        let one = |at: Option<Instant>| at.map(|at| since(lost, at)).into_iter().collect::<Vec<_>>();
        let took = self.course.took_over.as_ref();
        let name = took.map_or("another server", |took| &took.name);
        let mut steps = vec![
            spread("the site's address answers OPTIONS", 1, one(answer_after(facts, lost))),
            spread("a call through the site is answered", 1, one(first_answered(facts, lost, of_site))),
            spread(&format!("{name} says that it serves"), 1, one(took.map(|took| took.at))),
        ];
        let phones: Vec<_> = self
            .own(&facts.phones)
            .into_iter()
            .filter(|(_, phone)| phone.noticed(lost, LOOK_EVERY).is_some())
            .collect();
        if !phones.is_empty() {
            let back = phones.iter().filter_map(|(_, phone)| phone.first_at(Side::Site, lost));
            let back = back.map(|at| since(lost, at)).collect();
            steps.push(spread(
                "phones: registered again, of those that asked in the gap",
                phones.len(),
                back,
            ));
        }
        let desks = self.own(&facts.desks);
        if !desks.is_empty() {
            let missed = desks.iter().filter_map(|(_, desk)| desk.noticed(lost, LOOK_EVERY));
            let missed = missed.map(|at| since(lost, at)).collect();
            steps.push(spread("desktops: until the connection was missed", desks.len(), missed));
            let back = desks.iter().filter_map(|(_, desk)| desk.resumed.iter().find(|at| **at >= lost));
            let back = back.map(|at| since(lost, *at)).collect();
            steps.push(spread("desktops: went on where they were", desks.len(), back));
        }
        steps.push(spread("everybody served again", 1, one(self.course.recovered)));
        steps.push(spread("each server could stand in for the other again", 1, one(self.course.whole)));
        json!({ "counted_from": "the loss", "resolution_ms": ms(ASKS_EVERY), "steps": steps })
    }

    pub(super) fn pair_goals(&self) -> Vec<Goal> {
        let (lost, task) = (self.lost, self.task);
        let silent_until = answer_after(self.facts, lost);
        let after = self.course.recovered.unwrap_or_else(|| self.restored());
        let up = |call: &Call| {
            call.answered.is_some_and(|(at, _)| at < lost) && call.ended.is_none_or(|(at, _)| at >= lost)
        };
        vec![
            self.takes_over(),
            self.answers_again(silent_until),
            self.served_within(task.lasts),
            self.none_lost("established calls", up),
            self.lost_in_the_gap(silent_until),
            self.none_lost("calls after everybody was served", |call| call.began >= after),
            self.registrations_kept(),
            self.nobody_logged_out(),
            self.peer_noticed_nothing(),
            self.is_whole(),
        ]
    }

    fn takes_over(&self) -> Goal {
        let lost = self.course.server.as_ref();
        let wanted = format!("another than {}", lost.map_or("-", |server| &server.name));
        let goal = "another server of the site takes over".to_owned();
        match &self.course.took_over {
            None => (goal, wanted, "nobody was seen to".to_owned(), false),
            Some(Took { at, id, name, epoch, .. }) => {
                let took = since(self.lost, *at) as f64 / 1000.0;
                (
                    goal,
                    wanted,
                    format!("{name} (epoch {epoch}), seen after {took:.2} s"),
                    lost.is_some_and(|server| server.id != *id),
                )
            }
        }
    }

    fn answers_again(&self, at: Option<Instant>) -> Goal {
        let wanted = self.task.goal.unwrap_or(self.task.lasts);
        let took = at.map(|at| at.saturating_duration_since(self.lost));
        let seen = took.map_or_else(|| "no".to_owned(), |took| format!("after {} ms", ms(took)));
        let met = took.is_some_and(|took| took <= wanted);
        ("the site answers again".to_owned(), format!("within {:.1} s", wanted.as_secs_f64()), seen, met)
    }

    /// Calls that were begun while nobody answered, or were being set up when the server was lost.
    fn lost_in_the_gap(&self, silent_until: Option<Instant>) -> Goal {
        let (lost, end) = (self.lost, silent_until.unwrap_or_else(|| self.restored()));
        let gap = end.saturating_duration_since(lost);
        let may = gap.as_millis().div_ceil(GAP_PER_CALL.as_millis());
        let touched = |call: &&Call| {
            let set_up =
                call.answered.is_none_or(|(at, _)| at >= lost) && call.ended.is_none_or(|(at, _)| at >= lost);
            call.began < end && (call.began >= lost || set_up)
        };
        let calls: Vec<&Call> = self.facts.calls.iter().filter(touched).collect();
        let failed = calls.iter().filter(|call| Self::is_lost(call)).count();
        (
            "calls in the gap".to_owned(),
            format!("at most {may} lost: one for each {} ms", GAP_PER_CALL.as_millis()),
            format!("{failed} lost of {}, in {} ms", calls.len(), ms(gap)),
            silent_until.is_some() && failed as u128 <= may,
        )
    }

    fn registrations_kept(&self) -> Goal {
        let own: BTreeSet<&String> = self.own(&self.facts.phones).into_iter().map(|(name, _)| name).collect();
        let goal = "registrations kept".to_owned();
        let wanted = format!("all {} when the new server was first asked", own.len());
        let Some(inherited) = &Side::Site.of(self.seen).inherited else {
            return (goal, wanted, "no other server answered".to_owned(), false);
        };
        let gone: Vec<&str> =
            own.iter().filter(|name| !inherited.phones.contains(**name)).map(|name| name.as_str()).collect();
        let mut seen = format!("{} of {}", own.len() - gone.len(), own.len());
        if !gone.is_empty() {
            seen = format!("{seen}; without {}", first_of(&gone));
        }
        (goal, wanted, seen, gone.is_empty())
    }

    fn nobody_logged_out(&self) -> Goal {
        let (lost, left) = (self.lost, self.course.ending.unwrap_or_else(Instant::now));
        let within = |moments: &[Instant]| moments.iter().any(|at| *at >= lost && *at < left);
        let inherited = Side::Site.of(self.seen).inherited.as_ref();
        let mut out = Vec::new();
        for (name, desk) in &self.facts.desks {
            let here = desk.home == Side::Site;
            let unknown = here && inherited.is_none_or(|inherited| !inherited.agents.contains(name));
            let went_on = !here || within(&desk.resumed);
            if unknown || !went_on || within(&desk.logins) || within(&desk.logged_out) {
                out.push(name.as_str());
            }
        }
        let all = self.facts.desks.len();
        let seen = match out.len() {
            0 => format!("all {all} went on"),
            few => format!("{few} of {all} did not: {}", first_of(&out)),
        };
        let wanted = "their desktops go on without a new login".to_owned();
        ("no agent is logged out".to_owned(), wanted, seen, out.is_empty())
    }

    fn peer_noticed_nothing(&self) -> Goal {
        let alone = |side: Side| side.of(self.seen).came_to("single-site", self.lost).is_some();
        let seen: Vec<String> = Side::BOTH
            .into_iter()
            .filter(|side| alone(*side))
            .map(|side| format!("{} worked alone", self.name(side)))
            .collect();
        let met = seen.is_empty();
        let seen = if met { "both stayed peered".to_owned() } else { seen.join(", ") };
        let goal = format!("{} notices nothing", self.name(Side::Peer));
        (goal, "both sites stay peered".to_owned(), seen, met)
    }

    fn is_whole(&self) -> Goal {
        let seen = match (self.course.whole, &self.course.unwhole) {
            (Some(at), None) => format!("after {:.2} s", since(self.lost, at) as f64 / 1000.0),
            (_, Some(why)) => format!("no: {why}"),
            (None, None) => "no".to_owned(),
        };
        let met = self.course.whole.is_some() && self.course.unwhole.is_none();
        (
            "the pair is whole again".to_owned(),
            "the server that was lost is ready to take over".to_owned(),
            seen,
            met,
        )
    }
}

fn first_of(names: &[&str]) -> String {
    const LISTED: usize = 5;
    let more = names.len().saturating_sub(LISTED);
    let list = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{list} and {more} more") } else { list }
}

#[cfg(test)]
mod tests;
