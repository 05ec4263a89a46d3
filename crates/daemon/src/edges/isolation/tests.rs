//! What an isolation cuts off, and when it is over.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use tandem_sip::{Flow, Message, Transport};

use super::cut::is_of_share;
use super::{Asked, Cut, Ended, Fate, Isolation, Known, NotIsolated, Order};
use crate::limits::{DRILL_RENEW_WITHIN, MAX_DRILL_DELAYED};

const PEER: &str = "192.0.2.2:5060";
const PARTY: &str = "192.0.2.9:5066";
const PHONE: &str = "192.0.2.7:5060";

fn order(body: serde_json::Value) -> Result<Order, String> {
    let asked: Asked = serde_json::from_value(body).map_err(|error| error.to_string())?;
    Order::try_from(asked)
}

fn site_loss(share: u8) -> Order {
    order(json!({ "kind": "site-loss", "for_s": 60, "parties": ["192.0.2.9"], "share": share })).unwrap()
}

fn flow(transport: Transport, remote: &str) -> Flow {
    Flow { transport, local: 0, remote: remote.parse().unwrap(), conn: 0 }
}

fn udp(remote: &str) -> Flow {
    flow(Transport::Udp, remote)
}

fn message(start: &str, to: &str) -> Message {
    let text = format!(
        "{start} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nFrom: <sip:x@y>;tag=1\r\n\
         To: <sip:{to}@site>\r\nCall-ID: c\r\nCSeq: 1 {}\r\nContent-Length: 0\r\n\r\n",
        start.split(' ').next().unwrap()
    );
    Message::parse(Bytes::from(text)).unwrap()
}

fn options() -> Message {
    message("OPTIONS sip:site", "site")
}

/// A site with Extensions 1000 to 1099, each at an address of its own.
fn known() -> Known {
    let numbers: Vec<Arc<str>> = (1000..1100).map(|n: u32| Arc::from(n.to_string())).collect();
    let at = |place: usize| SocketAddr::from(([198, 51, 100, u8::try_from(place).unwrap()], 5060));
    let mut devices: Vec<(Box<str>, SocketAddr)> =
        numbers.iter().enumerate().map(|(place, number)| (Box::from(&**number), at(place))).collect();
    devices.push(("drill".into(), PARTY.parse().unwrap()));
    Known {
        peer: (Some(PEER.parse().unwrap()), vec!["203.0.113.0/28".parse().unwrap()]),
        devices,
        desktops: numbers
            .iter()
            .map(|number| (Arc::from(format!("person{number}")), Arc::clone(number)))
            .collect(),
        extensions: numbers.into_iter().collect::<BTreeSet<_>>(),
    }
}

fn begun(order: Order, known: Known) -> (Isolation, Instant, u64) {
    let (isolation, now) = (Isolation::default(), Instant::now());
    let cut = Cut::new(&order, known);
    let id = isolation.start(order, cut, "admin", now).unwrap();
    (isolation, now, id)
}

#[test]
fn nothing_is_cut_off_when_no_drill_is_on() {
    let (isolation, now) = (Isolation::default(), Instant::now());
    assert!(isolation.lets_in(udp(PEER), &options(), now));
    assert_eq!(isolation.fate(udp(PEER), 0, now), Fate::Sent);
    assert!(isolation.admits("192.0.2.9".parse().unwrap(), Some("jane"), now));
    assert!(isolation.view(now).on.is_none());
}

#[test]
fn a_lost_link_is_silent_both_ways_and_nobody_else_notices() {
    let (isolation, now, _) = begun(order(json!({ "kind": "link-loss", "for_s": 60 })).unwrap(), known());
    for remote in [PEER, "203.0.113.5:5080"] {
        assert!(!isolation.lets_in(udp(remote), &options(), now), "{remote}");
        assert_eq!(isolation.fate(udp(remote), 0, now), Fate::Dropped, "{remote}");
    }
    // A connection of the peer comes from any port of its host.
    assert!(!isolation.lets_in(flow(Transport::Tcp, "192.0.2.2:41000"), &options(), now));
    for remote in [PARTY, PHONE, "192.0.2.2:5099"] {
        assert!(isolation.lets_in(udp(remote), &options(), now), "{remote}");
        assert_eq!(isolation.fate(udp(remote), 0, now), Fate::Sent, "{remote}");
    }
    assert!(isolation.admits("192.0.2.9".parse().unwrap(), None, now));
    let on = isolation.view(now).on.unwrap();
    assert_eq!((on.received_dropped, on.sent_dropped), (3, 2));
}

#[test]
fn a_lost_site_is_gone_for_its_parties_and_their_desktops() {
    let (isolation, now, id) = begun(site_loss(0), known());
    assert!(!isolation.lets_in(udp(PARTY), &options(), now));
    assert_eq!(isolation.fate(udp(PARTY), 0, now), Fate::Dropped);
    assert_eq!(isolation.fate(udp(PEER), 0, now), Fate::Dropped);
    assert!(!isolation.admits("192.0.2.9".parse().unwrap(), None, now));
    assert!(isolation.closes("192.0.2.9".parse().unwrap(), "jane", now));
    assert!(isolation.lets_in(udp(PHONE), &options(), now));
    assert!(isolation.admits("192.0.2.7".parse().unwrap(), Some("jane"), now));
    assert_eq!(isolation.end(Some(id), now).unwrap(), [Box::from("drill")]);
}

#[test]
fn a_witness_cuts_nobody_off_but_knows_whose_calls_to_ask_for_in_the_end() {
    let body = json!({ "kind": "witness", "for_s": 60, "parties": ["192.0.2.9"] });
    let (isolation, now, _) = begun(order(body).unwrap(), known());
    for remote in [PEER, PARTY, PHONE] {
        assert!(isolation.lets_in(udp(remote), &options(), now), "{remote}");
        assert_eq!(isolation.fate(udp(remote), 0, now), Fate::Sent, "{remote}");
    }
    assert!(isolation.admits("192.0.2.9".parse().unwrap(), None, now));
    let late = now + DRILL_RENEW_WITHIN;
    assert_eq!(isolation.expire(false, late), Some(vec![Box::from("drill")]));
}

#[test]
fn a_lost_site_tells_its_peer_nothing_and_everybody_else_the_truth() {
    let peer = PEER.parse::<SocketAddr>().unwrap().ip();
    let (isolation, now, id) = begun(site_loss(0), known());
    assert!(isolation.is_silent(peer, now) && isolation.is_silent("203.0.113.5".parse().unwrap(), now));
    assert!(!isolation.is_silent("192.0.2.7".parse().unwrap(), now));
    isolation.end(Some(id), now).unwrap();
    assert!(!isolation.is_silent(peer, now));
    let (isolation, now, _) = begun(order(json!({ "kind": "link-loss", "for_s": 60 })).unwrap(), known());
    assert!(!isolation.is_silent(peer, now), "the control link outlives the link between the sites");
}

#[test]
fn a_share_is_always_the_same_and_grows_by_adding() {
    let of = |percent| (1000..2000).filter(move |n: &u32| is_of_share(&n.to_string(), percent));
    let ten: Vec<u32> = of(10).collect();
    assert!((60..140).contains(&ten.len()), "{}", ten.len());
    assert!(ten.iter().all(|number| of(30).any(|n| n == *number)));
    assert_eq!((of(0).count(), of(100).count()), (0, 1000));
}

#[test]
fn a_share_loses_its_phones_its_desktops_and_its_new_calls() {
    let (isolation, now, id) = begun(site_loss(20), known());
    let (chosen, other): (Vec<u32>, Vec<u32>) = (1000..1100).partition(|n| is_of_share(&n.to_string(), 20));
    let at = |number: u32| format!("198.51.100.{}:5060", number - 1000);
    let of = |number: u32, method: &str| message(&format!("{method} sip:{number}@site"), &number.to_string());
    for number in chosen.iter().copied() {
        assert!(!isolation.lets_in(udp(&at(number)), &options(), now), "{number}");
        assert!(!isolation.lets_in(udp("203.0.114.1:5060"), &of(number, "INVITE"), now), "{number}");
        assert!(!isolation.admits(
            PHONE.parse::<SocketAddr>().unwrap().ip(),
            Some(&format!("person{number}")),
            now
        ));
    }
    for number in other {
        assert!(isolation.lets_in(udp(&at(number)), &of(number, "REGISTER"), now), "{number}");
        assert!(isolation.lets_in(udp("203.0.114.1:5060"), &of(number, "INVITE"), now), "{number}");
        assert!(isolation.admits(
            PHONE.parse::<SocketAddr>().unwrap().ip(),
            Some(&format!("person{number}")),
            now
        ));
    }
    // One that moves is followed by its REGISTER.
    assert!(!isolation.lets_in(udp(PHONE), &of(*chosen.first().unwrap(), "REGISTER"), now));
    assert_eq!(isolation.fate(udp(PHONE), 0, now), Fate::Dropped);
    assert_eq!(isolation.end(Some(id), now).unwrap().len(), chosen.len() + 1);
}

#[test]
fn an_extension_that_shares_its_address_with_others_is_left_alone() {
    let mut known = known();
    let proxy: SocketAddr = "198.51.100.200:5060".parse().unwrap();
    known.devices.iter_mut().for_each(|(_, addr)| *addr = proxy);
    let (isolation, now, _) = begun(site_loss(20), known);
    let number = (1000..1100).find(|n: &u32| is_of_share(&n.to_string(), 20)).unwrap();
    let register = message(&format!("REGISTER sip:{number}@site"), &number.to_string());
    assert!(isolation.lets_in(udp("198.51.100.200:5060"), &register, now));
    assert!(isolation.view(now).on.unwrap().spared > 0);
}

#[test]
fn a_slow_link_holds_back_what_goes_to_the_peer_and_its_queue_is_bounded() {
    let slow = order(json!({ "kind": "slow-link", "for_s": 60, "delay_ms": 300 })).unwrap();
    let (isolation, now, _) = begun(slow, known());
    assert_eq!(isolation.fate(udp(PEER), 0, now), Fate::Later(Duration::from_millis(300)));
    assert_eq!(isolation.fate(udp(PEER), MAX_DRILL_DELAYED, now), Fate::Dropped);
    assert_eq!(isolation.fate(udp(PHONE), 0, now), Fate::Sent);
    assert!(isolation.lets_in(udp(PEER), &options(), now));
    let on = isolation.view(now).on.unwrap();
    assert_eq!((on.delayed, on.delayed_dropped), (1, 1));
}

#[test]
fn an_isolation_that_nobody_renews_is_over() {
    let (isolation, now, id) = begun(site_loss(0), known());
    let (almost, after) = (now + DRILL_RENEW_WITHIN - Duration::from_millis(1), now + DRILL_RENEW_WITHIN);
    assert!(!isolation.lets_in(udp(PEER), &options(), almost));
    isolation.renew(id, almost).unwrap();
    assert!(!isolation.lets_in(udp(PEER), &options(), after), "renewed");
    let late = almost + DRILL_RENEW_WITHIN;
    assert!(isolation.lets_in(udp(PEER), &options(), late), "over, though nobody has looked yet");
    assert!(isolation.renew(id, late).is_err(), "what is over cannot be renewed");
    assert!(isolation.expire(false, late).is_some() && !isolation.is_on());
    assert_eq!(isolation.view(late).last.unwrap().ended, Ended::NotRenewed);
}

#[test]
fn an_isolation_ends_at_its_time_however_often_it_is_renewed() {
    let (isolation, now, id) = begun(site_loss(0), known());
    for second in 1..60 {
        isolation.renew(id, now + Duration::from_secs(second)).unwrap();
    }
    let end = now + Duration::from_secs(60);
    assert!(isolation.lets_in(udp(PEER), &options(), end));
    isolation.expire(false, end).unwrap();
    assert_eq!(isolation.view(end).last.unwrap().ended, Ended::TimeOver);
}

#[test]
fn there_is_one_drill_at_a_time_and_a_drain_ends_it() {
    let (isolation, now, id) = begun(site_loss(0), known());
    let second = isolation.start(site_loss(0), Cut::default(), "other", now).unwrap_err().to_string();
    assert!(second.contains("site-loss by admin") && second.contains("tandem drill abort"), "{second}");
    assert_eq!(isolation.end(Some(id + 1), now), Err(NotIsolated::Unknown(id + 1)));
    isolation.expire(true, now).unwrap();
    assert_eq!(isolation.view(now).last.unwrap().ended, Ended::Draining);
    assert_eq!(isolation.end(None, now), Err(NotIsolated::Off));
    assert!(isolation.start(site_loss(0), Cut::default(), "other", now).is_ok());
}

#[test]
fn an_order_that_makes_no_sense_is_refused_with_what_would() {
    for (body, why) in [
        (json!({ "kind": "site-loss", "for_s": 60 }), "parties or a share"),
        (json!({ "kind": "site-loss", "for_s": 0, "share": 5 }), "for_s must be 1 to"),
        (json!({ "kind": "site-loss", "for_s": 99999, "share": 5 }), "for_s must be 1 to"),
        (json!({ "kind": "site-loss", "for_s": 60, "share": 101 }), "0 to 100"),
        (json!({ "kind": "link-loss", "for_s": 60, "share": 5 }), "share is for site-loss"),
        (
            json!({ "kind": "witness", "for_s": 60, "share": 5, "parties": ["192.0.2.1"] }),
            "share is for site-loss",
        ),
        (json!({ "kind": "link-loss", "for_s": 60, "delay_ms": 5 }), "for slow-link"),
        (json!({ "kind": "slow-link", "for_s": 60 }), "needs delay_ms"),
        (json!({ "kind": "slow-link", "for_s": 60, "delay_ms": 60000 }), "needs delay_ms"),
        (json!({ "kind": "flood", "for_s": 60 }), "unknown variant"),
        (json!({ "kind": "link-loss", "for_s": 60, "rate": 1 }), "unknown field"),
        (json!({ "kind": "site-loss", "for_s": 60, "parties": vec!["192.0.2.1"; 257] }), "parties"),
    ] {
        let refused = order(body.clone()).unwrap_err();
        assert!(refused.contains(why), "{body}: {refused}");
    }
}

#[test]
fn an_address_that_others_share_is_not_cut_off_by_whoever_registers_from_there() {
    let isolation = Isolation::default();
    let now = Instant::now();
    let number = (1000..1100).map(|n: u32| n.to_string()).find(|n| is_of_share(n, 50)).unwrap();
    let mut known = known();
    known.devices.retain(|(name, _)| **name != *number);
    let gateway: SocketAddr = "192.0.2.33:5060".parse().unwrap();
    known.devices.push(("gateway".into(), gateway));
    let order = site_loss(50);
    let cut = Cut::new(&order, known);
    isolation.start(order, cut, "admin", now).unwrap();
    let register = message("REGISTER sip:site", &number);
    assert!(!isolation.lets_in(udp("192.0.2.33:5060"), &register, now), "the phone is lost");
    assert!(isolation.lets_in(udp("192.0.2.33:5060"), &options(), now), "and nobody else");
    assert_eq!(isolation.fate(udp("192.0.2.33:5060"), 0, now), Fate::Sent);
}
