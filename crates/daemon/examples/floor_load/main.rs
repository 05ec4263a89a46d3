//! The contact-centre floor under load: a server of its own, agents with phones and desktops, one queue, callers.
//!
//! `cargo run --release -p tandem --example floor_load -- target/release/tandem --agents 10000 --rate 100`
//!
//! Everything is on loopback and ends by itself. First all agents log in. Then `--waiting` callers fill the queue, and
//! as many agents take calls as it needs to keep it so long. Then everybody becomes ready, the queue empties, and each
//! call finds thousands of idle agents. Latency of an event runs from the moment before the SIP message that causes it
//! is sent until a desktop has read it from its WebSocket.

mod callers;
mod desktops;
mod figures;
mod floor;
mod phones;
mod server;
mod wire;

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use tokio::time::sleep;

use self::callers::Callers;
use self::desktops::Desktops;
use self::figures::Measurement;
use self::floor::Floor;
use self::server::Server;

/// What is asked for.
#[derive(Debug, Parser)]
struct Asked {
    /// The server's binary.
    tandem: PathBuf,
    /// Agents: each has an Extension, a phone, a person and a desktop.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    agents: u32,
    /// Callers that wait while the queue is long.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    waiting: u32,
    /// Calls a second.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    rate: u32,
    /// Seconds that are measured of each phase.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// How long a phone rings, ms.
    #[arg(long, default_value_t = 500)]
    ring_ms: u32,
    /// How long a call lasts, ms.
    #[arg(long, default_value_t = 8_500)]
    talk_ms: u32,
}

/// After-call work; the server counts it in seconds.
const WRAP_UP_S: u32 = 1;

fn main() -> Result<()> {
    let asked = Asked::parse();
    let (_, most) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)?;
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, most, most)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(&asked))
}

async fn run(asked: &Asked) -> Result<()> {
    let cycle_ms = asked.ring_ms + asked.talk_ms + WRAP_UP_S * 1_000;
    // So many agents, each a call every `cycle_ms`, take calls as fast as they come.
    let busy = (asked.rate * cycle_ms).div_ceil(1_000);
    ensure!(busy < asked.agents, "{busy} agents would be busy at this rate; there are {}", asked.agents);
    let cycle = Duration::from_millis(u64::from(cycle_ms));
    let measured = Duration::from_secs(u64::from(asked.seconds));
    let total = asked.rate * (4 * asked.seconds + 12 * cycle_ms / 1_000 + 60) + 2 * asked.waiting;
    let floor = Floor::new(asked.agents, total, asked.ring_ms, asked.talk_ms);
    let server = Server::start(&asked.tandem, asked.agents, WRAP_UP_S).await?;
    println!("server {}, {} agents, configuration read in {:.1?}", server.pid(), asked.agents, server.took());

    let before = Measurement::begin(&server, &floor);
    phones::start(&floor, &server).await?;
    let desktops = Desktops::open(&floor, &server).await?;
    before.end("logging in").await;

    // Two periods of the pings that every desktop gets, so that the figure holds whenever each of them logged in.
    sleep(Duration::from_secs(5)).await;
    let idle = Measurement::begin(&server, &floor);
    sleep(Duration::from_secs(40)).await;
    idle.end("nobody calls").await;

    let callers = Callers::start(&floor, &server).await?;
    callers.pace(asked.rate.max(200), Some(asked.waiting)).await;
    callers.keep_calling(asked.rate);
    desktops.ready(0..busy, asked.rate).await?;
    sleep(cycle + Duration::from_secs(5)).await;
    let long = Measurement::begin(&server, &floor);
    sleep(measured).await;
    long.end("a long queue").await;

    desktops.ready(busy..asked.agents, 2_000).await?;
    while floor.waiting.load(Relaxed) > asked.rate.into() {
        sleep(Duration::from_millis(100)).await;
        ensure!(!callers.are_done(), "the queue did not empty");
    }
    sleep(cycle + Duration::from_secs(5)).await;
    let empty = Measurement::begin(&server, &floor);
    sleep(measured).await;
    empty.end("an empty queue, idle agents").await;

    callers.stop();
    sleep(cycle).await;
    println!("{}", floor.tally);
    server.stop().await
}
