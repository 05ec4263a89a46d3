//! What one message costs the whole `Node`, from the parsed message to the outputs polled: `cargo bench -p tandem-switch
//! --bench node`. Every call of a run stays in the tables as it would in service, so the figures include their growth.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::cell::RefCell;

use divan::{AllocProfiler, Bencher};
use support::{Bed, answer, directory, flow, in_dialog, invite};
use tandem_sip::{Flow, Message, Transport};
use tandem_switch::directory::{Authenticate, Extension};
use tandem_switch::{Input, Output};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const CALLER: &str = "10.0.0.11:5060";
const CALLEE: &str = "10.0.0.33:5060";

fn main() {
    divan::main();
}

/// The messages of one call as they reach the node.
#[derive(Clone, Copy, Debug)]
enum Step {
    Invite,
    Ringing,
    Ok,
    Ack,
    Bye,
    ByeOk,
}

/// A node in which calls run, and a number for the next one.
struct Floor {
    bed: Bed,
    next: u64,
}

impl Floor {
    fn new() -> Self {
        let bed = Bed::with(directory(|options, _, _| {
            options.dr_peer_trunk = None;
            options.authenticate = Authenticate { register: false, invite: false };
        }));
        Self { bed, next: 0 }
    }

    /// Runs a new call up to a step and gives the message of that step.
    fn until(&mut self, step: Step) -> (&'static str, Message) {
        self.next += 1;
        let id = format!("call{}", self.next);
        let first = invite("1001", CALLER, "1003", &id);
        if matches!(step, Step::Invite) {
            return (CALLER, read(&first));
        }
        self.bed.receive(CALLER, &first);
        let offered = self.bed.one(CALLEE);
        let ringing = answer(&offered, 180, "callee", CALLEE, "");
        if matches!(step, Step::Ringing) {
            return (CALLEE, read(&ringing));
        }
        self.bed.receive(CALLEE, &ringing);
        let ok = answer(&offered, 200, "callee", CALLEE, "answer");
        if matches!(step, Step::Ok) {
            return (CALLEE, read(&ok));
        }
        self.bed.receive(CALLEE, &ok);
        let answered = self.bed.take(CALLER).pop().unwrap();
        let ack = in_dialog(&answered, "ACK", 1, CALLER, "").replace("z9hG4bK", &format!("z9hG4bK{id}"));
        if matches!(step, Step::Ack) {
            return (CALLER, read(&ack));
        }
        self.bed.receive(CALLER, &ack);
        self.bed.take(CALLEE);
        let bye = in_dialog(&answered, "BYE", 2, CALLER, "").replace("z9hG4bK", &format!("z9hG4bK{id}"));
        if matches!(step, Step::Bye) {
            return (CALLER, read(&bye));
        }
        self.bed.receive(CALLER, &bye);
        let passed = self.bed.one(CALLEE);
        (CALLEE, read(&answer(&passed, 200, "", CALLEE, "")))
    }
}

fn read(text: &str) -> Message {
    Message::parse(text.replace('\n', "\r\n").into_bytes().into())
        .expect("the bench's own message can be read")
}

#[divan::bench(args = [Step::Invite, Step::Ringing, Step::Ok, Step::Ack, Step::Bye, Step::ByeOk], sample_count = 200, sample_size = 50)]
fn call(bencher: Bencher<'_, '_>, step: Step) {
    let floor = RefCell::new(Floor::new());
    let input = || {
        let mut floor = floor.borrow_mut();
        floor.bed.sent.clear();
        floor.bed.cdrs.clear();
        floor.until(step)
    };
    bencher.with_inputs(input).bench_local_values(|(from, message)| {
        let bed = &mut floor.borrow_mut().bed;
        let now = bed.now;
        bed.node.handle_input(Input::Sip { flow: flow(from), message }, now);
        while let Some(output) = bed.node.poll_output() {
            if let Output::Store(batch) = &output {
                bed.node.handle_input(Input::Persisted { seq: batch.seq().0 }, now);
            }
            divan::black_box(&output);
        }
    });
}

#[divan::bench(args = [1, 1000], sample_count = 200, sample_size = 50)]
fn register_refresh(bencher: Bencher<'_, '_>, phones: u64) {
    let floor = RefCell::new((Floor::new(), 0u64));
    let input = || {
        let (_, next) = &mut *floor.borrow_mut();
        *next += 1;
        let (phone, round) = (*next % phones, *next);
        let at = format!("10.1.{}.{}:5060", phone / 250, phone % 250 + 1);
        let text = format!(
            "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bKr{round};rport\nMax-Forwards: 70\n\
             From: <sip:1002@tandem>;tag=r{round}\nTo: <sip:1002@tandem>\nCall-ID: phone{phone}\nCSeq: {round} REGISTER\n\
             Contact: <sip:1002@10.1.0.1:5060>;expires=3600\nExpires: 3600\nUser-Agent: bench\nContent-Length: 0\n\n"
        );
        (at, read(&text))
    };
    bencher.with_inputs(input).bench_local_values(|(at, message)| {
        let bed = &mut floor.borrow_mut().0.bed;
        let now = bed.now;
        bed.node.handle_input(Input::Sip { flow: flow(&at), message }, now);
        while let Some(output) = bed.node.poll_output() {
            if let Output::Store(batch) = &output {
                bed.node.handle_input(Input::Persisted { seq: batch.seq().0 }, now);
            }
            divan::black_box(&output);
        }
    });
}

/// The first turn after the connection of an edge proxy has ended behind which so many phones are registered.
#[divan::bench(args = [500, 5_000, 20_000], sample_count = 20, sample_size = 1)]
fn connection_ends(bencher: Bencher<'_, '_>, phones: usize) {
    let over =
        Flow { transport: Transport::Tcp, local: 0, remote: "10.0.0.99:5060".parse().unwrap(), conn: 17 };
    let input = || {
        let mut bed = Bed::with(directory(|options, extensions, _| {
            options.dr_peer_trunk = None;
            options.authenticate = Authenticate { register: false, invite: false };
            options.registration.register_rate = 100_000;
            let class = extensions[0].class.clone();
            let more = |n| Extension { number: format!("5{n:05}").into(), class: class.clone() };
            extensions.extend((0..phones).map(more));
        }));
        for n in 0..phones {
            let text = format!(
                "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/TCP 10.0.0.99;branch=z9hG4bKm{n}\nPath: <sip:10.0.0.99;transport=tcp;lr>\n\
                 Supported: path\nFrom: <sip:5{n:05}@tandem>;tag=r\nTo: <sip:5{n:05}@tandem>\nCall-ID: m{n}\nCSeq: 1 REGISTER\n\
                 Contact: <sip:5{n:05}@192.168.7.7>;expires=3600\nContent-Length: 0\n\n"
            );
            bed.receive_by(over, &text);
        }
        bed.pass(std::time::Duration::from_secs(40));
        assert_eq!(bed.node.status(bed.now).bindings, phones);
        bed.sent.clear();
        bed
    };
    bencher.with_inputs(input).bench_local_values(|mut bed| {
        bed.node.handle_input(Input::FlowFailed { flow: over }, bed.now);
        while let Some(output) = bed.node.poll_output() {
            if let Output::Store(batch) = &output {
                bed.node.handle_input(Input::Persisted { seq: batch.seq().0 }, bed.now);
            }
            divan::black_box(&output);
        }
        bed
    });
}
