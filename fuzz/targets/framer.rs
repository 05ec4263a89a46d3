//! Bytes of a stream: cut the same way whatever the chunks they come in, the first byte being the size of a chunk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_sip::{Framed, Framer};

fuzz_target!(|bytes: &[u8]| {
    let Some((size, stream)) = bytes.split_first() else { return };
    let chunks = stream.chunks(usize::from(*size).max(1));
    assert_eq!(frames(chunks), frames(std::iter::once(stream)));
});

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
