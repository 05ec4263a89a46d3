//! Contacts, `q`, intervals, `*` and the bound (RFC 3261 10.2, 10.3).

use crate::desk::{Desk, Register};
use tandem_sip::HeaderName;
use tandem_switch::directory::{DnClass, Options, StaticContact};
use tandem_switch::registrar::Registered;

const HOME: &str = "<sip:1001@192.0.2.10>";

#[test]
fn a_first_contact_brings_the_dn_in_service_and_its_removal_takes_it_out() {
    let mut desk = Desk::new();
    let came = desk.register(&Register::of("1001").contact(HOME)).unwrap();
    assert_eq!((came.came_in_service, came.went_out_of_service), (true, false));
    let again = desk.register(&Register::of("1001").contact(HOME).cseq(2)).unwrap();
    assert_eq!(again, Registered::default());
    let gone = desk.register(&Register::of("1001").contact(HOME).expires("0").cseq(3)).unwrap();
    assert_eq!((gone.came_in_service, gone.went_out_of_service), (false, true));
    assert!(desk.registrar.is_empty());
}

#[test]
fn contacts_on_one_line_and_on_many_all_bind_in_order_of_q() {
    let mut desk = Desk::new();
    let phone = Register::of("1001")
        .contact("<sip:a@192.0.2.10>;q=0.2, \"x, y\" <sip:b@192.0.2.10>;q=0.9")
        .contact("sip:c@192.0.2.10;q=0.5");
    desk.register(&phone).unwrap();
    assert_eq!(desk.uris("1001"), ["sip:b@192.0.2.10", "sip:c@192.0.2.10", "sip:a@192.0.2.10"]);
    assert_eq!(desk.bindings("1001").iter().map(|b| b.q()).collect::<Vec<_>>(), [900, 500, 200]);
}

#[test]
fn among_equal_q_the_most_recent_comes_first() {
    let mut desk = Desk::new();
    for (n, uri) in ["<sip:a@192.0.2.10>", "<sip:b@192.0.2.10>", "<sip:c@192.0.2.10>"].iter().enumerate() {
        desk.register(&Register::of("1001").contact(uri).cseq(n as u32 + 1)).unwrap();
        desk.pass(1);
    }
    assert_eq!(desk.uris("1001"), ["sip:c@192.0.2.10", "sip:b@192.0.2.10", "sip:a@192.0.2.10"]);
    desk.register(&Register::of("1001").contact("<sip:a@192.0.2.10>").cseq(9)).unwrap();
    assert_eq!(desk.uris("1001"), ["sip:a@192.0.2.10", "sip:c@192.0.2.10", "sip:b@192.0.2.10"]);
}

#[test]
fn the_interval_of_a_contact_wins_over_the_header_and_that_over_the_default() {
    let mut desk = Desk::new();
    let phone = Register::of("1001")
        .contact("<sip:a@192.0.2.10>;expires=90")
        .contact("<sip:b@192.0.2.10>")
        .expires("120");
    desk.register(&phone).unwrap();
    desk.register(&Register::of("1002").contact("<sip:1002@192.0.2.10>")).unwrap();
    assert_eq!(
        desk.lines("1001"),
        ["<sip:a@192.0.2.10>;q=1;expires=90", "<sip:b@192.0.2.10>;q=1;expires=120"]
    );
    assert_eq!(desk.lines("1002"), ["<sip:1002@192.0.2.10>;q=1;expires=300"]);
}

#[test]
fn a_malformed_interval_counts_as_an_hour() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact("<sip:a@192.0.2.10>;expires=soon").expires("60")).unwrap();
    desk.register(&Register::of("1002").contact("<sip:b@192.0.2.10>").expires("-1")).unwrap();
    assert_eq!(desk.lines("1001"), ["<sip:a@192.0.2.10>;q=1;expires=3600"]);
    assert_eq!(desk.lines("1002"), ["<sip:b@192.0.2.10>;q=1;expires=3600"]);
}

#[test]
fn more_than_max_expires_is_granted_max_expires() {
    let mut desk = Desk::with(Options { max_expires_s: 600, ..Options::default() }, DnClass::default());
    desk.register(&Register::of("1001").contact(HOME).expires("99999999999")).unwrap();
    assert_eq!(desk.lines("1001"), ["<sip:1001@192.0.2.10>;q=1;expires=600"]);
}

#[test]
fn too_brief_an_interval_gets_423_with_min_expires_and_zero_does_not() {
    let mut desk = Desk::new();
    let phone = Register::of("1001").contact(HOME).contact("<sip:b@192.0.2.10>;expires=9");
    let reject = desk.register(&phone).unwrap_err();
    assert_eq!(reject.status, 423);
    assert_eq!(reject.headers.as_slice(), [(HeaderName::MinExpires, b"10".to_vec().into_boxed_slice())]);
    assert!(desk.registrar.is_empty(), "the good contact beside it was not bound");
    desk.register(&Register::of("1001").contact(HOME).expires("10")).unwrap();
    desk.register(&Register::of("1001").contact(HOME).expires("0").cseq(2)).unwrap();
}

#[test]
fn an_interval_of_an_hour_is_never_too_brief() {
    let options = Options { min_expires_s: 7200, max_expires_s: 86400, ..Options::default() };
    let mut desk = Desk::with(options, DnClass::default());
    assert_eq!(desk.refusal(&Register::of("1001").contact(HOME).expires("3599")).0, 423);
    desk.register(&Register::of("1001").contact(HOME).expires("3600")).unwrap();
}

#[test]
fn a_star_with_expires_zero_removes_everything() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact(HOME).contact("<sip:b@192.0.2.11>")).unwrap();
    desk.register(&Register::of("1002").contact("<sip:1002@192.0.2.12>")).unwrap();
    let gone = desk.register(&Register::of("1001").contact("*").expires("0").cseq(2)).unwrap();
    assert!(gone.went_out_of_service);
    assert_eq!((desk.uris("1001").len(), desk.uris("1002").len()), (0, 1));
}

#[test]
fn a_star_that_is_not_alone_or_not_with_zero_is_refused() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact(HOME)).unwrap();
    let phone = || Register::of("1001").cseq(2);
    for bad in [
        phone().contact("*"),
        phone().contact("*").expires("60"),
        phone().contact("*").expires("zero"),
        phone().contact("*").contact(HOME).expires("0"),
        phone().contact("<sip:b@192.0.2.10>, *").expires("0"),
        phone().contact("*, *").expires("0"),
        phone().contact("*;expires=0").expires("0"),
    ] {
        assert_eq!(desk.refusal(&bad).0, 400);
    }
    assert_eq!(desk.uris("1001"), ["sip:1001@192.0.2.10"]);
}

#[test]
fn a_register_without_contact_tells_the_bindings_and_changes_nothing() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact(HOME).expires("60")).unwrap();
    desk.log.take_batch().unwrap();
    desk.pass(20);
    let fetched = desk.register(&Register::of("1001").expires("0")).unwrap();
    assert_eq!(fetched, Registered::default());
    assert!(desk.log.take_batch().is_none());
    assert_eq!(desk.lines("1001"), ["<sip:1001@192.0.2.10>;q=1;expires=40"]);
}

#[test]
fn contacts_compare_by_uri_rules_not_by_bytes() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact("<sip:%61lice@EXAMPLE.com;Transport=TCP>")).unwrap();
    desk.register(&Register::of("1001").contact("<sip:alice@example.com;transport=tcp>").cseq(2)).unwrap();
    assert_eq!(desk.uris("1001"), ["sip:alice@example.com;transport=tcp"]);
    desk.register(&Register::of("1001").contact("<sip:alice@example.com>").cseq(3)).unwrap();
    desk.register(&Register::of("1001").contact("<sip:Alice@example.com>").cseq(4)).unwrap();
    assert_eq!(desk.uris("1001").len(), 3, "another transport and another user are other contacts");
}

#[test]
fn parameters_of_a_contact_are_told_back() {
    let mut desk = Desk::new();
    let line =
        "\"Desk\" <sip:1001@192.0.2.10>;+sip.instance=\"<urn:uuid:1>\";Q=0.750;reg-id=1;Expires=60;audio";
    desk.register(&Register::of("1001").contact(line)).unwrap();
    let told = "<sip:1001@192.0.2.10>;+sip.instance=\"<urn:uuid:1>\";reg-id=1;audio;q=0.75;expires=60";
    assert_eq!(desk.lines("1001"), [told]);
}

#[test]
fn more_contacts_than_allowed_get_403_and_leave_all_as_it_was() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact("<sip:a@192.0.2.10>, <sip:b@192.0.2.10>")).unwrap();
    let more = Register::of("1001").contact("<sip:c@192.0.2.10>, <sip:d@192.0.2.10>").cseq(2);
    assert_eq!(desk.refusal(&more), (403, Some("Too Many Contacts")));
    assert_eq!(desk.uris("1001"), ["sip:a@192.0.2.10", "sip:b@192.0.2.10"]);
    let swap =
        Register::of("1001").contact("<sip:a@192.0.2.10>;expires=0").contact("<sip:c@192.0.2.10>").cseq(2);
    desk.register(&swap.contact("<sip:d@192.0.2.10>")).unwrap();
    assert_eq!(desk.uris("1001").len(), 3);
}

#[test]
fn a_flood_of_contacts_in_one_request_is_refused_before_they_are_compared() {
    let mut desk = Desk::new();
    let flood = (0..500).map(|n| format!("<sip:{n}@a.b>;expires=0")).collect::<Vec<_>>();
    let phone = flood.chunks(100).fold(Register::of("1001"), |phone, part| phone.contact(&part.join(",")));
    assert_eq!(desk.refusal(&phone), (403, Some("Too Many Contacts")));
}

#[test]
fn a_contact_that_cannot_be_read_or_routed_to_is_refused_with_all_beside_it() {
    let mut desk = Desk::new();
    for bad in [
        "<sip:1001@192.0.2.10",
        "<sip:@>",
        "<sip:1001@192.0.2.10:99999>",
        "tel:1001",
        "<mailto:a@b>",
        "<http://a.b/>",
        "nonsense",
        "<sip:%zz@a.b>",
    ] {
        let phone = Register::of("1001").contact("<sip:good@192.0.2.10>").contact(bad);
        assert_eq!(desk.refusal(&phone).0, 400, "{bad}");
    }
    let long = format!("<sip:1001@192.0.2.10>;x={}", "y".repeat(2000));
    assert_eq!(desk.refusal(&Register::of("1001").contact(&long)), (400, Some("Contact Too Long")));
    assert!(desk.registrar.is_empty());
}

#[test]
fn a_sips_contact_is_kept_like_a_sip_one() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact("<sips:1001@192.0.2.10>")).unwrap();
    assert_eq!(desk.uris("1001"), ["sips:1001@192.0.2.10"]);
}

#[test]
fn nobody_registers_for_somebody_else() {
    let mut desk = Desk::new();
    let phone = Register::of("1001").from("1002").contact(HOME);
    assert_eq!(desk.refusal(&phone), (403, Some("Third-Party Registration Refused")));
    assert!(!desk.registrar.registered(desk.dn("1001")));
}

#[test]
fn escapes_and_separators_in_the_address_of_record_do_not_matter() {
    let mut desk = Desk::new();
    let mut phone = Register::of("1001").from("%31001").contact(HOME);
    desk.register(&phone).unwrap();
    phone.from = "10-01".into();
    desk.register(&phone.cseq(2)).unwrap();
}

#[test]
fn a_dn_with_a_static_contact_cannot_be_registered() {
    let uri = StaticContact {
        uri: "sip:{number}@192.0.2.99".into(),
        transport: tandem_sip::Transport::Udp,
        addr: None,
        resolve: None,
    };
    let mut desk = Desk::with(Options::default(), DnClass { contact: Some(uri), ..DnClass::default() });
    assert_eq!(desk.refusal(&Register::of("1001").contact(HOME)), (403, Some("DN Has a Static Contact")));
}

#[test]
fn bca_20_one_binding_at_this_site_suffices_and_a_phone_that_refreshes_never_has_two() {
    let mut desk = Desk::with(Options::default(), DnClass { max_contacts: 1, ..DnClass::default() });
    for cseq in 1..=20 {
        desk.register(&Register::of("1001").contact(HOME).cseq(cseq)).unwrap();
        desk.pass(150);
        assert_eq!(desk.expire(), []);
        assert_eq!(desk.registrar.len(), 1);
    }
    let second = Register::of("1001").contact("<sip:1001@192.0.2.11>").call_id("another-phone");
    assert_eq!(desk.refusal(&second), (403, Some("Too Many Contacts")));
    assert!(desk.registrar.registered(desk.dn("1001")));
}
