//! The digest gate (RFC 3261 22).

use std::net::{IpAddr, Ipv4Addr};

use crate::desk::{Desk, Register};
use tandem_sip::HeaderName;
use tandem_sip::auth::{Algorithm, Challenge, Ha1, Login, answer};
use tandem_switch::Reject;
use tandem_switch::admission::{Admission, Purpose};
use tandem_switch::directory::{Authenticate, DnClass, Options, Secret};

const URI: &[u8] = b"sip:198.51.100.1";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

struct Gate {
    desk: Desk,
    admission: Admission,
}

impl Gate {
    fn new(secret: Secret) -> Self {
        let desk = Desk::with(Options::default(), DnClass { secret, ..DnClass::default() });
        Self { desk, admission: Admission::new([7; 32]) }
    }

    fn password() -> Self {
        Self::new(Secret::Password("secret-{number}".into()))
    }

    fn check(&mut self, phone: &Register) -> Result<(), Reject> {
        let message = phone.message();
        let env = message.envelope().unwrap();
        let dn = self.desk.directory.find(phone.to.as_bytes());
        self.admission.check(
            &message,
            &env,
            &self.desk.directory,
            dn,
            (Purpose::Register, HERE),
            self.desk.now,
        )
    }

    /// The challenge for this algorithm that a request without credentials gets.
    fn challenge(&mut self, number: &str, algorithm: Algorithm) -> Vec<u8> {
        let reject = self.check(&Register::of(number)).unwrap_err();
        pick(&reject, algorithm)
    }
}

fn pick(reject: &Reject, algorithm: Algorithm) -> Vec<u8> {
    assert_eq!(reject.status, 401);
    let of = |value: &[u8]| Challenge::parse(value).unwrap().algorithm;
    reject.headers.iter().map(|(_, value)| value.to_vec()).find(|v| of(v) == algorithm).unwrap()
}

/// A REGISTER of `number` with an answer to `challenge` by `user`.
fn answered(number: &str, challenge: &[u8], user: &str, password: &str, nc: u32) -> Register {
    let challenge = Challenge::parse(challenge).unwrap();
    let login = Login { user: user.as_bytes(), password: password.as_bytes() };
    let line = answer(&challenge, login, b"REGISTER", URI, b"0a4f113b", nc);
    Register::of(number).header(format!("Authorization: {}", String::from_utf8(line).unwrap()))
}

fn is_stale(reject: &Reject) -> bool {
    reject.headers.iter().all(|(_, value)| Challenge::parse(value).unwrap().stale)
}

#[test]
fn a_request_without_credentials_is_challenged_for_sha_256_first_and_md5() {
    let mut gate = Gate::password();
    let reject = gate.check(&Register::of("1001")).unwrap_err();
    assert_eq!(reject.status, 401);
    assert!(reject.headers.iter().all(|(name, _)| *name == HeaderName::WwwAuthenticate));
    let challenges: Vec<_> = reject.headers.iter().map(|(_, v)| Challenge::parse(v).unwrap()).collect();
    assert_eq!(
        challenges.iter().map(|c| c.algorithm).collect::<Vec<_>>(),
        [Algorithm::Sha256, Algorithm::Md5]
    );
    assert!(challenges.iter().all(|c| c.realm == b"tandem" && c.qop_auth && !c.stale));
    assert_eq!((gate.admission.challenges(), gate.admission.failures()), (1, 0));
}

#[test]
fn the_right_password_passes_by_either_algorithm_with_or_without_the_realm() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        for user in ["1002", "1002@tandem"] {
            let mut gate = Gate::password();
            let challenge = gate.challenge("1002", algorithm);
            assert_eq!(gate.check(&answered("1002", &challenge, user, "secret-1002", 1)), Ok(()));
        }
    }
}

#[test]
fn stored_hashes_serve_instead_of_a_password() {
    let mut gate = Gate::new(Secret::Ha1(Ha1::from_password(b"1001", b"tandem", b"word")));
    let challenge = gate.challenge("1001", Algorithm::Sha256);
    assert_eq!(gate.check(&answered("1001", &challenge, "1001", "word", 1)), Ok(()));
    assert_eq!(gate.check(&answered("1001", &challenge, "1001", "wort", 2)).unwrap_err().status, 401);
}

#[test]
fn wrong_passwords_unknown_users_and_other_dns_are_not_told_apart() {
    let refusals = |number: &str, user: &str, password: &str| {
        let mut gate = Gate::password();
        let challenge = gate.challenge(number, Algorithm::Md5);
        let reject = gate.check(&answered(number, &challenge, user, password, 1)).unwrap_err();
        assert_eq!(gate.admission.failures(), 1);
        reject
    };
    let wrong_password = refusals("1001", "1001", "secret-1002");
    assert_eq!(wrong_password.status, 401);
    assert!(!is_stale(&wrong_password));
    assert_eq!(refusals("1001", "1002", "secret-1002"), wrong_password, "the user of another DN");
    assert_eq!(refusals("1001", "nobody", "secret-1001"), wrong_password, "a user that is no number");
    assert_eq!(refusals("9999", "9999", "secret-9999"), wrong_password, "a DN that does not exist");
    assert_eq!(
        refusals("1001", "1001@elsewhere", "secret-1001"),
        wrong_password,
        "the user of another realm"
    );
}

#[test]
fn an_unknown_dn_is_challenged_like_a_known_one() {
    let known = Gate::password().check(&Register::of("1001")).unwrap_err();
    assert_eq!(Gate::password().check(&Register::of("9999")).unwrap_err(), known);
}

#[test]
fn a_dn_without_a_password_never_passes() {
    let mut gate = Gate::new(Secret::None);
    let challenge = gate.challenge("1001", Algorithm::Md5);
    assert_eq!(gate.check(&answered("1001", &challenge, "1001", "", 1)).unwrap_err().status, 401);
}

#[test]
fn a_used_count_and_an_old_nonce_are_stale_and_a_higher_count_passes() {
    let mut gate = Gate::password();
    let challenge = gate.challenge("1001", Algorithm::Sha256);
    let phone = |nc| answered("1001", &challenge, "1001", "secret-1001", nc);
    assert_eq!(gate.check(&phone(1)), Ok(()));
    assert!(is_stale(&gate.check(&phone(1)).unwrap_err()), "a replay");
    assert_eq!(gate.check(&phone(2)), Ok(()));
    gate.desk.pass(3_901);
    let stale = gate.check(&phone(3)).unwrap_err();
    assert!(is_stale(&stale));
    assert_eq!(gate.admission.failures(), 0, "stale is nobody's fault");
    let fresh = pick(&stale, Algorithm::Sha256);
    assert_eq!(gate.check(&answered("1001", &fresh, "1001", "secret-1001", 1)), Ok(()));
}

#[test]
fn a_nonce_that_this_server_did_not_make_is_stale() {
    let mut gate = Gate::password();
    let mut stranger = Gate::password();
    stranger.admission = Admission::new([8; 32]);
    let foreign = stranger.challenge("1001", Algorithm::Md5);
    let reject = gate.check(&answered("1001", &foreign, "1001", "secret-1001", 1)).unwrap_err();
    assert!(reject.status == 401 && is_stale(&reject));
}

#[test]
fn credentials_for_another_request_uri_get_400() {
    let mut gate = Gate::password();
    let challenge = gate.challenge("1001", Algorithm::Md5);
    let parsed = Challenge::parse(&challenge).unwrap();
    let login = Login { user: b"1001", password: b"secret-1001" };
    let line = answer(&parsed, login, b"REGISTER", b"sip:elsewhere", b"1", 1);
    let phone = Register::of("1001").header(format!("Authorization: {}", String::from_utf8(line).unwrap()));
    assert_eq!(gate.check(&phone).unwrap_err().status, 400);
}

#[test]
fn unreadable_credentials_are_challenged_anew() {
    let mut gate = Gate::password();
    for line in [
        "Authorization: Digest username=\"1001\", realm=\"tandem\"",
        "Authorization: Digest ,,,=",
        "Authorization: Basic eA==",
    ] {
        let reject = gate.check(&Register::of("1001").header(line.into())).unwrap_err();
        assert!(reject.status == 401 && !is_stale(&reject), "{line}");
    }
}

#[test]
fn what_need_not_be_proven_passes() {
    let mut gate = Gate::password();
    let authenticate = Authenticate { register: false, invite: true };
    gate.desk = Desk::with(Options { authenticate, ..Options::default() }, DnClass::default());
    assert_eq!(gate.check(&Register::of("1001")), Ok(()));
    let message = Register::of("1001").message();
    let env = message.envelope().unwrap();
    let (directory, now) = (&gate.desk.directory, gate.desk.now);
    let dn = directory.find(b"1001");
    assert_eq!(
        gate.admission.check(&message, &env, directory, dn, (Purpose::Invite, HERE), now).unwrap_err().status,
        401
    );
}
