//! Session-ID (RFC 7989): one name for a session from end to end. Each end has a UUID of its own; a message names that of
//! its sender, and that of its receiver as `remote`. What an end says of itself passes as it is. For an end that says
//! nothing this server speaks, with the same UUID for as long as the leg lasts; that of a caller is the `CallUUID`.

use tandem_sip::{Builder, HeaderName, Message, lexer};

use super::leg::Leg;
use super::news::LegNo;

/// UUIDs of the two ends of a leg's session; 0 is the nil UUID of an end that is not known yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionIds {
    /// Of the far end of the leg.
    pub party: u128,
    /// Of the one he speaks with.
    pub other: u128,
}

impl SessionIds {
    /// Whether nothing is known, so that nothing is said.
    pub(super) fn is_nil(self) -> bool {
        self.other == 0
    }

    /// Writes the header of a message to the leg's far end.
    pub(super) fn print(self, builder: &mut Builder<'_>) {
        let value = format!("{:032x};remote={:032x}", self.other, self.party);
        builder.header(HeaderName::SessionId, value.as_bytes());
    }
}

/// The UUID that the sender of a message gives himself; the older form without `remote` (RFC 7329) is as good.
#[must_use]
pub(super) fn of(message: &Message) -> Option<u128> {
    let value = message.header(HeaderName::SessionId)?;
    let local = value.split(|byte| *byte == b';').next().map(lexer::trim)?;
    let plain = local.len() == 32 && local.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(local).ok().filter(|_| plain)?;
    u128::from_str_radix(text, 16).ok().filter(|uuid| *uuid != 0)
}

/// The UUID of an end that gives itself none.
#[must_use]
pub(super) fn made(call: u128, leg: LegNo) -> u128 {
    // Distinct for each leg, and as random as the CallUUID.
    const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let uuid = call.wrapping_add(ODD.wrapping_mul(u128::from(leg)));
    if uuid == 0 { ODD } else { uuid }
}

/// Introduces two legs of a call to each other.
pub(super) fn introduce(call: u128, [one, two]: [&mut Leg; 2]) {
    for leg in [&mut *one, &mut *two] {
        if leg.session_ids.party == 0 {
            leg.session_ids.party = made(call, leg.no);
        }
    }
    one.session_ids.other = two.session_ids.party;
    two.session_ids.other = one.session_ids.party;
}
