//! Test calls while the storm goes on: how long after its INVITE the caller hears that it rings.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tandem_sip::auth::{Challenge, Login, answer};
use tandem_sip::{HeaderName, Message};

use super::phones::register;
use super::server::{CALLEE, CALLER, PASSWORD, Server};

/// Time between two calls.
const EVERY: Duration = Duration::from_millis(50);
/// Timer T1: an INVITE that nothing was heard of goes again.
const T1: Duration = Duration::from_millis(500);
/// A request that is not answered by then has failed.
const TIMER_F: Duration = Duration::from_secs(32);

/// Calls until it is told to stop; the delays in order, those of calls that never rang as the time they were given.
pub fn run(server: &Server, stop: &AtomicBool) -> Result<Vec<Duration>> {
    let (caller, callee) = (enrolled(server, CALLER)?, enrolled(server, CALLEE)?);
    for socket in [&caller, &callee] {
        socket.set_nonblocking(true)?;
    }
    let (mut delays, mut open) = (Vec::new(), HashMap::<u32, (Instant, u32)>::new());
    let (mut next, mut number) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) || !open.is_empty() {
        let now = Instant::now();
        if now >= next && !stop.load(Ordering::Relaxed) {
            (number, next) = (number + 1, now + EVERY);
            open.insert(number, (now, 1));
            caller.send(invite(&caller, server, number)?.as_bytes())?;
        }
        for (number, (since, sent)) in &mut open {
            if now > *since + T1 * (2u32.pow(*sent) - 1) && *sent < 6 {
                *sent += 1;
                caller.send(invite(&caller, server, *number)?.as_bytes())?;
            }
        }
        open.retain(|_, (since, _)| {
            let given_up = since.elapsed() > Duration::from_secs(20);
            if given_up {
                delays.push(since.elapsed());
            }
            !given_up
        });
        while let Some(message) = receive(&callee)? {
            if message.start_is(b"INVITE") {
                callee.send(&respond(&message, 180, "Ringing"))?;
                callee.send(&respond(&message, 486, "Busy Here"))?;
            }
        }
        while let Some(message) = receive(&caller)? {
            let Some(number) = message.header(HeaderName::CallId).and_then(number_of) else { continue };
            if let Some((since, _)) = open.get(&number).filter(|_| message.code() == Some(180)) {
                delays.push(since.elapsed());
                open.remove(&number);
            }
            if message.code().is_some_and(|code| code >= 300) {
                caller.send(acknowledge(&caller, server, &message, number)?.as_bytes())?;
            }
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    delays.sort();
    Ok(delays)
}

trait Starts {
    fn start_is(&self, method: &[u8]) -> bool;
}

impl Starts for Message {
    fn start_is(&self, method: &[u8]) -> bool {
        self.method_token() == Some(method)
    }
}

/// A socket whose phone is registered.
fn enrolled(server: &Server, number: &str) -> Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server.sip)?;
    socket.set_read_timeout(Some(T1))?;
    let port = socket.local_addr()?.port();
    let refused = ask(&socket, 1, &register(number, port, 1, ""))?;
    let challenge = refused.header(HeaderName::WwwAuthenticate).context("no challenge")?;
    let challenge = Challenge::parse(challenge).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let login = Login { user: number.as_bytes(), password: PASSWORD.as_bytes() };
    let proof = String::from_utf8(answer(&challenge, login, b"REGISTER", b"sip:storm", b"c0ffee", 1))?;
    let answer = ask(&socket, 2, &register(number, port, 2, &format!("Authorization: {proof}\r\n")))?;
    anyhow::ensure!(answer.code() == Some(200), "phone {number} is not registered: {:?}", answer.code());
    Ok(socket)
}

/// The answer to a REGISTER with this CSeq, which is repeated until Timer F.
fn ask(socket: &UdpSocket, cseq: u32, request: &str) -> Result<Message> {
    let begun = Instant::now();
    let mut buffer = [0; 4096];
    while begun.elapsed() < TIMER_F {
        socket.send(request.as_bytes())?;
        // What answers an earlier request, or its repetition, is passed over.
        while let Ok(length) = socket.recv(&mut buffer) {
            let bytes = bytes::Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
            let message = Message::parse(bytes).map_err(|error| anyhow::anyhow!("{error:?}"))?;
            if message.envelope().is_ok_and(|envelope| envelope.cseq.number == cseq) {
                return Ok(message);
            }
        }
    }
    anyhow::bail!("the server does not answer a REGISTER within {} s", TIMER_F.as_secs())
}

fn receive(socket: &UdpSocket) -> Result<Option<Message>> {
    let mut buffer = [0; 4096];
    match socket.recv(&mut buffer) {
        Ok(length) => {
            let bytes = bytes::Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
            Ok(Message::parse(bytes).ok())
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn number_of(call_id: &[u8]) -> Option<u32> {
    std::str::from_utf8(call_id).ok()?.strip_prefix("call-")?.parse().ok()
}

fn invite(socket: &UdpSocket, server: &Server, number: u32) -> Result<String> {
    let (port, sip) = (socket.local_addr()?.port(), server.sip);
    Ok(format!(
        "INVITE sip:{CALLEE}@{sip} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKc{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:{CALLER}@storm>;tag=c{number}\r\nTo: <sip:{CALLEE}@storm>\r\nCall-ID: call-{number}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:{CALLER}@127.0.0.1:{port}>\r\nContent-Length: 0\r\n\r\n"
    ))
}

fn acknowledge(socket: &UdpSocket, server: &Server, refusal: &Message, number: u32) -> Result<String> {
    let (port, sip) = (socket.local_addr()?.port(), server.sip);
    let to = String::from_utf8_lossy(refusal.header(HeaderName::To).unwrap_or_default()).into_owned();
    Ok(format!(
        "ACK sip:{CALLEE}@{sip} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKc{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:{CALLER}@storm>;tag=c{number}\r\nTo: {to}\r\nCall-ID: call-{number}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
    ))
}

fn respond(request: &Message, code: u16, reason: &str) -> Vec<u8> {
    let mut out = format!("SIP/2.0 {code} {reason}\r\n").into_bytes();
    for name in [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
        for line in request.lines(name) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(line);
            if name == HeaderName::To {
                out.extend_from_slice(b";tag=callee");
            }
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"Contact: <sip:2@127.0.0.1>\r\nContent-Length: 0\r\n\r\n");
    out
}
