//! What the floor may hold, and what is said about one that is wrong.

use std::time::Duration;

use tandem_cti::Role;
use tandem_switch::directory::floor::{
    Distribution, NoAnswerAction, NoAnswerOverflow, OnUnregister, StrictId, Treatment, WrapUp,
};

use super::{load_text, place, report};
use crate::config::*;

const HASH: &str = "password-hash = \"$argon2id$v=19$m=8,t=1,p=1$AO0ntorvWamP6kThMyJNcg\
                    $XmcqFAdxR6Jh4EH9lAuKOB9LAjU7k6tIeNTSUGRpAO4\"\n";

/// Asserts that `extra` behind the minimal file is refused at `at` with `text` and `hint`.
fn refused(extra: &str, at: &str, text: &str, hint: &str) {
    let report = report(extra);
    let place = place(extra, at);
    assert!(report.contains(&place), "{place} is not in\n{report}");
    assert!(report.contains(text), "{text} is not in\n{report}");
    assert!(report.contains(hint), "{hint} is not in\n{report}");
}

#[test]
fn the_demonstration_has_a_floor() {
    for site in [Site::SiteA, Site::SiteB] {
        let Config { directory, settings } = load(&Origin::Demo(site), [7; 32]).unwrap();
        let floor = directory.floor();
        assert_eq!((floor.logins.len(), floor.persons.len(), floor.places.len()), (20, 23, 20));
        let person = directory.person("agent07").unwrap();
        assert_eq!((person.role, &*person.logins[0]), (Role::Agent, "2007"));
        assert!(crate::password::verify("secret-agent07", &person.password_hash.0));
        assert_eq!(&*directory.login("2007").unwrap().password.as_ref().unwrap().0, "secret-2007");
        assert_eq!(directory.queue("7001").unwrap().distribution, Distribution::HighestSkill);
        assert_eq!(directory.routing_point("7900").unwrap().default_dn.as_deref(), Some("7000"));
        assert!(settings.cti.listen.unwrap().ip().is_loopback());
    }
}

#[test]
fn options_of_agents_stand_at_three_levels() {
    let text = "wrap-up-time = 5\nuntimed-wrap-up-value = 900\nagent-strict-id = \"passwd\"\n\
                logout-on-disconnect-grace = 7\nagent-logout-on-unreg = true\n\
                [[extension]]\nnumber = \"1\"\nwrap-up-time = 900\nagent-no-answer-action = \"logout\"\n\
                [[agent-login]]\nid = \"a\"\nwrap-up-time = \"untimed\"\nno-answer-overflow = [\"recall\", \"1\"]\n\
                auto-logout-timeout = 2\n[[agent-login]]\nid = \"b\"\n";
    let directory = load_text(text).unwrap().directory;
    assert_eq!(directory.floor().logout_on_disconnect_grace, Duration::from_secs(7));
    let a = directory.agent_options("1", "a");
    assert_eq!((a.wrap_up_time, a.agent_strict_id), (WrapUp::Untimed, StrictId::Password));
    assert_eq!(a.agent_no_answer_overflow, [NoAnswerOverflow::Recall, NoAnswerOverflow::To("1".into())]);
    assert_eq!(a.auto_logout_timeout, Duration::from_secs(120));
    let b = directory.agent_options("1", "b");
    assert_eq!((b.wrap_up_time, b.agent_no_answer_action), (WrapUp::Untimed, NoAnswerAction::Logout));
    assert_eq!(b.agent_logout_on_unreg, OnUnregister::Logout);
    assert_eq!(directory.agent_options("2", "b").wrap_up_time, WrapUp::Timed(Duration::from_secs(5)));
}

#[test]
fn a_wrong_option_of_an_agent_is_told_its_range_or_its_words() {
    for (line, value, hint) in [
        ("auto-logout-timeout = 35792", "35792", "from 0 to 35791"),
        ("agent-no-answer-timeout = 601", "601", "from 0 to 600"),
        ("wrap-up-time = \"untimd\"", "\"untimd\"", "did you mean \"untimed\"?"),
        ("agent-strict-id = \"password\"", "\"password\"", "did you mean \"passwd\"?"),
        ("agent-no-answer-overflow = [\"re call\"]", "\"re call\"", "a number to send the call to"),
        ("sip-cti-control = \"talk,mute\"", "\"talk,mute\"", "\"talk,hold\""),
        ("make-call-alert-info = \"a\\r\\nVia: b\"", "\"a\\r\\nVia", "the value of a SIP header"),
    ] {
        let key = line.split_once(' ').unwrap().0;
        refused(&format!("[[extension]]\nnumber = \"1\"\n{line}\n"), value, &format!("`{key}` of"), hint);
    }
    refused(
        "[[agent-login]]\nid = \"a\"\nagent-no-answer-action = \"none\"\n",
        "agent-no",
        "is not a key",
        "no-answer-action",
    );
}

#[test]
fn a_phone_that_answers_by_request_says_how() {
    let text = "[[extension]]\nnumber = \"1\"\nsip-cti-control = \"talk, hold\"\n\
                make-call-call-info = \"<sip:local>;answer-after=0\"\n";
    let directory = load_text(text).unwrap().directory;
    let answer = &directory.extensions()[0].class.answer;
    assert!(answer.notify_talk && answer.notify_hold && answer.make_call_alert_info.is_none());
    assert_eq!(answer.make_call_call_info.as_deref(), Some("<sip:local>;answer-after=0"));
}

#[test]
fn queues_routing_points_and_the_mixer_are_read() {
    let text = "[[extension]]\nnumber = \"1\"\n[[agent-login]]\nid = \"a\"\nskills = { german = 5 }\n\
                [[acd-queue]]\nnumber = \"70\"\nagents = [\"a\"]\ntreatment = \"music:hold.wav\"\nmax-wait = 9\n\
                overflow = \"1\"\n[[routing-point]]\nnumber = \"79\"\ntreatment = \"announcement:hello\"\n\
                [conference]\nmixer = \"m\"\ncontact = \"sip:{conference}@192.0.2.1\"\n";
    let directory = load_text(text).unwrap().directory;
    let queue = directory.queue("70").unwrap();
    assert_eq!(queue.treatment, Treatment::Music("hold.wav".into()));
    assert_eq!((queue.max_wait.as_secs(), queue.service_level.as_secs()), (9, 20));
    let point = directory.routing_point("79").unwrap();
    assert_eq!(
        (&point.treatment, point.router_timeout.as_secs()),
        (&Treatment::Announcement("hello".into()), 10)
    );
    assert_eq!(directory.login("a").unwrap().skills["german"], 5);
    assert_eq!(&*directory.floor().mixer.as_ref().unwrap().contact.uri, "sip:{conference}@192.0.2.1");
}

#[test]
fn a_treatment_names_one_file_and_no_way_out_of_the_directory() {
    for file in ["../secret.wav", "/etc/passwd", "a/b.wav", "..", ".hidden"] {
        for kind in ["music", "announcement"] {
            let text = format!("[[routing-point]]\nnumber = \"79\"\ntreatment = \"{kind}:{file}\"\n");
            refused(&text, &format!("\"{kind}:"), &format!("\"{file}\" is not one name of a file"), "");
        }
    }
}

#[test]
fn a_port_is_an_extension_with_a_fixed_contact_and_without_agents() {
    let text = "[[call-processing-port]]\nnumber = \"2300\"\ncontact = \"sip:{number}@192.0.2.1\"\n";
    let directory = load_text(text).unwrap().directory;
    assert!(directory.find(b"2300").is_some());
    assert_eq!(&*directory.floor().ports[0].number, "2300");
    let without = "[[call-processing-port]]\nnumber = \"2300\"\n";
    refused(without, "[[call", "`contact` is missing in [[call-processing-port]]", "add contact");
    let agent = format!("{text}wrap-up-time = 5\n");
    refused(&agent, "wrap-up", "`wrap-up-time` is not a key of [[call-processing-port]]", "known keys");
}

#[test]
fn an_unknown_agent_group_or_login_is_told_with_the_one_that_was_meant() {
    let logins =
        "[[agent-login]]\nids = \"a01-a03\"\n[[agent-group]]\nname = \"sales\"\nagents = [\"a01-a03\"]\n";
    let queue = format!("{logins}[[acd-queue]]\nnumber = \"70\"\nagent-groups = [\"sale\"]\n");
    refused(
        &queue,
        "\"sale\"",
        "names the agent group \"sale\", which is not there",
        "did you mean \"sales\"?",
    );
    let queue = format!("{logins}[[acd-queue]]\nnumber = \"70\"\nagents = [\"a02-a09\"]\n");
    refused(&queue, "\"a02-a09\"", "names the Agent Login \"a04\"", "did you mean");
    assert_eq!(load_text(&queue).unwrap_err().faults, 1, "a range is one mistake");
    let person =
        format!("{logins}[[person]]\nuser = \"x\"\n{HASH}role = \"agent\"\nagent-logins = [\"b\"]\n");
    refused(
        &person,
        "\"b\"",
        "`agent-logins` names the Agent Login \"b\"",
        "declare it with [[agent-login]]",
    );
}

#[test]
fn an_agent_login_has_one_owner_and_one_declaration() {
    let person =
        |name| format!("[[person]]\nuser = \"{name}\"\n{HASH}role = \"agent\"\nagent-logins = [\"a\"]\n");
    let text = format!("[[agent-login]]\nid = \"a\"\n{}{}", person("x"), person("y"));
    refused(&text, "\"a\"", "belongs to \"x\" already", "one person owns it");
    let twice = "[[agent-login]]\nid = \"a\"\n[[agent-login]]\nid = \"a\"\nswitches = [\"site-a\"]\n";
    refused(twice, "\"a\"\nsw", "the Agent Login a is declared twice", "each AgentID");
    let apart = "[[agent-login]]\nid = \"a\"\nswitches = [\"site-b\"]\n[[agent-login]]\nid = \"a\"\n\
                 switches = [\"site-a\"]\n";
    assert_eq!(load_text(apart).unwrap().directory.floor().logins.len(), 1);
}

#[test]
fn calls_must_overflow_to_something() {
    let queue = |to: &str| format!("[[acd-queue]]\nnumber = \"70\"\noverflow = \"{to}\"\n");
    refused(&queue("81"), "\"81\"", "`overflow` names 81, which leads nowhere", "[[dial-plan]]");
    refused(&queue("8 1"), "\"8 1\"", "' ' cannot stand in a number", "a number to send calls to");
    refused(&queue("70"), "\"70\"\n", "is the queue itself", "another DN");
    let point = "[[routing-point]]\nnumber = \"71\"\ndefault-dn = \"71\"\n";
    refused(
        point,
        "\"71\"\n",
        "`default-dn` of the Routing Point 71 is the Routing Point itself",
        "another DN",
    );
    let plan = "[[trunk]]\nname = \"gw\"\ncontact = \"sip:192.0.2.1\"\n[[dial-plan]]\nprefix = \"8\"\ntrunks = [\"gw\"]\n";
    assert!(load_text(&format!("{plan}{}", queue("81"))).is_ok());
    refused(
        "agent-no-answer-overflow = \"81\"\n",
        "\"81\"",
        "`agent-no-answer-overflow` names 81",
        "a DN of",
    );
}

#[test]
fn numbers_of_all_dns_are_one_space() {
    let text = "[[extension]]\nnumber = \"70\"\n[[acd-queue]]\nnumber = \"70\"\n";
    refused(text, "[[acd", "DN 70 is declared twice for the switch \"site-a\"", "one number space");
    let text =
        "[[acd-queue]]\nnumber = \"70\"\n[[routing-point]]\nnumber = \"70\"\nswitches = [\"site-b\"]\n";
    assert!(load_text(text).is_ok(), "the routing point is on another switch");
}

/// The same, where `text` is the sentence from its beginning.
fn refused_so(extra: &str, at: &str, text: &str, hint: &str) {
    refused(extra, at, &format!("{}{text}", place(extra, at)), hint);
}

const PEER: &str = "dr-peer-trunk = \"to-b\"\n[[trunk]]\nname = \"to-b\"\ncontact = \"sip:192.0.2.1\"\noos-check = 5\n\
                    [[extension]]\nnumbers = \"1001-1002\"\nswitches = [\"site-a\", \"site-b\"]\n";

#[test]
fn bca_18_a_place_without_the_preferred_or_the_peer_extension_is_an_error() {
    let place = |dns: &str| format!("{PEER}[[place]]\nname = \"desk\"\ndns = [{dns}]\n");
    assert!(load_text(&place("\"site-a:1001\", \"site-b:1001\"")).is_ok());
    for (there, lacks) in [("site-a", "site-b"), ("site-b", "site-a")] {
        let dn = format!("\"{there}:1001\"");
        let told = format!("`dns` of the place \"desk\" names no Extension at {lacks}");
        refused_so(&place(&dn), &dn, &told, "needs the preferred and the peer Extension: name both");
    }
}

#[test]
fn bca_18_a_place_that_gives_an_agent_something_else_than_an_extension_is_an_error() {
    let port = "[[call-processing-port]]\nnumber = \"23\"\ncontact = \"sip:192.0.2.9\"\n";
    let (queue, point) = ("[[acd-queue]]\nnumber = \"70\"\n", "[[routing-point]]\nnumber = \"79\"\n");
    for (dn, objects, kind) in [
        ("site-b:1009", "", "which is no Extension"),
        ("site-a:4711", "", "which is no Extension"),
        ("site-a:23", port, "a Call Processing Port"),
        ("site-a:70", queue, "an ACD Queue"),
        ("site-a:79", point, "a Routing Point"),
    ] {
        let other = if dn.starts_with("site-a") { "site-b:1001" } else { "site-a:1001" };
        let text = format!("{PEER}{objects}[[place]]\nname = \"desk\"\ndns = [\"{other}\", \"{dn}\"]\n");
        let told = format!("`dns` of the place \"desk\" names {dn}, {kind}");
        refused_so(&text, &format!("\"{dn}\""), &told, "agents work at Extensions only");
    }
}

#[test]
fn a_place_of_a_server_without_a_peer_needs_one_extension() {
    let text = "[[extension]]\nnumber = \"1\"\n[[place]]\nname = \"desk\"\ndns = [\"site-a:1\"]\n";
    assert!(load_text(text).is_ok());
}

#[test]
fn a_person_needs_a_hash_that_can_be_checked() {
    let person =
        |hash: &str| format!("[[person]]\nuser = \"x\"\npassword-hash = \"{hash}\"\nrole = \"agent\"\n");
    refused(&person("hush-4711"), "\"hush", "is no password hash", "tandem hash-password");
    assert!(!report(&person("hush-4711")).contains("4711"), "a secret is not repeated");
    let argon2i = HASH.trim().split('"').nth(1).unwrap().replace("argon2id", "argon2i");
    refused(&person(&argon2i), "\"$argon2i$", "is no hash by argon2id", "tandem hash-password");
    let dear = HASH.trim().split('"').nth(1).unwrap().replace("m=8,", "m=9000000,");
    refused(&person(&dear), "\"$argon2id$", "costs more than", "tandem hash-password");
    let role = format!("[[person]]\nuser = \"x\"\n{HASH}role = \"boss\"\n");
    refused(&role, "\"boss\"", "`role` of [[person]]", "expected one of \"agent\"");
}

#[test]
fn the_cti_interface_is_open_where_somebody_could_use_it() {
    assert_eq!(load_text("").unwrap().settings.cti.listen, None);
    let person = format!("[[person]]\nuser = \"x\"\n{HASH}role = \"supervisor\"\n");
    let open = load_text(&person).unwrap().settings.cti;
    assert_eq!((open.listen, open.tls), (Some("127.0.0.1:8061".parse().unwrap()), None));
}

#[test]
fn skills_are_levels() {
    let skills = |value: &str| format!("[[agent-login]]\nid = \"a\"\nskills = {value}\n");
    refused(&skills("{ german = 0 }"), "0 }", "`skills` of [[agent-login]]", "from 1 to 1000");
    refused(
        &skills("[\"german\"]"),
        "[\"german",
        "`skills` of [[agent-login]] cannot be a list",
        "{ name = 5 }",
    );
}
