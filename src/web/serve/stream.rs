//! A connection's bytes under time limits.
//!
//! One timer a connection, which is set again only when it fires too early: a busy connection touches no timer at all.
//! What it waits for follows from its [`Phase`]:
//!
//! ```text
//! Waiting --first byte--> Head --head complete--> Busy --body of the answer dropped--> Waiting
//! 30 s                    5 s                     no limit here: handlers and bodies have their own
//! ```

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::{HEAD_TIMEOUT, IDLE_TIMEOUT, LINGER_BYTES, LINGER_TIMEOUT, STALL_TIMEOUT};
use crate::domain::time;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// No byte of the next request has come.
    Waiting,
    /// A head is coming in.
    Head,
    /// A request is being answered.
    Busy,
}

/// What the two ends of a connection know of each other: its bytes here, its requests there.
#[derive(Debug, Default)]
pub(super) struct Shared {
    phase: AtomicU8,
    stalled: AtomicBool,
}

impl Shared {
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Waiting,
            1 => Phase::Head,
            _ => Phase::Busy,
        }
    }

    /// True if it can be closed without losing anything.
    pub(super) fn is_waiting(&self) -> bool {
        self.phase() == Phase::Waiting && !self.stalled.load(Ordering::Acquire)
    }
}

/// A stream with its timer.
pub(super) struct Timed {
    stream: TokioIo<TcpStream>,
    shared: Arc<Shared>,
    /// The phase that `since` is of.
    seen: Phase,
    since: Instant,
    stalled_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    linger: Option<Linger>,
}

/// What is left of a connection after our last byte: closing it while the client still sends would make the system throw
/// away the answer that the client has not read yet (a 413, say). Source: RFC 9112, section 9.6.
struct Linger {
    bytes_left: usize,
    timer: Pin<Box<Sleep>>,
}

impl Linger {
    fn new() -> Self {
        Self {
            bytes_left: LINGER_BYTES,
            timer: Box::pin(tokio::time::sleep(LINGER_TIMEOUT)),
        }
    }

    /// Reads and forgets until the client closes its side, or has had its time and its bytes.
    fn poll(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<()> {
        let mut room = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut room);
            match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.bytes_left = self.bytes_left.saturating_sub(buffer.filled().len());
                    if self.bytes_left == 0 {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.timer.as_mut().poll(context),
            }
        }
    }
}

impl Timed {
    pub(super) fn new(stream: TcpStream, shared: Arc<Shared>) -> Self {
        Self {
            stream: TokioIo::new(stream),
            shared,
            seen: Phase::Waiting,
            since: time::monotonic(),
            stalled_since: None,
            timer: None,
            linger: None,
        }
    }

    /// Moves on to the phase that the other end has entered.
    fn notice_phase(&mut self) -> Phase {
        let phase = self.shared.phase();
        if phase != self.seen {
            self.seen = phase;
            self.since = time::monotonic();
        }
        phase
    }

    /// Fails once what the connection waits for is overdue; else sees to it that it is looked at again in time.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let in_phase = match self.seen {
            Phase::Waiting => Some(self.since + IDLE_TIMEOUT),
            Phase::Head => Some(self.since + HEAD_TIMEOUT),
            Phase::Busy => None,
        };
        let in_stall = self.stalled_since.map(|since| since + STALL_TIMEOUT);
        let Some(due) = in_phase.into_iter().chain(in_stall).min() else {
            return Ok(());
        };
        let due = tokio::time::Instant::from_std(due);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(context).is_ready() {
            if timer.deadline() >= due {
                return Err(io::ErrorKind::TimedOut.into());
            }
            timer.as_mut().reset(due);
        }
        Ok(())
    }

    /// Notes whether the client takes what is written.
    fn note_write<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            if self.stalled_since.take().is_some() {
                self.shared.stalled.store(false, Ordering::Release);
            }
            return poll;
        }
        if self.stalled_since.is_none() {
            self.stalled_since = Some(time::monotonic());
            self.shared.stalled.store(true, Ordering::Release);
        }
        match self.check(context) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl Read for Timed {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let phase = this.notice_phase();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(outcome) => {
                if phase == Phase::Waiting {
                    this.shared.enter(Phase::Head);
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => match this.check(context) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }
}

impl Write for Timed {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.note_write(context, poll)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let linger = this.linger.get_or_insert_with(Linger::new);
        linger.poll(this.stream.inner_mut(), context).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.note_write(context, poll)
    }
}

/// The body of a request, which tells whether it was read to its end.
pub(super) struct Watched {
    body: Incoming,
    is_read: Arc<AtomicBool>,
}

impl Watched {
    pub(super) fn new(body: Incoming, is_read: Arc<AtomicBool>) -> Self {
        Self { body, is_read }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.body).poll_frame(context);
        if matches!(poll, Poll::Ready(None)) || this.body.is_end_stream() {
            this.is_read.store(true, Ordering::Release);
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer, which tells its connection when it is through.
pub(super) struct Tracked {
    body: Body,
    shared: Arc<Shared>,
}

impl Tracked {
    pub(super) fn new(body: Body, shared: Arc<Shared>) -> Self {
        Self { body, shared }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.shared.enter(Phase::Waiting);
    }
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
