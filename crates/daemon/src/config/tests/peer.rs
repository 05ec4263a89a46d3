//! What ties a server to its peer, and how what does not fit is told: the place, the key and the rule.

use std::time::Duration;

use clap::CommandFactory;
use tandem_cti::Role;
use tandem_peer::DrForward;

use super::{load_text, place, report};
use crate::config::{Origin, Site, load};

const TRUNK: &str =
    "[[trunk]]\nname = \"to-b\"\ncontact = \"sip:192.0.2.1\"\noos-check = 10\noos-force = 5\n";

/// Asserts that `extra` behind the minimal file is refused where `at` stands last, in this sentence.
fn refused(extra: &str, at: &str, sentence: &str) {
    let report = report(extra);
    let line = format!("{}{sentence}", place(extra, at));
    assert!(report.contains(&line), "{line} is not in\n{report}");
}

#[test]
fn a_dr_peer_trunk_that_is_another_kind_of_dn_is_told_what_it_is() {
    for (number, table, kind) in [
        ("1001", "[[extension]]\nnumbers = \"1001-1010\"\n", "[[extension]]"),
        ("7000", "[[acd-queue]]\nnumber = \"7000\"\n", "[[acd-queue]]"),
        ("7900", "[[routing-point]]\nnumber = \"7900\"\n", "[[routing-point]]"),
        (
            "2300",
            "[[call-processing-port]]\nnumber = \"2300\"\ncontact = \"sip:192.0.2.9\"\n",
            "[[call-processing-port]]",
        ),
    ] {
        let extra = format!("dr-peer-trunk = \"{number}\"\n{TRUNK}{table}");
        let at = format!("\"{number}\"\n[[trunk]]");
        refused(&extra, &at, &format!("`dr-peer-trunk` names {number}, a DN of {kind}"));
        assert!(report(&extra).contains("it names a Trunk DN, declared with [[trunk]]"));
    }
}

#[test]
fn a_dr_peer_trunk_that_is_not_declared_is_told_the_trunks_there_are() {
    let extra = format!("dr-peer-trunk = \"nowhere\"\n{TRUNK}");
    refused(&extra, "\"nowhere\"", "`dr-peer-trunk` names the trunk \"nowhere\", which is not there");
    assert!(report(&extra).contains("declared trunks: to-b"));
}

#[test]
fn timers_out_of_their_range_are_told_it() {
    let server = |line: &str| line.to_owned();
    let trunk = |line: &str| format!("[[trunk]]\nname = \"g\"\ncontact = \"sip:192.0.2.1\"\n{line}");
    let dn = |line: &str| format!("[[extension]]\nnumber = \"1\"\ncontact = \"sip:192.0.2.2\"\n{line}");
    let desktop = |line: &str| format!("[desktop]\n{line}");
    let queue = |line: &str| format!("[[acd-queue]]\nnumber = \"70\"\n{line}");
    let point = |line: &str| format!("[[routing-point]]\nnumber = \"79\"\n{line}");
    let of = |line: &str, make: &dyn Fn(&str) -> String, table: &str, range: &str| {
        let (key, value) = line.split_once(" = ").unwrap();
        let extra = make(&format!("{line}\n"));
        refused(&extra, value, &format!("`{key}` of {table} cannot be the number {value}"));
        assert!(report(&extra).contains(&format!("expected a whole number {range}")), "{}", report(&extra));
    };
    for (line, range) in [
        ("oos-check = 301", "from 0 to 300"),
        ("oos-force = 33", "from 0 to 32"),
        ("recovery-timeout = 86401", "from 0 to 86400"),
    ] {
        of(line, &trunk, "[[trunk]]", range);
        of(line, &dn, "[[extension]]", range);
    }
    for (line, range) in [
        ("dr-recovery-delay = 3601", "from 0 to 3600"),
        ("graceful-shutdown-sip-timeout = 3601", "from 0 to 3600"),
        ("dialog-audit-timeout = 0", "from 1 to 60"),
        ("dialog-audit-timeout = 61", "from 1 to 60"),
        ("ring-timeout = 3601", "from 1 to 3600"),
        ("min-expires = 0", "from 1 to 86400"),
        ("max-expires = 86401", "from 1 to 86400"),
        ("default-expires = 86401", "from 1 to 86400"),
        ("timer-t1 = 9", "from 10 to 60000"),
        ("logout-on-disconnect-grace = 3601", "from 0 to 3600"),
        ("agent-no-answer-timeout = 601", "from 0 to 600"),
        ("auto-logout-timeout = 35792", "from 0 to 35791"),
        ("shutdown-sip-reject-code = 604", "from 300 to 603"),
    ] {
        of(line, &server, "[TServer]", range);
    }
    of("site-timeout = 3601", &desktop, "[desktop]", "from 0 to 3600");
    of("max-wait = 86401", &queue, "[[acd-queue]]", "from 0 to 86400");
    of("router-timeout = 0", &point, "[[routing-point]]", "from 1 to 3600");
}

#[test]
fn a_desktop_must_not_be_faster_than_the_detection() {
    let with = |wait: u64| format!("dr-peer-trunk = \"to-b\"\n{TRUNK}[desktop]\nsite-timeout = {wait}\n");
    let sentence =
        "`site-timeout` of [desktop] is 14, less than the 15 s (oos-check + oos-force of \"to-b\")";
    refused(&with(14), "14\n", sentence);
    assert!(report(&with(14)).contains("make it 15 or more"));
    for fits in [15, 60, 0] {
        let directory = load_text(&with(fits)).unwrap().directory;
        assert_eq!(directory.options.site_timeout, Some(Duration::from_secs(fits)));
    }
    let alone = load_text("[desktop]\nsite-timeout = 1\n").unwrap().directory;
    assert_eq!(
        alone.options.site_timeout,
        Some(Duration::from_secs(1)),
        "without a peer nothing is to be noticed"
    );
    assert_eq!(load_text("").unwrap().directory.options.site_timeout, None);
}

#[test]
fn the_return_to_peered_has_two_options_of_its_own() {
    let usual = load_text("").unwrap().directory.options;
    assert_eq!((usual.dr_recovery_delay, usual.dr_recovery_sweep), (Duration::ZERO, false));
    let options = load_text("dr-recovery-delay = 30\ndr-recovery-sweep = true\n").unwrap().directory.options;
    assert_eq!((options.dr_recovery_delay, options.dr_recovery_sweep), (Duration::from_secs(30), true));
    refused("dr-recovery-sweep = 1\n", "1\n", "`dr-recovery-sweep` of [TServer] cannot be the number 1");
}

/// Options that an operator brings from the vendor's configuration, with values in the vendor's words.
#[test]
fn bca_25_the_vendors_option_names_are_the_keys() {
    let agents = "wrap-up-time = \"untimed\"\ntimed-acw-in-idle = true\nacw-in-idle-force-ready = true\n\
                  legal-guard-time = 0\nlogout-on-out-of-service = false\nlogout-on-disconnect = true\n\
                  agent-logout-on-unreg = \"emu-only\"\nagent-emu-login-on-call = false\n\
                  agent-strict-id = \"passwd\"\nauto-logout-timeout = 0\nagent-no-answer-timeout = 15\n\
                  connect-nailedup-on-login = \"gcti::park\"\ndisconnect-nailedup-timeout = 0\n";
    let server = "sip-port = 5060\ndr-forward = \"no-agent\"\ndr-peer-trunk = \"to-b\"\nshutdown-sip-reject-code = 603\n\
                  graceful-shutdown-sip-timeout = 10\nuntimed-wrap-up-value = 1000\n";
    let trunk = format!(
        "{TRUNK}oos-options-max-forwards = 70\noos-error-check = true\nrecovery-timeout = 0\noosp-transfer-enabled = false\n"
    );
    let dn = "[[extension]]\nnumber = \"1001\"\ndr-forward = \"oos\"\nsip-cti-control = \"talk,hold\"\nagent-no-answer-action = \"notready\"\n";
    let login =
        "[[agent-login]]\nid = \"a\"\nno-answer-action = \"none\"\nno-answer-overflow = [\"recall\"]\n";
    let loaded = load_text(&format!("{server}{agents}{trunk}{dn}{login}"));
    assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
}

/// Work at either site, disaster recovery and graceful migration need nothing but what is shipped.
#[test]
fn bca_05_the_shipped_configuration_and_commands_hold_all_three_functions() {
    let [a, b] = [Site::SiteA, Site::SiteB].map(|site| load(&Origin::Demo(site), [7; 32]).unwrap().directory);
    // An agent finds his DN, his login, his queue and his place at both.
    for (here, there) in [(&a, &b), (&b, &a)] {
        for extension in here.extensions() {
            assert!(there.find(extension.number.as_bytes()).is_some(), "{}", extension.number);
        }
        for login in &here.floor().logins {
            assert!(there.login(&login.id).is_some(), "{}", login.id);
        }
        for queue in &here.floor().queues {
            assert_eq!(there.queue(&queue.number), Some(queue));
        }
        assert_eq!(
            (&here.floor().places, &here.floor().persons),
            (&there.floor().places, &there.floor().persons)
        );
        // Each notices the loss of the other, and forwards to it while it is there.
        let peer = here.options.dr_peer_trunk.and_then(|id| here.trunk(id)).unwrap();
        assert_eq!(peer.contact.addr, Some(there.server.listen[0].addr));
        assert!(peer.oos.oos_check_s > 0 && here.options.dr_forward != DrForward::Off);
        assert!(
            here.floor().persons.iter().any(|person| person.role == Role::Administrator),
            "who may drain it"
        );
    }
    let commands = crate::cli::Cli::command();
    for name in ["serve", "check", "drain", "migrate", "readiness", "status", "trunk", "agent", "queue"] {
        assert!(commands.find_subcommand(name).is_some(), "tandem {name}");
    }
}
