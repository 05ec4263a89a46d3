//! A new directory takes effect.

use crate::desk::{Desk, Register, directory};
use tandem_peer::ReplicaSet;
use tandem_switch::Directory;
use tandem_switch::directory::{DnClass, Options};

fn reload(desk: &mut Desk, numbers: &[&str], class: DnClass) {
    let new: Directory = directory(numbers, Options::default(), class);
    desk.registrar.adopt(&desk.directory, &new, &mut desk.log);
    desk.directory = new;
}

#[test]
fn bindings_follow_their_number_and_those_of_removed_dns_go() {
    let mut desk = Desk::new();
    for number in ["1001", "1002", "1003"] {
        desk.register(&Register::of(number).contact(&format!("<sip:{number}@192.0.2.10>"))).unwrap();
    }
    reload(&mut desk, &["0999", "1003", "1001", "2000"], DnClass::default());
    assert_eq!(desk.uris("1001"), ["sip:1001@192.0.2.10"]);
    assert_eq!(desk.uris("1003"), ["sip:1003@192.0.2.10"]);
    assert!(desk.uris("0999").is_empty() && desk.uris("2000").is_empty());
    assert_eq!(desk.registrar.len(), 2);
    let mut stored = ReplicaSet::new();
    for change in desk.log.take_batch().unwrap().changes() {
        stored.apply(&change);
    }
    assert_eq!(stored.len(), 2, "the dropped binding is dropped from the store too");
    desk.pass(3600);
    assert_eq!(desk.expire(), ["1003", "1001"].map(|n| desk.dn(n)), "expiry goes by the new positions");
}

#[test]
fn a_lower_bound_lets_present_contacts_be_refreshed_but_none_be_added() {
    let mut desk = Desk::new();
    let both = "<sip:a@192.0.2.10>, <sip:b@192.0.2.10>";
    desk.register(&Register::of("1001").contact(both)).unwrap();
    reload(&mut desk, &["1001"], DnClass { max_contacts: 1, ..DnClass::default() });
    desk.register(&Register::of("1001").contact(both).cseq(2)).unwrap();
    assert_eq!(desk.refusal(&Register::of("1001").contact("<sip:c@192.0.2.10>").cseq(3)).0, 403);
    assert_eq!(desk.registrar.len(), 2);
}
