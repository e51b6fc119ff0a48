//! What a start makes of the mirrors: which of them count, what they hold, and how they are made equal.
//!
//! Every mirror of the set has all that was acknowledged. They may differ in what was under way when the process
//! ended: the longest tail is kept, the others are brought up to it. A mirror is out when it can't be read, when a
//! record is bad that had been synced (in a segment that has a successor, or at or below a sequence that any mirror
//! says was synced), or when it ends before such a record. What is out is struck from the set before anything is
//! appended. The open segment is never continued: the next one's header says where it ends, so that what lies behind
//! the end, a torn batch for one, can't come back.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use platform::{Disk, DiskFile, Entropy, OpenOptions};
use types::{DiskId, RangeId, VoterId};

use super::groups::{GroupLog, Location};
use super::mirror::{MirrorDisk, copy_range, segment_number};
use super::record::{BLOCK_BYTES, Record, RecordKind, SegmentHeader};
use super::registry::{MirrorRegistry, MirrorSet, newest};
use super::scan::{Scan, scan_segment};
use super::shared::SegmentFiles;
use super::{Disks, LogError, LogSettings};
use crate::encoding::{MalformedError, decode_entry_id, decode_state, decode_truncate};

/// A log that is ready for its next segment.
pub(super) struct Recovered {
    /// The mirrors that are whole, at the generation that the registry has.
    pub(super) set: MirrorSet,
    /// Whether the registry has it so already; else it is to be written before anything is appended.
    pub(super) published: bool,
    pub(super) mirrors: Vec<Arc<MirrorDisk>>,
    pub(super) groups: BTreeMap<RangeId, GroupLog>,
    pub(super) segments: BTreeMap<u64, SegmentFiles>,
    pub(super) next_seq: u64,
    pub(super) last_number: u64,
}

/// Finds the log of these disks, or begins one where there is none; under `new_voter`, one that supersedes what is
/// there.
pub(super) fn recover(
    disks: &Disks,
    registry: &dyn MirrorRegistry,
    settings: &LogSettings,
    entropy: &dyn Entropy,
    new_voter: Option<VoterId>,
) -> Result<Recovered, LogError> {
    let found = registry.read().map_err(|error| LogError::Registry { reason: error.to_string() })?;
    match (newest(found), new_voter) {
        (Some(set), None) => recover_set(set, disks, settings),
        (set, new_voter) => {
            let voter = new_voter.unwrap_or_else(|| VoterId::from_bytes(entropy.id()));
            begin(voter, set.map_or(0, |set| set.generation), disks, settings)
        }
    }
}

fn begin(voter: VoterId, generation: u64, disks: &Disks, settings: &LogSettings) -> Result<Recovered, LogError> {
    let mut mirrors = Vec::new();
    let mut reason = None;
    for (id, disk) in disks {
        if mirrors.len() == settings.mirrors.max(1) {
            break;
        }
        let mirror = MirrorDisk::new(*id, disk.clone(), voter);
        match mirror.create_directory() {
            Ok(()) => mirrors.push(Arc::new(mirror)),
            Err(error) => {
                tracing::error!(disk = %id, %error, "a disk can't take a log mirror");
                reason = Some(error.to_string());
            }
        }
    }
    if mirrors.is_empty() {
        return Err(reason.map_or(LogError::NoDisk, |reason| LogError::Failed { reason }));
    }
    tracing::info!(%voter, mirrors = mirrors.len(), "a new log begins");
    Ok(Recovered {
        set: MirrorSet { voter, generation, disks: mirrors.iter().map(|mirror| mirror.id).collect() },
        published: false,
        mirrors,
        groups: BTreeMap::new(),
        segments: BTreeMap::new(),
        next_seq: 1,
        last_number: 0,
    })
}

fn recover_set(set: MirrorSet, disks: &Disks, settings: &LogSettings) -> Result<Recovered, LogError> {
    let mut out: Vec<(DiskId, String)> = Vec::new();
    let mut candidates = Vec::new();
    for id in &set.disks {
        let disk = disks.iter().find(|(known, _)| known == id).map(|(_, disk)| disk.clone());
        let contents = match disk {
            Some(disk) => Contents::load(*id, disk, set.voter, settings),
            None => Err("the disk is not here".to_owned()),
        };
        match contents {
            Ok(contents) => candidates.push(contents),
            Err(reason) => out.push((*id, reason)),
        }
    }
    // Whatever any mirror says was synced, all must have.
    let synced = candidates.iter().map(Contents::synced_seq).max().unwrap_or(0);
    candidates.retain(|contents| {
        let whole = contents.tail.next_seq > synced;
        if !whole {
            let reason = format!("it ends before {}, though {synced} had been synced", contents.tail.next_seq);
            out.push((contents.mirror.id, reason));
        }
        whole
    });
    candidates.sort_by_key(|contents| std::cmp::Reverse((contents.last_number(), contents.tail.next_seq)));

    let (base, replayed) = loop {
        if candidates.is_empty() {
            return Err(no_mirror(set, &out));
        }
        let base = candidates.remove(0);
        match Replayed::of(&base) {
            Ok(replayed) => break (base, replayed),
            Err(reason) => out.push((base.mirror.id, reason)),
        }
    };
    let mut whole = vec![base.mirror.clone()];
    let mut files = BTreeMap::from([(base.mirror.id, base.files())]);
    for other in candidates {
        match equalize(&base, &replayed, &other) {
            Ok(theirs) => {
                files.insert(other.mirror.id, theirs);
                whole.push(other.mirror);
            }
            Err(error) => out.push((other.mirror.id, error.to_string())),
        }
    }
    for (disk, reason) in &out {
        tracing::error!(%disk, reason, "a log mirror is out of service");
    }
    Ok(assemble(set, out.is_empty(), whole, base, replayed, &files))
}

fn assemble(
    set: MirrorSet,
    published: bool,
    whole: Vec<Arc<MirrorDisk>>,
    base: Contents,
    replayed: Replayed,
    files: &BTreeMap<DiskId, BTreeMap<u64, Arc<dyn DiskFile>>>,
) -> Recovered {
    // In the order of the old set, so that which mirror is read first doesn't change from start to start.
    let disks: Vec<DiskId> = set.disks.iter().copied().filter(|id| files.contains_key(id)).collect();
    let mirrors = disks.iter().filter_map(|id| whole.iter().find(|mirror| mirror.id == *id).cloned()).collect();
    let segment = |(number, (header, _)): (&u64, &(SegmentHeader, Arc<dyn DiskFile>))| {
        let on_disk = |id: &DiskId| files[id].get(number).map(|file| (*id, file.clone()));
        (*number, SegmentFiles { header: *header, files: disks.iter().filter_map(on_disk).collect() })
    };
    Recovered {
        segments: base.segments.iter().map(segment).collect(),
        next_seq: base.tail.next_seq,
        last_number: base.last_number(),
        groups: replayed.groups,
        set: MirrorSet { disks, ..set },
        published,
        mirrors,
    }
}

fn no_mirror(set: MirrorSet, out: &[(DiskId, String)]) -> LogError {
    let reason = out.iter().map(|(disk, reason)| format!("{disk}: {reason}")).collect::<Vec<_>>().join("; ");
    LogError::NoMirror { voter: set.voter, disks: set.disks, reason }
}

/// A mirror's segments by their numbers.
type Segments = BTreeMap<u64, (SegmentHeader, Arc<dyn DiskFile>)>;

/// What lies in one mirror's directory.
struct Contents {
    mirror: Arc<MirrorDisk>,
    /// The newest segments whose numbers follow one another.
    segments: Segments,
    /// What the last one holds.
    tail: Scan,
}

impl Contents {
    /// Reads the directory, the segments' headers, and all of the last segment.
    fn load(id: DiskId, disk: Arc<dyn Disk>, voter: VoterId, settings: &LogSettings) -> Result<Self, String> {
        let mirror = Arc::new(MirrorDisk::new(id, disk, voter));
        let segments = Self::open_segments(&mirror, settings).map_err(|error| error.to_string())?;
        let Some((_, (header, file))) = segments.last_key_value() else {
            return Err("it has no segment".to_owned());
        };
        let tail = scan_segment(&**file, header, None, &mut |_, _| Ok(())).map_err(|error| error.to_string())?;
        if tail.lost_synced_records() {
            let number = header.number;
            return Err(format!("record {} of segment {number} is bad, though it had been synced", tail.next_seq));
        }
        Ok(Self { mirror, segments, tail })
    }

    fn open_segments(mirror: &MirrorDisk, settings: &LogSettings) -> io::Result<Segments> {
        let mut segments = BTreeMap::new();
        for name in mirror.disk.list(&mirror.directory)? {
            let path = mirror.directory.join(&name);
            if let Some(number) = segment_number(&name) {
                let file = mirror.disk.open(&path, OpenOptions::EXISTING)?;
                let mut block = [0; BLOCK_BYTES];
                file.read_at(&mut block, 0)?;
                let header = SegmentHeader::decode(&block).filter(|header| header.number == number);
                let header = header.ok_or_else(|| io::Error::other(format!("{name} has no valid header")))?;
                segments.insert(number, (header, file));
            } else if let Some(bytes) = spare_bytes(mirror, &name, settings)? {
                mirror.add_spare(path, bytes);
            } else {
                // Left over from a segment that was being made.
                mirror.disk.remove(&path)?;
            }
        }
        // Segments are removed from the oldest on, but a crash may undo any of the removals: a gap is their trace.
        let mut oldest = segments.last_key_value().map_or(0, |(number, _)| *number);
        while oldest > 0 && segments.contains_key(&(oldest - 1)) {
            oldest -= 1;
        }
        Ok(segments.split_off(&oldest))
    }

    fn last_number(&self) -> u64 {
        self.segments.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// The last sequence that is known to have been synced.
    fn synced_seq(&self) -> u64 {
        let first = self.segments.last_key_value().map_or(1, |(_, (header, _))| header.first_seq);
        self.tail.synced_seq.max(first - 1)
    }

    fn files(&self) -> BTreeMap<u64, Arc<dyn DiskFile>> {
        self.segments.iter().map(|(number, (_, file))| (*number, file.clone())).collect()
    }
}

/// The length of a spare of a wanted length that was written throughout; one that was not would only be slower. Small
/// ones too: a start on a full disk has no other room for its first segment.
fn spare_bytes(mirror: &MirrorDisk, name: &str, settings: &LogSettings) -> io::Result<Option<u64>> {
    if !name.starts_with("spare-") {
        return Ok(None);
    }
    let status = mirror.disk.status(&mirror.directory.join(name))?;
    let is_whole = |bytes: &u64| status.is_some_and(|found| found.bytes == *bytes && found.allocated_bytes >= *bytes);
    Ok([settings.first_segment_bytes, settings.segment_bytes].into_iter().find(is_whole))
}

/// What the records of the base mirror say.
struct Replayed {
    groups: BTreeMap<RangeId, GroupLog>,
    /// Where the good records of each segment end.
    ends: BTreeMap<u64, u64>,
    /// The oldest segment that is needed.
    needed_from: u64,
}

impl Replayed {
    fn of(base: &Contents) -> Result<Self, String> {
        let mut groups: BTreeMap<RangeId, GroupLog> = BTreeMap::new();
        let mut ends = BTreeMap::new();
        for (number, (header, file)) in &base.segments {
            let end_seq = base.segments.get(&(number + 1)).map(|(next, _)| next.first_seq);
            let mut visit = |record: Record<'_>, offset: u64| {
                let location = Location {
                    segment: *number,
                    offset: u32::try_from(offset).map_err(io::Error::other)?,
                    bytes: u32::try_from(record.bytes()).map_err(io::Error::other)?,
                };
                let log = groups.entry(record.group).or_default();
                replay(log, &record, location).map_err(io::Error::other)
            };
            let scan = scan_segment(&**file, header, end_seq, &mut visit).map_err(|error| error.to_string())?;
            if end_seq.is_some_and(|end| scan.next_seq != end) {
                return Err(format!("record {} of segment {number} is bad", scan.next_seq));
            }
            if end_seq.is_none() {
                // What was read may only be in the page cache, and is built upon from now on.
                file.sync_data().map_err(|error| error.to_string())?;
            }
            ends.insert(*number, scan.end);
        }
        for (range, log) in &mut groups {
            log.check_recovered().map_err(|error| format!("range {range}: {error}"))?;
        }
        let oldest = groups.values().filter_map(GroupLog::oldest_segment).min();
        Ok(Self { needed_from: oldest.unwrap_or(u64::MAX).min(base.last_number()), groups, ends })
    }
}

fn replay(log: &mut GroupLog, record: &Record<'_>, location: Location) -> Result<(), MalformedError> {
    match record.kind {
        RecordKind::Entry => log.recover(&decode_entry_id(record.payload)?, location)?,
        RecordKind::Truncate => log.truncate(decode_truncate(record.payload)?),
        RecordKind::State => {
            let state = decode_state(record.payload)?;
            if let Some(purged) = state.purged {
                log.purge(purged);
            }
            log.state.vote = state.vote;
            log.state.committed = state.committed;
        }
        // A scan takes them itself.
        RecordKind::Batch => {}
    }
    Ok(())
}

/// Brings another mirror up to what the base has; returns its segments.
fn equalize(base: &Contents, replayed: &Replayed, other: &Contents) -> io::Result<BTreeMap<u64, Arc<dyn DiskFile>>> {
    let mut files = other.files();
    let oldest = files.first_key_value().map_or(u64::MAX, |(number, _)| *number);
    if oldest > replayed.needed_from {
        return Err(io::Error::other(format!("segment {} is missing", replayed.needed_from)));
    }
    for (number, (header, source)) in base.segments.range(other.last_number()..) {
        let end = replayed.ends[number];
        match other.segments.get(number) {
            Some((theirs, _)) if theirs != header => {
                return Err(io::Error::other(format!("segment {number} is another one than elsewhere")));
            }
            Some((_, target)) => {
                // Whole blocks: the last good record's may hold the beginning of a bad one.
                let start = other.tail.end / BLOCK_BYTES as u64 * BLOCK_BYTES as u64;
                copy_range(&**source, &**target, start..end.max(start))?;
            }
            None => {
                files.insert(*number, other.mirror.copy_segment(&**source, *number, end)?);
            }
        }
    }
    Ok(files)
}
