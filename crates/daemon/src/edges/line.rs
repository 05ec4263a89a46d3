//! A connection of the kernel's that leaves nothing behind once its server has given its address to another one.
//!
//! A connection that is closed lives on in the kernel until the other end has acknowledged its end. While the address is
//! another server's, nobody does, for minutes. Should the address come back meanwhile, and a client come from the port that it had
//! then, what is left of the old connection answers him: he is connected with nothing, and nobody tells him.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// See the module.
#[derive(Debug)]
pub struct Line {
    stream: TcpStream,
    forsaken: CancellationToken,
}

impl Line {
    /// A connection that is broken off, not closed, if `forsaken` is cancelled by the time it ends.
    pub const fn new(stream: TcpStream, forsaken: CancellationToken) -> Self {
        Self { stream, forsaken }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.forsaken.is_cancelled() {
            // A connection that does not linger is reset, and forgotten at once.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
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
