//! A ringing phone is made to answer: NOTIFY with `Event: talk` in its early dialog.

use std::sync::Arc;

use tandem_peer::trunk::TrunkOptions;
use tandem_sip::HeaderName;
use tandem_switch::call::control::Operation;
use tandem_switch::directory::{AnswerMode, DnClass};

use crate::support::{Bed, CALLEE, CALLER, answer, directory, header, in_dialog, line};

fn talkative() -> Bed {
    let mut bed = Bed::with(directory(|options, extensions, trunks| {
        options.dr_peer_trunk = None;
        trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
        let answer = AnswerMode { notify_talk: true, ..AnswerMode::default() };
        extensions[1].class = Arc::new(DnClass { answer, ..DnClass::default() });
    }));
    bed.node.overhear();
    bed
}

#[test]
fn a_ringing_phone_that_can_be_told_to_talk_is_told_so_in_its_dialog() {
    let mut bed = talkative();
    let offered = bed.offered();
    let key = bed.key();
    assert_eq!(bed.steer(key, Operation::Answer(1)), Err(491), "it does not ring yet");
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.take(CALLER);
    bed.steer(key, Operation::Answer(1)).unwrap();
    let notify = bed.one(CALLEE);
    assert_eq!(line(&notify), format!("NOTIFY sip:x@{CALLEE} SIP/2.0"));
    assert_eq!(header(&notify, HeaderName::Event), "talk");
    assert!(header(&notify, HeaderName::To).ends_with(";tag=callee"));
    assert_eq!(header(&notify, HeaderName::CSeq), "2 NOTIFY");
    bed.receive(CALLEE, &answer(&notify, 200, "", CALLEE, ""));
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(CALLEE);
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert_eq!(header(&bed.one(CALLEE), HeaderName::CSeq), "3 BYE");
    bed.nothing_stays();
}

#[test]
fn a_phone_that_cannot_be_told_to_talk_is_left_alone() {
    let mut bed = crate::floor::bed();
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    let key = bed.key();
    assert_eq!(bed.steer(key, Operation::Answer(1)), Err(501));
    assert_eq!(bed.steer(key, Operation::Answer(4)), Err(481));
    assert!(bed.take(CALLEE).is_empty());
}

#[test]
fn a_phone_that_answers_by_itself_is_rung_anew_with_the_header_that_makes_it() {
    let alert = "<http://localhost>;info=alert-autoanswer";
    let mut bed = Bed::with(directory(|options, extensions, trunks| {
        options.dr_peer_trunk = None;
        trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
        let answer = AnswerMode { make_call_alert_info: Some(alert.into()), ..AnswerMode::default() };
        extensions[1].class = Arc::new(DnClass { answer, ..DnClass::default() });
    }));
    bed.node.overhear();
    let offered = bed.offered();
    let key = bed.key();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.take(CALLER);
    bed.steer(key, Operation::Answer(1)).unwrap();
    let sent = bed.take(CALLEE);
    let anew = sent.iter().find(|message| line(message).starts_with("INVITE")).unwrap();
    assert_eq!(header(anew, HeaderName::AlertInfo), alert);
    assert_eq!(anew.body(), offered.body(), "the caller's own offer");
    let cancel = sent.iter().find(|message| line(message).starts_with("CANCEL")).unwrap();
    assert_eq!(header(cancel, HeaderName::CallId), header(&offered, HeaderName::CallId));
    bed.receive(CALLEE, &answer(cancel, 200, "", CALLEE, ""));
    bed.receive(CALLEE, &answer(&offered, 487, "callee", CALLEE, ""));
    bed.take(CALLEE);
    assert_eq!(bed.steer(key, Operation::Answer(2)), Err(491), "it is being asked already");
    bed.receive(CALLEE, &answer(anew, 200, "again", CALLEE, "answer"));
    let ok = bed.one(CALLER);
    assert_eq!(ok.code(), Some(200));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(CALLEE);
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert_eq!(line(&bed.one(CALLEE)), format!("BYE sip:x@{CALLEE} SIP/2.0"));
    bed.nothing_stays();
}
