//! Digest authentication: the published vectors, the server's verdicts, and our own client against our own server.

use tandem_sip::auth::{
    Algorithm, Asked, AuthError, Challenge, Credentials, Ha1, Login, Nonces, Offer, Verdict, answer, verify,
};

const NOW: u64 = 1_700_000_000_000;
const REALM: &[u8] = b"example.com";
const URI: &[u8] = b"sip:example.com";
const LOGIN: Login<'static> = Login { user: b"1001", password: b"secret-1001" };

const ASKED: Asked<'static> =
    Asked { realm: REALM, method: b"REGISTER", request_uri: URI, source: b"", unix_ms: NOW };

fn nonces() -> Nonces {
    Nonces::new(&[7; 32], 300_000, 100)
}

fn ha1() -> Ha1 {
    Ha1::from_password(LOGIN.user, REALM, LOGIN.password)
}

/// A challenge as it is printed.
fn challenge(nonces: &mut Nonces, algorithm: Algorithm, at: u64) -> Vec<u8> {
    let mut line = Vec::new();
    Offer::new(nonces, REALM, None, false, (b"", at)).write(algorithm, &mut line);
    line
}

/// What a phone with this login answers.
fn answered(challenge: &[u8], login: Login<'_>, nc: u32) -> Vec<u8> {
    answer(&Challenge::parse(challenge).unwrap(), login, b"REGISTER", URI, b"0a4f113b", nc)
}

fn judge(nonces: &mut Nonces, line: &[u8], ha1: Option<&Ha1>, asked: Asked<'_>) -> Verdict {
    verify(nonces, &Credentials::parse(line).unwrap(), ha1, asked)
}

/// RFC 7616 3.9.1, for both algorithms.
#[test]
fn the_vectors_of_rfc_7616_are_met() {
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let line = format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        );
        let challenge = Challenge::parse(line.as_bytes()).unwrap();
        let login = Login { user: b"Mufasa", password: b"Circle of Life" };
        let cnonce = b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let line = answer(&challenge, login, b"GET", b"/dir/index.html", cnonce, 1);
        let credentials = Credentials::parse(&line).unwrap();
        assert_eq!(credentials.response, response.as_bytes(), "{algorithm}");
        assert_eq!((credentials.nc, credentials.nonce_count), (&b"00000001"[..], 1));
        assert_eq!(credentials.opaque, challenge.opaque);
    }
}

/// RFC 2617 3.5.
#[test]
fn the_vector_of_rfc_2617_is_met() {
    let ha1 = Ha1::from_password(b"Mufasa", b"testrealm@host.com", b"Circle Of Life");
    let response = Algorithm::Md5.response(
        &ha1.hex(Algorithm::Md5),
        b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
        b"00000001",
        b"0a4f113b",
        b"GET",
        b"/dir/index.html",
    );
    assert_eq!(response.as_ref(), b"6629fae49393a05397450978507c4ef1");
}

/// RFC 2069 2.4 as corrected by its errata: a challenge without `qop`.
#[test]
fn a_challenge_without_qop_is_answered_the_old_way() {
    let line = br#"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093""#;
    let login = Login { user: b"Mufasa", password: b"CircleOfLife" };
    let line = answer(&Challenge::parse(line).unwrap(), login, b"GET", b"/dir/index.html", b"unused", 1);
    let text = String::from_utf8(line).unwrap();
    assert!(text.contains("response=\"1949323746fe6a43ef61f9606e7febea\""), "{text}");
    assert!(!text.contains("nc=") && !text.contains("qop") && !text.contains("cnonce"), "{text}");
}

#[test]
fn the_right_password_is_accepted_with_either_algorithm() {
    let mut nonces = nonces();
    for algorithm in Offer::ALGORITHMS {
        let line = answered(&challenge(&mut nonces, algorithm, NOW), LOGIN, 1);
        assert_eq!(judge(&mut nonces, &line, Some(&ha1()), ASKED), Verdict::Ok);
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_verdict() {
    let mut nonces = nonces();
    let challenge = challenge(&mut nonces, Algorithm::Sha256, NOW);
    let wrong = answered(&challenge, Login { password: b"guess", ..LOGIN }, 1);
    assert_eq!(judge(&mut nonces, &wrong, Some(&ha1()), ASKED), Verdict::Wrong);
    let line = answered(&challenge, LOGIN, 1);
    assert_eq!(judge(&mut nonces, &line, None, ASKED), Verdict::Wrong);
    assert_eq!(nonces.remembered(), 0, "a guess leaves nothing behind");
    assert_eq!(judge(&mut nonces, &line, Some(&ha1()), ASKED), Verdict::Ok, "nor does it use up the count");
}

#[test]
fn nobody_logs_in_as_an_unknown_user_with_a_hash_of_zeros() {
    let mut nonces = nonces();
    let line = challenge(&mut nonces, Algorithm::Md5, NOW);
    let challenge = Challenge::parse(&line).unwrap();
    let zeros = [b'0'; 32];
    let ha2 = Algorithm::Md5.hash(&[b"REGISTER", URI]);
    let response = Algorithm::Md5.hash(&[&zeros, challenge.nonce, b"00000001", b"c", b"auth", ha2.as_ref()]);
    let line = format!(
        "Digest username=\"x\", realm=\"example.com\", nonce=\"{}\", uri=\"sip:example.com\", response=\"{}\", \
         cnonce=\"c\", qop=auth, nc=00000001",
        String::from_utf8_lossy(challenge.nonce),
        String::from_utf8_lossy(response.as_ref())
    );
    assert_eq!(judge(&mut nonces, line.as_bytes(), None, ASKED), Verdict::Wrong);
}

#[test]
fn a_response_of_another_length_is_wrong_and_the_case_of_its_digits_does_not_matter() {
    let mut nonces = nonces();
    let line = answered(&challenge(&mut nonces, Algorithm::Md5, NOW), LOGIN, 1);
    let credentials = Credentials::parse(&line).unwrap();
    let longer = [credentials.response, b"0"].concat();
    let upper = credentials.response.to_ascii_uppercase();
    for (response, verdict) in [
        (&longer[..], Verdict::Wrong),
        (&longer[..31], Verdict::Wrong),
        (b"", Verdict::Wrong),
        (&upper, Verdict::Ok),
    ] {
        let given = Credentials { response, ..credentials };
        assert_eq!(verify(&mut nonces, &given, Some(&ha1()), ASKED), verdict);
    }
}

#[test]
fn the_method_the_realm_and_the_uri_are_part_of_it() {
    let mut nonces = nonces();
    let line = answered(&challenge(&mut nonces, Algorithm::Md5, NOW), LOGIN, 1);
    let ha1 = ha1();
    let mut judge = |asked| judge(&mut nonces, &line, Some(&ha1), asked);
    assert_eq!(judge(Asked { method: b"INVITE", ..ASKED }), Verdict::Wrong);
    assert_eq!(judge(Asked { realm: b"other.example", ..ASKED }), Verdict::Wrong);
    assert_eq!(judge(Asked { request_uri: b"sip:other.example", ..ASKED }), Verdict::OtherUri);
    assert_eq!(
        judge(Asked { request_uri: b"sip:EXAMPLE.com", ..ASKED }),
        Verdict::Ok,
        "equivalent is enough"
    );
}

#[test]
fn credentials_that_cannot_be_used_say_why() {
    let good = "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:a\", response=\"00\", algorithm=MD5, \
                cnonce=\"c\", qop=auth, nc=00000001";
    assert!(Credentials::parse(good.as_bytes()).is_ok());
    for (from, to, error) in [
        ("Digest ", "Basic ", AuthError::Scheme),
        ("Digest ", "Digest", AuthError::Scheme),
        ("algorithm=MD5", "algorithm=MD5-sess", AuthError::Algorithm),
        ("algorithm=MD5", "algorithm=SHA-256-sess", AuthError::Algorithm),
        ("algorithm=MD5", "algorithm=SHA-512-256", AuthError::Algorithm),
        ("qop=auth", "qop=auth-int", AuthError::Qop),
        (", qop=auth", "", AuthError::Missing),
        (", nc=00000001", "", AuthError::Missing),
        (", cnonce=\"c\"", "", AuthError::Missing),
        ("nc=00000001", "nc=1", AuthError::NonceCount),
        ("nc=00000001", "nc=0000000g", AuthError::NonceCount),
        ("realm=\"r\"", "realm=\"r\", Realm=\"s\"", AuthError::Duplicate),
        ("realm=\"r\"", "realm=\"r", AuthError::Syntax),
        ("realm=\"r\"", "realm=", AuthError::Syntax),
        ("realm=\"r\"", "realm", AuthError::Syntax),
        ("username=\"u\"", "username*=UTF-8''u", AuthError::UserHash),
        ("realm=\"r\"", "realm=\"r\", userhash=true", AuthError::UserHash),
    ] {
        assert_eq!(Credentials::parse(good.replace(from, to).as_bytes()), Err(error), "{to:?}");
    }
}

#[test]
fn nc_is_hexadecimal_and_quoting_does_not_matter() {
    let line =
        b"digest USERNAME=\"a\\\"b\" ,realm=\"r\",nonce=n,uri=\"sip:a,b\",response=\"00\",\r\n cnonce=c,\
                 qop=\"auth\",nc=\"0000000A\",algorithm=\"md5\"";
    let credentials = Credentials::parse(line).unwrap();
    assert_eq!(credentials.nonce_count, 10);
    assert_eq!(credentials.user(), &b"a\"b"[..]);
    assert_eq!(credentials.uri, b"sip:a,b");
}

#[test]
fn the_credentials_for_our_realm_are_found_among_others() {
    let line = |realm: &str| {
        format!(
            "Digest username=\"u\", realm=\"{realm}\", nonce=\"n\", uri=\"sip:a\", response=\"00\", cnonce=\"c\", \
             qop=auth, nc=00000001"
        )
    };
    let (other, ours) = (line("other"), line("example.com"));
    fn find<'a>(lines: &[&'a str]) -> Option<Result<Credentials<'a>, AuthError>> {
        Credentials::for_realm(lines.iter().map(|line| line.as_bytes()), REALM)
    }
    assert_eq!(find(&[&other, "Basic abc", &ours]).unwrap().unwrap().realm, REALM);
    assert_eq!(find(&[&other]), None);
    assert_eq!(find(&["Digest nonsense"]), Some(Err(AuthError::Syntax)));
}

#[test]
fn a_client_takes_the_strongest_challenge_that_it_can_answer() {
    let mut nonces = nonces();
    let lines = Offer::ALGORITHMS.map(|algorithm| challenge(&mut nonces, algorithm, NOW));
    let unknown: &[u8] = b"Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256, qop=\"auth\"";
    let [sha256, md5] = &lines;
    let best = |lines: &[&[u8]]| Challenge::best(lines.iter().copied()).map(|best| best.algorithm);
    assert_eq!(best(&[unknown, md5, sha256]), Some(Algorithm::Sha256));
    assert_eq!(best(&[md5, unknown]), Some(Algorithm::Md5));
    assert_eq!(best(&[unknown]), None);
}

#[test]
fn a_printed_challenge_reads_back() {
    let mut nonces = nonces();
    let mut line = Vec::new();
    Offer::new(&mut nonces, REALM, Some(b"sip:example.com"), true, (b"", NOW))
        .write(Algorithm::Sha256, &mut line);
    let challenge = Challenge::parse(&line).unwrap();
    assert!(challenge.stale && challenge.qop_auth);
    assert_eq!((challenge.realm, challenge.domain), (REALM, Some(&b"sip:example.com"[..])));
    assert_eq!(challenge.algorithm, Algorithm::Sha256);
}

#[test]
fn a_password_is_kept_as_ha1_only_and_not_shown() {
    let (md5, sha256) = (ha1().hex(Algorithm::Md5), ha1().hex(Algorithm::Sha256));
    assert_eq!(Ha1::from_hex(md5.as_ref(), sha256.as_ref()), Some(ha1()));
    assert_eq!(Ha1::from_hex(b"zz", sha256.as_ref()), None);
    assert_eq!(format!("{:?}", ha1()), "Ha1");
}
