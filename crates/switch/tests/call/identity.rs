//! Who calls, as each callee is told: trust (RFC 3325), privacy (RFC 3323), the number presented, forwardings.

use std::sync::Arc;
use std::time::Duration;

use tandem_sip::{HeaderName, Message};
use tandem_switch::Directory;
use tandem_switch::call::control::Operation;
use tandem_switch::directory::{Asserted, DnClass, Forwarding, PassHeaders, Presentation, TrunkIdentity};

use crate::support::{
    Bed, CALLEE, CALLER, GATEWAY, OTHER, answer, directory, from_callee, header, in_dialog, invite, with,
};

/// The gateway with this policy, 1001 with this presentation.
fn office(change: impl FnOnce(&mut TrunkIdentity, &mut Presentation)) -> Arc<Directory> {
    directory(|options, extensions, trunks| {
        options.dr_peer_trunk = None;
        let (mut identity, mut own) = (TrunkIdentity::default(), Presentation::default());
        change(&mut identity, &mut own);
        trunks[0].identity = Arc::new(identity);
        let class = DnClass::clone(&extensions[0].class);
        extensions[0].class = Arc::new(DnClass { presentation: own, ..class });
    })
}

fn trusting() -> Arc<Directory> {
    office(|trunk, _| *trunk = TrunkIdentity::usual(true))
}

/// The INVITE that the gateway gets of 1001, who dials 90301234.
fn outward(directory: Arc<Directory>, more: &str) -> Message {
    let mut bed = Bed::with(directory);
    let text = invite("1001", CALLER, "90301234", "call1");
    bed.receive(CALLER, &if more.is_empty() { text } else { with(&text, more) });
    bed.one(GATEWAY)
}

/// The INVITE that 1002's phone gets of somebody outside.
fn inward(directory: Arc<Directory>, more: &str) -> Message {
    let mut bed = Bed::with(directory);
    bed.register("1002", CALLEE);
    bed.receive(GATEWAY, &with(&invite("0309876", GATEWAY, "1002", "call1"), more));
    bed.one(CALLEE)
}

fn from(message: &Message) -> String {
    header(message, HeaderName::From).split(";tag=").next().unwrap().to_owned()
}

fn other(message: &Message, name: &str) -> Option<String> {
    message.other(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
}

const CLAIMS: &str = "P-Asserted-Identity: <sip:boss@10.0.0.1>\nP-Preferred-Identity: <sip:boss@10.0.0.1>\nRemote-Party-ID: <sip:boss@10.0.0.1>";
const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

fn names_boss(message: &Message) -> bool {
    String::from_utf8_lossy(message.bytes()).contains("boss")
}

#[test]
fn only_a_trusted_trunk_is_believed_in_whom_it_names() {
    let told = inward(trusting(), CLAIMS);
    assert_eq!(header(&told, HeaderName::PAssertedIdentity), "<sip:boss@10.0.0.1>");
    assert!(!names_boss(&inward(office(|_, _| {}), CLAIMS)), "an untrusted trunk");
    assert!(!names_boss(&outward(trusting(), CLAIMS)), "a phone");
}

#[test]
fn a_trusted_trunk_is_believed_without_its_address() {
    let told = inward(
        trusting(),
        "P-Asserted-Identity: <sip:030@10.0.0.99:5060>\nRemote-Party-ID: <sip:030@10.0.0.99>",
    );
    assert_eq!(header(&told, HeaderName::PAssertedIdentity), "<sip:030@10.0.0.1:5060>");
    assert_eq!(other(&told, "Remote-Party-ID").as_deref(), Some("<sip:030@10.0.0.1:5060>"));
}

#[test]
fn a_trunk_is_told_who_calls_where_its_option_says() {
    let told = |asserted| outward(office(|trunk, _| trunk.asserted = asserted), "");
    let who = "\"A\" <sip:1001@10.0.0.1:5060>";
    let usual = outward(office(|_, _| {}), "");
    assert_eq!((usual.header(HeaderName::PAssertedIdentity), from(&usual)), (None, who.to_owned()));
    let usual = outward(trusting(), "");
    assert_eq!(header(&usual, HeaderName::PAssertedIdentity), who);
    assert_eq!(header(&told(Asserted::PAsserted), HeaderName::PAssertedIdentity), who);
    assert_eq!(other(&told(Asserted::PPreferred), "P-Preferred-Identity").as_deref(), Some(who));
    let party = other(&told(Asserted::RemoteParty), "Remote-Party-ID").unwrap();
    assert_eq!(party, format!("{who};party=calling;screen=yes;privacy=off"));
}

#[test]
fn the_number_presented_is_the_extension_s_own_before_the_trunk_s() {
    for (of_trunk, of_extension, wanted) in [
        (None, None, "1001"),
        (Some("+4930123{number}"), None, "+49301231001"),
        (Some("+4930123{number}"), Some("+49305550"), "+49305550"),
        (None, Some("+49{number}0"), "+4910010"),
    ] {
        let told = outward(
            office(|trunk, own| {
                trunk.asserted = Asserted::PAsserted;
                trunk.cpn = of_trunk.map(Box::from);
                own.cpn = of_extension.map(Box::from);
            }),
            "",
        );
        let wanted = format!("\"A\" <sip:{wanted}@10.0.0.1:5060>");
        assert_eq!((from(&told), header(&told, HeaderName::PAssertedIdentity)), (wanted.clone(), wanted));
    }
}

#[test]
fn the_number_presented_is_the_same_in_the_cancel() {
    let mut bed = Bed::with(office(|trunk, _| trunk.cpn = Some("+4930{number}".into())));
    let text = invite("1001", CALLER, "90301234", "call1");
    bed.receive(CALLER, &text);
    let offered = bed.one(GATEWAY);
    bed.receive(GATEWAY, &answer(&offered, 180, "far", GATEWAY, ""));
    bed.receive(CALLER, &crate::support::cancel_of(&text));
    let cancel = bed.one(GATEWAY);
    assert_eq!(cancel.method_token(), Some(&b"CANCEL"[..]));
    assert_eq!(header(&cancel, HeaderName::From), header(&offered, HeaderName::From));
}

#[test]
fn who_withholds_himself_is_nobody_to_phones_and_to_trunks_that_are_not_trusted() {
    for words in ["id", "user", "header;critical", "user;id"] {
        let more =
            format!("Privacy: {words}\n{CLAIMS}\nReply-To: <sip:boss@x>\nOrganization: boss\nSubject: boss");
        for told in [inward(trusting(), &more), inward(office(|_, _| {}), &more)] {
            assert_eq!(from(&told), ANONYMOUS, "{words}");
            assert!(
                !names_boss(&told) && !String::from_utf8_lossy(told.bytes()).contains("0309876"),
                "{words}"
            );
        }
        let told = outward(office(|_, _| {}), &more);
        assert_eq!(from(&told), ANONYMOUS, "{words}");
        assert!(!String::from_utf8_lossy(told.bytes()).contains("sip:1001"), "{words}");
        let rest = if words.contains("id") { "id" } else { "" };
        assert_eq!(header(&told, HeaderName::Privacy), rest, "what is seen to is asked of nobody else");
    }
}

#[test]
fn a_trusted_trunk_is_told_even_of_who_withholds_himself() {
    let told = outward(trusting(), "Privacy: id");
    assert_eq!(header(&told, HeaderName::PAssertedIdentity), "\"A\" <sip:1001@10.0.0.1:5060>");
    assert_eq!(header(&told, HeaderName::Privacy), "id");
}

#[test]
fn an_operator_may_withhold_who_calls() {
    let of_trunk = outward(office(|trunk, _| trunk.restricted = true), "");
    let of_extension = outward(office(|_, own| own.restricted = true), "");
    for told in [of_trunk, of_extension] {
        assert_eq!(
            (from(&told), header(&told, HeaderName::Privacy)),
            (ANONYMOUS.to_owned(), "id".to_owned())
        );
    }
    let asked = outward(office(|trunk, _| trunk.restricted = true), "Privacy: none");
    assert_eq!(from(&asked), "\"A\" <sip:1001@10.0.0.1:5060>", "who wants to be named is named");
    let to_phone = {
        let mut bed = Bed::with(office(|_, own| own.restricted = true));
        bed.offered()
    };
    assert_eq!(from(&to_phone), "\"A\" <sip:1001@10.0.0.1:5060>", "within the house he is known");
}

#[test]
fn a_carrier_that_asserts_by_itself_is_told_whom_it_withholds() {
    let told = outward(
        office(|trunk, own| {
            trunk.asserted = Asserted::PPreferred;
            own.restricted = true;
        }),
        "",
    );
    assert_eq!(from(&told), ANONYMOUS);
    assert_eq!(other(&told, "P-Preferred-Identity").as_deref(), Some("\"A\" <sip:1001@10.0.0.1:5060>"));
    assert_eq!(header(&told, HeaderName::Privacy), "id");
}

#[test]
fn privacy_that_cannot_be_had_fails_the_call_only_if_it_is_critical() {
    for (words, status) in
        [("session;critical", 500), ("colour;critical", 500), ("session", 100), ("id;critical", 100)]
    {
        let mut bed = Bed::with(office(|_, _| {}));
        bed.receive(
            CALLER,
            &with(&invite("1001", CALLER, "90301234", "call1"), &format!("Privacy: {words}")),
        );
        assert_eq!(bed.one(CALLER).code(), Some(status), "{words}");
    }
}

#[test]
fn an_extension_may_turn_anonymous_callers_away() {
    for (text, status) in [
        (invite("0309876", GATEWAY, "1001", "call1"), 480),
        (with(&invite("0309876", GATEWAY, "1001", "call1"), "Privacy: id"), 433),
        (
            invite("x", GATEWAY, "1001", "call1")
                .replace("<sip:x@caller.example>", "<sip:anonymous@anonymous.invalid>"),
            433,
        ),
    ] {
        let mut bed = Bed::with(office(|_, own| own.rejects_anonymous = true));
        bed.receive(GATEWAY, &text);
        assert_eq!(bed.take(GATEWAY).last().unwrap().code(), Some(status));
    }
}

#[test]
fn private_headers_go_to_carriers_only_as_configured_and_among_phones_as_ever() {
    let of = |pass| outward(office(|trunk, _| trunk.pass_headers = pass), "x-account: 7\nX-Secret: 8");
    let names =
        |told: &Message| ["X-Custom", "X-Account", "X-Secret"].map(|name| other(told, name).is_some());
    assert_eq!(names(&outward(office(|_, _| {}), "X-Account: 7\nX-Secret: 8")), [false; 3]);
    assert_eq!(names(&outward(trusting(), "X-Account: 7\nX-Secret: 8")), [true; 3]);
    assert_eq!(names(&of(PassHeaders::All)), [true; 3]);
    assert_eq!(names(&of(PassHeaders::Only(Arc::new(["X-Account".into()])))), [false, true, false]);
    let mut bed = Bed::with(office(|_, _| {}));
    assert_eq!(names(&bed.offered()), [true, false, false]);
}

#[test]
fn private_headers_and_claims_stay_behind_in_answers_and_within_the_call_too() {
    let mut bed = Bed::with(office(|_, _| {}));
    bed.register("1002", CALLEE);
    bed.receive(GATEWAY, &invite("0309876", GATEWAY, "1002", "call1"));
    let offered = bed.one(CALLEE);
    let more = "P-Asserted-Identity: <sip:boss@x>\nX-Secret: boss";
    bed.receive(CALLEE, &with(&answer(&offered, 180, "callee", CALLEE, ""), more));
    bed.receive(CALLEE, &with(&answer(&offered, 200, "callee", CALLEE, ""), more));
    let ok = bed.take(GATEWAY).pop().unwrap();
    bed.receive(GATEWAY, &in_dialog(&ok, "ACK", 1, GATEWAY, ""));
    bed.receive(CALLEE, &with(&from_callee(&offered, "callee", "INFO", 1, CALLEE, ""), more));
    let info = bed.one(GATEWAY);
    bed.receive(CALLEE, &with(&from_callee(&offered, "callee", "BYE", 2, CALLEE, ""), more));
    let bye = bed.one(GATEWAY);
    for told in [ok, info, bye] {
        assert!(!names_boss(&told), "{:?}", told.bytes());
    }
}

#[test]
fn a_trusted_trunk_may_name_somebody_else_within_the_call() {
    for (directory, passes) in [(trusting(), true), (office(|_, _| {}), false)] {
        let mut bed = Bed::with(directory);
        bed.register("1002", CALLEE);
        bed.receive(GATEWAY, &invite("0309876", GATEWAY, "1002", "call1"));
        let offered = bed.one(CALLEE);
        bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
        let ok = bed.take(GATEWAY).pop().unwrap();
        bed.receive(GATEWAY, &in_dialog(&ok, "ACK", 1, GATEWAY, ""));
        bed.take(CALLEE);
        for (cseq, method) in [(2, "UPDATE"), (3, "INVITE")] {
            bed.receive(
                GATEWAY,
                &with(&in_dialog(&ok, method, cseq, GATEWAY, ""), "P-Asserted-Identity: <sip:boss@x>"),
            );
            assert_eq!(names_boss(&bed.one(CALLEE)), passes, "{method}");
        }
    }
}

#[test]
fn who_is_called_next_is_told_from_where_as_configured() {
    for (forwarding, diversion, history) in [
        (Forwarding::NONE, "", ""),
        (
            Forwarding::BOTH,
            "<sip:1002@10.0.0.1:5060>;reason=no-answer;counter=1",
            "<sip:1002@10.0.0.1:5060?Reason=SIP%3Bcause%3D408>;index=1,\
             <sip:1004@10.0.0.1:5060;cause=408>;index=1.1;mp=1",
        ),
    ] {
        let mut bed = Bed::with(directory(|options, _, _| {
            options.dr_peer_trunk = None;
            options.forwarding = forwarding;
        }));
        bed.register("1004", OTHER);
        let offered = bed.offered();
        bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
        bed.pass(Duration::from_secs(1));
        let onward = bed.onward("1004");
        assert!(bed.operate(Operation::Redirect(onward)).is_ok());
        let told = bed.one(OTHER);
        assert_eq!(header(&told, HeaderName::Diversion), diversion);
        let entries: Vec<_> = told.values(HeaderName::HistoryInfo).map(String::from_utf8_lossy).collect();
        assert_eq!(entries.join(","), history);
    }
}

#[test]
fn what_others_tell_of_forwardings_goes_to_carriers_as_configured() {
    let more = "Diversion: <sip:9@x>;reason=busy\nHistory-Info: <sip:9@x>;index=1";
    for (forwarding, wanted) in [
        (Forwarding::BOTH, [true, true]),
        (Forwarding::NONE, [false, false]),
        (Forwarding { diversion: true, history_info: false }, [true, false]),
    ] {
        let told = outward(office(|trunk, _| trunk.forwarding = forwarding), more);
        let names = [HeaderName::Diversion, HeaderName::HistoryInfo];
        assert_eq!(names.map(|name| told.header(name).is_some()), wanted);
    }
}

#[test]
fn who_withholds_himself_is_nobody_to_whom_his_call_is_transferred_to() {
    for (more, wanted) in [("Privacy: id", ANONYMOUS), ("X-A: b", "<sip:0309876@10.0.0.1:5060>")] {
        for (number, at) in [("1004", OTHER), ("90301234", GATEWAY)] {
            let mut bed = Bed::with(office(|_, _| {}));
            bed.register("1002", CALLEE);
            bed.register("1004", OTHER);
            bed.receive(GATEWAY, &with(&invite("0309876", GATEWAY, "1002", "call1"), more));
            let offered = bed.one(CALLEE);
            bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
            let ok = bed.take(GATEWAY).pop().unwrap();
            bed.receive(GATEWAY, &in_dialog(&ok, "ACK", 1, GATEWAY, ""));
            let refer = from_callee(&offered, "callee", "REFER", 1, CALLEE, "");
            bed.receive(CALLEE, &with(&refer, &format!("Refer-To: <sip:{number}@10.0.0.1>")));
            let told = bed.one(at);
            assert_eq!(from(&told), wanted, "{number}");
            let named = String::from_utf8_lossy(told.bytes()).contains("0309876");
            assert_eq!(named, wanted != ANONYMOUS, "{number}");
        }
    }
}
