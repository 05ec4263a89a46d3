//! What the gate costs: one change of a value the size of a registration, and a forwarding decision.
//! `cargo bench -p tandem-peer`

use divan::Bencher;
use tandem_peer::continuity::{CallKind, Facts, Originator, decide};
use tandem_peer::replica::{Reader, Writer};
use tandem_peer::{ChangeLog, Deadline, DrForward, Mode, Record, Replicated};

fn main() {
    divan::main();
}

/// Fields of the size of a real binding.
struct Binding {
    contact: String,
    call_id: String,
    cseq: u32,
    expires: Deadline,
}

impl Record for Binding {
    const KIND: u8 = 1;

    fn encode(&self, out: &mut Writer<'_>) {
        out.str(&self.contact);
        out.str(&self.call_id);
        out.u32(self.cseq);
        out.deadline(self.expires);
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (contact, call_id) = (reader.str()?.into(), reader.str()?.into());
        Some(Self { contact, call_id, cseq: reader.u32()?, expires: reader.deadline()? })
    }

    fn deadline(&self) -> Option<Deadline> {
        Some(self.expires)
    }
}

#[divan::bench]
fn update_and_take_the_batch(bencher: Bencher<'_, '_>) {
    let mut log = ChangeLog::new(1, 1);
    let binding = Binding {
        contact: "sip:1001@192.0.2.17:5060;transport=udp".into(),
        call_id: "a84b4c76e66710@pc33.example.com".into(),
        cseq: 1,
        expires: Deadline::at_unix_ms(1),
    };
    let mut value = Replicated::create(1, binding, &mut log);
    bencher.bench_local(|| {
        value.update(&mut log, |binding| binding.cseq += 1);
        log.take_batch()
    });
}

#[divan::bench]
fn decide_on_a_forward(bencher: Bencher<'_, '_>) {
    let facts = Facts {
        mode: Mode::Peered,
        dr_forward: DrForward::NoAgent,
        call: CallKind::Inbound,
        originator: Originator::ExternalRedirectable,
        from_peer: false,
        marked: false,
        max_forwards: 70,
        redirected_recently: false,
        endpoint_in_service: true,
        agent_logged_in: false,
    };
    bencher.bench_local(|| decide(divan::black_box(&facts)));
}
