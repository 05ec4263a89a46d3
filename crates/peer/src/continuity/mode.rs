//! Operating mode and the `dr-forward` option.

use std::fmt;

/// How this server runs with respect to its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// No `dr-peer-trunk`: an ordinary server.
    StandAlone,
    /// The peer trunk is in service: forwarding, login check and forced logout apply.
    Peered,
    /// The peer trunk is out of service: all three are suspended.
    SingleSite,
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
    fn bca_22_the_dn_overrides_the_application() {
        assert_eq!(DrForward::effective(DrForward::NoAgent, Some(DrForward::Oos)), DrForward::Oos);
        assert_eq!(DrForward::effective(DrForward::NoAgent, Some(DrForward::Off)), DrForward::Off);
        assert_eq!(DrForward::effective(DrForward::NoAgent, None), DrForward::NoAgent);
    }
}
