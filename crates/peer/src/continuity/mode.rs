//! Operating mode and the `dr-forward` option.

use std::fmt;
use std::time::{Duration, Instant};

/// How this server runs with respect to its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// No `dr-peer-trunk`: an ordinary server.
    StandAlone,
    /// The peer trunk is in service: forwarding, login check and forced logout apply.
    Peered,
    /// The peer trunk is out of service, or back for less than `dr-recovery-delay`: all three are suspended.
    SingleSite,
}

/// What is known of the peer trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerTrunk {
    /// Whether it is in service.
    pub in_service: bool,
    /// Since when it is that.
    pub since: Instant,
}

impl Mode {
    /// The mode that follows from the peer trunk: `None` if none is configured, otherwise whether it is in service.
    #[must_use]
    pub const fn of(peer_trunk_in_service: Option<bool>) -> Self {
        match peer_trunk_in_service {
            None => Self::StandAlone,
            Some(true) => Self::Peered,
            Some(false) => Self::SingleSite,
        }
    }

    /// The mode that comes after this one. Loss is believed at once; a return only when it has lasted for
    /// `recovery_delay`, because single-site only relaxes rules and a link that flaps would switch them to and fro.
    #[must_use]
    pub fn next(self, peer_trunk: Option<PeerTrunk>, recovery_delay: Duration, now: Instant) -> Self {
        let held = |peer: PeerTrunk| now < peer.since + recovery_delay;
        match Self::of(peer_trunk.map(|peer| peer.in_service)) {
            Self::Peered if self != Self::Peered && peer_trunk.is_some_and(held) => Self::SingleSite,
            mode @ (Self::Peered | Self::SingleSite | Self::StandAlone) => mode,
        }
    }

    /// When this mode ends by itself, because the return of the peer has lasted for `recovery_delay`.
    #[must_use]
    pub fn ends_at(self, peer_trunk: Option<PeerTrunk>, recovery_delay: Duration) -> Option<Instant> {
        let back = peer_trunk.filter(|peer| peer.in_service && self == Self::SingleSite)?;
        Some(back.since + recovery_delay)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StandAlone => "stand-alone",
            Self::Peered => "peered",
            Self::SingleSite => "single-site",
        })
    }
}

/// `dr-forward`: when a call for a DN is the peer's to deliver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrForward {
    /// Never.
    #[default]
    Off,
    /// When no agent is logged in on the DN here. The setting for phones that are in service at both sites.
    NoAgent,
    /// When the endpoint is out of service here. The setting for active-backup phones.
    Oos,
}

impl DrForward {
    /// The value in force: the DN's own, else the Application's.
    #[must_use]
    pub fn effective(application: Self, dn: Option<Self>) -> Self {
        dn.unwrap_or(application)
    }
}

impl fmt::Display for DrForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::NoAgent => "no-agent",
            Self::Oos => "oos",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_follows_from_the_peer_trunk_alone() {
        assert_eq!(Mode::of(None), Mode::StandAlone);
        assert_eq!(Mode::of(Some(true)), Mode::Peered);
        assert_eq!(Mode::of(Some(false)), Mode::SingleSite);
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn a_return_is_believed_after_the_delay_and_a_loss_at_once() {
        let (since, delay) = (Instant::now(), Duration::from_secs(30));
        let peer = |in_service| Some(PeerTrunk { in_service, since });
        let next =
            |mode: Mode, in_service, s| mode.next(peer(in_service), delay, since + Duration::from_secs(s));
        assert_eq!(next(Mode::SingleSite, true, 29), Mode::SingleSite);
        assert_eq!(next(Mode::SingleSite, true, 30), Mode::Peered);
        assert_eq!(next(Mode::Peered, true, 0), Mode::Peered, "a longer delay takes nothing back");
        assert_eq!(next(Mode::Peered, false, 0), Mode::SingleSite);
        assert_eq!(next(Mode::StandAlone, true, 29), Mode::SingleSite);
        assert_eq!(Mode::SingleSite.next(None, delay, since), Mode::StandAlone);
        assert_eq!(Mode::SingleSite.next(peer(true), Duration::ZERO, since), Mode::Peered);
        assert_eq!(Mode::SingleSite.ends_at(peer(true), delay), Some(since + delay));
        for (mode, in_service) in [(Mode::SingleSite, false), (Mode::Peered, true), (Mode::StandAlone, true)]
        {
            assert_eq!(mode.ends_at(peer(in_service), delay), None, "{mode}");
        }
    }

    #[test]
    fn bca_22_the_dn_overrides_the_application() {
        assert_eq!(DrForward::effective(DrForward::NoAgent, Some(DrForward::Oos)), DrForward::Oos);
        assert_eq!(DrForward::effective(DrForward::NoAgent, Some(DrForward::Off)), DrForward::Off);
        assert_eq!(DrForward::effective(DrForward::NoAgent, None), DrForward::NoAgent);
    }
}
