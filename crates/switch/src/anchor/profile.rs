//! Which legs are anchored, and how they are spoken to.

use std::sync::Arc;

use tandem_sip::Transport;

use super::order::{Profile, Speaks};
use super::text::is_webrtc;

/// `media` of an Extension or Trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaChoice {
    /// Legs that speak as browsers do are anchored: those that offer so, and those that are reached by WebSocket.
    #[default]
    Auto,
    /// Never: descriptions pass as they are.
    Direct,
    /// Always.
    Anchor,
    /// Always, and the device speaks as browsers do however it is reached.
    WebRtc,
}

/// What the configuration says of a device's media.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaOption {
    /// `media`.
    pub choice: MediaChoice,
    /// `media-network`.
    pub network: Option<Arc<str>>,
}

/// The shortest offer that a browser makes is longer, bytes; shorter ones are not looked at.
const SHORTEST_OF_BROWSERS: usize = 400;

impl MediaOption {
    fn profile(&self, speaks: Speaks) -> Profile {
        Profile { speaks, network: self.network.clone() }
    }

    /// How a caller's leg is anchored, if it is.
    #[must_use]
    pub fn of_caller(&self, transport: Transport, offer: &[u8]) -> Option<Profile> {
        let by_transport = is_websocket(transport) || self.choice == MediaChoice::WebRtc;
        let browser = match offer.len() {
            0 => by_transport,
            1..SHORTEST_OF_BROWSERS => false,
            _ => is_webrtc(offer),
        };
        match (self.choice, browser) {
            (MediaChoice::Direct, _) | (MediaChoice::Auto | MediaChoice::WebRtc, false) => None,
            (MediaChoice::Anchor, false) => Some(self.profile(Speaks::Rtp)),
            (MediaChoice::Auto | MediaChoice::Anchor | MediaChoice::WebRtc, true) => {
                Some(self.profile(Speaks::WebRtc))
            }
        }
    }

    /// How a callee's leg is anchored, if it is.
    #[must_use]
    pub fn of_callee(&self, transport: Transport) -> Option<Profile> {
        match self.choice {
            MediaChoice::Direct => None,
            MediaChoice::Auto => is_websocket(transport).then(|| self.profile(Speaks::WebRtc)),
            MediaChoice::Anchor if is_websocket(transport) => Some(self.profile(Speaks::WebRtc)),
            MediaChoice::Anchor => Some(self.profile(Speaks::Rtp)),
            MediaChoice::WebRtc => Some(self.profile(Speaks::WebRtc)),
        }
    }
}

fn is_websocket(transport: Transport) -> bool {
    matches!(transport, Transport::Ws | Transport::Wss)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(choice: MediaChoice) -> MediaOption {
        MediaOption { choice, network: None }
    }

    fn speaks(profile: Option<Profile>) -> Option<Speaks> {
        profile.map(|profile| profile.speaks)
    }

    #[test]
    fn callers_are_known_by_what_they_offer_and_callees_by_how_they_are_reached() {
        let browser = format!("a=ice-ufrag:x\r\na=fingerprint:sha-256 AA\r\n{}", "a=x\r\n".repeat(100));
        let plain = format!("m=audio 5 RTP/AVP 0\r\n{}", "a=x\r\n".repeat(100));
        let of =
            |choice, transport, offer: &str| speaks(option(choice).of_caller(transport, offer.as_bytes()));
        use MediaChoice::{Anchor, Auto, Direct, WebRtc};
        for transport in [Transport::Udp, Transport::Wss] {
            assert_eq!(of(Auto, transport, &browser), Some(Speaks::WebRtc));
            assert_eq!(of(Auto, transport, &plain), None);
            assert_eq!(of(Direct, transport, &browser), None);
            assert_eq!(of(Anchor, transport, &plain), Some(Speaks::Rtp));
            assert_eq!(of(Anchor, transport, &browser), Some(Speaks::WebRtc));
        }
        assert_eq!(of(Auto, Transport::Ws, ""), Some(Speaks::WebRtc));
        assert_eq!(of(Auto, Transport::Udp, ""), None);
        assert_eq!(of(WebRtc, Transport::Udp, ""), Some(Speaks::WebRtc));
        let to = |choice, transport| speaks(option(choice).of_callee(transport));
        assert_eq!((to(Auto, Transport::Wss), to(Auto, Transport::Tls)), (Some(Speaks::WebRtc), None));
        assert_eq!(
            (to(Anchor, Transport::Udp), to(WebRtc, Transport::Udp)),
            (Some(Speaks::Rtp), Some(Speaks::WebRtc))
        );
        assert_eq!(to(Direct, Transport::Wss), None);
    }
}
