//! May a call that was sent over the peer trunk be delivered here after all?

/// How a leg over the peer trunk ended before it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InPathOutcome {
    /// The INVITE could not be delivered.
    TransportFailed,
    /// The INVITE was never answered at all (Timer B, RFC 3261 section 17.1.1.2): the peer is silent.
    NoAnswer,
    /// The peer's final answer.
    Status {
        /// Its status code.
        code: u16,
        /// Does it carry the mark by which a draining peer tells its own refusal from a person's?
        drain_marked: bool,
    },
}

/// Yes, if the peer could not have delivered it: it was not reached, it has no such endpoint (404, 480), it is not
/// able (503), or it is draining. Never if a person or a phone refused (486, 600, an unmarked 603) or the phone rang
/// in vain: a caller who was declined at one site must not ring at the other.
#[must_use]
pub fn fallback_allowed(outcome: InPathOutcome) -> bool {
    match outcome {
        InPathOutcome::TransportFailed | InPathOutcome::NoAnswer => true,
        InPathOutcome::Status { code, drain_marked } => {
            matches!(code, 404 | 480 | 503) || (drain_marked && code >= 300)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> bool {
        fallback_allowed(InPathOutcome::Status { code, drain_marked: false })
    }

    #[test]
    fn a_peer_that_was_not_reached_leaves_the_call_here() {
        assert!(fallback_allowed(InPathOutcome::TransportFailed));
        assert!(fallback_allowed(InPathOutcome::NoAnswer));
    }

    #[test]
    fn a_peer_without_the_endpoint_leaves_the_call_here() {
        assert!(status(404) && status(480) && status(503));
    }

    #[test]
    fn what_a_person_or_a_phone_refused_never_rings_here() {
        for code in [200, 302, 403, 408, 486, 487, 488, 500, 600, 603, 604] {
            assert!(!status(code), "{code}");
        }
    }

    #[test]
    fn a_drain_rejection_is_known_by_its_mark() {
        assert!(fallback_allowed(InPathOutcome::Status { code: 603, drain_marked: true }));
        assert!(!fallback_allowed(InPathOutcome::Status { code: 603, drain_marked: false }));
    }

    #[test]
    fn no_mark_undoes_an_answer() {
        assert!(!fallback_allowed(InPathOutcome::Status { code: 200, drain_marked: true }));
    }
}
