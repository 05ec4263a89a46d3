//! What a drill asks for, checked.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{MAX_DRILL_DELAY, MAX_DRILL_FOR, MAX_DRILL_PARTIES};

/// What is rehearsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The peer is out of reach, and this whole site is gone for chosen parties.
    SiteLoss,
    /// The peer is out of reach.
    LinkLoss,
    /// What goes to the peer goes late.
    SlowLink,
    /// Nothing: the peer is the one that isolates itself. When the drill is over, or has died, this server makes sure as
    /// well that its parties' calls do not outlive them.
    Witness,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 4] = [Self::SiteLoss, Self::LinkLoss, Self::SlowLink, Self::Witness];

    /// The printed form.
    pub fn name(self) -> &'static str {
        match self {
            Self::SiteLoss => "site-loss",
            Self::LinkLoss => "link-loss",
            Self::SlowLink => "slow-link",
            Self::Witness => "witness",
        }
    }
}

/// As it comes over the wire.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    kind: Kind,
    for_s: u64,
    #[serde(default)]
    parties: Vec<IpAddr>,
    #[serde(default)]
    share: u8,
    #[serde(default)]
    delay_ms: u64,
}

/// An isolation that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What is rehearsed.
    pub kind: Kind,
    /// It ends after this long at the latest.
    pub lasts: Duration,
    /// Addresses that the drill's parties speak from.
    pub parties: Vec<IpAddr>,
    /// Share of the real Extensions that lose this site, percent.
    pub share: u8,
    /// How long messages to the peer are held back.
    pub delay: Duration,
}

impl TryFrom<Asked> for Order {
    type Error = String;

    fn try_from(asked: Asked) -> Result<Self, String> {
        let Asked { kind, for_s, parties, share, delay_ms } = asked;
        let (lasts, delay) = (Duration::from_secs(for_s), Duration::from_millis(delay_ms));
        if lasts.is_zero() || lasts > MAX_DRILL_FOR {
            return Err(format!("for_s must be 1 to {}", MAX_DRILL_FOR.as_secs()));
        }
        if parties.len() > MAX_DRILL_PARTIES {
            return Err(format!("more than {MAX_DRILL_PARTIES} parties"));
        }
        if share > 100 {
            return Err("share is a percentage: 0 to 100".to_owned());
        }
        let (nobody, delays) = (parties.is_empty() && share == 0, !delay.is_zero());
        if share > 0 && kind != Kind::SiteLoss {
            return Err(format!("{} takes no share of the Extensions: share is for site-loss", kind.name()));
        }
        match kind {
            Kind::SiteLoss if nobody => {
                Err("site-loss needs parties or a share of the Extensions".to_owned())
            }
            Kind::SlowLink if !delays || delay > MAX_DRILL_DELAY => {
                Err(format!("slow-link needs delay_ms, 1 to {}", MAX_DRILL_DELAY.as_millis()))
            }
            Kind::SiteLoss | Kind::LinkLoss | Kind::Witness if delays => {
                Err(format!("delay_ms is for slow-link, not for {}", kind.name()))
            }
            Kind::SiteLoss | Kind::LinkLoss | Kind::SlowLink | Kind::Witness => {
                Ok(Self { kind, lasts, parties, share, delay })
            }
        }
    }
}
