//! `session-timer`, `session-refresh-interval` and `min-se`: session timers (RFC 4028) of the Application and of a DN.

/// `session-timer`: whether sessions with a far end are refreshed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionTimerMode {
    /// Never: nothing is offered, nothing is asked for, and a call whose ends vanish stays.
    Off,
    /// Offered; a far end that knows nothing of session timers is asked by OPTIONS within the dialog whether it lives.
    #[default]
    On,
    /// A call with a far end that knows nothing of them is refused.
    Required,
}

/// Session timers with one far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    /// `session-timer`.
    pub mode: SessionTimerMode,
    /// `session-refresh-interval`, s: the session interval that is asked for, and granted at most.
    pub interval_s: u32,
    /// `min-se`, s: the shortest session interval that is granted.
    pub min_se_s: u32,
}

impl Default for SessionTimer {
    fn default() -> Self {
        Self { mode: SessionTimerMode::On, interval_s: 1_800, min_se_s: 90 }
    }
}

/// What a DN says of its own; the rest is the Application's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnSessionTimer {
    /// `session-timer`.
    pub mode: Option<SessionTimerMode>,
    /// `session-refresh-interval`, s.
    pub interval_s: Option<u32>,
    /// `min-se`, s.
    pub min_se_s: Option<u32>,
}

impl OwnSessionTimer {
    /// With what the Application says where the DN says nothing. An interval is never below the shortest one.
    #[must_use]
    pub fn over(self, usual: SessionTimer) -> SessionTimer {
        let min_se_s = self.min_se_s.unwrap_or(usual.min_se_s);
        SessionTimer {
            mode: self.mode.unwrap_or(usual.mode),
            interval_s: self.interval_s.unwrap_or(usual.interval_s).max(min_se_s),
            min_se_s,
        }
    }
}
