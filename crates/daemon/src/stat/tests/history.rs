//! Every row once, whatever ends the process between two steps.

use std::collections::BTreeMap;
use std::path::Path;

use tandem_cti::{Event, EventName, Resumed};
use tandem_stat::{Fact, Heard, Layout, Position, QueueKind, QueueLayout, SiteLayout, Stat};

use crate::stat::lines::Lines;
use crate::stat::lock::Lock;
use crate::stat::store::{Batch, Store};

fn layout() -> Layout {
    let site = SiteLayout {
        name: "site-a".into(),
        extensions: ["1001".into(), "1002".into()].into(),
        queues: [(
            "7000".into(),
            QueueLayout { kind: QueueKind::Queue, agents: [].into(), service_level_ms: 20_000 },
        )]
        .into(),
        agents: [].into(),
    };
    Layout { sites: vec![site], ..Layout::default() }
}

/// A stream of events with their numbers, as a server keeps it.
fn stream() -> Vec<Event> {
    let mut events = Vec::new();
    for round in 0..12u64 {
        let conn = Some(format!("{:016x}", round + 1));
        let dn = if round % 2 == 0 { "1001" } else { "1002" };
        let agent = Some(format!("agent{round}"));
        for (name, at) in [
            (EventName::AgentLogin, dn),
            (EventName::AgentReady, dn),
            (EventName::Queued, "7000"),
            (EventName::Diverted, "7000"),
            (EventName::Ringing, dn),
            (EventName::Established, dn),
            (EventName::Released, dn),
            (EventName::AgentLogout, dn),
        ] {
            let sequence = events.len() as u64 + 1;
            events.push(Event {
                sequence: Some(sequence),
                time: 1_700_000_000_000 + sequence * 1_000,
                this_dn: Some(at.into()),
                conn_id: conn.clone(),
                agent_id: agent.clone(),
                this_queue: Some("7000".into()),
                third_party_dn: Some(dn.into()),
                ..Event::new(name)
            });
        }
    }
    events
}

/// Takes events and facts together, as the service does.
fn collect(stat: &mut Stat, batch: &mut Batch) {
    while let Some(row) = stat.poll_row() {
        batch.rows.push(row);
    }
    batch.facts.extend(stat.take_facts().into_iter().map(|Fact { key, value }| (key, value)));
}

async fn begin(path: &Path) -> (Store, Stat, u64) {
    let mut store = Store::open(path).await.unwrap();
    let mut stat = Stat::new(layout());
    let left = store.left().await.unwrap();
    assert!(left.facts.iter().all(|fact| stat.restore(fact)));
    let mut after = 0;
    for (site, position) in left.positions {
        after = position.after;
        stat.restore_position(&site, position);
    }
    let resumed = if after == 0 { Resumed::New } else { Resumed::Continued };
    let answer = Event {
        session: Some("s".into()),
        resumed: Some(resumed),
        sequence: Some(after),
        ..Event::new(EventName::LinkConnected)
    };
    assert_eq!(stat.event(0, &answer), Heard::Taken);
    (store, stat, after)
}

async fn rows(store: &mut Store) -> BTreeMap<String, String> {
    let rows = store.rows_after(0, 10_000).await.unwrap();
    let count = rows.len();
    let by_id: BTreeMap<String, String> = rows
        .into_iter()
        .map(|(_, json)| {
            let row: serde_json::Value = serde_json::from_str(&json).unwrap();
            (row["id"].as_str().unwrap().to_owned(), json)
        })
        .collect();
    assert_eq!(by_id.len(), count, "a row stands twice");
    by_id
}

/// What a process that is never stopped writes.
async fn undisturbed(folder: &Path) -> BTreeMap<String, String> {
    let (mut store, mut stat, _) = begin(&folder.join("whole.db")).await;
    let mut batch = Batch::default();
    for event in stream() {
        stat.event(0, &event);
        collect(&mut stat, &mut batch);
    }
    batch.positions = vec![("site-a".into(), stat.position(0).unwrap())];
    store.write(&batch).await.unwrap();
    rows(&mut store).await
}

#[tokio::test]
async fn every_row_is_there_once_wherever_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let whole = undisturbed(folder.path()).await;
    assert!(whole.len() > 40, "{}", whole.len());
    for commit_every in [1, 3, 7] {
        for killed_after in [2, 5, 8, 11] {
            let path = folder.path().join(format!("{commit_every}-{killed_after}.db"));
            let mut steps = 0;
            loop {
                steps += 1;
                assert!(steps < 1_000, "the service does not come forward");
                let (mut store, mut stat, after) = begin(&path).await;
                let mut batch = Batch::default();
                let mut taken = 0;
                for event in stream().into_iter().filter(|event| event.sequence > Some(after)) {
                    // The server tells everything twice, as after a connection that broke.
                    stat.event(0, &event);
                    assert_eq!(stat.event(0, &event), Heard::Again);
                    collect(&mut stat, &mut batch);
                    taken += 1;
                    if taken % commit_every == 0 {
                        batch.positions = vec![("site-a".into(), stat.position(0).unwrap())];
                        store.write(&batch).await.unwrap();
                        batch = Batch::default();
                    }
                    if taken == killed_after.max(commit_every + 1) {
                        break;
                    }
                }
                if stat.position(0).unwrap().after == stream().len() as u64 {
                    batch.positions = vec![("site-a".into(), stat.position(0).unwrap())];
                    store.write(&batch).await.unwrap();
                    assert_eq!(rows(&mut store).await, whole);
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_batch_that_fails_leaves_neither_rows_nor_position() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stat.db");
    let (mut store, mut stat, _) = begin(&path).await;
    let mut batch = Batch::default();
    for event in stream() {
        stat.event(0, &event);
        collect(&mut stat, &mut batch);
    }
    // The position is written last; a table that refuses it undoes the rows before it.
    store.break_positions().await;
    batch.positions = vec![("site-a".into(), Position { session: "s".into(), after: 9 })];
    assert!(store.write(&batch).await.is_err());
    drop(store);
    let mut store = Store::open(&path).await.unwrap();
    assert!(rows(&mut store).await.is_empty());
    assert!(store.left().await.unwrap().facts.is_empty());
}

fn numbers(path: &Path) -> Vec<i64> {
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["n"].as_i64().unwrap();
    text.lines().map(row).collect()
}

async fn filled(folder: &Path) -> Store {
    let (mut store, mut stat, _) = begin(&folder.join("stat.db")).await;
    let mut batch = Batch::default();
    for event in stream() {
        stat.event(0, &event);
        collect(&mut stat, &mut batch);
    }
    store.write(&batch).await.unwrap();
    store
}

#[tokio::test]
async fn json_lines_repeat_and_skip_nothing_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path()).await;
    let path = folder.path().join("history.jsonl");
    let mut lines = Lines::open(&path, &mut store).await.unwrap();
    assert!(!lines.write(&mut store).await.unwrap());
    let whole = std::fs::read_to_string(&path).unwrap();
    let all = numbers(&path);
    assert_eq!(all, (1..=all.len() as i64).collect::<Vec<_>>());
    // A crash after any byte of the file, before the mark was stored.
    store.set_mark(&path.display().to_string(), 0).await.unwrap();
    for cut in (0..whole.len()).step_by(97) {
        std::fs::write(&path, &whole.as_bytes()[..cut]).unwrap();
        let mut lines = Lines::open(&path, &mut store).await.unwrap();
        lines.write(&mut store).await.unwrap();
        assert!(std::fs::read_to_string(&path).unwrap() == whole, "cut at {cut}");
        store.set_mark(&path.display().to_string(), 0).await.unwrap();
    }
}

#[tokio::test]
async fn json_lines_go_on_in_a_new_file_after_log_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path()).await;
    let (path, moved) = (folder.path().join("history.jsonl"), folder.path().join("history.jsonl.1"));
    let mut lines = Lines::open(&path, &mut store).await.unwrap();
    lines.write(&mut store).await.unwrap();
    std::fs::rename(&path, &moved).unwrap();
    let mut batch = Batch::default();
    let mut stat = Stat::new(layout());
    let mut late = stream();
    late.iter_mut().for_each(|event| event.time += 1_000_000);
    for event in late {
        stat.event(0, &event);
        collect(&mut stat, &mut batch);
    }
    store.write(&batch).await.unwrap();
    lines.write(&mut store).await.unwrap();
    let (first, second) = (numbers(&moved), numbers(&path));
    assert!(!second.is_empty());
    assert_eq!(second[0], first.last().unwrap() + 1);
    drop(lines);
    std::fs::remove_file(&path).unwrap();
    let mut lines = Lines::open(&path, &mut store).await.unwrap();
    lines.write(&mut store).await.unwrap();
    assert!(numbers(&path).is_empty(), "what another file has is not written again");
}

#[tokio::test]
async fn old_rows_are_forgotten_when_the_file_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path()).await;
    let count = rows(&mut store).await.len();
    store.set_mark("x", 10).await.unwrap();
    assert_eq!(store.forget(u64::MAX / 2, 1_000).await.unwrap(), 10);
    assert_eq!(rows(&mut store).await.len(), count - 10);
    assert_eq!(store.forget(0, 1_000).await.unwrap(), 0);
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stat.db");
    let mut store = Store::open(&path).await.unwrap();
    store.pretend_version(99).await;
    drop(store);
    let error = Store::open(&path).await.err().unwrap().to_string();
    assert!(error.contains("later version"), "{error}");
}

#[test]
fn one_process_at_a_time_holds_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stat.db");
    let held = Lock::try_take(&path).unwrap();
    assert!(held.is_some());
    assert!(Lock::try_take(&path).unwrap().is_none());
    drop(held);
    assert!(Lock::try_take(&path).unwrap().is_some());
}
