//! One element of a Via header (RFC 3261 20.42, RFC 3581).

use crate::error::{ParseError, ParseErrorKind};
use crate::flow::Transport;
use crate::host::{Host, read_port};
use crate::lexer::Cursor;
use crate::limits;
use crate::params::Params;
use std::net::IpAddr;

/// What every branch begins with that identifies its transaction (RFC 3261 8.1.1.7).
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// `SIP/2.0/UDP host:port;branch=…`
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// The transport; `None` for one that this server does not speak (SCTP and extensions).
    pub transport: Option<Transport>,
    /// The transport as it stands in the message.
    pub transport_token: &'a [u8],
    /// The host of sent-by.
    pub host: Host<'a>,
    /// The port of sent-by, if it stands there.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one element (see [`lexer::elements`](crate::lexer::elements)); blanks and folds may stand wherever
    /// RFC 3261 25.1 has them.
    ///
    /// # Errors
    /// `ViaProtocol`, `Host`, `Port`, `Param`, `UnclosedQuote`, `TooLong`.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        if value.len() > limits::MAX_VIA {
            return Err(ParseError::new(ParseErrorKind::TooLong, limits::MAX_VIA));
        }
        let mut cursor = Cursor::new(value);
        let transport_token = read_protocol(&mut cursor)?;
        let blank = cursor.at();
        cursor.skip_lws();
        if cursor.at() == blank {
            return Err(cursor.error(ParseErrorKind::ViaProtocol));
        }
        let host = Host::read(&mut cursor)?;
        cursor.skip_lws();
        let mut port = None;
        if cursor.eat(b':') {
            cursor.skip_lws();
            port = Some(read_port(&mut cursor)?);
        }
        let at = cursor.at();
        let params = Params::parse(cursor.rest()).map_err(|e| ParseError::new(e.kind, at + e.at))?;
        Ok(Self { transport: Transport::parse(transport_token), transport_token, host, port, params })
    }

    /// The branch, with or without the magic cookie.
    #[must_use]
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params.value(b"branch").filter(|b| !b.is_empty())
    }

    /// Whether the branch identifies the transaction (RFC 3261 17.1.3, 17.2.3): it begins with the magic cookie and
    /// has something behind it.
    #[must_use]
    pub fn is_magic_cookie(&self) -> bool {
        self.branch().is_some_and(|b| b.len() > MAGIC_COOKIE.len() && b.starts_with(MAGIC_COOKIE))
    }

    /// `Some(None)`: the sender asks for symmetric response routing; `Some(Some(port))`: where it was seen.
    /// A value that is no port counts as none.
    #[must_use]
    pub fn rport(&self) -> Option<Option<u16>> {
        let value = self.params.get(b"rport")?;
        Some(value.and_then(crate::lexer::number).and_then(|n| u16::try_from(n).ok()))
    }

    /// The address that the request was seen to come from.
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        Host::parse(self.params.value(b"received")?).ok()?.ip()
    }
}

/// `SIP / 2.0 / transport`; returns the transport.
fn read_protocol<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], ParseError> {
    cursor.skip_lws();
    let name = cursor.token();
    read_slash(cursor)?;
    let version = cursor.token();
    if !name.eq_ignore_ascii_case(b"SIP") || version != b"2.0" {
        return Err(cursor.error(ParseErrorKind::ViaProtocol));
    }
    read_slash(cursor)?;
    let transport = cursor.token();
    if transport.is_empty() { Err(cursor.error(ParseErrorKind::ViaProtocol)) } else { Ok(transport) }
}

fn read_slash(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    cursor.skip_lws();
    if !cursor.eat(b'/') {
        return Err(cursor.error(ParseErrorKind::ViaProtocol));
    }
    cursor.skip_lws();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_folds_inside_a_via_are_read() {
        let via =
            Via::parse(b"SIP  /   2.0\r\n /UDP\r\n    192.0.2.2 : 5062 ;rport ; branch = z9hG4bK1").unwrap();
        assert_eq!(via.transport, Some(Transport::Udp));
        assert_eq!(via.host.ip(), Some([192, 0, 2, 2].into()));
        assert_eq!((via.port, via.rport()), (Some(5062), Some(None)));
        assert_eq!(via.branch(), Some(&b"z9hG4bK1"[..]));
    }

    #[test]
    fn addresses_of_both_families_are_read_from_sent_by_and_received() {
        let via = Via::parse(b"SIP/2.0/TLS [2001:db8::9:1]:5061;received=2001:db8::9:255;branch=z9hG4bKas3")
            .unwrap();
        assert_eq!(via.host.to_string(), "[2001:db8::9:1]");
        assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
        let via = Via::parse(b"SIP/2.0/TLS [2001:db8::9:1];received=[2001:db8::9:255];rport=5062").unwrap();
        assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
        assert_eq!((via.port, via.rport()), (None, Some(Some(5062))));
    }

    #[test]
    fn only_a_cookie_with_something_behind_it_counts() {
        let cookie = |via: &'static [u8]| Via::parse(via).unwrap().is_magic_cookie();
        assert!(cookie(b"SIP/2.0/UDP h;branch=z9hG4bKx"));
        assert!(!cookie(b"SIP/2.0/UDP h;branch=z9hG4bK"));
        assert!(!cookie(b"SIP/2.0/UDP h;branch=390skdjuw"));
        assert!(!cookie(b"SIP/2.0/UDP h"));
    }

    #[test]
    fn broken_vias_are_refused() {
        let kind = |via: &'static [u8]| Via::parse(via).unwrap_err().kind;
        assert_eq!(kind(b"SIP/7.0/UDP h"), ParseErrorKind::ViaProtocol);
        assert_eq!(kind(b"HTTP/2.0/UDP h"), ParseErrorKind::ViaProtocol);
        assert_eq!(kind(b"SIP/2.0/UDP"), ParseErrorKind::ViaProtocol);
        assert_eq!(kind(b"SIP/2.0/UDP ;branch=z9hG4bKx"), ParseErrorKind::Host);
        assert_eq!(kind(b"SIP/2.0/UDP h:99999"), ParseErrorKind::Port);
        assert_eq!(kind(b"SIP/2.0/UDP h:"), ParseErrorKind::Port);
        assert_eq!(kind(b"SIP/2.0/UDP 192.0.2.15;;"), ParseErrorKind::Param);
        assert_eq!(kind(b"SIP/2.0/UDP h x"), ParseErrorKind::Param);
    }

    #[test]
    fn a_transport_of_others_is_kept_as_its_token() {
        let via = Via::parse(b"SIP/2.0/SCTP h.example.com").unwrap();
        assert_eq!((via.transport, via.transport_token), (None, &b"SCTP"[..]));
    }
}
