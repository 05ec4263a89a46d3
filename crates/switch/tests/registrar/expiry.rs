//! Bindings end at their moment, neither before nor after.

use crate::desk::{Desk, Register, START_UNIX_MS};
use tandem_switch::Deadline;
use tandem_switch::directory::{DnClass, Options};
use tandem_switch::limits::MAX_EXPIRED_AT_ONCE;
use tandem_switch::registrar::Registrar;

const A: &str = "<sip:a@192.0.2.10>;expires=60";
const B: &str = "<sip:b@192.0.2.10>;expires=90";

#[test]
fn a_dn_goes_out_of_service_when_its_last_binding_expires() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact(A).contact(B)).unwrap();
    assert_eq!(desk.registrar.next_expiry(), Some(Deadline::at_unix_ms(START_UNIX_MS + 60_000)));
    desk.pass(59);
    assert_eq!((desk.expire(), desk.registrar.len()), (vec![], 2));
    desk.pass(1);
    assert_eq!((desk.expire(), desk.registrar.len()), (vec![], 1));
    assert_eq!(desk.registrar.next_expiry(), Some(Deadline::at_unix_ms(START_UNIX_MS + 90_000)));
    desk.pass(30);
    assert_eq!(desk.expire(), [desk.dn("1001")]);
    assert_eq!((desk.registrar.len(), desk.registrar.next_expiry()), (0, None));
}

#[test]
fn a_refresh_moves_the_end_and_a_shorter_one_moves_it_nearer() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact("<sip:a@192.0.2.10>").expires("60")).unwrap();
    desk.pass(30);
    desk.register(&Register::of("1001").contact("<sip:a@192.0.2.10>").expires("300").cseq(2)).unwrap();
    assert_eq!(desk.registrar.next_expiry(), Some(Deadline::at_unix_ms(START_UNIX_MS + 330_000)));
    desk.register(&Register::of("1001").contact("<sip:a@192.0.2.10>").expires("10").cseq(3)).unwrap();
    assert_eq!(desk.registrar.next_expiry(), Some(Deadline::at_unix_ms(START_UNIX_MS + 40_000)));
    desk.pass(10);
    assert_eq!(desk.expire(), [desk.dn("1001")]);
}

#[test]
fn many_dns_that_expire_together_are_told_each_once_and_in_order() {
    let mut desk = Desk::new();
    for number in ["1003", "1001", "1002"] {
        desk.register(&Register::of(number).contact(A)).unwrap();
    }
    desk.pass(3600);
    assert_eq!(desk.expire(), ["1001", "1002", "1003"].map(|n| desk.dn(n)));
    assert_eq!(desk.expire(), []);
}

#[test]
fn a_binding_with_less_than_a_second_left_is_told_with_one() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact(A)).unwrap();
    desk.now = desk.now.plus(std::time::Duration::from_millis(59_500));
    assert_eq!(desk.lines("1001"), ["<sip:a@192.0.2.10>;q=1;expires=1"]);
}

#[test]
fn when_everybody_expires_at_once_it_takes_turns_and_nobody_is_forgotten() {
    let numbers: Vec<String> = (0..=MAX_EXPIRED_AT_ONCE).map(|n| format!("{}", 20_000 + n)).collect();
    let names: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let mut desk = Desk::new();
    desk.directory = crate::desk::directory(&names, Options::default(), DnClass::default());
    desk.registrar = Registrar::new(&desk.directory);
    for number in names {
        desk.register(&Register::of(number).contact(A)).unwrap();
    }
    desk.pass(60);
    assert_eq!(desk.expire().len(), MAX_EXPIRED_AT_ONCE);
    assert_eq!(desk.registrar.next_expiry(), Some(Deadline::at_unix_ms(desk.now.unix_ms)));
    assert_eq!(desk.expire().len(), 1);
    assert_eq!((desk.registrar.len(), desk.registrar.next_expiry()), (0, None));
}
