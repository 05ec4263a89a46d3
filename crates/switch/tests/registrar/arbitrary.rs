//! Whatever stands in Contact and Expires, the answer is a set of bindings or a refusal.

use crate::desk::{Desk, Register};
use proptest::prelude::*;

/// Pieces that contacts are made of, and what breaks them.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("<sip:a@192.0.2.10>".into()),
        Just("sip:a@b".into()),
        Just("<sip:".into()),
        Just(">".into()),
        Just(";expires=".into()),
        Just(";q=".into()),
        Just("\"".into()),
        Just(",".into()),
        Just("*".into()),
        Just("\\".into()),
        Just("%".into()),
        Just("\r\n ".into()),
        "[0-9]{1,12}",
        "[ -~]{0,8}",
        "[\u{80}-\u{2ff}]{1,3}",
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_contact_gives_bindings_or_a_refusal_that_changed_nothing(
        contacts in prop::collection::vec(value(), 0..4),
        expires in prop::option::of(value()),
    ) {
        let mut desk = Desk::new();
        desk.register(&Register::of("1001").contact("<sip:a@192.0.2.10>")).unwrap();
        desk.log.take_batch();
        let before = desk.bindings("1001");
        let mut phone = Register::of("1001").call_id("x");
        phone.contacts = contacts;
        phone.expires = expires;
        match desk.register(&phone) {
            Ok(_) => {
                prop_assert!(desk.bindings("1001").len() <= 3);
                prop_assert_eq!(desk.lines("1001").len(), desk.registrar.len());
            }
            Err(reject) => {
                prop_assert!(matches!(reject.status, 400 | 403 | 423));
                prop_assert_eq!(desk.bindings("1001"), before);
                prop_assert!(desk.log.take_batch().is_none());
            }
        }
    }
}
