//! What a journal costs on a disk: `cargo bench -p tandem-journal --bench figures -- DIRECTORY`.
//!
//! The directory must be on the disk in question, and empty. A batch stands for one registration or one step of a call.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::sys::resource::{UsageWho, getrusage};
use tandem_journal::{Batch, Journal, Keep, Progress, Record};

fn cpu() -> Duration {
    let used = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let time = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec().try_into().unwrap(), u32::try_from(time.tv_usec()).unwrap() * 1_000)
    };
    time(used.user_time()) + time(used.system_time())
}

fn batch(token: u64, length: usize, sync: bool) -> Batch {
    let bytes = Bytes::from(vec![0x5a; length]);
    Batch { token, sync, records: vec![Record { keep: Keep::Place(token), bytes }], ..Batch::default() }
}

/// `count` batches, as many at once as given, each with its time until it is told as stored.
fn run(name: &str, folder: &Path, count: u64, at_once: u64, sync: bool, length: usize) {
    let (tell, told) = channel();
    let (journal, _) =
        Journal::open(folder, move |progress| drop(tell.send((progress, Instant::now())))).unwrap();
    let (begin, before) = (Instant::now(), cpu());
    let (mut sent, mut stored) = (Vec::new(), 0);
    let mut took = Vec::new();
    while stored < count {
        while (sent.len() as u64) < count.min(stored + at_once) {
            sent.push(Instant::now());
            journal.append(batch(sent.len() as u64, length, sync)).unwrap();
        }
        let (Progress::Stored { token }, at) = told.recv().unwrap() else { unreachable!() };
        took.extend((stored..token).map(|one| at - sent[usize::try_from(one).unwrap()]));
        stored = token;
    }
    let (wall, used) = (begin.elapsed(), cpu() - before);
    let counters = journal.counters();
    let (syncs, sync_us) = (counters.syncs.load(Relaxed), counters.sync_us.load(Relaxed));
    took.sort();
    let of = |part: usize| took[took.len() * part / 1_000 - usize::from(part == 1_000)].as_micros();
    println!(
        "{name:<34} {:>8.0} batches/s, p50 {} p99 {} max {} us, CPU {:.1} us each; {syncs} syncs of {} us",
        count as f64 / wall.as_secs_f64(),
        of(500),
        of(990),
        of(1_000),
        used.as_secs_f64() * 1e6 / count as f64,
        sync_us.checked_div(syncs).unwrap_or(0),
    );
}

/// As after a crash: a snapshot, and records behind it.
fn recover(folder: &Path, snapshot: usize, records: &[(u64, usize)]) {
    let (tell, told) = channel();
    let (journal, _) = Journal::open(folder, move |progress| drop(tell.send(progress))).unwrap();
    let begin = Instant::now();
    let bytes = Bytes::from(vec![0xa5; snapshot]);
    let mut last = 1;
    journal
        .append(Batch { token: 1, fresh: true, snapshot: Some(bytes.into()), ..Batch::default() })
        .unwrap();
    assert_eq!(told.recv().unwrap(), Progress::Stored { token: 1 });
    println!(
        "{:<34} {:.1} ms",
        format!("snapshot of {snapshot} bytes written"),
        begin.elapsed().as_secs_f64() * 1e3
    );
    for (count, length) in records {
        for _ in 0..*count {
            last += 1;
            while journal.append(batch(last, *length, false)).is_err() {
                std::thread::yield_now();
            }
        }
    }
    drop(journal);
    let (begin, before) = (Instant::now(), cpu());
    let (journal, recovered) = Journal::open(folder, |_| ()).unwrap();
    println!(
        "{:<34} {:.1} ms, CPU {:.1} ms: snapshot of {} bytes, {} records, {} bytes in {} segments",
        "opened again",
        begin.elapsed().as_secs_f64() * 1e3,
        (cpu() - before).as_secs_f64() * 1e3,
        recovered.snapshot.map_or(0, |bytes| bytes.len()),
        recovered.records.len(),
        recovered.bytes,
        recovered.segments,
    );
    drop(journal);
}

fn main() {
    let Some(root) = std::env::args().skip(1).find(|word| !word.starts_with("--")).map(PathBuf::from) else {
        println!("name an empty directory on the disk in question");
        return;
    };
    let folder = |name: &str| root.join(name);
    run("one at a time, synced", &folder("one"), 2_000, 1, true, 300);
    run("64 at once, synced", &folder("many"), 50_000, 64, true, 300);
    run("1,000 at once, synced", &folder("crowd"), 100_000, 1_000, true, 300);
    run("64 at once, 1,500 bytes, synced", &folder("long"), 20_000, 64, true, 1_500);
    run("64 at once, not waiting for syncs", &folder("eager"), 50_000, 64, false, 300);
    recover(&folder("log"), 0, &[(100_000, 300), (5_000, 1_500)]);
    recover(&folder("snapshot"), 100_000 * 300 + 5_000 * 1_500, &[(20_000, 300)]);
}
