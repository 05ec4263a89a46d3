//! Connections with TLS: how this server names itself there, whom a sips: URI reaches, who is a trunk.

use std::sync::Arc;

use tandem_sip::{Flow, HeaderName, Transport};
use tandem_switch::directory::{Directory, Listen};

use crate::support::{Bed, CALLEE, CALLER, addr, alone, answer, header, invite, trunk};

const GATEWAY: &str = "10.0.0.77:5061";

fn listening() -> Arc<Directory> {
    let mut directory = Arc::try_unwrap(alone()).unwrap();
    for (transport, port) in [(Transport::Tls, 5061), (Transport::Ws, 8080), (Transport::Wss, 8443)] {
        let addr = addr(&format!("10.0.0.1:{port}"));
        directory.server.listen.push(Listen { transport, addr });
    }
    Arc::new(directory)
}

fn by(transport: Transport, remote: &str, conn: u64) -> Flow {
    Flow { transport, local: 2, remote: addr(remote), conn }
}

fn register(bed: &mut Bed, dn: &str, flow: Flow) {
    let text = format!(
        "REGISTER sip:10.0.0.1 SIP/2.0\nVia: SIP/2.0/{} df7jal23ls0d.invalid;branch=z9hG4bKr{dn}\nMax-Forwards: 70\n\
         From: <sip:{dn}@10.0.0.1>;tag=r\nTo: <sip:{dn}@10.0.0.1>\nCall-ID: reg{dn}\nCSeq: 1 REGISTER\n\
         Contact: <sip:{dn}@df7jal23ls0d.invalid;transport=ws>;expires=300\nContent-Length: 0\n\n",
        flow.transport
    );
    bed.receive_by(flow, &text);
    let answers = bed.take(&flow.remote.to_string());
    assert_eq!(answers.last().and_then(tandem_sip::Message::code), Some(200));
}

#[test]
fn each_transport_names_the_port_that_is_listened_on() {
    for (transport, via, contact) in [
        (Transport::Tls, "SIP/2.0/TLS 10.0.0.1:5061", "<sip:10.0.0.1:5061;transport=tls>"),
        (Transport::Ws, "SIP/2.0/WS 10.0.0.1:8080", "<sip:10.0.0.1:8080;transport=ws>"),
        (Transport::Wss, "SIP/2.0/WSS 10.0.0.1:8443", "<sip:10.0.0.1:8443;transport=ws>"),
    ] {
        let mut bed = Bed::with(listening());
        register(&mut bed, "1002", by(transport, CALLEE, 9));
        bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
        assert_eq!(bed.last_transport(CALLEE), Some(transport));
        let offered = bed.one(CALLEE);
        assert!(header(&offered, HeaderName::Via).starts_with(via), "{}", header(&offered, HeaderName::Via));
        assert_eq!(header(&offered, HeaderName::Contact), contact);
        assert!(offered.request_uri().unwrap().ends_with(b"df7jal23ls0d.invalid;transport=ws"));
    }
}

#[test]
fn a_sips_uri_reaches_phones_over_tls_only() {
    let call = invite("1001", CALLER, "1002", "call1").replacen("INVITE sip:", "INVITE sips:", 1);
    let mut bed = Bed::with(listening());
    register(&mut bed, "1002", by(Transport::Wss, CALLEE, 9));
    bed.receive(CALLER, &call);
    let offered = bed.one(CALLEE);
    bed.receive_by(by(Transport::Wss, CALLEE, 9), &answer(&offered, 486, "callee", CALLEE, ""));
    assert_eq!(bed.take(CALLER).last().and_then(tandem_sip::Message::code), Some(486));
    let mut bed = Bed::with(listening());
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &call);
    assert!(bed.take(CALLEE).is_empty(), "not over UDP");
    assert_eq!(bed.take(CALLER).last().and_then(tandem_sip::Message::code), Some(480));
    let why = bed.node.why("call1").unwrap();
    assert!(why.steps.iter().any(|step| step.text.contains("sips: URI")), "{why:?}");
}

#[test]
fn a_trunk_that_connects_is_known_from_any_port_of_its_address_and_one_by_udp_from_its_own_only() {
    for (transport, status) in [(Transport::Tls, 404), (Transport::Udp, 403)] {
        let change = |trunks: &mut Vec<tandem_switch::directory::Trunk>| {
            let mut gateway = trunk("secure", GATEWAY);
            gateway.contact.transport = transport;
            trunks.push(gateway);
        };
        let directory = crate::support::directory(|options, _, trunks| {
            options.dr_peer_trunk = None;
            options.authenticate.invite = false;
            change(trunks);
        });
        let mut bed = Bed::with(directory);
        let text = invite("0301234", "10.0.0.77:40000", "9999", "call1");
        bed.receive_by(by(transport, "10.0.0.77:40000", u64::from(transport == Transport::Tls) * 5), &text);
        let told = bed.take("10.0.0.77:40000");
        assert_eq!(told.last().and_then(tandem_sip::Message::code), Some(status), "{transport}");
    }
}
