//! Session-ID (RFC 7989): one name from end to end, spoken for those who have none.

use tandem_sip::{HeaderName, Message};

use crate::support::{Bed, CALLEE, CALLER, alone, answer, from_callee, header, in_dialog, invite, with};

const NIL: &str = "00000000000000000000000000000000";
const HIS: &str = "ab30317f1a784dc48ff824d0d3715d86";
const HERS: &str = "47755a9de7794ba387653f2099600ef2";

/// The UUIDs of a message's sender and receiver.
#[track_caller]
fn ids(message: &Message) -> (String, String) {
    let value = header(message, HeaderName::SessionId);
    let (local, remote) = value.split_once(";remote=").unwrap_or((&value, ""));
    assert_eq!(message.lines(HeaderName::SessionId).count(), 1, "{:?}", message.bytes());
    (local.to_owned(), remote.to_owned())
}

fn one_way(local: &str, remote: &str) -> (String, String) {
    (local.to_owned(), remote.to_owned())
}

#[test]
fn ends_that_have_no_session_id_are_given_one_for_the_whole_call() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = bed.established();
    let (caller, nobody) = ids(&offered);
    assert_eq!((caller.len(), &*nobody), (32, NIL));
    let (callee, remote) = ids(&ok);
    assert_eq!(remote, caller);
    assert!(callee != caller && callee != NIL);
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 2, CALLER, ""));
    let info = bed.one(CALLEE);
    assert_eq!(ids(&info), one_way(&caller, &callee));
    bed.receive(CALLEE, &answer(&info, 200, "", CALLEE, ""));
    assert_eq!(ids(&bed.one(CALLER)), one_way(&callee, &caller));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    bed.take(CALLEE);
    let bye = bed.one(CALLER);
    assert_eq!(ids(&bye), one_way(&callee, &caller));
    bed.receive(CALLER, &answer(&bye, 200, "", CALLER, ""));
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].session_id, format!("{caller};remote={callee}"));
    for uuid in [&caller, &callee] {
        assert_eq!(bed.node.why(uuid).unwrap().session_ids, [caller.clone(), callee.clone()]);
    }
}

#[test]
fn what_an_end_says_of_itself_passes_as_it_is() {
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    bed.receive(
        CALLER,
        &with(&invite("1001", CALLER, "1002", "call1"), &format!("Session-ID: {HIS};remote={NIL}")),
    );
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    assert_eq!(ids(&offered), one_way(HIS, NIL));
    let hers = format!("Session-ID: {HERS};remote={HIS}");
    bed.receive(CALLEE, &with(&answer(&offered, 200, "callee", CALLEE, ""), &hers));
    let ok = bed.one(CALLER);
    assert_eq!(ids(&ok), one_way(HERS, HIS));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(CALLEE);
    // He forgets to say it once: it is said for him.
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert_eq!(ids(&bed.one(CALLEE)), one_way(HIS, HERS));
}

#[test]
fn the_older_form_without_a_remote_is_an_end_s_own_too() {
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &with(&invite("1001", CALLER, "1002", "call1"), &format!("Session-ID: {HIS}")));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    assert_eq!(ids(&offered), one_way(HIS, ""));
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    assert_eq!(ids(&bed.one(CALLER)).1, HIS);
}

#[test]
fn what_is_no_uuid_is_nobody_s() {
    for value in ["", "xyz", "AB", &HIS[1..], NIL] {
        let mut bed = Bed::with(alone());
        bed.register("1002", CALLEE);
        bed.receive(CALLER, &with(&invite("1001", CALLER, "1002", "call1"), &format!("Session-ID: {value}")));
        bed.take(CALLER);
        let offered = bed.one(CALLEE);
        bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
        let (_, remote) = ids(&bed.one(CALLER));
        assert!(remote.len() == 32 && remote != NIL, "{value:?}");
    }
}

#[test]
fn one_who_is_reached_by_transfer_is_introduced_to_who_stays() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = bed.established();
    let (caller, _) = ids(&offered);
    let (callee, _) = ids(&ok);
    let onward = bed.onward("1004");
    bed.register("1004", crate::support::OTHER);
    let replace =
        tandem_switch::call::control::Operation::Replace(1, tandem_switch::routing::Onwards::To(onward));
    assert!(bed.operate(replace).is_ok());
    let rung = bed.one(crate::support::OTHER);
    assert_eq!(ids(&rung), one_way(&caller, NIL));
    bed.receive(crate::support::OTHER, &answer(&rung, 200, "third", crate::support::OTHER, ""));
    let reinvite = bed.take(CALLER).pop().unwrap();
    assert_eq!(reinvite.method_token(), Some(&b"INVITE"[..]));
    let (third, remote) = ids(&reinvite);
    assert_eq!(remote, caller);
    assert!(third != callee && third != caller);
}
