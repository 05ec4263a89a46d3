//! `[ha]`: virtual addresses.

use super::*;
use crate::config::{AddressBy, Arbitration, Durability, Role, VirtualAddress};

const LISTEN: &str = "\"udp:127.0.0.1:5060\"";
const ON: &str = "\"udp:127.0.0.1:5060\", \"udp:192.0.2.10:5060\", \"tcp:[::]:5060\"";
const WHOLE: &str =
    "[ha]\nvirtual-address = [\"192.0.2.10\", \"2001:db8::10/64\"]\nvirtual-interface = \"eth0\"\n";

fn listening(extra: &str) -> Result<Config, ConfigError> {
    let text = format!("{MINIMAL}{extra}").replace(LISTEN, ON);
    assert!(text.contains(ON));
    load_files(&[("site.toml", &text)])
}

fn address(extra: &str) -> Option<VirtualAddress> {
    listening(extra).unwrap().settings.ha.address
}

#[test]
fn virtual_addresses_are_held_by_netlink_unless_another_program_moves_them() {
    let addresses = vec!["192.0.2.10/32".parse().unwrap(), "2001:db8::10/64".parse().unwrap()];
    let by = AddressBy::Netlink { interface: "eth0".to_owned() };
    assert_eq!(address(WHOLE), Some(VirtualAddress { addresses: addresses.clone(), by: by.clone() }));
    assert_eq!(address(&format!("{WHOLE}virtual-address-by = \"netlink\"\n")).unwrap().by, by);
    let notified = WHOLE.replace("virtual-interface = \"eth0\"", "virtual-address-by = \"notify\"");
    assert_eq!(address(&notified), Some(VirtualAddress { addresses, by: AddressBy::Notify }));
    assert_eq!(address("[ha]\nvirtual-address-by = \"none\"\n"), None);
    assert_eq!(address("[ha]\n"), None);
    assert_eq!(load_text("").unwrap().settings.ha.address, None);
    assert!(address(WHOLE).unwrap().has("2001:db8::10".parse().unwrap()));
    assert!(!address(WHOLE).unwrap().has("2001:db8::1".parse().unwrap()));
}

#[test]
fn virtual_addresses_that_cannot_work_are_refused_with_their_place() {
    for (from, to, wanted) in [
        ("\"192.0.2.10\"", "\"192.0.2\"", "\"192.0.2\" is not an address"),
        ("\"192.0.2.10\"", "\"127.0.0.1\"", "127.0.0.1 cannot move between servers"),
        ("\"192.0.2.10\"", "\"fe80::1\"", "fe80::1 cannot move between servers"),
        ("\"192.0.2.10\"", "\"192.0.2.11\"", "nothing listens at 192.0.2.11"),
        ("\"2001:db8::10/64\"", "\"192.0.2.10/24\"", "names this address twice"),
        ("\"eth0\"", "\"eth0/1\"", "cannot be the name of an interface"),
        ("\"eth0\"", "\"an-interface-of-16\"", "cannot be the name of an interface"),
        ("virtual-interface = \"eth0\"", "", "`virtual-interface` is missing in [ha]"),
        ("virtual-interface = \"eth0\"", "virtual-address-by = \"vrrp\"", "\"vrrp\" is not a value of it"),
        ("virtual-interface", "virtual-address-by = \"notify\"\nvirtual-interface", "is for netlink only"),
        ("virtual-interface", "virtual-address-by = \"none\"\nvirtual-interface", "and an address is named"),
        ("virtual-address = [\"192.0.2.10\", \"2001:db8::10/64\"]\n", "", "is for netlink only"),
        ("[\"192.0.2.10\", \"2001:db8::10/64\"]", "[]", "`virtual-address` of [ha] is empty"),
    ] {
        assert!(WHOLE.contains(from), "{from}");
        let report = listening(&WHOLE.replacen(from, to, 1)).unwrap_err().report;
        assert!(report.contains(wanted) && report.contains("site.toml:"), "{wanted}: {report}");
    }
    let report = listening("[ha]\nvirtual-address-by = \"notify\"\n").unwrap_err().report;
    assert!(report.contains("is \"notify\", and no address is named"), "{report}");
    let nine: Vec<String> = (1..=9).map(|n| format!("\"2001:db8::{n}\"")).collect();
    let report =
        listening(&format!("[ha]\nvirtual-address = [{}]\nvirtual-interface = \"eth0\"\n", nine.join(", ")));
    assert!(report.unwrap_err().report.contains("names too many"));
}

#[test]
fn what_is_answered_for_is_on_the_disk_unless_the_configuration_asks_for_less() {
    let durability = |extra: &str| load_text(extra).unwrap().settings.ha.durability;
    assert_eq!(durability(""), Durability::Committed);
    assert_eq!(durability("[ha]\ndurability = \"eager\"\n"), Durability::Eager);
    assert_eq!(durability("[ha]\ndurability = \"none\"\n"), Durability::None);
    assert!(report("[ha]\ndurability = \"commited\"\n").contains("did you mean \"committed\"?"));
}

#[test]
fn the_state_directory_is_a_whole_path() {
    let ha = load_text("[ha]\nstate-directory = \"/srv/state\"\n").unwrap().settings.ha;
    assert_eq!(ha.state_directory.as_deref(), Some(Path::new("/srv/state")));
    assert_eq!(load_text("").unwrap().settings.ha.state_directory, None);
    let extra = "[ha]\nstate-directory = \"state\"\n";
    let report = report(extra);
    assert!(report.contains(&place(extra, "\"state\"")), "{report}");
    assert!(report.contains("`state-directory` of [ha]: \"state\" does not begin with /"), "{report}");
}

const MEMBER: &str = "[ha]\nmember-listen = \"192.0.2.11:5071\"\nmember-certificate = \"m.pem\"\nmember-key = \"m.key\"\n\
    member-ca-file = \"ca.pem\"\n";

#[test]
fn one_of_several_says_where_it_waits_and_who_decides() {
    assert_eq!(load_text("[ha]\n").unwrap().settings.ha.pair, None);
    let pair = load_text(MEMBER).unwrap().settings.ha.pair.unwrap();
    assert_eq!((pair.role, pair.arbitration), (Role::Primary, Arbitration::Witness));
    assert_eq!(pair.member.listen.to_string(), "192.0.2.11:5071");
    assert_eq!(pair.member.address, "192.0.2.11:5071");
    assert_eq!(pair.name, None);
    let more = "member-name = \"b\"\nmember-address = \"b.example:5071\"\nrole = \"backup\"\narbitration = \"manual\"\n";
    let pair = load_text(&format!("{MEMBER}{more}")).unwrap().settings.ha.pair.unwrap();
    assert_eq!((pair.role, pair.arbitration), (Role::Backup, Arbitration::Manual));
    assert_eq!((pair.name.as_deref(), pair.member.address.as_str()), (Some("b"), "b.example:5071"));
}

#[test]
fn members_that_could_not_find_each_other_are_refused_with_their_place() {
    for (from, to, wanted) in [
        ("member-listen = \"192.0.2.11:5071\"\n", "", "this server waits for none"),
        ("192.0.2.11:5071", "192.0.2.11", "is not address:port"),
        ("192.0.2.11:5071", "0.0.0.0:5071", "tells the others no address"),
        ("member-key = \"m.key\"\n", "", "`member-key` is missing in [ha]"),
        (
            "member-ca-file",
            "member-address = \"b.example\"\nmember-ca-file",
            "\"b.example\" is not host:port",
        ),
        ("member-ca-file", "role = \"third\"\nmember-ca-file", "\"third\" is not a value of it"),
        ("member-ca-file", "durability = \"none\"\nmember-ca-file", "`durability` of [ha] is \"none\""),
    ] {
        assert!(MEMBER.contains(from), "{from}");
        let report = load_text(&MEMBER.replacen(from, to, 1)).unwrap_err().report;
        assert!(report.contains(wanted) && report.contains("site.toml:"), "{wanted}: {report}");
    }
}

#[test]
fn a_witness_needs_a_name_and_a_place_and_nothing_of_a_server() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/witness.toml");
    let witness = load_witness(&Origin::File(path)).unwrap();
    assert_eq!((witness.name.as_str(), witness.member.address.as_str()), ("witness-a", "192.0.2.13:5071"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("witness.toml");
    for (text, wanted) in [
        ("", "`witness` is missing"),
        ("[witness]\nname = \"w\"\n", "`member-listen` is missing in [witness]"),
        ("[witness]\nnam = \"w\"\n", "`nam` is not a key"),
        ("[witness]\n[extension]\n", "`extension` is not a key"),
    ] {
        std::fs::write(&file, text).unwrap();
        let report = load_witness(&Origin::File(file.clone())).unwrap_err().report;
        assert!(report.contains(wanted), "{wanted}: {report}");
    }
}
