//! Messages and descriptions of anchored legs, rewritten.

use bytes::Bytes;
use tandem_sip::{Builder, HeaderName, Message};

/// Attributes that only browsers speak of. A phone skips them, and a datagram has no room for them: an INVITE beyond
/// the MTU goes by TCP (RFC 3261 18.1.1), which not every phone has.
const OF_BROWSERS: [&[u8]; 12] = [
    b"candidate:",
    b"extmap",
    b"fingerprint:",
    b"group:",
    b"ice-",
    b"mid:",
    b"msid",
    b"rtcp-fb:",
    b"rtcp-mux",
    b"rtcp-rsize",
    b"setup:",
    b"ssrc",
];

/// Whether a description speaks as browsers do.
#[must_use]
pub fn is_webrtc(sdp: &[u8]) -> bool {
    lines(sdp).any(|line| line.starts_with(b"a=fingerprint:"))
        && lines(sdp).any(|line| line.starts_with(b"a=ice-ufrag:"))
}

/// The same description without what only browsers speak of.
pub(super) fn plain(sdp: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(sdp.len());
    for line in lines(sdp) {
        let attribute = line.strip_prefix(b"a=").unwrap_or_default();
        if !OF_BROWSERS.iter().any(|known| attribute.starts_with(known)) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

fn lines(sdp: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = sdp.split(|byte| *byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.is_empty())
}

/// The message with another body; with an empty one it has no Content-Type either.
pub(super) fn with_body(message: &Message, body: &[u8]) -> Option<Message> {
    let mut scratch = Vec::with_capacity(message.bytes().len() + body.len());
    let mut builder = match message.code() {
        Some(code) => Builder::response(&mut scratch, code, message.reason().unwrap_or_default()),
        None => Builder::request(&mut scratch, message.method_token()?, message.request_uri()?),
    };
    let of_body = |name: HeaderName| {
        matches!(name, HeaderName::ContentType | HeaderName::ContentDisposition | HeaderName::ContentEncoding)
    };
    for header in message.headers().filter(|header| !body.is_empty() || !of_body(header.name)) {
        builder.copy_line(&header);
    }
    Message::parse(builder.finish(body)).ok()
}

/// A response as a refusal of 488 instead, saying what is missing.
pub(super) fn refusing(response: &Message, warning: &str) -> Option<Bytes> {
    let mut scratch = Vec::new();
    let mut builder = Builder::response(&mut scratch, 488, b"Not Acceptable Here");
    for name in [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
        builder.copy(response, name);
    }
    builder.header(HeaderName::Warning, warning.as_bytes());
    Some(builder.finish(b""))
}

/// What a device that is never asked would refuse with: an INVITE, UPDATE or PRACK whose description cannot be made.
pub(super) fn refusal_of(request: &Message, status: u16, warning: &str) -> Option<Message> {
    let env = request.envelope().ok()?;
    let mut scratch = Vec::new();
    let mut builder = Builder::response(&mut scratch, status, crate::rooms::phrase(status).as_bytes());
    for name in [HeaderName::Via, HeaderName::From] {
        builder.copy(request, name);
    }
    let to = request.header(HeaderName::To)?;
    match env.to_tag {
        Some(_) => builder.header(HeaderName::To, to),
        None => builder.parts(HeaderName::To, &[to, b";tag=no-media"]),
    };
    builder.copy(request, HeaderName::CallId).copy(request, HeaderName::CSeq);
    builder.header(HeaderName::Warning, warning.as_bytes());
    Message::parse(builder.finish(b"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_browsers_speak_of_is_left_out() {
        let told = "v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\ns=-\r\na=group:BUNDLE 0\r\na=msid-semantic: WMS\r\n\
                    m=audio 4000 RTP/AVP 0 126\r\nc=IN IP4 10.0.0.1\r\na=mid:0\r\na=rtpmap:0 PCMU/8000\r\n\
                    a=extmap:1 urn:x\r\na=ssrc:1 cname:x\r\na=rtcp-fb:0 nack\r\na=sendrecv\r\n";
        let plain = String::from_utf8(plain(told.as_bytes())).unwrap();
        assert_eq!(
            plain,
            "v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\ns=-\r\nm=audio 4000 RTP/AVP 0 126\r\nc=IN IP4 10.0.0.1\r\n\
             a=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
        );
    }

    #[test]
    fn a_browser_is_known_by_its_fingerprint_and_its_ice() {
        let both = b"v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:x\r\na=fingerprint:sha-256 AA\r\n";
        assert!(is_webrtc(both));
        assert!(!is_webrtc(b"v=0\r\nm=audio 9 RTP/AVP 0\r\n"));
        assert!(!is_webrtc(b"v=0\r\nm=audio 9 RTP/SAVP 0\r\na=fingerprint:sha-256 AA\r\n"));
    }

    #[test]
    fn a_body_is_changed_and_nothing_else() {
        let text = "SIP/2.0 200 Fine\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nX-Odd:  a,b\r\n\
                    Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nold";
        let message = Message::parse(Bytes::from(text)).unwrap();
        let changed = with_body(&message, b"newer").unwrap();
        let text = String::from_utf8(changed.bytes().to_vec()).unwrap();
        assert!(text.starts_with("SIP/2.0 200 Fine\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nX-Odd: a,b\r\n"));
        assert!(text.ends_with("Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nnewer"), "{text}");
        let without = with_body(&message, b"").unwrap();
        assert_eq!((without.header(HeaderName::ContentType), without.body()), (None, &b""[..]));
    }
}
