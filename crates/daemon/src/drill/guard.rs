//! Guards: what real customers must not suffer for a rehearsal. A breach ends the drill at once.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use super::plan::{Plan, Side};
use super::watch::Seen;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// At most so many established calls of real parties may be lost.
    CallsLost(u64),
    /// At most so many real agents may be logged in nowhere.
    AgentsDown(usize),
    /// No caller may wait longer in a queue.
    Wait(Duration),
    /// The drill's own parties must be served again after so long.
    Recovery(Duration),
}

/// Reads `30s`, `2m` or a plain number of seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => match (text.strip_suffix('s'), text.strip_suffix('m')) {
            (Some(digits), _) => (digits, 1_000),
            (None, Some(digits)) => (digits, 60_000),
            (None, None) => (text, 1_000),
        },
    };
    let number: u64 = digits.parse().map_err(|_| format!("\"{text}\" is no time: 30s, 500ms, 2m"))?;
    Ok(Duration::from_millis(number.saturating_mul(unit)))
}

impl FromStr for Guard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = "calls-lost=N, agents-down=N, wait=TIME, recovery=TIME";
        let (name, value) = text.split_once('=').ok_or_else(|| format!("a guard is one of {known}"))?;
        let count = || value.parse().map_err(|_| format!("{name} takes a number, not \"{value}\""));
        match name {
            "calls-lost" => Ok(Self::CallsLost(count()?)),
            "agents-down" => Ok(Self::AgentsDown(usize::try_from(count()?).unwrap_or(usize::MAX))),
            "wait" => Ok(Self::Wait(duration(value)?)),
            "recovery" => Ok(Self::Recovery(duration(value)?)),
            _ => Err(format!("no guard is called \"{name}\": {known}")),
        }
    }
}

/// What the guards look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reality {
    /// Established calls of real parties lost since the injection.
    pub calls_lost: u64,
    /// Real agents who were logged in before it, and now are nowhere.
    pub agents_down: BTreeSet<String>,
    /// Longest wait in any queue, s.
    pub longest_wait_s: u64,
    /// Time since the injection, while the drill's own parties are not served again.
    pub unrecovered: Duration,
}

/// Real agents at either site.
pub fn real_agents(plan: &Plan, seen: &[Seen; 2]) -> BTreeSet<String> {
    let own: BTreeSet<&str> =
        plan.seats.iter().filter_map(|seat| Some(seat.desk.as_ref()?.agent.as_str())).collect();
    let answering = Side::BOTH.into_iter().map(|side| side.of(seen)).filter(|seen| seen.answers);
    answering.flat_map(|seen| &seen.agents).filter(|agent| !own.contains(agent.as_str())).cloned().collect()
}

impl Reality {
    /// Compares now with before.
    pub fn new(plan: &Plan, before: &[Seen; 2], now: &[Seen; 2], unrecovered: Duration) -> Self {
        let lost = |side: Side| side.of(now).calls_lost.saturating_sub(side.of(before).calls_lost);
        let is_in = real_agents(plan, now);
        Self {
            calls_lost: lost(Side::Site) + lost(Side::Peer),
            agents_down: real_agents(plan, before).difference(&is_in).cloned().collect(),
            longest_wait_s: now.iter().map(|seen| seen.longest_wait_s).max().unwrap_or(0),
            unrecovered,
        }
    }
}

impl Guard {
    /// As it is written on a command line.
    pub fn worded(&self) -> String {
        match self {
            Self::CallsLost(most) => format!("calls-lost={most}"),
            Self::AgentsDown(most) => format!("agents-down={most}"),
            Self::Wait(most) => format!("wait={}s", most.as_secs()),
            Self::Recovery(most) => format!("recovery={}s", most.as_secs_f64()),
        }
    }

    /// What is wrong, if something is.
    pub fn breached(&self, reality: &Reality) -> Option<String> {
        match self {
            Self::CallsLost(most) => (reality.calls_lost > *most)
                .then(|| format!("{} established calls of real parties were lost", reality.calls_lost)),
            Self::AgentsDown(most) => {
                let down = &reality.agents_down;
                let who = || down.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
                (down.len() > *most)
                    .then(|| format!("{} real agents are logged in nowhere: {}", down.len(), who()))
            }
            Self::Wait(most) => (reality.longest_wait_s > most.as_secs())
                .then(|| format!("a caller has waited for {} s", reality.longest_wait_s)),
            Self::Recovery(most) => (reality.unrecovered > *most).then(|| {
                format!(
                    "the drill's parties are not served {:.1} s after the loss",
                    reality.unrecovered.as_secs_f64()
                )
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_are_read_and_printed_alike() {
        for text in ["calls-lost=0", "agents-down=3", "wait=30s", "recovery=20s"] {
            assert_eq!(text.parse::<Guard>().unwrap().worded(), text);
        }
        assert_eq!("wait=2m".parse(), Ok(Guard::Wait(Duration::from_secs(120))));
        for (text, why) in [
            ("calls", "one of"),
            ("calls-lost=x", "takes a number"),
            ("calm=1", "no guard"),
            ("wait=x", "no time"),
        ] {
            assert!(text.parse::<Guard>().unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn a_guard_holds_up_to_its_number_and_breaks_beyond() {
        let reality = |lost, down: &[&str], wait, unrecovered| Reality {
            calls_lost: lost,
            agents_down: down.iter().map(|agent| (*agent).to_owned()).collect(),
            longest_wait_s: wait,
            unrecovered: Duration::from_secs(unrecovered),
        };
        let calm = reality(2, &["2001"], 30, 20);
        let storm = reality(3, &["2001", "2002"], 31, 21);
        for (guard, said) in [
            ("calls-lost=2", "3 established"),
            ("agents-down=1", "2001, 2002"),
            ("wait=30s", "31 s"),
            ("recovery=20s", "21.0 s"),
        ] {
            let guard: Guard = guard.parse().unwrap();
            assert_eq!(guard.breached(&calm), None, "{guard:?}");
            assert!(guard.breached(&storm).unwrap().contains(said), "{guard:?}");
        }
    }
}
