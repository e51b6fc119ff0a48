//! Frames to a connection: all that wait go out in one write.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use platform::net::WriteHalf;
use tokio::io::AsyncWriteExt;

use super::{OutFrame, SessionKeys};

/// Slices of one write; the kernel takes up to 1024.
const SLICES_MAX: usize = 64;
/// What heads are written into is not kept above this.
const SCRATCH_BYTES_MAX: usize = 256 << 10;

pub(crate) struct FrameWriter {
    half: WriteHalf,
    keys: Arc<SessionKeys>,
    next_number: u64,
    scratch: BytesMut,
    /// How long the peer may take nothing.
    stall_max: Duration,
}

impl FrameWriter {
    pub(crate) fn new(half: WriteHalf, keys: Arc<SessionKeys>, stall_max: Duration) -> Self {
        Self { half, keys, next_number: 0, scratch: BytesMut::new(), stall_max }
    }

    /// Writes the frames in their order.
    ///
    /// # Errors
    /// The connection is broken, or the peer takes nothing.
    pub(crate) async fn write(&mut self, frames: Vec<OutFrame>) -> io::Result<()> {
        let mut pieces = self.seal(frames);
        while !pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(&pieces) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            let write = self.half.write_vectored(&slices[..count]);
            let written = match tokio::time::timeout(self.stall_max, write).await {
                Ok(written) => written?,
                Err(_elapsed) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")),
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            advance(&mut pieces, written);
        }
        self.half.flush().await
    }

    /// Ends the connection in order.
    pub(crate) async fn shut_down(&mut self) {
        let _ = tokio::time::timeout(self.stall_max, self.half.shutdown()).await;
    }

    /// What to write: the frames' own bytes, and bodies as they are.
    fn seal(&mut self, frames: Vec<OutFrame>) -> VecDeque<Bytes> {
        let mut pieces = VecDeque::new();
        for frame in frames {
            let number = self.next_number;
            self.next_number += 1;
            let body_bytes: usize = frame.body.iter().map(Bytes::len).sum();
            let mut lengths = [0; 8];
            lengths[..4].copy_from_slice(&length(frame.head.len()));
            lengths[4..].copy_from_slice(&length(body_bytes));
            self.scratch.extend_from_slice(&lengths);
            self.scratch.extend_from_slice(&self.keys.prefix_mac(number, &lengths));
            self.scratch.extend_from_slice(&frame.head);
            if body_bytes > 0 {
                pieces.push_back(self.scratch.split().freeze());
                pieces.extend(frame.body.into_iter().filter(|piece| !piece.is_empty()));
            }
            self.scratch.extend_from_slice(&self.keys.tail_mac(number, &frame.head, frame.checksum));
        }
        pieces.push_back(self.scratch.split().freeze());
        if self.scratch.capacity() > SCRATCH_BYTES_MAX {
            self.scratch = BytesMut::new();
        }
        pieces
    }
}

/// The bytes of frames from the first on.
#[cfg(test)]
pub(crate) fn seal_for_test(keys: SessionKeys, frames: Vec<OutFrame>) -> Vec<u8> {
    let mut writer = FrameWriter::new(Box::new(tokio::io::sink()), Arc::new(keys), Duration::ZERO);
    writer.seal(frames).into_iter().flatten().collect()
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("lengths are bounded where frames are made").to_le_bytes()
}

fn advance(pieces: &mut VecDeque<Bytes>, mut written: usize) {
    while written > 0 {
        let first = pieces.front_mut().expect("no more is written than there is");
        if written < first.len() {
            first.advance(written);
            return;
        }
        written -= first.len();
        pieces.pop_front();
    }
}
