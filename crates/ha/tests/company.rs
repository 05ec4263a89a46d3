//! What waits for the disk, and for how long, of the calls that a server alone carries.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use tandem_sip::{Message, Method};
use world::{PHONE, World};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Two phones that are registered, at a server whose disk takes 2 ms.
fn ready() -> World {
    let mut world = World::alone();
    world.register(0, "1001");
    world.register(0, "1002");
    world.pass(ms(10));
    world
}

fn writes(world: &World) -> usize {
    world.machines[0].writes
}

/// The last message that left.
fn last(world: &World) -> String {
    String::from_utf8(world.machines[0].sent.last().unwrap().1.bytes().to_vec()).unwrap()
}

/// How long ago the last message with this beginning left, which there is.
fn since(world: &World, begins: &str) -> Duration {
    let sent = |(_, message): &&(std::time::Instant, Message)| message.bytes().starts_with(begins.as_bytes());
    let (at, _) = world.machines[0].sent.iter().rev().find(sent).unwrap();
    world.now.mono.saturating_duration_since(*at)
}

fn sent(world: &World, begins: &str) -> usize {
    let begins = |message: &Message| message.bytes().starts_with(begins.as_bytes());
    world.machines[0].sent.iter().filter(|(_, message)| begins(message)).count()
}

/// One phone's half of a call.
struct Call {
    id: &'static str,
    /// The INVITE that the other one got.
    invite: String,
    /// To of the 200.
    to: String,
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

impl Call {
    /// 1001 calls 1002, and the INVITE is there.
    fn begins(world: &mut World, id: &'static str) -> Self {
        world.receive(0, &request("INVITE", id, 1, "<sip:1002@tandem>"));
        world.pass(ms(3));
        let invite = last(world);
        assert!(invite.starts_with("INVITE "), "{invite}");
        Self { id, invite, to: String::new() }
    }

    /// 1002 says this.
    fn says(&self, world: &mut World, status: &str) {
        world.receive(0, &answer(&self.invite, status));
    }

    /// The whole of it until both talk, and that is stored.
    fn answered(world: &mut World, id: &'static str) -> Self {
        let mut call = Self::begins(world, id);
        call.is_answered(world);
        world.pass(ms(110));
        call
    }

    /// 1002 answers, and 1001 says that he has heard it.
    fn is_answered(&mut self, world: &mut World) {
        self.says(world, "200 OK");
        world.pass(ms(3));
        self.to = header(&last(world), "To").to_owned();
        world.receive(0, &request("ACK", self.id, 1, &self.to));
        world.pass(ms(3));
        assert!(last(world).starts_with("ACK "), "{}", last(world));
    }

    /// 1001 hangs up.
    fn ends(&self, world: &mut World) {
        world.receive(0, &request("BYE", self.id, 2, &self.to));
    }
}

/// What the phone that was called says to a request; its tag is `b`.
fn answer(request: &str, status: &str) -> String {
    let [via, from, to, id, cseq] =
        ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| header(request, name));
    let tag = if to.contains("tag=") { "" } else { ";tag=b" };
    format!(
        "SIP/2.0 {status}\nVia: {via}\nFrom: {from}\nTo: {to}{tag}\nCall-ID: {id}\nCSeq: {cseq}\n\
         Contact: <sip:1002@{PHONE}>\nContent-Length: 0\n\n"
    )
}

fn request(method: &str, id: &str, cseq: u32, to: &str) -> String {
    format!(
        "{method} sip:1002@tandem SIP/2.0\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bK{id}{method}\nMax-Forwards: 70\n\
         From: <sip:1001@tandem>;tag=a\nTo: {to}\nCall-ID: {id}\nCSeq: {cseq} {method}\n\
         Contact: <sip:1001@{PHONE}>\nContent-Length: 0\n\n"
    )
}

/// The server asks for no ACK any more, and the call can be ended.
fn goes_on_and_ends(world: &mut World, call: &Call) {
    let before = sent(world, "SIP/2.0 200");
    world.pass(ms(5_000));
    assert_eq!(sent(world, "SIP/2.0 200"), before);
    call.ends(world);
    world.pass(ms(15));
    assert_eq!(sent(world, "BYE "), 1);
}

#[test]
fn a_call_is_written_when_it_begins_is_answered_and_ends_and_at_no_other_step() {
    let mut world = ready();
    let before = writes(&world);
    let mut call = Call::begins(&mut world, "one");
    assert_eq!(writes(&world), before + 1);
    call.says(&mut world, "180 Ringing");
    assert_eq!((sent(&world, "SIP/2.0 180"), writes(&world)), (1, before + 1), "ringing waits for nothing");
    call.is_answered(&mut world);
    assert_eq!(writes(&world), before + 2, "that it was acknowledged waits for company");
    call.ends(&mut world);
    world.pass(ms(13));
    let bye = last(&world);
    assert!(bye.starts_with("BYE "), "{bye}");
    world.receive(0, &answer(&bye, "200 OK"));
    world.pass(ms(10));
    assert_eq!((writes(&world), world.machines[0].over.len()), (before + 3, 1));
}

#[test]
fn an_acknowledgement_is_passed_on_at_once_and_stored_within_a_tenth_of_a_second() {
    let mut world = ready();
    let mut call = Call::begins(&mut world, "one");
    call.says(&mut world, "200 OK");
    world.pass(ms(3));
    call.to = header(&last(&world), "To").to_owned();
    let before = writes(&world);
    world.receive(0, &request("ACK", "one", 1, &call.to));
    assert_eq!((sent(&world, "ACK "), writes(&world)), (1, before));
    world.pass(ms(98));
    assert_eq!(writes(&world), before);
    world.pass(ms(4));
    assert_eq!(writes(&world), before + 1);
}

#[test]
fn a_server_that_dies_before_an_acknowledgement_is_stored_asks_for_it_again_and_the_call_goes_on() {
    let mut world = ready();
    let mut call = Call::begins(&mut world, "one");
    call.is_answered(&mut world);
    world.kill(0);
    world.start(0);
    world.pass(ms(600));
    let answer = last(&world);
    assert!(answer.starts_with("SIP/2.0 200") && answer.contains("CSeq: 1 INVITE"), "{answer}");
    world.receive(0, &request("ACK", "one", 1, &call.to));
    assert_eq!(sent(&world, "ACK "), 2);
    goes_on_and_ends(&mut world, &call);
}

#[test]
fn a_server_that_dies_after_an_acknowledgement_was_stored_does_not_ask_again() {
    let mut world = ready();
    let call = Call::answered(&mut world, "one");
    world.kill(0);
    world.start(0);
    world.pass(ms(100));
    goes_on_and_ends(&mut world, &call);
}

#[test]
fn who_hangs_up_waits_ten_milliseconds_for_company_and_no_longer() {
    let mut world = ready();
    let call = Call::answered(&mut world, "one");
    let before = writes(&world);
    call.ends(&mut world);
    world.pass(ms(9));
    assert_eq!((writes(&world), sent(&world, "BYE ")), (before, 0), "nothing is told before it is stored");
    world.pass(ms(3));
    assert_eq!((writes(&world), sent(&world, "BYE ")), (before + 1, 1));
    assert_eq!(since(&world, "BYE "), Duration::ZERO);
}

#[test]
fn who_hangs_up_while_another_calls_is_stored_with_that_call() {
    let mut world = ready();
    let call = Call::answered(&mut world, "one");
    let before = writes(&world);
    call.ends(&mut world);
    world.pass(ms(1));
    Call::begins(&mut world, "two");
    assert_eq!(sent(&world, "BYE "), 1, "3 ms after it came");
    assert!(writes(&world) <= before + 2, "{} writes", writes(&world) - before);
}

#[test]
fn ringing_and_acks_overtake_who_hung_up_and_end_no_rest() {
    let mut world = ready();
    let call = Call::answered(&mut world, "one");
    let other = Call::begins(&mut world, "two");
    let before = writes(&world);
    call.ends(&mut world);
    other.says(&mut world, "180 Ringing");
    assert_eq!(sent(&world, "SIP/2.0 180"), 1);
    assert_eq!((writes(&world), sent(&world, "BYE ")), (before, 0));
    other.says(&mut world, "200 OK");
    world.pass(ms(3));
    assert_eq!(sent(&world, "BYE "), 1, "it went along with the answer");
    let answer = last(&world);
    assert!(answer.starts_with("SIP/2.0 200") && answer.contains(" INVITE"), "{answer}");
}

#[test]
fn a_server_that_dies_before_an_end_is_stored_has_told_nobody_of_it() {
    let mut world = ready();
    let call = Call::answered(&mut world, "one");
    call.ends(&mut world);
    world.pass(ms(9));
    world.kill(0);
    assert_eq!((sent(&world, "BYE "), world.machines[0].over.len()), (0, 0));
    world.start(0);
    world.pass(ms(100));
    // It comes again after T1, as it was not answered.
    call.ends(&mut world);
    world.pass(ms(15));
    assert_eq!(sent(&world, "BYE "), 1);
    let bye = last(&world);
    let message = Message::parse(bye.clone().into()).unwrap();
    assert_eq!(message.envelope().unwrap().cseq.method, Method::Bye, "{bye}");
}
