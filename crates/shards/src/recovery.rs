//! Bringing a disk's index up to date when it is opened: replaying the segments' tails, or scanning all of them.
//!
//! A record at or below the highest sequence number that any record says was synced is kept whether its body is whole
//! or not: it was acknowledged, and a bad body is corruption, for the reader to find. A record above it is of the last
//! batch: it is kept if it is whole, and else its header is wiped, so that it never counts. What is kept is synced
//! before the disk serves, for a process that died may have left it in the page cache alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::path::Path;

use platform::{BufferPool, OpenOptions};

use crate::accounts::{SegmentAccount, SegmentState};
use crate::catalog::{Catalog, Effect};
use crate::database::{Database, IndexFailure, Punch, SegmentRow, StoredState};
use crate::layer::{RunKey, run_of};
use crate::location::Location;
use crate::reading::verify_record;
use crate::record::{MAGIC, RecordKind, decode_tombstones};
use crate::scan::{FoundRecord, Scanner};
use crate::segment::{DIRECTORY, RECORDS_START, SegmentHome, SegmentId, SegmentIdentity, SegmentKind, parse_name};

/// Entries that a scan gathers before it writes them into SQLite; sorted, so the more the better.
const REBUILD_ENTRIES: usize = 64 * 1024;
/// How far beyond the last record of a small segment a header is searched for: more than a batch is long.
const SEARCH_BYTES_MAX: u64 = 8 << 20;

/// Why a disk's index can't be brought up to date.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoveryError {
    #[error("a segment cannot be read or written")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Index(#[from] IndexFailure),
}

/// A disk's index, up to date.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) catalog: Catalog,
    /// The number of the next record.
    pub(crate) next_seq: u64,
    /// Whether all segments had to be scanned.
    pub(crate) rebuilt: bool,
    /// Places at which synced records can't be read.
    pub(crate) damaged_records: u64,
}

/// Opens the index of a disk and replays what it doesn't know.
pub(crate) fn recover(home: &SegmentHome, pool: &BufferPool) -> Result<Recovered, RecoveryError> {
    home.disk.create_directory(Path::new(DIRECTORY))?;
    home.disk.sync_directory(Path::new(""))?;
    match open_and_replay(home, pool) {
        // Others have filled the file system to the last byte. A spare segment is what we can do without.
        Err(RecoveryError::Index(IndexFailure::Full)) if remove_spare(home)? => open_and_replay(home, pool),
        other => other,
    }
}

fn open_and_replay(home: &SegmentHome, pool: &BufferPool) -> Result<Recovered, RecoveryError> {
    let (database, stored, complete) = match Database::open(&home.disk, home.disk_id) {
        Ok((database, stored)) => (database, stored, true),
        Err(IndexFailure::Damaged(reason)) => {
            // A blank disk has none, and nothing to be scanned.
            if home.disk.list(Path::new(DIRECTORY))?.iter().any(|name| parse_name(name).is_some()) {
                tracing::info!(disk = %home.disk_id, reason, "the shard index is made anew by scanning");
            }
            (Database::create(&home.disk, home.disk_id)?, StoredState::default(), false)
        }
        Err(failure) => return Err(failure.into()),
    };
    match replay(home, pool, database, stored, complete) {
        // It opened, but what it holds can't be read: the same as none.
        Err(RecoveryError::Index(IndexFailure::Damaged(reason))) if complete => {
            tracing::warn!(disk = %home.disk_id, reason, "the shard index is damaged and made anew by scanning");
            let database = Database::create(&home.disk, home.disk_id)?;
            replay(home, pool, database, StoredState::default(), false)
        }
        other => other,
    }
}

/// Removes a small segment without records; `false` where there is none.
fn remove_spare(home: &SegmentHome) -> Result<bool, RecoveryError> {
    for (id, kind) in home.disk.list(Path::new(DIRECTORY))?.iter().filter_map(|name| parse_name(name)) {
        let Some(identity) = home.identify(id, kind)?.filter(|_| kind == SegmentKind::Small) else { continue };
        let segment = home.open(identity, OpenOptions::EXISTING)?;
        if Scanner::new(&segment, RECORDS_START, u64::MAX)?.next_record()?.is_none() {
            home.remove(&identity)?;
            tracing::warn!(disk = %home.disk_id, segment = %id, "a spare segment was removed to make room");
            return Ok(true);
        }
    }
    Ok(false)
}

fn replay(
    home: &SegmentHome,
    pool: &BufferPool,
    database: Database,
    stored: StoredState,
    complete: bool,
) -> Result<Recovered, RecoveryError> {
    let rows: BTreeMap<_, _> = stored.segments.iter().map(|row| (row.identity.id, *row)).collect();
    let found = find_segments(home, &rows)?;
    let is_there = |row: &SegmentRow| found.contains(&row.identity);
    let lost: Vec<_> =
        stored.segments.iter().filter(|row| !is_there(row) && row.live_shards > 0).map(|row| row.identity.id).collect();
    if !lost.is_empty() {
        tracing::error!(disk = %home.disk_id, segments = lost.len(), "segments with shards are gone");
        database.forget_segments(&lost)?;
    }
    let synced = stored.seq;
    let punches = stored.punches.iter().filter(|punch| found.iter().any(|known| known.id == punch.segment));
    let kept = StoredState {
        seq: stored.seq,
        segments: stored.segments.iter().filter(|row| is_there(row)).copied().collect(),
        punches: punches.copied().collect(),
    };
    let catalog = Catalog::new(database, kept, complete);
    catalog.change_accounts(|accounts| {
        stored.segments.iter().filter(|row| !is_there(row)).for_each(|row| accounts.forget(row.identity.id));
    });
    let mut replay = Replay {
        home,
        pool,
        catalog: &catalog,
        kills: HashMap::new(),
        synced,
        highest: synced,
        rebuilding: !complete,
        undecided: Vec::new(),
        unsealed: BTreeMap::new(),
        found_in: BTreeSet::new(),
        damaged_records: 0,
    };
    for identity in &found {
        let known = rows.get(&identity.id).filter(|row| row.identity == *identity);
        catalog.change_accounts(|accounts| {
            accounts.reserve_id(identity.id);
            if known.is_none() {
                accounts.insert(SegmentAccount::empty(*identity, SegmentState::Sealed));
            }
        });
        if !known.is_some_and(|row| row.sealed) {
            replay.scan_segment(*identity, known.map_or(RECORDS_START, |row| row.tail))?;
        }
    }
    replay.decide()?;
    replay.sync()?;
    let (next_seq, damaged_records) = (replay.highest + 1, replay.damaged_records);
    replay.assign_states();
    catalog.raise_seq(next_seq - 1);
    if !complete {
        catalog.set_complete();
        catalog.flush()?;
    }
    Ok(Recovered { catalog, next_seq, rebuilt: !complete, damaged_records })
}

/// The segments that are there. Files that never came to be used are removed; one whose header is damaged is known by
/// its row and gets its header again.
fn find_segments(
    home: &SegmentHome,
    rows: &BTreeMap<SegmentId, SegmentRow>,
) -> Result<Vec<SegmentIdentity>, RecoveryError> {
    let mut found = Vec::new();
    for (id, kind) in home.disk.list(Path::new(DIRECTORY))?.iter().filter_map(|name| parse_name(name)) {
        if let Some(identity) = home.identify(id, kind)? {
            found.push(identity);
            continue;
        }
        match rows.get(&id) {
            Some(row) if row.identity.kind == kind => {
                tracing::warn!(disk = %home.disk_id, segment = %id, "a segment's header was damaged and is written again");
                home.restore_header(&row.identity)?;
                found.push(row.identity);
            }
            _ if home.is_unused(id, kind)? => {
                tracing::info!(disk = %home.disk_id, segment = %id, "an unfinished segment is removed");
                home.remove_unused(id, kind)?;
            }
            _ => {
                tracing::error!(disk = %home.disk_id, segment = %id, "a segment's header is damaged: its shards are lost");
            }
        }
    }
    found.sort_by_key(|identity| identity.id);
    Ok(found)
}

struct Replay<'a> {
    home: &'a SegmentHome,
    pool: &'a BufferPool,
    catalog: &'a Catalog,
    /// The highest tombstone of each run.
    kills: HashMap<RunKey, u64>,
    /// Every record up to here was synced.
    synced: u64,
    /// The highest sequence number seen.
    highest: u64,
    rebuilding: bool,
    /// Records that nothing seen so far says were synced.
    undecided: Vec<(SegmentIdentity, FoundRecord)>,
    /// The segments that were scanned, with the last record found; 0 without one.
    unsealed: BTreeMap<SegmentId, u64>,
    /// Those in which something was found.
    found_in: BTreeSet<SegmentId>,
    damaged_records: u64,
}

impl Replay<'_> {
    fn scan_segment(&mut self, identity: SegmentIdentity, from: u64) -> Result<(), RecoveryError> {
        let segment = self.home.open(identity, OpenOptions::EXISTING)?;
        let search_bytes_max = match identity.kind {
            SegmentKind::Small if !self.rebuilding => SEARCH_BYTES_MAX,
            _ => u64::MAX,
        };
        let mut scanner = Scanner::new(&segment, from, search_bytes_max)?;
        let mut waiting = VecDeque::new();
        self.unsealed.insert(identity.id, 0);
        while let Some(record) = scanner.next_record()? {
            self.highest = self.highest.max(record.seq);
            self.synced = self.synced.max(record.synced_seq);
            self.unsealed.insert(identity.id, record.seq);
            self.found_in.insert(identity.id);
            waiting.push_back(record);
            while let Some(record) = waiting.pop_front_if(|record| record.seq <= self.synced) {
                self.apply(&identity, &record)?;
            }
        }
        self.undecided.extend(waiting.into_iter().map(|record| (identity, record)));
        Ok(())
    }

    /// Decides on the records of the last batch, now that all of them are known.
    fn decide(&mut self) -> Result<(), RecoveryError> {
        for (identity, record) in std::mem::take(&mut self.undecided) {
            if record.seq <= self.synced
                || record.kind == RecordKind::Tombstones
                || self.is_whole(&identity, &record)?
            {
                self.apply(&identity, &record)?;
            } else {
                let segment = self.home.open(identity, OpenOptions::EXISTING)?;
                segment.file.write_all_at(&[IoSlice::new(&[0; MAGIC.len()])], record.offset)?;
                let tail = end_of(&identity, &record);
                self.catalog.change_accounts(|accounts| accounts.advance(identity.id, tail));
                tracing::info!(disk = %self.home.disk_id, segment = %identity.id, "a torn record was wiped");
            }
        }
        Ok(())
    }

    fn is_whole(&self, identity: &SegmentIdentity, record: &FoundRecord) -> Result<bool, RecoveryError> {
        let segment = self.home.open(*identity, OpenOptions::EXISTING)?;
        Ok(verify_record(&segment, &record.location(identity.id), &record.address, self.pool).is_ok())
    }

    fn apply(&mut self, identity: &SegmentIdentity, record: &FoundRecord) -> Result<(), RecoveryError> {
        if record.after_garbage && record.seq <= self.synced {
            self.damaged_records += 1;
            tracing::warn!(disk = %self.home.disk_id, segment = %identity.id, offset = record.offset,
                "a synced record before this offset cannot be read");
        }
        match record.kind {
            RecordKind::Shard => self.apply_shard(identity, record)?,
            RecordKind::Tombstones => {
                self.apply_tombstones(record)?;
                let bytes = record.header_bytes.into();
                self.catalog.change_accounts(|accounts| accounts.add_tombstones(identity.id, bytes));
            }
        }
        let tail = end_of(identity, record);
        self.catalog.change_accounts(|accounts| accounts.advance(identity.id, tail));
        if self.rebuilding && self.catalog.unflushed() > REBUILD_ENTRIES {
            self.catalog.flush()?;
        }
        Ok(())
    }

    fn apply_tombstones(&mut self, record: &FoundRecord) -> Result<(), RecoveryError> {
        let Some(tombstones) = decode_tombstones(&record.metadata) else {
            self.damaged_records += 1;
            return Ok(());
        };
        for tombstone in tombstones {
            let run = (tombstone.group, tombstone.run);
            let below = self.kills.entry(run).or_default();
            *below = (*below).max(tombstone.below);
            self.catalog.replay_kill(run, tombstone.below)?;
        }
        Ok(())
    }

    fn apply_shard(&mut self, identity: &SegmentIdentity, record: &FoundRecord) -> Result<(), RecoveryError> {
        let location = record.location(identity.id);
        if let Some(&below) = self.kills.get(&run_of(&record.address))
            && record.seq < below
        {
            self.bury(identity, &location, below, false);
            return Ok(());
        }
        let replaced = match self.catalog.find_location(&record.address)? {
            Some(known) if known.seq == record.seq => return Ok(()),
            Some(known) if known.seq > record.seq => {
                self.bury(identity, &location, known.seq, true);
                return Ok(());
            }
            older => older,
        };
        let put = Effect::Put { address: record.address, location, replaced };
        self.catalog.publish(vec![put], identity.id, end_of(identity, record), record.seq);
        Ok(())
    }

    /// Notes that a record which was never counted is dead.
    fn bury(&self, identity: &SegmentIdentity, location: &Location, below: u64, superseded: bool) {
        match identity.kind {
            SegmentKind::Small if superseded => {
                self.catalog.change_accounts(|accounts| accounts.set_shadows(identity.id));
            }
            SegmentKind::Small => {}
            SegmentKind::Large => self.catalog.add_punch(Punch {
                segment: identity.id,
                offset: location.offset,
                bytes: location.record_bytes(identity.kind),
                below,
            }),
        }
    }

    /// Syncs every segment in which something was found.
    fn sync(&self) -> Result<(), RecoveryError> {
        for id in &self.found_in {
            if let Some(identity) = self.catalog.segment(*id) {
                self.home.open(identity, OpenOptions::EXISTING)?.file.sync_data()?;
            }
        }
        Ok(())
    }

    /// Of each kind the scanned segment of the last record is appended to; small ones without records are spare.
    fn assign_states(&self) {
        self.catalog.change_accounts(|accounts| {
            for kind in [SegmentKind::Small, SegmentKind::Large] {
                let scanned: Vec<_> = accounts
                    .iter()
                    .filter(|account| account.identity.kind == kind)
                    .filter_map(|account| {
                        let last_seq = *self.unsealed.get(&account.identity.id)?;
                        Some((last_seq, account.identity.id, account.used_bytes() == 0))
                    })
                    .collect();
                let last = scanned.iter().filter(|(_, _, empty)| !empty).max().map(|(_, id, _)| *id);
                for (_, id, empty) in scanned {
                    let state = match kind {
                        _ if last == Some(id) => SegmentState::Open,
                        SegmentKind::Small if empty => SegmentState::Spare,
                        _ => SegmentState::Sealed,
                    };
                    accounts.set_state(id, state);
                }
            }
        });
    }
}

fn end_of(identity: &SegmentIdentity, record: &FoundRecord) -> u64 {
    record.offset + record.location(identity.id).record_bytes(identity.kind)
}
