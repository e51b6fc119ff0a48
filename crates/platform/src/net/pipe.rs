//! One direction of a connection in memory.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::memory::{Link, Mishap};
use super::{Connection, ReadHalf, WriteHalf};

/// What a sender may have under way before it waits for the receiver.
const WINDOW_BYTES: usize = 256 * 1024;
/// What one write takes at most.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// One direction: what was written and not read yet.
#[derive(Debug)]
pub(super) struct Pipe {
    link: Arc<Link>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Chunk>,
    queued_bytes: usize,
    last_arrival: Option<Instant>,
    /// The writer has ended, in order.
    ended: bool,
    /// The reader has gone away.
    unread: bool,
    /// The connection was cut.
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Debug)]
struct Chunk {
    arrives: Option<Instant>,
    bytes: Bytes,
}

impl Pipe {
    pub(super) fn new(link: Arc<Link>) -> Arc<Self> {
        Arc::new(Self { link, state: Mutex::default() })
    }

    /// Looks again at what the link lets through.
    pub(super) fn wake(&self) {
        let mut state = self.state.lock();
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Breaks it: whoever reads or writes is told, and what was under way is lost.
    pub(super) fn reset(&self) {
        let mut state = self.state.lock();
        state.reset = true;
        state.chunks.clear();
        drop(state);
        self.wake();
    }

    fn end(&self) {
        self.state.lock().ended = true;
        self.wake();
    }

    fn stop_reading(&self) {
        self.state.lock().unread = true;
        self.wake();
    }

    fn poll_write(&self, context: &Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<Written>> {
        let mut state = self.state.lock();
        if state.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if state.unread || state.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = WINDOW_BYTES.saturating_sub(state.queued_bytes).min(WRITE_BYTES_MAX);
        if room == 0 {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let mut bytes = Vec::with_capacity(slices.iter().map(|slice| slice.len()).sum::<usize>().min(room));
        for slice in slices {
            bytes.extend_from_slice(&slice[..slice.len().min(room - bytes.len())]);
        }
        let written = bytes.len();
        let mishap = self.link.mishap(&mut bytes);
        if mishap == Mishap::Cut {
            return Poll::Ready(Ok(Written { bytes: written, cut: true }));
        }
        let delay = self.link.faults().delay;
        let arrives = (!delay.is_zero()).then(|| Instant::now() + delay).max(state.last_arrival);
        state.last_arrival = arrives;
        if mishap != Mishap::Lost {
            let bytes = Bytes::from(bytes);
            for _ in 0..if mishap == Mishap::Repeated { 2 } else { 1 } {
                state.queued_bytes += bytes.len();
                state.chunks.push_back(Chunk { arrives, bytes: bytes.clone() });
            }
        }
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(Written { bytes: written, cut: false }))
    }

    fn poll_read(
        &self,
        context: &mut Context<'_>,
        timer: &mut Option<Pin<Box<Sleep>>>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        if state.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        // Before the link is looked at: who changes it afterwards finds the waker.
        state.reader = Some(context.waker().clone());
        if self.link.faults().blocked {
            return Poll::Pending;
        }
        let ended = state.ended;
        let Some(chunk) = state.chunks.front_mut() else {
            return if ended { Poll::Ready(Ok(())) } else { Poll::Pending };
        };
        if let Some(arrives) = chunk.arrives
            && arrives > Instant::now()
        {
            let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(arrives)));
            timer.as_mut().reset(arrives);
            if pin!(timer).as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        let bytes = chunk.bytes.len().min(buffer.remaining()).min(self.link.read_bytes_max());
        buffer.put_slice(&chunk.bytes[..bytes]);
        chunk.bytes.advance(bytes);
        if chunk.bytes.is_empty() {
            state.chunks.pop_front();
        }
        state.queued_bytes -= bytes;
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

struct Written {
    bytes: usize,
    cut: bool,
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct End {
    reader: Reader,
    writer: Writer,
}

#[derive(Debug)]
struct Reader {
    pipe: Arc<Pipe>,
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
struct Writer {
    pipe: Arc<Pipe>,
    /// The other direction, which breaks with this one.
    back: Arc<Pipe>,
}

impl End {
    pub(super) fn new(incoming: &Arc<Pipe>, outgoing: &Arc<Pipe>) -> Self {
        let reader = Reader { pipe: Arc::clone(incoming), timer: None };
        Self { reader, writer: Writer { pipe: Arc::clone(outgoing), back: Arc::clone(incoming) } }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.pipe.stop_reading();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.pipe.end();
    }
}

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let reader = self.get_mut();
        reader.pipe.poll_read(context, &mut reader.timer, buffer)
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.pipe.poll_write(context, slices).map_ok(|written| {
            if written.cut {
                self.pipe.reset();
                self.back.reset();
            }
            written.bytes
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.end();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(context, buffer)
    }
}

impl AsyncWrite for End {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(context)
    }
}

impl Connection for End {
    fn split(self: Box<Self>) -> (ReadHalf, WriteHalf) {
        let Self { reader, writer } = *self;
        (Box::new(reader), Box::new(writer))
    }
}
