//! `[guard]`, `[[listener]]`, `[emergency]` and the limits of external calls.

use std::time::Duration;

use tandem_switch::guard::Manner;

use super::{load_text, place, report};

#[test]
fn without_a_word_of_it_the_door_has_its_usual_rules() {
    let directory = load_text("").unwrap().directory;
    let guard = &directory.options.guard;
    assert_eq!((guard.lockout_after, guard.lockout_source_after, guard.requests_per_second), (5, 50, 0));
    assert_eq!((guard.scanners, guard.lockout_answer), (Manner::Silence, Manner::Answer));
    assert!(guard.scanner_agents.are_in(b"Friendly-Scanner/1"));
    assert!(directory.options.emergency.numbers.is_empty());
}

#[test]
fn what_is_written_is_what_holds() {
    let text = r#"
external-calls = 3
external-deny = ["00"]
[guard]
allow = ["10.0.0.0/8", "2001:db8::1"]
lockout-time = 60
lockout-answer = "silence"
domains = ["Example.com"]
scanner-agents = []
[[listener]]
address = "udp:127.0.0.1:5060"
allow-from = "10.0.0.0/8"
[emergency]
numbers = ["112", "9112=112"]
trunks = ["gw"]
[[trunk]]
name = "gw"
contact = "sip:192.0.2.1"
[[extension]]
number = "1001"
external-calls = 1
allow-from = ["10.1.0.0/16"]
"#;
    let directory = load_text(text).unwrap().directory;
    let guard = &directory.options.guard;
    assert!(guard.allows("10.9.9.9".parse().unwrap()) && guard.allows("2001:db8::1".parse().unwrap()));
    assert_eq!((guard.lockout_time, guard.lockout_answer), (Duration::from_secs(60), Manner::Silence));
    assert_eq!(guard.domains, [Box::from("example.com")]);
    assert!(!guard.scanner_agents.are_in(b"friendly-scanner"));
    assert!(guard.admits(0, "10.0.0.1".parse().unwrap()) && !guard.admits(0, "192.0.2.7".parse().unwrap()));
    let emergency = &directory.options.emergency;
    assert_eq!(emergency.dialled(b"9112").map(|number| &*number.sent), Some("112"));
    assert_eq!(directory.trunk(emergency.trunks[0]).map(|trunk| &*trunk.name), Some("gw"));
    let class = &directory.extension(directory.find(b"1001").unwrap()).unwrap().class;
    let limits = class.toll.or(&directory.options.toll);
    assert_eq!((limits.calls, limits.per_minute), (Some(1), None));
    assert_eq!(limits.deny, Some(vec!["00".into()]));
    assert_eq!(class.allow_from.len(), 1);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (extra, needle, says) in [
        ("[guard]\nallow = [\"10.0.0.0/33\"]\n", "\"10.0.0.0/33\"", "is not one"),
        ("[guard]\nscanners = \"silent\"\n", "\"silent\"", "did you mean \"silence\"?"),
        ("[guard]\nscanner-agents = [\"a\"]\n", "\"a\"", "too short"),
        ("[guard]\ndomains = [\"a b\"]\n", "\"a b\"", "is not a host"),
        ("[guard]\nlockout-after = 1001\n", "1001", "from 0 to 1000"),
        (
            "[[listener]]\naddress = \"udp:127.0.0.1:5070\"\n",
            "\"udp:127.0.0.1:5070\"",
            "one of udp:127.0.0.1:5060",
        ),
        (
            "[emergency]\nnumbers = [\"112\"]\ntrunks = [\"gw\"]\n",
            "\"gw\"",
            "names the trunk \"gw\", which is not there",
        ),
        ("[emergency]\nnumbers = [\"=\"]\ntrunks = []\n", "\"=\"", "is not a number"),
        ("external-calls-per-minute = 1001\n", "1001", "from 0 to 1000"),
    ] {
        let told = report(extra);
        assert!(told.contains(&place(extra, needle)) && told.contains(says), "{extra}: {told}");
    }
}

#[test]
fn an_emergency_number_is_no_dn_and_needs_trunks() {
    let trunk = "[[trunk]]\nname = \"gw\"\ncontact = \"sip:192.0.2.1\"\n";
    let dn = "[[extension]]\nnumber = \"112\"\n";
    let told = report(&format!("[emergency]\nnumbers = [\"112\"]\ntrunks = [\"gw\"]\n{trunk}{dn}"));
    assert!(told.contains("112 is a DN of this switch"), "{told}");
    let told = report("[emergency]\nnumbers = [\"112\"]\n");
    assert!(told.contains("`trunks` is missing in [emergency]"), "{told}");
    let told = report("[emergency]\nnumbers = [\"112\"]\ntrunks = []\n");
    assert!(told.contains("`trunks` of [emergency] is empty"), "{told}");
}
