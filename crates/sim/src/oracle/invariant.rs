//! The rules by name: a failing seed says which one it broke, and its shortest form breaks the same one.

/// A rule that holds after every step of every history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// A call crosses the peer trunk once, is redirected once, and loses a hop each time.
    NoForwardingLoop,
    /// No server rings a phone of its own while its forward of that call is alive.
    NoRingBesideForward,
    /// No agent is logged in twice at one site.
    OneLogin,
    /// No established call ends that touched nothing of what failed.
    BystandersKeepTheirCalls,
    /// Sites that can reach each other are peered again within `oos-check` + `oos-force` + a round trip + a tick.
    PeeredAgain,
    /// When all parties are gone, no call, leg, queue place or reservation is left.
    NothingStuck,
    /// Every record is gone by its deadline.
    RecordsEndInTime,
    /// Nobody is told what was not stored before.
    StoredBeforeTold,
    /// What RFC 3261 asks of a client, of a server and of every message.
    SipAsWritten,
    /// Events of calls in their grammar, queues in their order, nobody's calls told to somebody else.
    FloorInOrder,
    /// Agents are as the reference model has them.
    AgentsAsModelled,
    /// A client's stream of events has neither gaps nor repeats.
    ClientsHearAll,
    /// A server whose timer is due does something about it.
    NoBusyLoop,
    /// Of a pair nobody speaks without a lease, nor after the other has spoken in a later epoch.
    OneServerSpeaks,
}

impl Invariant {
    /// Those that a simulated server can be made not to keep ([`crate::broken`]).
    pub const ALL: [Self; 13] = [
        Self::NoForwardingLoop,
        Self::NoRingBesideForward,
        Self::OneLogin,
        Self::BystandersKeepTheirCalls,
        Self::PeeredAgain,
        Self::NothingStuck,
        Self::RecordsEndInTime,
        Self::StoredBeforeTold,
        Self::SipAsWritten,
        Self::FloorInOrder,
        Self::AgentsAsModelled,
        Self::ClientsHearAll,
        Self::NoBusyLoop,
    ];

    /// Its name, as a failing seed prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoForwardingLoop => "no-forwarding-loop",
            Self::NoRingBesideForward => "no-ring-beside-forward",
            Self::OneLogin => "one-login-per-site",
            Self::BystandersKeepTheirCalls => "bystanders-keep-their-calls",
            Self::PeeredAgain => "peered-again",
            Self::NothingStuck => "nothing-stuck",
            Self::RecordsEndInTime => "records-end-in-time",
            Self::StoredBeforeTold => "stored-before-told",
            Self::SipAsWritten => "sip-as-written",
            Self::FloorInOrder => "floor-in-order",
            Self::AgentsAsModelled => "agents-as-modelled",
            Self::ClientsHearAll => "clients-hear-all",
            Self::NoBusyLoop => "no-busy-loop",
            Self::OneServerSpeaks => "one-server-speaks",
        }
    }
}

impl std::fmt::Display for Invariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
