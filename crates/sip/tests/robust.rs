//! Whatever bytes arrive, reading them ends in a value or a typed error.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::LazyLock;
use tandem_sip::{
    CSeq, Framed, Framer, HeaderName, Host, Message, NameAddr, Params, Uri, Via, lexer, response_to,
};

/// Reads everything there is to read in a message, the way a hostile relay would make us.
fn exercise(bytes: Bytes) {
    let Ok(message) = Message::parse(bytes) else { return };
    for header in message.headers() {
        let _ = header.unfolded();
        for element in lexer::elements(header.value) {
            exercise_value(element);
        }
    }
    if let Some(uri) = message.request_uri() {
        exercise_value(uri);
    }
    let _ = (message.start(), message.body_bytes(), message.has_token(HeaderName::Supported, b"100rel"));
    let Ok(envelope) = message.envelope() else { return };
    let source = "192.0.2.1:5060".parse().ok();
    let mut buf = Vec::new();
    let answer = response_to(&mut buf, &message, &envelope, 200, b"OK", Some(b"t"), source).finish(b"");
    let answer = Message::parse(answer).expect("an answer to a readable request is readable");
    let back = answer.envelope().expect("its envelope too");
    assert_eq!((back.call_id, back.cseq), (envelope.call_id, envelope.cseq));
    assert_eq!((back.from_tag, back.via.branch()), (envelope.from_tag, envelope.via.branch()));
    assert_eq!(back.to_tag, envelope.to_tag.or(Some(b"t")));
}

fn exercise_value(value: &[u8]) {
    let _ = (CSeq::parse(value), Host::parse(value), Params::parse(value).map(|p| p.iter().count()));
    let _ = Via::parse(value).map(|via| (via.branch(), via.rport(), via.received()));
    if let Ok(address) = NameAddr::parse(value) {
        let _ = (address.display_unquoted(), address.tag());
    }
    if let Ok(uri) = Uri::parse(value) {
        assert!(uri.equivalent(&uri), "{} differs from itself", value.escape_ascii());
        let _ = (uri.number(), uri.header_pairs().count());
    }
}

/// The torture messages, read once.
static VECTORS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder =
        |name: &str| [env!("CARGO_MANIFEST_DIR"), "../../tests/vectors", name].iter().collect::<PathBuf>();
    let files = ["rfc4475", "rfc5118"].into_iter().flat_map(|name| std::fs::read_dir(folder(name)).unwrap());
    let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
});

/// One change to a message: overwrite, insert, remove or cut, at a place, with a byte.
type Mutation = (u8, prop::sample::Index, u8);

/// Bytes that mean something to the grammar, and any other.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![prop::sample::select(&b"\r\n \t\0\"\\<>;,:=@?&%()[]/.09aSIP"[..]), any::<u8>()]
}

fn mutate(bytes: &mut Vec<u8>, (kind, index, byte): &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let at = index.index(bytes.len());
    match kind {
        0 => bytes[at] = *byte,
        1 => bytes.insert(at, *byte),
        2 => drop(bytes.remove(at)),
        _ => bytes.truncate(at),
    }
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let kind = prop_oneof![6 => Just(0u8), 4 => Just(1), 4 => Just(2), 1 => Just(3)];
    proptest::collection::vec((kind, any::<prop::sample::Index>(), byte()), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(5_000)))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(byte(), 0..200)) {
        exercise_value(&bytes);
        exercise(bytes.into());
    }

    #[test]
    fn mutated_messages_never_panic(
        which in any::<prop::sample::Index>(),
        changes in mutations(),
    ) {
        let mut bytes = VECTORS[which.index(VECTORS.len())].clone();
        changes.iter().for_each(|change| mutate(&mut bytes, change));
        exercise(bytes.into());
    }

    #[test]
    fn a_stream_is_cut_the_same_way_whatever_its_chunks(
        which in any::<prop::sample::Index>(),
        changes in mutations(),
        size in 1usize..400,
    ) {
        let mut bytes = VECTORS[which.index(VECTORS.len())].repeat(2);
        changes.iter().for_each(|change| mutate(&mut bytes, change));
        prop_assert_eq!(frames(bytes.chunks(size)), frames([&bytes[..]].into_iter()));
    }
}

fn frames<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Option<Framed>> {
    let mut framer = Framer::new();
    let mut got = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        loop {
            match framer.next() {
                Ok(Some(frame)) => got.push(Some(frame)),
                Ok(None) => break,
                Err(_) => {
                    got.push(None);
                    return got;
                }
            }
        }
    }
    got
}
