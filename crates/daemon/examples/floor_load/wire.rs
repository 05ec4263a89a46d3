//! SIP as the tool speaks it: sockets, answers, and the few headers it looks at.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tandem_sip::{HeaderName, Message};
use tokio::net::UdpSocket;

pub const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";

/// A socket with a large buffer: the kernel must not lose what the tool is slow to read.
pub fn socket(address: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(4 * 1024 * 1024)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(SocketAddr::from((address, 0))))?;
    UdpSocket::from_std(socket.into())
}

/// The next message; `None` if it is no SIP.
pub async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Option<Message>> {
    let length = socket.recv(buffer).await?;
    Ok(Message::parse(Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default())).ok())
}

pub fn text(message: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned()
}

/// The address of Contact.
pub fn contact(message: &Message) -> String {
    let value = text(message, HeaderName::Contact);
    let inside = value.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or(value.clone(), |(uri, _)| uri.to_owned())
}

/// The digits after `mark` in a text.
pub fn number_after(text: &str, mark: &str) -> Option<u32> {
    let (_, rest) = text.split_once(mark)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

/// An answer. `tag` goes to a To that has none; with `contact` there is a body.
pub fn response(request: &Message, status: &str, tag: &str, contact: Option<&str>) -> String {
    let mut text_of = format!("SIP/2.0 {status}\r\n");
    for via in request.lines(HeaderName::Via) {
        text_of += &format!("Via: {}\r\n", String::from_utf8_lossy(via));
    }
    let to = text(request, HeaderName::To);
    let to = if to.contains(";tag=") { to } else { format!("{to};tag={tag}") };
    let [from, call_id, cseq] =
        [HeaderName::From, HeaderName::CallId, HeaderName::CSeq].map(|n| text(request, n));
    text_of += &format!("From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n");
    match contact {
        Some(contact) => {
            let length = SDP.len();
            text_of += &format!(
                "Contact: <{contact}>\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{SDP}"
            );
        }
        None => text_of += "Content-Length: 0\r\n\r\n",
    }
    text_of
}
