//! Situations in which requests come, each made of what phones and clients do.

use tandem_cti::Role;

use crate::hall::Hall;
use crate::office::{ANNA, BERT, DORA, POINT, QUEUE};
use crate::phones::Acts;

/// Anna's client.
pub const A: u64 = 1;
/// Bert's client.
pub const B: u64 = 2;
/// The routing application, at the queue and the routing point.
pub const R: u64 = 3;
/// The administrator.
pub const ROOT: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    NoCall,
    LoggedIn,
    Ready,
    AfterCallWork,
    Ringing,
    Dialing,
    Established,
    Held,
    HeldByOther,
    Consulting,
    ConsultRings,
    Conference,
    InQueue,
    Offered,
    AtPoint,
    Ended,
}

pub const STAGES: [Stage; 16] = [
    Stage::NoCall,
    Stage::LoggedIn,
    Stage::Ready,
    Stage::AfterCallWork,
    Stage::Ringing,
    Stage::Dialing,
    Stage::Established,
    Stage::Held,
    Stage::HeldByOther,
    Stage::Consulting,
    Stage::ConsultRings,
    Stage::Conference,
    Stage::InQueue,
    Stage::Offered,
    Stage::AtPoint,
    Stage::Ended,
];

/// The hall in that situation, and the ConnIDs of Anna's call and of her second one.
#[track_caller]
pub fn staged(stage: Stage) -> (Hall, String, String) {
    let mut hall = Hall::open();
    hall.joins_at(A, "anna", Role::Agent, &[ANNA]);
    hall.joins_at(B, "bert", Role::Agent, &[BERT]);
    hall.joins_at(R, "route", Role::RoutingApplication, &[QUEUE, POINT]);
    hall.joins_at(ROOT, "root", Role::Administrator, &[]);
    let none = "00000000000000aa".to_owned();
    match stage {
        Stage::NoCall => return (hall, none.clone(), none),
        Stage::LoggedIn => {
            hall.does(A, &login("ManualIn"));
            return (hall, none.clone(), none);
        }
        Stage::Ready => {
            hall.does(A, &login("AutoIn"));
            return (hall, none.clone(), none);
        }
        Stage::AfterCallWork => {
            hall.does(A, &login("AutoIn"));
            let acw = r#""request":"TAgentSetNotReady","ThisDN":"1001","WorkMode":"AfterCallWork""#;
            hall.does(A, acw);
            return (hall, none.clone(), none);
        }
        Stage::Ringing => {
            hall.acts(ANNA, Acts::Rings);
            hall.dials(BERT, ANNA);
        }
        Stage::Dialing => {
            hall.acts(BERT, Acts::Rings);
            hall.dials(ANNA, BERT);
        }
        Stage::Established => {
            hall.dials(ANNA, BERT);
        }
        Stage::Held => {
            hall.dials(ANNA, BERT);
            let conn = hall.conn();
            hall.does(A, &on(&conn, "THoldCall"));
        }
        Stage::HeldByOther => {
            hall.dials(ANNA, BERT);
            let conn = hall.conn();
            hall.does(B, &on(&conn, "THoldCall").replace(ANNA, BERT));
        }
        Stage::Consulting | Stage::ConsultRings | Stage::Conference => return consulting(hall, stage),
        Stage::InQueue => {
            hall.dials("gateway", QUEUE);
        }
        Stage::Offered => {
            hall.acts(ANNA, Acts::Rings);
            hall.does(A, &login("AutoIn"));
            hall.dials("gateway", QUEUE);
        }
        Stage::AtPoint => {
            hall.dials("gateway", POINT);
        }
        Stage::Ended => {
            hall.dials(ANNA, BERT);
            hall.hangs_up(BERT);
        }
    }
    let conn = hall.conn();
    (hall, conn, none)
}

fn login(mode: &str) -> String {
    format!(r#""request":"TAgentLogin","ThisDN":"{ANNA}","AgentID":"5001","WorkMode":"{mode}""#)
}

fn on(conn: &str, request: &str) -> String {
    format!(r#""request":"{request}","ThisDN":"{ANNA}","ConnID":"{conn}""#)
}

/// Anna talks to Bert, whom she holds, and consults Dora.
#[track_caller]
fn consulting(mut hall: Hall, stage: Stage) -> (Hall, String, String) {
    hall.dials(ANNA, BERT);
    let conn = hall.conn();
    if stage == Stage::ConsultRings {
        hall.acts(DORA, Acts::Rings);
    }
    let request = if stage == Stage::Conference { "TInitiateConference" } else { "TInitiateTransfer" };
    hall.does(A, &format!(r#"{},"OtherDN":"{DORA}""#, on(&conn, request)));
    hall.pass(1);
    let consult = hall.conn();
    assert_ne!(conn, consult);
    if stage == Stage::Conference {
        let join = on(&conn, "TCompleteConference");
        hall.does(A, &format!(r#"{join},"ConsultConnID":"{consult}""#));
        hall.pass(1);
        return (hall, conn, consult);
    }
    // Anna's active call first, then the held one.
    (hall, consult, conn)
}
