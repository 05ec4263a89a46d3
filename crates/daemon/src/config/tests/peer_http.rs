//! `[peer-http]`, `[readiness]` and `preferred-site`.

use tandem_peer::failure::FailureSignals;
use tandem_switch::directory::floor::Password;

use super::*;
use crate::config::PeerPassword;

const WHOLE: &str = "[peer-http]\nurl = \"http://192.0.2.2:8060\"\nuser = \"watcher\"\npassword-file = \"/etc/peer-password\"\n";

#[test]
fn the_peer_is_asked_where_and_as_whom_the_table_says() {
    let settings = load_text(&format!("{WHOLE}[readiness]\nrecovery-goal = 30\n")).unwrap().settings;
    let peer = settings.peer_http.unwrap();
    assert_eq!((peer.url.to_string().as_str(), &*peer.user), ("http://192.0.2.2:8060/", "watcher"));
    assert_eq!(peer.password, PeerPassword::File("/etc/peer-password".into()));
    let written = WHOLE.replace("password-file = \"/etc/peer-password\"", "password = \"secret\"");
    let peer = load_text(&written).unwrap().settings.peer_http.unwrap();
    assert_eq!(peer.password, PeerPassword::Written(Password("secret".into())));
    assert!(!format!("{peer:?}").contains("secret"), "{peer:?}");
    let out = report(&format!("{WHOLE}password = \"secret\"\n"));
    assert!(out.contains("`password` and `password-file` say the same"), "{out}");
    assert_eq!(peer.ca_file, Path::new("/etc/ssl/certs/ca-certificates.crt"));
    assert_eq!(settings.goals.recovery_goal_s, 30);
    let settings = load_text("").unwrap().settings;
    assert_eq!((settings.peer_http, settings.goals.recovery_goal_s), (None, 60));
}

#[test]
fn a_peer_that_cannot_be_asked_is_refused_with_its_place() {
    for (key, from, to, wanted) in [
        (
            "\"http:",
            "http://192.0.2.2:8060",
            "ws://192.0.2.2:8060",
            "is no URL of the kind http://ADDRESS:PORT",
        ),
        ("\"http:", "http://192.0.2.2:8060", "http://192.0.2.2:8060/api", "is no URL of the kind"),
        ("\"http:", "http://192.0.2.2:8060", "http://me:secret@192.0.2.2", "is no URL of the kind"),
        ("[peer-http]", "user = \"watcher\"\n", "", "`user` is missing in [peer-http]"),
        ("[peer-http]", "password-file = \"/etc/peer-password\"\n", "", "`password-file` is missing"),
    ] {
        assert!(WHOLE.contains(from), "{from}");
        let extra = WHOLE.replace(from, to);
        let key = if key == "\"http:" { to } else { key };
        let (report, place) = (report(&extra), place(&extra, key));
        let line = place.split(':').nth(1).unwrap();
        assert!(
            report.contains(&format!("site.toml:{line}:")) && report.contains(wanted),
            "{wanted}: {report}"
        );
    }
    let out = report("[readiness]\nrecovery-goal = 0\n");
    assert!(out.contains("`recovery-goal` of [readiness] cannot be the number 0"), "{out}");
    assert!(out.contains("from 1 to 86400"), "{out}");
}

#[test]
fn a_preferred_site_is_a_switch_that_is_known() {
    let person = |site: &str| {
        format!(
            "[[extension]]\nnumber = \"1001\"\nswitches = [\"site-a\", \"site-b\"]\n[[agent-login]]\nid = \"2001\"\n\
             [[person]]\nuser = \"jane\"\nrole = \"agent\"\nagent-logins = [\"2001\"]\npreferred-site = \"{site}\"\n\
             password-hash = \"$argon2id$v=19$m=256,t=1,p=1$+uH8Nfy4+gcbNeBObzas8g$/AO2vfa3s57bHwuvUHlqbswBmp2LU5Uan1Ci2ltvQ5c\"\n"
        )
    };
    for site in ["site-a", "site-b"] {
        assert_eq!(load_text(&person(site)).unwrap().directory.preferred_site("2001"), Some(site));
    }
    let extra = person("site-x");
    let report = report(&extra);
    assert!(report.contains(&place(&extra, "\"site-x\"")), "{report}");
    assert!(
        report.contains("`preferred-site` names the switch \"site-x\", which is not known here"),
        "{report}"
    );
}

#[test]
fn failure_signals_are_words_and_control_needs_somewhere_to_ask() {
    let signals = |words: &str, more: &str| load_text(&format!("dr-failure-signals = [{words}]\n{more}"));
    let watched = |words: &str| signals(words, WHOLE).unwrap().directory.options.dr_failure_signals;
    assert_eq!(watched("\"control\", \"gateways\", \"phones\""), FailureSignals::ALL);
    assert_eq!(watched("\"phones\""), FailureSignals { phones: true, ..FailureSignals::default() });
    assert!(!load_text("").unwrap().directory.options.dr_failure_signals.any());
    let extra = "dr-failure-signals = [\"control\"]\n";
    let out = report(extra);
    assert!(
        out.contains(&place(extra, "\"control\"")) && out.contains("add [peer-http] with its url"),
        "{out}"
    );
    let out = report("dr-failure-signals = [\"contrl\"]\n");
    assert!(out.contains("\"contrl\" is not a value of it"), "{out}");
}
