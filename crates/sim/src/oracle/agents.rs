//! The reference model of agents beside a server: whatever the server's room of agents was told, the model is told, and after
//! every step both must show the same of every agent.

#[path = "../../../switch/tests/agent/model.rs"]
#[allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "it is a test's, and is read as one"
)]
mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tandem_switch::agent::View;
use tandem_switch::agent::heard::{Told, What};
use tandem_switch::directory::floor::WrapUp;
use tandem_switch::{Directory, Node};

use super::Invariant;
use model::{Model, Op, Seen, UNTIMED, Wrap};

/// Refusals that the model decides on; others follow from the configuration.
const KNOWN: [u16; 6] = [43, 187, 506, 527, 550, 551];

/// See the module.
pub struct Agents {
    model: Model,
    dns: Vec<String>,
    /// DNs whose agent logged in while they were out of service: the model does not know that.
    blind: BTreeSet<String>,
    /// The configuration changed: the model knows one only.
    lost: bool,
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agents").field("dns", &self.dns.len()).finish_non_exhaustive()
    }
}

fn ms(wrap_up: Option<WrapUp>) -> Option<Wrap> {
    wrap_up.map(|wrap_up| match wrap_up {
        WrapUp::Timed(time) => u64::try_from(time.as_millis()).unwrap_or(UNTIMED),
        WrapUp::Untimed => UNTIMED,
    })
}

fn seen(view: &View) -> Seen {
    Seen {
        id: view.agent_id.to_string(),
        state: view.state,
        mode: view.work_mode,
        until: view.until.map(|until| until.unix_ms()),
        calls: view.calls,
        available: view.available,
        idle_since: view.idle_since_unix_ms,
    }
}

/// An agent who is logged in at two DNs.
fn twice(agents: &[View]) -> Option<String> {
    let mut seats = BTreeMap::new();
    agents.iter().find_map(|view| {
        let other = seats.insert(&*view.agent_id, &*view.dn)?;
        Some(format!("{} is logged in at {other} and at {}", view.agent_id, view.dn))
    })
}

impl Agents {
    /// A model of nobody, beside a server that has just started. All agents have the options of the first.
    pub fn new(directory: &Arc<Directory>, node: &mut Node, now_unix_ms: u64) -> Self {
        node.overhear_agents();
        let dns: Vec<String> = directory.extensions().iter().map(|e| e.number.to_string()).collect();
        let names: Vec<&str> = dns.iter().map(String::as_str).collect();
        let options = directory.agent_options(names.first().copied().unwrap_or_default(), "a1");
        let model = Model::new(&names, options, now_unix_ms);
        Self { model, dns, blind: BTreeSet::new(), lost: false }
    }

    /// Takes what the server's room was told, and compares.
    pub fn step(&mut self, node: &mut Node) -> Option<(Invariant, String)> {
        let told = node.overhear_agents();
        if told.is_empty() {
            return None;
        }
        let agents = node.agents();
        if let Some(text) = twice(&agents) {
            return Some((Invariant::OneLogin, text));
        }
        if self.lost {
            return None;
        }
        let wrong = told.iter().find_map(|told| self.hears(told).map(|why| format!("{why} after {told:?}")));
        if wrong.is_some() {
            self.lost = true;
            return wrong.map(|text| (Invariant::AgentsAsModelled, text));
        }
        let differs = self.dns.iter().find_map(|dn| {
            let theirs = agents.iter().find(|view| *view.dn == **dn).map(seen);
            let ours = self.model.see(dn);
            let same = match (&theirs, &ours) {
                (Some(theirs), Some(ours)) if self.blind.contains(dn) => {
                    theirs == &Seen { available: theirs.available, ..ours.clone() }
                }
                (theirs, ours) => theirs == ours,
            };
            (!same).then(|| {
                format!("the agent at {dn} is {theirs:?}, by the model {ours:?}, after {:?}", told.last())
            })
        });
        self.lost |= differs.is_some();
        differs.map(|text| (Invariant::AgentsAsModelled, text))
    }

    fn hears(&mut self, told: &Told) -> Option<String> {
        // Timers run when the server runs its own.
        self.model.now = told.unix_ms;
        self.model.heard.clear();
        let dn = || told.dn.to_string();
        let on_floor = told.dn.is_empty() || self.dns.contains(&dn());
        if !on_floor {
            return None;
        }
        let op = match &told.what {
            What::Login { agent_id, mode, on_call, wrap_up, client, in_service } => {
                if !in_service && told.refused.is_none() {
                    self.blind.insert(dn());
                }
                let (id, wrap) = (agent_id.to_string(), ms(*wrap_up));
                Op::Login { dn: dn(), id, mode: *mode, on_call: *on_call, wrap, client: *client }
            }
            What::Logout { of_queue: true, .. } => return None,
            What::Logout { asked: true, on_call, .. } => Op::Logout { dn: dn(), on_call: *on_call },
            What::Logout { .. } => Op::Force { dn: dn() },
            What::Ready { mode } => Op::Ready { dn: dn(), mode: *mode },
            What::NotReady { mode, wrap_up } => Op::NotReady { dn: dn(), mode: *mode, wrap: ms(*wrap_up) },
            What::Offered { conn } => Op::Offered { dn: dn(), conn: *conn },
            What::OfferOver { conn } => Op::OfferOver { dn: dn(), conn: *conn },
            What::NoAnswer => Op::NoAnswer { dn: dn() },
            What::Began { work } => {
                Op::Began { dn: dn(), conn: work.conn, business: work.business, wrap: ms(work.wrap_up) }
            }
            What::Became { old, work } => {
                let (conn, business, wrap) = (work.conn, work.business, ms(work.wrap_up));
                Op::Became { dn: dn(), old: *old, conn, business, wrap }
            }
            What::WrapUp { conn, wrap_up } => Op::WrapUp { dn: dn(), conn: *conn, wrap: ms(*wrap_up) },
            What::Established { conn } => Op::Established { dn: dn(), conn: *conn },
            What::Ended { conn } => Op::Ended { dn: dn(), conn: *conn },
            What::InService { yes } => {
                self.blind.remove(&*told.dn);
                Op::InService { dn: dn(), yes: *yes }
            }
            What::Suspended { yes } => Op::Suspended { dn: dn(), yes: *yes },
            What::ClientGone { client } => Op::ClientGone { client: *client },
            What::Unregistered { client } => Op::Unregistered { dn: dn(), client: *client },
            What::Timeout => Op::Pass { ms: 0 },
            What::Adopted => {
                self.lost = true;
                return None;
            }
        };
        if told.refused.is_some_and(|number| !KNOWN.contains(&number)) {
            return None;
        }
        let ours = self.model.apply(&op).err();
        (ours != told.refused)
            .then(|| format!("refused with {:?}, by the model with {ours:?},", told.refused))
    }
}
