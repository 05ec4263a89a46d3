//! What a configuration may hold, and what is said about one that is wrong.

mod floor;
mod guard;
mod ha;
mod media;
mod peer;
mod peer_http;
mod session_timer;
mod sip_tls;

use std::collections::BTreeSet;
use std::path::Path;

use tandem_peer::continuity::DrForward;
use tandem_peer::trunk::TrunkRole;
use tandem_sip::Transport;
use tandem_switch::directory::Secret;

use super::*;

const SECRET: [u8; 32] = [7; 32];

const MINIMAL: &str = r#"
[application]
name = "site-a"
switch = "site-a"
listen = ["udp:127.0.0.1:5060"]
realm = "tandem"

[TServer]
sip-address = "127.0.0.1"
"#;

fn load_files(files: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    load(&Origin::File(folder.path().join(files[0].0)), SECRET)
}

fn load_text(extra: &str) -> Result<Config, ConfigError> {
    load_files(&[("site.toml", &format!("{MINIMAL}{extra}"))])
}

/// The report on MINIMAL with `extra` behind it.
fn report(extra: &str) -> String {
    load_text(extra).unwrap_err().report
}

/// Line of `needle` in MINIMAL with `extra` behind it, and its column.
fn place(extra: &str, needle: &str) -> String {
    let text = format!("{MINIMAL}{extra}");
    let (line, column) = fault::line_and_column(&text, text.rfind(needle).unwrap());
    format!("site.toml:{line}:{column}: error: ")
}

#[test]
fn the_demonstration_is_two_sites_that_name_each_other() {
    for (site, other, addr) in
        [(Site::SiteA, "to-site-b", "127.0.0.1"), (Site::SiteB, "to-site-a", "127.0.0.2")]
    {
        let Config { directory, settings } = load(&Origin::Demo(site), SECRET).unwrap();
        assert_eq!(directory.extensions().len(), 20);
        let dn = directory.extension(directory.find(b"1010").unwrap()).unwrap();
        assert_eq!(dn.class.secret, Secret::Password("secret-{number}".into()));
        let peer = directory.options.dr_peer_trunk.and_then(|id| directory.trunk(id)).unwrap();
        assert_eq!((&*peer.name, peer.oos.role), (other, TrunkRole::Peer));
        assert_eq!((peer.oos.oos_check_s, peer.oos.oos_force_s), (2, 1));
        assert_eq!(directory.options.dr_forward, DrForward::Oos);
        let rule = directory.dial_rule(b"9030").unwrap();
        assert_eq!((rule.strip, &*directory.trunk(rule.trunks[0]).unwrap().name), (1, "gateway"));
        assert_eq!(settings.http, Some(format!("{addr}:8060").parse().unwrap()));
        assert!(directory.server.listen.iter().all(|listen| listen.addr.ip().is_loopback()));
        assert!(settings.http.unwrap().ip().is_loopback());
    }
}

#[test]
fn the_files_of_the_demonstration_load_from_disk_too() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    for name in ["site-a.toml", "site-b.toml"] {
        load(&Origin::File(folder.join(name)), SECRET).unwrap();
    }
}

#[test]
fn the_example_holds_every_key_and_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/example.toml");
    let files = read_files(&Origin::File(path), &Reader::default()).unwrap();
    let reader = Reader::default();
    let config = join(&files, &reader, SECRET);
    let asked = reader.asked();
    let present: BTreeSet<_> = asked.iter().filter(|(.., there)| *there).map(|(t, k, _)| (t, k)).collect();
    let missing: BTreeSet<_> =
        asked.iter().map(|(t, k, _)| (t, k)).filter(|key| !present.contains(key)).collect();
    assert!(missing.is_empty(), "example.toml lacks {missing:?}");
    assert!(present.len() > 40, "only {} keys were asked for", present.len());
    assert!(config.is_some() && reader.is_clean(), "{:?}", reader.into_faults());
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_key_that_was_meant() {
    let extra = "[[trunk]]\nname = \"gw\"\ncontact = \"sip:192.0.2.1\"\noos-chek = 2\n";
    let report = report(extra);
    assert!(report.contains(&place(extra, "oos-chek")), "{report}");
    assert!(report.contains("`oos-chek` is not a key of [[trunk]]"), "{report}");
    assert!(report.contains("oos-chek = 2\n      | ^^^^^^^^ did you mean `oos-check`?"), "{report}");
}

#[test]
fn an_unknown_table_and_a_key_like_no_other_are_named_too() {
    let report = report("banana = 1\n[[trunks]]\nname = \"gw\"\n");
    assert!(
        report.contains("`banana` is not a key of [TServer]") && report.contains("known keys: "),
        "{report}"
    );
    assert!(report.contains("`trunks` is not a key of the file") && report.contains("`trunk`?"), "{report}");
}

#[test]
fn a_number_out_of_range_is_told_its_range() {
    for (line, range) in [
        ("oos-check = 301", "from 0 to 300"),
        ("oos-force = 33", "from 0 to 32"),
        ("oos-check = -1", "from 0 to 300"),
        ("oos-check = \"2\"", "from 0 to 300"),
        ("oos-options-max-forwards = 71", "from 0 to 70"),
        ("oosp-transfer-enabled = 1", "true or false"),
    ] {
        let extra = format!("[[trunk]]\nname = \"gw\"\ncontact = \"sip:192.0.2.1\"\n{line}\n");
        let report = report(&extra);
        let (key, value) = line.split_once(" = ").unwrap();
        assert!(report.contains(&place(&extra, value)), "{report}");
        assert!(report.contains(&format!("`{key}` of [[trunk]]")) && report.contains(range), "{report}");
    }
}

#[test]
fn a_wrong_word_is_told_the_words() {
    let extra = "dr-forward = \"noagent\"\n";
    let report = report(extra);
    assert!(report.contains(&place(extra, "\"noagent\"")), "{report}");
    assert!(report.contains("did you mean \"no-agent\"?"), "{report}");
    assert!(report.contains("expected one of \"off\", \"no-agent\", \"oos\""), "{report}");
}

#[test]
fn a_missing_key_is_told_with_an_example() {
    let extra = "[[trunk]]\nname = \"gw\"\n";
    let report = report(extra);
    assert!(report.contains("`contact` is missing in [[trunk]]"), "{report}");
    assert!(report.contains("add contact = \"sip:192.0.2.10:5060\""), "{report}");
    let empty = load_files(&[("site.toml", "")]).unwrap_err().report;
    assert!(empty.contains("`application` is missing") && empty.contains("`TServer` is missing"), "{empty}");
}

#[test]
fn every_error_is_reported_in_one_run_and_in_order() {
    let extra = "ring-timeout = 0\ndr-forward = 7\n[http]\nlisten = \"here\"\nport = 1\n";
    let error = load_text(extra).unwrap_err();
    assert_eq!(error.faults, 4, "{error}");
    let order = ["ring-timeout", "dr-forward", "`listen` of [http]", "`port`"];
    let places: Vec<usize> = order.iter().map(|key| error.report.find(key).unwrap()).collect();
    assert!(places.is_sorted(), "{error}");
}

#[test]
fn broken_toml_is_told_with_its_place() {
    let extra = "dr-forward = oos\nsip-port = \n";
    let error = load_text(extra).unwrap_err();
    assert!(error.report.contains(&place(extra, "oos")), "{error}");
    assert!(error.faults >= 2, "{error}");
}

#[test]
fn a_peer_trunk_that_cannot_be_judged_is_refused() {
    let trunk = "[[trunk]]\nname = \"to-b\"\ncontact = \"sip:192.0.2.1\"\n";
    let extra = format!("dr-peer-trunk = \"to-b\"\n{trunk}");
    let report = report(&extra);
    assert!(report.contains(&place(&extra, "\"to-b\"\n[[")), "{report}");
    assert!(report.contains("`dr-peer-trunk` names the trunk \"to-b\", whose `oos-check` is 0"), "{report}");
    assert!(report.contains("oos-check of that trunk to 1..300"), "{report}");
    assert!(load_text(&format!("dr-peer-trunk = \"to-b\"\n{trunk}oos-check = 5\n")).is_ok());
    let longer = format!("dr-peer-trunk = \"to-b\"\n{trunk}oos-check = 5\noos-refused-force = 31\n");
    let error = load_text(&longer).unwrap_err();
    assert!(error.report.contains("oos-refused-force is at most oos-force"), "{error}");
    assert_eq!(error.faults, 1, "what is wrong is said once: {error}");
}

#[test]
fn a_trunk_that_is_not_there_is_told_with_the_one_that_was_meant() {
    let extra = "dr-peer-trunk = \"to-c\"\n[[trunk]]\nname = \"to-b\"\ncontact = \"sip:192.0.2.1\"\noos-check = 5\n\
                 [[dial-plan]]\nprefix = \"9\"\ntrunks = [\"to-b\", \"elsewhere\"]\n";
    let report = report(extra);
    assert!(report.contains("`dr-peer-trunk` names the trunk \"to-c\", which is not there"), "{report}");
    assert!(report.contains("did you mean \"to-b\"?"), "{report}");
    assert!(
        report.contains("`trunks` names the trunk \"elsewhere\"") && report.contains("declared trunks: to-b")
    );
    assert!(report.contains(&place(extra, "\"elsewhere\"")), "{report}");
}

#[test]
fn a_trunk_with_a_fault_of_its_own_is_not_reported_missing_too() {
    let extra = "[[trunk]]\nname = \"gw\"\ncontact = \"sips:192.0.2.1\"\n[[dial-plan]]\nprefix = \"9\"\n\
                 trunks = [\"gw\"]\n";
    let error = load_text(extra).unwrap_err();
    assert_eq!(error.faults, 1, "{error}");
}

#[test]
fn a_number_declared_twice_for_one_switch_is_refused_and_for_two_switches_is_not() {
    let twice = "[[extension]]\nnumbers = \"1001-1005\"\n[[extension]]\nnumber = \"1003\"\n";
    assert!(report(twice).contains("Extension 1003 is declared twice"), "{}", report(twice));
    let apart = "[[extension]]\nnumber = \"1003\"\nswitches = [\"site-a\"]\n[[extension]]\nnumber = \"1003\"\n\
                 switches = [\"site-b\"]\n";
    assert_eq!(load_text(apart).unwrap().directory.extensions().len(), 1);
}

#[test]
fn only_the_dns_of_the_own_switch_exist() {
    let extra = "[[extension]]\nnumber = \"1\"\nswitches = [\"site-b\"]\n[[extension]]\nnumber = \"2\"\n";
    let directory = load_text(extra).unwrap().directory;
    assert!(directory.find(b"1").is_none() && directory.find(b"2").is_some());
}

#[test]
fn passwords_and_hashes_do_not_mix_and_hashes_come_in_pairs() {
    let md5 = format!("ha1-md5 = \"{}\"\n", "a".repeat(32));
    let sha = format!("ha1-sha256 = \"{}\"\n", "B".repeat(64));
    let dn = "[[extension]]\nnumber = \"1\"\n";
    assert!(report(&format!("{dn}{md5}")).contains("go together"));
    assert!(report(&format!("{dn}password = \"x\"\n{md5}{sha}")).contains("keep one kind"));
    assert!(report(&format!("{dn}ha1-md5 = \"xyz\"\n")).contains("32 hexadecimal digits"));
    let config = load_text(&format!("{dn}{md5}{sha}")).unwrap();
    assert!(matches!(config.directory.extensions()[0].class.secret, Secret::Ha1(_)));
}

#[test]
fn included_files_hold_objects_only_and_faults_in_them_name_them() {
    let main = format!("include = [\"office.toml\", \"gone.toml\"]\n{MINIMAL}");
    let office = "[http]\nlisten = \"off\"\n[[extension]]\nnumber = \"10 01\"\n";
    let report = load_files(&[("site.toml", &main), ("office.toml", office)]).unwrap_err().report;
    assert!(report.contains("site.toml:1:27: error: `include`: cannot read gone.toml"), "{report}");
    assert!(report.contains("office.toml:1:2: error: `http` is not a key of the file"), "{report}");
    assert!(
        report.contains("office.toml:4:10: error: `number` of [[extension]]: ' ' cannot stand"),
        "{report}"
    );
}

#[test]
fn a_contact_needs_a_socket_of_its_transport() {
    let extra = "[[trunk]]\nname = \"gw\"\ncontact = \"sip:192.0.2.1;transport=tcp\"\n";
    assert!(report(extra).contains("add a TCP address to `listen`"), "{}", report(extra));
}

#[test]
fn an_extension_with_a_fixed_contact_is_watched_like_a_trunk() {
    let dn = "[[extension]]\nnumber = \"2200\"\ncontact = \"sip:{number}@192.0.2.30\"\noos-check = 30\n";
    let directory = load_text(dn).unwrap().directory;
    let class = &directory.extensions()[0].class;
    assert_eq!(class.contact.as_ref().unwrap().transport, Transport::Udp);
    assert_eq!(class.oos.oos_check_s, 30);
    assert!(report("[[extension]]\nnumber = \"1\"\noos-check = 5\n").contains("needs a static `contact`"));
    assert!(report("[[extension]]\nnumber = \"1\"\ncontact = \"sip:desk.example\"\n").contains("an address"));
}

#[test]
fn registration_times_must_be_in_order() {
    let extra = "min-expires = 600\nmax-expires = 300\n";
    assert!(report(extra).contains("min-expires <= default-expires <= max-expires"), "{}", report(extra));
}

#[test]
fn a_secret_is_not_repeated_in_a_report() {
    for line in ["password = 4711", "pasword = \"hush-4711\"", "ha1-md5 = \"hush-4711\""] {
        let report = report(&format!("[[extension]]\nnumber = \"1\"\n{line}\n"));
        assert!(!report.contains("4711"), "{report}");
    }
}

#[test]
fn a_file_that_is_not_there_is_said_plainly() {
    let error = load(&Origin::File("nowhere/site.toml".into()), SECRET).unwrap_err();
    assert!(error.report.starts_with("nowhere/site.toml: error: No such file"), "{error}");
}

#[test]
fn one_run_reports_the_faults_of_every_table() {
    let text = "[application]\nname = \"a\"\nswich = \"a\"\nlisten = \"udp:127.0.0.1:5060\"\nrealm = \"r\"\n\
                [TServer]\nsip-address = \"127.0.0.1\"\noos-check = 5\ndr-forward = \"maybe\"\n\
                [[trunk]]\nname = \"t\"\ncontact = \"sip:127.0.0.9\"\noos-chek = 5\n";
    let report = load_files(&[("site.toml", text)]).unwrap_err().report;
    for wanted in [
        ":1:1: error: `switch` is missing",
        ":3:1: error: `swich`",
        ":8:1: ",
        ":9:14: ",
        ":13:1: error: `oos-chek`",
    ] {
        assert!(report.contains(wanted), "{wanted} in\n{report}");
    }
}
