//! The kernel's table of addresses, over an rtnetlink socket that stays open.

use std::io::{self, Read};
use std::time::Duration;

use ipnet::IpNet;
use nix::libc;
use socket2::{Domain, Protocol, Socket, Type};

use super::wire::{self, Answer, Entry, Put};
use crate::limits::{ADDRESS_LIFETIME_S, MAX_OWN_ADDRESSES};

/// Longest wait for the kernel's answer; it is there when the question has been sent.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// See the module.
pub struct Kernel {
    socket: Socket,
    seq: u32,
    buffer: Box<[u8]>,
}

impl Kernel {
    /// Opens the socket; nobody needs a right for that.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open() -> io::Result<Self> {
        let route = Protocol::from(libc::NETLINK_ROUTE);
        let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(route))?;
        socket.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self { socket, seq: 0, buffer: vec![0; 32 * 1024].into_boxed_slice() })
    }

    /// All addresses of this machine.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn entries(&mut self) -> io::Result<Vec<Entry>> {
        let seq = self.next();
        self.ask(seq, &wire::list(seq))
    }

    /// Adds an address that must not be there, or renews one, for [`ADDRESS_LIFETIME_S`].
    ///
    /// # Errors
    /// What the operating system says; `AlreadyExists` if it is there and should not be.
    pub fn put(&mut self, address: IpNet, index: u32, put: Put) -> io::Result<()> {
        let seq = self.next();
        self.ask(seq, &wire::put(seq, address, index, ADDRESS_LIFETIME_S, put)).map(drop)
    }

    /// Removes an address; one that is not there is removed.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn remove(&mut self, address: IpNet, index: u32) -> io::Result<()> {
        let seq = self.next();
        match self.ask(seq, &wire::remove(seq, address, index)) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::ENODEV)) => Ok(()),
            done => done.map(drop),
        }
    }

    fn next(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1);
        self.seq
    }

    fn ask(&mut self, seq: u32, question: &[u8]) -> io::Result<Vec<Entry>> {
        self.socket.send(question)?;
        let mut entries = Vec::new();
        loop {
            let length = match (&self.socket).read(&mut self.buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let read = self.buffer.get(..length).unwrap_or_default();
            // Answers to earlier questions, given up meanwhile, have other numbers.
            for (_, answer) in wire::answers(read).filter(|(of, _)| *of == seq) {
                match answer {
                    Answer::Done => return Ok(entries),
                    Answer::Refused(errno) => return Err(io::Error::from_raw_os_error(errno)),
                    Answer::Entry(entry) if entries.len() < MAX_OWN_ADDRESSES => entries.push(entry),
                    Answer::Entry(_) | Answer::Other => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_its_addresses() {
        let mut kernel = Kernel::open().unwrap();
        // Twice: the second answer is not mixed up with the first.
        for _ in 0..2 {
            let entries = kernel.entries().unwrap();
            assert!(entries.iter().all(|entry| entry.index > 0), "{entries:?}");
        }
    }

    #[test]
    fn what_is_refused_is_an_error_with_its_number() {
        let mut kernel = Kernel::open().unwrap();
        let address = "192.0.2.10/32".parse().unwrap();
        // No interface has this number; without the right to change addresses that is said first.
        let error = kernel.put(address, 0x7fff_ffff, Put::New).unwrap_err();
        assert!(matches!(error.raw_os_error(), Some(libc::ENODEV | libc::EPERM)), "{error}");
    }
}
