//! Frames from a connection. What does not carry the right MACs is not looked at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use platform::net::ReadHalf;
use platform::{Buffer, BufferPool, MemoryBudget, Reservation};
use tokio::io::{AsyncReadExt, ReadBuf};

use super::keys::are_equal;
use super::{BODY_BYTES_MAX, HEAD_BYTES_MAX, InFrame, MAC_BYTES, PIECE_BYTES, PREFIX_BYTES, SessionKeys};
use crate::encoding::FrameHead;

/// How much is read ahead at a time; bodies are read past this.
const READ_BYTES: usize = 16 << 10;

/// Where bodies are kept that come in.
#[derive(Debug, Clone)]
pub(crate) struct BodyMemory {
    /// Buffers to use again.
    pub(crate) pool: BufferPool,
    /// What bounds bodies; `None`: whoever asked for them has memory for them.
    pub(crate) budget: Option<MemoryBudget>,
    /// How long a body waits for its memory; later it is passed over.
    pub(crate) patience: Duration,
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The peer has ended the connection, between two frames.
    #[error("the peer has ended the connection")]
    Ended,
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The bytes are not those that the peer wrote, or not where it wrote them.
    #[error("bytes came that are not the peer's")]
    NotAuthentic,
    /// They are the peer's, and break the protocol.
    #[error("the peer breaks the protocol: {0}")]
    Protocol(String),
}

pub(crate) struct FrameReader {
    half: ReadHalf,
    keys: Arc<SessionKeys>,
    next_number: u64,
    buffer: BytesMut,
    memory: BodyMemory,
    /// Bytes read, for those who watch whether the peer lives.
    heard: Arc<AtomicU64>,
}

/// A piece of a body, which holds its share of the budget.
struct Piece {
    buffer: Buffer,
    _reservation: Option<Arc<Reservation>>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl FrameReader {
    /// `ahead` was read from the connection before.
    pub(crate) fn new(half: ReadHalf, ahead: &[u8], keys: Arc<SessionKeys>, memory: BodyMemory) -> Self {
        let heard = Arc::new(AtomicU64::new(0));
        Self { half, keys, next_number: 0, buffer: BytesMut::from(ahead), memory, heard }
    }

    /// Counts the bytes that came.
    pub(crate) fn heard(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.heard)
    }

    /// The next frame. Not to be dropped half way.
    ///
    /// # Errors
    /// [`ReadError`]: the connection is of no more use.
    pub(crate) async fn next(&mut self) -> Result<InFrame, ReadError> {
        if self.buffer.is_empty() && self.fill().await? == 0 {
            return Err(ReadError::Ended);
        }
        let number = self.next_number;
        self.next_number += 1;
        self.need(PREFIX_BYTES).await?;
        let prefix = self.buffer.split_to(PREFIX_BYTES);
        let lengths: &[u8; 8] = prefix.first_chunk().expect("a prefix begins with two lengths");
        if !are_equal(&self.keys.prefix_mac(number, lengths), &prefix[8..]) {
            return Err(ReadError::NotAuthentic);
        }
        let length = |at: usize| u32::from_le_bytes(*lengths[at..].first_chunk().expect("four bytes")) as usize;
        let (head_bytes, body_bytes) = (length(0), length(4));
        if head_bytes > HEAD_BYTES_MAX || body_bytes > BODY_BYTES_MAX {
            let reason = format!("a frame of {head_bytes} and {body_bytes} bytes");
            return Err(ReadError::Protocol(reason));
        }
        self.need(head_bytes).await?;
        let head = self.buffer.split_to(head_bytes).freeze();
        let (body, checksum) = if body_bytes == 0 { (Some(Vec::new()), 0) } else { self.body(body_bytes).await? };
        self.need(MAC_BYTES).await?;
        let tail = self.buffer.split_to(MAC_BYTES);
        if !are_equal(&self.keys.tail_mac(number, &head, checksum), &tail) {
            return Err(ReadError::NotAuthentic);
        }
        let (known, taken) = FrameHead::decode(&head).map_err(|error| ReadError::Protocol(error.to_string()))?;
        Ok(InFrame { head: known, payload: head.slice(taken..), body })
    }

    /// Reads a body into buffers of its own, or past them where there is no memory; and its checksum.
    async fn body(&mut self, bytes: usize) -> Result<(Option<Vec<Bytes>>, u128), ReadError> {
        let reservation = match &self.memory.budget {
            None => None,
            Some(budget) => match budget.reserve(bytes as u64, self.memory.patience).await {
                Ok(reservation) => Some(Arc::new(reservation)),
                Err(_none) => return self.pass_over(bytes).await,
            },
        };
        let mut checksum = self.keys.body_checksum();
        let mut pieces = Vec::with_capacity(bytes.div_ceil(PIECE_BYTES));
        let mut left = bytes;
        while left > 0 {
            let mut buffer = self.memory.pool.take(left.min(PIECE_BYTES));
            self.read_into(&mut buffer).await?;
            checksum.write(&buffer);
            left -= buffer.len();
            pieces.push(Bytes::from_owner(Piece { buffer, _reservation: reservation.clone() }));
        }
        Ok((Some(pieces), checksum.finish_128()))
    }

    async fn pass_over(&mut self, bytes: usize) -> Result<(Option<Vec<Bytes>>, u128), ReadError> {
        let mut checksum = self.keys.body_checksum();
        let mut left = bytes;
        while left > 0 {
            self.need(1).await?;
            let piece = self.buffer.len().min(left);
            checksum.write(&self.buffer[..piece]);
            self.buffer.advance(piece);
            left -= piece;
        }
        Ok((None, checksum.finish_128()))
    }

    /// Fills all of `target`: from what was read ahead, then past it.
    async fn read_into(&mut self, target: &mut [u8]) -> Result<(), ReadError> {
        let ahead = self.buffer.len().min(target.len());
        target[..ahead].copy_from_slice(&self.buffer[..ahead]);
        self.buffer.advance(ahead);
        let mut filled = ahead;
        while filled < target.len() {
            let mut rest = ReadBuf::new(&mut target[filled..]);
            let read = self.half.read_buf(&mut rest).await?;
            filled += self.count(read)?;
        }
        Ok(())
    }

    /// Reads until so many bytes are there. Memory grows with what came, not with what is to come.
    async fn need(&mut self, bytes: usize) -> Result<(), ReadError> {
        while self.buffer.len() < bytes {
            let missing = bytes - self.buffer.len();
            self.buffer.reserve(missing.min(self.buffer.len()).max(READ_BYTES));
            let read = self.half.read_buf(&mut self.buffer).await?;
            self.count(read)?;
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<usize, ReadError> {
        self.buffer.reserve(READ_BYTES);
        let read = self.half.read_buf(&mut self.buffer).await?;
        self.heard.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }

    /// An end in the middle of a frame is a break.
    fn count(&self, read: usize) -> Result<usize, ReadError> {
        if read == 0 {
            return Err(ReadError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        self.heard.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
