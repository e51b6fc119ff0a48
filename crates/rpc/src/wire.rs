//! Frames on an authenticated connection (docs/decisions/0009-rpc.md, "Frames").
//!
//! ```text
//! prefix  head bytes (u32 LE), body bytes (u32 LE), MAC over both and the frame's number     24 bytes
//! head    what the frame is, and its payload
//! body    the bytes of a shard, or none
//! tail    MAC over the frame's number, the head and the body's checksum                      16 bytes
//! ```
//! Frames are numbered from 0 in each direction; the number is not sent. So a frame that was changed, left out, sent
//! twice or moved is not that which its number's MACs stand for, and the connection ends there.

mod keys;
mod outbox;
mod reader;
mod writer;

use bytes::Bytes;

pub(crate) use keys::SessionKeys;
pub(crate) use outbox::{OutFrame, Outbox, Reply, Taken};
pub(crate) use reader::{BodyMemory, FrameReader};
pub(crate) use writer::FrameWriter;
#[cfg(test)]
pub(crate) use writer::seal_for_test;

use crate::encoding::FrameHead;

pub(crate) const MAC_BYTES: usize = 16;
pub(crate) const PREFIX_BYTES: usize = 8 + MAC_BYTES;

/// The longest head: pages of listings and Raft entries are the longest things in it.
pub(crate) const HEAD_BYTES_MAX: usize = 32 << 20;
/// The longest payload of a frame: what heads say beside it is far shorter than the rest.
pub(crate) const PAYLOAD_BYTES_MAX: usize = HEAD_BYTES_MAX - 64 * 1024;
/// The longest body.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 20;
/// Bodies come in pieces of this length, the last one shorter.
pub(crate) const PIECE_BYTES: usize = 256 << 10;

/// A frame as it came in.
#[derive(Debug)]
pub(crate) struct InFrame {
    pub(crate) head: FrameHead,
    pub(crate) payload: Bytes,
    /// The body; `None` where there was no memory for it.
    pub(crate) body: Option<Vec<Bytes>>,
}
