//! Nonces: expiry, replay, and what happens when the table is full (RFC 7616 5.4).

use tandem_sip::auth::{
    Algorithm, Asked, Challenge, Credentials, Ha1, Login, Nonces, Offer, Verdict, answer, verify,
};

const NOW: u64 = 1_700_000_000_000;
const LOGIN: Login<'static> = Login { user: b"1001", password: b"secret-1001" };

/// A phone that has been challenged at `at`.
struct Phone {
    challenge: Vec<u8>,
}

impl Phone {
    fn challenged(nonces: &mut Nonces, at: u64) -> Self {
        let mut challenge = Vec::new();
        Offer::new(nonces, b"r", None, false, (b"", at)).write(Algorithm::Md5, &mut challenge);
        Phone { challenge }
    }

    fn registers(&self, nonces: &mut Nonces, nc: u32, at: u64) -> Verdict {
        let challenge = Challenge::parse(&self.challenge).unwrap();
        let line = answer(&challenge, LOGIN, b"REGISTER", b"sip:r", b"c", nc);
        let ha1 = Ha1::from_password(LOGIN.user, b"r", LOGIN.password);
        let asked =
            Asked { realm: b"r", method: b"REGISTER", request_uri: b"sip:r", source: b"", unix_ms: at };
        verify(nonces, &Credentials::parse(&line).unwrap(), Some(&ha1), asked)
    }
}

fn nonces(capacity: usize) -> Nonces {
    Nonces::new(&[7; 32], 300_000, capacity)
}

#[test]
fn a_count_is_good_once_in_any_order_within_the_window() {
    let mut nonces = nonces(10);
    let phone = Phone::challenged(&mut nonces, NOW);
    let shown = [1, 2, 2, 5, 4, 3, 4, 70, 6, 7, 69, 70, 0];
    let verdicts: Vec<_> =
        shown.iter().map(|nc| phone.registers(&mut nonces, *nc, NOW) == Verdict::Ok).collect();
    let good = [true, true, false, true, true, true, false, true, false, true, true, false, false];
    assert_eq!(verdicts, good);
}

#[test]
fn an_expired_nonce_is_stale_and_so_is_one_from_the_future() {
    let mut nonces = nonces(10);
    let phone = Phone::challenged(&mut nonces, NOW);
    assert_eq!(phone.registers(&mut nonces, 1, NOW + 300_000), Verdict::Ok);
    assert_eq!(phone.registers(&mut nonces, 2, NOW + 300_001), Verdict::Stale);
    let ahead = Phone::challenged(&mut nonces, NOW + 400_000);
    assert_eq!(ahead.registers(&mut nonces, 1, NOW), Verdict::Stale);
}

#[test]
fn a_nonce_that_was_given_to_another_source_proves_nothing() {
    let mut nonces = nonces(10);
    let mut challenge = Vec::new();
    Offer::new(&mut nonces, b"r", None, false, (b"there", NOW)).write(Algorithm::Md5, &mut challenge);
    let challenge = Challenge::parse(&challenge).unwrap();
    let mut judge = |password: &[u8], nc, source: &[u8]| {
        let line = answer(&challenge, Login { password, ..LOGIN }, b"REGISTER", b"sip:r", b"c", nc);
        let ha1 = Ha1::from_password(LOGIN.user, b"r", LOGIN.password);
        let asked = Asked { realm: b"r", method: b"REGISTER", request_uri: b"sip:r", source, unix_ms: NOW };
        verify(&mut nonces, &Credentials::parse(&line).unwrap(), Some(&ha1), asked)
    };
    assert_eq!(judge(LOGIN.password, 1, b"here"), Verdict::Stale);
    assert_eq!(judge(b"wrong", 1, b"here"), Verdict::Unproven);
    assert_eq!(judge(b"wrong", 1, b"there"), Verdict::Wrong);
    assert_eq!(judge(LOGIN.password, 1, b"there"), Verdict::Ok);
}

#[test]
fn a_nonce_of_the_pair_partner_is_good_and_one_of_another_site_is_stale() {
    let mut issuing = nonces(10);
    let phone = Phone::challenged(&mut issuing, NOW);
    assert_eq!(phone.registers(&mut nonces(10), 1, NOW), Verdict::Ok);
    let mut other_secret = Nonces::new(&[8; 32], 300_000, 10);
    assert_eq!(phone.registers(&mut other_secret, 1, NOW), Verdict::Stale);
}

#[test]
fn forgetting_a_nonce_makes_it_and_older_ones_stale_so_that_none_is_replayed() {
    let mut nonces = nonces(2);
    let phones: Vec<_> = (0..5).map(|n| Phone::challenged(&mut nonces, NOW + n)).collect();
    for phone in &phones[1..4] {
        assert_eq!(phone.registers(&mut nonces, 1, NOW + 10), Verdict::Ok);
    }
    assert_eq!(nonces.remembered(), 2);
    assert_eq!(
        phones[1].registers(&mut nonces, 1, NOW + 10),
        Verdict::Stale,
        "forgotten: it could be a replay"
    );
    assert_eq!(phones[0].registers(&mut nonces, 1, NOW + 10), Verdict::Stale, "older than a forgotten one");
    assert_eq!(phones[3].registers(&mut nonces, 2, NOW + 10), Verdict::Ok);
    assert_eq!(phones[4].registers(&mut nonces, 1, NOW + 10), Verdict::Ok);
}

#[test]
fn expired_nonces_leave_the_table() {
    let mut nonces = nonces(1000);
    for n in 0..50 {
        let phone = Phone::challenged(&mut nonces, NOW + n);
        phone.registers(&mut nonces, 1, NOW + n);
    }
    assert_eq!(nonces.remembered(), 50);
    let late = Phone::challenged(&mut nonces, NOW + 400_000);
    assert_eq!(late.registers(&mut nonces, 1, NOW + 400_000), Verdict::Ok);
    assert_eq!(nonces.remembered(), 1);
}

#[test]
fn a_changed_nonce_is_not_ours() {
    let mut nonces = nonces(10);
    let mut phone = Phone::challenged(&mut nonces, NOW);
    let text = String::from_utf8(phone.challenge.clone()).unwrap();
    let at = text.find("nonce=\"").unwrap() + 7;
    phone.challenge[at + 10] ^= 1;
    assert_eq!(phone.registers(&mut nonces, 1, NOW), Verdict::Stale);
}
