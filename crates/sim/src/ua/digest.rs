//! The client's half of digest authentication (RFC 7616, RFC 8760).

use md5::Md5;
use sha2::{Digest as _, Sha256};

/// What a 401 or 407 asked for.
#[derive(Clone, Debug)]
pub struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    sha256: bool,
    algorithm: Option<String>,
    qop: bool,
    used: u32,
}

impl Challenge {
    /// Reads a WWW-Authenticate or Proxy-Authenticate value; `None` if the algorithm is unknown.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let fields = value.strip_prefix("Digest ")?;
        let algorithm = field(fields, "algorithm");
        let sha256 = match algorithm.as_deref() {
            None | Some("MD5" | "md5") => false,
            Some("SHA-256" | "sha-256") => true,
            Some(_) => return None,
        };
        Some(Self {
            realm: field(fields, "realm")?,
            nonce: field(fields, "nonce")?,
            opaque: field(fields, "opaque"),
            qop: field(fields, "qop").is_some_and(|q| q.split(',').any(|q| q.trim() == "auth")),
            sha256,
            algorithm,
            used: 0,
        })
    }

    /// The value of the (Proxy-)Authorization header for one request.
    pub fn answer(&mut self, user: &str, password: &str, method: &str, uri: &str) -> String {
        use std::fmt::Write as _;
        self.used += 1;
        let ha1 = self.hash(&format!("{user}:{}:{password}", self.realm));
        let ha2 = self.hash(&format!("{method}:{uri}"));
        let (nc, cnonce) = (format!("{:08x}", self.used), "0a4f113b");
        let nonce = &self.nonce;
        let response = if self.qop {
            self.hash(&format!("{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}"))
        } else {
            self.hash(&format!("{ha1}:{nonce}:{ha2}"))
        };
        let realm = &self.realm;
        let mut value = format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\""
        );
        if let Some(algorithm) = &self.algorithm {
            let _ = write!(value, ", algorithm={algorithm}");
        }
        if self.qop {
            let _ = write!(value, ", qop=auth, nc={nc}, cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(value, ", opaque=\"{opaque}\"");
        }
        value
    }

    fn hash(&self, text: &str) -> String {
        if self.sha256 { hex(&Sha256::digest(text)) } else { hex(&Md5::digest(text)) }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn field(fields: &str, name: &str) -> Option<String> {
    let mut rest = fields;
    while !rest.is_empty() {
        let (key, tail) = rest.split_once('=')?;
        let (value, after) = match tail.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => tail.split_once(',').map_or((tail, ""), |(value, _)| tail.split_at(value.len())),
        };
        if key.trim_matches([' ', ',']).eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = after.trim_start_matches([',', ' ']);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2617 section 3.5, whose figures the whole field has checked itself against.
    #[test]
    fn the_example_of_the_standard_gives_its_response() {
        let challenge = r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
        let mut challenge = Challenge::parse(challenge).unwrap();
        let answer = challenge.answer("Mufasa", "Circle Of Life", "GET", "/dir/index.html");
        assert!(answer.contains("6629fae49393a05397450978507c4ef1"), "{answer}");
        assert!(answer.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""));
    }
}
