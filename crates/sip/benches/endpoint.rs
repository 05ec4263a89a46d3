//! What the transaction layer costs, in time and in allocations: `cargo bench -p tandem-sip --bench endpoint`.
//!
//! Each round is one transaction or call at a busy server: time goes on by 200 µs, so that 160,000 server
//! transactions linger for Timers J and L while the round is taken. Divan's item rate is messages per second, in
//! both directions. Reading a message from its datagram is part of it, one allocation each for the datagram.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "the samples are sound")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tandem_sip::{Branch, Endpoint, Flow, Message, Method, Received, Timers, Transport};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

/// Between two rounds.
const GAP: Duration = Duration::from_micros(200);

/// 32 characters that each round replaces by a branch of its own.
const PLACE: &str = "z9hG4bKxxxxxxxxxxxxxxxxxxxxxxxxx";

fn main() {
    divan::main();
}

/// A message with a place for the branch.
struct Template {
    text: Vec<u8>,
    at: usize,
}

impl Template {
    fn new(start: &str, cseq: &str, more: &str) -> Self {
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP 192.0.2.21:5062;rport;branch={PLACE}\r\nMax-Forwards: 70\r\n\
             From: \"Alice Example\" <sip:1001@example.com>;tag=9fxced76sl\r\nTo: <sip:1002@example.com>{more}\r\n\
             Contact: <sip:1001@192.0.2.21:5062;ob>\r\nCall-ID: 3848276298220188511@192.0.2.21\r\nCSeq: {cseq}\r\n\
             Allow: INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, OPTIONS\r\nSupported: replaces, 100rel, timer\r\n\
             User-Agent: Softphone/2.4 (Linux)\r\nContent-Length: 0\r\n\r\n"
        );
        let at = text.find(PLACE).expect("the place is there");
        Template { text: text.into_bytes(), at }
    }

    /// The datagram with this branch.
    fn datagram(&self, branch: &[u8]) -> Bytes {
        let mut text = self.text.clone();
        text[self.at..self.at + branch.len()].copy_from_slice(branch);
        text.into()
    }

    fn message(&self, branch: &[u8]) -> Message {
        Message::parse(self.datagram(branch)).expect("the sample is sound")
    }
}

/// An endpoint at work.
struct Server {
    endpoint: Endpoint<u64>,
    flow: Flow,
    now: Instant,
    round: u64,
}

impl Server {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant will do to count from")]
        let now = Instant::now();
        let remote = "192.0.2.21:5062".parse().expect("an address");
        let flow = Flow { transport: Transport::Udp, local: 0, remote, conn: 0 };
        Server { endpoint: Endpoint::new(Timers::default(), 1), flow, now, round: 0 }
    }

    /// The next round, and a branch that no other one has.
    fn next(&mut self) -> [u8; 32] {
        self.round += 1;
        self.now += GAP;
        self.endpoint.handle_timeout(self.now);
        let mut branch = [b'x'; 32];
        branch[..7].copy_from_slice(b"z9hG4bK");
        for (n, byte) in branch[7..].iter_mut().enumerate() {
            *byte = b'a' + ((self.round >> (2 * n)) & 3) as u8;
        }
        branch
    }

    fn receive(&mut self, message: Message) -> Received<u64> {
        self.endpoint.receive(self.flow, message, self.now)
    }

    fn serve(&mut self, request: Message, answers: &[(u16, &Bytes)]) {
        let (Received::Request { txn, .. } | Received::Merged { txn, .. }) = self.receive(request) else {
            return;
        };
        self.endpoint.attach(txn, 1);
        for (code, payload) in answers {
            self.endpoint.respond(txn, *code, (*payload).clone(), self.now);
        }
    }

    /// Sends a request of ours; the bytes stand for what a user would print.
    fn ask(&mut self, method: Method, payload: &Bytes) -> Branch {
        let (txn, branch) = self.endpoint.reserve().expect("there is room");
        self.endpoint.start(txn, method, self.flow, payload.clone(), 1, self.now);
        branch
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            black_box(transmit);
        }
        black_box(self.endpoint.next_timeout());
    }

    /// Lets the population of lingering transactions reach its steady state.
    fn warm_up(&mut self, mut round: impl FnMut(&mut Self)) {
        for _ in 0..200_000 {
            round(self);
        }
    }
}

/// REGISTER in, 200 out.
#[divan::bench(sample_count = 200, sample_size = 500)]
fn register_transaction(bencher: Bencher<'_, '_>) {
    let template = Template::new("REGISTER sip:example.com SIP/2.0", "7 REGISTER", "");
    let ok = Bytes::from(vec![b'x'; 400]);
    let round = |server: &mut Server| {
        let branch = server.next();
        server.serve(template.message(&branch), &[(200, &ok)]);
        server.drain();
    };
    let mut server = Server::new();
    server.warm_up(round);
    bencher.counter(ItemsCount::new(2u32)).bench_local(|| round(&mut server));
    println!("{} transactions alive", server.endpoint.len());
}

/// The 13 datagrams of a call through a B2BUA: INVITE, 100, 180, 200, ACK on both sides, BYE and 200 likewise.
#[divan::bench(sample_count = 100, sample_size = 500)]
fn b2bua_call(bencher: Bencher<'_, '_>) {
    let invite = Template::new("INVITE sip:1002@example.com SIP/2.0", "1 INVITE", "");
    let ack = Template::new("ACK sip:1002@example.com SIP/2.0", "1 ACK", ";tag=b2");
    let bye = Template::new("BYE sip:1002@example.com SIP/2.0", "2 BYE", ";tag=b2");
    let ringing = Template::new("SIP/2.0 180 Ringing", "1 INVITE", ";tag=b2");
    let answer = Template::new("SIP/2.0 200 OK", "1 INVITE", ";tag=b2");
    let bye_ok = Template::new("SIP/2.0 200 OK", "2 BYE", ";tag=b2");
    let ours = invite.datagram(PLACE.as_bytes());
    let round = |server: &mut Server| {
        let branch = server.next();
        server.serve(invite.message(&branch), &[(100, &ours), (180, &ours), (200, &ours)]);
        let leg = server.ask(Method::Invite, &ours);
        black_box(server.receive(ringing.message(leg.as_ref())));
        black_box(server.receive(answer.message(leg.as_ref())));
        let mut other = branch;
        other[31] = b'y';
        black_box(server.receive(ack.message(&other)));
        server.endpoint.send(server.flow, ours.clone());
        other[31] = b'z';
        server.serve(bye.message(&other), &[(200, &ours)]);
        let leg = server.ask(Method::Bye, &ours);
        black_box(server.receive(bye_ok.message(leg.as_ref())));
        server.drain();
    };
    let mut server = Server::new();
    server.endpoint.set_capacity(1_000_000);
    server.warm_up(round);
    bencher.counter(ItemsCount::new(13u32)).bench_local(|| round(&mut server));
    println!("{} transactions alive", server.endpoint.len());
}

/// A retransmitted INVITE that gets its last response again.
#[divan::bench(sample_count = 200, sample_size = 500)]
fn retransmitted_request(bencher: Bencher<'_, '_>) {
    let template = Template::new("INVITE sip:1002@example.com SIP/2.0", "1 INVITE", "");
    let mut server = Server::new();
    let branch = server.next();
    server.serve(template.message(&branch), &[(100, &Bytes::from_static(b"100"))]);
    let message = template.message(&branch);
    bencher.counter(ItemsCount::new(2u32)).bench_local(|| {
        black_box(server.receive(message.clone()));
        server.drain();
    });
}
