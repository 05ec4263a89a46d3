//! The CTI interface over TLS.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use super::desktop::Desktop;
use super::process::Server;

#[test]
fn with_a_certificate_the_interface_speaks_tls() {
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let server = Server::start_with(|folder, text| {
        let (chain, secret) = (folder.join("cti.pem"), folder.join("cti.key"));
        std::fs::write(&chain, &certificate).unwrap();
        std::fs::write(&secret, &key).unwrap();
        let keys = format!("cti-certificate = {chain:?}\ncti-key = {secret:?}\ncti-listen");
        text.replace("cti-listen", &keys)
    });
    let mut trusted = rustls::RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let mut desktop = Desktop::connect_tls(server.cti, Arc::new(config));
    desktop.send(&json!({ "request": "TOpenServer", "UserName": "jane", "Password": "wrong" }));
    assert_eq!(desktop.event()["ErrorCode"], 259);
    assert!(Desktop::connect_by(server.cti, "/cti", None, None).is_err(), "no plain text beside TLS");
}
