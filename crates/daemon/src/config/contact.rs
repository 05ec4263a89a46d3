//! `contact`: where a trunk or a device with a fixed address is reached.

use std::net::{IpAddr, SocketAddr};

use tandem_sip::{Host, Scheme, Transport, Uri};
use tandem_switch::directory::StaticContact;

/// What a contact looks like, for error messages.
pub const EXPECTED: &str = "a SIP URI such as \"sip:192.0.2.10:5060;transport=udp\"";

/// Reads `contact`: a SIP URI, or only `host:port`. `{number}` may stand for the DN's number, `{conference}` for a
/// conference's name.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn read(text: &str) -> Result<StaticContact, String> {
    let uri = if text.contains("sip:") || text.contains("sips:") || text.contains("tel:") {
        text.to_owned()
    } else {
        format!("sip:{text}")
    };
    // `{` cannot stand in a URI; any digit can stand for the number.
    let sample = uri.replace("{number}", "0").replace("{conference}", "0");
    let parsed =
        Uri::parse(sample.as_bytes()).map_err(|error| format!("\"{text}\" is not a URI ({error})"))?;
    match parsed.scheme {
        Scheme::Sip => {}
        Scheme::Sips | Scheme::Tel | Scheme::Other => {
            return Err(format!("\"{text}\" is not a sip: URI, the only kind that can be reached here"));
        }
    }
    let transport = match parsed.params.value(b"transport") {
        None => Transport::Udp,
        Some(token) => match Transport::parse(token) {
            Some(transport @ (Transport::Udp | Transport::Tcp)) => transport,
            Some(Transport::Tls | Transport::Ws | Transport::Wss) | None => {
                return Err(format!("\"{text}\" names a transport other than udp and tcp"));
            }
        },
    };
    let port = parsed.port.unwrap_or(transport.default_port());
    let (addr, resolve) = match parsed.host {
        Host::V4(ip) => (Some(SocketAddr::new(IpAddr::V4(ip), port)), None),
        Host::V6(ip) => (Some(SocketAddr::new(IpAddr::V6(ip), port)), None),
        Host::Name(name) => (None, Some((String::from_utf8_lossy(name).into(), port))),
    };
    Ok(StaticContact { uri: uri.into(), transport, addr, resolve })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_an_address_or_a_name_to_resolve() {
        let gateway = read("sip:127.0.0.3:5060;transport=tcp").unwrap();
        assert_eq!(gateway.transport, Transport::Tcp);
        assert_eq!(gateway.addr, Some("127.0.0.3:5060".parse().unwrap()));
        let bare = read("192.0.2.7").unwrap();
        assert_eq!((&*bare.uri, bare.addr), ("sip:192.0.2.7", Some("192.0.2.7:5060".parse().unwrap())));
        let named = read("sip:{number}@desk.example:5070").unwrap();
        assert_eq!(named.resolve, Some(("desk.example".into(), 5070)));
        assert_eq!(&*named.uri, "sip:{number}@desk.example:5070");
        let six = read("sip:[2001:db8::1]").unwrap();
        assert_eq!(six.addr, Some("[2001:db8::1]:5060".parse().unwrap()));
    }

    #[test]
    fn what_cannot_be_reached_is_refused() {
        assert!(read("sips:192.0.2.1").unwrap_err().contains("sip:"));
        assert!(read("tel:+4930123").unwrap_err().contains("sip:"));
        assert!(read("sip:192.0.2.1;transport=tls").unwrap_err().contains("transport"));
        assert!(read("sip:a b").unwrap_err().contains("not a URI"));
    }
}
