//! Whatever comes in whatever order, doubled, late or never: nothing panics, and when everybody has hung up nothing
//! stays but the records.

use std::time::Duration;

use proptest::prelude::*;
use tandem_sip::{Message, Transport};

use crate::support::{
    Bed, CALLEE, CALLER, GATEWAY, OTHER, PEER, alone, answer, cancel_of, directory, from_callee, in_dialog,
    invite, with,
};

const METHODS: [&str; 9] = ["ACK", "BYE", "INVITE", "UPDATE", "INFO", "PRACK", "OPTIONS", "MESSAGE", "REFER"];
const CODES: [u16; 22] = [
    100, 180, 183, 199, 200, 200, 202, 301, 302, 401, 404, 407, 408, 481, 486, 487, 488, 491, 500, 503, 600,
    603,
];
const PLACES: [&str; 5] = [CALLER, CALLEE, OTHER, GATEWAY, PEER];
const CHALLENGE: &str =
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\"";
const TAGS: [&str; 3] = ["one", "two", ""];

/// Two sides that say anything, and all that was said.
struct Babel {
    bed: Bed,
    /// What reached the node, and from where.
    said: Vec<(&'static str, String)>,
    /// What the node sent, and to where.
    heard: Vec<(&'static str, Message)>,
    calls: Vec<String>,
    cseq: u32,
}

impl Babel {
    /// Alone, or with a peer that is probed and a gateway that may ask for credentials.
    fn new(peered: bool) -> Self {
        let with_peer =
            || directory(|_, _, trunks| trunks[0].credentials = Some(("user".into(), "secret".into())));
        let mut bed = Bed::with(if peered { with_peer() } else { alone() });
        bed.register("1001", CALLER);
        bed.register("1002", CALLEE);
        bed.register("1002", OTHER);
        Self { bed, said: Vec::new(), heard: Vec::new(), calls: Vec::new(), cseq: 1 }
    }

    fn say(&mut self, from: &'static str, text: String) {
        self.bed.receive(from, &text);
        self.said.push((from, text));
        self.listen();
    }

    fn listen(&mut self) {
        for place in PLACES {
            let sent = self.bed.take(place);
            self.heard.extend(sent.into_iter().map(|message| (place, message)));
        }
    }

    fn pick(&self, n: u16, wanted: impl Fn(&Message) -> bool) -> Option<(&'static str, Message)> {
        let fitting: Vec<_> =
            self.heard.iter().rev().take(40).filter(|(_, message)| wanted(message)).collect();
        fitting.get(usize::from(n) % fitting.len().max(1)).map(|(place, message)| (*place, message.clone()))
    }

    fn step(&mut self, what: u8, n: u16, m: u16) {
        let method = METHODS[usize::from(m) % METHODS.len()];
        self.cseq += 1;
        let cseq = if method == "ACK" { 1 } else { self.cseq };
        match what {
            0 => {
                let number = ["1002", "1002", "9123", "4711", "1004", "1003"][usize::from(n) % 6];
                let text = with(
                    &invite("1001", CALLER, number, &format!("c{}", self.calls.len())),
                    "Supported: 100rel",
                );
                self.calls.push(text.clone());
                self.say(CALLER, text);
            }
            1..=5 => {
                let request = self.pick(n, |message| {
                    message.is_request() && message.method() != Some(tandem_sip::Method::Ack)
                });
                if let Some((place, request)) = request {
                    let (code, tag) =
                        (CODES[usize::from(m) % CODES.len()], TAGS[usize::from(m / 32) % TAGS.len()]);
                    let text = answer(&request, code, tag, place, "body");
                    let text =
                        if m.is_multiple_of(5) { with(&text, "Require: 100rel\nRSeq: 7") } else { text };
                    let text = if matches!(code, 401 | 407) { with(&text, CHALLENGE) } else { text };
                    self.say(place, text);
                }
            }
            6 | 7 => {
                if let Some((place, response)) =
                    self.pick(n, |message| message.code().is_some_and(|code| code > 100))
                {
                    self.say(
                        place,
                        with(&in_dialog(&response, method, cseq, place, "x"), "RAck: 7 1 INVITE"),
                    );
                }
            }
            8 => {
                if let Some((place, offered)) =
                    self.pick(n, |message| message.method() == Some(tandem_sip::Method::Invite))
                {
                    let tag = TAGS[usize::from(m / 16) % TAGS.len()];
                    self.say(
                        place,
                        from_callee(&offered, tag, method, cseq, place, "x").replace(";tag=\n", "\n"),
                    );
                }
            }
            9 => {
                if let Some(text) = self.calls.get(usize::from(n) % self.calls.len().max(1)).cloned() {
                    self.say(CALLER, cancel_of(&text));
                }
            }
            10 => {
                if let Some((from, text)) = self.said.get(usize::from(n) % self.said.len().max(1)).cloned() {
                    self.say(from, text);
                }
            }
            11 => self.bed.refuse(
                PLACES[usize::from(n) % PLACES.len()],
                [Transport::Udp, Transport::Tcp][usize::from(m) % 2],
            ),
            _ => self.bed.pass(Duration::from_millis(u64::from(n) % 40_000)),
        }
        self.listen();
    }

    /// The caller hangs up whatever he ever heard of.
    fn hang_up(&mut self) {
        for text in self.calls.clone() {
            self.say(CALLER, cancel_of(&text));
        }
        let answers: Vec<Message> =
            self.heard.iter().filter(|(place, _)| *place == CALLER).map(|(_, m)| m.clone()).collect();
        for ok in
            answers.iter().filter(|message| message.code().is_some_and(|code| (200..300).contains(&code)))
        {
            self.cseq += 1;
            self.say(CALLER, in_dialog(ok, "BYE", self.cseq + 1_000, CALLER, ""));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_stays_of_any_disorder(
        peered in any::<bool>(),
        steps in proptest::collection::vec((0u8..14, any::<u16>(), any::<u16>()), 1..60)) {
        let mut babel = Babel::new(peered);
        babel.step(0, 0, 0);
        for (what, n, m) in steps {
            babel.step(what, n, m);
        }
        // Twice: a CANCEL may look like a repetition of one for an older INVITE with the same branch.
        babel.hang_up();
        babel.bed.pass(Duration::from_secs(40));
        babel.hang_up();
        babel.bed.nothing_stays();
    }
}
