//! Where the database and its copies lie, and which of them a start or a failure continues with.
//!
//! Under a voter's directory on a disk, `index.db` is a database that was in use and `copy.db` a whole copy of one.
//! They never differ but in how far they are: what is applied was committed, and commits stand in the log. So the
//! newest that the log can bring up to date is as good as the one that was lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use index::{AppliedState, Command, CommandBody, IndexDatabase, IndexDatabaseError, IndexSettings, Proposal};
use openraft::EntryPayload;
use parking_lot::Mutex;
use platform::{Disk, OpenOptions};
use sqlite_vfs::DatabaseLocation;
use telemetry::with_causes;
use types::{DiskId, RangeId, VoterId};

use super::{InstallError, Installation, Mark, ReceivedRows, check_rows};
use crate::encoding::{MalformedError, decode_applied, decode_installing, decode_membership};
use crate::log::{Disks, SharedLog, voter_directory};
use crate::raft_types::{Entry, LogId};

/// Why no database can be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabasesError {
    /// What is there is too old for what is left of the log, or can't be read.
    #[error("no index database can be used: {reason}")]
    NoneUsable {
        /// What is wrong with each.
        reason: String,
    },
    /// A later release has written it. It is not lost, and nothing takes its place.
    #[error("the index is of a later release: {reason}")]
    Newer {
        /// What is found, and what to do.
        reason: String,
    },
}

/// Why one database can't be used.
struct Unusable {
    reason: String,
    /// Another takes the place of one that is damaged or old, but not of one that this build is too old for.
    is_newer: bool,
}

impl Unusable {
    fn because(reason: impl ToString) -> Self {
        Self { reason: reason.to_string(), is_newer: false }
    }
}

impl From<IndexDatabaseError> for Unusable {
    fn from(error: IndexDatabaseError) -> Self {
        use IndexDatabaseError::{NewerFormat, NewerLevel};
        Self { reason: with_causes(&error), is_newer: matches!(error, NewerFormat { .. } | NewerLevel(_)) }
    }
}

/// The node's disks, as places for databases.
#[derive(Debug)]
pub(crate) struct DatabasePlaces {
    voter: VoterId,
    disks: Mutex<Disks>,
    settings: IndexSettings,
}

/// A database in use.
pub(crate) struct OpenedDatabase {
    pub(crate) database: IndexDatabase,
    pub(crate) disk: DiskId,
    pub(crate) place: DatabasePlace,
    pub(crate) marks: BTreeMap<RangeId, Mark>,
}

/// A database file that was opened, to be told from one that took its name.
#[derive(Debug, Clone)]
pub(crate) struct DatabasePlace {
    pub(crate) location: DatabaseLocation,
    inode: u64,
}

impl DatabasePlace {
    fn of(location: DatabaseLocation) -> io::Result<Self> {
        let status = location.disk.status(&location.path)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { location, inode: status.inode })
    }

    /// Whether the file that was opened still lies under its path: SQLite goes on in one that was deleted.
    ///
    /// # Errors
    /// It doesn't, or the disk can't say.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self.location.disk.status(&self.location.path)? {
            Some(status) if status.inode == self.inode => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "the database file is not under its path any more")),
        }
    }

    /// Sees to it that the database, which is open, can take commits when its disk is full.
    pub(crate) fn reserve_room(&self) -> io::Result<()> {
        sqlite_vfs::reserve_room(&self.location)
    }

    /// Bytes of the database file.
    pub(crate) fn bytes(&self) -> u64 {
        self.location.disk.status(&self.location.path).ok().flatten().map_or(0, |status| status.bytes)
    }
}

/// Bytes of WAL after which an installation at a start is checkpointed.
const INSTALLATION_WAL_BYTES: u64 = 64 << 20;
const DATABASE: &str = "index.db";
const COPY: &str = "copy.db";
/// Before the range and the index of the last entry of rows.
const ROWS: &str = "rows-";
const ROWS_UNDER_WAY: &str = "under-way-";

impl DatabasePlaces {
    pub(crate) fn new(voter: VoterId, disks: Disks, settings: IndexSettings) -> Self {
        Self { voter, disks: Mutex::new(disks), settings }
    }

    /// A disk can be used.
    pub(crate) fn add_disk(&self, id: DiskId, disk: Arc<dyn Disk>) {
        let mut disks = self.disks.lock();
        disks.retain(|(known, _)| *known != id);
        disks.push((id, disk));
    }

    /// A disk can't be used any more.
    pub(crate) fn remove_disk(&self, id: DiskId) {
        self.disks.lock().retain(|(known, _)| *known != id);
    }

    /// Whether a disk can be used.
    pub(crate) fn has_disk(&self, id: DiskId) -> bool {
        self.disk(id).is_some()
    }

    /// Where a disk has its copy; `None` for a disk that isn't here.
    pub(crate) fn copy_on(&self, id: DiskId) -> Option<DatabaseLocation> {
        Some(self.location(&self.disk(id)?, COPY))
    }

    /// Whether a disk has a copy.
    pub(crate) fn has_copy(&self, id: DiskId) -> bool {
        self.copy_on(id).is_some_and(|location| is_there(&location).unwrap_or(false))
    }

    /// Bytes of a disk's database.
    pub(crate) fn database_bytes(&self, id: DiskId) -> u64 {
        let status = self.disk(id).map(|disk| disk.status(&self.location(&disk, DATABASE).path));
        status.and_then(Result::ok).flatten().map_or(0, |status| status.bytes)
    }

    /// Checks that a mirror's disk has its directory, which the log has made: else the disk is not in place any more, and
    /// nothing may be made there.
    pub(crate) fn check_mirror(&self, id: DiskId) -> io::Result<()> {
        let disk = self.disk(id).ok_or(io::ErrorKind::NotFound)?;
        let there = disk.status(&voter_directory(self.voter))?;
        there.map(drop).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the mirror's directory is gone"))
    }

    /// Makes a disk's directory for databases, durably.
    pub(crate) fn prepare(&self, id: DiskId) -> io::Result<()> {
        let disk = self.disk(id).ok_or(io::ErrorKind::NotFound)?;
        let directory = voter_directory(self.voter);
        disk.create_directory(&directory)?;
        directory.ancestors().skip(1).try_for_each(|made| disk.sync_directory(made))
    }

    /// How far the copies are that lie on disks other than `except`.
    pub(crate) fn copies(&self, except: DiskId) -> BTreeMap<DiskId, BTreeMap<RangeId, Mark>> {
        let others: Disks = self.disks.lock().iter().filter(|(id, _)| *id != except).cloned().collect();
        let read = |(id, disk): (DiskId, Arc<dyn Disk>)| {
            let location = self.location(&disk, COPY);
            is_there(&location).ok().filter(|there| *there)?;
            let database = IndexDatabase::open(location, self.settings.clone()).ok()?;
            Some((id, self.marks_of(&database).ok()?))
        };
        others.into_iter().filter_map(read).collect()
    }

    /// Opens the newest database or copy that the log can bring up to date; where there is none and the log has all
    /// from the beginning, a new one on the first of its mirrors. Disks in `lost` are passed over.
    ///
    /// # Errors
    /// [`DatabasesError`].
    pub(crate) fn open_newest(&self, log: &SharedLog, lost: &[DiskId]) -> Result<OpenedDatabase, DatabasesError> {
        let disks: Disks = self.disks.lock().iter().filter(|(id, _)| !lost.contains(id)).cloned().collect();
        let mut reasons = Vec::new();
        let mut found: Vec<(u64, DiskId, Arc<dyn Disk>, &str)> = Vec::new();
        for (id, disk) in &disks {
            for name in [DATABASE, COPY] {
                match self.look(log, disk, name) {
                    Ok(Some(applied)) => found.push((applied, *id, disk.clone(), name)),
                    Ok(None) => {}
                    Err(Unusable { reason, is_newer: true }) => return Err(DatabasesError::Newer { reason }),
                    Err(Unusable { reason, .. }) => {
                        tracing::warn!(disk = %id, name, reason, "an index database can't be used");
                        reasons.push(format!("{name} on disk {id}: {reason}"));
                    }
                }
            }
        }
        // Of equally new ones the database first, which needs no renaming.
        found.sort_by_key(|(applied, .., name)| (std::cmp::Reverse(*applied), *name != DATABASE));
        for (_, id, disk, name) in found {
            match self.open(id, &disk, name == COPY) {
                Ok(opened) => return Ok(opened),
                Err(Unusable { reason, is_newer: true }) => return Err(DatabasesError::Newer { reason }),
                Err(Unusable { reason, .. }) => reasons.push(format!("{name} on disk {id}: {reason}")),
            }
        }
        let is_purged =
            |range: &RangeId| log.state(*range).purged.is_some_and(|id| !is_made_by_split(log, *range, &id));
        if log.ranges().iter().any(is_purged) {
            reasons.push("the beginning of the log is purged".to_owned());
            return Err(DatabasesError::NoneUsable { reason: reasons.join("; ") });
        }
        for mirror in log.mirrors() {
            let Some((id, disk)) = disks.iter().find(|(id, _)| *id == mirror) else { continue };
            match self.make(*id, disk) {
                Ok(opened) => return Ok(opened),
                Err(reason) => reasons.push(format!("a new one on disk {id}: {reason}")),
            }
        }
        Err(DatabasesError::NoneUsable { reason: reasons.join("; ") })
    }

    /// Whether a disk has fewer than `bytes_min` bytes free.
    pub(crate) fn is_short(&self, id: DiskId, bytes_min: u64) -> bool {
        self.disk(id).is_some_and(|disk| disk.space().is_ok_and(|space| space.free_bytes < bytes_min))
    }

    /// Whether a mirror other than `own` has space for a database as large as that of `place`, and will not be short then.
    pub(crate) fn can_take(&self, place: &DatabasePlace, own: DiskId, log: &SharedLog) -> bool {
        let needed = place.bytes().saturating_mul(2).saturating_add(log.free_bytes_min().saturating_mul(2));
        let others = log.mirrors().into_iter().filter(|id| *id != own).filter_map(|id| self.disk(id));
        others.into_iter().any(|disk| disk.space().is_ok_and(|space| space.free_bytes > needed))
    }

    /// Opens the database of this place once more, after an error that leaves its disk usable.
    pub(crate) fn reopen(&self, disk: DiskId, place: &DatabasePlace) -> Result<OpenedDatabase, IndexDatabaseError> {
        let database = IndexDatabase::open(place.location.clone(), self.settings.clone())?;
        let marks = self.marks_of(&database)?;
        Ok(OpenedDatabase { database, disk, place: place.clone(), marks })
    }

    /// Removes databases that were in use on other disks than `live`: they will never be again, copies are newer.
    pub(crate) fn remove_old(&self, live: DiskId) {
        let others: Disks = self.disks.lock().iter().filter(|(id, _)| *id != live).cloned().collect();
        for (id, disk) in others {
            let location = self.location(&disk, DATABASE);
            if is_there(&location).unwrap_or(false)
                && let Err(error) = remove_database(&location)
            {
                tracing::warn!(disk = %id, %error, "an old index database was not removed");
            }
        }
    }

    fn disk(&self, id: DiskId) -> Option<Arc<dyn Disk>> {
        self.disks.lock().iter().find(|(known, _)| *known == id).map(|(_, disk)| disk.clone())
    }

    fn location(&self, disk: &Arc<dyn Disk>, name: &str) -> DatabaseLocation {
        DatabaseLocation { disk: disk.clone(), path: voter_directory(self.voter).join(name) }
    }

    /// Where the rows of a range up to an entry lie on a disk, that came from another voter; `None` for a disk that isn't
    /// here.
    pub(crate) fn rows_at(&self, id: DiskId, range: RangeId, index: u64) -> Option<DatabaseLocation> {
        Some(self.rows_on(&self.disk(id)?, range, index))
    }

    fn rows_on(&self, disk: &Arc<dyn Disk>, range: RangeId, index: u64) -> DatabaseLocation {
        self.location(disk, &format!("{ROWS}{:016x}-{index:016x}", range.0))
    }

    /// Where rows that are to be sent to another voter, or come from one, are written on a disk.
    pub(crate) fn rows_under_way(&self, id: DiskId, name: u128) -> Option<DatabaseLocation> {
        Some(self.location(&self.disk(id)?, &format!("{ROWS_UNDER_WAY}{name:032x}")))
    }

    /// Removes the rows that came from other voters and are no longer needed: those before which `applied` is past the
    /// next entry. At a start, `is_start`, also what was under way when the process ended.
    /// Tells whether some are still needed.
    pub(crate) fn remove_rows(&self, applied: &BTreeMap<RangeId, u64>, is_start: bool) -> bool {
        let mut needed = false;
        let disks = self.disks.lock().clone();
        for (id, disk) in disks {
            let directory = voter_directory(self.voter);
            for name in disk.list(&directory).unwrap_or_default() {
                let unneeded = match name.strip_prefix(ROWS).and_then(range_and_index) {
                    Some((range, index)) => applied.get(&range).is_none_or(|next| *next > index + 1),
                    None if name.starts_with(ROWS_UNDER_WAY) => is_start,
                    None => continue,
                };
                needed |= !unneeded;
                if unneeded && let Err(error) = disk.remove(&directory.join(&name)) {
                    tracing::warn!(disk = %id, name, %error, "old rows were not removed");
                }
            }
        }
        needed
    }

    /// Removes the files of voters that this node was before: nothing of them is ever read again. Their directories stay,
    /// empty.
    pub(crate) fn remove_superseded(&self) {
        let own = self.voter.to_string();
        for (id, disk) in self.disks.lock().clone() {
            let parent = voter_directory(self.voter).parent().map(Path::to_owned).unwrap_or_default();
            // A disk that can't be listed is looked at by others, who say so.
            for name in disk.list(&parent).unwrap_or_default() {
                if name != own
                    && let Err(error) = remove_files(&*disk, &parent.join(&name))
                {
                    tracing::warn!(disk = %id, voter = name, %error, "what a former voter had was not removed");
                }
            }
        }
    }

    /// How new a database is, as the sum of what its ranges have applied; `None` when there is none.
    fn look(&self, log: &SharedLog, disk: &Arc<dyn Disk>, name: &str) -> Result<Option<u64>, Unusable> {
        let location = self.location(disk, name);
        if !is_there(&location).map_err(Unusable::because)? {
            return Ok(None);
        }
        let database = IndexDatabase::open(location, self.settings.clone())?;
        let marks = self.marks_of(&database)?;
        let mut applied = 0;
        let ranges: BTreeSet<RangeId> = log.ranges().into_iter().chain(marks.keys().copied()).collect();
        for range in &ranges {
            if let Some(installing) = marks.get(range).and_then(|mark| mark.installing) {
                if name != DATABASE || !self.has_rows(disk, *range, installing.index) {
                    return Err(Unusable::because(format!("the rows of range {range} are not all there")));
                }
                continue;
            }
            let mark = marks.get(range).and_then(|mark| mark.applied);
            let purged = log.state(*range).purged;
            if mark.is_none() && purged.is_some_and(|purged| is_made_by_split(log, *range, &purged)) {
                // Its parent's log makes it again.
                continue;
            }
            if purged.is_some_and(|purged| mark.is_none_or(|mark| mark.index < purged.index)) {
                let reason = format!("range {range} is at {mark:?}, and the log is purged up to {purged:?}");
                return Err(Unusable::because(reason));
            }
            // With the rows at hand that brought it so far, the log is as it should be: it was not purged yet.
            // Nor was anything promised of a range whose log has not begun.
            let end = log.last_log_id(*range);
            let is_new = || end.is_none() && born_at(&database, *range).is_ok_and(|born| born == mark);
            let has_rows = || mark.is_some_and(|mark| self.has_rows(disk, *range, mark.index));
            if mark > end && !has_rows() && !is_new() {
                return Err(Unusable::because(format!("range {range} is at {mark:?}, and the log ends at {end:?}")));
            }
            applied += mark.map_or(0, |mark| mark.index + 1);
        }
        Ok(Some(applied))
    }

    fn has_rows(&self, disk: &Arc<dyn Disk>, range: RangeId, index: u64) -> bool {
        is_there(&self.rows_on(disk, range, index)).unwrap_or(false)
    }

    fn open(&self, id: DiskId, disk: &Arc<dyn Disk>, is_copy: bool) -> Result<OpenedDatabase, Unusable> {
        let location = self.location(disk, DATABASE);
        if is_copy {
            promote(&self.location(disk, COPY), &location).map_err(Unusable::because)?;
        }
        let mut opened = self.open_at(id, location)?;
        self.finish_installations(&mut opened)?;
        Ok(opened)
    }

    /// Installs anew the rows of which a crash left only some.
    fn finish_installations(&self, opened: &mut OpenedDatabase) -> Result<(), Unusable> {
        let installing = |(range, mark): (&RangeId, &Mark)| Some((*range, mark.installing?));
        let unfinished: Vec<_> = opened.marks.iter().filter_map(installing).collect();
        for (range, id) in unfinished {
            tracing::info!(%range, last = %id, "the installation of a range's rows begins anew");
            let at = self.rows_at(opened.disk, range, id.index).ok_or_else(|| Unusable::because("the disk is gone"))?;
            let file = at.disk.open(&at.path, OpenOptions::EXISTING).map_err(Unusable::because)?;
            let mark = check_rows(&file, range).map_err(Unusable::because)?;
            let mut installation = Installation::new(range, ReceivedRows { file, mark: mark.clone() });
            let failed = |error| match error {
                InstallError::Database(error) => Unusable::from(error),
                InstallError::File(_) => Unusable::because(with_causes(&error)),
            };
            while !installation.step(&mut opened.database).map_err(failed)? {
                if opened.database.wal_bytes() > INSTALLATION_WAL_BYTES {
                    opened.database.checkpoint()?;
                }
            }
            opened.marks.insert(range, mark);
        }
        Ok(())
    }

    fn make(&self, id: DiskId, disk: &Arc<dyn Disk>) -> Result<OpenedDatabase, String> {
        self.check_mirror(id).map_err(|error| error.to_string())?;
        let location = self.location(disk, DATABASE);
        if is_there(&location).map_err(|error| error.to_string())? {
            // It was looked at and can't be used; the log has all of it.
            remove_database(&location).map_err(|error| error.to_string())?;
        }
        tracing::info!(disk = %id, "a new index database is made");
        self.open_at(id, location).map_err(|error| with_causes(&error))
    }

    fn open_at(&self, disk: DiskId, location: DatabaseLocation) -> Result<OpenedDatabase, IndexDatabaseError> {
        let database = IndexDatabase::open(location.clone(), self.settings.clone())?;
        let marks = self.marks_of(&database)?;
        let place = DatabasePlace::of(location).map_err(|error| damaged(&error))?;
        Ok(OpenedDatabase { database, disk, place, marks })
    }

    fn marks_of(&self, database: &IndexDatabase) -> Result<BTreeMap<RangeId, Mark>, IndexDatabaseError> {
        let mut marks = BTreeMap::new();
        for (range, state) in database.all_applied()? {
            marks.insert(range, mark_of(&state).map_err(|error| damaged(&error))?);
        }
        Ok(marks)
    }
}

/// Whether a range's log begins with the entry of a split that is still in its parent's log.
fn is_made_by_split(log: &SharedLog, range: RangeId, first: &LogId) -> bool {
    let makes_it = |entry: &Entry| match &entry.payload {
        EntryPayload::Normal(proposed) if entry.log_id == *first => {
            let commands = Proposal::decode(proposed.bytes()).map(|proposal| proposal.commands).unwrap_or_default();
            let child = |command: &Command| match command.body.bare() {
                CommandBody::SplitRange(split) => Some(split.child),
                _ => None,
            };
            commands.iter().any(|command| child(command) == Some(range))
        }
        _ => false,
    };
    let others = log.ranges().into_iter().filter(|other| *other != range);
    let entries = |other| log.read(other, first.index..first.index + 1, u64::MAX).unwrap_or_default();
    others.flat_map(entries).any(|entry| makes_it(&entry))
}

/// The entry that made a range; `None` for one that no split made.
fn born_at(database: &IndexDatabase, range: RangeId) -> Result<Option<LogId>, IndexDatabaseError> {
    let born = database.born(range)?;
    born.map(|born| decode_applied(&born)).transpose().map_err(|error| damaged(&error))
}

/// What the database's words for how far a range is mean.
pub(crate) fn mark_of(state: &AppliedState) -> Result<Mark, MalformedError> {
    if let Some(installing) = decode_installing(&state.applied) {
        return Ok(Mark { installing: Some(installing?), ..Mark::default() });
    }
    let applied = if state.applied.is_empty() { None } else { Some(decode_applied(&state.applied)?) };
    let membership = state.membership.as_ref().map(|bytes| decode_membership(bytes)).transpose()?;
    Ok(Mark { applied, membership: membership.unwrap_or_default(), installing: None })
}

/// The range and index in the name of a file of rows.
fn range_and_index(name: &str) -> Option<(RangeId, u64)> {
    let (range, index) = name.split_once('-')?;
    let number = |hex| u64::from_str_radix(hex, 16).ok();
    Some((RangeId(number(range)?), number(index)?))
}

fn damaged(reason: &dyn ToString) -> IndexDatabaseError {
    IndexDatabaseError::Damaged { reason: reason.to_string() }
}

fn is_there(location: &DatabaseLocation) -> io::Result<bool> {
    Ok(location.disk.status(&location.path)?.is_some())
}

/// Makes a copy the database. The WAL of what had the name goes first, durably: it would be replayed into the copy.
fn promote(copy: &DatabaseLocation, database: &DatabaseLocation) -> io::Result<()> {
    remove_database(database)?;
    database.disk.rename(&copy.path, &database.path)?;
    database.disk.sync_directory(directory_of(database))
}

fn remove_database(location: &DatabaseLocation) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut path = location.path.clone().into_os_string();
        path.push(suffix);
        match location.disk.remove(&PathBuf::from(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    location.disk.sync_directory(directory_of(location))
}

fn directory_of(location: &DatabaseLocation) -> &Path {
    location.path.parent().unwrap_or(Path::new(""))
}

/// Removes all files below a directory.
fn remove_files(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    for name in disk.list(directory)? {
        let path = directory.join(name);
        match disk.status(&path)? {
            Some(status) if status.is_directory => remove_files(disk, &path)?,
            Some(_) => disk.remove(&path)?,
            None => {}
        }
    }
    Ok(())
}
