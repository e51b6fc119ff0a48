//! What each segment of a disk holds: how far it is written, how much of it is live, and what it is used for.

use std::collections::BTreeMap;

use crate::database::SegmentRow;
use crate::location::Location;
use crate::segment::{RECORDS_START, SegmentId, SegmentIdentity, SegmentKind};

/// What a segment is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentState {
    /// A small one without records, ready to be used.
    Spare,
    /// Being appended to.
    Open,
    /// Complete.
    Sealed,
    /// Complete, and left alone though much of it is dead: some of its live records can't be read.
    Damaged,
}

/// One segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentAccount {
    pub(crate) identity: SegmentIdentity,
    pub(crate) state: SegmentState,
    /// Where its last record ends.
    pub(crate) tail: u64,
    pub(crate) live_bytes: u64,
    pub(crate) live_shards: u64,
    /// Bytes of records of tombstones, needed or not.
    pub(crate) tombstone_bytes: u64,
    /// Whether a newer record of one of its shards lies elsewhere, and it isn't reclaimed yet.
    pub(crate) shadows: bool,
    /// Its tombstones are not looked through again until so many segments were retired.
    pub(crate) look_again_at: u64,
}

impl SegmentAccount {
    /// A segment without records.
    pub(crate) fn empty(identity: SegmentIdentity, state: SegmentState) -> Self {
        Self {
            identity,
            state,
            tail: RECORDS_START,
            live_bytes: 0,
            live_shards: 0,
            tombstone_bytes: 0,
            shadows: false,
            look_again_at: 0,
        }
    }

    /// Bytes of records.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.tail - RECORDS_START
    }

    /// Bytes of records that don't count any more, tombstones included.
    pub(crate) fn dead_bytes(&self) -> u64 {
        self.used_bytes().saturating_sub(self.live_bytes)
    }

    fn row(&self) -> SegmentRow {
        SegmentRow {
            identity: self.identity,
            tail: self.tail,
            live_bytes: self.live_bytes,
            live_shards: self.live_shards,
            tombstone_bytes: self.tombstone_bytes,
            sealed: matches!(self.state, SegmentState::Sealed | SegmentState::Damaged),
            shadows: self.shadows,
        }
    }
}

/// All segments of a disk.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    segments: BTreeMap<SegmentId, Entry>,
    removed: Vec<SegmentId>,
    next_id: u32,
    /// How many segments were recycled or removed since the start.
    retired: u64,
}

#[derive(Debug)]
struct Entry {
    account: SegmentAccount,
    /// Whether SQLite's row is older.
    changed: bool,
}

impl Accounts {
    /// The segments as SQLite knows them; which of them are open or spare is for recovery to find.
    pub(crate) fn new(rows: Vec<SegmentRow>) -> Self {
        let next_id = rows.iter().map(|row| row.identity.id.0 + 1).max().unwrap_or(0);
        let segments = rows
            .into_iter()
            .map(|row| {
                let account = SegmentAccount {
                    identity: row.identity,
                    state: SegmentState::Sealed,
                    tail: row.tail,
                    live_bytes: row.live_bytes,
                    live_shards: row.live_shards,
                    tombstone_bytes: row.tombstone_bytes,
                    shadows: row.shadows,
                    look_again_at: 0,
                };
                (row.identity.id, Entry { account, changed: false })
            })
            .collect();
        Self { segments, removed: Vec::new(), next_id, retired: 0 }
    }

    /// An id that no segment has.
    pub(crate) fn take_id(&mut self) -> SegmentId {
        let id = SegmentId(self.next_id);
        self.next_id += 1;
        id
    }

    /// Keeps ids of files that are there from being given again.
    pub(crate) fn reserve_id(&mut self, id: SegmentId) {
        self.next_id = self.next_id.max(id.0 + 1);
    }

    pub(crate) fn get(&self, id: SegmentId) -> Option<&SegmentAccount> {
        self.segments.get(&id).map(|entry| &entry.account)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &SegmentAccount> {
        self.segments.values().map(|entry| &entry.account)
    }

    /// Adds a segment, or puts it in the place of an earlier generation of it.
    pub(crate) fn insert(&mut self, account: SegmentAccount) {
        self.reserve_id(account.identity.id);
        if self.segments.contains_key(&account.identity.id) {
            self.retired += 1;
        }
        self.removed.retain(|id| *id != account.identity.id);
        self.segments.insert(account.identity.id, Entry { account, changed: true });
    }

    pub(crate) fn remove(&mut self, id: SegmentId) -> Option<SegmentAccount> {
        let entry = self.segments.remove(&id)?;
        self.removed.push(id);
        self.retired += 1;
        Some(entry.account)
    }

    /// Has SQLite's row of a segment that is gone deleted.
    pub(crate) fn forget(&mut self, id: SegmentId) {
        self.reserve_id(id);
        self.removed.push(id);
    }

    pub(crate) fn set_state(&mut self, id: SegmentId, state: SegmentState) {
        if let Some(account) = self.change(id) {
            account.state = state;
        }
    }

    /// Takes a spare segment into use if at least `kept` others remain.
    pub(crate) fn open_spare(&mut self, kept: usize) -> Option<SegmentIdentity> {
        let spares: Vec<_> = self.spares().map(|account| account.identity).collect();
        // The largest first: the small ones of a young disk stay behind as its reserve.
        let spare = spares.iter().max_by_key(|identity| identity.bytes)?;
        if spares.len() <= kept {
            return None;
        }
        self.set_state(spare.id, SegmentState::Open);
        Some(*spare)
    }

    pub(crate) fn spares(&self) -> impl Iterator<Item = &SegmentAccount> {
        self.iter().filter(|account| account.state == SegmentState::Spare)
    }

    /// How many segments there are of a kind.
    pub(crate) fn count(&self, kind: SegmentKind) -> usize {
        self.iter().filter(|account| account.identity.kind == kind).count()
    }

    /// Notes that the records of a segment end at `tail`.
    pub(crate) fn advance(&mut self, id: SegmentId, tail: u64) {
        if let Some(account) = self.change(id) {
            account.tail = account.tail.max(tail);
        }
    }

    /// Counts a record of tombstones.
    pub(crate) fn add_tombstones(&mut self, id: SegmentId, bytes: u64) {
        if let Some(account) = self.change(id) {
            account.tombstone_bytes += bytes;
        }
    }

    /// How many segments were recycled or removed since the start.
    pub(crate) fn retired(&self) -> u64 {
        self.retired
    }

    /// Keeps a segment whose tombstones are still needed from being looked through before much has changed.
    pub(crate) fn look_again_later(&mut self, id: SegmentId) {
        let later = self.retired + 1 + self.count(SegmentKind::Small) as u64 / 4;
        if let Some(entry) = self.segments.get_mut(&id) {
            entry.account.look_again_at = later;
        }
    }

    /// Counts a record as live.
    pub(crate) fn credit(&mut self, location: &Location) {
        if let Some(account) = self.change(location.segment) {
            account.live_bytes += location.record_bytes(account.identity.kind);
            account.live_shards += 1;
        }
    }

    /// Counts a record as dead: `superseded` by a newer one of its shard, or freed. Returns the kind of its segment.
    pub(crate) fn debit(&mut self, location: &Location, superseded: bool) -> Option<SegmentKind> {
        let account = self.change(location.segment)?;
        let kind = account.identity.kind;
        account.live_bytes = account.live_bytes.saturating_sub(location.record_bytes(kind));
        account.live_shards = account.live_shards.saturating_sub(1);
        account.shadows |= superseded && kind == SegmentKind::Small;
        Some(kind)
    }

    /// Notes that a dead record lies in a small segment whose tombstone doesn't name it.
    pub(crate) fn set_shadows(&mut self, id: SegmentId) {
        if let Some(account) = self.change(id) {
            account.shadows = true;
        }
    }

    /// The segments that SQLite doesn't know as they are now.
    pub(crate) fn take_changed(&mut self) -> Vec<SegmentRow> {
        let changed = |entry: &mut Entry| std::mem::take(&mut entry.changed).then(|| entry.account.row());
        self.segments.values_mut().filter_map(changed).collect()
    }

    /// The segments that SQLite still has and shouldn't.
    pub(crate) fn take_removed(&mut self) -> Vec<SegmentId> {
        std::mem::take(&mut self.removed)
    }

    fn change(&mut self, id: SegmentId) -> Option<&mut SegmentAccount> {
        let entry = self.segments.get_mut(&id)?;
        entry.changed = true;
        Some(&mut entry.account)
    }
}
