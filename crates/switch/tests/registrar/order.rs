//! Call-ID and CSeq: what is older than a binding does not change it (RFC 3261 10.3 step 7).

use crate::desk::{Desk, Register};

const A: &str = "<sip:a@192.0.2.10>";
const B: &str = "<sip:b@192.0.2.10>";

#[test]
fn a_request_of_the_same_call_id_must_have_a_higher_cseq() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact(A).cseq(5)).unwrap();
    for old in [4, 5] {
        assert_eq!(desk.refusal(&Register::of("1001").contact(A).expires("0").cseq(old)).0, 500);
    }
    desk.register(&Register::of("1001").contact(A).cseq(6)).unwrap();
    assert_eq!(desk.only("1001").cseq(), 6);
}

#[test]
fn a_request_of_another_call_id_updates_whatever_its_cseq() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact(A).cseq(500)).unwrap();
    desk.register(&Register::of("1001").contact(A).call_id("rebooted").cseq(1)).unwrap();
    assert_eq!((desk.only("1001").call_id(), desk.only("1001").cseq()), (&b"rebooted"[..], 1));
}

#[test]
fn one_old_contact_fails_the_whole_request() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact(A).cseq(5)).unwrap();
    desk.log.take_batch().unwrap();
    let mixed = Register::of("1001").contact(B).contact(A).contact("<sip:c@192.0.2.10>").cseq(5);
    assert_eq!(desk.refusal(&mixed).0, 500);
    assert_eq!(desk.uris("1001"), ["sip:a@192.0.2.10"]);
    assert!(desk.log.take_batch().is_none(), "nothing was stored");
}

#[test]
fn an_old_star_removes_nothing() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact(B).call_id("other")).unwrap();
    desk.register(&Register::of("1001").contact(A).cseq(5)).unwrap();
    assert_eq!(desk.refusal(&Register::of("1001").contact("*").expires("0").cseq(5)).0, 500);
    assert_eq!(desk.uris("1001").len(), 2);
    desk.register(&Register::of("1001").contact("*").expires("0").cseq(6)).unwrap();
    assert!(desk.registrar.is_empty());
}

#[test]
fn the_later_of_two_equal_contacts_in_one_request_counts() {
    let mut desk = Desk::new();
    let twice = Register::of("1001").contact("<sip:a@192.0.2.10>;q=0.1, <sip:a@192.0.2.10>;q=0.7");
    desk.register(&twice).unwrap();
    assert_eq!(desk.only("1001").q(), 700);
    let refreshed_and_removed =
        Register::of("1001").contact(A).contact("<sip:a@192.0.2.10>;expires=0").cseq(2);
    assert!(desk.register(&refreshed_and_removed).unwrap().went_out_of_service);
}

#[test]
fn an_expired_binding_does_not_hold_a_request_back() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact(A).expires("60").cseq(5)).unwrap();
    desk.pass(60);
    desk.register(&Register::of("1001").contact(A).cseq(1)).unwrap();
    assert_eq!((desk.only("1001").cseq(), desk.registrar.len()), (1, 1));
}
