//! The torture messages of RFC 4475 and RFC 5118, sent to a node that has the parties they name: each gets the reaction
//! that its RFC describes, and afterwards the node takes a call like any other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use support::{Bed, CALLEE, OTHER, answer, directory, flow, in_dialog, invite, line};
use tandem_sip::{HeaderName, Message};
use tandem_switch::Input;
use tandem_switch::directory::{DnClass, Extension};

/// Everything comes from here: an SBC that is trusted, so that who sends is no reason to refuse.
const SBC: &str = "10.0.0.99";

/// What the sender is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    /// Nothing.
    Silence,
    /// This code, and these bytes in the answer.
    Code(u16, &'static str),
    /// 100, and the phone of `user` is called.
    Rings,
}
use Reaction::{Code, Rings, Silence};

const RFC4475: [(&str, Reaction); 49] = [
    // 3.1.1: valid. Those with a To tag belong to a dialog that nobody has.
    ("wsinv", Code(481, "")),
    ("intmeth", Code(405, "Allow: ")),
    ("esc01", Code(404, "")),
    ("escnull", Code(404, "")),
    ("esc02", Code(405, "Allow: ")),
    ("lwsdisp", Code(200, "Allow: ")),
    ("longreq", Rings),
    ("dblreq", Code(200, "CSeq: 8 REGISTER")),
    ("semiuri", Code(200, "Allow: ")),
    ("transports", Code(200, "SIP/2.0/TCP t5.example.com")),
    ("mpart01", Code(481, "")),
    ("unreason", Silence),
    ("noreason", Silence),
    // 3.1.2: invalid. The answer names what is wrong; nothing answers a response.
    ("badinv01", Code(400, "Via")),
    ("clerr", Code(400, "Content-Length")),
    ("ncl", Code(400, "Content-Length")),
    ("scalar02", Code(400, "CSeq")),
    ("scalarlg", Silence),
    ("quotbal", Code(400, "To: quoted string without end")),
    ("ltgtruri", Code(400, "Request-URI")),
    ("lwsruri", Code(400, "Request-URI")),
    ("lwsstart", Code(400, "blanks in the start line")),
    ("trws", Code(400, "blanks in the start line")),
    ("escruri", Code(400, "Request-URI")),
    ("baddate", Rings),
    ("regbadct", Code(400, "Contact")),
    ("badaspec", Code(400, "To: ")),
    ("baddn", Code(400, "From: malformed display name")),
    ("badvers", Code(505, "2.0")),
    ("mismatch01", Code(400, "CSeq: method differs")),
    ("mismatch02", Code(400, "CSeq: method differs")),
    ("bigcode", Silence),
    // 3.2 and 3.3: transactions and applications.
    ("badbranch", Code(200, "Allow: ")),
    ("insuf", Code(400, "From: missing")),
    ("unkscm", Code(416, "")),
    ("novelsc", Code(416, "")),
    ("unksm2", Code(404, "")),
    ("bext01", Code(420, "Unsupported: nothingSupportsThis, nothingSupportsThisEither")),
    // The body is for the callee to understand.
    ("invut", Rings),
    ("regaut01", Code(401, "Digest ")),
    ("multi01", Code(400, "given twice")),
    ("mcl01", Code(400, "Content-Length: given twice")),
    ("bcast", Silence),
    // This server is who is asked; only what goes further runs out of hops.
    ("zeromf", Code(200, "Allow: ")),
    ("cparam01", Code(200, "<sip:+19725552222@gw1.example.net>;unknownparam")),
    ("cparam02", Code(200, "<sip:+19725552222@gw1.example.net;unknownparam>")),
    ("regescrt", Code(200, "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>")),
    ("sdp01", Rings),
    // 3.4: RFC 2543 let an INVITE do without the Contact that a dialog needs.
    ("inv2543", Code(400, "Contact")),
];

const RFC5118: [(&str, Reaction); 12] = [
    ("ipv6-good", Code(200, "<sip:caller@[2001:db8::1]>")),
    ("ipv6-bad", Code(400, "Request-URI")),
    ("port-ambiguous", Code(200, "")),
    ("port-unambiguous", Code(200, "")),
    ("via-received-param-with-delim", Code(481, "")),
    ("via-received-param-no-delim", Code(200, "Allow: ")),
    ("ipv6-in-sdp", Rings),
    ("mult-ip-in-header", Code(481, "[2001:db8::9:255]")),
    ("mult-ip-in-sdp", Rings),
    ("ipv4-mapped-ipv6", Rings),
    ("ipv6-bug-abnf-3-colons", Code(200, "Allow: ")),
    ("ipv6-correct-abnf-2-colons", Code(200, "Allow: ")),
];

fn folder(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../tests/vectors", name].iter().collect()
}

/// Whether REGISTERs are authenticated matters to one vector only: the one with credentials of an unknown kind.
fn bed(authenticates: bool) -> Bed {
    let mut bed = Bed::with(directory(|options, extensions, _| {
        options.dr_peer_trunk = None;
        options.authenticate.register = authenticates;
        let class = Arc::new(DnClass::default());
        let of = |number: &str| Extension { number: number.into(), class: Arc::clone(&class) };
        extensions.extend(["user", "vivekg", "j.user", "watson"].map(of));
    }));
    if !authenticates {
        bed.register("user", CALLEE);
        bed.register("1001", OTHER);
    }
    bed.sent.clear();
    bed
}

/// Messages that the sender gets. They go to the port that its Via names, where that can be read.
fn told(bed: &mut Bed) -> Vec<Message> {
    let sender: std::net::IpAddr = SBC.parse().unwrap();
    let (mine, rest) = std::mem::take(&mut bed.sent).into_iter().partition(|(to, _)| to.ip() == sender);
    bed.sent = rest;
    mine.into_iter().map(|(_, message): (_, Message)| message).collect()
}

#[track_caller]
fn check(folder_name: &str, name: &str, expected: Reaction) {
    let bytes = std::fs::read(folder(folder_name).join(name).with_extension("dat")).unwrap();
    let mut bed = bed(name == "regaut01");
    // What is no message at all never reaches a node.
    if let Ok(message) = Message::parse(bytes.into()) {
        bed.node.handle_input(Input::Sip { flow: flow(&format!("{SBC}:5060")), message }, bed.now);
        bed.drain();
    }
    let told = told(&mut bed);
    let lines: Vec<String> = told.iter().map(line).collect();
    let rung = bed.take(CALLEE);
    match expected {
        Silence => assert_eq!(lines, Vec::<String>::new(), "{name}"),
        Code(code, text) => {
            let [answer] = &told[..] else { panic!("{name}: {lines:?}") };
            let answer = (answer.code(), String::from_utf8_lossy(answer.bytes()));
            assert!(answer.0 == Some(code) && answer.1.contains(text), "{name}: {}", answer.1);
        }
        Rings => assert_eq!((lines, rung.len()), (vec!["SIP/2.0 100 Trying".to_owned()], 1), "{name}"),
    }
    if !matches!(expected, Rings) {
        assert!(rung.is_empty(), "{name} rang");
    }
    if name != "regaut01" && name != "regescrt" && folder_name == "rfc4475" {
        takes_a_call(&mut bed, name);
    }
}

/// 1001 calls `user`, who answers.
#[track_caller]
fn takes_a_call(bed: &mut Bed, after: &str) {
    bed.receive(OTHER, &invite("1001", OTHER, "user", "afterwards"));
    let offered = bed.take(CALLEE);
    let offered = offered.iter().find(|m| line(m).starts_with("INVITE")).unwrap_or_else(|| panic!("{after}"));
    bed.receive(CALLEE, &answer(offered, 200, "callee", CALLEE, "answer"));
    let told = bed.take(OTHER);
    let ok = told.iter().find(|message| message.code() == Some(200)).unwrap_or_else(|| panic!("{after}"));
    bed.receive(OTHER, &in_dialog(ok, "ACK", 1, OTHER, ""));
    assert!(bed.take(CALLEE).iter().any(|message| line(message).starts_with("ACK")), "{after}");
}

#[test]
fn each_torture_message_of_rfc_4475_gets_the_reaction_that_is_asked_for() {
    RFC4475.iter().for_each(|(name, expected)| check("rfc4475", name, *expected));
}

#[test]
fn each_torture_message_of_rfc_5118_gets_the_reaction_that_is_asked_for() {
    RFC5118.iter().for_each(|(name, expected)| check("rfc5118", name, *expected));
}

#[test]
fn no_vector_is_left_out() {
    for (name, table) in [("rfc4475", &RFC4475[..]), ("rfc5118", &RFC5118[..])] {
        let files = std::fs::read_dir(folder(name)).unwrap();
        let there: BTreeSet<String> = files
            .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let listed: BTreeSet<String> = table.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(there, listed);
    }
}

#[test]
fn a_request_whose_via_cannot_be_read_is_answered_where_it_came_from() {
    let mut bed = bed(false);
    bed.receive(
        "10.0.0.99:6000",
        "OPTIONS sip:10.0.0.1 SIP/2.0\nVia: ;;,;\nFrom: <sip:a@b>;tag=1\nTo: <sip:c@d>\nCall-ID: 1\nCSeq: 1 OPTIONS\n\n",
    );
    let answer = bed.one("10.0.0.99:6000");
    assert_eq!((answer.code(), answer.header(HeaderName::Via)), (Some(400), Some(&b";;,;"[..])));
}
