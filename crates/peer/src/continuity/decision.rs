//! Is this call ours to deliver, or the peer's?
//!
//! The rules stand in one list; the first that matches decides. The list is the explanation as well: what was
//! considered is everything up to the rule that matched.

use super::{DrForward, Mode};
use std::fmt;

/// What kind of call asks to be delivered to a DN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// From a trunk to an Extension.
    Inbound,
    /// From a phone of this site to an Extension.
    Internal,
    /// Made by a desktop (`TMakeCall`) to an Extension.
    ThirdParty,
    /// A consultation to an Extension.
    Consult,
    /// The target of a transfer.
    Transfer,
    /// Distributed by an ACD queue, or routed, to a DN with an agent logged in here.
    RoutedToAgent,
    /// Routed to a DN where no agent is logged in here.
    RoutedWithoutAgent,
    /// Distributed by a hunt group or a shared line.
    Group,
    /// To a routing point, queue, trunk or treatment port.
    NotAnExtension,
}

impl CallKind {
    fn is_direct(self) -> bool {
        match self {
            Self::Inbound
            | Self::Internal
            | Self::ThirdParty
            | Self::Consult
            | Self::Transfer
            | Self::RoutedWithoutAgent => true,
            Self::RoutedToAgent | Self::Group | Self::NotAnExtension => false,
        }
    }
}

/// Where the call comes from, which decides how it can be forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Originator {
    /// An outside trunk that may be sent a 302.
    ExternalRedirectable,
    /// An outside trunk that may not (`oosp-transfer-enabled = false`).
    ExternalInPath,
    /// A phone or desktop of this site.
    Internal,
}

/// How a call is forwarded to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// 302 to the originator, which calls the peer itself (RFC 3261 section 8.1.3.4).
    Redirect302,
    /// A leg over the peer trunk; this server stays in the signalling path.
    InPath,
}

/// The local facts that decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Operating mode.
    pub mode: Mode,
    /// The `dr-forward` in force for the DN.
    pub dr_forward: DrForward,
    /// What kind of call it is.
    pub call: CallKind,
    /// Where it comes from.
    pub originator: Originator,
    /// Did it arrive over the peer trunk?
    pub from_peer: bool,
    /// Does it carry the mark of a call that was forwarded once?
    pub marked: bool,
    /// Max-Forwards of the incoming leg. The outgoing leg carries one less (RFC 3261 section 8.1.1.6).
    pub max_forwards: u8,
    /// Was the same caller redirected for the same DN a moment ago ([`RedirectMemory`](super::RedirectMemory))?
    pub redirected_recently: bool,
    /// Is the DN's endpoint in service here?
    pub endpoint_in_service: bool,
    /// Is an agent logged in on the DN here?
    pub agent_logged_in: bool,
}

/// Where the call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Deliver it here, whatever comes of it.
    Local,
    /// Hand it to the peer.
    Forward(How),
}

/// One rule. The order of [`Rule::ORDER`] is the order of evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The call's kind is never forwarded.
    NotSubject,
    /// No peer is configured.
    StandAlone,
    /// The peer is out of reach.
    SingleSite,
    /// `dr-forward` is `off`.
    ForwardingOff,
    /// Loop guard: it came over the peer trunk.
    CameFromPeer,
    /// Loop guard: it carries the mark.
    AlreadyForwarded,
    /// Loop guard: no hop is left for a leg to the peer.
    MaxForwardsSpent,
    /// Loop guard: redirected a moment ago and back again, its mark lost on the way.
    RedirectedRecently,
    /// `oos`: the endpoint is in service here.
    EndpointInService,
    /// `oos`: it is not.
    EndpointOutOfService,
    /// `no-agent`: an agent is logged in here.
    AgentLoggedIn,
    /// `no-agent`: none is.
    NoAgent,
}

impl Rule {
    /// All rules, as they are evaluated.
    pub const ORDER: [Self; 12] = [
        Self::NotSubject,
        Self::StandAlone,
        Self::SingleSite,
        Self::ForwardingOff,
        Self::CameFromPeer,
        Self::AlreadyForwarded,
        Self::MaxForwardsSpent,
        Self::RedirectedRecently,
        Self::EndpointInService,
        Self::EndpointOutOfService,
        Self::AgentLoggedIn,
        Self::NoAgent,
    ];

    /// Does the rule match these facts?
    #[must_use]
    pub fn matches(self, facts: &Facts) -> bool {
        match self {
            Self::NotSubject => !facts.call.is_direct(),
            Self::StandAlone => facts.mode == Mode::StandAlone,
            Self::SingleSite => facts.mode == Mode::SingleSite,
            Self::ForwardingOff => facts.dr_forward == DrForward::Off,
            Self::CameFromPeer => facts.from_peer,
            Self::AlreadyForwarded => facts.marked,
            Self::MaxForwardsSpent => facts.how() == How::InPath && facts.max_forwards <= 1,
            Self::RedirectedRecently => facts.redirected_recently,
            Self::EndpointInService => facts.dr_forward == DrForward::Oos && facts.endpoint_in_service,
            Self::EndpointOutOfService => facts.dr_forward == DrForward::Oos && !facts.endpoint_in_service,
            Self::AgentLoggedIn => facts.dr_forward == DrForward::NoAgent && facts.agent_logged_in,
            Self::NoAgent => facts.dr_forward == DrForward::NoAgent && !facts.agent_logged_in,
        }
    }

    fn forwards(self) -> bool {
        match self {
            Self::EndpointOutOfService | Self::NoAgent => true,
            Self::NotSubject
            | Self::StandAlone
            | Self::SingleSite
            | Self::ForwardingOff
            | Self::CameFromPeer
            | Self::AlreadyForwarded
            | Self::MaxForwardsSpent
            | Self::RedirectedRecently
            | Self::EndpointInService
            | Self::AgentLoggedIn => false,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSubject => "calls of this kind are never forwarded",
            Self::StandAlone => "no dr-peer-trunk is configured",
            Self::SingleSite => "the peer trunk is out of service",
            Self::ForwardingOff => "dr-forward is off for this DN",
            Self::CameFromPeer => "the call came over the peer trunk; it is never sent back",
            Self::AlreadyForwarded => "the call carries the mark of one forwarded before",
            Self::MaxForwardsSpent => "Max-Forwards leaves no hop for a leg to the peer",
            Self::RedirectedRecently => "the same caller was redirected for this DN a moment ago and is back",
            Self::EndpointInService => "dr-forward is oos and the endpoint is in service here",
            Self::EndpointOutOfService => "dr-forward is oos and the endpoint is out of service here",
            Self::AgentLoggedIn => "dr-forward is no-agent and an agent is logged in here",
            Self::NoAgent => "dr-forward is no-agent and no agent is logged in here",
        })
    }
}

/// What was decided, and by which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Where the call goes.
    pub verdict: Verdict,
    /// The rule that matched.
    pub rule: Rule,
}

impl Decision {
    /// The rules that were considered, in order, each with whether it matched. The last one did.
    pub fn considered(self) -> impl Iterator<Item = (Rule, bool)> {
        let matched = self.rule;
        let before = Rule::ORDER.into_iter().take_while(move |rule| *rule != matched);
        before.map(|rule| (rule, false)).chain(std::iter::once((matched, true)))
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Local => "delivered here",
            Verdict::Forward(How::Redirect302) => "redirected to the peer with 302",
            Verdict::Forward(How::InPath) => "sent over the peer trunk",
        };
        write!(f, "{verdict}: {}", self.rule)
    }
}

impl Facts {
    fn how(&self) -> How {
        match self.originator {
            Originator::ExternalRedirectable => How::Redirect302,
            Originator::ExternalInPath | Originator::Internal => How::InPath,
        }
    }
}

/// Decides. Exactly one of the last four rules matches when none before it does, because `dr-forward` is then `oos`
/// or `no-agent`.
#[must_use]
pub fn decide(facts: &Facts) -> Decision {
    let rule = Rule::ORDER.into_iter().find(|rule| rule.matches(facts)).unwrap_or(Rule::ForwardingOff);
    let verdict = if rule.forwards() { Verdict::Forward(facts.how()) } else { Verdict::Local };
    Decision { verdict, rule }
}
