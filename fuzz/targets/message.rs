//! Bytes of a datagram: they are a message or a typed error, and what is answered to them can be read again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tandem_sip::auth::{Challenge, Credentials};
use tandem_sip::{CSeq, HeaderName, Host, Message, NameAddr, Params, Uri, Via, lexer, response_to};

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::parse(Bytes::copy_from_slice(bytes)) else { return };
    message.headers().for_each(|header| {
        let _ = header.unfolded();
        lexer::elements(header.value).for_each(value);
    });
    message.request_uri().into_iter().for_each(value);
    let _ = (message.start(), message.has_token(HeaderName::Supported, b"100rel"));
    let Ok(env) = message.envelope() else { return };
    let mut buf = Vec::new();
    let source = "192.0.2.1:5060".parse().ok();
    let answer = response_to(&mut buf, &message, &env, 200, b"OK", Some(b"t"), source).finish(b"");
    let answer = Message::parse(answer).expect("an answer to a readable request is readable");
    let back = answer.envelope().expect("its envelope too");
    assert_eq!((back.call_id, back.cseq), (env.call_id, env.cseq));
    assert_eq!((back.from_tag, back.via.branch()), (env.from_tag, env.via.branch()));
});

/// A value, read as everything that it might be.
fn value(value: &[u8]) {
    let _ = (CSeq::parse(value), Host::parse(value), Params::parse(value).map(|p| p.iter().count()));
    let _ = Via::parse(value).map(|via| (via.branch().map(<[u8]>::len), via.rport(), via.received()));
    let _ = (Challenge::parse(value).is_ok(), Credentials::parse(value).is_ok());
    if let Ok(address) = NameAddr::parse(value) {
        let _ = (address.display_unquoted(), address.tag());
    }
    if let Ok(uri) = Uri::parse(value) {
        assert!(uri.equivalent(&uri), "{} differs from itself", value.escape_ascii());
        let _ = (uri.number(), uri.user_unescaped(), uri.header_pairs().count());
    }
}
