//! Registrations that arrive faster than they are served.

use std::time::Duration;

use tandem_sip::auth::{Challenge, Login, answer as prove};
use tandem_sip::{HeaderName, Message};
use tandem_switch::Event;
use tandem_switch::directory::{Authenticate, Registration};
use tandem_switch::storm::Told;

use crate::support::{Bed, CALLEE, CALLER, directory, header, invite, line};

/// 100 REGISTERs a second are served.
fn bed() -> Bed {
    Bed::with(directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        options.registration =
            Registration { register_rate: 100, expires_spread: 20, ..Registration::default() };
        trunks.iter_mut().for_each(|trunk| trunk.oos = Default::default());
    }))
}

/// The `n`th REGISTER of 1004, each from an address of its own.
fn nth(n: usize) -> (String, String) {
    let at = format!("10.1.{}.{}:5060", n / 250, n % 250 + 1);
    let text = format!(
        "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bKs{n};rport\nFrom: <sip:1004@tandem>;tag=r\n\
         To: <sip:1004@tandem>\nCall-ID: storm\nCSeq: {} REGISTER\nContact: <sip:1004@10.1.1.1>;expires=1000\n\
         Content-Length: 0\n\n",
        n + 1
    );
    (at, text)
}

fn offer(bed: &mut Bed, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let (at, text) = nth(n);
        bed.receive(&at, &text);
    }
}

/// Statuses of what went to phones of the storm, with their Retry-After.
fn answered(bed: &mut Bed) -> Vec<(u16, u64)> {
    let all = std::mem::take(&mut bed.sent);
    let (storm, rest) = all.into_iter().partition(|(to, _)| to.ip().to_string().starts_with("10.1."));
    bed.sent = rest;
    let of = |message: &Message| {
        let after = header(message, HeaderName::RetryAfter).parse().unwrap_or(0);
        (message.code().unwrap(), after)
    };
    storm.iter().map(|(_, message): &(_, Message)| of(message)).collect()
}

fn told(bed: &Bed) -> Vec<Told> {
    bed.events
        .iter()
        .filter_map(|event| if let Event::Storm(told) = event { Some(*told) } else { None })
        .collect()
}

#[test]
fn registers_wait_for_their_turn_and_a_call_does_not() {
    let mut bed = bed();
    bed.register("1002", CALLEE);
    offer(&mut bed, 0..500);
    assert_eq!(answered(&mut bed).len(), 2, "those ahead of the rate");
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
    assert_eq!(bed.one(CALLER).code(), Some(100));
    assert!(line(&bed.one(CALLEE)).starts_with("INVITE "), "before the 498 that wait");
    bed.pass(Duration::from_secs(2));
    let served = answered(&mut bed).len();
    assert!((199..=203).contains(&served), "{served} in 2 s at 100 a second");
    bed.pass(Duration::from_secs(4));
    assert_eq!(answered(&mut bed).len(), 498 - served);
    assert!(
        matches!(told(&bed)[..], [Told::Begun, Told::Over(burst)] if burst.waited == 498 && burst.refused == 0)
    );
}

#[test]
fn the_repetition_of_a_register_that_waits_costs_nothing_and_is_answered_once() {
    let mut bed = bed();
    offer(&mut bed, 0..50);
    let before = answered(&mut bed).len();
    for _ in 0..3 {
        offer(&mut bed, before..50);
    }
    bed.pass(Duration::from_secs(2));
    assert_eq!(before + answered(&mut bed).len(), 50);
    assert_eq!(bed.node.counters().registers_waited, 47);
}

#[test]
fn times_granted_in_a_storm_are_spread_and_never_longer_than_asked_for() {
    let mut bed = bed();
    offer(&mut bed, 0..200);
    let mut granted = Vec::new();
    while bed.node.status(bed.now).transactions > 0 && granted.len() < 190 {
        bed.pass(Duration::from_millis(10));
        for (_, message) in std::mem::take(&mut bed.sent) {
            let line = header(&message, HeaderName::Contact);
            granted.push(line.split("expires=").nth(1).unwrap().parse::<u32>().unwrap());
        }
    }
    let later = &granted[10..];
    assert!(later.iter().all(|s| (799..=1000).contains(s)), "{later:?}");
    let (least, most) = (later.iter().min().unwrap(), later.iter().max().unwrap());
    assert!(most - least > 100, "{least} to {most}");
    bed.pass(Duration::from_secs(5));
    bed.sent.clear();
    offer(&mut bed, 300..301);
    let calm = bed.sent.pop().unwrap().1;
    assert!(header(&calm, HeaderName::Contact).ends_with("expires=1000"), "afterwards as asked for");
}

#[test]
fn who_would_wait_too_long_is_told_when_to_come_again() {
    let mut bed = bed();
    offer(&mut bed, 0..1_100);
    let refused: Vec<_> = answered(&mut bed).into_iter().filter(|(code, _)| *code == 503).collect();
    assert_eq!(refused.len(), 1_100 - 1_000 - 3);
    assert!(refused.iter().all(|(_, after)| (10..=30).contains(after)), "{refused:?}");
    assert!(refused.iter().any(|(_, after)| after != &refused[0].1), "not all at once");
    assert_eq!(bed.node.counters().registers_refused, 97);
}

/// The `n`th REGISTER of 1004 from a port of one address.
fn nth_behind(address: &str, n: usize) -> (String, String) {
    let (at, text) = nth(n);
    let behind = format!("{address}:{}", 10_000 + n);
    (behind.clone(), text.replace(&at, &behind))
}

/// Offers a flood behind one address; statuses with their Retry-After.
fn flood_behind(bed: &mut Bed, address: &str, count: usize) -> Vec<(u16, u64)> {
    for n in 0..count {
        let (at, text) = nth_behind(address, n);
        bed.receive(&at, &text);
    }
    answered(bed)
}

#[test]
fn one_address_cannot_take_every_place_of_those_that_wait() {
    let mut bed = bed();
    let refused: Vec<_> = flood_behind(&mut bed, "10.1.9.9", 1_100);
    let refused: Vec<_> = refused.into_iter().filter(|(code, _)| *code == 503).collect();
    assert_eq!(refused.len(), 1_100 - 500 - 3, "half of the 1,000 places are its own");
    assert!(refused.iter().all(|(_, after)| (5..=15).contains(after)), "{refused:?}");
    offer(&mut bed, 1_100..1_500);
    assert_eq!(answered(&mut bed), [], "the others wait");
    bed.pass(Duration::from_secs(10));
    let over =
        told(&bed).into_iter().find_map(|told| if let Told::Over(burst) = told { Some(burst) } else { None });
    let burst = over.expect("it is over");
    assert_eq!((burst.crowded, burst.crowd), (597, Some("10.1.9.9".parse().unwrap())));
}

#[test]
fn networks_in_allow_have_no_share_in_a_storm() {
    let mut bed = Bed::with(directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        options.registration.register_rate = 100;
        options.guard.allow = vec!["10.1.9.0/24".parse().unwrap()];
        trunks.iter_mut().for_each(|trunk| trunk.oos = Default::default());
    }));
    let refused = flood_behind(&mut bed, "10.1.9.9", 1_100).into_iter().filter(|(code, _)| *code == 503);
    assert_eq!(refused.count(), 1_100 - 1_000 - 3);
}

/// REGISTER of 1001 with an answer to this challenge.
fn proven(challenge: &[u8], nonce: Option<&str>, nc: u32, cseq: u32) -> String {
    let text = String::from_utf8(challenge.to_vec()).unwrap();
    let old = text.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let text = nonce.map_or(text.clone(), |nonce| text.replace(&old, nonce));
    let challenge = Challenge::parse(text.as_bytes()).unwrap();
    let login = Login { user: b"1001", password: b"secret-1001" };
    let line = prove(&challenge, login, b"REGISTER", b"sip:tandem", b"0a4f113b", nc);
    format!(
        "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKa{cseq};rport\nFrom: <sip:1001@tandem>;tag=r\n\
         To: <sip:1001@tandem>\nCall-ID: proven\nCSeq: {cseq} REGISTER\nContact: <sip:1001@{CALLER}>\n\
         Authorization: {}\nContent-Length: 0\n\n",
        String::from_utf8(line).unwrap()
    )
}

#[test]
fn the_nonce_of_the_next_proof_comes_with_the_200_and_saves_a_round_trip_an_hour_later() {
    let mut bed = Bed::with(directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        options.authenticate = Authenticate { register: true, invite: false };
        trunks.iter_mut().for_each(|trunk| trunk.oos = Default::default());
    }));
    let (_, plain) = nth(0);
    bed.receive(CALLER, &plain.replace("1004", "1001").replace("10.1.0.1:5060", CALLER));
    let refused = bed.one(CALLER);
    let challenge = refused.header(HeaderName::WwwAuthenticate).unwrap().to_vec();
    bed.receive(CALLER, &proven(&challenge, None, 1, 2));
    let ok = bed.one(CALLER);
    assert_eq!(ok.code(), Some(200));
    let info = String::from_utf8(ok.other(b"Authentication-Info").unwrap().to_vec()).unwrap();
    let next = info.strip_prefix("nextnonce=\"").unwrap().strip_suffix('"').unwrap().to_owned();
    bed.pass(Duration::from_secs(3_500));
    bed.take(CALLER);
    bed.receive(CALLER, &proven(&challenge, Some(&next), 1, 3));
    assert_eq!(bed.one(CALLER).code(), Some(200));
    bed.receive(CALLER, &proven(&challenge, Some(&next), 1, 4));
    assert_eq!(bed.one(CALLER).code(), Some(401), "a proof counts once");
    bed.pass(Duration::from_secs(500));
    bed.take(CALLER);
    bed.receive(CALLER, &proven(&challenge, Some(&next), 2, 5));
    let stale = bed.one(CALLER);
    assert!(header(&stale, HeaderName::WwwAuthenticate).contains("stale=true"));
}
