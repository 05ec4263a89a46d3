//! The CTI interface and those who do not get in.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::desktop::Desktop;
use super::process::Server;

/// The last event's error code and message, and the close code, after `request` on a fresh connection.
fn turned_away(server: &Server, frame: Message) -> (Value, String, u16) {
    let mut desktop = Desktop::connect(server.cti);
    desktop.send_frame(frame);
    let (last, (code, _)) = desktop.until_end();
    let last = last.expect("an explanation comes before the end");
    assert_eq!(last["event"], "EventError");
    (last["ErrorCode"].clone(), last["ErrorMessage"].as_str().unwrap().to_owned(), code)
}

fn open(user: &str, password: &str) -> Message {
    let request =
        json!({ "request": "TOpenServer", "ReferenceID": 7, "UserName": user, "Password": password });
    Message::text(request.to_string())
}

#[test]
fn a_wrong_password_and_an_unknown_user_hear_the_same_and_are_logged_without_the_password() {
    let server = Server::start();
    let mut desktop = Desktop::connect(server.cti);
    desktop.send_frame(open("jane", "hush-4711"));
    let event = desktop.event();
    assert_eq!((&event["event"], &event["ErrorCode"]), (&json!("EventError"), &json!(259)));
    assert_eq!(event["ReferenceID"], 7);
    assert_eq!(desktop.until_end().1.0, 1008);
    let line = server.wait_for("login refused");
    assert!(line.contains("jane") && line.contains("127.0.0.1") && !line.contains("4711"), "{line}");
    let unknown = turned_away(&server, open("nobody", "hush-4711"));
    assert_eq!(unknown, (json!(259), event["ErrorMessage"].as_str().unwrap().to_owned(), 1008));
    assert_eq!(server.metric("tandem_cti_auth_failures_total"), 2);
}

#[test]
fn after_five_failures_a_user_is_locked_out_and_others_of_the_same_source_are_not() {
    let server = Server::start();
    for _ in 0..5 {
        assert_eq!(turned_away(&server, open("jane", "guess")).0, 259);
    }
    let (code, message, _) = turned_away(&server, open("jane", "secret-jane"));
    assert_eq!(code, 259);
    assert!(message.contains("too many failures; try again in"), "{message}");
    assert_eq!(server.metric("tandem_cti_locked_out_total"), 1);
    let (_, message, _) = turned_away(&server, open("boss", "guess"));
    assert!(!message.contains("too many"), "{message}");
}

#[test]
fn the_first_request_must_open_the_session() {
    let server = Server::start();
    let (code, message, close) = turned_away(&server, Message::text(r#"{"request":"TQueryServer"}"#));
    assert_eq!((code, close), (json!(506), 1008));
    assert!(message.contains("TOpenServer"), "{message}");
    let (code, message, _) =
        turned_away(&server, Message::text(r#"{"request":"TOpenServer","UserName":"x"}"#));
    assert_eq!(code, 53);
    assert!(message.contains("Password"), "{message}");
}

#[test]
fn what_is_no_json_object_no_text_or_too_long_ends_the_connection_with_its_code() {
    let server = Server::start();
    for (frame, code) in [
        (Message::text("REGISTER sip:x SIP/2.0"), 1007),
        (Message::text("[1, 2]"), 1007),
        (Message::binary(vec![0, 1, 2]), 1003),
        (Message::text(format!("{{\"x\":\"{}\"}}", "y".repeat(300_000))), 1009),
    ] {
        let what = frame.to_string().chars().take(20).collect::<String>();
        let (error, _, close) = turned_away(&server, frame);
        assert_eq!((error, close), (json!(53), code), "{what}");
    }
    // A client sees the close before the server has counted it.
    server.metric_becomes("tandem_cti_connections", 0);
}

#[test]
fn another_path_is_not_the_interface() {
    let server = Server::start();
    let Err(Error::Http(answer)) = Desktop::connect_by(server.cti, "/", None, None) else {
        panic!("no answer by HTTP");
    };
    assert_eq!(answer.status(), 404);
}

#[test]
fn the_line_client_says_why_it_was_refused() {
    let server = Server::start();
    let output = server.cti_lines("jane", "wrong", "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"ErrorCode\":259"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("closed by the server: not opened (1008)"), "{said}");
}
