//! `authenticate-algorithms`: what a challenge offers, and what is taken.

#![allow(clippy::unwrap_used)]

mod support;

use support::{Bed, directory};
use tandem_sip::auth::{Algorithm, Challenge, Login, answer};
use tandem_sip::{HeaderName, Message};
use tandem_switch::directory::Authenticate;

const PHONE: &str = "10.0.0.11:5060";

fn bed(algorithms: &[Algorithm]) -> Bed {
    Bed::with(directory(|options, _, _| {
        options.authenticate = Authenticate { register: true, invite: true };
        options.authenticate_algorithms = algorithms.to_vec();
    }))
}

fn register(bed: &mut Bed, cseq: u32, authorization: &str) -> Message {
    let text = format!(
        "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bK{cseq};rport\nFrom: <sip:1001@tandem>;tag=r\n\
         To: <sip:1001@tandem>\nCall-ID: r\nCSeq: {cseq} REGISTER\nContact: <sip:1001@{PHONE}>\n{authorization}\
         Content-Length: 0\n\n"
    );
    bed.receive(PHONE, &text);
    bed.one(PHONE)
}

fn offered(challenge: &Message) -> Vec<Algorithm> {
    let read = |line| Challenge::parse(line).unwrap().algorithm;
    challenge.lines(HeaderName::WwwAuthenticate).map(read).collect()
}

#[test]
fn a_challenge_offers_the_configured_algorithms_in_their_order() {
    use Algorithm::{Md5, Sha256};
    for algorithms in [&[Sha256, Md5][..], &[Md5, Sha256], &[Md5], &[Sha256]] {
        let challenge = register(&mut bed(algorithms), 1, "");
        assert_eq!((challenge.code(), offered(&challenge)), (Some(401), algorithms.to_vec()));
    }
}

#[test]
fn an_algorithm_that_is_not_offered_is_not_taken() {
    for (taken, status) in [(&[Algorithm::Sha256, Algorithm::Md5][..], 200), (&[Algorithm::Sha256], 401)] {
        let mut bed = bed(taken);
        let challenge = register(&mut bed, 1, "");
        let line =
            String::from_utf8(challenge.header(HeaderName::WwwAuthenticate).unwrap().to_vec()).unwrap();
        let line = line.replace("SHA-256", "MD5");
        let login = Login { user: b"1001", password: b"secret-1001" };
        let asked = Challenge::parse(line.as_bytes()).unwrap();
        let answer = answer(&asked, login, b"REGISTER", b"sip:tandem", b"cnonce", 1);
        let line = format!("Authorization: {}\n", String::from_utf8(answer).unwrap());
        assert_eq!(register(&mut bed, 2, &line).code(), Some(status));
    }
}
