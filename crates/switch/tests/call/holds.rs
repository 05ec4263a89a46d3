//! Hold by phones in every form (RFC 3264 8.4, RFC 6337 5.3), by re-INVITE and by UPDATE, by one side and by both.

use tandem_sip::Message;
use tandem_switch::call::News;

use crate::support::{Bed, CALLEE, CALLER, alone, answer, from_callee, in_dialog, line, sdp, with};

const TYPE: &str = "Content-Type: application/sdp";

fn forms() -> [String; 5] {
    let active = sdp("caller", "sendrecv");
    [
        sdp("caller", "sendonly"),
        sdp("caller", "inactive"),
        active.replace("10.0.0.77", "0.0.0.0"),
        sdp("caller", "inactive").replace("10.0.0.77", "0.0.0.0"),
        active.replace("\u{1}a=sendrecv\u{1}", "\u{1}").replace("c=IN IP4 10.0.0.77", "c=IN IP4 0.0.0.0"),
    ]
}

fn is_held(news: &[News], leg: u8) -> bool {
    news.iter().any(|news| matches!(news, News::Held { leg: told } if *told == leg))
}

fn is_retrieved(news: &[News], leg: u8) -> bool {
    news.iter().any(|news| matches!(news, News::Retrieved { leg: told } if *told == leg))
}

/// A description of the caller, by this method; the callee agrees.
#[track_caller]
fn caller_says(bed: &mut Bed, ok: &Message, method: &str, cseq: u32, described: &str) -> Vec<News> {
    bed.receive(CALLER, &with(&in_dialog(ok, method, cseq, CALLER, described), TYPE));
    let passed = bed.one(CALLEE);
    assert_eq!(passed.body(), described.replace('\u{1}', "\n").as_bytes(), "it passes untouched");
    bed.receive(CALLEE, &with(&answer(&passed, 200, "", CALLEE, &sdp("callee", "recvonly")), TYPE));
    bed.take(CALLER);
    if method == "INVITE" {
        bed.receive(CALLER, &in_dialog(ok, "ACK", cseq, CALLER, ""));
        assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    }
    bed.news()
}

#[test]
fn every_form_of_hold_is_told_once_and_so_is_the_retrieval() {
    for method in ["INVITE", "UPDATE"] {
        for form in forms() {
            let mut bed = Bed::with(alone());
            let (ok, _) = bed.established();
            bed.news();
            let told = caller_says(&mut bed, &ok, method, 2, &form);
            assert!(is_held(&told, 0), "{method} {form:?}: {told:?}");
            let told = caller_says(&mut bed, &ok, method, 3, &form);
            assert!(!is_held(&told, 0) && !is_retrieved(&told, 0), "he holds already");
            let told = caller_says(&mut bed, &ok, method, 4, &sdp("caller", "sendrecv"));
            assert!(is_retrieved(&told, 0), "{method} {form:?}: {told:?}");
        }
    }
}

#[test]
fn both_may_hold_each_other_and_each_takes_back_for_himself() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = bed.established();
    bed.news();
    assert!(is_held(&caller_says(&mut bed, &ok, "UPDATE", 2, &sdp("caller", "sendonly")), 0));
    for (cseq, way, held) in [(1, "inactive", true), (2, "sendrecv", false)] {
        let text = from_callee(&offered, "callee", "UPDATE", cseq, CALLEE, &sdp("callee", way));
        bed.receive(CALLEE, &with(&text, TYPE));
        let passed = bed.one(CALLER);
        bed.receive(CALLER, &with(&answer(&passed, 200, "", CALLER, &sdp("caller", "inactive")), TYPE));
        bed.take(CALLEE);
        let told = bed.news();
        assert_eq!((is_held(&told, 1), is_retrieved(&told, 1)), (held, !held), "{told:?}");
        assert!(!is_retrieved(&told, 0), "the caller still holds");
    }
    assert!(is_retrieved(&caller_says(&mut bed, &ok, "INVITE", 3, &sdp("caller", "sendrecv")), 0));
}

#[test]
fn a_hold_that_is_refused_is_none() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    bed.news();
    bed.receive(CALLER, &with(&in_dialog(&ok, "UPDATE", 2, CALLER, &sdp("caller", "sendonly")), TYPE));
    let passed = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&passed, 488, "", CALLEE, ""));
    assert!(bed.news().is_empty());
}
