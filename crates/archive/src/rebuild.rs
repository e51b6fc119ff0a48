//! An index that was lost, made again: the archived rows and log, then, from the shard headers, what is whole and younger.
//!
//! All of it happens in a database of its own, which counts only once a new log begins over it; a rebuild that breaks
//! off leaves nothing, and can be begun again. What headers say is sorted in that database too, so memory doesn't grow
//! with what lies on the disks. Everything blocks: it runs on a thread of its own.

mod assemble;
mod lost_layout;
mod report;
mod scan;
mod unproven;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use index::command::FormCluster;
use index::{
    Command, CommandBody, FIRST_DATA_RANGE, IndexDatabase, IndexDatabaseError, IndexSettings, Query, QueryAnswer,
    RangeEntry, SYSTEM_RANGE, ScratchEntry, SeenInUse,
};
use objects::data::DataPath;
use objects::records::NamedRecord;
use parking_lot::Mutex;
use platform::{Clock, Entropy};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shards::{ArchiveService, ShardService};
use sqlite_vfs::DatabaseLocation;
use tokio::runtime::Handle;
use types::{
    BucketId, BucketName, CommitStamp, DiskId, HomeKey, Layout, NodeId, Owner, Profile, RangeId, RequestNumber, RunId,
    StorageClass, TicketId,
};

pub use lost_layout::{EmptyPlace, PresentDisk};
pub use report::{Keys, NamedKey, RebuildReport, Totals};

use crate::restore::{FoundArchive, archived_ranges, restore_range};
use assemble::{Assembled, Incomplete};
use lost_layout::{LostLayout, short_groups};
use scan::{FoundRun, RunLister, RunShards, Seen};
use unproven::Unproven;

/// The ranges of a node, until ranges split.
const RANGES: [RangeId; 2] = [SYSTEM_RANGE, FIRST_DATA_RANGE];
/// The WAL of the database that is built is emptied when it is so long.
const WAL_BYTES_MAX: u64 = 64 << 20;
/// Entries of the scratch that are read or written at once.
const SCRATCH_PAGE: usize = 500;
/// Garbage rows of one page.
const GARBAGE_PAGE: usize = 1000;
/// What the scratch's keys begin with: runs by their home, bodies by when they were begun.
const RUNS: u8 = b'r';
const BODIES: u8 = b's';
const SCRATCH_END: u8 = b't';

/// Why an index was not rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The database that is built.
    #[error("the database that is built can't be written")]
    Database(#[from] IndexDatabaseError),
    /// The archive.
    #[error("the archive can't be read: {reason}")]
    Archive {
        /// What is wrong.
        reason: String,
    },
    /// Disks that should be here are not.
    #[error("{reason}; bring them back, or say that what only they have may be lost (--accept-loss)")]
    DisksMissing {
        /// Which, and what for.
        reason: String,
    },
    /// Memory was not free in time.
    #[error("the memory for reading bodies is not free")]
    Memory,
}

/// What a rebuild works with.
pub struct RebuildParts {
    /// The disks that are here.
    pub disks: Vec<PresentDisk>,
    /// Directories where others may have been.
    pub empty: Vec<EmptyPlace>,
    /// Their shards.
    pub shards: Arc<dyn ShardService>,
    /// Their archive files.
    pub archive: Arc<dyn ArchiveService>,
    /// A data path over a layout.
    pub data: Box<dyn Fn(Layout) -> DataPath + Send>,
    /// The wanted profile of each storage class, STANDARD's among them.
    pub classes: BTreeMap<StorageClass, Profile>,
    /// The first rows of a cluster that the archive doesn't know; the layout is made here.
    pub form: FormCluster,
    /// The node.
    pub node: NodeId,
    /// Randomness of ids.
    pub entropy: Arc<dyn Entropy>,
    /// The clock, for what is made now.
    pub clock: Arc<dyn Clock>,
    /// Where the database is built; nothing may be there.
    pub built: DatabaseLocation,
    /// How it is opened.
    pub index: IndexSettings,
    /// Whether what only missing disks have may be lost.
    pub accept_loss: bool,
}

/// How far a rebuild is.
#[derive(Debug, Clone, Default)]
pub struct RebuildProgress(Arc<Mutex<ProgressNow>>);

/// How far a rebuild is, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgressNow {
    /// What it does.
    pub phase: &'static str,
    /// Of `all`; records, shards or bodies, by the phase.
    pub done: u64,
    /// 0 where it is not known.
    pub all: u64,
    /// Bytes of bodies that were read and verified.
    pub read_bytes: u64,
}

impl RebuildProgress {
    /// How far it is.
    pub fn now(&self) -> ProgressNow {
        self.0.lock().clone()
    }

    /// Another phase begins.
    pub fn begin(&self, phase: &'static str) {
        let mut now = self.0.lock();
        (now.phase, now.done, now.all) = (phase, 0, 0);
    }

    pub(crate) fn note_step(&self, done: u64, all: u64) {
        let mut now = self.0.lock();
        (now.done, now.all) = (done, all);
    }

    pub(crate) fn note_read(&self, bytes: u64) {
        self.0.lock().read_bytes += bytes;
    }
}

/// A thread that may wait for what is asynchronous.
pub(crate) struct Blocking {
    handle: Handle,
    pub(crate) progress: RebuildProgress,
}

impl Blocking {
    pub(crate) fn new(handle: Handle, progress: RebuildProgress) -> Self {
        Self { handle, progress }
    }

    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }
}

/// Builds the database of a lost index; blocks, and so must run where that may be.
///
/// # Errors
/// [`RebuildError`]; what was built so far is of no use then.
pub fn rebuild(parts: &RebuildParts, handle: Handle, progress: RebuildProgress) -> Result<RebuildReport, RebuildError> {
    let blocking = Blocking::new(handle, progress);
    let database = IndexDatabase::open(parts.built.clone(), parts.index.clone())?;
    Rebuild {
        parts,
        blocking,
        database,
        seen: Seen::default(),
        names: BTreeMap::new(),
        report: RebuildReport::default(),
    }
    .run()
}

struct Rebuild<'a> {
    parts: &'a RebuildParts,
    blocking: Blocking,
    database: IndexDatabase,
    seen: Seen,
    /// What headers call buckets.
    names: BTreeMap<BucketId, BucketName>,
    report: RebuildReport,
}

impl Rebuild<'_> {
    fn run(mut self) -> Result<RebuildReport, RebuildError> {
        self.restore()?;
        self.form()?;
        self.database.begin_scratch()?;
        self.scan()?;
        let layout = self.lay_out()?;
        let before = self.database.last_stamp(FIRST_DATA_RANGE)?;
        let bodies = self.assemble()?;
        self.add(&(self.parts.data)(layout), before, bodies)?;
        self.database.end_scratch()?;
        let seen = SeenInUse { ticket: self.seen.ticket, bucket: self.seen.bucket };
        self.database.raise_above(seen, &RANGES)?;
        self.tell()?;
        self.database.checkpoint()?;
        Ok(self.report)
    }

    fn disk_ids(&self) -> Vec<DiskId> {
        self.parts.disks.iter().map(|disk| disk.row.id).collect()
    }

    /// Takes the archives of all ranges in.
    fn restore(&mut self) -> Result<(), RebuildError> {
        let disks = self.disk_ids();
        let mut ranges = self.blocking.wait(archived_ranges(&*self.parts.archive, &disks));
        ranges.extend(RANGES);
        for range in ranges {
            self.blocking.progress.begin("archive");
            let service = &*self.parts.archive;
            let found = self.blocking.wait(FoundArchive::look(service, &disks, range));
            let missing = found.missing(&disks);
            if !missing.is_empty() && !self.parts.accept_loss {
                let reason =
                    format!("the archive of range {range} lies on disks that are not here: {}", list(&missing));
                return Err(RebuildError::DisksMissing { reason });
            }
            match restore_range(&self.blocking, service, &found, range, &mut self.database)? {
                Ok(restored) => self.report.restored.push(restored),
                Err(reason) => self.report.without_archive.push((range, reason)),
            }
        }
        self.database.merge_ranges()?;
        Ok(())
    }

    /// Writes the cluster's first rows where no archive has them; the root credential that lies on the disks goes on.
    fn form(&mut self) -> Result<(), RebuildError> {
        let form = CommandBody::Form(Box::new(self.parts.form.clone()));
        let root = CommandBody::PutCredential(self.parts.form.root.clone());
        let command = |body| Command { request: None, answered: RequestNumber(0), body };
        let entry = RangeEntry {
            range: SYSTEM_RANGE,
            applied: Bytes::new(),
            membership: None,
            time: self.parts.clock.now(),
            commands: [form, root].map(command).to_vec(),
        };
        self.database.apply(&[entry])?;
        Ok(())
    }

    fn archived(&self, range: RangeId) -> bool {
        self.report.restored.iter().any(|restored| restored.range == range)
    }

    /// Lists all runs; those that the archive doesn't know come into the scratch, if they are whole.
    fn scan(&mut self) -> Result<(), RebuildError> {
        self.blocking.progress.begin("shard headers");
        let parts = self.parts;
        let service = &*parts.shards;
        let floor = self.database.floor(FIRST_DATA_RANGE)?;
        let known = self.garbage(floor)?;
        let mut lister = RunLister::new(service, &self.disk_ids());
        let mut entries: Vec<ScratchEntry> = Vec::new();
        while let Some(run) = self.blocking.wait(lister.next()) {
            self.blocking.progress.note_step(lister.shards, 0);
            self.seen.ticket = self.seen.ticket.max(run.run.ticket);
            self.seen.groups.insert(run.group);
            if !self.archived(SYSTEM_RANGE) {
                self.learn_name(&run);
            }
            // Below the floor nothing can have been committed that the archive doesn't know.
            if run.run.ticket < floor || known.contains(&run.run) {
                continue;
            }
            if let Some(found) = self.candidate(&run)? {
                let key = run_key(&found);
                entries.push((key, encode(&found)));
            }
            if entries.len() == SCRATCH_PAGE {
                self.database.put_scratch(&std::mem::take(&mut entries))?;
                settle_wal(&mut self.database)?;
            }
        }
        self.database.put_scratch(&entries)?;
        Ok(())
    }

    /// What a run's header calls its bucket, where no archive says it.
    fn learn_name(&mut self, run: &RunShards) {
        let header = self.blocking.wait(run.header(&*self.parts.shards, 0));
        let Some(record) = header.as_ref().and_then(|header| header.part_metadata.as_ref()) else { return };
        if let (Some(header), Ok(NamedRecord { bucket: Some(name), .. })) = (&header, NamedRecord::decode(record)) {
            self.names.insert(header.home.bucket, name);
        }
    }

    /// A run that no row names and whose first stripes are whole.
    fn candidate(&mut self, run: &RunShards) -> Result<Option<FoundRun>, RebuildError> {
        let service = &*self.parts.shards;
        let Some(header) = self.blocking.wait(run.any_header(service)) else { return Ok(None) };
        self.seen.bucket = self.seen.bucket.max(header.home.bucket);
        if header.form == types::RunForm::Striped {
            self.seen.profiles.entry(run.group).or_insert(header.profile);
        }
        let HomeKey { bucket, key } = header.home.clone();
        if let QueryAnswer::RunLives(true) = self.database.query(&Query::RunLives { bucket, key, run: run.run })? {
            return Ok(None);
        }
        let whole = self.blocking.wait(run.whole(service));
        if whole.is_none() {
            // Where its beginning is missing, nothing says what it was; a later run of a part is missed by its first.
            if header.part_offset == 0 {
                self.report.incomplete.add(&header.home, None, "its first stripe is not all there");
            }
        }
        Ok(whole)
    }

    /// The runs of live tickets that the archive knows to have been given up.
    fn garbage(&mut self, floor: TicketId) -> Result<HashSet<RunId>, RebuildError> {
        let (mut runs, mut after) = (HashSet::new(), None);
        loop {
            let query =
                Query::Garbage { freed_before: CommitStamp(u64::MAX), after: after.take(), limit: GARBAGE_PAGE };
            let QueryAnswer::Garbage(rows) = self.database.query(&query)? else { return Ok(runs) };
            runs.extend(rows.iter().map(|row| row.run.id).filter(|run| run.ticket >= floor));
            match rows.last() {
                Some(last) if rows.len() == GARBAGE_PAGE => after = Some(last.row.clone()),
                _ => return Ok(runs),
            }
        }
    }

    /// Writes the layout, if enough disks are here for it.
    fn lay_out(&mut self) -> Result<Layout, RebuildError> {
        let archived = match self.database.query(&Query::Cluster)? {
            QueryAnswer::Cluster(Some(view)) if self.archived(SYSTEM_RANGE) => Some(view.layout),
            _ => None,
        };
        let is_archived = archived.is_some();
        let wanted: Vec<Profile> = self.parts.classes.values().copied().collect();
        let lost = LostLayout {
            archived,
            node: self.parts.node,
            disks: &self.parts.disks,
            empty: &self.parts.empty,
            wanted: &wanted,
            seen: &self.seen,
        };
        let layout = lost.assemble(&*self.parts.entropy);
        let present: BTreeSet<DiskId> = self.disk_ids().into_iter().collect();
        let short = short_groups(&layout, &present, &self.seen, is_archived);
        if let Some(worst) = short.iter().min_by_key(|short| short.present) {
            let reason = format!(
                "too few disks are here: of placement group {} only {} of the {} that a read needs, and {} such groups",
                worst.group,
                worst.present,
                worst.needed,
                short.len()
            );
            if !self.parts.accept_loss {
                return Err(RebuildError::DisksMissing { reason });
            }
            self.report.notes.push(reason);
        }
        self.database.put_lost_layout(&layout)?;
        Ok(layout)
    }

    /// Puts the runs of each key together; returns how many bodies there are.
    fn assemble(&mut self) -> Result<u64, RebuildError> {
        let (mut after, mut count) = (vec![RUNS], 0);
        let mut of_key: Vec<FoundRun> = Vec::new();
        let mut key: Option<Vec<u8>> = None;
        loop {
            let page = self.database.scratch(&after, &[BODIES], SCRATCH_PAGE)?;
            for (entry, value) in &page {
                let home = entry[..17].to_vec();
                if key.as_ref() != Some(&home) {
                    count += self.assemble_key(&std::mem::take(&mut of_key))?;
                    key = Some(home);
                }
                of_key.push(decode(value)?);
            }
            match page.last() {
                Some((last, _)) => after.clone_from(last),
                None => return Ok(count + self.assemble_key(&of_key)?),
            }
        }
    }

    fn assemble_key(&mut self, runs: &[FoundRun]) -> Result<u64, RebuildError> {
        let bodies = assemble::assemble(runs);
        self.names.extend(bodies.names);
        for Incomplete { home, bytes, reason } in bodies.incomplete {
            self.report.incomplete.add(&home, bytes, reason);
        }
        let entry = |(at, body): (usize, &Assembled)| (body_key(body, runs, at), encode(body));
        let entries: Vec<ScratchEntry> = bodies.assembled.iter().enumerate().map(entry).collect();
        self.database.put_scratch(&entries)?;
        settle_wal(&mut self.database)?;
        Ok(entries.len() as u64)
    }

    /// Adds the bodies in the order in which they were begun.
    fn add(&mut self, data: &DataPath, before: CommitStamp, bodies: u64) -> Result<(), RebuildError> {
        self.blocking.progress.begin("bodies");
        let owner: Owner = self.parts.form.root.owner.clone();
        let (mut after, mut done) = (vec![BODIES], 0);
        let mut made = BTreeMap::new();
        loop {
            let page = self.database.scratch(&after, &[SCRATCH_END], SCRATCH_PAGE)?;
            let mut unproven = Unproven {
                database: &mut self.database,
                blocking: &self.blocking,
                data,
                entropy: &*self.parts.entropy,
                classes: &self.parts.classes,
                names: &self.names,
                owner: &owner,
                before,
                made: std::mem::take(&mut made),
                report: &mut self.report,
            };
            for (_, value) in &page {
                self.blocking.progress.note_step(done, bodies);
                unproven.add(decode(value)?)?;
                done += 1;
            }
            match page.last() {
                Some((last, _)) => after.clone_from(last),
                None => return unproven.reconcile_buckets(),
            }
            made = unproven.made;
        }
    }

    /// Counts what there is now, and names buckets.
    fn tell(&mut self) -> Result<(), RebuildError> {
        let records = self.database.all_bucket_records()?;
        for record in &records {
            if let QueryAnswer::Usage(usage) = self.database.query(&Query::Usage(record.id))? {
                self.report.totals.objects += usage.objects;
                self.report.totals.versions += usage.versions;
                self.report.totals.markers += usage.markers;
                self.report.totals.bytes += usage.bytes;
                self.report.totals.uploads += usage.uploads;
            }
        }
        self.report.totals.buckets = records.len() as u64;
        let name_of = |id: BucketId| {
            let record = records.iter().find(|record| record.id == id).map(|record| record.name.to_string());
            record.or_else(|| self.names.get(&id).map(ToString::to_string))
        };
        let RebuildReport { unproven, incomplete, left_out, .. } = &mut self.report;
        [unproven, incomplete, left_out].into_iter().for_each(|keys| keys.name_buckets(name_of));
        Ok(())
    }
}

/// Empties the WAL of the database that is built, where it is long.
pub(crate) fn settle_wal(database: &mut IndexDatabase) -> Result<(), RebuildError> {
    if database.wal_bytes() > WAL_BYTES_MAX {
        database.checkpoint()?;
    }
    Ok(())
}

/// Runs of one key lie together, each part's in its order.
fn run_key(found: &FoundRun) -> Vec<u8> {
    let mut key = vec![RUNS];
    key.extend_from_slice(&hash_of(&found.home));
    key.extend_from_slice(&found.part.to_be_bytes());
    key.extend_from_slice(&found.offset.to_be_bytes());
    key.extend_from_slice(&found.run.id.to_bytes());
    key
}

/// Bodies in the order in which they were begun; loose parts last, when every upload that was completed is.
fn body_key(body: &Assembled, runs: &[FoundRun], at: usize) -> Vec<u8> {
    let (last, began) = match body {
        Assembled::Object { body, .. } => (0, body.began),
        Assembled::Completed { manifest, .. } => (0, manifest.began),
        Assembled::LoosePart { body, .. } => (1, body.began),
    };
    let mut key = vec![BODIES, last];
    key.extend_from_slice(&began.0.to_be_bytes());
    key.extend_from_slice(&runs.first().map(|run| hash_of(&run.home)).unwrap_or_default());
    key.extend_from_slice(&(at as u64).to_be_bytes());
    key
}

fn hash_of(home: &HomeKey) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&home.bucket.0.to_be_bytes()).update(home.key.as_bytes());
    *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("plain data can be encoded")
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RebuildError> {
    let damaged = |error: postcard::Error| IndexDatabaseError::Damaged { reason: error.to_string() };
    Ok(postcard::from_bytes(bytes).map_err(damaged)?)
}

fn list(disks: &[DiskId]) -> String {
    disks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
