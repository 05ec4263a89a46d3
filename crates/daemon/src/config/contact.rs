//! `contact`: where a trunk or a device with a fixed address is reached.

use std::net::{IpAddr, SocketAddr};

use tandem_sip::locate::Wanted;
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
    let transport = match (parsed.scheme, parsed.params.value(b"transport").map(Transport::parse)) {
        (Scheme::Sip, None) => Transport::Udp,
        (Scheme::Sip, Some(Some(transport @ (Transport::Udp | Transport::Tcp | Transport::Tls)))) => {
            transport
        }
        // TCP under TLS is what sips means (RFC 3261 26.2.2).
        (Scheme::Sips, None | Some(Some(Transport::Tcp | Transport::Tls))) => Transport::Tls,
        (Scheme::Sip | Scheme::Sips, _) => {
            return Err(format!("\"{text}\" names a transport other than udp, tcp and tls"));
        }
        (Scheme::Tel | Scheme::Other, _) => {
            return Err(format!("\"{text}\" is neither a sip: nor a sips: URI, and cannot be reached"));
        }
    };
    let port = parsed.port.unwrap_or(transport.default_port());
    let (addr, resolve) = match parsed.host {
        Host::V4(ip) => (Some(SocketAddr::new(IpAddr::V4(ip), port)), None),
        Host::V6(ip) => (Some(SocketAddr::new(IpAddr::V6(ip), port)), None),
        Host::Name(_) => (None, Wanted::of(&parsed)),
    };
    // What is asked of this server's own hop is no promise about the others, which a sips: Request-URI would be (RFC 5630).
    let uri = match uri.strip_prefix("sips:") {
        Some(rest) if rest.contains(";transport=") => {
            format!("sip:{}", rest.replace(";transport=tcp", ";transport=tls"))
        }
        Some(rest) => format!("sip:{rest};transport=tls"),
        None => uri,
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
        let wanted = Wanted { host: "desk.example".into(), port: Some(5070), transport: None, secure: false };
        assert_eq!(named.resolve, Some(wanted));
        assert_eq!(&*named.uri, "sip:{number}@desk.example:5070");
        let six = read("sip:[2001:db8::1]").unwrap();
        assert_eq!(six.addr, Some("[2001:db8::1]:5060".parse().unwrap()));
    }

    #[test]
    fn a_secure_contact_is_reached_by_tls() {
        for text in ["sip:192.0.2.1;transport=tls", "sips:192.0.2.1", "sips:192.0.2.1;transport=tcp"] {
            let contact = read(text).unwrap();
            assert_eq!(&*contact.uri, "sip:192.0.2.1;transport=tls");
            assert_eq!(
                (contact.transport, contact.addr),
                (Transport::Tls, Some("192.0.2.1:5061".parse().unwrap()))
            );
        }
        assert_eq!(read("sips:gw.example").unwrap().host(), "gw.example");
    }

    #[test]
    fn what_cannot_be_reached_is_refused() {
        assert!(read("tel:+4930123").unwrap_err().contains("sip:"));
        assert!(read("sip:192.0.2.1;transport=ws").unwrap_err().contains("transport"));
        assert!(read("sips:192.0.2.1;transport=udp").unwrap_err().contains("transport"));
        assert!(read("sip:a b").unwrap_err().contains("not a URI"));
    }
}
