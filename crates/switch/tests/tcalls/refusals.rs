//! What is refused, and with which code.

use tandem_cti::ErrorCode;
use tandem_switch::call::News;
use tandem_switch::cti::calls::refusal_of;

use super::consult::consulted;
use super::office::{Office, c};

#[test]
fn requests_about_a_call_need_one_that_is_there_and_a_dn_that_is_its_party() {
    let mut office = Office::new();
    office.talking("1001", "1002");
    let of = |dn: &'static str, conn: &'static str| vec![("ThisDN", dn), ("ConnID", conn)];
    let requests = ["TAnswerCall", "TReleaseCall", "THoldCall", "TRetrieveCall", "TClearCall"];
    for request in requests {
        for conn in ["0000000000000009", "1", "zzzzzzzzzzzzzzzz"] {
            assert_eq!(office.ask(request, &of("1001", conn)), Err(56), "{request} {conn}");
        }
        assert_eq!(office.ask(request, &of("1003", "0000000000000001")), Err(56), "{request}");
    }
    assert_eq!(office.told(), Vec::<String>::new());
}

#[test]
fn requests_need_a_call_in_the_right_state() {
    let mut office = Office::new();
    let key = office.open("1001", "1002");
    office.offered(key, 1, "1002");
    let conn = c(1);
    let of = |dn: &'static str| vec![("ThisDN", dn), ("ConnID", &*conn)];
    assert_eq!(office.ask("TAnswerCall", &of("1002")), Err(496), "it does not ring yet");
    office.ringing(key, 1);
    assert_eq!(office.ask("TAnswerCall", &of("1001")), Err(496));
    assert_eq!(office.ask("THoldCall", &of("1002")), Err(496));
    assert_eq!(office.ask("TRetrieveCall", &of("1002")), Err(496));
    let onward = |dn| [of(dn), vec![("OtherDN", "1003")]].concat();
    for request in ["TInitiateTransfer", "TMuteTransfer", "TSingleStepTransfer", "TInitiateConference"] {
        assert_eq!(office.ask(request, &onward("1001")), Err(496), "{request}");
    }
    assert_eq!(office.ask("TRedirectCall", &onward("1001")), Err(496));
    assert_eq!(office.ask("TDeleteFromConference", &onward("1001")), Err(496));
    assert_eq!(office.ask("TRouteCall", &onward("8000")), Err(496));
    office.answered(key, 1);
    assert_eq!(office.ask("TRetrieveCall", &of("1002")), Err(43));
    office.held(key, 1);
    assert_eq!(office.ask("THoldCall", &of("1002")), Err(43));
    assert_eq!(office.ask("TSendDTMF", &[of("1002"), vec![("DTMFDigits", "1")]].concat()), Err(496));
}

#[test]
fn completing_needs_a_held_call_and_another() {
    let mut office = Office::new();
    let (key, _) = consulted(&mut office);
    for request in ["TCompleteTransfer", "TCompleteConference"] {
        for (conn, consult) in [(1, 1), (2, 1)] {
            let asked = [("ThisDN", "1002"), ("ConnID", &*c(conn)), ("ConsultConnID", &*c(consult))];
            assert_eq!(office.ask(request, &asked), Err(496), "{request} {conn} {consult}");
        }
    }
    office.news(key, News::Retrieved { leg: 1 });
    let two = [("ThisDN", "1002"), ("ConnID", &*c(2)), ("HeldConnID", &*c(1))];
    assert_eq!(office.ask("TAlternateCall", &two), Err(496));
    assert_eq!(office.ask("TReconnectCall", &two), Err(496));
}

#[test]
fn destinations_must_be_numbers() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    let long = "1".repeat(65);
    let bad = [("", 53), ("10 03", 71), ("1003@elsewhere", 71), (&*long, 71)];
    for (to, code) in bad {
        let made = office.ask("TMakeCall", &[("ThisDN", "1001"), ("OtherDN", to)]);
        assert_eq!(made, Err(code), "{to}");
        let transferred =
            office.ask("TSingleStepTransfer", &[("ThisDN", "1001"), ("ConnID", &c(1)), ("OtherDN", to)]);
        assert_eq!(transferred, Err(if code == 71 { 177 } else { 53 }), "{to}");
    }
    assert_eq!(office.ask("TMakeCall", &[("ThisDN", "7000"), ("OtherDN", "1001")]), Err(59));
    office.hang_up(key);
    office.assert_empty();
}

#[test]
fn attributes_must_mean_something() {
    let mut office = Office::new();
    office.talking("1001", "1002");
    let dtmf = [("ThisDN", "1001"), ("ConnID", &*c(1)), ("DTMFDigits", "12x")];
    assert_eq!(office.ask("TSendDTMF", &dtmf), Err(53));
    office.open_as(super::office::ext("1003"), "1003", "8000", Some("8000"), Default::default());
    let at = [("ThisDN", "8000"), ("ConnID", &*c(2))];
    assert_eq!(office.ask("TRouteCall", &at), Err(53));
    assert_eq!(office.ask("TApplyTreatment", &[&at[..], &[("TreatmentType", "Music")]].concat()), Err(53));
    for file in ["../x", "/etc/passwd", "a/b", "..", ""] {
        for (kind, name) in [("Music", "MUSIC_DN"), ("PlayAnnouncement", "PROMPT")] {
            let parameters = format!(r#"{{"{name}":"{file}"}}"#);
            let asked = [("TreatmentType", kind), ("TreatmentParms", &*parameters)];
            assert_eq!(office.ask("TApplyTreatment", &[&at[..], &asked].concat()), Err(53), "{file}");
        }
    }
}

#[test]
fn sip_refusals_have_their_codes() {
    let codes = [
        (486, ErrorCode::DnBusy),
        (600, ErrorCode::DnBusy),
        (408, ErrorCode::DnNoAnswer),
        (480, ErrorCode::DnNoAnswer),
        (403, ErrorCode::CallRejected),
        (603, ErrorCode::CallRejected),
        (404, ErrorCode::InvCaldDn),
        (484, ErrorCode::InvCaldDn),
        (503, ErrorCode::ResUnavail),
        (481, ErrorCode::InvCallState),
        (491, ErrorCode::InvCallState),
        (0, ErrorCode::InvCallState),
        (488, ErrorCode::UnsupOper),
        (501, ErrorCode::UnsupOper),
        (499, ErrorCode::Unknown),
    ];
    for (status, code) in codes {
        assert_eq!(refusal_of(status).code, code, "{status}");
    }
    assert_ne!(
        refusal_of(491).message,
        refusal_of(481).message,
        "a call that is changing is worth another try"
    );
}
