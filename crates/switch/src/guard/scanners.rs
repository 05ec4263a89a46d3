//! Known scanners, by what they say of themselves; and requests for domains that nobody has here.

use tandem_sip::{HeaderName, Message, NameAddr, Uri};

use super::policy::Policy;

/// Why a request is taken for a scanner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Its User-Agent, or the name in its From.
    Agent,
    /// It is for none of `domains`.
    Domain,
}

impl std::fmt::Display for Sign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Agent => "known agent",
            Self::Domain => "unknown domain",
        })
    }
}

/// Words looked for in headers, in whatever case. Every request of a stranger is searched, so that what cannot begin a
/// word costs one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    words: Vec<Box<str>>,
    /// By byte: whether a word begins with it.
    begins: Vec<bool>,
}

impl Patterns {
    /// Empty words are passed over.
    #[must_use]
    pub fn new<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let words: Vec<Box<str>> =
            words.filter(|word| !word.is_empty()).map(|word| word.to_ascii_lowercase().into()).collect();
        let begins = |byte: u8| words.iter().any(|word| word.as_bytes().first() == Some(&byte));
        Self { begins: (0..=u8::MAX).map(|byte| begins(byte.to_ascii_lowercase())).collect(), words }
    }

    /// Whether the text is one of the words.
    #[must_use]
    pub fn name(&self, text: &[u8]) -> bool {
        self.words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Whether a word is in the text.
    #[must_use]
    pub fn are_in(&self, text: &[u8]) -> bool {
        let begins = |byte: &u8| self.begins.get(usize::from(*byte)).copied().unwrap_or(false);
        let starts = text.iter().enumerate().filter(|(_, byte)| begins(byte));
        starts.filter_map(|(at, _)| text.get(at..)).any(|rest| {
            let is_here = |word: &str| {
                rest.get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word.as_bytes()))
            };
            self.words.iter().any(|word| is_here(word))
        })
    }
}

/// Whether this is a scanner's request.
#[must_use]
pub fn sign(policy: &Policy, request: &Message) -> Option<Sign> {
    let agents = &policy.scanner_agents;
    // People have names with such words in them, and tags are drawn by chance: only the whole name counts.
    let from = request.header(HeaderName::From).and_then(|from| NameAddr::parse(from).ok());
    if request.header(HeaderName::UserAgent).is_some_and(|agent| agents.are_in(agent))
        || from.is_some_and(|from| agents.name(&from.display_unquoted()))
    {
        return Some(Sign::Agent);
    }
    (!policy.domains.is_empty() && !is_ours(policy, request)).then_some(Sign::Domain)
}

/// A tel URI names nobody's domain, nor does a URN.
fn is_ours(policy: &Policy, request: &Message) -> bool {
    let Some(uri) = request.request_uri().and_then(|uri| Uri::parse(uri).ok()) else { return true };
    match uri.scheme {
        tandem_sip::Scheme::Sip | tandem_sip::Scheme::Sips => {
            let host = uri.host.to_string();
            let host = host.trim_matches(['[', ']']);
            policy.domains.iter().any(|domain| host.eq_ignore_ascii_case(domain))
        }
        tandem_sip::Scheme::Tel | tandem_sip::Scheme::Other => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(policy: &Policy, uri: &str, from: &str, agent: &str) -> Option<Sign> {
        let text = format!(
            "OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: {from};tag=1\r\n\
             To: <sip:100@1.1.1.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nUser-Agent: {agent}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let message = Message::parse(bytes::Bytes::from(text)).unwrap();
        sign(policy, &message)
    }

    #[test]
    fn known_scanners_are_known_by_agent_and_by_name() {
        let policy = Policy::default();
        let of = |from, agent| judged(&policy, "sip:100@192.0.2.9", from, agent);
        assert_eq!(of("<sip:100@1.1.1.1>", "friendly-scanner"), Some(Sign::Agent));
        assert_eq!(of("<sip:100@1.1.1.1>", "Sipcli/v1.8"), Some(Sign::Agent));
        assert_eq!(of("\"sipvicious\"<sip:100@1.1.1.1>", "Asterisk PBX"), Some(Sign::Agent));
        assert_eq!(of("<sip:100@1.1.1.1>", "Yealink SIP-T46S 66.85"), None);
        assert_eq!(of("<sip:100@1.1.1.1>", ""), None);
        assert_eq!(
            of("\"Ann Sipclithero\" <sip:sipcli@1.1.1.1>;x=sipvicious", "phone"),
            None,
            "people and chance"
        );
        let nobody = Policy { scanner_agents: Patterns::default(), ..policy.clone() };
        assert_eq!(judged(&nobody, "sip:100@192.0.2.9", "<sip:a@b>", "friendly-scanner"), None);
    }

    #[test]
    fn with_domains_a_request_for_another_host_is_a_scanners() {
        let domains = vec!["example.com".into(), "2001:db8::1".into()];
        let policy = Policy { domains, ..Policy::default() };
        let of = |uri| judged(&policy, uri, "<sip:a@b>", "x");
        for ours in ["sip:1@Example.COM", "sip:example.com", "sip:1@[2001:db8::1]:5061", "tel:+49", "urn:x"] {
            assert_eq!(of(ours), None, "{ours}");
        }
        assert_eq!(of("sip:1@192.0.2.9"), Some(Sign::Domain));
    }
}
