//! A SIP message as plain text: how phones, gateways and oracles see it. It shares no line with the parser of the
//! server under test, so that neither can hide the other's mistakes.

use std::fmt::Write as _;

/// First line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Request line.
    Request {
        /// Method.
        method: String,
        /// Request-URI.
        uri: String,
    },
    /// Status line.
    Status {
        /// Status code.
        code: u16,
        /// Reason phrase.
        reason: String,
    },
}

/// A message; header names are long and spelled as on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// First line.
    pub start: Start,
    /// Header lines in order.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

const COMPACT: [(&str, &str); 10] = [
    ("v", "Via"),
    ("f", "From"),
    ("t", "To"),
    ("i", "Call-ID"),
    ("m", "Contact"),
    ("l", "Content-Length"),
    ("c", "Content-Type"),
    ("k", "Supported"),
    ("e", "Content-Encoding"),
    ("s", "Subject"),
];

impl Text {
    /// A request without headers.
    #[must_use]
    pub fn request(method: &str, uri: &str) -> Self {
        let start = Start::Request { method: method.into(), uri: uri.into() };
        Self { start, headers: Vec::new(), body: String::new() }
    }

    /// A response with the headers that RFC 3261 8.2.6.2 copies.
    #[must_use]
    pub fn response(request: &Self, code: u16, to_tag: Option<&str>) -> Self {
        let start = Start::Status { code, reason: String::new() };
        let mut headers = Vec::new();
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for value in request.all(name) {
                let tagged = name == "To" && param(value, "tag").is_none();
                match to_tag.filter(|_| tagged) {
                    Some(tag) => headers.push((name.to_owned(), format!("{value};tag={tag}"))),
                    None => headers.push((name.to_owned(), value.to_owned())),
                }
            }
        }
        Self { start, headers, body: String::new() }
    }

    /// Adds a header line.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Puts a body in place, with its type.
    #[must_use]
    pub fn with_sdp(mut self, body: String) -> Self {
        self.body = body;
        self.with("Content-Type", "application/sdp")
    }

    /// Reads a message; says what is wrong with one that is not well formed.
    ///
    /// # Errors
    /// The first departure from RFC 3261 section 7 in words.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|e| format!("not UTF-8: {e}"))?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or("no blank line")?;
        let mut lines = head.split("\r\n");
        let start = parse_start(lines.next().unwrap_or_default())?;
        let mut headers: Vec<(String, String)> = Vec::with_capacity(16);
        for line in lines {
            if line.contains(['\r', '\n']) {
                return Err(format!("bare CR or LF in {line:?}"));
            }
            if line.starts_with([' ', '\t']) {
                let last = headers.last_mut().ok_or("fold before any header")?;
                last.1.push(' ');
                last.1.push_str(line.trim());
                continue;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| format!("no colon in {line:?}"))?;
            headers.push((long_name(name.trim_end()), value.trim().to_owned()));
        }
        Ok(Self { start, headers, body: body.to_owned() })
    }

    /// First value of a header.
    #[must_use]
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Every line of a header.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Method of a request, or of the CSeq of a response.
    #[must_use]
    pub fn method(&self) -> &str {
        match &self.start {
            Start::Request { method, .. } => method,
            Start::Status { .. } => self.cseq().map_or("", |(_, m)| m),
        }
    }

    /// Request-URI.
    #[must_use]
    pub fn uri(&self) -> Option<&str> {
        match &self.start {
            Start::Request { uri, .. } => Some(uri),
            Start::Status { .. } => None,
        }
    }

    /// Status code.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match &self.start {
            Start::Request { .. } => None,
            Start::Status { code, .. } => Some(*code),
        }
    }

    /// Call-ID; empty when there is none.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.get("Call-ID").unwrap_or_default()
    }

    /// CSeq number and method.
    #[must_use]
    pub fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.get("CSeq")?.split_once(' ')?;
        Some((number.parse().ok()?, method.trim()))
    }

    /// Tag of From.
    #[must_use]
    pub fn from_tag(&self) -> Option<&str> {
        param(self.get("From")?, "tag")
    }

    /// Tag of To.
    #[must_use]
    pub fn to_tag(&self) -> Option<&str> {
        param(self.get("To")?, "tag")
    }

    /// Branch of the top Via.
    #[must_use]
    pub fn branch(&self) -> &str {
        self.get("Via").and_then(|via| param(via, "branch")).unwrap_or_default()
    }

    /// Sent-by of the top Via.
    #[must_use]
    pub fn sent_by(&self) -> &str {
        let via = self.get("Via").unwrap_or_default();
        via.split_whitespace().nth(1).and_then(|s| s.split(';').next()).unwrap_or_default()
    }

    /// URI of the first Contact.
    #[must_use]
    pub fn contact(&self) -> Option<&str> {
        self.get("Contact").map(uri_of)
    }

    /// Which simulated call the message belongs to: the mark that the caller put into its From and its offer.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        Mark::find(&self.body).or_else(|| Mark::find(self.get("From").unwrap_or_default()))
    }

    /// The message without Content-Length, in wire form.
    #[must_use]
    pub fn print_head(&self) -> String {
        let mut out = String::with_capacity(512);
        let _ = match &self.start {
            Start::Request { method, uri } => write!(out, "{method} {uri} SIP/2.0\r\n"),
            Start::Status { code, reason } => write!(out, "SIP/2.0 {code} {reason}\r\n"),
        };
        for (name, value) in &self.headers {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        out
    }

    /// One line for the trace.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut line = match &self.start {
            Start::Request { method, uri } => format!("{method} {uri}"),
            Start::Status { code, reason } => format!("{code} {reason} ({})", self.method()),
        };
        if let Some(mark) = self.mark() {
            let _ = write!(line, " {mark}");
        }
        let cseq = self.cseq().map_or(0, |(n, _)| n);
        let _ = write!(line, " cseq {cseq} id {} {}", short(self.call_id()), short(self.branch()));
        line
    }
}

fn short(token: &str) -> &str {
    let token = token.strip_prefix("z9hG4bK").unwrap_or(token);
    token.get(..token.len().min(12)).unwrap_or(token)
}

fn long_name(name: &str) -> String {
    let found = COMPACT.iter().find(|(compact, _)| compact.eq_ignore_ascii_case(name));
    found.map_or(name, |(_, long)| long).to_owned()
}

fn parse_start(line: &str) -> Result<Start, String> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let (code, reason) = rest.split_once(' ').ok_or_else(|| format!("no reason in {line:?}"))?;
        let code = code.parse().map_err(|_| format!("no status in {line:?}"))?;
        return Ok(Start::Status { code, reason: reason.into() });
    }
    let mut parts = line.split(' ');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(method), Some(uri), Some("SIP/2.0"), None) => {
            Ok(Start::Request { method: method.into(), uri: uri.into() })
        }
        _ => Err(format!("bad request line {line:?}")),
    }
}

/// Names one simulated call on the wire, e.g. `call-17.2`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The call as its caller sees it.
    pub label: u32,
    /// Which attempt: a device that gives one site up and tries the next opens a second call. A followed redirection
    /// is the same attempt.
    pub attempt: u32,
}

impl Mark {
    fn find(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("call-")?;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (label, attempt) = rest.get(..end)?.split_once('.')?;
        Some(Self { label: label.parse().ok()?, attempt: attempt.parse().ok()? })
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "call-{}.{}", self.label, self.attempt)
    }
}

/// The URI inside a name-addr, or the addr-spec before its parameters.
#[must_use]
pub fn uri_of(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split_once('>').map_or(rest, |(uri, _)| uri),
        None => value.split(';').next().unwrap_or(value),
    }
}

/// A parameter outside the angle brackets.
#[must_use]
pub fn param<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let tail = value.rsplit_once('>').map_or(value, |(_, tail)| tail);
    tail.split(';').skip(1).find_map(|item| {
        let (key, found) = item.split_once('=').unwrap_or((item, ""));
        key.trim().eq_ignore_ascii_case(name).then_some(found.trim())
    })
}

/// User part of a SIP URI.
#[must_use]
pub fn user_of(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split_once('@').map_or("", |(user, _)| user.split(';').next().unwrap_or(user))
}

/// Host and port of a SIP URI as an address; the port is 5060 when there is none.
#[must_use]
pub fn address_of(uri: &str) -> Option<std::net::SocketAddr> {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let hostport = rest.split_once('@').map_or(rest, |(_, h)| h);
    let hostport = hostport.split([';', '?']).next().unwrap_or(hostport);
    hostport.parse().ok().or_else(|| hostport.parse().ok().map(|ip| std::net::SocketAddr::new(ip, 5060)))
}
