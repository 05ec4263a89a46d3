//! Anchored legs against engines whose replies are lost, late, doubled or nonsense, and against engines that forget.

use std::sync::Mutex;

use tandem_switch::anchor::{AnchorId, AnchorNews, AnchorOrder, End, Part, Profile, Speaks};

use super::*;

/// An engine that answers each request with these datagrams; the rule is told how often it saw the cookie.
async fn raw(rule: impl Fn(&str, &Value, usize) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_535];
        let mut seen: Vec<String> = Vec::new();
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            let (cookie, request) = text.split_once(' ').unwrap();
            let request: Value = serde_json::from_str(request).unwrap();
            seen.push(cookie.to_owned());
            let times = seen.iter().filter(|known| *known == cookie).count();
            for datagram in rule(cookie, &request, times) {
                socket.send_to(&datagram, from).await.unwrap();
            }
        }
    });
    addr
}

fn reply(cookie: &str, answer: &Value) -> Vec<u8> {
    format!("{cookie} {answer}").into_bytes()
}

pub fn describe(id: u64, turn: u32, from: End, part: Part) -> AnchorOrder {
    let (sdp, profile) =
        (Bytes::from_static(OFFER.as_bytes()), Profile { speaks: Speaks::Rtp, network: None });
    AnchorOrder::Describe { id: AnchorId(id), turn, from, part, sdp, profile }
}

impl Bed {
    pub async fn anchored_news(&mut self) -> AnchorNews {
        match timeout(PATIENCE, self.told.recv()).await.expect("news").unwrap() {
            Command::Input(Input::Anchor(news)) => news,
            Command::Input(_) | Command::Ask(_) | Command::Group(_) | Command::Stop => {
                panic!("no news of a leg")
            }
        }
    }

    /// The same, but for where its session is.
    pub async fn anchored(&mut self) -> AnchorNews {
        loop {
            let news = self.anchored_news().await;
            if !matches!(news, AnchorNews::Placed { .. }) {
                return news;
            }
        }
    }

    /// The leg's offer is described; the description.
    pub async fn offers(&mut self, id: u64, turn: u32) -> Bytes {
        assert_eq!(self.edge.order_anchor(&describe(id, turn, End::Far, Part::Offer)), None);
        let news = self.anchored().await;
        let AnchorNews::Described { id: of, turn: at, sdp } = news else { panic!("{news:?}") };
        assert_eq!((of, at), (AnchorId(id), turn));
        sdp
    }
}

#[tokio::test]
async fn a_leg_is_described_plays_music_and_is_deleted() {
    let mut engine = Fake::start(|request, _| Some(good(request))).await;
    let mut bed = Bed::start(&[engine.addr]).await;
    assert_eq!(bed.offers(1, 1).await, OFFER);
    assert_eq!(bed.edge.order_anchor(&describe(1, 2, End::Near, Part::Answer)), None);
    assert!(matches!(bed.anchored().await, AnchorNews::Described { turn: 2, .. }));
    let (id, file) = (AnchorId(1), "held.wav".into());
    bed.edge.order_anchor(&AnchorOrder::Play { id, file });
    bed.edge.order_anchor(&AnchorOrder::Quiet { id });
    bed.edge.order_anchor(&AnchorOrder::Release { id });
    let asked = [engine.next().await, engine.next().await, engine.next().await];
    assert_eq!((&asked[0]["command"], &asked[1]["command"]), (&json!("offer"), &json!("answer")));
    assert_eq!((&asked[2]["command"], &asked[2]["from-tag"]), (&json!("play media"), &json!("far")));
    assert_eq!(asked[2]["file"], "/media/held.wav");
    assert_eq!(engine.commands(2).await, ["stop media", "delete"]);
    assert_eq!(bed.edge.anchored(), 0);
}

#[tokio::test]
async fn music_that_an_engine_refuses_leaves_the_leg_as_it_is() {
    let rule = |request: &Value, _| match request["command"].as_str() {
        Some("play media") => Some(json!({ "result": "error", "error-reason": "cannot open" })),
        _ => Some(good(request)),
    };
    let engine = Fake::start(rule).await;
    let mut bed = Bed::start(&[engine.addr]).await;
    bed.offers(1, 1).await;
    bed.edge.order_anchor(&AnchorOrder::Play { id: AnchorId(1), file: "none.wav".into() });
    assert_eq!(bed.offers(1, 2).await, OFFER);
    assert_eq!(bed.edge.counters.failures.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn replies_that_are_lost_are_asked_for_again_and_doubled_ones_count_once() {
    let addr = raw(|cookie, request, times| {
        if request["command"] == "ping" {
            return vec![reply(cookie, &good(request))];
        }
        if times < 3 {
            return Vec::new();
        }
        let other = json!({ "result": "ok", "sdp": "v=0\r\ns=the second\r\n" });
        vec![reply(cookie, &good(request)), reply(cookie, &good(request)), reply(cookie, &other)]
    })
    .await;
    let mut bed = Bed::start(&[addr]).await;
    assert_eq!(bed.offers(1, 1).await, OFFER);
    assert_eq!(bed.offers(1, 2).await, OFFER);
}

#[tokio::test]
async fn a_late_reply_is_not_taken_for_that_to_another_request() {
    let late: Mutex<Vec<String>> = Mutex::default();
    let addr = raw(move |cookie, request, _| {
        let mut late = late.lock().unwrap();
        let old = json!({ "result": "ok", "sdp": "v=0\r\ns=old\r\n" });
        let mut out: Vec<_> = late.iter().map(|cookie| reply(cookie, &old)).collect();
        out.push(reply(cookie, &good(request)));
        late.push(cookie.to_owned());
        out
    })
    .await;
    let mut bed = Bed::start(&[addr]).await;
    for turn in 1..5 {
        assert_eq!(bed.offers(1, turn).await, OFFER);
    }
}

#[tokio::test]
async fn nonsense_is_skipped_and_a_reply_without_a_result_is_a_refusal() {
    let addr = raw(|cookie, request, _| {
        let nonsense: [&[u8]; 6] =
            [b"", b"\xff\xfe\x00", b"no-space", b"unknown {\"result\": \"ok\"}", b" {}", b"5:result2:oke"];
        let mut out: Vec<Vec<u8>> = nonsense.iter().map(|bytes| bytes.to_vec()).collect();
        out.push(format!("{cookie} {{\"result\": \"o").into_bytes());
        out.push(match request["sdp"].as_str() {
            Some(_) if request["from-tag"] == "near" => reply(cookie, &json!({ "sdp": OFFER })),
            Some(_) if request["call-id"].as_str().unwrap().ends_with("a9") => {
                reply(cookie, &json!({ "result": "ok" }))
            }
            _ => reply(cookie, &good(request)),
        });
        out
    })
    .await;
    let mut bed = Bed::start(&[addr]).await;
    assert_eq!(bed.offers(1, 1).await, OFFER);
    for (id, from) in [(2, End::Near), (9, End::Far)] {
        bed.edge.order_anchor(&describe(id, 1, from, Part::Offer));
        let AnchorNews::Failed { refused: true, .. } = bed.anchored().await else { panic!("a refusal") };
    }
}

#[tokio::test]
async fn a_leg_whose_engine_dies_is_told_lost_once_another_works_and_is_made_there() {
    let first = Fake::start(|request, _| Some(good(request))).await;
    let mut bed = Bed::start(&[first.addr]).await;
    bed.offers(1, 1).await;
    let addr = first.addr;
    first.task.abort();
    bed.up(0).await;
    let socket = loop {
        // The port is free as soon as the task is gone.
        match UdpSocket::bind(addr).await {
            Ok(socket) => break socket,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_535];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let text = std::str::from_utf8(&buffer[..length]).unwrap().to_owned();
            let (cookie, request) = text.split_once(' ').unwrap();
            let request: Value = serde_json::from_str(request).unwrap();
            socket.send_to(&reply(cookie, &good(&request)), from).await.unwrap();
        }
    });
    assert_eq!(bed.anchored().await, AnchorNews::Lost { id: AnchorId(1) });
    assert_eq!(bed.offers(1, 2).await, OFFER);
}
