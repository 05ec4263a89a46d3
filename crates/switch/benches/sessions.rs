//! What telling an event costs: `cargo bench -p tandem-switch --bench sessions`.

#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "samples are sound; a bench has a clock")]

use std::sync::Arc;
use std::time::Instant;

use divan::{Bencher, black_box};
use tandem_cti::{Body, CallType, ControlMode, Event, EventName, RegisterMode, Role, decode, encode};
use tandem_peer::ChangeLog;
use tandem_switch::Now;
use tandem_switch::cti::LinkId;
use tandem_switch::cti::sessions::{Opening, Sessions};

const DESKTOPS: u64 = 10_000;

fn main() {
    divan::main();
}

struct Floor {
    sessions: Sessions,
    log: ChangeLog,
    now: Now,
}

/// 10,000 desktops at a DN each and at one that all share, and a supervisor who monitors every DN.
fn floor() -> Floor {
    let now = Now { mono: Instant::now(), unix_ms: 1_770_000_000_000 };
    let mut floor = Floor { sessions: Sessions::default(), log: ChangeLog::new(1, 1), now };
    for link in 0..=DESKTOPS {
        let role = if link == 0 { Role::Supervisor } else { Role::Agent };
        let opening = Opening {
            link: LinkId(link),
            person: "person".into(),
            role,
            application: "bench",
            resume: None,
            reference_id: None,
            server: "site-a",
            token: u128::from(link),
        };
        floor.sessions.open(&mut floor.log, now, &opening);
        let all = 1..=DESKTOPS;
        let own = if link == 0 { all } else { link..=link };
        for number in own {
            floor.register(link, &number.to_string(), RegisterMode::Monitor);
        }
        floor.register(link, "all", RegisterMode::Monitor);
    }
    floor.drain();
    floor
}

fn ringing() -> Event {
    Event {
        this_dn: Some("1001".into()),
        other_dn: Some("0301234567".into()),
        conn_id: Some("5f1c02a900000007".into()),
        call_uuid: Some("0c8b1d6f2a9e43b7a5d01f6e7c3b9a24".into()),
        call_type: Some(CallType::Inbound),
        user_data: [("CustomerID".to_owned(), "47-11".into())].into(),
        ..Event::new(EventName::Ringing)
    }
}

impl Floor {
    fn register(&mut self, link: u64, number: &str, mode: RegisterMode) {
        let session = self.sessions.who(LinkId(link)).expect("open").session;
        let dn: Arc<str> = number.into();
        let control = ControlMode::Default;
        self.sessions.register(&mut self.log, self.now, session, &dn, mode, control).expect("room");
    }

    fn tell(&mut self, number: &str) {
        self.sessions.tell(&mut self.log, self.now, number, ringing(), None);
    }

    fn drain(&mut self) -> usize {
        black_box(self.log.take_batch());
        std::iter::from_fn(|| self.sessions.poll_outgoing()).count()
    }
}

#[divan::bench]
fn tell_a_desktop_and_its_supervisor(bencher: Bencher) {
    let mut floor = floor();
    bencher.bench_local(|| {
        floor.tell("5000");
        floor.drain()
    });
}

#[divan::bench]
fn tell_ten_thousand_desktops(bencher: Bencher) {
    let mut floor = floor();
    bencher.bench_local(|| {
        floor.tell("all");
        floor.drain()
    });
}

#[divan::bench]
fn write_an_event(bencher: Bencher) {
    let event = ringing();
    bencher.bench_local(|| encode(black_box(&event), 5, Some(7)));
}

#[divan::bench]
fn write_an_event_for_one_more_client(bencher: Bencher) {
    let body = Body::of(&ringing());
    bencher.bench_local(|| black_box(&body).with(5, Some(7)));
}

#[divan::bench]
fn read_a_request(bencher: Bencher) {
    let text =
        r#"{"request":"TMakeCall","ReferenceID":7,"ThisDN":"1001","OtherDN":"1002","UserData":{"a":"b"}}"#;
    bencher.bench_local(|| decode(black_box(text)));
}
