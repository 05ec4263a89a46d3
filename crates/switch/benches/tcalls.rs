//! What the T-Library's view of a plain call costs: `cargo bench -p tandem-switch --bench tcalls`.

#![allow(clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "a bench has a clock")]

use std::sync::Arc;
use std::time::Instant;

use divan::{Bencher, black_box};
use tandem_peer::ChangeLog;
use tandem_sip::Transport;
use tandem_switch::Now;
use tandem_switch::arena::Arena;
use tandem_switch::call::{Carried, EndReason, Far, News};
use tandem_switch::cdr::EndedBy;
use tandem_switch::cti::calls::{Desk, TCalls};
use tandem_switch::directory::{Directory, DnClass, Extension, Listen, Options, Server};

fn main() {
    divan::main();
}

fn directory() -> Directory {
    let class = Arc::new(DnClass::default());
    let extension = |n: u32| Extension { number: n.to_string().into(), class: class.clone() };
    let addr = "198.51.100.1:5060".parse().expect("an address");
    let server = Server {
        name: "site-a".into(),
        switch: "a".into(),
        sip_address: "198.51.100.1".into(),
        sip_port: 5060,
        listen: vec![Listen { transport: Transport::Udp, addr }],
        realm: "tandem".into(),
        nonce_secret: [7; 32],
    };
    Directory::new(server, Options::default(), (1000..2000).map(extension).collect(), vec![], vec![])
        .expect("a directory")
}

/// Open, offer, ring, answer, two ends, over: all facts of one call. `watched`: whether clients hear both DNs.
#[divan::bench(args = [false, true])]
fn plain_call(bencher: Bencher, watched: bool) {
    let directory = directory();
    let (mut log, mut calls, mut arena) = (ChangeLog::new(1, 1), TCalls::new(7), Arena::new(10));
    let now = Now { mono: Instant::now(), unix_ms: 1 };
    let (from, to): (Arc<str>, Arc<str>) = ("1001".into(), "1002".into());
    let heard = move |_: &str| watched;
    bencher.bench_local(|| {
        let key = arena.insert_with(|_| ()).expect("a slot");
        let end = |leg| News::Ended { leg, by: EndedBy::Caller, reason: EndReason::Bye };
        let opened = News::Opened {
            uuid: 1,
            origin: Far::Extension(from.clone()),
            from: "1001".into(),
            to: "1002".into(),
            parked: None,
            carried: Carried::default(),
            ticket: None,
        };
        let offered = News::Offered { leg: 1, to: Far::Extension(to.clone()) };
        let (rings, answers) = (News::Ringing { leg: 1 }, News::Answered { leg: 1 });
        for news in [opened, offered, rings, answers, end(0), end(1), News::Over] {
            let mut desk = Desk { directory: &directory, log: &mut log, now, watched: &heard };
            calls.news(&mut desk, key, news);
            while let Some(happening) = calls.poll() {
                black_box(happening);
            }
        }
        arena.remove(key);
        black_box(log.take_batch());
    });
    assert!(calls.is_empty());
}
