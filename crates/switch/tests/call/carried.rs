//! User data and `ConnID` between the sites.

use tandem_cti::{KvList, Value};
use tandem_sip::Message;
use tandem_switch::call::control::Operation;
use tandem_switch::call::{Carried, News};

use crate::floor::{QUEUE, on_to, on_to_peer, with_floor};
use crate::support::{Bed, CALLEE, CALLER, GATEWAY, PEER, answer, invite, with};

fn data(value: &str) -> KvList {
    KvList::from([("Why".to_owned(), Value::from(value))])
}

fn bed() -> Bed {
    let mut bed = Bed::with(with_floor(|_| {}));
    bed.node.overhear();
    let probe = bed.one(PEER);
    bed.receive(PEER, &answer(&probe, 200, "b", PEER, ""));
    bed
}

fn other(message: &Message, name: &str) -> Option<String> {
    message.other(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
}

fn brought(bed: &mut Bed) -> Carried {
    let News::Opened { carried, .. } = bed.news().remove(0) else { panic!("a call begins") };
    carried
}

#[test]
fn user_data_go_to_the_peer_and_to_nobody_else() {
    let mut bed = bed();
    let (key, _) = bed.waits_at(QUEUE);
    let carried = Carried { user_data: data("100% \"sure\""), conn_id: Some(0xab) };
    bed.register("1002", CALLEE);
    bed.steer(key, Operation::Attach(data("old"))).unwrap();
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    let here = bed.one(CALLEE);
    assert_eq!((other(&here, "X-Tandem-UserData"), other(&here, "X-Tandem-ConnID")), (None, None));
    bed.steer(key, Operation::Redirect(on_to_peer("1002", carried))).unwrap();
    let there = bed.take(PEER).into_iter().find(|m| m.method_token() == Some(b"INVITE")).unwrap();
    assert_eq!(other(&there, "X-Tandem-UserData").unwrap(), r#"{"Why":"100%25 \"sure\""}"#);
    assert_eq!(other(&there, "X-Tandem-ConnID").unwrap(), "00000000000000ab");
}

#[test]
fn user_data_that_are_too_long_stay_behind_and_are_counted() {
    let mut bed = bed();
    let (key, _) = bed.waits_at(QUEUE);
    let long = "x".repeat(tandem_switch::limits::MAX_CARRIED_BYTES);
    let carried = Carried { user_data: data(&long), conn_id: Some(1) };
    bed.steer(key, Operation::Redirect(on_to_peer("1002", carried))).unwrap();
    let there = bed.take(PEER).into_iter().find(|m| m.method_token() == Some(b"INVITE")).unwrap();
    assert_eq!(other(&there, "X-Tandem-UserData"), None);
    assert!(other(&there, "X-Tandem-ConnID").is_some());
    assert_eq!(bed.node.counters().user_data_dropped, 1);
}

#[test]
fn user_data_are_believed_from_the_peer_only() {
    let headers = "X-Tandem-UserData: {\"Why\":\"x%20y\"}\nX-Tandem-ConnID: 00000000000000ab";
    for (from, number, believed) in [(PEER, "0301", true), (GATEWAY, "0301", false), (CALLER, "1001", false)]
    {
        let mut bed = bed();
        bed.register("1002", CALLEE);
        bed.receive(from, &with(&invite(number, from, "1002", "call1"), headers));
        let carried = brought(&mut bed);
        let wanted = Carried { user_data: data("x y"), conn_id: Some(0xab) };
        assert_eq!(carried, if believed { wanted } else { Carried::default() }, "{from}");
        let offer = bed.one(CALLEE);
        assert_eq!(other(&offer, "X-Tandem-UserData"), None, "it does not reach a phone");
        assert_eq!(other(&offer, "X-Tandem-ConnID"), None);
    }
}

#[test]
fn damaged_user_data_are_ignored_and_counted_and_the_call_goes_on() {
    let mut bed = bed();
    bed.register("1002", CALLEE);
    let damaged =
        with(&invite("0301", PEER, "1002", "call1"), "X-Tandem-UserData: {\"a\":\nX-Tandem-ConnID: 7");
    bed.receive(PEER, &damaged);
    assert_eq!(brought(&mut bed), Carried::default());
    assert_eq!(bed.node.counters().user_data_dropped, 1);
    assert_eq!(bed.take(CALLEE).len(), 1);
}

#[test]
fn user_to_user_passes_end_to_end_and_shows_as_user_data() {
    let mut bed = bed();
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &with(&invite("1001", CALLER, "1002", "call1"), "User-to-User: 3031;encoding=hex"));
    let carried = brought(&mut bed);
    assert_eq!(carried.user_data.get("User-to-User"), Some(&Value::from("3031;encoding=hex")));
    let offer = bed.one(CALLEE);
    assert_eq!(offer.header(tandem_sip::HeaderName::UserToUser), Some(&b"3031;encoding=hex"[..]));
}
