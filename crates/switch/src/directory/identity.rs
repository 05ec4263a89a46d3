//! Who is told what of a caller, by Trunk and by Extension (RFC 3323, RFC 3325).

use std::sync::Arc;

/// `asserted-identity`: where a Trunk is told who calls, beside From.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asserted {
    /// Nowhere.
    Nowhere,
    /// In `P-Asserted-Identity` (RFC 3325 9.1).
    PAsserted,
    /// In `P-Preferred-Identity` (RFC 3325 9.2): for a carrier that asserts by itself what it is asked to.
    PPreferred,
    /// In `Remote-Party-ID`, its predecessor.
    RemoteParty,
}

/// `forwarding-headers`: how a device is told that, and from where, a call was sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// By `Diversion` (RFC 5806).
    pub diversion: bool,
    /// By `History-Info` (RFC 7044).
    pub history_info: bool,
}

impl Forwarding {
    /// By neither.
    pub const NONE: Self = Self { diversion: false, history_info: false };
    /// By both.
    pub const BOTH: Self = Self { diversion: true, history_info: true };
}

/// `pass-headers`: private headers (`X-…`) that go to a Trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassHeaders {
    /// Every one.
    All,
    /// These.
    Only(Arc<[Box<str>]>),
}

impl PassHeaders {
    /// Whether a private header may go there.
    #[must_use]
    pub fn has(&self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name)),
        }
    }
}

/// What a Trunk is told, and believed, of who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkIdentity {
    /// `trusted`: the far end belongs to the same trust domain.
    pub trusted: bool,
    /// `asserted-identity`.
    pub asserted: Asserted,
    /// `cpn`: calling number of calls from Extensions; `{number}` stands for the Extension's number.
    pub cpn: Option<Box<str>>,
    /// `cpn-presentation` is `restricted`: who calls from an Extension is withheld.
    pub restricted: bool,
    /// `forwarding-headers`.
    pub forwarding: Forwarding,
    /// `pass-headers`.
    pub pass_headers: PassHeaders,
}

impl TrunkIdentity {
    /// What holds where nothing else is said: who is trusted is told everything, who is not nothing private.
    #[must_use]
    pub fn usual(trusted: bool) -> Self {
        Self {
            trusted,
            asserted: if trusted { Asserted::PAsserted } else { Asserted::Nowhere },
            cpn: None,
            restricted: false,
            forwarding: Forwarding::BOTH,
            pass_headers: if trusted { PassHeaders::All } else { PassHeaders::Only(Arc::new([])) },
        }
    }
}

impl Default for TrunkIdentity {
    fn default() -> Self {
        Self::usual(false)
    }
}

/// How an Extension presents itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presentation {
    /// `cpn`: calling number towards Trunks; wins over the Trunk's own. `{number}` stands for the Extension's number.
    pub cpn: Option<Box<str>>,
    /// `cpn-presentation` is `restricted`: towards Trunks it is withheld.
    pub restricted: bool,
    /// `reject-anonymous`: who does not say who he is gets 433 (RFC 5079).
    pub rejects_anonymous: bool,
}

/// `cpn` of an Extension.
#[must_use]
pub fn calling_number(template: &str, number: &str) -> String {
    template.replace("{number}", number)
}
