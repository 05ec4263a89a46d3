//! `tandem ha hold`: the virtual addresses without a server.

use std::io::BufRead;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::super::{Exit, failed, say};
use crate::config::{LogFormat, VirtualAddress};
use crate::edges::address::AddressEdge;
use crate::limits::{LOOP_LEASE, PULSE_EVERY};
use crate::log;

/// What is to be done.
enum Word {
    Hold,
    Drop,
    Stop,
    /// Standard input has ended.
    End,
}

/// Holds them; with `lease`, so long, and with `wait`, not before it is told to.
pub fn run(wanted: &VirtualAddress, lease: Option<Duration>, wait: bool) -> Exit {
    if let Err(error) = log::start(None, "info", LogFormat::Text) {
        return failed(&error);
    }
    let edge = match AddressEdge::start(Some(wanted)) {
        Ok(edge) if edge.holds() => edge,
        Ok(_) => return failed("another program moves the addresses: virtual-address-by is \"notify\""),
        Err(error) => return failed(&error.to_string()),
    };
    let words = match listen() {
        Ok(words) => words,
        Err(error) => return failed(&error.to_string()),
    };
    let exit = match lease {
        Some(lease) => once(&edge, &words, lease),
        None => until_told(&edge, &words, !wait),
    };
    edge.stop();
    exit
}

/// One lease, which the edge ends by itself.
fn once(edge: &AddressEdge, words: &Receiver<Word>, lease: Duration) -> Exit {
    let until = Instant::now() + lease;
    edge.hold(until);
    loop {
        match words.recv_timeout(PULSE_EVERY) {
            Ok(Word::Stop) => return Exit::Done,
            Ok(Word::Drop) => edge.stand_down(),
            Ok(Word::Hold) => edge.hold(until),
            Ok(Word::End) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        if Instant::now() > until && edge.held().is_none_or(|held| held.since.is_none()) {
            return Exit::Done;
        }
    }
}

fn until_told(edge: &AddressEdge, words: &Receiver<Word>, at_once: bool) -> Exit {
    let mut until = at_once.then(|| Instant::now() + LOOP_LEASE);
    loop {
        match (until, Instant::now()) {
            // Whoever was stopped so long may have been replaced.
            (Some(end), now) if now >= end => {
                return failed(
                    "the lease ran out while this process stood still; another may have the addresses now",
                );
            }
            (Some(_), now) => {
                until = Some(now + LOOP_LEASE);
                edge.hold(now + LOOP_LEASE);
            }
            (None, _) => {}
        }
        match words.recv_timeout(PULSE_EVERY) {
            Ok(Word::Hold) => until = Some(Instant::now() + LOOP_LEASE),
            Ok(Word::Drop) => {
                until = None;
                edge.stand_down();
            }
            Ok(Word::Stop | Word::End) | Err(RecvTimeoutError::Disconnected) => return Exit::Done,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Words from standard input, and from signals.
fn listen() -> std::io::Result<Receiver<Word>> {
    let (sender, words) = mpsc::channel();
    let by_signal = sender.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let ended = runtime.block_on(async {
            let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            tokio::select! {
                _ = terminate.recv() => Ok(()),
                done = tokio::signal::ctrl_c() => done,
            }
        });
        if ended.is_ok() {
            let _ = by_signal.send(Word::Stop);
        }
    })?;
    std::thread::Builder::new().name("words".to_owned()).spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let word = match line.trim() {
                "hold" => Word::Hold,
                "drop" => Word::Drop,
                other => {
                    say(&format!("\"{other}\" is neither hold nor drop\n"));
                    continue;
                }
            };
            if sender.send(word).is_err() {
                return;
            }
        }
        let _ = sender.send(Word::End);
    })?;
    Ok(words)
}
