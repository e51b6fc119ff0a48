//! Reading one record of a segment, verified.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;
use platform::{Buffer, BufferPool, DiskFile};
use types::Integrity;

use crate::blocks::{BLOCK_BYTES, blocks_match};
use crate::location::{Location, padded};
use crate::record::{RecordHeader, RecordKind};
use crate::segment::{SegmentFile, SegmentId, SegmentKind};
use crate::{ShardAddress, ShardBody};

/// The longest piece of a body that a read returns.
pub(crate) const PIECE_BYTES: usize = 256 * 1024;
const _: () = assert!(PIECE_BYTES.is_multiple_of(BLOCK_BYTES), "a piece is verified block by block");

/// Why a record can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFailure {
    /// The disk can't.
    #[error("reading failed")]
    Io(#[from] io::Error),
    /// What it reads is not what was written.
    #[error("the bytes are not those that were written")]
    Wrong,
}

/// Reads the header of the record at `location`; its bytes, as decoding with the segment's key accepts them.
pub(crate) fn read_header(
    segment: &SegmentFile,
    location: &Location,
    address: &ShardAddress,
) -> Result<Vec<u8>, ReadFailure> {
    let mut bytes = vec![0; location.header_bytes as usize];
    if segment.file.read_at(&mut bytes, location.offset)? < bytes.len() {
        return Err(ReadFailure::Wrong);
    }
    decode(&bytes, segment, location, address)?;
    Ok(bytes)
}

/// Decodes a header and checks that it is the one that the index means.
pub(crate) fn decode<'a>(
    bytes: &'a [u8],
    segment: &SegmentFile,
    location: &Location,
    address: &ShardAddress,
) -> Result<RecordHeader<'a>, ReadFailure> {
    let header = RecordHeader::decode(bytes, &segment.key, location.offset).map_err(|_| ReadFailure::Wrong)?;
    let expected = header.kind == RecordKind::Shard
        && header.address == *address
        && header.body_bytes == location.body_bytes
        && header.seq == location.seq;
    if expected { Ok(header) } else { Err(ReadFailure::Wrong) }
}

/// Reads `range` of a body, verified, in pieces of at most [`PIECE_BYTES`]. The range must lie within the body.
pub(crate) fn read_range(
    segment: &SegmentFile,
    location: &Location,
    address: &ShardAddress,
    range: Range<usize>,
    pool: &BufferPool,
    cache: &HeaderCache,
) -> Result<ShardBody, ReadFailure> {
    if range.is_empty() {
        return Ok(ShardBody::new());
    }
    match segment.identity.kind {
        SegmentKind::Small => read_small(segment, location, address, range, pool),
        SegmentKind::Large => read_large(segment, location, address, range, pool, cache),
    }
}

/// Header and body lie side by side and the body is one block, so one call reads both.
fn read_small(
    segment: &SegmentFile,
    location: &Location,
    address: &ShardAddress,
    range: Range<usize>,
    pool: &BufferPool,
) -> Result<ShardBody, ReadFailure> {
    let mut header = vec![0; location.header_bytes as usize];
    let mut body = pool.take(location.body_bytes as usize);
    read_all(&*segment.file, [&mut header[..], &mut body[..]], location.offset)?;
    let header = decode(&header, segment, location, address)?;
    let integrity = header.integrity.ok_or(ReadFailure::Wrong)?;
    if !blocks_match(&body, 0, header.checksums, integrity) {
        return Err(ReadFailure::Wrong);
    }
    Ok(vec![body.freeze().slice(range)])
}

fn read_large(
    segment: &SegmentFile,
    location: &Location,
    address: &ShardAddress,
    range: Range<usize>,
    pool: &BufferPool,
    cache: &HeaderCache,
) -> Result<ShardBody, ReadFailure> {
    let body_bytes = location.body_bytes as usize;
    let first_block = range.start / BLOCK_BYTES;
    let start = first_block * BLOCK_BYTES;
    let end = range.end.next_multiple_of(BLOCK_BYTES).min(body_bytes);
    let mut pieces: Vec<Buffer> =
        (start..end).step_by(PIECE_BYTES).map(|at| pool.take((end - at).min(PIECE_BYTES))).collect();
    let body_offset = location.body_offset(segment.identity.kind);
    let key = (segment.identity.id, segment.identity.generation, location.offset);
    let checksums = match cache.get(&key) {
        Some(checksums) => {
            let pieces = pieces.iter_mut().map(|piece| &mut piece[..]);
            read_all(&*segment.file, pieces, body_offset + start as u64)?;
            checksums
        }
        None => {
            let header_bytes = location.header_bytes as usize;
            let mut header = vec![0; padded(location.header_bytes.into(), segment.identity.kind) as usize];
            let body = pieces.iter_mut().map(|piece| &mut piece[..]);
            if start == 0 {
                read_all(&*segment.file, [&mut header[..]].into_iter().chain(body), location.offset)?;
            } else {
                read_all(&*segment.file, [&mut header[..header_bytes]], location.offset)?;
                read_all(&*segment.file, body, body_offset + start as u64)?;
            }
            let header = decode(&header[..header_bytes], segment, location, address)?;
            let integrity = header.integrity.ok_or(ReadFailure::Wrong)?;
            let checksums = Arc::new(Checksums { integrity, digests: header.checksums.into() });
            // Who reads to the end in one go won't come back.
            if end - start < body_bytes {
                cache.put(key, Arc::clone(&checksums));
            }
            checksums
        }
    };
    let mut read = ShardBody::with_capacity(pieces.len());
    let mut at = start;
    for piece in pieces {
        if !blocks_match(&piece, at / BLOCK_BYTES, &checksums.digests, checksums.integrity) {
            return Err(ReadFailure::Wrong);
        }
        let wanted = range.start.max(at) - at..range.end.min(at + piece.len()) - at;
        at += piece.len();
        read.push(piece.freeze().slice(wanted));
    }
    Ok(read)
}

/// Verifies a whole record, header and body, through buffers of the pool.
pub(crate) fn verify_record(
    segment: &SegmentFile,
    location: &Location,
    address: &ShardAddress,
    pool: &BufferPool,
) -> Result<(), ReadFailure> {
    let header = read_header(segment, location, address)?;
    let header = decode(&header, segment, location, address)?;
    let integrity = header.integrity.ok_or(ReadFailure::Wrong)?;
    let body_bytes = location.body_bytes as usize;
    let body_offset = location.body_offset(segment.identity.kind);
    let mut piece = pool.take(body_bytes.min(PIECE_BYTES));
    for at in (0..body_bytes).step_by(PIECE_BYTES) {
        let length = (body_bytes - at).min(PIECE_BYTES);
        read_all(&*segment.file, [&mut piece[..length]], body_offset + at as u64)?;
        if !blocks_match(&piece[..length], at / BLOCK_BYTES, header.checksums, integrity) {
            return Err(ReadFailure::Wrong);
        }
    }
    Ok(())
}

/// Fills all buffers; a file that ends before is wrong.
fn read_all<'a>(
    file: &dyn DiskFile,
    buffers: impl IntoIterator<Item = &'a mut [u8]>,
    offset: u64,
) -> Result<(), ReadFailure> {
    let mut slices: Vec<_> = buffers.into_iter().map(IoSliceMut::new).collect();
    let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
    if file.read_vectored_at(&mut slices, offset)? == wanted { Ok(()) } else { Err(ReadFailure::Wrong) }
}

/// What a verified header says of a body's blocks.
#[derive(Debug)]
pub(crate) struct Checksums {
    integrity: Integrity,
    digests: Box<[u8]>,
}

type CacheKey = (SegmentId, u64, u64);

/// The block checksums of large shards that were read in part, so that reading on doesn't read the header again.
#[derive(Debug, Default)]
pub(crate) struct HeaderCache {
    entries: Mutex<CacheEntries>,
}

#[derive(Debug, Default)]
struct CacheEntries {
    known: HashMap<CacheKey, Arc<Checksums>>,
    order: VecDeque<CacheKey>,
}

impl HeaderCache {
    /// A shard of 1 MiB has 256 bytes of checksums, the longest 2 KiB.
    const ENTRIES_MAX: usize = 256;

    fn get(&self, key: &CacheKey) -> Option<Arc<Checksums>> {
        self.entries.lock().known.get(key).cloned()
    }

    fn put(&self, key: CacheKey, checksums: Arc<Checksums>) {
        let mut entries = self.entries.lock();
        if entries.known.insert(key, checksums).is_none() {
            entries.order.push_back(key);
        }
        if entries.order.len() > Self::ENTRIES_MAX
            && let Some(oldest) = entries.order.pop_front()
        {
            entries.known.remove(&oldest);
        }
    }
}
