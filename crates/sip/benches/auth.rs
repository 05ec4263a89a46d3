//! What digest authentication costs per request: `cargo bench -p tandem-sip --bench auth`.

#![allow(clippy::expect_used, reason = "the samples are sound")]

use divan::{Bencher, black_box};
use tandem_sip::auth::{
    Algorithm, Asked, Challenge, Credentials, Ha1, Login, Nonces, Offer, Verdict, answer, verify,
};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

const NOW: u64 = 1_700_000_000_000;
const LOGIN: Login<'static> = Login { user: b"1001", password: b"secret-1001" };
const ASKED: Asked<'static> = Asked {
    realm: b"example.com",
    method: b"REGISTER",
    request_uri: b"sip:example.com",
    source: b"",
    unix_ms: NOW,
};

fn main() {
    divan::main();
}

/// A nonce and the two header values of a 401.
#[divan::bench]
fn challenge(bencher: Bencher<'_, '_>) {
    let mut nonces = Nonces::new(&[7; 32], 300_000, 100_000);
    let mut line = Vec::new();
    bencher.bench_local(|| {
        let offer = Offer::new(&mut nonces, ASKED.realm, None, false, (b"", NOW));
        for algorithm in Offer::ALGORITHMS {
            line.clear();
            offer.write(algorithm, &mut line);
            black_box(&line);
        }
    });
}

/// Reading the credentials and judging them, the replay window included.
#[divan::bench(args = [Algorithm::Md5, Algorithm::Sha256])]
fn credentials(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let mut nonces = Nonces::new(&[7; 32], 300_000, 100_000);
    let ha1 = Ha1::from_password(LOGIN.user, ASKED.realm, LOGIN.password);
    let mut challenge = Vec::new();
    Offer::new(&mut nonces, ASKED.realm, None, false, (b"", NOW)).write(algorithm, &mut challenge);
    let challenge = Challenge::parse(&challenge).expect("we read our own");
    let mut nc = 0;
    let lines = || {
        nc += 1;
        answer(&challenge, LOGIN, ASKED.method, ASKED.request_uri, b"0a4f113b", nc)
    };
    bencher.with_inputs(lines).bench_local_refs(|line| {
        let credentials = Credentials::parse(line).expect("we read our own");
        assert_eq!(verify(&mut nonces, &credentials, Some(&ha1), ASKED), Verdict::Ok);
    });
}
