//! All phones of a site register at once, as after a power cut, while test calls are made.
//!
//! `register_storm BINARY [--phones 20000]`: the server runs on core 0, the phones on the others, everything on loopback.
//! Fails when a phone reaches Timer F or a test call rings later than 200 ms after its INVITE.

mod calls;
mod phones;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A test call must ring within.
const MOST: Duration = Duration::from_millis(200);

fn main() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    let binary: PathBuf = args.next().context("usage: register_storm BINARY [--phones 20000]")?.into();
    let count = match (args.next().as_deref(), args.next()) {
        (None, _) => 20_000,
        (Some("--phones"), Some(number)) => number.parse()?,
        (Some(other), _) => bail!("{other} is no option"),
    };
    let server = server::Server::start(&binary, count)?;
    let stop = AtomicBool::new(false);
    let cpu = server.cpu()?;
    let (figures, delays) = std::thread::scope(|scope| -> Result<_> {
        let calls = scope.spawn(|| calls::run(&server, &stop));
        std::thread::sleep(Duration::from_secs(1));
        let figures = phones::run(&server, count);
        std::thread::sleep(Duration::from_secs(1));
        stop.store(true, Ordering::Relaxed);
        let delays = calls.join().map_err(|_| anyhow::anyhow!("the calls panicked"))??;
        Ok((figures?, delays))
    })?;
    let at = |sorted: &[Duration], percent: usize| {
        let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(place).copied().unwrap_or_default()
    };
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "phones registered        {} of {count} in {:.1} s",
        figures.registered,
        figures.lasted.as_secs_f64()
    );
    println!(
        "a phone's time to its 200   p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms",
        ms(at(&figures.took, 50)),
        ms(at(&figures.took, 99)),
        ms(at(&figures.took, 100))
    );
    println!("repeated                 {}", figures.repeated);
    println!("refused by 503           {}", figures.refused);
    println!("reached Timer F          {}", figures.timer_f);
    println!(
        "test calls               {}: INVITE to 180 p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        delays.len(),
        ms(at(&delays, 50)),
        ms(at(&delays, 99)),
        ms(at(&delays, 100))
    );
    println!("processor time           {:.2} s", (server.cpu()? - cpu).as_secs_f64());
    println!("{}", server.told()?);
    let missed = [
        (figures.timer_f > 0, "a phone reached Timer F"),
        (figures.registered < count as usize, "a phone is not registered"),
        (at(&delays, 100) > MOST, "a test call rang too late"),
    ];
    for (_, what) in missed.iter().filter(|(missed, _)| *missed) {
        println!("MISSED: {what}");
    }
    Ok(if missed.iter().any(|(missed, _)| *missed) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
