//! One side's address does not reach the other: identity headers that pass keep their users and lose their hosts
//! where these are the sender's own.

use smallvec::SmallVec;
use tandem_sip::{Header, HeaderName, Host, Message, NameAddr, Uri, Via};

/// Hosts by which one device is known on its network, as they are printed.
pub type Hosts = SmallVec<[Box<[u8]>; 2]>;

/// Whether a header names persons or devices by their addresses.
#[must_use]
pub fn names_somebody(header: &Header<'_>) -> bool {
    const OTHERS: [&[u8]; 3] = [b"P-Preferred-Identity", b"Remote-Party-ID", b"Reply-To"];
    let known = matches!(
        header.name,
        HeaderName::PAssertedIdentity
            | HeaderName::Diversion
            | HeaderName::HistoryInfo
            | HeaderName::ReferredBy
            | HeaderName::Warning
    );
    let other = header.name == HeaderName::Other
        && OTHERS.iter().any(|name| header.name_token.eq_ignore_ascii_case(name));
    known || other
}

/// The hosts that the sender of a message gives as its own: in its Contact and, if it is a request, its Via.
#[must_use]
pub fn hosts_of(message: &Message) -> Hosts {
    let contact = message.values(HeaderName::Contact).next().and_then(|c| NameAddr::parse(c).ok());
    let contact = contact.and_then(|contact| host_of(contact.uri));
    let via = message.values(HeaderName::Via).next().filter(|_| message.is_request());
    let via = via.and_then(|via| Via::parse(via).ok()).and_then(|via| printed(&via.host));
    let mut hosts: Hosts = contact.into_iter().collect();
    hosts.extend(via.filter(|via| !hosts.contains(via)).into_iter().collect::<Hosts>());
    hosts
}

/// The host of a URI.
#[must_use]
pub fn host_of(uri: &[u8]) -> Option<Box<[u8]>> {
    printed(&Uri::parse(uri).ok()?.host)
}

fn printed(host: &Host<'_>) -> Option<Box<[u8]>> {
    match host {
        Host::V4(ip) => Some(ip.to_string().into_bytes().into()),
        Host::V6(ip) => Some(format!("[{ip}]").into_bytes().into()),
        Host::Name(b"") => None,
        Host::Name(name) => Some((*name).into()),
    }
}

/// The value with each of `hosts`, and the port behind it, replaced by `ours`.
#[must_use]
pub fn hide(value: &[u8], hosts: &[Box<[u8]>], ours: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + ours.len());
    let mut rest = value;
    let mut before = None;
    while let Some((first, others)) = rest.split_first() {
        let found = hosts.iter().find(|host| !before.is_some_and(is_inside) && starts_with_host(rest, host));
        if let Some(host) = found {
            out.extend_from_slice(ours);
            rest = without_port(rest.get(host.len()..).unwrap_or_default());
            before = Some(b'>');
        } else {
            out.push(*first);
            before = Some(*first);
            rest = others;
        }
    }
    out
}

fn starts_with_host(text: &[u8], host: &[u8]) -> bool {
    let Some((head, tail)) = text.split_at_checked(host.len()) else { return false };
    head.eq_ignore_ascii_case(host) && !tail.first().is_some_and(|byte| is_inside(*byte))
}

/// Whether a byte beside a host would make it part of a longer one.
fn is_inside(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
}

fn without_port(text: &[u8]) -> &[u8] {
    let Some(port) = text.strip_prefix(b":") else { return text };
    let digits = port.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 { text } else { port.get(digits..).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_its_port_are_replaced_and_longer_ones_are_not() {
        let hosts = [Box::from(&b"10.0.0.1"[..]), Box::from(&b"[::1]"[..])];
        for (value, wanted) in [
            ("<sip:a@10.0.0.1:5070;x=1>", "<sip:a@OURS;x=1>"),
            ("<sip:a@10.0.0.1>, <sip:b@10.0.0.12>", "<sip:a@OURS>, <sip:b@10.0.0.12>"),
            ("<sip:a@210.0.0.1>", "<sip:a@210.0.0.1>"),
            ("399 10.0.0.1 \"busy\"", "399 OURS \"busy\""),
            ("<sip:[::1]:5060>", "<sip:OURS>"),
            ("<sip:10.0.0.1:>", "<sip:OURS:>"),
        ] {
            assert_eq!(hide(value.as_bytes(), &hosts, b"OURS"), wanted.as_bytes(), "{value}");
        }
    }
}
