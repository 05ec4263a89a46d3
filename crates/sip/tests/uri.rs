//! SIP, SIPS and tel URIs: reading (RFC 3261 19.1.1, RFC 3966) and comparing (RFC 3261 19.1.4).

#![allow(clippy::panic, reason = "a test fails by panicking")]

use tandem_sip::error::ParseErrorKind as Kind;
use tandem_sip::{Host, Scheme, Uri};

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn kind(text: &str) -> Kind {
    Uri::parse(text.as_bytes()).err().unwrap_or_else(|| panic!("{text} was accepted")).kind
}

fn equal(a: &str, b: &str) -> bool {
    let (forth, back) = (uri(a).equivalent(&uri(b)), uri(b).equivalent(&uri(a)));
    assert_eq!(forth, back, "comparison of {a} and {b} has a direction");
    forth
}

#[test]
fn the_examples_of_the_standard_are_read() {
    let full = uri("sip:alice:secretword@atlanta.com;transport=tcp");
    assert_eq!((full.user(), full.password), (Some(&b"alice"[..]), Some(&b"secretword"[..])));
    assert_eq!(full.params.value(b"transport"), Some(&b"tcp"[..]));
    let secure = uri("sips:alice@atlanta.com?subject=project%20x&priority=urgent");
    assert_eq!((secure.scheme, secure.header_pairs().count()), (Scheme::Sips, 2));
    let phone = uri("sip:+1-212-555-1212:1234@gateway.com;user=phone");
    assert_eq!(phone.number().unwrap(), b"+12125551212");
    assert_eq!(uri("sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com").user(), None);
    assert_eq!(uri("sip:alice;day=tuesday@atlanta.com").user(), Some(&b"alice;day=tuesday"[..]));
    assert_eq!(uri("sips:1212@gateway.com").host, Host::Name(b"gateway.com"));
    assert_eq!(uri("sip:alice@192.0.2.4").host.ip(), Some([192, 0, 2, 4].into()));
}

#[test]
fn hosts_of_every_kind_carry_a_port() {
    assert_eq!(uri("sip:a@[2001:db8::10]:5070").host.ip(), Some("2001:db8::10".parse().unwrap()));
    assert_eq!(uri("sip:a@[2001:db8::10]:5070").port, Some(5070));
    assert_eq!(uri("sip:a@[::ffff:192.0.2.2]").port, None);
    assert_eq!(uri("sip:my_host.internal:0").port, Some(0));
    assert_eq!(uri("sip:999.1.1.1").host, Host::Name(b"999.1.1.1"));
}

#[test]
fn broken_uris_name_their_sin() {
    for (text, expected) in [
        ("", Kind::UriScheme),
        ("alice@atlanta.com", Kind::UriScheme),
        ("1sip:a@b", Kind::UriScheme),
        ("sip:", Kind::Host),
        ("sip:@b", Kind::UriUser),
        ("sip::pw@b", Kind::UriUser),
        ("sip:a[b@c", Kind::UriUser),
        ("sip:a@", Kind::Host),
        ("sip:a@b@c", Kind::UriByte),
        ("sip:a@[2001:db8::10", Kind::Host),
        ("sip:a@[2001:db8:::10]", Kind::Host),
        ("sip:a@2001:db8::10", Kind::Port),
        ("sip:a@b:65536", Kind::Port),
        ("sip:a@b:", Kind::Port),
        ("sip:a@b;;x", Kind::Param),
        ("sip:a@b;=x", Kind::Param),
        ("sip:a@b;x=\"y\"", Kind::UriByte),
        ("sip:a%4@b", Kind::UriEscape),
        ("sip:a%zz@b", Kind::UriEscape),
        ("sip:a b@c", Kind::UriByte),
        ("sip:\u{e9}@b", Kind::UriByte),
        ("tel:", Kind::TelNumber),
        ("tel:+", Kind::TelNumber),
        ("tel:+12a", Kind::TelNumber),
        ("tel:-.()", Kind::TelNumber),
    ] {
        assert_eq!(kind(text), expected, "{text}");
    }
    assert_eq!(kind(&format!("sip:{}@b", "a".repeat(2_048))), Kind::UriTooLong);
    assert_eq!(kind(&format!("sip:a@{}", "b".repeat(256))), Kind::TooLong);
    assert_eq!(kind(&format!("sip:a@b{}", ";p".repeat(65))), Kind::TooManyParams);
}

#[test]
fn equivalent_examples_of_the_standard_are_equal() {
    for (a, b) in [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ] {
        assert!(equal(a, b), "{a} and {b}");
    }
}

#[test]
fn the_other_examples_of_the_standard_differ() {
    for (a, b) in [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ] {
        assert!(!equal(a, b), "{a} and {b}");
    }
}

#[test]
fn what_stands_in_one_uri_only_decides() {
    for (a, b) in [
        ("sip:a@b", "sips:a@b"),
        ("sip:a@b", "sip:b"),
        ("sip:a:pw@b", "sip:a@b"),
        ("sip:a@b;user=ip", "sip:a@b"),
        ("sip:a@b;ttl=1", "sip:a@b"),
        ("sip:a@b;method=INVITE", "sip:a@b"),
        ("sip:a@b;maddr=192.0.2.1", "sip:a@b"),
        ("sip:a@b?x=1&y=2", "sip:a@b?x=1"),
    ] {
        assert!(!equal(a, b), "{a} and {b}");
    }
    assert!(equal("sip:a@b;lr", "sip:a@b"));
}

#[test]
fn an_escaped_reserved_character_is_not_the_character() {
    assert!(!equal("sip:a%3Bb@c", "sip:a;b@c"));
    assert!(equal("sip:a%3Bb@c", "sip:a%3bb@c"));
    assert!(equal("sip:%7Ea@c", "sip:~a@c"));
    assert!(equal("sip:a@c;n%61me=v", "sip:a@c;name=V"));
    assert!(!equal("sip:a@c;n%61me=v", "sip:a@c;name=w"));
}

#[test]
fn addresses_compare_by_value() {
    assert!(equal("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::0:1]"));
    assert!(!equal("sip:a@[::ffff:192.0.2.2]", "sip:a@192.0.2.2"));
}

#[test]
fn telephone_numbers_compare_without_visual_separators() {
    assert!(equal("tel:+1-201-555-0123", "tel:+1(201)5550.123"));
    assert!(!equal("tel:+12015550123", "tel:12015550123"));
    assert!(!equal("tel:7042;phone-context=example.com", "tel:7042"));
    assert!(equal("tel:7042;phone-context=example.com;ext=1", "tel:7042;ext=1;phone-context=Example.com"));
    assert!(equal("tel:*a#", "tel:*A#"));
    assert_eq!(uri("tel:863-1234;phone-context=+1-914-555").number().unwrap(), b"8631234");
}

#[test]
fn unknown_schemes_compare_as_they_stand() {
    assert!(equal("urn:service:sos", "URN:service:sos"));
    assert!(!equal("urn:service:sos", "urn:service:SOS"));
    assert!(!equal("urn:service:sos", "im:service:sos"));
}

#[test]
fn a_uri_with_a_parameter_given_twice_is_equivalent_to_itself() {
    let uri = Uri::parse(b"sip:a@example.com;x=1;x=2").unwrap();
    assert!(uri.equivalent(&uri));
    assert!(!uri.equivalent(&Uri::parse(b"sip:a@example.com;x=2;x=1").unwrap()));
}
