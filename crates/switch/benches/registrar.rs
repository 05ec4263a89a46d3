//! What a registration costs, in time and in memory: `cargo bench -p tandem-switch --bench registrar`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "samples are sound; a bench has a clock"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use divan::{Bencher, black_box};
use tandem_peer::ChangeLog;
use tandem_sip::auth::{Algorithm, Challenge, Login, answer};
use tandem_sip::{Builder, Flow, Message, Transport};
use tandem_switch::admission::{Admission, Purpose};
use tandem_switch::directory::{Directory, DnClass, Extension, Listen, Options, Secret, Server};
use tandem_switch::registrar::Registrar;
use tandem_switch::{Now, Reject};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

const FIRST: usize = 100_000;
const MANY: usize = 400_000;

fn main() {
    print_memory();
    divan::main();
}

struct Office {
    directory: Directory,
    registrar: Registrar,
    log: ChangeLog,
    now: Now,
    out: Vec<u8>,
}

impl Office {
    fn new(extensions: usize) -> Self {
        let class =
            Arc::new(DnClass { secret: Secret::Password("secret-{number}".into()), ..DnClass::default() });
        let extension = |n: usize| Extension { number: (FIRST + n).to_string().into(), class: class.clone() };
        let addr = "198.51.100.1:5060".parse().expect("an address");
        let server = Server {
            name: "site-a".into(),
            switch: "a".into(),
            sip_address: "198.51.100.1".into(),
            sip_port: 5060,
            listen: vec![Listen { transport: Transport::Udp, addr }],
            realm: "tandem".into(),
            nonce_secret: [7; 32],
        };
        let extensions = (0..extensions).map(extension).collect();
        let directory =
            Directory::new(server, Options::default(), extensions, vec![], vec![]).expect("a directory");
        let registrar = Registrar::new(&directory);
        let now = Now { mono: Instant::now(), unix_ms: 1_800_000_000_000 };
        Self { directory, registrar, log: ChangeLog::new(1, 1), now, out: Vec::with_capacity(2048) }
    }

    /// Everybody registered, a tenth of a millisecond after one another.
    fn full(extensions: usize) -> Self {
        let mut office = Self::new(extensions);
        for n in 0..extensions {
            office.register(n, &register(n, 1, ""));
        }
        office
    }

    /// What the node does with a REGISTER between the transaction layer and the wire.
    fn register(&mut self, n: usize, message: &Message) {
        let env = message.envelope().expect("an envelope");
        self.now.unix_ms += u64::from(n.is_multiple_of(10));
        let number = env.to.uri().expect("a URI").user().expect("a user");
        let dn = self.directory.find(number).expect("a DN");
        let registered =
            self.registrar.register(dn, message, &env, flow(n), &self.directory, &mut self.log, self.now);
        registered.expect("accepted");
        let mut builder = Builder::response(&mut self.out, 200, b"OK");
        self.registrar.write_contacts(dn, &mut builder, self.now);
        black_box(self.log.take_batch());
    }
}

fn flow(n: usize) -> Flow {
    let ip = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n as u32);
    Flow { transport: Transport::Udp, local: 0, remote: (ip, 5060).into(), conn: 0 }
}

/// What a desk phone sends.
fn register(n: usize, cseq: u32, more: &str) -> Message {
    let (number, ip) = (FIRST + n, flow(n).remote.ip());
    let text = format!(
        "REGISTER sip:198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:5060;rport;branch=z9hG4bKPj3f7c1d0a9be84c55\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{number}@198.51.100.1>;tag=9fxced76sl\r\nTo: <sip:{number}@198.51.100.1>\r\n\
         Call-ID: 3848276298220188511-{number}@{ip}\r\nCSeq: {cseq} REGISTER\r\n\
         Contact: <sip:{number}@{ip}:5060;transport=udp>\r\nExpires: 300\r\n{more}Content-Length: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).expect("a message")
}

/// A permutation of the phones, so that no cache knows who comes next.
fn scattered(step: usize, phones: usize) -> usize {
    step.wrapping_mul(7_919) % phones
}

#[divan::bench(args = [1_000, MANY], sample_size = 100)]
fn refresh(bencher: Bencher<'_, '_>, phones: usize) {
    let mut office = Office::full(phones);
    let mut step = 0;
    bencher
        .with_inputs(|| {
            step += 1;
            let n = scattered(step, phones);
            (n, register(n, 1 + step as u32, ""))
        })
        .bench_local_values(|(n, message)| office.register(n, &message));
}

#[divan::bench(sample_size = 100)]
fn first_registration(bencher: Bencher<'_, '_>) {
    let mut office = Office::new(MANY);
    let mut step = 0;
    bencher
        .with_inputs(|| {
            step += 1;
            let n = scattered(step, MANY);
            (n, register(n, step as u32, ""))
        })
        .bench_local_values(|(n, message)| office.register(n, &message));
}

fn check(office: &Office, admission: &mut Admission, message: &Message) -> Result<(), Reject> {
    let env = message.envelope().expect("an envelope");
    let dn = office.directory.find(b"100000");
    admission.check(
        message,
        &env,
        &office.directory,
        dn,
        (Purpose::Register, [192, 0, 2, 7].into()),
        office.now,
    )
}

#[divan::bench]
fn challenge(bencher: Bencher<'_, '_>) {
    let office = Office::new(10);
    let mut admission = Admission::new([7; 32]);
    let message = register(0, 1, "");
    bencher.bench_local(|| check(&office, &mut admission, &message));
}

#[divan::bench(args = [Algorithm::Md5, Algorithm::Sha256], sample_size = 10)]
fn verify(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let office = Office::new(10);
    let mut admission = Admission::new([7; 32]);
    let reject = check(&office, &mut admission, &register(0, 1, "")).expect_err("a challenge");
    let challenges = reject.headers.iter().filter_map(|(_, value)| Challenge::parse(value).ok());
    let challenge = challenges.into_iter().find(|c| c.algorithm == algorithm).expect("one of this algorithm");
    let login = Login { user: b"100000", password: b"secret-100000" };
    let mut nc = 0;
    bencher
        .with_inputs(|| {
            nc += 1;
            let line = answer(&challenge, login, b"REGISTER", b"sip:198.51.100.1", b"0a4f113b", nc);
            register(0, nc, &format!("Authorization: {}\r\n", String::from_utf8_lossy(&line)))
        })
        .bench_local_values(|message| check(&office, &mut admission, &message).expect("passed"));
}

/// The growth of this process by 400,000 registrations.
fn print_memory() {
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        pages.split(' ').nth(1).and_then(|n| n.parse::<usize>().ok()).unwrap_or(0) * 4096
    };
    let mut office = Office::new(MANY);
    let before = resident();
    let start = Instant::now();
    for n in 0..MANY {
        office.register(n, &register(n, 1, ""));
    }
    let took: Duration = start.elapsed();
    let bytes = resident().saturating_sub(before) / MANY;
    println!(
        "{MANY} registrations: {bytes} bytes each, {:.2} s with printing and parsing",
        took.as_secs_f64()
    );
}
