//! Bodies. Each carries the number of the simulated call in its session name, so that an oracle knows the legs of one
//! call however many servers re-labelled them.

use std::net::SocketAddr;

use crate::text::Mark;

/// What every simulated device understands.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, MESSAGE, NOTIFY";

/// Direction of the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// The other side is on hold.
    SendOnly,
    /// We are on hold.
    RecvOnly,
}

impl Direction {
    fn attribute(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
        }
    }

    /// The direction that answers this body.
    #[must_use]
    pub fn answering(body: &str) -> Self {
        if body.contains("a=sendonly") { Self::RecvOnly } else { Self::SendRecv }
    }
}

/// An SDP body with `padding` further attribute lines.
#[must_use]
pub fn sdp(mark: Mark, addr: SocketAddr, direction: Direction, padding: usize) -> String {
    let (ip, attribute, label) = (addr.ip(), direction.attribute(), mark.label);
    let mut body = format!(
        "v=0\r\no=- {label} 1 IN IP4 {ip}\r\ns={mark}\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 0\r\na={attribute}\r\n"
    );
    for line in 0..padding {
        body.push_str(&format!("a=x-padding:{line:05} 0123456789012345678901234567890123456789\r\n"));
    }
    body
}
