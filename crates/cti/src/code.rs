//! Error numbers of `EventError`, by their T-Library values.

use std::borrow::Cow;
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// Why a request is refused: `ErrorCode` of `EventError`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum ErrorCode {
            $($(#[$doc])* $name = $number,)*
        }

        impl ErrorCode {
            /// Every code, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it says without further detail.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The name after `TERR_`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

codes! {
    /// The DN is not registered by this client.
    NotRegistered = 41, "the DN is not registered by this client";
    /// The agent or call is in that state already.
    InSameState = 43, "already in that state";
    /// Nothing else fits.
    Unknown = 50, "unknown error";
    /// The request or what it asks for is not supported.
    UnsupOper = 51, "operation not supported";
    /// This server failed.
    Internal = 52, "internal error";
    /// An attribute is missing, ill-typed or out of range.
    InvalidAttr = 53, "invalid attribute";
    /// The server has no telephony now.
    NoSwitch = 54, "no telephony";
    /// No right to do that.
    NoRight = 55, "the role of this client does not allow it";
    /// No call with this ConnID.
    InvConnid = 56, "invalid ConnID";
    /// It took too long.
    Timeout = 57, "timed out";
    /// The DN is out of service.
    OutOfService = 58, "the DN is out of service";
    /// The DN is not in the configuration.
    NotConfigured = 59, "the DN is not configured";
    /// The destination cannot be called.
    InvCaldDn = 71, "invalid called DN";
    /// The service is being taken down.
    ServUnavail = 118, "service unavailable";
    /// Wrong password of an agent login.
    BadPasswd = 119, "bad password";
    /// The server is draining.
    AdminShutdown = 156, "the server is being shut down";
    /// A table is full.
    ResUnavail = 166, "resource unavailable";
    /// The target of a transfer cannot be called.
    TargDnInv = 177, "invalid transfer target";
    /// No agent is logged in.
    AcdLogoff = 187, "no agent is logged in";
    /// The AgentID is not known here.
    AgentIdInv = 192, "invalid AgentID";
    /// The destination is busy.
    DnBusy = 231, "the DN is busy";
    /// The destination does not answer.
    DnNoAnswer = 232, "no answer";
    /// The destination refused the call.
    CallRejected = 233, "the call was rejected";
    /// Wrong password of a person.
    InvPasswd = 259, "invalid password";
    /// The call is not in a state for that.
    InvCallState = 496, "invalid call state";
    /// The request does not fit the state of the DN.
    RecvdInvState = 506, "received in an invalid state";
    /// The agent is logged in at another DN.
    AgentIdActive = 527, "the AgentID is active at another DN";
    /// Another agent is logged in at the DN.
    PositionSignedIn = 550, "the position is signed in already";
    /// Nobody is logged in who could be logged out.
    PositionSignedOut = 551, "the position is signed out already";
}

impl ErrorCode {
    /// The code of a number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }

    /// The number in `ErrorCode`.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }
}

/// A request that is refused: its number and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `ErrorCode`.
    pub code: ErrorCode,
    /// `ErrorMessage`: what is wrong, and where it helps, what to do.
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with the words of its code.
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        Self { code, message: Cow::Borrowed(code.text()) }
    }

    /// A refusal that says more.
    #[must_use]
    pub fn because(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code.number())
    }
}
