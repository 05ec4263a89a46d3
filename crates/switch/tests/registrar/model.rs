//! Random REGISTERs against a registrar made of one sorted list.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::desk::{Desk, Register, START_UNIX_MS, tcp, udp};
use proptest::prelude::*;
use tandem_switch::Deadline;
use tandem_switch::directory::{DnClass, Options, Registration};

/// One contact of a request: which URI, `q` in tenths, seconds.
type Ask = (usize, u16, u32);

const URIS: [&str; 5] = [
    "sip:a@192.0.2.10",
    "sip:b@192.0.2.10",
    "sip:c@192.0.2.10:5070",
    "sip:d@10.1.1.1",
    "sip:e@phone.example.com",
];

#[derive(Clone, Debug)]
enum Step {
    Change { dn: usize, call: usize, cseq: u32, asks: Vec<Ask>, over: u64 },
    Star { dn: usize, call: usize, cseq: u32 },
    Close { conn: u64 },
    Pass { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let ask = (0..URIS.len(), 0..=10u16, prop_oneof![Just(0), Just(5), 10..400u32]);
    prop_oneof![
        6 => (0..3usize, 0..2usize, 1..30u32, prop::collection::vec(ask, 1..4), 0..3u64)
            .prop_map(|(dn, call, cseq, asks, over)| Step::Change { dn, call, cseq, asks, over }),
        1 => (0..3usize, 0..2usize, 1..30u32).prop_map(|(dn, call, cseq)| Step::Star { dn, call, cseq }),
        1 => (1..3u64).prop_map(|conn| Step::Close { conn }),
        2 => (1..200u64).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Known {
    q: u16,
    call: usize,
    cseq: u32,
    until: u64,
    conn: u64,
    /// Its connection is gone, and its contact cannot be dialled.
    ghost: bool,
    /// When it was made or refreshed.
    at: u64,
}

/// DN and URI to what is known.
#[derive(Clone, Debug, Default)]
struct Model(BTreeMap<(usize, usize), Known>);

impl Model {
    /// The status that is due: 200 or the refusal.
    fn change(&mut self, dn: usize, call: usize, cseq: u32, asks: &[Ask], conn: u64, now: u64) -> u16 {
        if asks.iter().any(|(_, _, seconds)| *seconds == 5) {
            return 423;
        }
        let old = |uri: usize| self.0.get(&(dn, uri)).is_some_and(|k| k.call == call && cseq <= k.cseq);
        if asks.iter().any(|(uri, _, _)| old(*uri)) {
            return 500;
        }
        let mut next = self.clone();
        for (uri, q, seconds) in asks {
            next.0.remove(&(dn, *uri));
            if *seconds > 0 {
                let until = now + u64::from(*seconds) * 1000;
                let known = Known { q: q * 100, call, cseq, until, conn, ghost: false, at: now };
                next.0.insert((dn, *uri), known);
            }
        }
        let count = |model: &Self| model.0.keys().filter(|(d, _)| *d == dn).count();
        while count(&next) > 3 && next.0.keys().any(|key| !self.0.contains_key(key)) {
            let ghosts = next.0.iter().filter(|((d, _), known)| *d == dn && known.ghost);
            let Some((key, _)) = ghosts.min_by_key(|(_, known)| known.at) else { return 403 };
            let key = *key;
            next.0.remove(&key);
        }
        *self = next;
        200
    }

    fn star(&mut self, dn: usize, call: usize, cseq: u32) -> u16 {
        if self.0.iter().any(|((d, _), k)| *d == dn && k.call == call && cseq <= k.cseq) {
            return 500;
        }
        self.0.retain(|(d, _), _| *d != dn);
        200
    }
}

fn number(dn: usize) -> String {
    format!("{}", 1001 + dn)
}

fn status(result: Result<tandem_switch::registrar::Registered, tandem_switch::Reject>) -> u16 {
    result.map_or_else(|reject| reject.status, |_| 200)
}

fn request(dn: usize, call: usize, cseq: u32) -> Register {
    Register::of(&number(dn)).call_id(&format!("call-{call}")).cseq(cseq)
}

fn put_change(desk: &mut Desk, dn: usize, call: usize, cseq: u32, asks: &[Ask], over: u64) -> u16 {
    let flow = if over == 0 { udp("192.0.2.10:5060") } else { tcp("192.0.2.10:40000", over) };
    let line =
        |(uri, q, seconds): &Ask| format!("<{}>;q={}.{};expires={seconds}", URIS[*uri], q / 10, q % 10);
    let phone = asks.iter().fold(request(dn, call, cseq).flow(flow), |phone, ask| phone.contact(&line(ask)));
    status(desk.register(&phone))
}

/// Everything that can be seen of the registrar is what the model holds.
fn agree(desk: &Desk, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(desk.registrar.len(), model.0.len());
    let earliest = model.0.values().map(|k| Deadline::at_unix_ms(k.until)).min();
    prop_assert_eq!(desk.registrar.next_expiry(), earliest);
    for dn in 0..3 {
        let bindings = desk.bindings(&number(dn));
        prop_assert!(bindings.is_sorted_by_key(|b| std::cmp::Reverse((b.q(), b.updated_unix_ms()))));
        let seen: BTreeMap<_, _> = bindings
            .iter()
            .map(|b| {
                let uri = URIS.iter().position(|u| u.as_bytes() == b.uri()).unwrap();
                let call = usize::from(b.call_id() == b"call-1");
                let until = b.expires().unix_ms();
                let (ghost, at) = (!b.reachable(), b.updated_unix_ms());
                ((dn, uri), Known { q: b.q(), call, cseq: b.cseq(), until, conn: b.flow().conn, ghost, at })
            })
            .collect();
        let due: BTreeMap<_, _> =
            model.0.iter().filter(|((d, _), _)| *d == dn).map(|(k, v)| (*k, v.clone())).collect();
        prop_assert_eq!(seen, due);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_registers_gives_what_the_model_says(steps in prop::collection::vec(step(), 1..40)) {
        // Longer than any binding lives here: when ghosts go is shown elsewhere.
        let registration = Registration { ghost_quarantine: Duration::from_secs(3600), ..Registration::default() };
        let options = Options { registration, ..Options::default() };
        let mut desk = Desk::with(options, DnClass { max_contacts: 3, ..DnClass::default() });
        let mut model = Model::default();
        for step in steps {
            desk.now = desk.now.plus(Duration::from_millis(1));
            let now = desk.now.unix_ms;
            match step {
                Step::Change { dn, call, cseq, asks, over } => {
                    let due = model.change(dn, call, cseq, &asks, over, now);
                    prop_assert_eq!(put_change(&mut desk, dn, call, cseq, &asks, over), due);
                }
                Step::Star { dn, call, cseq } => {
                    let phone = request(dn, call, cseq).contact("*").expires("0");
                    prop_assert_eq!(status(desk.register(&phone)), model.star(dn, call, cseq));
                }
                Step::Close { conn } => {
                    desk.flow_failed(tcp("192.0.2.10:40000", conn));
                    for ((_, uri), known) in model.0.iter_mut().filter(|(_, known)| known.conn == conn) {
                        (known.conn, known.ghost) = (0, *uri > 2);
                    }
                }
                Step::Pass { seconds } => {
                    desk.pass(seconds);
                    let before: Vec<usize> = model.0.keys().map(|(dn, _)| *dn).collect();
                    let now = desk.now.unix_ms;
                    model.0.retain(|_, k| k.until > now);
                    let left = |dn: &usize| model.0.keys().any(|(d, _)| d == dn);
                    let mut gone: Vec<_> = before.into_iter().filter(|dn| !left(dn)).collect();
                    gone.dedup();
                    let mut told = desk.expire();
                    told.sort();
                    prop_assert_eq!(told, gone.iter().map(|dn| desk.dn(&number(*dn))).collect::<Vec<_>>());
                }
            }
            // A step may reach the end of a binding by its millisecond alone.
            let now = desk.now.unix_ms;
            model.0.retain(|_, k| k.until > now);
            desk.expire();
            agree(&desk, &model)?;
        }
        prop_assert!(desk.now.unix_ms > START_UNIX_MS);
    }
}
