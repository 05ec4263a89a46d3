//! A callee's redirection (3xx): followed with the permissions of who redirects, or told to the caller.

use tandem_peer::trunk::TrunkOptions;
use tandem_sip::{HeaderName, Message};
use tandem_switch::directory::{Forwarding, TrunkIdentity};

use crate::support::{
    Bed, CALLEE, CALLER, GATEWAY, OTHER, alone, answer, codes, directory, header, in_dialog, invite, line,
    sdp, with,
};

/// 1001 has called 1002, and 1004 is there: the INVITE that 1002 got.
#[track_caller]
fn called() -> (Bed, Message) {
    let mut bed = Bed::with(alone());
    bed.register("1004", OTHER);
    let offered = bed.offered();
    (bed, offered)
}

/// 1002 redirects the call to these contacts.
fn redirects(bed: &mut Bed, offered: &Message, code: u16, contacts: &str) {
    let moved = answer(offered, code, "callee", CALLEE, "");
    bed.receive(
        CALLEE,
        &moved.replace(&format!("Contact: <sip:x@{CALLEE}>"), &format!("Contact: {contacts}")),
    );
    bed.take(CALLEE);
}

#[test]
fn a_call_goes_where_the_phone_sends_it_and_names_who_did() {
    let (mut bed, offered) = called();
    redirects(&mut bed, &offered, 302, "<sip:1004@10.0.0.1>");
    assert!(bed.take(CALLER).is_empty(), "the caller is not asked");
    let rings = bed.one(OTHER);
    assert!(line(&rings).starts_with("INVITE sip:1004@"));
    assert!(header(&rings, HeaderName::From).contains("sip:1001@"));
    assert_eq!(
        header(&rings, HeaderName::Diversion),
        "<sip:1002@10.0.0.1:5060>;reason=unconditional;counter=1"
    );
    assert_eq!(rings.body(), offered.body(), "the caller's offer");
    bed.receive(OTHER, &answer(&rings, 200, "other", OTHER, &sdp("other", "sendrecv")));
    let ok = bed.one(CALLER);
    assert_eq!(ok.code(), Some(200));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.nothing_stays();
    let devices: Vec<_> = bed.cdrs[0].legs.iter().map(|leg| (leg.device.as_str(), leg.status)).collect();
    assert_eq!(devices, [("1001", 200), ("1002", 302), ("1004", 200)]);
}

#[test]
fn a_phones_own_word_on_the_diversion_is_kept() {
    let (mut bed, offered) = called();
    let moved = answer(&offered, 302, "callee", CALLEE, "")
        .replace(&format!("<sip:x@{CALLEE}>"), "<sip:1004@10.0.0.1>");
    bed.receive(CALLEE, &with(&moved, "Diversion: <sip:1002@10.0.0.1>;reason=user-busy"));
    assert!(header(&bed.one(OTHER), HeaderName::Diversion).contains("reason=user-busy"));
}

#[test]
fn a_redirection_tells_carriers_and_phones_the_history_of_the_call_as_configured() {
    let own = "<sip:1002@10.0.0.1:5060?Reason=SIP%3Bcause%3D302>;index=1";
    for (to, at, target) in [
        ("1004", OTHER, "<sip:1004@10.0.0.1:5060;cause=302>;index=1.1;mp=1"),
        ("90301234", GATEWAY, "<sip:+0301234@10.0.0.1:5060;cause=302>;index=1.1;mp=1"),
    ] {
        for forwarding in [Forwarding::BOTH, Forwarding::NONE] {
            let mut bed = Bed::with(directory(|options, _, trunks| {
                options.dr_peer_trunk = None;
                trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
                options.forwarding = forwarding;
                let identity = TrunkIdentity { forwarding, ..TrunkIdentity::usual(false) };
                trunks[0].identity = std::sync::Arc::new(identity);
            }));
            bed.register("1004", OTHER);
            let offered = bed.offered();
            redirects(&mut bed, &offered, 302, &format!("<sip:{to}@10.0.0.1>"));
            let told = bed.one(at);
            let told: Vec<_> = told.values(HeaderName::HistoryInfo).map(String::from_utf8_lossy).collect();
            let wanted = if forwarding == Forwarding::NONE { vec![] } else { vec![own, target] };
            assert_eq!(told, wanted, "{to}");
        }
    }
}

#[test]
fn each_redirection_stands_on_top_of_the_one_before_and_follows_it_in_the_history() {
    let mut bed = Bed::with(directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
        options.forwarding = Forwarding::BOTH;
    }));
    bed.register("1004", OTHER);
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    let brought =
        "Diversion: <sip:77@x>;reason=user-busy\nHistory-Info: <sip:77@x>;index=1, <sip:1002@x>;index=1.1";
    bed.receive(CALLER, &with(&invite("1001", CALLER, "1002", "call1"), brought));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    redirects(&mut bed, &offered, 302, "<sip:1004@10.0.0.1>");
    let second = bed.one(OTHER);
    let moved = answer(&second, 302, "other", OTHER, "");
    bed.receive(OTHER, &moved.replace(&format!("<sip:x@{OTHER}>"), "<sip:90301234@10.0.0.1>"));
    let told = bed.one(GATEWAY);
    let all = |name| told.values(name).map(|v| String::from_utf8_lossy(v).into_owned()).collect::<Vec<_>>();
    assert_eq!(
        all(HeaderName::Diversion),
        [
            "<sip:1004@10.0.0.1:5060>;reason=unconditional;counter=1",
            "<sip:1002@10.0.0.1:5060>;reason=deflection;counter=1",
            "<sip:77@x>;reason=user-busy"
        ]
    );
    assert_eq!(
        all(HeaderName::HistoryInfo),
        [
            "<sip:77@x>;index=1",
            "<sip:1002@x>;index=1.1",
            "<sip:1004@10.0.0.1:5060;cause=480?Reason=SIP%3Bcause%3D302>;index=1.1.1;mp=1.1",
            "<sip:+0301234@10.0.0.1:5060;cause=302>;index=1.1.1.1;mp=1.1.1"
        ]
    );
}

#[test]
fn each_contact_is_tried_the_best_first() {
    let (mut bed, offered) = called();
    redirects(&mut bed, &offered, 300, "<sip:1003@10.0.0.1>;q=0.2, <sip:1004@10.0.0.1>;q=0.9");
    let rings = bed.one(OTHER);
    bed.receive(OTHER, &answer(&rings, 486, "other", OTHER, ""));
    bed.take(OTHER);
    let rings = bed.one("10.0.0.33:5060");
    assert!(line(&rings).starts_with("INVITE sip:1003@"));
    bed.receive("10.0.0.33:5060", &answer(&rings, 480, "fixed", "10.0.0.33:5060", ""));
    assert_eq!(codes(&bed.take(CALLER)), [486], "the best of their refusals");
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1").replace("INVITE", "ACK"));
    bed.nothing_stays();
}

#[test]
fn circles_and_long_ways_end() {
    // Two phones that send to each other: no number twice.
    let (mut bed, offered) = called();
    redirects(&mut bed, &offered, 302, "<sip:1004@10.0.0.1>");
    let rings = bed.one(OTHER);
    let moved =
        answer(&rings, 302, "other", OTHER, "").replace(&format!("<sip:x@{OTHER}>"), "<sip:1002@10.0.0.1>");
    bed.receive(OTHER, &moved);
    assert_eq!(codes(&bed.take(CALLER)), [482]);
    bed.nothing_stays();
    // A gateway that answers each number with the next one.
    let (mut bed, offered) = called();
    redirects(&mut bed, &offered, 302, "<sip:90@10.0.0.1>");
    let first = bed.one(GATEWAY);
    assert!(line(&first).starts_with("INVITE sip:+0@"), "a phone sends where it may dial");
    let moved =
        answer(&first, 302, "g", GATEWAY, "").replace(&format!("<sip:x@{GATEWAY}>"), "<sip:91@10.0.0.1>");
    bed.receive(GATEWAY, &moved);
    assert!(!bed.lines(GATEWAY).iter().any(|line| line.starts_with("INVITE ")), "a trunk does not");
    assert_eq!(codes(&bed.take(CALLER)), [404]);
}

#[test]
fn what_leads_nowhere_is_told_as_that() {
    for (contacts, code) in [("<sip:7777@10.0.0.1>", 404), ("<mailto:a@example.com>", 302)] {
        let (mut bed, offered) = called();
        redirects(&mut bed, &offered, 302, contacts);
        assert_eq!(codes(&bed.take(CALLER)), [code], "{contacts}");
        bed.nothing_stays();
    }
}

#[test]
fn a_caller_is_told_where_that_is_configured() {
    let mut bed = Bed::with(directory(|options, _, _| options.follow_redirects = false));
    bed.register("1004", OTHER);
    let offered = bed.offered();
    redirects(&mut bed, &offered, 302, "<sip:1004@10.0.0.1>");
    let told = bed.one(CALLER);
    assert_eq!(
        (told.code(), header(&told, HeaderName::Contact)),
        (Some(302), "<sip:1004@10.0.0.1>".to_owned())
    );
    assert!(bed.take(OTHER).is_empty());
}

#[test]
fn a_caller_who_hangs_up_while_it_rings_elsewhere_ends_it_there() {
    let (mut bed, offered) = called();
    redirects(&mut bed, &offered, 302, "<sip:1004@10.0.0.1>");
    let rings = bed.one(OTHER);
    bed.receive(OTHER, &answer(&rings, 180, "other", OTHER, ""));
    bed.take(CALLER);
    bed.receive(CALLER, &crate::support::cancel_of(&invite("1001", CALLER, "1002", "call1")));
    assert!(bed.lines(OTHER).iter().any(|line| line.starts_with("CANCEL ")));
    bed.receive(OTHER, &answer(&rings, 487, "other", OTHER, ""));
    bed.nothing_stays();
}
