//! What one site says of itself, at one moment. Both sites may be of different versions: a list that the other does not
//! know is empty.

use serde::{Deserialize, Serialize};

use crate::continuity::{DrForward, Mode};
use crate::trunk::Phase;

/// Clocks of two sites that differ by more are said to differ, ms.
pub const CLOCKS_APART_MS: u64 = 2_000;

/// What one site says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Name of the SIP Server Application.
    pub server: String,
    /// Name of its switch.
    pub switch: String,
    /// Version of the program.
    pub version: String,
    /// Its clock, ms since the Unix epoch.
    pub unix_ms: u64,
    /// Continuity mode.
    pub mode: Mode,
    /// Whether it shuts down gracefully.
    pub draining: bool,
    /// So many of a hundred new calls and agents it moves to its peer (`tandem migrate`).
    #[serde(default)]
    pub moves_away_percent: u8,
    /// Options that matter to the loss of a site.
    pub options: OptionsNow,
    /// What the operator wants, and what his desktops are told.
    #[serde(default)]
    pub goals: Goals,
    /// Extensions and Call Processing Ports.
    #[serde(default)]
    pub extensions: Vec<Extension>,
    /// Numbers of ACD Queues.
    #[serde(default)]
    pub queues: Vec<String>,
    /// Numbers of Routing Points.
    #[serde(default)]
    pub routing_points: Vec<String>,
    /// `AgentID`s of Agent Logins.
    #[serde(default)]
    pub logins: Vec<String>,
    /// Places.
    #[serde(default)]
    pub places: Vec<Place>,
    /// Agents who are logged in.
    #[serde(default)]
    pub agents: Vec<Agent>,
    /// Trunks.
    #[serde(default)]
    pub trunks: Vec<TrunkNow>,
    /// Calls.
    pub calls: Calls,
}

/// See [`Facts::options`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionsNow {
    /// `dr-forward` of the Application.
    pub dr_forward: DrForward,
    /// `shutdown-sip-reject-code`.
    pub shutdown_sip_reject_code: u16,
    /// `max-expires`, s: the longest registration that is granted.
    pub max_expires_s: u32,
}

/// See [`Facts::goals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goals {
    /// `recovery-goal`: how long after the loss of a site its agents may be away, s.
    pub recovery_goal_s: u32,
    /// `site-timeout` of the desktops, s, if the configuration says it; 0: they never switch by themselves.
    pub site_timeout_s: Option<u32>,
}

impl Default for Goals {
    fn default() -> Self {
        Self { recovery_goal_s: 60, site_timeout_s: None }
    }
}

/// An Extension or Call Processing Port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Number.
    pub dn: String,
    /// It is a Call Processing Port.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: bool,
    /// It has a static contact.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fixed: bool,
    /// It is in service.
    #[serde(default, skip_serializing_if = "is_default")]
    pub in_service: bool,
    /// How long its registration lasts before the phone must have renewed it, s.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refresh_s: Option<u32>,
    /// `dr-forward` in force for it, if it is another than the Application's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dr_forward: Option<DrForward>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Switch and number of each DN.
    pub dns: Vec<(String, String)>,
}

/// An agent who is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// `AgentID`.
    pub agent_id: String,
    /// DN at which he is logged in.
    pub dn: String,
    /// `preferred-site` of his person.
    #[serde(default, skip_serializing_if = "is_default")]
    pub preferred_site: Option<String>,
}

/// A trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkNow {
    /// Name.
    pub name: String,
    /// `contact`.
    pub contact: String,
    /// It leads to the peer site.
    pub peer: bool,
    /// Its state.
    pub state: Phase,
    /// Why it is in that state.
    pub reason: String,
    /// `oos-check`, s.
    pub oos_check_s: u32,
    /// `oos-force`, s.
    pub oos_force_s: u32,
}

impl TrunkNow {
    /// How long its loss may stay unnoticed, s.
    #[must_use]
    pub fn detection_s(&self) -> u32 {
        self.oos_check_s.saturating_add(self.oos_force_s)
    }
}

/// Calls now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// All of them.
    pub now: usize,
    /// Of these, those that go through the other site too.
    pub over_peer: usize,
    /// How many this site takes at once.
    pub most: usize,
}

impl Facts {
    /// The trunk to the other site.
    #[must_use]
    pub fn peer_trunk(&self) -> Option<&TrunkNow> {
        self.trunks.iter().find(|trunk| trunk.peer)
    }
}
