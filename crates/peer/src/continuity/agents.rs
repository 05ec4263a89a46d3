//! What the operating mode means for agents: who may log in, and whom the loss of a registration logs out.

use super::Mode;
use std::fmt;

/// Reason code of a forced logout, in the vendor's spelling.
pub const DR_FORCE_LOGOUT: &str = "dr-force_logout";

/// A login refused because the DN's endpoint is out of service at this site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginRefused;

impl LoginRefused {
    /// Error code of the `EventError` (`TERR_OUT_OF_SERVICE`).
    pub const ERROR_CODE: u16 = 58;
}

impl fmt::Display for LoginRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the endpoint is out of service at this site, and the peer site is up")
    }
}

impl std::error::Error for LoginRefused {}

/// May an agent log in on a DN? Between peers only where the endpoint is, so that calls and agent meet at one site.
///
/// # Errors
/// [`LoginRefused`] in `Peered` mode when the endpoint is out of service.
pub fn login_admission(mode: Mode, endpoint_in_service: bool) -> Result<(), LoginRefused> {
    match mode {
        Mode::Peered if !endpoint_in_service => Err(LoginRefused),
        Mode::Peered | Mode::SingleSite | Mode::StandAlone => Ok(()),
    }
}

/// Does the end of a registration log out the agent on that DN, with reason [`DR_FORCE_LOGOUT`]?
#[must_use]
pub fn forced_logout_applies(mode: Mode) -> bool {
    match mode {
        Mode::Peered => true,
        Mode::SingleSite | Mode::StandAlone => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sf_12_login_without_endpoint_is_refused_only_between_peers() {
        assert_eq!(login_admission(Mode::Peered, false), Err(LoginRefused));
        assert_eq!(login_admission(Mode::Peered, true), Ok(()));
        assert_eq!(login_admission(Mode::SingleSite, false), Ok(()));
        assert_eq!(login_admission(Mode::StandAlone, false), Ok(()));
        assert_eq!(LoginRefused::ERROR_CODE, 58);
    }

    #[test]
    fn sf_13_lost_registration_logs_out_only_between_peers() {
        assert!(forced_logout_applies(Mode::Peered));
        assert!(!forced_logout_applies(Mode::SingleSite));
        assert!(!forced_logout_applies(Mode::StandAlone));
        assert_eq!(DR_FORCE_LOGOUT, "dr-force_logout");
    }
}
