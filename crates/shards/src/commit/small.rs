//! Batches of small records: shards up to 64 KiB, tombstones, and records that are moved.

use std::collections::HashSet;
use std::io::IoSlice;
use std::ops::Range;

use types::Integrity;

use super::{Committer, OpenSegment, Outcome, Reply};
use crate::catalog::Effect;
use crate::core::WriteFailure;
use crate::database::IndexFailure;
use crate::layer::{RunKey, run_of};
use crate::location::Location;
use crate::queue::{AppendOp, EntombOp, FreeOp, RelocateOp, SmallOp};
use crate::record::{NO_ADDRESS, RecordHeader, RecordKind, Tombstone, encode_tombstones};
use crate::segment::{RECORDS_START, SegmentId, SegmentKind, zeros_to_page_end};
use crate::{ShardAddress, ShardBody};

/// A batch ends when it is this long; more than recovery searches for its remains would be too much.
const BATCH_BYTES_MAX: u64 = 4 << 20;
const BATCH_RECORDS_MAX: usize = 1024;
/// Tombstones of more runs go into several records.
const TOMBSTONE_BYTES_MAX: usize = 32 * 1024;

/// A batch while it is being planned.
#[derive(Debug, Default)]
struct Batch {
    /// The headers of all records, one after the other.
    headers: Vec<u8>,
    records: Vec<(Range<usize>, ShardBody)>,
    start: u64,
    tail: u64,
    last_seq: u64,
    put: HashSet<ShardAddress>,
    put_runs: HashSet<RunKey>,
    freed: HashSet<RunKey>,
    outcome: Outcome,
}

/// What a record to be written consists of.
struct NewRecord<'a> {
    kind: RecordKind,
    address: ShardAddress,
    metadata: &'a [u8],
    integrity: Option<Integrity>,
    checksums: &'a [u8],
    body: ShardBody,
    body_bytes: u32,
}

/// Who may use the last spare segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// New shards may not.
    Append,
    /// What wins space back may.
    Reclaim,
}

/// Whether an operation has gone into the batch.
enum Planned {
    /// It has, or its caller was answered.
    Done,
    /// The batch must be committed before it.
    Later(SmallOp),
}

impl Committer {
    /// Commits one batch of what waits.
    pub(super) fn commit_small(&mut self) {
        let mut batch = self.new_batch();
        while let Some(op) = self.small_waiting.pop_front() {
            let planned = match op {
                SmallOp::Append(op) => self.plan_append(&mut batch, op),
                SmallOp::Free(op) => self.plan_free(&mut batch, op),
                SmallOp::Relocate(op) => self.plan_relocation(&mut batch, op),
                SmallOp::Entomb(op) => self.plan_entombing(&mut batch, op),
                SmallOp::Barrier(reply) => {
                    batch.outcome.replies.push(Reply::Barrier(reply));
                    Planned::Done
                }
            };
            if let Planned::Later(op) = planned {
                self.small_waiting.push_front(op);
                break;
            }
            if batch.records.len() >= BATCH_RECORDS_MAX || batch.tail - batch.start >= BATCH_BYTES_MAX {
                break;
            }
        }
        self.write_small(batch);
    }

    fn new_batch(&self) -> Batch {
        let start = self.small.as_ref().map_or(0, |opened| opened.tail);
        Batch { start, tail: start, last_seq: self.synced_seq, ..Batch::default() }
    }

    fn write_small(&mut self, batch: Batch) {
        let Batch { headers, records, start, tail, last_seq, mut outcome, .. } = batch;
        if records.is_empty() {
            // Effects without a record: runs of which nothing was here.
            if let Some(opened) = &self.small
                && !outcome.effects.is_empty()
            {
                let effects = std::mem::take(&mut outcome.effects);
                self.core.catalog.publish(effects, opened.segment.identity.id, opened.tail, self.synced_seq);
            }
            outcome.replies.into_iter().for_each(Reply::succeed);
            return;
        }
        let opened = self.small.as_ref().expect("records are planned into an open segment");
        let mut slices = Vec::with_capacity(2 * records.len() + 1);
        for (header, body) in &records {
            slices.push(IoSlice::new(&headers[header.clone()]));
            slices.extend(body.iter().filter(|piece| !piece.is_empty()).map(|piece| IoSlice::new(piece)));
        }
        // A page that is written whole need not be read first.
        slices.push(IoSlice::new(zeros_to_page_end(tail)));
        let written = opened.segment.file.write_all_at(&slices, start);
        drop(slices);
        match written {
            Ok(()) => self.finish(SegmentKind::Small, tail, last_seq, outcome),
            Err(error) => self.abandon(SegmentKind::Small, tail, error.into(), outcome.replies),
        }
    }

    fn plan_append(&mut self, batch: &mut Batch, op: AppendOp) -> Planned {
        let address = op.shard.address;
        if batch.put.contains(&address) || batch.freed.contains(&run_of(&address)) {
            return Planned::Later(SmallOp::Append(op));
        }
        let Some((op, replaced)) = self.admit(op) else { return Planned::Done };
        let AppendOp { shard, replaces, reply } = op;
        let header_bytes =
            RecordHeader::encoded_len(shard.metadata.len(), Some(shard.integrity), shard.body_bytes as usize);
        match self.make_room(batch, header_bytes as u64 + u64::from(shard.body_bytes), Purpose::Append) {
            Ok(true) => {}
            Ok(false) => return Planned::Later(SmallOp::Append(AppendOp { shard, replaces, reply })),
            Err(failure) => {
                let error = self.write_error(&failure);
                Reply::Append(reply).fail(error);
                return Planned::Done;
            }
        }
        let record = NewRecord {
            kind: RecordKind::Shard,
            address,
            metadata: &shard.metadata,
            integrity: Some(shard.integrity),
            checksums: &shard.checksums,
            body: shard.body,
            body_bytes: shard.body_bytes,
        };
        let location = self.add(batch, record);
        batch.put.insert(address);
        batch.put_runs.insert(run_of(&address));
        batch.outcome.killed |= replaced.is_some();
        batch.outcome.appends += 1;
        batch.outcome.effects.push(Effect::Put { address, location, replaced });
        batch.outcome.replies.push(Reply::Append(reply));
        Planned::Done
    }

    fn plan_relocation(&mut self, batch: &mut Batch, op: RelocateOp) -> Planned {
        if batch.put.contains(&op.address) || batch.freed.contains(&run_of(&op.address)) {
            return Planned::Later(SmallOp::Relocate(op));
        }
        match self.core.catalog.find_location(&op.address) {
            // Freed or replaced in the meantime.
            Ok(known) if known != Some(op.from) => return Planned::Done,
            Ok(_) => {}
            Err(failure) => {
                let error = self.core.index_failed(&failure);
                Reply::Move(op.failed).fail(error);
                return Planned::Done;
            }
        }
        match self.make_room(batch, op.from.record_bytes(SegmentKind::Small), Purpose::Reclaim) {
            Ok(true) => {}
            Ok(false) => return Planned::Later(SmallOp::Relocate(op)),
            Err(failure) => {
                self.move_failed(&op.failed, &failure);
                return Planned::Done;
            }
        }
        let record = NewRecord {
            kind: RecordKind::Shard,
            address: op.address,
            metadata: &op.metadata,
            integrity: Some(op.integrity),
            checksums: &op.checksums,
            body: op.body,
            body_bytes: op.from.body_bytes,
        };
        let location = self.add(batch, record);
        batch.put.insert(op.address);
        batch.put_runs.insert(run_of(&op.address));
        batch.outcome.effects.push(Effect::Put { address: op.address, location, replaced: Some(op.from) });
        batch.outcome.replies.push(Reply::Move(op.failed));
        Planned::Done
    }

    fn plan_free(&mut self, batch: &mut Batch, op: FreeOp) -> Planned {
        if op.runs.iter().any(|run| batch.put_runs.contains(&(op.group, *run))) {
            return Planned::Later(SmallOp::Free(op));
        }
        let (tombstones, kills) = match self.tombstones(batch, &op) {
            Ok(found) => found,
            Err(failure) => {
                let error = self.core.index_failed(&failure);
                Reply::Free(op.reply).fail(error);
                return Planned::Done;
            }
        };
        match self.entomb(batch, &tombstones) {
            Ok(true) => {}
            Ok(false) => return Planned::Later(SmallOp::Free(op)),
            Err(failure) => {
                let error = self.write_error(&failure);
                Reply::Free(op.reply).fail(error);
                return Planned::Done;
            }
        }
        batch.freed.extend(op.runs.iter().map(|run| (op.group, *run)));
        batch.outcome.killed |= !tombstones.is_empty();
        batch.outcome.effects.extend(kills);
        batch.outcome.replies.push(Reply::Free(op.reply));
        Planned::Done
    }

    /// The tombstones of the runs that have shards here, and what they do.
    fn tombstones(&self, batch: &Batch, op: &FreeOp) -> Result<(Vec<Tombstone>, Vec<Effect>), IndexFailure> {
        let mut tombstones = Vec::new();
        let mut kills = Vec::with_capacity(op.runs.len());
        // All of them have the number of the last record of this batch that they may go into, or a higher one: no
        // record of these runs is written between.
        let below = self.next_seq;
        for &run in &op.runs {
            let key = (op.group, run);
            if batch.freed.contains(&key) {
                continue;
            }
            let killed = self.core.catalog.run_shards(key)?;
            if !killed.is_empty() {
                let segments = self.small_segments(killed.iter().map(|(_, location)| location.segment));
                tombstones.push(Tombstone { group: op.group, run, below, segments });
            }
            kills.push(Effect::Kill { run: key, below, killed });
        }
        Ok((tombstones, kills))
    }

    fn small_segments(&self, ids: impl Iterator<Item = SegmentId>) -> Vec<(SegmentId, u64)> {
        let distinct: std::collections::BTreeSet<_> = ids.collect();
        let identities = distinct.into_iter().filter_map(|id| self.core.catalog.segment(id));
        identities
            .filter(|identity| identity.kind == SegmentKind::Small)
            .map(|identity| (identity.id, identity.generation))
            .collect()
    }

    fn plan_entombing(&mut self, batch: &mut Batch, op: EntombOp) -> Planned {
        match self.entomb(batch, &op.tombstones) {
            Ok(true) => batch.outcome.replies.push(Reply::Move(op.failed)),
            Ok(false) => return Planned::Later(SmallOp::Entomb(op)),
            Err(failure) => self.move_failed(&op.failed, &failure),
        }
        Planned::Done
    }

    /// Adds records of tombstones; `false` when the batch must be committed first.
    fn entomb(&mut self, batch: &mut Batch, tombstones: &[Tombstone]) -> Result<bool, WriteFailure> {
        let records = in_records(tombstones);
        let length: usize = records.iter().map(|metadata| RecordHeader::encoded_len(metadata.len(), None, 0)).sum();
        if length == 0 {
            return Ok(true);
        }
        if !self.make_room(batch, length as u64, Purpose::Reclaim)? {
            return Ok(false);
        }
        batch.outcome.tombstone_bytes += length as u64;
        for metadata in &records {
            let record = NewRecord {
                kind: RecordKind::Tombstones,
                address: NO_ADDRESS,
                metadata,
                integrity: None,
                checksums: &[],
                body: ShardBody::new(),
                body_bytes: 0,
            };
            self.add(batch, record);
        }
        Ok(true)
    }

    /// Sees to it that a record fits into the open segment; `false` when the batch must be committed before the next
    /// segment is opened.
    fn make_room(&mut self, batch: &mut Batch, record_bytes: u64, purpose: Purpose) -> Result<bool, WriteFailure> {
        let fits = self.small.as_ref().is_some_and(|opened| batch.tail + record_bytes <= opened.segment.identity.bytes);
        if fits {
            return Ok(true);
        }
        if !batch.records.is_empty() {
            return Ok(false);
        }
        let next = self.next_small(purpose)?;
        let previous = self.small.replace(next);
        self.seal(previous);
        self.core.keeper.ask_prepare();
        batch.start = RECORDS_START;
        batch.tail = RECORDS_START;
        Ok(true)
    }

    /// Opens the next small segment. The last spare one is kept for what wins space back.
    fn next_small(&self, purpose: Purpose) -> Result<OpenSegment, WriteFailure> {
        let kept = match purpose {
            Purpose::Append => 1,
            Purpose::Reclaim => 0,
        };
        loop {
            let spare = self.core.catalog.change_accounts(|accounts| accounts.open_spare(kept));
            if let Some(identity) = spare {
                return Ok(self.open(identity, RECORDS_START)?);
            }
            self.core.prepare_small()?;
        }
    }

    fn add(&mut self, batch: &mut Batch, record: NewRecord<'_>) -> Location {
        let opened = self.small.as_ref().expect("room was made");
        let seq = self.next_seq;
        self.next_seq += 1;
        let start = batch.headers.len();
        let header = RecordHeader {
            kind: record.kind,
            seq,
            synced_seq: self.synced_seq,
            address: record.address,
            body_bytes: record.body_bytes,
            integrity: record.integrity,
            metadata: record.metadata,
            checksums: record.checksums,
        };
        header.encode_into(&mut batch.headers, &opened.segment.key, batch.tail);
        let header_bytes = batch.headers.len() - start;
        let location = Location {
            segment: opened.segment.identity.id,
            offset: batch.tail,
            header_bytes: u32::try_from(header_bytes).expect("checked when it came in"),
            body_bytes: record.body_bytes,
            seq,
        };
        batch.tail += location.record_bytes(SegmentKind::Small);
        batch.records.push((start..batch.headers.len(), record.body));
        batch.last_seq = seq;
        location
    }
}

/// Tombstones as the metadata of as many records as they need.
fn in_records(tombstones: &[Tombstone]) -> Vec<Vec<u8>> {
    if tombstones.is_empty() {
        return Vec::new();
    }
    let metadata = encode_tombstones(tombstones);
    if metadata.len() <= TOMBSTONE_BYTES_MAX || tombstones.len() == 1 {
        return vec![metadata];
    }
    let (first, second) = tombstones.split_at(tombstones.len() / 2);
    [in_records(first), in_records(second)].concat()
}
