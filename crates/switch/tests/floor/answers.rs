//! Every request, in every situation, has exactly one answer.

use std::panic::catch_unwind;

use tandem_cti::{EventName, Request};

use crate::office::{ANNA, BERT, DORA, POINT, QUEUE};
use crate::stages::{A, B, R, ROOT, STAGES, Stage, staged};

/// The request of this name for Anna's DN, and the variants of it that make a difference; without its braces.
pub fn spoken(name: &str, (conn, other): (&str, &str)) -> Vec<String> {
    let dn = |dn: &str| format!(r#""request":"{name}","ThisDN":"{dn}""#);
    let at = || format!(r#"{},"ConnID":"{conn}""#, dn(ANNA));
    let to = |number: &str| format!(r#"{},"OtherDN":"{number}""#, at());
    let data = || format!(r#"{},"UserData":{{"Colour":"red"}}"#, at());
    match name {
        "TOpenServer" => vec![format!(r#""request":"{name}","UserName":"anna","Password":"x""#)],
        "TQueryServer" => vec![format!(r#""request":"{name}""#)],
        "TQueryAddress" | "TRegisterAddress" => [ANNA, BERT, QUEUE, POINT, "9999"].map(dn).into(),
        "TUnregisterAddress" => [ANNA, BERT].map(dn).into(),
        "TAgentLogin" | "TAgentLogout" | "TAgentSetReady" | "TAgentSetNotReady" => spoken_of_agents(name),
        "TMakeCall" => {
            let numbers = [BERT, ANNA, QUEUE, POINT, "9555", "404", "bad number"];
            numbers.map(|number| format!(r#"{},"OtherDN":"{number}""#, dn(ANNA))).into()
        }
        "TInitiateTransfer"
        | "TInitiateConference"
        | "TMuteTransfer"
        | "TSingleStepTransfer"
        | "TRedirectCall" => [DORA, BERT, ANNA, QUEUE, POINT, "9555", "404"].map(to).into(),
        "TDeleteFromConference" => [DORA, BERT, ANNA, "404"].map(to).into(),
        "TCompleteTransfer" | "TCompleteConference" => {
            let (held, consult) = (other, conn);
            vec![
                format!(r#"{},"ConnID":"{held}","ConsultConnID":"{consult}""#, dn(ANNA)),
                format!(r#"{},"ConnID":"{consult}","ConsultConnID":"{held}""#, dn(ANNA)),
                format!(r#"{},"ConnID":"{held}","ConsultConnID":"{held}""#, dn(ANNA)),
            ]
        }
        "TAlternateCall" | "TReconnectCall" => {
            vec![format!(r#"{},"HeldConnID":"{other}""#, at()), format!(r#"{},"HeldConnID":"{conn}""#, at())]
        }
        "TAttachUserData" | "TUpdateUserData" => vec![data()],
        "TDeletePair" => vec![format!(r#"{},"Key":"Colour""#, at())],
        "TSendDTMF" => {
            vec![format!(r#"{},"DTMFDigits":"12#""#, at()), format!(r#"{},"DTMFDigits":"x""#, at())]
        }
        "TQueryCall" => vec![format!(r#""request":"{name}","ConnID":"{conn}""#), at()],
        "TRouteCall" => {
            vec![to(BERT), to(POINT), to(QUEUE), to("404"), at(), format!(r#"{},"RouteType":"Reject""#, at())]
        }
        "TApplyTreatment" => vec![
            format!(r#"{},"TreatmentType":"RingBack""#, at()),
            format!(r#"{},"TreatmentType":"Silence""#, at()),
            format!(r#"{},"TreatmentType":"Music","TreatmentParms":{{"MUSIC_DN":"a.wav"}}"#, at()),
            format!(r#"{},"TreatmentType":"Music""#, at()),
        ],
        "TPrivateRequest" => [3019, 77].map(|id| format!(r#""request":"{name}","ServiceID":{id}"#)).into(),
        _ => vec![at()],
    }
}

fn spoken_of_agents(name: &str) -> Vec<String> {
    let dn = |dn: &str| format!(r#""request":"{name}","ThisDN":"{dn}""#);
    match name {
        "TAgentLogin" => {
            let with = |more: &str| format!(r#"{},"AgentID":"5001"{more}"#, dn(ANNA));
            vec![
                with(""),
                with(r#","WorkMode":"AutoIn""#),
                with(r#","ThisQueue":"7000""#),
                with(r#","ThisQueue":"7999""#),
                dn(ANNA) + r#","AgentID":"5002""#,
                dn(ANNA) + r#","AgentID":"5003""#,
            ]
        }
        "TAgentLogout" => {
            let queue = |queue: &str| format!(r#"{},"ThisQueue":"{queue}""#, dn(ANNA));
            vec![dn(ANNA), queue(QUEUE), queue("7999")]
        }
        "TAgentSetReady" => {
            ["ManualIn", "AutoIn"].map(|m| format!(r#"{},"WorkMode":"{m}""#, dn(ANNA))).into()
        }
        _ => {
            let modes = ["AuxWork", "AfterCallWork", "LegalGuard", "WalkAway"];
            modes.map(|m| format!(r#"{},"WorkMode":"{m}""#, dn(ANNA))).into()
        }
    }
}

/// Who asks: the request of Anna's client; those at queue and routing point also from the routing application.
fn asked(name: &str, stage: Stage, conns: (&str, &str)) -> Vec<(u64, String)> {
    let mut asked: Vec<(u64, String)> = spoken(name, conns).into_iter().map(|text| (A, text)).collect();
    if matches!(stage, Stage::InQueue | Stage::AtPoint | Stage::Offered) {
        let at = if stage == Stage::AtPoint { POINT } else { QUEUE };
        let here = format!(r#""ThisDN":"{at}""#);
        let theirs = |(_, text): &(u64, String)| (R, text.replace(r#""ThisDN":"1001""#, &here));
        let more: Vec<_> = asked.iter().map(theirs).collect();
        asked.extend(more);
    }
    if name == "TPrivateRequest" {
        let more: Vec<_> = asked.iter().map(|(_, text)| (ROOT, text.clone())).collect();
        asked.extend(more);
    }
    if matches!(stage, Stage::Ringing | Stage::HeldByOther) {
        let theirs =
            |(_, text): &(u64, String)| (B, text.replace(r#""ThisDN":"1001""#, r#""ThisDN":"1002""#));
        let more: Vec<_> = asked.iter().map(theirs).collect();
        asked.extend(more);
    }
    asked
}

/// This variant of a request is answered once, and when all is over nothing is left of what it did.
fn one_answer(stage: Stage, name: &str, variant: usize) {
    let (mut hall, conn, other) = staged(stage);
    let (link, request) = asked(name, stage, (&conn, &other)).swap_remove(variant);
    let reference = hall.asks(link, &request);
    hall.pass(400);
    let answers = hall.answers(link, reference);
    let brief: Vec<_> = answers.iter().map(|e| (e.event, e.error_code, e.error_message.clone())).collect();
    assert_eq!(answers.len(), 1, "{brief:?}");
    let refused = matches!(answers[0].event, EventName::Error | EventName::TreatmentNotApplied);
    assert_eq!(refused, answers[0].error_code.is_some(), "{brief:?}");
    hall.closes();
}

/// All that is wrong is told at once.
fn exactly_one_answer(stage: Stage) {
    let mut wrong = Vec::new();
    for (name, _) in Request::NAMES {
        for (variant, (link, request)) in asked(name, stage, ("0", "0")).into_iter().enumerate() {
            let outcome = catch_unwind(|| one_answer(stage, name, variant));
            if let Err(panic) = outcome {
                let said = panic.downcast_ref::<String>().map_or("", |said| said);
                wrong.push(format!("{stage:?}: client {link}: {request}: {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} requests:\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! answered {
    ($($test:ident: $stage:ident,)*) => {
        $(
            #[test]
            fn $test() {
                exactly_one_answer(Stage::$stage);
            }
        )*

        #[test]
        fn every_stage_has_its_test() {
            assert_eq!(STAGES, [$(Stage::$stage),*]);
        }
    };
}

answered! {
    every_request_has_one_answer_without_a_call: NoCall,
    every_request_has_one_answer_of_an_agent_who_logged_in: LoggedIn,
    every_request_has_one_answer_of_an_agent_who_is_ready: Ready,
    every_request_has_one_answer_in_after_call_work: AfterCallWork,
    every_request_has_one_answer_while_a_call_rings: Ringing,
    every_request_has_one_answer_while_a_call_is_dialled: Dialing,
    every_request_has_one_answer_in_a_call: Established,
    every_request_has_one_answer_while_a_call_is_held: Held,
    every_request_has_one_answer_while_the_other_side_holds: HeldByOther,
    every_request_has_one_answer_in_a_consultation: Consulting,
    every_request_has_one_answer_while_a_consultation_rings: ConsultRings,
    every_request_has_one_answer_in_a_conference: Conference,
    every_request_has_one_answer_while_a_call_waits: InQueue,
    every_request_has_one_answer_while_a_call_is_offered: Offered,
    every_request_has_one_answer_at_a_routing_point: AtPoint,
    every_request_has_one_answer_after_the_call: Ended,
}
