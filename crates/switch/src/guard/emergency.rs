//! Emergency calls: who dials one of the configured numbers, or asks for `urn:service:sos` (RFC 5031), gets through.
//!
//! They are not shed, limited, locked out or drained away, and go to the emergency trunks in order, those believed lost
//! too. A number may be dialled with a prefix: `9112=112` sends 112.

use crate::directory::TrunkId;
use crate::routing::without_separators;

/// An emergency number: as it is dialled, and as it is sent to the trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// As people dial it.
    pub dialled: Box<str>,
    /// As the trunk wants it.
    pub sent: Box<str>,
}

/// `[emergency]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emergency {
    /// `numbers`; the first is what a service URN is sent as.
    pub numbers: Vec<Number>,
    /// `trunks`, in the order in which they are tried.
    pub trunks: Vec<TrunkId>,
    /// `without-credentials`: who says he is an Extension of this switch is believed for such a call.
    pub without_credentials: bool,
}

impl Emergency {
    /// The number that somebody asks for who dials this.
    #[must_use]
    pub fn dialled(&self, number: &[u8]) -> Option<&Number> {
        let plain = without_separators(number);
        self.numbers.iter().find(|known| [number, &plain].contains(&known.dialled.as_bytes()))
    }

    /// The number that a Request-URI asks for: a service URN is as good as the first number.
    #[must_use]
    pub fn asked(&self, uri: &[u8], dialled: Option<&[u8]>) -> Option<&Number> {
        if is_service(uri) { self.numbers.first() } else { self.dialled(dialled?) }
    }
}

/// `urn:service:sos`, or a service below it such as `urn:service:sos.fire`.
#[must_use]
pub fn is_service(uri: &[u8]) -> bool {
    const SOS: &[u8] = b"urn:service:sos";
    let (Some(head), rest) = (uri.get(..SOS.len()), uri.get(SOS.len())) else { return false };
    head.eq_ignore_ascii_case(SOS) && matches!(rest, None | Some(b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_service_urns_ask_for_help() {
        let number = |dialled: &str, sent: &str| Number { dialled: dialled.into(), sent: sent.into() };
        let emergency =
            Emergency { numbers: vec![number("112", "112"), number("0112", "112")], ..Emergency::default() };
        let of = |uri: &str, dialled: Option<&str>| {
            emergency.asked(uri.as_bytes(), dialled.map(str::as_bytes)).map(|number| number.sent.to_string())
        };
        for asks in [("sip:112@a", Some("112")), ("sip:0112@a", Some("0112"))] {
            assert_eq!(of(asks.0, asks.1).as_deref(), Some("112"));
        }
        for urn in ["urn:service:sos", "URN:service:SOS", "urn:service:sos.police"] {
            assert_eq!(of(urn, None).as_deref(), Some("112"), "{urn}");
        }
        for not in
            [("sip:1120@a", Some("1120")), ("urn:service:sosx", None), ("urn:service:counseling", None)]
        {
            assert_eq!(of(not.0, not.1), None);
        }
        assert_eq!(Emergency::default().asked(b"urn:service:sos", None), None, "not configured");
    }
}
