//! The CTI interface and those who may use it.

use serde_json::{Value, json};

use super::desktop::Desktop;
use super::process::Server;

fn connected(server: &Server, user: &str) -> (Desktop, Value) {
    let mut desktop = Desktop::connect(server.cti);
    let event = desktop.open(user);
    assert_eq!(event["event"], "EventLinkConnected", "{event}");
    (desktop, event)
}

fn query(reference: u64) -> Value {
    json!({ "request": "TQueryServer", "ReferenceID": reference })
}

#[test]
fn a_person_opens_a_session_and_asks() {
    let server = Server::start();
    let (mut desktop, link) = connected(&server, "jane");
    assert_eq!(
        (&link["Server"], &link["ReferenceID"], &link["Role"]),
        (&json!("site-t"), &json!(1), &json!("agent"))
    );
    desktop.send(&query(2));
    let info = desktop.event();
    assert_eq!((&info["event"], &info["ReferenceID"]), (&json!("EventServerInfo"), &json!(2)));
    assert_eq!(server.metric("tandem_cti_sessions_connected"), 1);
}

#[test]
fn requests_that_come_before_the_session_is_open_wait_for_it() {
    let server = Server::start();
    let mut desktop = Desktop::connect(server.cti);
    desktop.send(&Desktop::open_request("jane"));
    desktop.send(&query(2));
    desktop.send(&query(3));
    let told = [desktop.event(), desktop.event(), desktop.event()];
    assert_eq!(told.map(|event| event["ReferenceID"].clone()), [json!(1), json!(2), json!(3)]);
}

#[test]
fn a_malformed_request_of_an_open_session_is_refused_and_the_session_goes_on() {
    let server = Server::start();
    let (mut desktop, _) = connected(&server, "jane");
    desktop.send(&json!({ "request": "TQueryAddres", "ReferenceID": 5 }));
    let refused = desktop.event();
    assert_eq!((&refused["event"], &refused["ErrorCode"]), (&json!("EventError"), &json!(51)));
    assert_eq!(refused["ReferenceID"], 5);
    desktop.send(&Desktop::open_request("jane"));
    assert_eq!(desktop.event()["ErrorCode"], 506);
    desktop.send(&query(6));
    assert_eq!(desktop.event()["ReferenceID"], 6);
}

#[test]
fn a_server_that_ends_parts_from_every_client_opened_or_not() {
    let server = Server::start();
    let (mut opened, _) = connected(&server, "jane");
    let mut silent = Desktop::connect(server.cti);
    let stopped = std::thread::spawn(move || server.stop(nix::sys::signal::Signal::SIGTERM));
    let end = (1001, "the server is stopping".to_owned());
    assert_eq!(opened.next(), Err(end.clone()));
    assert_eq!(silent.next(), Err(end));
    // A client that has read the farewell answers it only when it goes on reading.
    assert!(opened.next().is_err() && silent.next().is_err());
    assert_eq!(stopped.join().unwrap().code(), Some(0));
}

#[test]
fn an_agent_logs_in_and_is_seen() {
    let server = Server::start();
    let (mut desktop, _) = connected(&server, "jane");
    let mut phone = super::phone::Phone::udp("1001", server.sip);
    assert_eq!(phone.register(server.sip, "secret-1001"), 200);
    desktop.send(&json!({ "request": "TRegisterAddress", "ReferenceID": 2, "ThisDN": "1001" }));
    assert_eq!(desktop.event()["event"], "EventRegistered");
    desktop.send(&json!({ "request": "TAgentLogin", "ReferenceID": 3, "ThisDN": "1001", "AgentID": "2001" }));
    assert_eq!(desktop.event()["event"], "EventAgentLogin");
    assert_eq!(desktop.event()["event"], "EventAgentNotReady");
    let agents = server.ask_json(&["agent", "list"]);
    assert_eq!((&agents[0]["agent_id"], &agents[0]["dn"]), (&json!("2001"), &json!("1001")));
    assert_eq!((&agents[0]["state"], &agents[0]["available"]), (&json!("NotReady"), &json!(false)));
    let queues = server.ask_json(&["queue", "list"]);
    assert_eq!((&queues[0]["queue"], &queues[0]["agents"]), (&json!("7000"), &json!(1)));
    let sessions = server.ask_json(&["session", "list"]);
    assert_eq!((&sessions[0]["person"], &sessions[0]["role"]), (&json!("jane"), &json!("agent")));
    assert_eq!(sessions[0]["connected"], true);
    for asked in ["2001", "1001"] {
        let why = server.ask_json(&["agent", "why", asked]);
        let last = why["steps"].as_array().unwrap().last().unwrap();
        assert!(last["text"].as_str().unwrap().contains("not available"), "{why}");
    }
    assert!(server.ask_json(&["agent", "why", "2002"])["agent"].is_null());
    assert_eq!(server.ask(&["agent", "why", "4711"]).status.code(), Some(5));
}

#[test]
fn a_second_connection_takes_the_session_over_and_the_first_is_told() {
    let server = Server::start();
    let (mut first, link) = connected(&server, "jane");
    let mut second = Desktop::connect(server.cti);
    let mut open = Desktop::open_request("jane");
    open["Session"] = link["Session"].clone();
    open["After"] = link["EventSequenceNumber"].clone();
    second.send(&open);
    assert_eq!(second.event()["Resumed"], "Continued");
    let (_, (code, reason)) = first.until_end();
    assert_eq!(code, 1008);
    assert!(reason.contains("another connection"), "{reason}");
    second.send(&query(2));
    assert_eq!(second.event()["event"], "EventServerInfo");
}

#[test]
fn a_session_is_resumed_and_goes_on_counting() {
    let server = Server::start();
    let (desktop, link) = connected(&server, "jane");
    let session = link["Session"].as_str().unwrap().to_owned();
    let last = link["EventSequenceNumber"].clone();
    drop(desktop);
    let mut again = Desktop::connect(server.cti);
    let mut open = Desktop::open_request("jane");
    open["Session"] = session.into();
    open["After"] = last;
    again.send(&open);
    let link = again.event();
    assert_eq!((&link["event"], &link["Resumed"]), (&json!("EventLinkConnected"), &json!("Continued")));
    again.send(&query(9));
    assert_eq!(again.event()["event"], "EventServerInfo");
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_the_others_go_on() {
    let server = Server::start();
    let mut deaf = Desktop::connect_narrow(server.cti);
    deaf.open("jane");
    for reference in 0..1_500 {
        deaf.send(&query(100 + reference));
    }
    server.wait_for("the client does not read its events");
    assert_eq!(server.metric("tandem_cti_too_slow_total"), 1);
    let (mut other, _) = connected(&server, "boss");
    other.send(&query(2));
    assert_eq!(other.event()["ReferenceID"], 2);
}

#[test]
fn a_new_person_may_come_in_after_a_reload() {
    let server = Server::start();
    let mut early = Desktop::connect(server.cti);
    early.send(&json!({ "request": "TOpenServer", "UserName": "joan", "Password": "secret-jane" }));
    assert_eq!(early.event()["ErrorCode"], 259);
    let changed = server.config_text().replace("\"jane\"", "\"joan\"");
    std::fs::write(server.config_path(), changed).unwrap();
    server.signal(nix::sys::signal::Signal::SIGHUP);
    server.wait_for("configuration reloaded");
    let mut joan = Desktop::connect(server.cti);
    joan.send(&json!({ "request": "TOpenServer", "UserName": "joan", "Password": "secret-jane" }));
    assert_eq!(joan.event()["event"], "EventLinkConnected");
}

#[test]
fn the_line_client_prints_what_comes() {
    let server = Server::start();
    let output = server.cti_lines(
        "boss",
        "secret-boss",
        "# a remark\n\n{\"request\":\"TQueryServer\",\"ReferenceID\":9}\n",
    );
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["event"], "EventLinkConnected");
    assert_eq!((&events[1]["event"], &events[1]["ReferenceID"]), (&json!("EventServerInfo"), &json!(9)));
}

#[test]
fn of_many_requests_at_once_each_is_answered() {
    let server = Server::start();
    let mut desktops: Vec<Desktop> = (0..8).map(|_| connected(&server, "jane").0).collect();
    for reference in 0..100 {
        for desktop in &mut desktops {
            desktop.send(&query(100 + reference));
        }
    }
    for desktop in &mut desktops {
        let answers = (0..100).map(|_| desktop.event()["ReferenceID"].as_u64().unwrap());
        assert_eq!(answers.collect::<Vec<_>>(), (100..200).collect::<Vec<_>>());
    }
}
