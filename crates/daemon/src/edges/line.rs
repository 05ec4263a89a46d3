//! Connections that leave nothing behind once their server has given its address to another one.
//!
//! A connection that is closed lives on in the kernel until the other end has acknowledged its end. While the address is
//! another server's, nobody does, for a minute or so. Should the address come back meanwhile, and a client come from the port that it had
//! then, what is left of the old connection answers him: he is connected with nothing, and nobody tells him.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, Socket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The end of a server's connections when its address goes.
#[derive(Debug, Default)]
pub struct Parting {
    begun: CancellationToken,
    /// Those that have ended since, and that the kernel still has.
    left: Mutex<Vec<Socket>>,
}

impl Parting {
    /// From now on every connection is to end.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Returns when it has begun.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// What was on its way has had its time: the kernel forgets those that have ended.
    pub fn forget(&self) {
        let left = std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner));
        left.iter().for_each(forget);
    }

    /// What it said last goes to the other end, and that it has ended; then it is kept to be forgotten.
    fn part(&self, stream: &TcpStream) {
        let socket = SockRef::from(stream);
        let _ = socket.shutdown(Shutdown::Write);
        match socket.try_clone() {
            Ok(kept) => self.left.lock().unwrap_or_else(PoisonError::into_inner).push(kept),
            Err(_) => forget(&socket),
        }
    }
}

/// One that does not linger is reset, and nothing of it stays, as soon as nobody holds it.
fn forget(socket: &Socket) {
    let _ = socket.set_linger(Some(Duration::ZERO));
}

/// See the module.
#[derive(Debug)]
pub struct Line {
    stream: TcpStream,
    parting: Arc<Parting>,
}

impl Line {
    /// A connection that ends for good if it ends after `parting` has begun.
    pub const fn new(stream: TcpStream, parting: Arc<Parting>) -> Self {
        Self { stream, parting }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.parting.begun.is_cancelled() {
            self.parting.part(&self.stream);
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
