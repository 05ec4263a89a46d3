//! Phones register over datagrams and over a connection.

use super::phone::Phone;
use super::process::Server;

fn registered(server: &Server) -> Vec<String> {
    let list = server.ask_json(&["reg", "list"]);
    list.as_array().unwrap().iter().map(|b| b["dn"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_phone_registers_over_udp() {
    let server = Server::start();
    let mut phone = Phone::udp("1001", server.sip);
    assert_eq!(phone.register(server.sip, "secret-1001"), 200);
    assert_eq!(registered(&server), ["1001"]);
    let status = server.ask_json(&["status"]);
    assert_eq!((&status["bindings"], &status["in_service"]), (&1.into(), &1.into()));
}

#[test]
fn a_phone_registers_over_tcp() {
    let server = Server::start();
    let mut phone = Phone::tcp("1002", server.sip);
    assert_eq!(phone.register(server.sip, "secret-1002"), 200);
    let list = server.ask_json(&["reg", "list"]);
    assert_eq!(list[0]["dn"], "1002");
    let reached_at = list[0]["reached_at"].as_str().unwrap();
    assert!(reached_at.contains("TCP") && reached_at.contains(&phone.address().to_string()), "{reached_at}");
    let (_, metrics) = server.get("/metrics");
    assert!(metrics.contains("\ntandem_tcp_connections 1\n"), "{metrics}");
}

#[test]
fn a_wrong_password_is_refused() {
    let server = Server::start();
    let code = Phone::udp("1003", server.sip).register(server.sip, "secret-1004");
    assert!(code == 401 || code == 403, "{code}");
    assert!(registered(&server).is_empty());
}

#[test]
fn garbage_is_dropped_and_disturbs_nobody() {
    let server = Server::start();
    let mut phone = Phone::udp("1004", server.sip);
    phone.send(b"\r\n\r\n");
    phone.send(b"this is not SIP");
    phone.send(&[0xff; 2_000]);
    let line = server.wait_for("unreadable datagram dropped");
    assert!(line.contains("127.0.0.1"), "{line}");
    assert_eq!(phone.register(server.sip, "secret-1004"), 200);
    let (_, metrics) = server.get("/metrics");
    assert!(metrics.contains("\ntandem_udp_unreadable_total 2\n"), "{metrics}");
}

#[test]
fn a_stream_that_cannot_be_framed_is_closed_and_the_others_go_on() {
    let server = Server::start();
    let mut good = Phone::tcp("1005", server.sip);
    let mut bad = Phone::tcp("1006", server.sip);
    bad.send(b"OPTIONS sip:a SIP/2.0\r\nContent-Length: many\r\n\r\n");
    server.wait_for("its stream cannot be framed");
    assert_eq!(good.register(server.sip, "secret-1005"), 200);
}

#[test]
fn a_keep_alive_on_a_connection_is_answered() {
    let server = Server::start();
    let mut phone = Phone::tcp("1007", server.sip);
    phone.send(b"\r\n\r\n");
    // The answering CRLF comes before the answer to the next message, and the framer takes no offence at it.
    assert_eq!(phone.register(server.sip, "secret-1007"), 200);
}
