//! Records of another release: those of a floor with agents, queues and desktops.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

#[path = "../../switch/tests/support/fixture.rs"]
mod fixture;

use tandem_sim::{A, B, Setup, Sim, ms, secs};
use tandem_switch::directory::floor::AgentOptions;
use tandem_switch::{DrainOrder, Migrate, MigrateOrder};

#[test]
fn what_another_release_stored_of_a_floor_is_read() {
    let setup = Setup { challenge_calls: false, sites: 1, ..Setup::with_floor(1, AgentOptions::default()) };
    let mut sim = Sim::new(1, setup);
    sim.phone("1001").registers_at(A).answers_after(ms(200)).on();
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(1));
    sim.agent_at("a1", "1001", A, "AutoIn");
    let talks = sim.call(gateway, "1001");
    sim.run_until(secs(5), "the agent talks", |sim| sim.is_talking(talks));
    sim.call(gateway, "7000");
    sim.run_for(secs(1));
    sim.order_drain(A, DrainOrder::Start { by: "ops".into() });
    let now = sim.now();
    let site = sim.site_mut(A).unwrap();
    let at = site.clock(now);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/floor.txt");
    let restored = fixture::check(&file, &site.given, &site.disk, at.unix_ms + 2_000);
    assert_eq!((restored.agents, restored.waiting), (1, 1));
}

#[test]
fn what_another_release_stored_of_agents_who_were_moved_is_read() {
    let setup = Setup { challenge_calls: false, ..Setup::with_floor(2, AgentOptions::default()) };
    let mut sim = Sim::new(1, setup);
    sim.run_for(secs(8));
    sim.phone("1001").dual(A).answers_after(ms(200)).on();
    sim.run_for(secs(1));
    sim.agent_at("a1", "1001", A, "AutoIn");
    let (to, by, every) = (B.name().into(), "ops".into(), secs(60));
    let wanted = Migrate { to, by, percent: 100, group: None, step: 100, every };
    sim.order_migration(A, MigrateOrder::To(wanted)).expect("it can begin");
    sim.run_until(secs(5), "the agent has left", |sim| sim.agents(A).is_empty());
    let now = sim.now();
    let site = sim.site_mut(A).unwrap();
    let at = site.clock(now);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/moved.txt");
    let restored = fixture::check(&file, &site.given, &site.disk, at.unix_ms + 2_000);
    assert_eq!((restored.moved, restored.trunks), (1, 3), "the gateways that are not there, and the peer");
}
