//! Where a message came from and where it goes: transport, listening socket, remote address, connection.

use std::fmt;
use std::net::SocketAddr;

/// The transports of RFC 3261 18 and RFC 7118.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// Reads a transport token of a Via or of a `transport` parameter, in any case. `None`: not one of ours.
    #[must_use]
    pub fn parse(token: &[u8]) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss]
            .into_iter()
            .find(|t| token.eq_ignore_ascii_case(t.as_str().as_bytes()))
    }

    /// The token as a Via prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// Whether the transport itself repeats what gets lost (RFC 3261 17: no retransmission timers).
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether the bytes travel encrypted.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// The port that a URI or a Via without one means (RFC 3261 19.1.2).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One way to a remote element. Two messages of one flow went over the same socket and connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// How the bytes travel.
    pub transport: Transport,
    /// Index of the listening socket.
    pub local: u8,
    /// The other end.
    pub remote: SocketAddr,
    /// Connection id. 0: a datagram, or for a stream "any connection to `remote`, or a new one".
    pub conn: u64,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.transport, self.remote)?;
        if self.conn != 0 {
            write!(f, " #{}", self.conn)?;
        }
        Ok(())
    }
}
