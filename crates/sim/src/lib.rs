//! Two sites, phones, gateways and faults in one deterministic process.
//!
//! The servers are the real ones ([`tandem_switch::Node`]); everything around them is simulated: time, network,
//! devices. One seed gives one history, byte for byte. Oracles look at every step.
//!
//! Start with `tests/basic_call.rs`, then run `cargo run -p tandem-sim -- --seed 1 --trace`; `docs/simulation.md` says more. A scenario that
//! fails tells more with `TANDEM_SIM_TRACE=1 cargo test -p tandem-sim NAME -- --nocapture`.

pub mod broken;
pub mod chaos;
pub mod desktop;
pub mod dice;
pub mod engine;
pub mod look;
pub mod net;
pub mod office;
pub mod oracle;
pub mod pair;
pub mod queue;
pub mod recorder;
pub mod scene;
pub mod sim;
pub mod site;
pub mod site_loss;
pub mod sites;
pub mod text;
pub mod time;
pub mod trace;
pub mod ua;
pub mod wire;

pub use desktop::DeskId;
pub use net::Refusal;
pub use scene::CallId;
pub use sim::{Failure, Sim, UaId};
pub use sites::{A, B, Setup, SiteId};
pub use time::{At, ms, secs};
