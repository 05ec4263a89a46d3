//! `tandem drill`: rehearses the loss of a site, of the link between the sites, or of the server that serves a site, on a system
//! that runs.
//!
//! It brings phones, desktops and a gateway of its own, has a site isolate itself ([`crate::edges::isolation`]), measures
//! how everybody comes back, takes the failure back, and writes a signed report. Guards over real customers end it early.

mod conduct;
mod desktops;
mod facts;
mod gateway;
mod guard;
mod inject;
mod phones;
pub mod plan;
mod probe;
mod record;
pub mod report;
mod servers;
mod watch;
mod wire;

use std::sync::Arc;
use std::time::Duration;

pub use guard::{Guard, duration};
use plan::Plan;

use crate::edges::isolation;

/// What is rehearsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The site is gone.
    SiteLoss,
    /// The sites no longer hear each other.
    LinkLoss,
    /// What the site sends to its peer is late.
    SlowLink,
    /// The server that serves the site ends as by `kill -9`; another one of the same site is to take over.
    HaLoss,
}

impl Kind {
    /// The printed form.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SiteLoss => "site-loss",
            Self::LinkLoss => "link-loss",
            Self::SlowLink => "slow-link",
            Self::HaLoss => "ha-loss",
        }
    }

    /// What a site that plays it cuts off; none where it really is lost.
    pub const fn isolation(self) -> Option<isolation::Kind> {
        match self {
            Self::SiteLoss => Some(isolation::Kind::SiteLoss),
            Self::LinkLoss => Some(isolation::Kind::LinkLoss),
            Self::SlowLink => Some(isolation::Kind::SlowLink),
            Self::HaLoss => None,
        }
    }
}

/// What is to be rehearsed, and how.
pub struct Task {
    /// What fails.
    pub kind: Kind,
    /// Sites and parties.
    pub plan: Arc<Plan>,
    /// An administrator of the site.
    pub user: String,
    /// His password.
    pub password: String,
    /// Share of the real Extensions that lose the site too, percent.
    pub share: u8,
    /// How late messages to the peer are on a slow link.
    pub delay: Duration,
    /// What ends it early.
    pub guards: Vec<Guard>,
    /// Everybody must be served again within this time from the loss; with [`Kind::HaLoss`] the site must answer.
    pub goal: Option<Duration>,
    /// How long it is watched before.
    pub before: Duration,
    /// How long everybody may take to be served again.
    pub lasts: Duration,
    /// How long the failure goes on then.
    pub hold: Duration,
    /// How long it is watched afterwards.
    pub after: Duration,
    /// A command that brings the failure about, instead of the site itself.
    pub inject_with: Option<String>,
    /// Print nothing while it lasts.
    pub quiet: bool,
    /// The command line, for the report.
    pub command: String,
}

impl Task {
    /// The longest that the failure can last.
    pub fn longest(&self) -> Duration {
        self.lasts + self.hold
    }
}

/// How a drill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every goal was met.
    Passed,
    /// A goal was missed.
    Missed,
    /// It was ended early.
    Aborted,
}

impl Verdict {
    /// The printed form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Missed => "missed",
            Self::Aborted => "aborted",
        }
    }
}

/// Runs a drill; its report, not signed yet.
///
/// # Errors
/// A sentence: it could not run, and nothing was injected, or what was is taken back.
pub async fn run(task: Task) -> Result<(Verdict, serde_json::Value), String> {
    conduct::conduct(task).await
}
