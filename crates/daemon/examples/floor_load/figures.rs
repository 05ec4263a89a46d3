//! What is measured between two moments, and how it is shown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::floor::{Floor, KINDS};
use super::server::Server;

/// A measurement under way.
pub struct Measurement<'a> {
    server: &'a Server,
    floor: Arc<Floor>,
    begun: Instant,
    cpu: BTreeMap<String, Duration>,
    counts: [u64; 3],
    waiting: i64,
}

fn counts(floor: &Floor) -> [u64; 3] {
    let tally = &floor.tally;
    [&tally.called, &tally.answered, &tally.events].map(|count| count.load(Relaxed))
}

impl<'a> Measurement<'a> {
    pub fn begin(server: &'a Server, floor: &Arc<Floor>) -> Self {
        floor.take_latencies();
        Self {
            server,
            floor: Arc::clone(floor),
            begun: Instant::now(),
            cpu: server.cpu(),
            counts: counts(floor),
            waiting: floor.waiting.load(Relaxed),
        }
    }

    /// Ends it and shows the figures.
    pub async fn end(self, name: &str) {
        let (took, cpu, now) = (self.begun.elapsed(), self.server.cpu(), counts(&self.floor));
        let latencies = self.floor.take_latencies();
        let seconds = took.as_secs_f64();
        let used = |(thread, time): (&String, &Duration)| {
            let before = self.cpu.get(thread).copied().unwrap_or_default();
            (thread.clone(), time.saturating_sub(before).as_secs_f64() / seconds)
        };
        let threads: Vec<(String, f64)> =
            cpu.iter().map(used).filter(|(_, cores)| *cores >= 0.0005).collect();
        let all: f64 = threads.iter().map(|(_, cores)| cores).sum();
        println!("\n{name}: {seconds:.1} s");
        let [called, answered, events] = std::array::from_fn(|i| {
            let difference = now.get(i).unwrap_or(&0).saturating_sub(*self.counts.get(i).unwrap_or(&0));
            f64::from(u32::try_from(difference).unwrap_or(u32::MAX)) / seconds
        });
        println!("  {called:.1} calls/s, {answered:.1} answered/s, {events:.0} events/s");
        println!("  waiting: {} at first, {} at last", self.waiting, self.floor.waiting.load(Relaxed));
        println!("  CPU: {all:.3} cores; resident {} MiB", self.server.resident_mib());
        for (thread, cores) in threads {
            println!("    {thread}: {cores:.3}");
        }
        for ((_, what), list) in KINDS.iter().zip(&latencies).filter(|(_, list)| !list.is_empty()) {
            let at = |permille: usize| list.get(list.len() * permille / 1000).or(list.last());
            let ms = |found: Option<&u32>| f64::from(*found.unwrap_or(&0)) / 1000.0;
            let [p50, p99, p999, max] = [ms(at(500)), ms(at(990)), ms(at(999)), ms(list.last())];
            let count = list.len();
            println!(
                "  {what}: p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms ({count})"
            );
        }
        println!("  events overdue by a second: {}", self.floor.overdue(Duration::from_secs(1)));
    }
}
