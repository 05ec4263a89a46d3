//! Runs seeds: one with its trace, or many with a summary.

use std::ops::Range;
use std::process::ExitCode;

use clap::Parser;
use tandem_sim::chaos::{self, Summary};

/// Two sites, phones, gateways and faults in one deterministic process.
#[derive(Debug, Parser)]
struct Arguments {
    /// The seed to run.
    #[arg(long, default_value_t = 1, conflicts_with = "seeds")]
    seed: u64,
    /// Run every seed from A up to but not including B, and print a summary.
    #[arg(long, value_name = "A..B", value_parser = parse_range)]
    seeds: Option<Range<u64>>,
    /// Simulated minutes of calls and faults before the peace at the end.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// With agents, desktops and queues, and whatever their clients may ask.
    #[arg(long)]
    floor: bool,
    /// Print every line of the trace.
    #[arg(long)]
    trace: bool,
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("write A..B")?;
    let number = |text: &str| text.parse().map_err(|e| format!("{text}: {e}"));
    Ok(number(from)?..number(to)?)
}

fn main() -> ExitCode {
    let Arguments { seed, seeds, minutes, floor, trace } = Arguments::parse();
    let seeds = seeds.unwrap_or(seed..seed + 1);
    let (mut broken, mut sum) = (Vec::new(), Totals::default());
    for seed in seeds {
        match chaos::run(seed, minutes, floor, trace) {
            Ok(summary) => sum.add(&summary),
            Err(failure) => {
                if !trace {
                    print!("{failure}");
                }
                println!("seed {seed}: {}", failure.violation.text);
                let with = if floor { " --floor" } else { "" };
                println!(
                    "replay: cargo run -p tandem-sim -- --seed {seed} --minutes {minutes}{with} --trace\n"
                );
                broken.push(seed);
            }
        }
    }
    sum.print();
    if broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("{} seeds broke a rule: {broken:?}", broken.len());
    ExitCode::FAILURE
}

#[derive(Default)]
struct Totals {
    seeds: u32,
    calls: u32,
    answered: usize,
    faults: u32,
    overlaps: u64,
    lines: u64,
    hash: u64,
}

impl Totals {
    fn add(&mut self, one: &Summary) {
        self.seeds += 1;
        self.calls += one.calls;
        self.answered += one.answered;
        self.faults += one.faults;
        self.overlaps += one.overlaps;
        self.lines += one.lines;
        self.hash ^= one.hash.rotate_left(u32::try_from(one.seed % 64).unwrap_or(0));
    }

    fn print(&self) {
        let Self { seeds, calls, answered, faults, overlaps, lines, hash } = self;
        println!("{seeds} seeds kept every rule: {calls} calls ({answered} answered), {faults} faults,");
        println!(
            "{overlaps} overlaps of forward and local ring after lost messages, {lines} trace lines, hash {hash:016x}"
        );
    }
}
