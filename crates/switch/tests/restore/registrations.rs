//! Registrations after a restart.

use std::time::Duration;

use crate::support::{Bed, CALLEE, CALLER, alone, invite, line};

#[test]
fn phones_stay_registered_and_are_called() {
    let mut bed = Bed::with(alone());
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    assert_eq!(bed.restart(Duration::from_secs(3)).bindings, 2);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
    assert_eq!(line(&bed.one(CALLEE)), format!("INVITE sip:1002@{CALLEE} SIP/2.0"));
}

#[test]
fn bca_12_a_registration_that_ended_while_nobody_served_it_may_be_renewed_for_a_while() {
    let mut bed = Bed::with(alone());
    bed.register("1001", CALLER);
    bed.restart(Duration::from_secs(3_700));
    bed.pass(Duration::from_secs(59));
    assert_eq!(bed.node.status(bed.now).bindings, 1);
    bed.pass(Duration::from_secs(2));
    assert_eq!(bed.node.status(bed.now).bindings, 0);
}
