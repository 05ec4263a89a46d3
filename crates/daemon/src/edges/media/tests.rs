//! Players against engines made of a socket and a rule.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tandem_switch::Input;
use tandem_switch::arena::Arena;
use tandem_switch::media::{MediaId, MediaNews, MediaOrder, Repeat};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

mod anchors;
mod take_up;

use super::MediaEdge;
use crate::command::{Command, Commands};
use crate::config::MediaSettings;

const OFFER: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 5 RTP/AVP 8\r\n";
const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nm=audio 36000 RTP/AVP 8\r\na=sendonly\r\n";
/// Longest wait for anything; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// An engine: what it is asked comes out, what the rule makes of it is the answer; `None` is silence.
struct Fake {
    addr: SocketAddr,
    asked: mpsc::UnboundedReceiver<Value>,
    task: JoinHandle<()>,
}

impl Fake {
    async fn start(rule: impl Fn(&Value, usize) -> Option<Value> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let (sender, asked) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 65_535];
            let mut seen: Vec<String> = Vec::new();
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let text = std::str::from_utf8(&buffer[..length]).unwrap();
                let (cookie, request) = text.split_once(' ').unwrap();
                let request: Value = serde_json::from_str(request).unwrap();
                seen.push(cookie.to_owned());
                let times = seen.iter().filter(|known| *known == cookie).count();
                if !["ping", "list"].contains(&request["command"].as_str().unwrap()) && times == 1 {
                    let _ = sender.send(request.clone());
                }
                if let Some(answer) = rule(&request, times) {
                    socket.send_to(format!("{cookie} {answer}").as_bytes(), from).await.unwrap();
                }
            }
        });
        Self { addr, asked, task }
    }

    /// What it was asked, without repetitions and pings.
    async fn next(&mut self) -> Value {
        timeout(PATIENCE, self.asked.recv()).await.expect("a request").unwrap()
    }

    async fn commands(&mut self, count: usize) -> Vec<String> {
        let mut commands = Vec::new();
        for _ in 0..count {
            commands.push(self.next().await["command"].as_str().unwrap().to_owned());
        }
        commands
    }
}

/// What a good engine answers.
fn good(request: &Value) -> Value {
    match request["command"].as_str().unwrap() {
        "ping" => json!({ "result": "pong" }),
        "offer" => json!({ "result": "ok", "sdp": request["sdp"] }),
        "answer" => json!({ "result": "ok", "sdp": ANSWER }),
        "play media" => json!({ "result": "ok", "duration": 50 }),
        _ => json!({ "result": "ok" }),
    }
}

struct Bed {
    edge: Arc<MediaEdge>,
    told: mpsc::Receiver<Command>,
}

impl Bed {
    async fn start(engines: &[SocketAddr]) -> Self {
        let (commands, told) = Commands::channel(16);
        let settings =
            MediaSettings { engines: engines.to_vec(), directory: "/media".to_owned(), network: None };
        let edge = MediaEdge::start(Some(&settings), "site-a", 0xabc, commands).await.unwrap();
        edge.serves(7, 2);
        let bed = Self { edge, told };
        bed.up(engines.len()).await;
        bed
    }

    async fn up(&self, engines: usize) {
        let up = async {
            while self.edge.engines().1 != engines {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, up).await.expect("so many engines work");
    }

    async fn news(&mut self) -> MediaNews {
        match timeout(PATIENCE, self.told.recv()).await.expect("news").unwrap() {
            Command::Input(Input::Media(news)) => news,
            Command::Input(_) | Command::Ask(_) | Command::Group(_) | Command::Stop => {
                panic!("no news of media")
            }
        }
    }
}

fn id(no: u8) -> MediaId {
    MediaId::new(Arena::new(1).insert_with(|_| ()).unwrap(), no)
}

fn play(no: u8, turn: u32, repeat: Repeat) -> MediaOrder {
    let offer = Bytes::from_static(OFFER.as_bytes());
    MediaOrder::Play { id: id(no), turn, offer, file: "hold.wav".into(), repeat }
}

#[tokio::test]
async fn a_player_is_made_plays_changes_and_is_deleted() {
    let mut engine = Fake::start(|request, _| Some(good(request))).await;
    let mut bed = Bed::start(&[engine.addr]).await;
    assert_eq!(bed.edge.order(&play(0, 1, Repeat::Forever)), None);
    let offer = engine.next().await;
    assert_eq!((&offer["command"], &offer["sdp"]), (&json!("offer"), &json!(OFFER)));
    let answer = engine.next().await;
    assert_eq!((&answer["command"], &answer["call-id"]), (&json!("answer"), &offer["call-id"]));
    assert!(answer["sdp"].as_str().unwrap().contains("m=audio 9 RTP/AVP 8\r\na=sendonly"), "{answer}");
    let played = engine.next().await;
    assert_eq!((&played["file"], &played["repeat-times"]), (&json!("/media/hold.wav"), &json!(i32::MAX)));
    let sdp = Bytes::from(ANSWER.replace("sendonly", "sendrecv"));
    assert_eq!(bed.news().await, MediaNews::Playing { id: id(0), turn: 1, sdp: sdp.clone() });

    bed.edge.order(&play(0, 2, Repeat::Once));
    assert_eq!(engine.next().await["repeat-times"], 1);
    assert_eq!(bed.news().await, MediaNews::Playing { id: id(0), turn: 2, sdp });
    assert_eq!(bed.news().await, MediaNews::Ended { id: id(0), turn: 2 });
    bed.edge.order(&MediaOrder::Quiet { id: id(0) });
    assert_eq!(engine.commands(1).await, ["stop media"]);
    bed.edge.order(&MediaOrder::Stop { id: id(0) });
    let deleted = engine.next().await;
    assert_eq!((&deleted["command"], &deleted["delete-delay"]), (&json!("delete"), &json!(0)));
    assert_eq!(bed.edge.players(), 0);
}

#[tokio::test]
async fn a_request_is_repeated_until_it_is_answered() {
    let rule = |request: &Value, times| {
        let needs = match request["command"].as_str() {
            Some("offer") => 4,
            Some("ping") => 1,
            _ => 2,
        };
        (times == needs).then(|| good(request))
    };
    let mut engine = Fake::start(rule).await;
    let mut bed = Bed::start(&[engine.addr]).await;
    bed.edge.order(&play(0, 1, Repeat::Forever));
    assert_eq!(engine.commands(3).await, ["offer", "answer", "play media"]);
    assert!(matches!(bed.news().await, MediaNews::Playing { turn: 1, .. }));
}

#[tokio::test]
async fn a_player_that_is_stopped_while_it_is_made_is_deleted_all_the_same() {
    let mut engine = Fake::start(|request, _| Some(good(request))).await;
    let bed = Bed::start(&[engine.addr]).await;
    bed.edge.order(&play(0, 1, Repeat::Forever));
    bed.edge.order(&MediaOrder::Stop { id: id(0) });
    while engine.next().await["command"] != "delete" {}
}

#[tokio::test]
async fn the_next_engine_is_tried_when_one_refuses_or_is_silent() {
    let refuses = |request: &Value, _| match request["command"].as_str() {
        Some("offer") => Some(json!({ "result": "error", "error-reason": "no ports" })),
        _ => Some(good(request)),
    };
    let silent = |request: &Value, _| (request["command"] == "ping").then(|| good(request));
    let (bad, mute) = (Fake::start(refuses).await, Fake::start(silent).await);
    let well = Fake::start(|request, _| Some(good(request))).await;
    let mut bed = Bed::start(&[bad.addr, mute.addr, well.addr]).await;
    for no in 0..3 {
        bed.edge.order(&play(no, 1, Repeat::Forever));
        assert!(matches!(bed.news().await, MediaNews::Playing { id: of, .. } if of == id(no)));
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_fails_and_leaves_no_player_at_the_engine() {
    let rule = |request: &Value, _| match request["command"].as_str() {
        Some("play media") => Some(json!({ "result": "error", "error-reason": "cannot open" })),
        _ => Some(good(request)),
    };
    let mut engine = Fake::start(rule).await;
    let mut bed = Bed::start(&[engine.addr]).await;
    bed.edge.order(&play(0, 1, Repeat::Forever));
    let MediaNews::Failed { turn: 1, why, .. } = bed.news().await else { panic!("it must fail") };
    assert_eq!(&*why, "the media server refused: cannot open: /media/hold.wav");
    assert_eq!(engine.commands(4).await, ["offer", "answer", "play media", "delete"]);
    assert!(matches!(bed.edge.order(&play(0, 2, Repeat::Once)), Some(MediaNews::Failed { turn: 2, .. })));
    bed.edge.order(&MediaOrder::Stop { id: id(0) });
    assert_eq!(bed.edge.players(), 0);
}

#[tokio::test]
async fn an_engine_that_is_lost_fails_its_players_and_gets_no_more() {
    let engine = Fake::start(|request, _| Some(good(request))).await;
    let mut bed = Bed::start(&[engine.addr]).await;
    bed.edge.order(&play(0, 1, Repeat::Forever));
    assert!(matches!(bed.news().await, MediaNews::Playing { .. }));
    engine.task.abort();
    let MediaNews::Failed { turn: 1, why, .. } = bed.news().await else { panic!("it must fail") };
    assert_eq!(&*why, "the media server was lost");
    assert_eq!(bed.edge.engines(), (1, 0));
    let Some(MediaNews::Failed { why, .. }) = bed.edge.order(&play(1, 1, Repeat::Forever)) else {
        panic!("it must fail at once")
    };
    assert_eq!(&*why, "no media server answers");
}

#[tokio::test]
async fn without_configuration_every_play_fails_at_once_and_says_what_is_missing() {
    let (commands, _told) = Commands::channel(1);
    let edge = MediaEdge::start(None, "site-a", 1, commands).await.unwrap();
    let Some(MediaNews::Failed { turn: 7, why, .. }) = edge.order(&play(0, 7, Repeat::Forever)) else {
        panic!("it must fail at once")
    };
    assert_eq!(&*why, "no media server is configured ([media])");
    assert_eq!(edge.order(&MediaOrder::Stop { id: id(0) }), None);
}
