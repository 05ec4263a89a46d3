//! Whatever arrives in whatever order: no panic, every transaction ends, no timer stays behind, and the same events
//! give the same messages.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use tandem_sip::{Branch, Endpoint, Event, Message, Method, Received, Timers, Transport, TxnId};

use crate::support::{endpoint, flow, message, ms, ours, reply, request_with, start};

const METHODS: [&str; 6] = ["INVITE", "BYE", "REGISTER", "CANCEL", "ACK", "FOO"];
const CODES: [u16; 7] = [100, 180, 200, 202, 302, 486, 503];

#[derive(Clone, Debug)]
enum Step {
    Request { method: usize, branch: u8, stream: bool, in_dialog: bool, cookie: bool },
    Respond { nth: usize, code: usize },
    Start { method: usize, stream: bool },
    Answer { nth: usize, code: usize },
    Cancel { nth: usize },
    Abandon { nth: usize },
    Fail { stream: bool },
    Wait { ms: u64 },
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6usize, 0..4u8, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(method, branch, stream, in_dialog, cookie)| Step::Request {
                method,
                branch,
                stream,
                in_dialog,
                cookie
            }
        ),
        (0..8usize, 0..7usize).prop_map(|(nth, code)| Step::Respond { nth, code }),
        (0..6usize, any::<bool>()).prop_map(|(method, stream)| Step::Start { method, stream }),
        (0..8usize, 0..7usize).prop_map(|(nth, code)| Step::Answer { nth, code }),
        (0..8usize).prop_map(|nth| Step::Cancel { nth }),
        (0..8usize).prop_map(|nth| Step::Abandon { nth }),
        any::<bool>().prop_map(|stream| Step::Fail { stream }),
        (0..40_000u64).prop_map(|ms| Step::Wait { ms }),
        Just(Step::Tick),
    ]
}

/// An endpoint, the transactions that it told of, and everything it did.
struct World {
    endpoint: Endpoint<u32>,
    now: Instant,
    served: Vec<(TxnId, Message)>,
    started: Vec<(TxnId, Branch, Message)>,
    trace: Vec<String>,
}

impl World {
    fn new(now: Instant) -> Self {
        World { endpoint: endpoint(), now, served: Vec::new(), started: Vec::new(), trace: Vec::new() }
    }

    fn apply(&mut self, step: &Step) {
        let transport = |stream: bool| if stream { Transport::Tcp } else { Transport::Udp };
        match step {
            Step::Request { method, branch, stream, in_dialog, cookie } => {
                let cookie = if *cookie { "z9hG4bK" } else { "" };
                let tag = if *in_dialog { ";tag=b2" } else { "" };
                let via = format!("SIP/2.0/{} 192.0.2.7:5070", transport(*stream));
                let request = request_with(METHODS[*method], &format!("{cookie}{branch}"), &via, tag);
                let received = self.endpoint.receive(flow(transport(*stream)), request, self.now);
                self.note(received);
            }
            Step::Respond { nth, code } => {
                if let Some((txn, request)) = self.served.get(*nth) {
                    self.endpoint.respond(*txn, CODES[*code], reply(request, CODES[*code]), self.now);
                }
            }
            Step::Start { method, stream } => {
                let (txn, branch) = self.endpoint.reserve().unwrap();
                let payload = ours(METHODS[*method], branch.as_ref());
                let method = Method::parse(METHODS[*method].as_bytes());
                self.endpoint.start(txn, method, flow(transport(*stream)), payload.clone(), 1, self.now);
                self.started.push((txn, branch, Message::parse(payload).unwrap()));
            }
            Step::Answer { nth, code } => {
                if let Some((_, _, request)) = self.started.get(*nth) {
                    let answer = Message::parse(reply(request, CODES[*code])).unwrap();
                    let received = self.endpoint.receive(flow(Transport::Udp), answer, self.now);
                    self.note(received);
                }
            }
            Step::Cancel { nth } => {
                if let Some((txn, branch, _)) = self.started.get(*nth) {
                    self.endpoint.cancel(*txn, ours("CANCEL", branch.as_ref()), self.now);
                }
            }
            Step::Abandon { nth } => {
                if let Some((txn, ..)) = self.started.get(*nth) {
                    self.endpoint.abandon(*txn);
                }
            }
            Step::Fail { stream } => self.endpoint.transport_failed(flow(transport(*stream)), self.now),
            Step::Wait { ms } => self.now += Duration::from_millis(*ms),
            Step::Tick => self.endpoint.handle_timeout(self.now),
        }
        self.drain();
    }

    fn note(&mut self, received: Received<u32>) {
        match received {
            Received::Request { txn, message, .. }
            | Received::Merged { txn, message, .. }
            | Received::Cancel { txn, message, .. } => {
                self.endpoint.attach(txn, 2);
                self.trace.push(format!("{txn:?} {:?}", message.method()));
                self.served.push((txn, message));
            }
            Received::Response { txn, message, .. } => {
                self.trace.push(format!("{txn:?} {:?}", message.code()));
            }
            Received::Absorbed
            | Received::Ack { .. }
            | Received::Stray { .. }
            | Received::BadRequest { .. }
            | Received::Full { .. } => {}
        }
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.trace.push(format!("{transmit:?}"));
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.trace.push(format!("{event:?}"));
        }
    }

    /// Answers what is open, cancels what rings, and lets all timers fire, each at its deadline.
    fn wind_down(&mut self) {
        for (txn, request) in std::mem::take(&mut self.served) {
            self.endpoint.respond(txn, 480, reply(&request, 480), self.now);
        }
        for (txn, branch, _) in std::mem::take(&mut self.started) {
            self.endpoint.cancel(txn, ours("CANCEL", branch.as_ref()), self.now);
        }
        self.drain();
        let mut rounds = 0;
        while let Some((at, name)) = self.endpoint.next_timeout() {
            let before = self.endpoint.next_timeout();
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            assert_ne!(self.endpoint.next_timeout(), before, "timer {name:?} was not due at its deadline");
            self.drain();
            rounds += 1;
            assert!(rounds < 10_000, "timers without end");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), ..ProptestConfig::default() })]

    #[test]
    fn every_transaction_ends_and_leaves_no_timer(steps in proptest::collection::vec(step(), 1..80)) {
        let now = start();
        let (mut world, mut twin) = (World::new(now), World::new(now));
        for step in &steps {
            world.apply(step);
            twin.apply(step);
        }
        world.wind_down();
        twin.wind_down();
        prop_assert!(world.endpoint.is_empty(), "{} transactions left", world.endpoint.len());
        prop_assert_eq!(world.endpoint.next_timeout(), None);
        prop_assert_eq!(world.trace, twin.trace);
    }

    /// A started request ends in exactly one way: a final response, or one event. Never both, never neither.
    #[test]
    fn a_request_has_exactly_one_end(
        answers in proptest::collection::vec((0..7usize, 0..20_000u64), 0..12),
        stream in any::<bool>()
    ) {
        let (mut endpoint, start) = (endpoint(), start());
        let transport = if stream { Transport::Tcp } else { Transport::Udp };
        let (txn, branch) = endpoint.reserve().unwrap();
        let payload = ours("REGISTER", branch.as_ref());
        let request = Message::parse(payload.clone()).unwrap();
        endpoint.start(txn, Method::Register, flow(transport), payload, 1, start);
        let (mut now, mut ends) = (start, 0);
        for (code, gap) in answers {
            let answer = Message::parse(reply(&request, CODES[code])).unwrap();
            if let Received::Response { message, .. } = endpoint.receive(flow(transport), answer, now) {
                ends += u32::from(message.code() >= Some(200));
            }
            now += ms(gap);
            endpoint.handle_timeout(now);
        }
        endpoint.handle_timeout(now + ms(100_000));
        endpoint.handle_timeout(now + ms(200_000));
        while let Some(event) = endpoint.poll_event() {
            prop_assert_eq!(event, Event::Timeout { txn, user: 1 });
            ends += 1;
        }
        prop_assert_eq!(ends, 1);
        prop_assert!(endpoint.is_empty());
    }

    /// Timers that make no sense are made to make some.
    #[test]
    fn absurd_timers_still_end_a_request(t1 in any::<u64>(), t2 in any::<u64>(), t4 in any::<u64>()) {
        let [t1, t2, t4] = [t1, t2, t4].map(Duration::from_secs);
        for timers in [Timers { t1, t2, t4 }, Timers { t1: ms(0), t2: ms(0), t4: ms(0) }] {
            let (mut endpoint, mut now) = (Endpoint::new(timers, 1), start());
            let (txn, branch) = endpoint.reserve().unwrap();
            endpoint.start(txn, Method::Bye, flow(Transport::Udp), ours("BYE", branch.as_ref()), 1, now);
            while let Some((at, _)) = endpoint.next_timeout() {
                now = at;
                endpoint.handle_timeout(now);
            }
            prop_assert_eq!(endpoint.poll_event(), Some(Event::Timeout { txn, user: 1 }));
        }
    }

    /// Bytes that parse, whatever they say, are taken without harm.
    #[test]
    fn damaged_messages_do_no_harm(flips in proptest::collection::vec((0usize..400, any::<u8>()), 1..8)) {
        let (mut endpoint, now) = (endpoint(), start());
        let good = request_with("INVITE", "z9hG4bK1", "SIP/2.0/UDP 192.0.2.7:5070;rport", "");
        for good in [good.bytes().clone(), reply(&good, 200)] {
            let mut bytes = good.to_vec();
            for (at, byte) in &flips {
                if let Some(place) = bytes.get_mut(*at) {
                    *place = *byte;
                }
            }
            if let Ok(message) = Message::parse(bytes.into()) {
                endpoint.receive(flow(Transport::Udp), message, now);
            }
        }
        endpoint.handle_timeout(now + ms(300));
        prop_assert!(endpoint.len() <= 1);
        let headless = endpoint.receive(flow(Transport::Udp), message("SIP/2.0 200 OK\nX: y\n\n"), now);
        let is_stray = matches!(headless, Received::Stray { .. });
        prop_assert!(is_stray);
    }
}
