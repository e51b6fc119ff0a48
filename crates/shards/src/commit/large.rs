//! Batches of large records: shards above 64 KiB, aligned, past the page cache.

use std::collections::HashSet;
use std::io::IoSlice;

use bytes::Bytes;
use platform::{Buffer, BufferPool};

use super::pages::gather;
use super::{Committer, OpenSegment, Outcome, Reply};
use crate::ShardBody;
use crate::catalog::Effect;
use crate::core::{Core, WriteFailure};
use crate::location::{Location, record_bytes};
use crate::queue::{AppendOp, NewShard};
use crate::record::{RecordHeader, RecordKind};
use crate::segment::{PAGE_BYTES, RECORDS_START, SegmentKind};

/// A batch ends when it is this long.
const BATCH_BYTES_MAX: u64 = 8 << 20;

/// A batch while it is being planned.
#[derive(Debug)]
struct Batch {
    /// Of each record the header, in whole pages, and the body.
    records: Vec<(Vec<Buffer>, Vec<AlignedPiece>)>,
    put: HashSet<crate::ShardAddress>,
    tail: u64,
    last_seq: u64,
    outcome: Outcome,
}

/// A piece of a body as it may go to the disk directly.
#[derive(Debug)]
enum AlignedPiece {
    /// As it came.
    AsIs(Bytes),
    /// Copied to where it is aligned, padded with zeros to whole pages.
    Copied(Buffer),
}

impl AlignedPiece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::AsIs(bytes) => bytes,
            Self::Copied(buffer) => buffer,
        }
    }
}

impl Committer {
    /// Commits one batch of what waits.
    pub(super) fn commit_large(&mut self) {
        let start = self.large.as_ref().map_or(0, |opened| opened.tail);
        let mut batch = Batch {
            records: Vec::new(),
            put: HashSet::new(),
            tail: start,
            last_seq: self.synced_seq,
            outcome: Outcome::default(),
        };
        while let Some(op) = self.large_waiting.pop_front() {
            if let Some(op) = self.plan_large(&mut batch, op) {
                self.large_waiting.push_front(op);
                break;
            }
            let start = self.large.as_ref().map_or(0, |opened| opened.tail);
            if !batch.records.is_empty() && batch.tail - start >= BATCH_BYTES_MAX {
                break;
            }
        }
        self.write_large(batch);
    }

    fn write_large(&mut self, batch: Batch) {
        if batch.records.is_empty() {
            return;
        }
        let opened = self.large.as_ref().expect("records are planned into an open segment");
        let mut slices = Vec::new();
        for (header, body) in &batch.records {
            slices.extend(header.iter().map(|pages| IoSlice::new(pages)));
            slices.extend(body.iter().map(|piece| IoSlice::new(piece.bytes())));
        }
        match opened.segment.file.write_all_at(&slices, opened.tail) {
            Ok(()) => self.finish(SegmentKind::Large, batch.tail, batch.last_seq, batch.outcome),
            Err(error) => self.abandon(SegmentKind::Large, batch.tail, error.into(), batch.outcome.replies),
        }
    }

    /// Plans one record; gives it back when the batch must be committed before it.
    fn plan_large(&mut self, batch: &mut Batch, op: AppendOp) -> Option<AppendOp> {
        if batch.put.contains(&op.shard.address) {
            return Some(op);
        }
        let (AppendOp { shard, replaces, reply }, replaced) = self.admit(op)?;
        let header_bytes =
            RecordHeader::encoded_len(shard.metadata.len(), Some(shard.integrity), shard.body_bytes as usize);
        match self.make_large_room(batch, header_bytes, shard.body_bytes) {
            Ok(true) => {}
            Ok(false) => return Some(AppendOp { shard, replaces, reply }),
            Err(failure) => {
                let error = self.write_error(&failure);
                Reply::Append(reply).fail(error);
                return None;
            }
        }
        let location = self.add_large(batch, *shard, header_bytes, replaced);
        batch.last_seq = location.seq;
        batch.outcome.replies.push(Reply::Append(reply));
        None
    }

    fn add_large(
        &mut self,
        batch: &mut Batch,
        shard: NewShard,
        header_bytes: usize,
        replaced: Option<Location>,
    ) -> Location {
        let opened = self.large.as_ref().expect("room was made");
        let seq = self.next_seq;
        self.next_seq += 1;
        let header = RecordHeader {
            kind: RecordKind::Shard,
            seq,
            synced_seq: self.synced_seq,
            address: shard.address,
            body_bytes: shard.body_bytes,
            integrity: Some(shard.integrity),
            metadata: &shard.metadata,
            checksums: &shard.checksums,
        };
        let mut encoded = Vec::with_capacity(header_bytes);
        header.encode_into(&mut encoded, &opened.segment.key, batch.tail);
        let location = Location {
            segment: opened.segment.identity.id,
            offset: batch.tail,
            header_bytes: u32::try_from(header_bytes).expect("checked when it came in"),
            body_bytes: shard.body_bytes,
            seq,
        };
        batch.tail += location.record_bytes(SegmentKind::Large);
        let header = gather([&encoded[..]], header_bytes, &self.core.pool);
        batch.records.push((header, align(shard.body, &self.core.pool)));
        batch.put.insert(shard.address);
        batch.outcome.killed |= replaced.is_some();
        batch.outcome.appends += 1;
        batch.outcome.effects.push(Effect::Put { address: shard.address, location, replaced });
        location
    }

    /// Sees to it that a record fits into the reserved blocks of the open segment; `false` when the batch must be
    /// committed before the next segment is opened.
    fn make_large_room(
        &mut self,
        batch: &mut Batch,
        header_bytes: usize,
        body_bytes: u32,
    ) -> Result<bool, WriteFailure> {
        let needed = record_bytes(header_bytes as u64, body_bytes.into(), SegmentKind::Large);
        let fits = self.large.as_ref().is_some_and(|opened| batch.tail + needed <= opened.segment.identity.bytes);
        if !fits {
            if !batch.records.is_empty() {
                return Ok(false);
            }
            let identity = self.core.prepare_large(needed)?;
            let next = self.open(identity, RECORDS_START)?;
            let previous = self.large.replace(next);
            self.seal(previous);
            batch.tail = RECORDS_START;
        }
        let allocation = self.core.settings.large_allocation_bytes;
        let opened = self.large.as_mut().expect("opened above");
        let end = batch.tail + needed;
        if end > opened.allocated {
            reserve(&self.core, opened, end, allocation)?;
        }
        Ok(true)
    }
}

/// Reserves blocks at least up to `end`, and a whole allocation where there is room.
fn reserve(core: &Core, opened: &mut OpenSegment, end: u64, allocation: u64) -> Result<(), WriteFailure> {
    let step = (end - opened.allocated).max(allocation).min(opened.segment.identity.bytes - opened.allocated);
    if !core.has_room(step)? {
        return Err(WriteFailure::Full);
    }
    opened.segment.file.allocate(opened.allocated, step)?;
    opened.allocated += step;
    core.health.set_full(false);
    Ok(())
}

/// Makes a body fit for direct writing. Pieces go as they are while they are aligned; the rest is copied, which is a
/// page at most if the caller kept to the contract.
fn align(body: ShardBody, pool: &BufferPool) -> Vec<AlignedPiece> {
    let mut aligned = Vec::with_capacity(body.len() + 1);
    let mut rest: Vec<Bytes> = Vec::new();
    for mut piece in body {
        if piece.is_empty() {
            continue;
        }
        if !rest.is_empty() || !piece.as_ptr().addr().is_multiple_of(PAGE_BYTES) {
            rest.push(piece);
            continue;
        }
        let whole = piece.len() - piece.len() % PAGE_BYTES;
        if whole > 0 {
            aligned.push(AlignedPiece::AsIs(piece.split_to(whole)));
        }
        if !piece.is_empty() {
            rest.push(piece);
        }
    }
    let bytes = rest.iter().map(Bytes::len).sum();
    aligned.extend(gather(rest.iter().map(|piece| &piece[..]), bytes, pool).into_iter().map(AlignedPiece::Copied));
    aligned
}
