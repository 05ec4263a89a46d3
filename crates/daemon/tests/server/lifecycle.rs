//! Start, questions, reload, end.

use std::process::Command;

use nix::sys::signal::Signal;

use super::phone::Phone;
use super::process::Server;

#[test]
fn a_started_server_is_healthy_ready_and_counted() {
    let server = Server::start();
    assert_eq!(server.get("/health"), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    assert_eq!(server.get("/ready").0, "HTTP/1.1 200 OK");
    let (_, metrics) = server.get("/metrics");
    for family in ["tandem_calls 0", "tandem_extensions 10", "tandem_mode{mode=\"stand-alone\"} 1"] {
        assert!(metrics.lines().any(|line| line == family), "{family} is not in\n{metrics}");
    }
    assert_eq!(server.get("/nothing").0, "HTTP/1.1 404 Not Found");
}

#[test]
fn every_view_answers_as_table_and_as_json() {
    let server = Server::start();
    assert_eq!(server.ask_json(&["status"])["server"], "site-t");
    assert_eq!(server.ask_json(&["dn", "list"]).as_array().unwrap().len(), 10);
    for view in ["reg", "call", "trunk", "agent", "session"] {
        assert!(server.ask_json(&[view, "list"]).as_array().unwrap().is_empty(), "{view}");
    }
    for view in [
        &["status"][..],
        &["dn", "list"],
        &["reg", "list"],
        &["call", "list"],
        &["trunk", "list"],
        &["agent", "list"],
        &["agent", "why", "1001"],
        &["queue", "list"],
        &["session", "list"],
    ] {
        let output = server.ask(view);
        assert!(output.status.success() && !output.stdout.is_empty(), "{view:?}");
    }
    let unknown = server.ask(&["why", "nobody@nowhere/at all"]);
    assert_eq!(unknown.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no call with this Call-ID"));
}

#[test]
fn dns_and_registrations_are_listed_in_pages() {
    let server = Server::start();
    for dn in ["1001", "1002"] {
        assert_eq!(Phone::udp(dn, server.sip).register(server.sip, &format!("secret-{dn}")), 200);
    }
    let names = |words: &[&str]| -> Vec<String> {
        let rows = server.ask_json(words);
        rows.as_array().unwrap().iter().map(|row| row["dn"].as_str().unwrap().to_owned()).collect()
    };
    let all = names(&["dn", "list"]);
    assert_eq!(names(&["dn", "list", "--limit", "3"]), all[..3]);
    assert_eq!(names(&["dn", "list", "--after", &all[2]]), all[3..]);
    assert_eq!(names(&["reg", "list", "--limit", "1"]), ["1001"]);
    assert_eq!(names(&["reg", "list", "--after", "1001"]), ["1002"]);
    assert!(names(&["dn", "list", "--after", all.last().unwrap()]).is_empty());
    assert_eq!(server.ask(&["reg", "list", "--after", "4711"]).status.code(), Some(5));
    assert!(server.get("/api/reg?limit=0").1.contains("limit is 1 to 1000"));
    assert!(server.get("/api/reg?rows=5").1.contains("limit=NUMBER"));
}

#[test]
fn no_answer_of_the_administration_interface_holds_a_password() {
    let server = Server::start();
    assert_eq!(Phone::udp("1001", server.sip).register(server.sip, "secret-1001"), 200);
    for page in [
        "/",
        "/metrics",
        "/api/status",
        "/api/dn",
        "/api/reg",
        "/api/call",
        "/api/trunk",
        "/api/agent",
        "/api/queue",
        "/api/session",
    ] {
        assert!(!server.get(page).1.contains("secret-"), "{page}");
    }
}

#[test]
fn a_broken_file_does_not_disturb_a_running_server() {
    let server = Server::start();
    let mut phone = Phone::udp("1001", server.sip);
    assert_eq!(phone.register(server.sip, "secret-1001"), 200);
    let broken = server.config_text().replace("sip-address", "sip-adress") + "ring-timeout = 0\n";
    std::fs::write(server.config_path(), broken).unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for("`sip-adress` is not a key of [TServer]");
    server.wait_for("not reloaded");
    assert_eq!(server.ask_json(&["status"])["bindings"], 1);
    assert_eq!(Phone::udp("1002", server.sip).register(server.sip, "secret-1002"), 200);
}

#[test]
fn a_reload_brings_new_extensions_keeps_registrations_and_says_what_needs_a_restart() {
    let server = Server::start();
    assert_eq!(Phone::udp("1001", server.sip).register(server.sip, "secret-1001"), 200);
    let changed = server
        .config_text()
        .replace("1001-1010", "1001-1020")
        .replace(&format!("\"tcp:127.0.0.1:{}\"", server.sip), "\"tcp:127.0.0.1:9\"");
    std::fs::write(server.config_path(), changed).unwrap();
    server.signal(Signal::SIGHUP);
    let kept = server.wait_for("at the next start only");
    assert!(kept.contains("application.listen"), "{kept}");
    server.wait_for("configuration reloaded");
    let status = server.ask_json(&["status"]);
    assert_eq!((&status["extensions"], &status["bindings"]), (&20.into(), &1.into()));
    assert_eq!(Phone::tcp("1020", server.sip).register(server.sip, "secret-1020"), 200);
}

#[test]
fn a_server_ends_cleanly_on_sigterm_and_on_ctrl_c() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let server = Server::start();
        assert_eq!(Phone::udp("1001", server.sip).register(server.sip, "secret-1001"), 200);
        assert_eq!(server.stop(signal).code(), Some(0), "{signal}");
    }
}

#[test]
fn a_second_server_on_the_same_address_is_refused_with_the_address() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let second = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["serve", "--config"])
        .arg(server.config_path())
        .env("STATE_DIRECTORY", folder.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains(&format!("cannot listen on UDP 127.0.0.1:{}", server.sip)), "{said}");
}

#[test]
fn check_and_serve_refuse_a_wrong_configuration_with_exit_code_three() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.toml");
    std::fs::write(&path, "[application]\nnam = \"x\"\n").unwrap();
    for command in ["check", "serve"] {
        let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args([command, "--config"])
            .arg(&path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(3), "{command}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("site.toml:2:1: error: `nam` is not a key of [application]"), "{said}");
    }
    let fine =
        Command::new(env!("CARGO_BIN_EXE_tandem")).args(["check", "--demo", "site-a"]).output().unwrap();
    assert_eq!(fine.status.code(), Some(0));
}

#[test]
fn a_command_without_a_server_says_what_to_do_and_exits_with_four() {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["status", "--server", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("tandem serve --config FILE"));
}
