//! Lines that this server writes into its own messages, printed once: where it is reached by each address that it listens on.

use std::net::IpAddr;

use tandem_sip::{Flow, Transport};

use crate::directory::{Directory, Listen, Server};

/// See the module.
#[derive(Debug)]
pub struct Lines {
    /// `host:port` of this server in addresses of its own.
    pub sent_by: Box<str>,
    /// By `Flow::local`.
    listens: Vec<Line>,
    /// By transport, where no address that is listened on fits.
    plain: [Line; 5],
}

/// How this server names itself over one address.
#[derive(Debug)]
struct Line {
    transport: Transport,
    v4: bool,
    via: Box<str>,
    contact: Box<str>,
}

impl Line {
    fn new(transport: Transport, v4: bool, host: &str, port: u16) -> Self {
        let parameter = match transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
            // A URI says `ws` for both (RFC 7118 5.2.4).
            Transport::Ws | Transport::Wss => ";transport=ws",
        };
        let via = format!("{host}:{port}").into_boxed_str();
        Self { transport, v4, contact: format!("<sip:{via}{parameter}>").into(), via }
    }
}

/// Plain SIP is announced at `sip-port`, which a NAT may have changed; the others where this server listens.
fn announced_port(server: &Server, transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => server.sip_port,
        Transport::Tls | Transport::Ws | Transport::Wss => {
            let listen = server.listen.iter().find(|listen| listen.transport == transport);
            listen.map_or(transport.default_port(), |listen| listen.addr.port())
        }
    }
}

/// How this server names itself over one of its addresses: as `sip-address` says, unless that cannot be meant. An address of
/// the other family names itself; and where `sip-address` is one of those listened on, so no NAT is told of, the others do.
fn line(server: &Server, listen: &Listen) -> Line {
    let Listen { transport, addr } = *listen;
    let (ip, v4) = (addr.ip(), addr.is_ipv4());
    let announced: Option<IpAddr> = server.sip_address.trim_matches(['[', ']']).parse().ok();
    let is_local = |announced: IpAddr| server.listen.iter().any(|listen| listen.addr.ip() == announced);
    let own = announced.is_some_and(|announced| {
        !ip.is_unspecified() && ip != announced && (announced.is_ipv4() != v4 || is_local(announced))
    });
    if own {
        let host = if v4 { ip.to_string() } else { format!("[{ip}]") };
        return Line::new(transport, v4, &host, addr.port());
    }
    let first = server.listen.iter().find(|other| other.transport == transport && other.addr.ip() == ip);
    let is_first = first.is_none_or(|first| first == listen);
    let port = if is_first { announced_port(server, transport) } else { addr.port() };
    Line::new(transport, v4, &server.sip_address, port)
}

impl Lines {
    /// What a configuration says.
    #[must_use]
    pub fn of(directory: &Directory) -> Self {
        let server = &directory.server;
        let plain = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
        Self {
            sent_by: format!("{}:{}", server.sip_address, server.sip_port).into(),
            listens: server.listen.iter().map(|listen| line(server, listen)).collect(),
            plain: plain.map(|transport| {
                Line::new(transport, true, &server.sip_address, announced_port(server, transport))
            }),
        }
    }

    /// The line of the address that a flow leaves by; of another of its kind when the message left its transport.
    fn line(&self, flow: Flow) -> Option<&Line> {
        let fits = |line: &&Line| line.transport == flow.transport;
        let here = self.listens.get(usize::from(flow.local)).filter(fits);
        let family = |line: &&Line| line.v4 == flow.remote.is_ipv4();
        here.or_else(|| self.listens.iter().filter(fits).find(family))
            .or_else(|| self.plain.iter().find(fits))
    }

    /// `host:port` of Via.
    #[must_use]
    pub fn via(&self, flow: Flow) -> &[u8] {
        self.line(flow).map_or(self.sent_by.as_bytes(), |line| line.via.as_bytes())
    }

    /// Contact of a dialog over this flow.
    #[must_use]
    pub fn contact(&self, flow: Flow) -> &[u8] {
        self.line(flow).map_or(&[], |line| line.contact.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vias(sip_address: &str, sip_port: u16, listen: &[(Transport, &str)]) -> Vec<String> {
        let listen = listen
            .iter()
            .map(|(transport, addr)| Listen { transport: *transport, addr: addr.parse().unwrap() });
        let server = Server {
            name: "a".into(),
            switch: "a".into(),
            sip_address: sip_address.into(),
            sip_port,
            listen: listen.collect(),
            realm: "r".into(),
            nonce_secret: [0; 32],
        };
        server.listen.iter().map(|listen| line(&server, listen).via.into()).collect()
    }

    #[test]
    fn an_address_of_the_other_family_names_itself() {
        let listen = [(Transport::Udp, "192.0.2.1:5060"), (Transport::Udp, "[2001:db8::1]:5070")];
        assert_eq!(vias("192.0.2.1", 5060, &listen), ["192.0.2.1:5060", "[2001:db8::1]:5070"]);
        assert_eq!(vias("[2001:db8::1]", 5070, &listen), ["192.0.2.1:5060", "[2001:db8::1]:5070"]);
    }

    #[test]
    fn several_addresses_of_one_family_name_themselves_unless_a_nat_is_told_of() {
        let listen = [
            (Transport::Udp, "10.0.0.1:5060"),
            (Transport::Udp, "10.0.0.1:5080"),
            (Transport::Udp, "10.9.0.1:5062"),
            (Transport::Tcp, "10.9.0.1:5060"),
        ];
        let own = ["10.0.0.1:5060", "10.0.0.1:5080", "10.9.0.1:5062", "10.9.0.1:5060"];
        assert_eq!(vias("10.0.0.1", 5060, &listen), own);
        let told = ["203.0.113.5:5061", "203.0.113.5:5080", "203.0.113.5:5061", "203.0.113.5:5061"];
        assert_eq!(vias("203.0.113.5", 5061, &listen), told);
    }

    #[test]
    fn a_name_or_an_address_that_is_not_listened_on_stands_for_all() {
        let listen = [(Transport::Udp, "0.0.0.0:5060"), (Transport::Tls, "0.0.0.0:5061")];
        assert_eq!(vias("sip.example", 5060, &listen), ["sip.example:5060", "sip.example:5061"]);
        assert_eq!(vias("192.0.2.7", 5090, &listen), ["192.0.2.7:5090", "192.0.2.7:5061"]);
    }
}
