//! Where URIs lead: the order of questions, and of the places that the answers name (RFC 3263, RFC 2782).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use tandem_sip::locate::{Answer, Candidate, Naptr, Query, Speaks, Srv, Step, Wanted, locate, order};
use tandem_sip::{Transport, Uri};

type Zone = BTreeMap<Query, Answer>;

fn everything() -> Speaks {
    [Transport::Udp, Transport::Tcp, Transport::Tls]
        .into_iter()
        .fold(Speaks::default(), |speaks, transport| speaks.with(transport, true).with(transport, false))
}

fn wanted(uri: &str) -> Option<Wanted> {
    Wanted::of(&Uri::parse(uri.as_bytes()).unwrap())
}

fn ips(list: &[&str]) -> Answer {
    Answer::Addresses(list.iter().map(|ip| ip.parse::<IpAddr>().unwrap()).collect())
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
    Srv { priority, weight, port, target: target.into() }
}

fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
    Naptr { order, preference, flags: "s".into(), service: service.into(), replacement: replacement.into() }
}

/// Searches in a zone where everything that does not stand in it is not there; the questions, and what was found.
fn search(uri: &str, speaks: Speaks, zone: &Zone) -> (Vec<Query>, Step) {
    let wanted = wanted(uri).unwrap();
    let (mut known, mut asked) = (Zone::new(), Vec::new());
    loop {
        match locate(&wanted, speaks, &known) {
            Step::Ask(queries) => {
                for query in queries {
                    assert!(!asked.contains(&query), "{query:?} is asked twice");
                    known.insert(query.clone(), zone.get(&query).cloned().unwrap_or(Answer::Nothing));
                    asked.push(query);
                }
            }
            end @ (Step::Found(_) | Step::Failed(_)) => return (asked, end),
        }
    }
}

fn places(step: &Step) -> Vec<String> {
    let Step::Found(found) = step else { panic!("{step:?}") };
    found.iter().map(|place| format!("{} {}", place.transport, place.addr)).collect()
}

fn gateways() -> Zone {
    let q = |name: &str| Query::Addresses(name.into());
    Zone::from([
        (
            Query::Naptr("example.com".into()),
            Answer::Naptr(vec![
                naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
                naptr(90, 50, "SIP+D2T", "_sip._tcp.example.com"),
                naptr(100, 50, "SIP+D2U", "_sip._udp.example.com"),
            ]),
        ),
        (Query::Srv("_sips._tcp.example.com".into()), Answer::Srv(vec![srv(0, 1, 5061, "one.example.com")])),
        (
            Query::Srv("_sip._tcp.example.com".into()),
            Answer::Srv(vec![srv(0, 1, 5060, "one.example.com"), srv(0, 2, 5060, "two.example.com")]),
        ),
        (Query::Srv("_sip._udp.example.com".into()), Answer::Srv(vec![srv(1, 0, 5060, "two.example.com.")])),
        (q("one.example.com"), ips(&["192.0.2.1"])),
        (q("two.example.com"), ips(&["2001:db8::2", "192.0.2.2"])),
        (q("example.com"), ips(&["192.0.2.80"])),
    ])
}

#[test]
fn an_explicit_port_leads_to_the_addresses_of_the_host_alone() {
    let (asked, found) = search("sip:example.com:5070", everything(), &gateways());
    assert_eq!(asked, [Query::Addresses("example.com".into())]);
    assert_eq!(places(&found), ["UDP 192.0.2.80:5070"]);
    let (_, secure) = search("sips:example.com:5070", everything(), &gateways());
    assert_eq!(places(&secure), ["TLS 192.0.2.80:5070"]);
}

#[test]
fn an_explicit_transport_leads_to_its_srv_records_without_naptr() {
    let (asked, found) = search("sip:Example.COM.;transport=udp", everything(), &gateways());
    assert_eq!(asked[0], Query::Srv("_sip._udp.example.com".into()));
    assert_eq!(places(&found), ["UDP [2001:db8::2]:5060", "UDP 192.0.2.2:5060"]);
    let (_, found) = search("sip:example.com;transport=tls", everything(), &gateways());
    assert_eq!(places(&found), ["TLS 192.0.2.1:5061"]);
}

#[test]
fn naptr_records_choose_the_transport_by_order_among_those_that_this_server_speaks() {
    let (_, found) = search("sip:example.com", everything(), &gateways());
    assert_eq!(places(&found), ["TLS 192.0.2.1:5061"]);
    let tcp_only = Speaks::default().with(Transport::Tcp, true);
    let (_, found) = search("sip:example.com", tcp_only, &gateways());
    assert_eq!(places(&found), ["TCP 192.0.2.1:5060", "TCP 192.0.2.2:5060"]);
}

#[test]
fn a_sips_uri_never_leads_to_anything_but_tls() {
    let mut zone = gateways();
    zone.insert(
        Query::Naptr("example.com".into()),
        Answer::Naptr(vec![naptr(1, 1, "SIP+D2U", "_sip._udp.example.com")]),
    );
    let (asked, found) = search("sips:example.com", everything(), &zone);
    assert!(asked.contains(&Query::Srv("_sips._tcp.example.com".into())));
    assert_eq!(places(&found), ["TLS 192.0.2.1:5061"]);
    assert_eq!(wanted("sips:example.com;transport=udp"), None);
}

#[test]
fn without_naptr_the_services_that_this_server_speaks_are_asked_at_once() {
    let mut zone = gateways();
    zone.remove(&Query::Naptr("example.com".into()));
    let (asked, found) = search("sip:example.com", everything(), &zone);
    let services = ["_sip._udp.example.com", "_sip._tcp.example.com"].map(|name| Query::Srv(name.into()));
    assert_eq!(asked[1..3], services);
    assert_eq!(places(&found), ["UDP [2001:db8::2]:5060", "UDP 192.0.2.2:5060"]);
}

#[test]
fn without_any_srv_record_the_host_itself_is_tried_by_udp() {
    let zone = Zone::from([(Query::Addresses("gw.example".into()), ips(&["192.0.2.9"]))]);
    let (_, found) = search("sip:gw.example", everything(), &zone);
    assert_eq!(places(&found), ["UDP 192.0.2.9:5060"]);
    let (_, found) = search("sips:gw.example", everything(), &zone);
    assert_eq!(places(&found), ["TLS 192.0.2.9:5061"]);
}

#[test]
fn a_service_that_is_decidedly_not_there_does_not_fall_back_to_the_host() {
    let zone = Zone::from([
        (Query::Srv("_sip._tcp.gw.example".into()), Answer::Srv(vec![srv(0, 0, 0, ".")])),
        (Query::Addresses("gw.example".into()), ips(&["192.0.2.9"])),
    ]);
    let (_, found) = search("sip:gw.example;transport=tcp", everything(), &zone);
    assert_eq!(places(&found), Vec::<String>::new());
}

#[test]
fn a_failed_question_is_no_answer_but_one_that_others_make_up_for_is_passed_over() {
    let mut zone = gateways();
    zone.insert(Query::Addresses("one.example.com".into()), Answer::Failed);
    let (_, found) = search("sip:example.com;transport=tcp", everything(), &zone);
    assert_eq!(places(&found), ["TCP [2001:db8::2]:5060", "TCP 192.0.2.2:5060"]);
    zone.insert(Query::Srv("_sip._tcp.example.com".into()), Answer::Failed);
    let (_, found) = search("sip:example.com;transport=tcp", everything(), &zone);
    assert_eq!(found, Step::Failed(Query::Srv("_sip._tcp.example.com".into())));
    zone.insert(Query::Naptr("example.com".into()), Answer::Failed);
    let (_, found) = search("sip:example.com", everything(), &zone);
    assert_eq!(places(&found), ["UDP [2001:db8::2]:5060", "UDP 192.0.2.2:5060"]);
}

#[test]
fn a_family_that_this_server_does_not_speak_is_left_out() {
    let v4 = Speaks::default().with(Transport::Udp, true);
    let (_, found) = search("sip:example.com;transport=udp", v4, &gateways());
    assert_eq!(places(&found), ["UDP 192.0.2.2:5060"]);
}

#[test]
fn more_servers_than_the_bound_are_not_looked_up() {
    let records = (0..100).map(|n| srv(n, 0, 5060, &format!("h{n}.example"))).rev().collect();
    let mut zone = Zone::from([(Query::Srv("_sip._udp.big.example".into()), Answer::Srv(records))]);
    for n in 0..100 {
        let many: Vec<String> = (0..200).map(|i| format!("10.0.{n}.{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        zone.insert(Query::Addresses(format!("h{n}.example").into()), ips(&many));
    }
    let (asked, found) = search("sip:big.example;transport=udp", everything(), &zone);
    assert_eq!(asked.len(), 1 + 16);
    assert!(asked.contains(&Query::Addresses("h15.example".into())), "the lowest priorities are kept");
    assert_eq!(places(&found).len(), 16);
}

#[test]
fn addresses_and_uris_that_cannot_be_reached_are_not_looked_up() {
    for uri in ["sip:192.0.2.1", "sips:[2001:db8::1]", "tel:+4930", "sip:a.example;transport=ws"] {
        assert_eq!(wanted(uri), None, "{uri}");
    }
}

fn candidate(priority: u16, weight: u16, record: u8, last: u8) -> Candidate {
    let addr = std::net::SocketAddr::from(([192, 0, 2, last], 5060));
    Candidate { transport: Transport::Udp, addr, priority, weight, record }
}

#[test]
fn lower_priority_numbers_come_first_and_addresses_of_one_server_stay_together() {
    let list =
        [candidate(20, 0, 2, 4), candidate(10, 1, 0, 1), candidate(10, 1, 1, 3), candidate(10, 1, 0, 2)];
    for drawn in 0..=2 {
        let ordered = order(&list, |most| drawn.min(most));
        assert_eq!(ordered[3], 0, "priority 20 is last");
        let first: Vec<u8> = ordered[..3].iter().map(|place| list[usize::from(*place)].record).collect();
        assert!(first == [0, 0, 1] || first == [1, 0, 0], "{first:?}");
    }
}

#[test]
fn among_equals_the_weight_is_the_share() {
    let list =
        [candidate(0, 60, 0, 1), candidate(0, 20, 1, 2), candidate(0, 20, 2, 3), candidate(0, 0, 3, 4)];
    let mut first = [0u32; 4];
    // Every draw of the first round once: 0 to 100.
    for number in 0..=100 {
        let mut round = 0;
        let ordered = order(&list, |most| {
            round += 1;
            if round == 1 { number } else { most / 2 }
        });
        assert_eq!(ordered.len(), 4);
        first[usize::from(ordered[0])] += 1;
    }
    assert_eq!(first, [60, 20, 20, 1]);
}

#[test]
fn one_place_alone_is_no_matter_of_chance() {
    let ordered = order(&[candidate(5, 7, 0, 1)], |_| panic!("nothing is drawn"));
    assert_eq!(ordered.as_slice(), [0]);
}
