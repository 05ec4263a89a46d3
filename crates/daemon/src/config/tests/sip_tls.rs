//! Transports with TLS, and `[sip-tls]`.

use super::*;

const TLS: &str = "[sip-tls]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n";
const TRUNK: &str =
    "[[trunk]]\nname = \"gw\"\ncontact = \"sips:gw.example\"\ntls-client-certificate = true\n";

fn listening(on: &str, extra: &str) -> Result<Config, ConfigError> {
    let text = format!("{MINIMAL}{extra}").replace("\"udp:127.0.0.1:5060\"", on);
    assert!(text.contains(on));
    load_files(&[("site.toml", &text)])
}

#[test]
fn every_transport_can_be_listened_on() {
    let on = r#""udp:127.0.0.1:5060", "tls:[::1]:5061", "ws:127.0.0.1:5080", "wss:127.0.0.1:5443""#;
    let Config { directory, settings } = listening(on, TLS).unwrap();
    let found: Vec<Transport> = directory.server.listen.iter().map(|listen| listen.transport).collect();
    assert_eq!(found, [Transport::Udp, Transport::Tls, Transport::Ws, Transport::Wss]);
    let tls = settings.sip_tls.unwrap();
    assert_eq!(
        (tls.ca_file.as_path(), tls.client_ca_file),
        (Path::new("/etc/ssl/certs/ca-certificates.crt"), None)
    );
}

#[test]
fn tls_without_a_certificate_is_refused_where_it_is_listened_for() {
    for on in ["\"tls:127.0.0.1:5061\"", "\"wss:127.0.0.1:5443\""] {
        let report = listening(on, "").unwrap_err().report;
        assert!(report.contains("names a transport with TLS, and there is no certificate"), "{report}");
        assert!(report.contains("add [sip-tls]") && report.contains(on), "{report}");
    }
    listening("\"ws:127.0.0.1:5080\"", "").unwrap();
}

#[test]
fn a_trunk_may_say_what_its_certificate_names() {
    let trunk = |contact: &str, name: &str| {
        let trunk = format!("[[trunk]]\nname = \"sbc\"\ncontact = \"{contact}\"\ntls-name = \"{name}\"\n");
        listening("\"tls:127.0.0.1:5061\", \"udp:127.0.0.1:5060\"", &format!("{TLS}{trunk}"))
    };
    let directory = trunk("sips:192.0.2.10", "sbc.example").unwrap().directory;
    assert_eq!(directory.trunks()[0].certified(), "sbc.example");
    let out = trunk("sips:192.0.2.10", "not a name").unwrap_err().report;
    assert!(out.contains("\"not a name\" is not one"), "{out}");
    let out = trunk("sip:192.0.2.10", "sbc.example").unwrap_err().report;
    assert!(out.contains("`tls-name`: the trunk \"sbc\" is reached by UDP"), "{out}");
}

#[test]
fn a_trunk_by_tls_needs_an_address_to_leave_by_and_something_to_check_its_certificate_against() {
    let out = report(&format!("{TLS}{TRUNK}"));
    assert!(out.contains("add a TLS address to `listen`"), "{out}");
    let on = "\"tls:127.0.0.1:5061\"";
    let out = listening(on, &format!("{TLS}{TRUNK}")).unwrap_err().report;
    assert!(out.contains("`client-ca-file` of [sip-tls]"), "{out}");
    let asks = format!("{TLS}client-ca-file = \"ca.pem\"\n{TRUNK}");
    let directory = listening(on, &asks).unwrap().directory;
    assert!(directory.trunks()[0].tls_client_certificate);
    assert_eq!(directory.trunks()[0].contact.host(), "gw.example");
}
