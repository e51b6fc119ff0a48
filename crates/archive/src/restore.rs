//! A range's archive into a database: the rows of the generation that reaches furthest, then the log since.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use index::{IndexDatabase, Proposal, RangeEntry};
use shards::{ArchiveFile, ArchiveService};
use types::{DiskId, RangeId, Timestamp, VoterId};

use crate::entry::{ArchiveEntry, LogStretch, StateEnd};
use crate::merged::MergedArchive;
use crate::rebuild::{Blocking, RebuildError, settle_wal};

/// What came of a range's archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredRange {
    /// The range.
    pub range: RangeId,
    /// The generation that was taken.
    pub generation: u64,
    /// Everything that was answered before is in it.
    pub complete: Timestamp,
    /// Proposals that were applied behind the rows.
    pub proposals: u64,
}

/// Where the copies of a range's archive lie.
#[derive(Debug, Default)]
pub(crate) struct FoundArchive {
    /// The disks that have each generation.
    generations: BTreeMap<u64, Vec<DiskId>>,
    /// The one that counts, by the superblocks, and the disks that should have it.
    noted: Option<(u64, Vec<DiskId>)>,
}

/// All ranges of which some disk has an archive, or should have one, in order: a range comes after the one that it was
/// split off.
pub(crate) async fn archived_ranges(service: &dyn ArchiveService, disks: &[DiskId]) -> BTreeSet<RangeId> {
    let mut ranges = BTreeSet::new();
    for disk in disks {
        let stored = service.archives(*disk).await.unwrap_or_default();
        ranges.extend(stored.into_iter().map(|stored| stored.file.range));
        let sets = service.archive_sets(*disk).await.unwrap_or_default();
        ranges.extend(sets.into_iter().map(|set| set.file.range));
    }
    ranges
}

impl FoundArchive {
    /// Looks on all disks.
    pub(crate) async fn look(service: &dyn ArchiveService, disks: &[DiskId], range: RangeId) -> Self {
        let mut found = Self::default();
        for disk in disks {
            for stored in service.archives(*disk).await.unwrap_or_default() {
                if stored.file.range == range {
                    found.generations.entry(stored.file.generation).or_default().push(*disk);
                }
            }
            for set in service.archive_sets(*disk).await.unwrap_or_default() {
                let newer = found.noted.as_ref().is_none_or(|(known, _)| *known < set.file.generation);
                if set.file.range == range && newer {
                    found.noted = Some((set.file.generation, set.disks));
                }
            }
        }
        found
    }

    /// The disks that should have the archive and are not among `disks`, where no copy of it was found.
    pub(crate) fn missing(&self, disks: &[DiskId]) -> Vec<DiskId> {
        let Some((generation, of_set)) = &self.noted else { return Vec::new() };
        if self.generations.contains_key(generation) {
            return Vec::new();
        }
        of_set.iter().copied().filter(|disk| !disks.contains(disk)).collect()
    }
}

/// What of a generation can be used.
#[derive(Debug, Clone, Copy)]
struct Usable {
    records: u64,
    /// The index after the last entry that is in it.
    next: u64,
    /// Whose log that index counts in.
    voter: VoterId,
}

/// Takes a range's archive into `database`, in place of what its parent's had of it; `Ok(Err(..))`: there is none that can be
/// taken, and why.
pub(crate) fn restore_range(
    blocking: &Blocking,
    service: &dyn ArchiveService,
    found: &FoundArchive,
    range: RangeId,
    database: &mut IndexDatabase,
) -> Result<Result<RestoredRange, String>, RebuildError> {
    let mut reasons = Vec::new();
    let mut best: Option<(ArchiveFile, &[DiskId], Usable)> = None;
    // All are read through, the newest first: what was begun and is not whole must leave no row, and the old one goes on
    // while the state of a new one is written, so that either may reach further.
    for (generation, copies) in found.generations.iter().rev() {
        let file = ArchiveFile { range, generation: *generation };
        match blocking.wait(measure(service, file, copies)) {
            Ok(usable) => {
                let reaches_further =
                    |(_, _, known): &(_, _, Usable)| usable.voter == known.voter && usable.next > known.next;
                if best.as_ref().is_none_or(reaches_further) {
                    best = Some((file, copies, usable));
                }
            }
            Err(reason) => reasons.push(format!("generation {generation}: {reason}")),
        }
    }
    if let Some((file, copies, usable)) = best {
        return take(blocking, service, file, copies, usable.records, database).map(Ok);
    }
    if reasons.is_empty() {
        reasons.push("no disk has any of it".to_owned());
    }
    Ok(Err(reasons.join("; ")))
}

/// How many records follow one another and make sense, and how far they reach.
async fn measure(service: &dyn ArchiveService, file: ArchiveFile, copies: &[DiskId]) -> Result<Usable, String> {
    let mut reader = MergedArchive::new(service, file, copies);
    let (mut records, mut reached) = (0, None);
    while let Some(payload) = reader.next().await {
        match (ArchiveEntry::decode(&payload), reached) {
            (Ok(ArchiveEntry::Rows(_)), None) => {}
            (Ok(ArchiveEntry::State(end)), None) => reached = Some((end.next, end.voter)),
            (Ok(ArchiveEntry::Log(stretch)), Some((expected, voter))) if stretch.from == expected => {
                reached = Some((stretch.next, voter));
            }
            (Err(error), None) => return Err(error.to_string()),
            // What follows can't be used; what came before can.
            _ => break,
        }
        records += 1;
    }
    let (next, voter) = reached.ok_or("its rows are not all there")?;
    Ok(Usable { records, next, voter })
}

fn take(
    blocking: &Blocking,
    service: &dyn ArchiveService,
    file: ArchiveFile,
    copies: &[DiskId],
    records: u64,
    database: &mut IndexDatabase,
) -> Result<RestoredRange, RebuildError> {
    let mut restored =
        RestoredRange { range: file.range, generation: file.generation, complete: Timestamp(0), proposals: 0 };
    let mut bodies = None;
    let mut reader = MergedArchive::new(service, file, copies);
    for record in 0..records {
        blocking.progress.note_step(record, records);
        let changed = || RebuildError::Archive { reason: "a record was read once and can't be read again".to_owned() };
        let payload = blocking.wait(reader.next()).ok_or_else(changed)?;
        let malformed = |error: &dyn ToString| RebuildError::Archive { reason: error.to_string() };
        match ArchiveEntry::decode(&payload).map_err(|error| malformed(&error))? {
            ArchiveEntry::Rows(stretch) => {
                if bodies.is_none() {
                    // What the range's parent had of it, by its own archive, is older.
                    if let Some(comes) = index::descriptor_in(&stretch, file.range)? {
                        database.make_room(&comes)?;
                    }
                    bodies = Some(database.last_body()?);
                }
                database.take_rows(&stretch, bodies.unwrap_or_default())?;
            }
            ArchiveEntry::State(StateEnd { time, .. }) => restored.complete = time,
            ArchiveEntry::Log(LogStretch { complete, proposals, .. }) => {
                let mut entries = Vec::with_capacity(proposals.len());
                for (_, bytes) in &proposals {
                    let Proposal { time, commands } = Proposal::decode(bytes).map_err(|error| malformed(&error))?;
                    let applied = Bytes::new();
                    entries.push(RangeEntry { range: file.range, applied, membership: None, time, commands });
                }
                database.apply(&entries)?;
                restored.proposals += proposals.len() as u64;
                restored.complete = complete.unwrap_or(restored.complete);
            }
        }
        settle_wal(database)?;
    }
    Ok(restored)
}
