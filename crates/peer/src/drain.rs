//! What a new call is told while this server shuts down gracefully.

/// The caller of a new INVITE, as far as a drain distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewCall {
    /// It came over the peer trunk, or carries the mark of a forwarded call.
    FromPeer,
    /// Anybody else.
    Other,
}

/// The answer to a new INVITE during a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainAnswer {
    /// Refuse with this status, marked as a drain rejection.
    Refuse(u16),
    /// 302 to the contact of the peer trunk.
    RedirectToPeer,
}

/// `shutdown-sip-reject-code` when none is configured, and where a redirection has nowhere to point.
pub const DEFAULT_REJECT_CODE: u16 = 603;

/// The answer for `shutdown-sip-reject-code = code`. A forwarded call is never sent back where it came from.
#[must_use]
pub fn answer_new_call(code: u16, call: NewCall, peer_trunk_configured: bool) -> DrainAnswer {
    match (call, code) {
        (NewCall::FromPeer, _) => DrainAnswer::Refuse(503),
        (NewCall::Other, 300..=302) if peer_trunk_configured => DrainAnswer::RedirectToPeer,
        (NewCall::Other, 300..=399) => DrainAnswer::Refuse(DEFAULT_REJECT_CODE),
        (NewCall::Other, code) => DrainAnswer::Refuse(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gm_04_a_new_call_gets_the_configured_answer() {
        assert_eq!(answer_new_call(486, NewCall::Other, true), DrainAnswer::Refuse(486));
        for code in [300, 301, 302] {
            assert_eq!(answer_new_call(code, NewCall::Other, true), DrainAnswer::RedirectToPeer);
        }
    }

    #[test]
    fn a_redirection_without_a_target_is_a_refusal() {
        assert_eq!(answer_new_call(302, NewCall::Other, false), DrainAnswer::Refuse(603));
        assert_eq!(answer_new_call(305, NewCall::Other, true), DrainAnswer::Refuse(603));
    }

    #[test]
    fn what_the_peer_sent_is_never_redirected_back() {
        assert_eq!(answer_new_call(302, NewCall::FromPeer, true), DrainAnswer::Refuse(503));
        assert_eq!(answer_new_call(603, NewCall::FromPeer, true), DrainAnswer::Refuse(503));
    }
}
