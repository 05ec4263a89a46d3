//! Runs seeds: one with its trace, many with a summary, or as many as fit into a time.

use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use tandem_sim::chaos::many::run_all;
use tandem_sim::chaos::only::Only;
use tandem_sim::chaos::report::Report;
use tandem_sim::chaos::{self, Plan};
use tandem_sim::oracle::Invariant;

/// Two sites, phones, gateways, desktops and faults in one deterministic process, and rules that hold after every step.
///
/// A run that breaks a rule prints the rule's name, the command that replays it and its shortest form, which breaks the
/// same rule; the exit code is 1 then.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  tandem-sim --seed 7 --floor --trace     one run, every line of it
  tandem-sim --seeds 0..5000 --floor      five thousand runs, a summary
  tandem-sim --soak 30                    half an hour of runs, each of another seed")]
struct Arguments {
    /// The seed to run.
    #[arg(long, default_value_t = 1, conflicts_with_all = ["seeds", "soak"])]
    seed: u64,
    /// Run every seed from A up to but not including B, on all processors.
    #[arg(long, value_name = "A..B", value_parser = parse_range, conflicts_with = "soak")]
    seeds: Option<Range<u64>>,
    /// Run one seed after the other, with and without a floor, for so many minutes by the clock on the wall.
    #[arg(long, value_name = "MINUTES")]
    soak: Option<f64>,
    /// First seed of a soak; otherwise the time decides, so that no soak repeats another.
    #[arg(long, value_name = "SEED", requires = "soak")]
    from: Option<u64>,
    /// Simulated minutes of calls and faults before the peace at the end.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// With agents, desktops and queues, and whatever their clients may ask.
    #[arg(long, conflicts_with = "soak")]
    floor: bool,
    /// The first site is a pair: a primary, a backup and a witness.
    #[arg(long)]
    pairs: bool,
    /// Only these acts (calls, requests, faults) of the seed's, e.g. 3,7-9 or none.
    #[arg(long, value_name = "NUMBERS")]
    acts: Option<Only>,
    /// Only these of the cast (phones, gateways, desktops); the others are switched off.
    #[arg(long, value_name = "NUMBERS")]
    cast: Option<Only>,
    /// Servers that do not keep this rule, to see that it is noticed: one of the names that a failing seed prints.
    #[arg(long, value_name = "RULE", value_parser = parse_rule)]
    broken: Option<Invariant>,
    /// Print every line of the trace.
    #[arg(long, conflicts_with_all = ["seeds", "soak"])]
    trace: bool,
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("write A..B")?;
    let number = |text: &str| text.parse().map_err(|e| format!("{text}: {e}"));
    Ok(number(from)?..number(to)?)
}

fn parse_rule(text: &str) -> Result<Invariant, String> {
    let names = || Invariant::ALL.map(Invariant::name).join(", ");
    let named = Invariant::ALL.into_iter().find(|rule| rule.name() == text);
    named.ok_or_else(|| format!("the rules are {}", names()))
}

impl Arguments {
    fn plan(&self, seed: u64, floor: bool) -> Plan {
        Plan {
            lasts: Duration::from_secs(60).mul_f64(self.minutes.clamp(0.0, 1e6)),
            acts: self.acts.clone().unwrap_or_default(),
            cast: self.cast.clone().unwrap_or_default(),
            broken: self.broken,
            pairs: self.pairs,
            ..Plan::new(seed, floor)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a soak lasts as long as somebody is willing to wait")]
fn clock() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "no soak repeats another; the seed that failed is printed")]
fn fresh_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs()) * 1_000
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut report = Report::default();
    if let Some(minutes) = arguments.soak {
        let end = clock() + Duration::from_secs(60).mul_f64(minutes.clamp(0.0, 1e6));
        let from = arguments.from.unwrap_or_else(fresh_seed);
        println!("soak from seed {from}, {minutes} minutes");
        let seeds = (0u64..).map(|n| arguments.plan(from + n / 2, n % 2 == 1));
        run_many(seeds.take_while(|_| clock() < end), &mut report);
    } else if let Some(seeds) = arguments.seeds.clone() {
        run_many(seeds.map(|seed| arguments.plan(seed, arguments.floor)), &mut report);
    } else {
        let plan = arguments.plan(arguments.seed, arguments.floor);
        let outcome = chaos::play(&plan, arguments.trace);
        if let Some(text) = report.hears(&plan, outcome) {
            print!("{text}");
        }
    }
    print!("{report}");
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says how far it is, on a terminal only.
fn run_many(plans: impl Iterator<Item = Plan> + Send, report: &mut Report) {
    let terminal = std::io::stderr().is_terminal();
    run_all(plans, |plan, outcome| {
        if let Some(text) = report.hears(plan, outcome) {
            println!("{text}");
        }
        if terminal && report.runs().is_multiple_of(20) {
            eprint!("\r{} runs, seed {} ", report.runs(), plan.seed);
            let _ = std::io::stderr().flush();
        }
        true
    });
    if terminal {
        eprintln!();
    }
}
