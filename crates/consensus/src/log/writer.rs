//! The thread that appends: it takes all that waits, writes it as one batch to every mirror, syncs, and answers.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::Sender;
use platform::{BufferPool, DiskFile};
use types::{DiskId, RangeId};

use super::LogError;
use super::groups::{GroupLog, Location, Token};
use super::mirror::{Mirror, MirrorDisk, MirrorTask};
use super::record::{BLOCK_BYTES, BatchBuilder, RECORD_HEADER_BYTES, RecordKind, SegmentHeader, batch_bytes};
use super::registry::MirrorSet;
use super::shared::{Done, PendingRecord, Queue, Request, SegmentFiles, Shared};
use crate::encoding::{GroupState, encode_state};

/// Payload bytes after which a batch takes no further request.
const BATCH_PAYLOAD_BYTES_MAX: usize = 4 << 20;
/// Bytes of aligned buffers that are kept for the next batch.
const BATCH_BYTES_KEPT: u64 = 1 << 20;
/// How full a segment is when the next one is prepared: an idle server prepares none.
pub(super) const SPARES_FROM_BYTES: u64 = 256 << 10;
/// How long a full disk is waited for before it is tried again.
const FULL_DISK_RETRY: Duration = Duration::from_millis(250);

/// What the writer is asked for between two batches.
#[derive(Debug)]
pub(super) enum Control {
    /// A mirror is no mirror any more.
    Strike {
        /// Its disk.
        disk: DiskId,
        /// Why.
        reason: String,
    },
    /// A mirror is to be none any more, though its disk works; not the last one.
    Leave {
        /// Its disk.
        disk: DiskId,
        /// Why.
        reason: &'static str,
    },
    /// Begin a segment that is also written to this disk; answers its number, or `None` when the disk can't take it.
    /// What is older is the asker's to copy.
    Join(Arc<MirrorDisk>, Sender<Result<Option<u64>, LogError>>),
    /// The joining disk has all older segments: make it a mirror. Answers whether it is one now.
    Admit(BTreeMap<u64, Arc<dyn DiskFile>>, Sender<bool>),
    /// Forget the joining disk.
    Abandon,
}

/// A mirror in the making.
struct Joining {
    mirror: Mirror,
    /// Its files of the segments begun since it joined.
    files: BTreeMap<u64, Arc<dyn DiskFile>>,
}

/// A batch on its way.
struct Batch {
    dones: Vec<Done>,
    placed: Vec<(RangeId, u64, Token, Location)>,
    states: BTreeMap<RangeId, GroupState>,
    /// The oldest segment that is needed once the batch is durable.
    needed_from: u64,
    records: u32,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    mirrors: Vec<Mirror>,
    joining: Option<Joining>,
    header: SegmentHeader,
    /// Where the next batch begins; 0 before the first segment.
    offset: u64,
    next_seq: u64,
    /// The states that the log has, as it was written so far.
    states: BTreeMap<RangeId, GroupState>,
    /// Where a batch is laid out, and where it is aligned for writing.
    buffer: Vec<u8>,
    blocks: BufferPool,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        mirrors: Vec<Mirror>,
        states: BTreeMap<RangeId, GroupState>,
        next_seq: u64,
        last_number: u64,
    ) -> Self {
        let voter = shared.voter;
        let header = SegmentHeader { voter, number: last_number, first_seq: next_seq, bytes: 0, key: [0; 16] };
        let blocks = BufferPool::new(BATCH_BYTES_KEPT);
        Self { shared, mirrors, joining: None, header, offset: 0, next_seq, states, buffer: Vec::new(), blocks }
    }

    /// Writes the mirror set where that is due, and begins the first segment of this start.
    pub(super) fn begin(&mut self, published: bool) -> Result<(), LogError> {
        // A set that existed must be right before anything is written; a new one counts only once its log is there.
        let new = self.header.number == 0;
        if !new && !published {
            self.publish()?;
        }
        self.begin_segment(0)?;
        if new { self.publish() } else { Ok(()) }
    }

    /// Takes requests until the log is closed or fails.
    pub(super) fn run(mut self) {
        platform::prefer_short_slices();
        loop {
            let (requests, controls, closing) = self.next();
            let controlled = controls.into_iter().try_for_each(|control| self.control(control));
            if let Err((error, requests)) = match controlled {
                Ok(()) => self.append_all(requests),
                Err(error) => Err((error, requests)),
            } {
                self.fail(error, requests);
                return;
            }
            if closing {
                // What was noted but not worth a batch of its own.
                if let Err((error, _)) = self.append(Vec::new()) {
                    tracing::error!(%error, "the log could not be closed cleanly");
                }
                return;
            }
        }
    }

    /// Waits for something to do.
    fn next(&mut self) -> (Vec<Request>, Vec<Control>, bool) {
        let shared = self.shared.clone();
        let mut queue = shared.queue.lock();
        while queue.requests.is_empty() && queue.controls.is_empty() && !queue.closing {
            shared.wake_writer.wait(&mut queue);
        }
        let Queue { requests, controls, closing, .. } = &mut *queue;
        (std::mem::take(requests), std::mem::take(controls), *closing)
    }

    /// Appends all requests, in as many batches as their size asks for; on failure, returns those without an answer.
    fn append_all(&mut self, requests: Vec<Request>) -> Result<(), (LogError, Vec<Request>)> {
        let mut waiting = requests.into_iter().peekable();
        while waiting.peek().is_some() {
            let mut taken = Vec::new();
            let mut bytes = 0;
            while bytes <= BATCH_PAYLOAD_BYTES_MAX
                && let Some(request) = waiting.next()
            {
                bytes += request.records.iter().map(PendingRecord::bytes).sum::<usize>();
                taken.push(request);
            }
            if let Err((error, dones)) = self.append(taken) {
                let unanswered =
                    dones.into_iter().map(|done| Request { group: RangeId(0), records: Vec::new(), done: Some(done) });
                return Err((error, unanswered.chain(waiting).collect()));
            }
        }
        Ok(())
    }

    /// Writes one batch and answers its requests.
    fn append(&mut self, requests: Vec<Request>) -> Result<(), (LogError, Vec<Done>)> {
        let upper_bound = self.bytes_at_most(&requests);
        if self.offset + upper_bound > self.header.bytes
            && let Err(error) = self.begin_segment(upper_bound)
        {
            return Err((error, requests.into_iter().filter_map(|request| request.done).collect()));
        }
        let (batch, bytes) = self.build(requests);
        if batch.records == 0 {
            self.buffer = bytes;
        } else if let Err(error) = self.write(bytes) {
            return Err((error, batch.dones));
        }
        self.next_seq += u64::from(batch.records);
        {
            let mut groups = self.shared.groups.lock();
            for (range, index, token, location) in batch.placed {
                groups.entry(range).or_default().locate(index, token, location);
            }
        }
        self.shared.tell_of_batch();
        self.states = batch.states;
        for done in batch.dones {
            done(Ok(()));
        }
        if self.shared.needed_from.swap(batch.needed_from, Ordering::Relaxed) != batch.needed_from {
            self.shared.call_keeper();
        }
        Ok(())
    }

    /// Bytes that the batch of these requests takes, if every group's state goes with it.
    fn bytes_at_most(&self, requests: &[Request]) -> u64 {
        /// A state record's payload is shorter.
        const STATE_BYTES_MAX: usize = 128;
        let records = requests.iter().flat_map(|request| &request.records).map(PendingRecord::bytes);
        let groups = self.shared.groups.lock().len();
        batch_bytes(records.chain(std::iter::repeat_n(STATE_BYTES_MAX, groups)))
    }

    /// Lays out a batch: first the states that changed, or at a segment's head all of them, then the requests.
    fn build(&mut self, requests: Vec<Request>) -> (Batch, Vec<u8>) {
        let at_head = self.offset == BLOCK_BYTES as u64;
        let mut builder = BatchBuilder::new(&self.header, self.offset, self.next_seq, std::mem::take(&mut self.buffer));
        let mut states = self.states.clone();
        let needed_from = {
            let groups = self.shared.groups.lock();
            for (range, log) in &*groups {
                let state = states.entry(*range).or_default();
                let changed = state.committed != log.state.committed || state.purged != log.state.purged;
                // The vote is not taken from here: it counts from the request that saves it.
                state.committed = log.state.committed;
                state.purged = log.state.purged;
                if changed || at_head {
                    builder.push(RecordKind::State, *range, &[&encode_state(state)]);
                }
            }
            groups.values().filter_map(GroupLog::oldest_segment).min().unwrap_or(u64::MAX).min(self.header.number)
        };
        let mut dones = Vec::with_capacity(requests.len());
        let mut placed = Vec::new();
        for request in requests {
            let group = request.group;
            for record in request.records {
                match record {
                    PendingRecord::Entry { index, token, head, body } => {
                        let offset = builder.push(RecordKind::Entry, group, &[&head, &body]);
                        placed.push((group, index, token, self.location(offset, head.len() + body.len())));
                    }
                    PendingRecord::Vote(vote) => {
                        let state = states.entry(group).or_default();
                        state.vote = Some(vote);
                        builder.push(RecordKind::State, group, &[&encode_state(state)]);
                    }
                    PendingRecord::Truncate(payload) => {
                        builder.push(RecordKind::Truncate, group, &[&payload]);
                    }
                    // Went with the changed states.
                    PendingRecord::State => {}
                }
            }
            dones.extend(request.done);
        }
        let records = builder.records();
        (Batch { dones, placed, states, needed_from, records }, builder.finish(self.next_seq - 1))
    }

    fn location(&self, offset: u64, payload_bytes: usize) -> Location {
        Location {
            segment: self.header.number,
            offset: u32::try_from(offset).expect("segments are shorter than 4 GiB"),
            bytes: u32::try_from(RECORD_HEADER_BYTES + payload_bytes).expect("records are shorter than 4 GiB"),
        }
    }

    /// Writes and syncs a batch on every mirror; the ones that fail are struck before this returns.
    fn write(&mut self, bytes: Vec<u8>) -> Result<(), LogError> {
        let length = bytes.len() as u64;
        let mut blocks = self.blocks.take(bytes.len());
        blocks.copy_from_slice(&bytes);
        self.run_on_all(&MirrorTask::Append { offset: self.offset, bytes: Arc::new(blocks) })?;
        let asked_for_spares = self.offset >= SPARES_FROM_BYTES;
        self.offset += length;
        if self.offset >= SPARES_FROM_BYTES && !asked_for_spares {
            self.shared.call_keeper();
        }
        self.shared.appended_bytes.fetch_add(length, Ordering::Relaxed);
        self.buffer = bytes;
        Ok(())
    }

    /// Begins a segment with room for a batch of `needed_bytes`; while no mirror's disk has space for one, waits.
    fn begin_segment(&mut self, needed_bytes: u64) -> Result<(), LogError> {
        while !self.try_begin_segment(needed_bytes)? {
            self.shared.low_space.store(true, Ordering::Relaxed);
            self.shared.call_keeper();
            let controls = {
                let mut queue = self.shared.queue.lock();
                if queue.closing {
                    return Err(LogError::Failed { reason: "no mirror's disk has space".to_owned() });
                }
                if queue.controls.is_empty() {
                    self.shared.wake_writer.wait_for(&mut queue, FULL_DISK_RETRY);
                }
                std::mem::take(&mut queue.controls)
            };
            // The way out is a mirror on another disk.
            controls.into_iter().try_for_each(|control| self.control(control))?;
        }
        Ok(())
    }

    /// Full size where every mirror has one prepared, and not as the first after a start; else small.
    fn next_header(&self, needed_bytes: u64) -> SegmentHeader {
        let settings = &self.shared.settings;
        let prepared = self.mirrors.iter().all(|mirror| mirror.disk.spares(settings.segment_bytes) > 0);
        let bytes = if prepared && self.offset > 0 { settings.segment_bytes } else { settings.first_segment_bytes };
        let bytes = bytes.max((BLOCK_BYTES as u64 + needed_bytes).next_multiple_of(BLOCK_BYTES as u64));
        let number = self.header.number + 1;
        SegmentHeader {
            voter: self.shared.voter,
            number,
            first_seq: self.next_seq,
            bytes,
            key: self.shared.entropy.id(),
        }
    }

    /// Begins a segment; `false` when no mirror's disk has space for it, and the old one is still the open one.
    fn try_begin_segment(&mut self, needed_bytes: u64) -> Result<bool, LogError> {
        let header = self.next_header(needed_bytes);
        let task = MirrorTask::Begin(header);
        let mut answers = ask_all(self.mirrors.iter_mut().collect(), &task);
        let full = |answer: &io::Result<_>| matches!(answer, Err(error) if error.kind() == io::ErrorKind::StorageFull);
        if answers.iter().all(|(_, answer)| full(answer)) {
            return Ok(false);
        }
        // The joining one comes after: it must not have a segment that the mirrors don't have.
        let joining = self.joining.as_mut().map(|joining| &mut joining.mirror);
        answers.extend(ask_all(joining.into_iter().collect(), &task));
        let mut files = Vec::new();
        let mut failed = Vec::new();
        for (disk, answer) in answers {
            match answer {
                Ok(file) => files.extend(file.map(|file| (disk, file))),
                Err(error) => failed.push((disk, error.to_string())),
            }
        }
        if let Some(joining) = &mut self.joining
            && let Some(at) = files.iter().position(|(disk, _)| *disk == joining.mirror.disk.id)
        {
            joining.files.insert(header.number, files.swap_remove(at).1);
        }
        self.shared.segments.lock().insert(header.number, SegmentFiles { header, files });
        self.header = header;
        self.offset = BLOCK_BYTES as u64;
        self.strike(failed)?;
        self.shared.call_keeper();
        Ok(true)
    }

    fn run_on_all(&mut self, task: &MirrorTask) -> Result<(), LogError> {
        let joining = self.joining.as_mut().map(|joining| &mut joining.mirror);
        let answers = ask_all(self.mirrors.iter_mut().chain(joining).collect(), task);
        let failed = answers.into_iter().filter_map(|(disk, answer)| Some((disk, answer.err()?.to_string())));
        self.strike(failed.collect())
    }

    /// Takes mirrors that failed out of the set, durably on those that are left.
    fn strike(&mut self, failed: Vec<(DiskId, String)>) -> Result<(), LogError> {
        if failed.is_empty() {
            return Ok(());
        }
        let Some(reason) = failed.last().map(|(_, reason)| reason.clone()) else { return Ok(()) };
        let before = self.mirrors.len();
        for (disk, reason) in failed {
            tracing::error!(%disk, reason, "a log mirror has failed");
            self.forget(disk);
        }
        if self.mirrors.is_empty() {
            return Err(LogError::Failed { reason });
        }
        if self.mirrors.len() == before { Ok(()) } else { self.publish() }
    }

    /// Takes a mirror out of the set that works. Its own disk is told before anything more is acknowledged: its log will be
    /// behind, and must not be taken for the voter's should the other mirrors be lost.
    fn leave(&mut self, disk: DiskId, reason: &str) -> Result<(), LogError> {
        let (leaves, disks): (Vec<_>, Vec<_>) =
            self.mirrors.iter().map(|mirror| mirror.disk.id).partition(|mirror| *mirror == disk);
        if leaves.is_empty() || disks.is_empty() {
            return Ok(());
        }
        // As it is published then.
        let generation = self.shared.set.lock().generation + 1;
        let set = MirrorSet { voter: self.shared.voter, generation, disks };
        if let Err(error) = self.shared.registry.write(disk, &set) {
            return self.strike(vec![(disk, format!("{reason}, and can't be told so: {error}"))]);
        }
        tracing::info!(%disk, reason, "a log mirror leaves its disk");
        self.forget(disk);
        self.publish()
    }

    fn forget(&mut self, disk: DiskId) {
        if self.joining.as_ref().is_some_and(|joining| joining.mirror.disk.id == disk) {
            self.joining = None;
        }
        self.mirrors.retain(|mirror| mirror.disk.id != disk);
        self.shared.mirrors.lock().retain(|mirror| mirror.id != disk);
        for segment in self.shared.segments.lock().values_mut() {
            segment.files.retain(|(on, _)| *on != disk);
        }
    }

    /// Writes the next generation of the set, with the mirrors as they are, to each of them; the keeper tells the other
    /// disks. A mirror that can't take it is none.
    fn publish(&mut self) -> Result<(), LogError> {
        loop {
            let generation = self.shared.set.lock().generation + 1;
            let disks = self.mirrors.iter().map(|mirror| mirror.disk.id).collect();
            let set = MirrorSet { voter: self.shared.voter, generation, disks };
            let refusal = |disk: &DiskId| Some((*disk, self.shared.registry.write(*disk, &set).err()?.to_string()));
            let refused: Vec<(DiskId, String)> = set.disks.iter().filter_map(refusal).collect();
            *self.shared.set.lock() = set;
            let Some((_, reason)) = refused.last().cloned() else { break };
            for (disk, reason) in refused {
                tracing::error!(%disk, reason, "a superblock can't take the mirror set");
                self.forget(disk);
            }
            if self.mirrors.is_empty() {
                return Err(LogError::Failed { reason });
            }
        }
        self.shared.call_keeper();
        Ok(())
    }

    fn control(&mut self, control: Control) -> Result<(), LogError> {
        match control {
            Control::Strike { disk, reason } => return self.strike(vec![(disk, reason)]),
            Control::Leave { disk, reason } => return self.leave(disk, reason),
            Control::Join(disk, answer) => {
                let joined = self.join(disk);
                let _ = answer.send(joined.clone());
                return joined.map(drop);
            }
            Control::Admit(older, answer) => {
                let _ = answer.send(self.admit(older)?);
            }
            Control::Abandon => self.joining = None,
        }
        Ok(())
    }

    /// Has the new mirror written to from a segment on that it gets too; `None` when it can't take it. An error is the
    /// log's end.
    fn join(&mut self, disk: Arc<MirrorDisk>) -> Result<Option<u64>, LogError> {
        let Ok(mirror) = Mirror::start(disk) else { return Ok(None) };
        self.joining = Some(Joining { mirror, files: BTreeMap::new() });
        if !self.try_begin_segment(0)? {
            // Without space for another segment on the mirrors, it gets the open one as it is, while appends wait.
            self.share_open_segment();
        }
        Ok(self.joining.as_ref().map(|_| self.header.number))
    }

    fn share_open_segment(&mut self) {
        let number = self.header.number;
        let files = self.shared.segments.lock().get(&number).map(|segment| segment.files.clone());
        let source = files.and_then(|files| files.into_iter().next());
        let (Some((_, source)), Some(joining)) = (source, self.joining.as_mut()) else {
            self.joining = None;
            return;
        };
        match joining.mirror.run(MirrorTask::Take { number, source, end: self.offset, bytes: self.header.bytes }) {
            Ok(Some(file)) => {
                joining.files.insert(number, file);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(disk = %joining.mirror.disk.id, %error, "a log mirror can't be begun");
                self.joining = None;
            }
        }
    }

    fn admit(&mut self, older: BTreeMap<u64, Arc<dyn DiskFile>>) -> Result<bool, LogError> {
        let Some(Joining { mirror, files }) = self.joining.take() else { return Ok(false) };
        let id = mirror.disk.id;
        {
            let mut segments = self.shared.segments.lock();
            for (number, file) in older.into_iter().chain(files) {
                if let Some(segment) = segments.get_mut(&number) {
                    segment.files.push((id, file));
                }
            }
        }
        self.shared.mirrors.lock().push(mirror.disk.clone());
        self.mirrors.push(mirror);
        self.publish()?;
        Ok(self.mirrors.iter().any(|mirror| mirror.disk.id == id))
    }

    /// Answers everybody with the failure, now and from now on.
    fn fail(&mut self, error: LogError, requests: Vec<Request>) {
        self.shared.failure.report(error.to_string());
        let waiting = {
            let mut queue = self.shared.queue.lock();
            queue.failed = Some(error.clone());
            queue.controls.clear();
            std::mem::take(&mut queue.requests)
        };
        self.shared.tell_of_batch();
        self.shared.call_keeper();
        for request in requests.into_iter().chain(waiting) {
            if let Some(done) = request.done {
                done(Err(error.clone()));
            }
        }
    }
}

/// Has several mirrors do the same, at the same time.
fn ask_all(mut asked: Vec<&mut Mirror>, task: &MirrorTask) -> Vec<(DiskId, super::mirror::Done)> {
    if let [only] = &mut asked[..] {
        return vec![(only.disk.id, only.run(task.clone()))];
    }
    for mirror in &asked {
        mirror.give(task.clone());
    }
    asked.into_iter().map(|mirror| (mirror.disk.id, mirror.wait())).collect()
}

impl PendingRecord {
    fn bytes(&self) -> usize {
        match self {
            Self::Entry { head, body, .. } => head.len() + body.len(),
            Self::Vote(_) | Self::State => 128,
            Self::Truncate(payload) => payload.len(),
        }
    }
}
