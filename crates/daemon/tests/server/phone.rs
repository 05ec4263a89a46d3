//! A phone that can register, over UDP and over TCP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use tandem_sip::auth::{Challenge, Login, answer};
use tandem_sip::framer::{Framed, Framer};
use tandem_sip::{HeaderName, Message};

const PATIENCE: Duration = Duration::from_secs(10);

enum Line {
    Udp(UdpSocket),
    Tcp(TcpStream, Framer),
}

pub struct Phone {
    line: Line,
    number: &'static str,
    cseq: u32,
}

impl Phone {
    pub fn udp(number: &'static str, server: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", server)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { line: Line::Udp(socket), number, cseq: 0 }
    }

    pub fn tcp(number: &'static str, server: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { line: Line::Tcp(stream, Framer::new()), number, cseq: 0 }
    }

    pub fn address(&self) -> SocketAddr {
        match &self.line {
            Line::Udp(socket) => socket.local_addr().unwrap(),
            Line::Tcp(stream, _) => stream.local_addr().unwrap(),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        match &mut self.line {
            Line::Udp(socket) => assert_eq!(socket.send(bytes).unwrap(), bytes.len()),
            Line::Tcp(stream, _) => stream.write_all(bytes).unwrap(),
        }
    }

    pub fn receive(&mut self) -> Message {
        let mut buffer = vec![0; 65_535];
        let bytes = match &mut self.line {
            Line::Udp(socket) => {
                let length = socket.recv(&mut buffer).unwrap();
                Bytes::copy_from_slice(&buffer[..length])
            }
            Line::Tcp(stream, framer) => loop {
                match framer.next().unwrap() {
                    Some(Framed::Message(bytes)) => break bytes,
                    Some(Framed::KeepAlive) => {}
                    None => {
                        let length = stream.read(&mut buffer).unwrap();
                        assert!(length > 0, "the server closed the connection");
                        framer.push(&buffer[..length]);
                    }
                }
            },
        };
        Message::parse(bytes).unwrap()
    }

    /// The final answer to one REGISTER.
    fn register_once(&mut self, server: u16, authorization: &str) -> Message {
        self.cseq += 1;
        let (number, cseq, address) = (self.number, self.cseq, self.address());
        let transport = if matches!(self.line, Line::Udp(_)) { "UDP" } else { "TCP" };
        let request = format!(
            "REGISTER sip:127.0.0.1:{server} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {address};branch=z9hG4bK-{number}-{cseq};rport\r\n\
             From: <sip:{number}@127.0.0.1>;tag=t{number}\r\n\
             To: <sip:{number}@127.0.0.1>\r\n\
             Call-ID: register-{number}@phone\r\n\
             CSeq: {cseq} REGISTER\r\n\
             Contact: <sip:{number}@{address};transport={transport}>\r\n\
             Expires: 120\r\nMax-Forwards: 70\r\n{authorization}Content-Length: 0\r\n\r\n"
        );
        self.send(request.as_bytes());
        loop {
            let message = self.receive();
            if message.code().is_some_and(|code| code >= 200) {
                return message;
            }
        }
    }

    /// Registers with a password; answers the final status.
    pub fn register(&mut self, server: u16, password: &str) -> u16 {
        let challenged = self.register_once(server, "");
        assert_eq!(challenged.code(), Some(401));
        let value = challenged.header(HeaderName::WwwAuthenticate).unwrap();
        let challenge = Challenge::parse(value).unwrap();
        let uri = format!("sip:127.0.0.1:{server}");
        let login = Login { user: self.number.as_bytes(), password: password.as_bytes() };
        let credentials = answer(&challenge, login, b"REGISTER", uri.as_bytes(), b"0a4f113b", 1);
        let line = format!("Authorization: {}\r\n", String::from_utf8(credentials).unwrap());
        self.register_once(server, &line).code().unwrap()
    }
}
