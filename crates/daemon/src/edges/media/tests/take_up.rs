//! Sessions of an earlier process, which this one takes up, or sweeps.

use std::collections::BTreeSet;
use std::sync::Mutex;

use tandem_switch::anchor::{AnchorId, AnchorNews, AnchorOrder, End, Part, Seat};

use super::anchors::describe;
use super::*;

/// Sessions of an engine.
type Sessions = Arc<Mutex<BTreeSet<String>>>;

/// An engine that has these sessions, and knows no other.
async fn engine(names: &[&str]) -> (Fake, Sessions) {
    let sessions: Sessions = Arc::new(Mutex::new(names.iter().map(|name| (*name).to_owned()).collect()));
    let known = Arc::clone(&sessions);
    let fake = Fake::start(move |request, _| {
        let mut known = known.lock().unwrap();
        let name = request["call-id"].as_str().unwrap_or_default().to_owned();
        match request["command"].as_str().unwrap() {
            "list" => return Some(json!({ "result": "ok", "calls": *known })),
            "delete" => drop(known.remove(&name)),
            "offer" => drop(known.insert(name)),
            "ping" => {}
            _ if known.contains(&name) => {}
            _ => return Some(json!({ "result": "error", "error-reason": "Unknown call-id" })),
        }
        Some(good(request))
    })
    .await;
    (fake, sessions)
}

fn seat(name: &str, engine: &Fake) -> Seat {
    Seat { name: name.into(), engine: engine.addr }
}

fn take_up(id: u64, seat: Seat, music: Option<&str>) -> AnchorOrder {
    AnchorOrder::TakeUp { id: AnchorId(id), seat, answered: true, music: music.map(Into::into) }
}

const BEFORE: &str = "tandem-7-00000001-site-a@there-00000000000000ff-a4";

#[tokio::test]
async fn a_session_of_an_earlier_process_goes_on_under_its_name_and_is_deleted_at_the_end() {
    let (mut engine, sessions) = engine(&[BEFORE]).await;
    let mut bed = Bed::start(&[engine.addr]).await;
    assert_eq!(bed.edge.order_anchor(&take_up(0, seat(BEFORE, &engine), Some("held.wav"))), None);
    let (asked, plays) = (engine.next().await, engine.next().await);
    assert_eq!((&asked["command"], &asked["call-id"]), (&json!("query"), &json!(BEFORE)));
    assert_eq!((&plays["command"], &plays["file"]), (&json!("play media"), &json!("/media/held.wav")));
    bed.edge.order_anchor(&AnchorOrder::Quiet { id: AnchorId(0) });
    assert_eq!(engine.commands(1).await, ["stop media"]);
    bed.edge.order_anchor(&describe(0, 1, End::Near, Part::Offer));
    assert!(matches!(bed.anchored_news().await, AnchorNews::Described { turn: 1, .. }), "it is where it was");
    let offer = engine.next().await;
    assert_eq!(
        (&offer["call-id"], &offer["from-tag"], &offer["to-tag"]),
        (&json!(BEFORE), &json!("near"), &json!("far"))
    );
    bed.edge.order_anchor(&AnchorOrder::Release { id: AnchorId(0) });
    assert_eq!(engine.next().await["command"], "delete");
    assert!(sessions.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_to_play_is_said_once_the_engine_has_been_asked() {
    let (mut engine, _) = engine(&[BEFORE]).await;
    let bed = Bed::start(&[engine.addr]).await;
    bed.edge.order_anchor(&take_up(0, seat(BEFORE, &engine), None));
    assert_eq!(engine.commands(2).await, ["query", "stop media"]);
}

#[tokio::test]
async fn a_session_that_its_engine_has_forgotten_or_that_has_no_engine_any_more_is_lost() {
    let (engine, _) = engine(&[]).await;
    let mut bed = Bed::start(&[engine.addr]).await;
    bed.edge.order_anchor(&take_up(0, seat(BEFORE, &engine), None));
    assert_eq!(bed.anchored_news().await, AnchorNews::Lost { id: AnchorId(0) });
    let elsewhere = Seat { name: BEFORE.into(), engine: "127.0.0.1:1".parse().unwrap() };
    bed.edge.order_anchor(&take_up(1, elsewhere, None));
    assert_eq!(bed.anchored_news().await, AnchorNews::Lost { id: AnchorId(1) });
    bed.edge.order_anchor(&describe(1, 1, End::Near, Part::Offer));
    let AnchorNews::Placed { id: AnchorId(1), seat } = bed.anchored_news().await else { panic!("it moves") };
    assert_eq!((&*seat.name, seat.engine), (BEFORE, engine.addr));
}

#[tokio::test]
async fn a_new_session_says_where_it_is_before_it_is_described() {
    let (engine, sessions) = engine(&[]).await;
    let mut bed = Bed::start(&[engine.addr]).await;
    bed.edge.order_anchor(&describe(3, 1, End::Far, Part::Offer));
    let AnchorNews::Placed { id: AnchorId(3), seat } = bed.anchored_news().await else { panic!("first") };
    assert!(matches!(bed.anchored_news().await, AnchorNews::Described { .. }));
    assert_eq!(sessions.lock().unwrap().iter().map(String::as_str).collect::<Vec<_>>(), [&*seat.name]);
    assert!(
        seat.name.starts_with("tandem-7-00000002-site-a@") && seat.name.ends_with("-a3"),
        "{}",
        seat.name
    );
}

#[tokio::test]
async fn only_what_no_leg_has_taken_up_is_swept_and_nothing_before_that_is_known() {
    let player = "tandem-7-00000001-site-a@there-00000000000000ff-p9";
    let gone = "tandem-7-00000001-site-a@there-00000000000000ff-a5";
    let others = [
        "tandem-8-00000001-site-b@there-00000000000000ff-p1",
        "tandem-7-00000003-site-a@there-01-a1",
        "foreign",
    ];
    let (mut engine, sessions) = engine(&[&[BEFORE, player, gone], &others[..]].concat()).await;
    let bed = Bed::start(&[engine.addr]).await;
    bed.edge.order_anchor(&take_up(0, seat(BEFORE, &engine), None));
    assert_eq!(engine.commands(2).await, ["query", "stop media"]);
    assert_eq!(sessions.lock().unwrap().len(), 6);
    bed.edge.order_anchor(&AnchorOrder::AllTakenUp);
    let deleted: BTreeSet<String> = [engine.next().await, engine.next().await]
        .iter()
        .map(|asked| asked["call-id"].as_str().unwrap().into())
        .collect();
    assert_eq!(deleted, BTreeSet::from([player.to_owned(), gone.to_owned()]));
    let left: BTreeSet<String> = [BEFORE].iter().chain(&others).map(|name| (*name).to_owned()).collect();
    assert_eq!(*sessions.lock().unwrap(), left);
}
