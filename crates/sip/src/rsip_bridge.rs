//! What the `rsip` crate is good for here: the standard reason phrases, and a printer that somebody else wrote, so that
//! test phones do not feed our parser with our own habits. No other file names `rsip`.

use bytes::Bytes;
use rsip::headers::UntypedHeader as _;
use std::fmt;
use std::sync::OnceLock;

/// Why `rsip` could not print a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unprintable {
    /// `rsip` has no extension methods.
    Method,
    /// `rsip` cannot read this URI: an IPv6 host, a `tel:` number …
    Uri,
}

impl fmt::Display for Unprintable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "rsip does not know this method",
            Self::Uri => "rsip cannot read this URI",
        })
    }
}

impl std::error::Error for Unprintable {}

/// The standard reason phrase of a status code; for a code that no RFC defines, a word for its class.
#[must_use]
pub fn reason_phrase(code: u16) -> &'static str {
    static PHRASES: OnceLock<Vec<String>> = OnceLock::new();
    let phrases = PHRASES.get_or_init(|| (100..700).map(phrase).collect());
    usize::from(code).checked_sub(100).and_then(|at| phrases.get(at)).map_or("Unknown", String::as_str)
}

/// Prints a request: the headers in their order, then Content-Length unless it is among them, then the body.
///
/// # Errors
/// `rsip` cannot express the method or the URI.
pub fn print_request(
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Bytes, Unprintable> {
    let method = rsip::Method::all()
        .into_iter()
        .find(|known| known.to_string() == method)
        .ok_or(Unprintable::Method)?;
    let request = rsip::Request {
        method,
        uri: rsip::Uri::try_from(uri).map_err(|_| Unprintable::Uri)?,
        version: rsip::Version::V2,
        headers: print_headers(headers, body.len()),
        body: Vec::new(),
    };
    Ok(with_body(request.to_string(), body))
}

/// Prints a response like [`print_request`]; the reason phrase is the given one, whatever the code.
#[must_use]
pub fn print_response(code: u16, reason: &str, headers: &[(&str, &str)], body: &[u8]) -> Bytes {
    let response = rsip::Response {
        status_code: rsip::StatusCode::Other(code, reason.into()),
        version: rsip::Version::V2,
        headers: print_headers(headers, body.len()),
        body: Vec::new(),
    };
    with_body(response.to_string(), body)
}

/// Whether `rsip` can read `message` and finds `value` in a header that it calls `name`: the second opinion of
/// the differential test.
#[must_use]
pub fn reads_as(message: &[u8], name: &[u8], value: &[u8]) -> bool {
    let Ok(message) = rsip::SipMessage::try_from(message) else { return false };
    let headers = match &message {
        rsip::SipMessage::Request(request) => &request.headers,
        rsip::SipMessage::Response(response) => &response.headers,
    };
    headers.iter().any(|header| {
        let line = header.to_string();
        let Some((n, v)) = line.split_once(": ") else { return false };
        n.as_bytes().eq_ignore_ascii_case(name) && v.as_bytes() == value
    })
}

/// `rsip` prints a body as text and corrupts what is none, so it prints the head alone.
fn with_body(head: String, body: &[u8]) -> Bytes {
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes.into()
}

fn print_headers(headers: &[(&str, &str)], body_len: usize) -> rsip::Headers {
    let mut printed: Vec<rsip::Header> = headers.iter().map(|(name, value)| typed(name, value)).collect();
    if !printed.iter().any(|header| matches!(header, rsip::Header::ContentLength(_))) {
        printed.push(rsip::headers::ContentLength::new(body_len.to_string()).into());
    }
    printed.into()
}

/// The header as `rsip` knows it, so that it prints the name its own way.
fn typed(name: &str, value: &str) -> rsip::Header {
    use rsip::headers as h;
    match name.to_ascii_lowercase().as_str() {
        "via" => h::Via::new(value).into(),
        "from" => h::From::new(value).into(),
        "to" => h::To::new(value).into(),
        "call-id" => h::CallId::new(value).into(),
        "cseq" => h::CSeq::new(value).into(),
        "contact" => h::Contact::new(value).into(),
        "max-forwards" => h::MaxForwards::new(value).into(),
        "content-length" => h::ContentLength::new(value).into(),
        "content-type" => h::ContentType::new(value).into(),
        "route" => h::Route::new(value).into(),
        "record-route" => h::RecordRoute::new(value).into(),
        "expires" => h::Expires::new(value).into(),
        "supported" => h::Supported::new(value).into(),
        "require" => h::Require::new(value).into(),
        "allow" => h::Allow::new(value).into(),
        "authorization" => h::Authorization::new(value).into(),
        "proxy-authorization" => h::ProxyAuthorization::new(value).into(),
        "user-agent" => h::UserAgent::new(value).into(),
        "subject" => h::Subject::new(value).into(),
        _ => rsip::Header::Other(name.into(), value.into()),
    }
}

/// `rsip` names its codes in one word; the phrases of RFC 3261 21 have blanks, and a few have more.
fn phrase(code: u16) -> String {
    let status = rsip::StatusCode::from(code);
    if matches!(status, rsip::StatusCode::Other(..)) {
        return class_phrase(code).into();
    }
    let word = format!("{status:?}");
    match word.as_str() {
        "OK" => "OK".into(),
        "RequestUriTooLong" => "Request-URI Too Long".into(),
        "UnsupportedUriScheme" => "Unsupported URI Scheme".into(),
        "UnknownResourcePriority" => "Unknown Resource-Priority".into(),
        "CallTransactionDoesNotExist" => "Call/Transaction Does Not Exist".into(),
        "ServerTimeOut" => "Server Time-out".into(),
        "NotAcceptableGlobal" => "Not Acceptable".into(),
        word => spaced(word),
    }
}

fn spaced(word: &str) -> String {
    let mut phrase = String::with_capacity(word.len() + 4);
    for letter in word.chars() {
        if letter.is_ascii_uppercase() && !phrase.is_empty() {
            phrase.push(' ');
        }
        phrase.push(letter);
    }
    phrase
}

const fn class_phrase(code: u16) -> &'static str {
    match code / 100 {
        1 => "Provisional",
        2 => "Success",
        3 => "Redirection",
        4 => "Request Failure",
        5 => "Server Failure",
        6 => "Global Failure",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_phrases_are_those_of_the_standard() {
        let expected = [
            (100, "Trying"),
            (180, "Ringing"),
            (183, "Session Progress"),
            (200, "OK"),
            (302, "Moved Temporarily"),
            (407, "Proxy Authentication Required"),
            (414, "Request-URI Too Long"),
            (416, "Unsupported URI Scheme"),
            (423, "Interval Too Brief"),
            (481, "Call/Transaction Does Not Exist"),
            (486, "Busy Here"),
            (487, "Request Terminated"),
            (500, "Server Internal Error"),
            (503, "Service Unavailable"),
            (504, "Server Time-out"),
            (606, "Not Acceptable"),
        ];
        for (code, phrase) in expected {
            assert_eq!(reason_phrase(code), phrase);
        }
        assert_eq!(reason_phrase(499), "Request Failure");
        assert_eq!([reason_phrase(99), reason_phrase(700)], ["Unknown"; 2]);
    }

    #[test]
    fn what_rsip_cannot_express_is_said() {
        assert_eq!(print_request("NEWMETHOD", "sip:a@b", &[], b""), Err(Unprintable::Method));
        assert_eq!(print_request("invite", "sip:a@b", &[], b""), Err(Unprintable::Method));
        assert!(
            print_request("PRACK", "sip:a@b", &[], b"").unwrap().starts_with(b"PRACK sip:a@b SIP/2.0\r\n")
        );
    }
}
