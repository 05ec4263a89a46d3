//! A desktop that follows its agent from site to site by itself, as Workspace-class desktops do.
//!
//! It is connected to both sites and logged in at one at most. It leaves a site that it has not reached for `site-timeout`,
//! at once after `graceful_shutdown_logout`, and after `dr-force_logout` when the phone is not back within
//! `site-sip-register-timeout`. A login that is refused is asked for again. Nothing brings it back to the preferred site
//! but the loss of the other.

use std::collections::BTreeMap;
use std::time::Duration;

use tandem_cti::{AgentState, Event, EventName, Role, Value};

use tandem_switch::cti::Outgoing;

use super::DeskId;
use crate::sim::Sim;
use crate::sites::{A, SiteId};
use crate::time::{At, secs};

/// How patient a desktop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// `site-timeout`; zero: the loss of a site moves it nowhere.
    pub site_timeout: Duration,
    /// `site-sip-register-timeout`; zero: a forced logout moves it nowhere.
    pub register_timeout: Duration,
    /// A refused login is asked for again after so long.
    pub retry: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { site_timeout: secs(7), register_timeout: secs(5), retry: secs(1) }
    }
}

/// Something that a desktop did or was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its connection to this site is gone.
    Lost(SiteId),
    /// From now on it wants to be logged in there.
    GoesTo(SiteId),
    /// Its login was refused there, with this error.
    Refused(SiteId, u16),
    /// It is logged in there.
    LoggedIn(SiteId),
    /// It was logged out there, with this reason code.
    LoggedOut(SiteId, String),
}

/// A roaming desktop by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoamerId(pub usize);

/// See the module.
#[derive(Debug)]
pub struct Roamer {
    /// The agent's DN at both sites.
    pub dn: String,
    /// His AgentID.
    pub agent: String,
    /// Where it wants to be logged in.
    pub aims: SiteId,
    /// Where it is.
    pub at: Option<SiteId>,
    /// What happened.
    pub steps: Vec<(At, Step)>,
    desks: [DeskId; 2],
    patience: Patience,
    asked: Option<(SiteId, u32)>,
    /// Timers of earlier waits mean nothing.
    wait: u32,
}

impl Roamer {
    /// Its connection to a site.
    #[must_use]
    pub fn desk(&self, site: SiteId) -> DeskId {
        let [a, b] = self.desks;
        if site == A { a } else { b }
    }

    /// When this happened last.
    #[must_use]
    pub fn last(&self, wanted: &Step) -> Option<At> {
        self.steps.iter().rev().find(|(_, step)| step == wanted).map(|(at, _)| *at)
    }

    /// How often this happened.
    #[must_use]
    pub fn count(&self, wanted: &Step) -> usize {
        self.steps.iter().filter(|(_, step)| step == wanted).count()
    }
}

/// Every roaming desktop.
#[derive(Debug, Default)]
pub struct Roamers {
    list: Vec<Roamer>,
    by_desk: BTreeMap<DeskId, (usize, SiteId)>,
}

impl Sim {
    /// A desktop of this agent that prefers a site. `a1` is the agent of `pa1`.
    pub fn roamer(&mut self, agent: &str, dn: &str, preferred: SiteId, patience: Patience) -> RoamerId {
        let number = self.roamers.list.len();
        let desks = [A, A.other()].map(|site| {
            let desk = self.desktop(&format!("p{agent}"), Role::Agent, site);
            self.change_desk(desk, |desk| desk.reconnects = Some(secs(1)));
            self.roamers.by_desk.insert(desk, (number, site));
            desk
        });
        self.roamers.list.push(Roamer {
            dn: dn.to_owned(),
            agent: agent.to_owned(),
            aims: preferred,
            at: None,
            steps: Vec::new(),
            desks,
            patience,
            asked: None,
            wait: 0,
        });
        RoamerId(number)
    }

    /// A roaming desktop itself.
    ///
    /// # Panics
    /// If there is none of that number.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "a scenario made it")]
    pub fn roams(&self, id: RoamerId) -> &Roamer {
        &self.roamers.list[id.0]
    }

    /// All of them.
    #[must_use]
    pub fn roamers(&self) -> &[Roamer] {
        &self.roamers.list
    }

    /// A desktop heard an event.
    pub(super) fn roamer_hears(&mut self, desk: DeskId, outgoing: &Outgoing) {
        let event = outgoing.event.as_ref();
        let Some((n, site)) = self.roamers.by_desk.get(&desk).copied() else { return };
        let now = self.now();
        let Some(roamer) = self.roamers.list.get_mut(n) else { return };
        let dn = roamer.dn.clone();
        let own = event.this_dn.as_deref() == Some(&*dn);
        let aims = roamer.aims == site;
        if event.event == EventName::LinkConnected {
            self.ask(desk, "TRegisterAddress", &[("ThisDN", &dn)]);
        } else if event.event == EventName::Registered && own && aims {
            let still = event.agent_state.is_some_and(|state| state != AgentState::LoggedOut);
            roamer.wait += 1;
            if still {
                roamer.at = Some(site);
            } else {
                self.roamer_logs_in(n);
            }
        } else if event.event == EventName::AgentLogin && own {
            (roamer.at, roamer.asked) = (Some(site), None);
            roamer.wait += 1;
            roamer.steps.push((now, Step::LoggedIn(site)));
        } else if event.event == EventName::Error && roamer.asked.map(|(_, r)| r) == outgoing.reference_id {
            roamer.asked = None;
            roamer.steps.push((now, Step::Refused(site, event.error_code.unwrap_or_default())));
            let again = roamer.patience.retry;
            self.at(again, move |sim| sim.roamer_logs_in(n));
        } else if event.event == EventName::AgentLogout && own {
            self.roamer_is_logged_out(n, site, event);
        } else if event.event == EventName::DnBackInService && own && aims {
            roamer.wait += 1;
            self.roamer_logs_in(n);
        }
    }

    fn roamer_is_logged_out(&mut self, n: usize, site: SiteId, event: &Event) {
        let now = self.now();
        let Some(roamer) = self.roamers.list.get_mut(n).filter(|roamer| roamer.at == Some(site)) else {
            return;
        };
        let reason = event.extensions.get("ReasonCode").and_then(Value::as_text).unwrap_or_default();
        roamer.at = None;
        roamer.steps.push((now, Step::LoggedOut(site, reason.to_owned())));
        match reason {
            "graceful_shutdown_logout" => self.roamer_goes_to(n, site.other()),
            "dr-force_logout" => {
                let patience = roamer.patience.register_timeout;
                self.roamer_waits(n, patience, site);
            }
            _ => {}
        }
    }

    /// A desktop noticed that its connection is gone.
    pub(super) fn roamer_lost(&mut self, desk: DeskId) {
        let Some((n, site)) = self.roamers.by_desk.get(&desk).copied() else { return };
        let now = self.now();
        let Some(roamer) = self.roamers.list.get_mut(n) else { return };
        roamer.steps.push((now, Step::Lost(site)));
        roamer.asked = roamer.asked.filter(|(asked, _)| *asked != site);
        roamer.at = roamer.at.filter(|at| *at != site);
        if roamer.aims == site {
            let patience = roamer.patience.site_timeout;
            self.roamer_waits(n, patience, site);
        }
    }

    /// Unless something happens until then, it leaves the site.
    fn roamer_waits(&mut self, n: usize, patience: Duration, leaves: SiteId) {
        let Some(roamer) = self.roamers.list.get_mut(n).filter(|_| !patience.is_zero()) else { return };
        roamer.wait += 1;
        let wait = roamer.wait;
        self.at(patience, move |sim| {
            if sim.roamers.list.get(n).is_some_and(|roamer| roamer.wait == wait) {
                sim.roamer_goes_to(n, leaves.other());
            }
        });
    }

    fn roamer_goes_to(&mut self, n: usize, site: SiteId) {
        let now = self.now();
        let Some(roamer) = self.roamers.list.get_mut(n) else { return };
        roamer.aims = site;
        roamer.wait += 1;
        roamer.steps.push((now, Step::GoesTo(site)));
        self.roamer_logs_in(n);
    }

    fn roamer_logs_in(&mut self, n: usize) {
        let Some(roamer) = self.roamers.list.get(n).filter(|roamer| roamer.at.is_none()) else { return };
        let (site, desk) = (roamer.aims, roamer.desk(roamer.aims));
        let pending = roamer.asked.is_some_and(|(asked, _)| asked == site);
        if pending || self.desk(desk).link.is_none() {
            return;
        }
        let (dn, agent) = (roamer.dn.clone(), roamer.agent.clone());
        let attributes = [("ThisDN", &*dn), ("AgentID", &*agent), ("WorkMode", "AutoIn")];
        let reference = self.ask(desk, "TAgentLogin", &attributes);
        if let Some(roamer) = self.roamers.list.get_mut(n) {
            roamer.asked = Some((site, reference));
        }
    }
}
