//! What bad input gets.

use tandem_sip::HeaderName;
use tandem_switch::directory::Authenticate;

use crate::support::{
    Bed, CALLEE, CALLER, GATEWAY, alone, answer, codes, directory, from_callee, header, in_dialog, invite,
    line, with, without,
};

fn plain() -> String {
    invite("1001", CALLER, "1002", "call1")
}

/// The only final answer to one request.
#[track_caller]
fn refusal(bed: &mut Bed, text: &str) -> tandem_sip::Message {
    bed.receive(CALLER, text);
    let mut all = bed.take(CALLER);
    all.retain(|message| message.code() != Some(100));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn each_sin_of_an_invite_has_its_own_answer() {
    for (text, wanted) in [
        (invite("1001", CALLER, "4711", "c"), "SIP/2.0 404 Not Found"),
        (plain(), "SIP/2.0 480 Temporarily Unavailable"),
        (plain().replace("sip:1002@10.0.0.1 SIP", "http://x SIP"), "SIP/2.0 416 Unsupported URI Scheme"),
        (plain().replace("sip:1002@10.0.0.1 SIP", "sip:10.0.0.1 SIP"), "SIP/2.0 484 Address Incomplete"),
        (plain().replace("Max-Forwards: 70", "Max-Forwards: 0"), "SIP/2.0 483 Too Many Hops"),
        (without(&plain(), "Contact"), "SIP/2.0 400 Missing Contact"),
        (plain().replace("Contact: <sip:1001@", "Contact: <sip:1001@@"), "SIP/2.0 400 Bad Contact"),
        (with(&plain(), "Record-Route: <::>"), "SIP/2.0 400 Bad Record-Route"),
        (plain().replace("sip:1001@caller", "sip:7777@caller"), "SIP/2.0 403 Unknown Caller"),
        (with(&plain(), "Require: 100rel, fnord"), "SIP/2.0 420 Bad Extension"),
    ] {
        let mut bed = Bed::with(alone());
        let told = refusal(&mut bed, &text);
        assert_eq!(line(&told), wanted);
        assert!(header(&told, HeaderName::To).contains(";tag="), "{wanted}");
        bed.nothing_stays();
    }
}

#[test]
fn a_420_names_what_is_not_supported() {
    let mut bed = Bed::with(alone());
    let told = refusal(&mut bed, &with(&plain(), "Require: 100rel, fnord\nRequire: blub"));
    assert_eq!(header(&told, HeaderName::Unsupported), "fnord, blub");
}

#[test]
fn a_callee_s_420_keeps_its_names() {
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &with(&plain(), "Require: 100rel"));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    assert_eq!(
        offered.header(HeaderName::Require),
        None,
        "what only the caller needs is this server's affair"
    );
    bed.receive(CALLEE, &with(&answer(&offered, 420, "callee", CALLEE, ""), "Unsupported: 100rel"));
    assert_eq!(header(&bed.one(CALLER), HeaderName::Unsupported), "100rel");
}

#[test]
fn a_method_that_is_not_taken_is_told_405_with_those_that_are() {
    for method in ["PUBLISH", "FNORD"] {
        let mut bed = Bed::with(alone());
        let told = refusal(&mut bed, &plain().replace("INVITE", method));
        assert_eq!(told.code(), Some(405), "{method}");
        assert!(
            told.has_token(HeaderName::Allow, b"INVITE")
                && !told.has_token(HeaderName::Allow, method.as_bytes())
        );
        let (ok, _) = bed.established();
        let told = refusal(&mut bed, &in_dialog(&ok, method, 2, CALLER, ""));
        assert_eq!((told.code(), told.header(HeaderName::Allow).is_some()), (Some(405), true), "{method}");
    }
}

#[test]
fn a_request_of_an_unknown_dialog_is_told_481() {
    for method in ["BYE", "INFO", "UPDATE", "PRACK", "INVITE", "MESSAGE", "NOTIFY"] {
        let mut bed = Bed::with(alone());
        let lost = plain()
            .replace("INVITE", method)
            .replace("To: <sip:1002@10.0.0.1>", "To: <sip:1002@10.0.0.1>;tag=0123456789abcdef");
        assert_eq!(refusal(&mut bed, &lost).code(), Some(481), "{method}");
        if method != "INVITE" {
            assert_eq!(
                refusal(&mut bed, &plain().replace("INVITE", method)).code(),
                Some(481),
                "{method} without To-tag"
            );
        }
    }
}

#[test]
fn a_stranger_who_guesses_half_a_dialog_is_told_481() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    let stolen = in_dialog(&ok, "BYE", 2, CALLER, "").replace("tag=fcall1", "tag=guess");
    assert_eq!(refusal(&mut bed, &stolen).code(), Some(481));
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
}

#[test]
fn a_cseq_that_falls_behind_is_told_500() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = bed.established();
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 5, CALLER, ""));
    for cseq in [4, 5] {
        let late = in_dialog(&ok, "MESSAGE", cseq, CALLER, "");
        assert_eq!(line(&refusal(&mut bed, &late)), "SIP/2.0 500 CSeq Out Of Order");
    }
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    assert_eq!(bed.take(CALLEE).last().unwrap().code(), Some(200));
}

#[test]
fn the_same_request_by_another_way_is_told_482() {
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &plain());
    bed.take(CALLER);
    assert_eq!(refusal(&mut bed, &plain().replace("z9hG4bKcall1", "z9hG4bKother")).code(), Some(482));
    assert_eq!(bed.lines(CALLEE).len(), 1, "the callee is rung once");
}

#[test]
fn a_request_that_goes_no_further_needs_no_hops() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    let info = in_dialog(&ok, "INFO", 2, CALLER, "").replace("Forwards: 70", "Forwards: 0");
    assert_eq!(refusal(&mut bed, &info).code(), Some(483));
    let probe = plain().replace("INVITE", "OPTIONS").replace("Forwards: 70", "Forwards: 0");
    assert_eq!(refusal(&mut bed, &probe).code(), Some(200));
    let bye = in_dialog(&ok, "BYE", 3, CALLER, "").replace("Forwards: 70", "Forwards: 0");
    assert_eq!(refusal(&mut bed, &bye).code(), Some(200));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("BYE ")));
}

#[test]
fn options_tells_what_this_server_can_do() {
    let mut bed = Bed::with(alone());
    let told = refusal(&mut bed, &plain().replace("INVITE", "OPTIONS"));
    assert_eq!(told.code(), Some(200));
    assert!(told.has_token(HeaderName::Allow, b"INVITE"));
    assert!(told.header(HeaderName::Accept).is_some() && told.has_token(HeaderName::Supported, b"100rel"));
    assert!(told.values(HeaderName::Supported).count() > 5);
    let odd = plain().replace("INVITE sip:1002@10.0.0.1", "OPTIONS mailto:x@y").replace("INVITE", "OPTIONS");
    assert_eq!(refusal(&mut bed, &odd.replace("call1", "call2")).code(), Some(416));
}

#[test]
fn a_broken_mandatory_header_is_named_and_the_answer_finds_its_way() {
    let mut bed = Bed::with(alone());
    let told = refusal(&mut bed, &plain().replace("CSeq: 1 INVITE", "CSeq: x INVITE"));
    assert_eq!(told.code(), Some(400));
    assert!(line(&told).contains("CSeq"), "{}", line(&told));
    assert!(header(&told, HeaderName::To).contains(";tag="), "RFC 3261 8.2.6.2");
    let elsewhere = plain().replace("CSeq: 1 INVITE", "CSeq: x INVITE").replace(";rport", "");
    bed.receive("10.0.0.11:40000", &elsewhere);
    assert_eq!(codes(&bed.take(CALLER)), [400], "without rport the answer goes to the port of sent-by");
    assert_eq!(bed.node.counters().bad_requests, 2);
}

#[test]
fn a_full_call_table_is_told_503_with_retry_after_and_running_calls_go_on() {
    let mut bed = Bed::with(directory(|options, _, _| options.max_calls = 1));
    let (ok, _) = bed.established();
    let told = refusal(&mut bed, &invite("1001", CALLER, "1002", "two"));
    assert_eq!((told.code(), header(&told, HeaderName::RetryAfter).as_str()), (Some(503), "5"));
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 2, CALLER, ""));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("INFO ")));
}

#[test]
fn a_caller_without_credentials_is_challenged_where_that_is_asked_for() {
    let mut bed = Bed::with(directory(|options, _, _| {
        options.authenticate = Authenticate { register: false, invite: true };
    }));
    for (n, from) in ["1001", "7777"].iter().enumerate() {
        let told = refusal(&mut bed, &invite(from, CALLER, "1002", &format!("c{n}")));
        assert_eq!(
            (told.code(), told.header(HeaderName::WwwAuthenticate).is_some()),
            (Some(401), true),
            "{from}"
        );
    }
    bed.receive(GATEWAY, &invite("5550001", GATEWAY, "1003", "in"));
    assert_eq!(codes(&bed.take(GATEWAY)), [100], "a trunk is known by its address");
}

#[test]
fn a_response_that_matches_nothing_disturbs_nobody() {
    let mut bed = Bed::with(alone());
    let (_, offered) = bed.established();
    bed.receive(
        CALLEE,
        &answer(&offered, 200, "callee", CALLEE, "").replace("branch=z9hG4bK", "branch=z9hG4bKx"),
    );
    assert!(bed.sent.is_empty());
    assert_eq!(bed.node.counters().stray_responses, 1);
}
