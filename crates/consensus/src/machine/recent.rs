//! The newest versions of keys that were read of late: looking one up here costs neither a thread nor a transaction.
//!
//! An answer from here is what the database would answer. Whoever applies takes the keys of its commands out before it
//! commits, and keeps their part of the memory closed to new ones until readers see what it applied: so no reader brings
//! back what it read before that, and nobody is answered something older than what anybody was answered.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use hashlink::LruCache;
use index::command::{BucketRow, CommandBody, WhichVersion};
use index::{Query, QueryAnswer, RangeEntry};
use parking_lot::Mutex;
use platform::Entropy;
use types::{Extent, HomeKey, ObjectKey, Version, VersionKind};

/// Parts of the memory, each with its lock; a set of them is the bits of a [`Change`].
const PARTS: usize = 64;
/// What an entry takes beside the texts and bytes in it: its structs, list nodes and allocations.
const ENTRY_BYTES: usize = 768;
/// A larger one is not kept: it would push out many.
const ENTRY_BYTES_MAX: usize = 32 << 10;

/// Versions by key, those that were read last.
#[derive(Debug)]
pub(crate) struct RecentVersions {
    parts: Box<[Mutex<Part>]>,
    part_bytes_max: usize,
    /// Which keys share a part is nobody's to know who chooses keys.
    secret: u128,
}

#[derive(Debug)]
struct Part {
    entries: LruCache<HomeKey, Entry>,
    bytes: usize,
    /// Whether commands on some of its keys are being applied.
    is_changing: bool,
    /// Counts the times that such commands began.
    changes: u64,
    is_closed: bool,
}

#[derive(Debug)]
struct Entry {
    version: Box<Version>,
    row: BucketRow,
    /// Whether its inline bytes are there.
    is_whole: bool,
    bytes: usize,
}

/// A lookup that is about to be read from the database.
#[derive(Debug)]
pub(crate) struct Lookup {
    home: HomeKey,
    is_whole: bool,
    part: usize,
    changes: u64,
}

/// The parts that commands under way touch. They take nothing in until [`RecentVersions::end_change`].
#[derive(Debug)]
#[must_use]
pub(crate) struct Change(u64);

impl RecentVersions {
    /// Keeps versions of about `bytes_max` bytes; with 0, none. Random bits of `entropy` say which keys share a part.
    pub(crate) fn new(bytes_max: usize, entropy: &dyn Entropy) -> Self {
        let part = || {
            let entries = LruCache::new_unbounded();
            Mutex::new(Part { entries, bytes: 0, is_changing: false, changes: 0, is_closed: false })
        };
        Self {
            parts: (0..PARTS).map(|_| part()).collect(),
            part_bytes_max: bytes_max / PARTS,
            secret: u128::from_le_bytes(entropy.id()),
        }
    }

    /// What the database would answer, if it is here.
    pub(crate) fn get(&self, query: &Query) -> Option<QueryAnswer> {
        let (home, is_whole) = newest_of(query)?;
        let mut part = self.parts[self.part_of(&home)].lock();
        let entry = part.entries.get(&home).filter(|entry| entry.is_whole || !is_whole)?;
        let mut version = entry.version.clone();
        let row = Some(entry.row.clone());
        drop(part);
        if !is_whole && let VersionKind::Single(part) = &mut version.kind {
            part.extents.retain(|extent| !matches!(extent, Extent::Inline(_)));
        }
        Some(QueryAnswer::Version { version: Some(version), row })
    }

    /// To be called before the query's transaction begins; `None` where its answer can't be kept.
    pub(crate) fn before_read(&self, query: &Query) -> Option<Lookup> {
        let (home, is_whole) = newest_of(query)?;
        let at = self.part_of(&home);
        let part = self.parts[at].lock();
        (!part.is_changing).then(|| Lookup { home, is_whole, part: at, changes: part.changes })
    }

    /// Keeps what the transaction answered, unless commands came in between.
    pub(crate) fn keep(&self, lookup: Lookup, answer: &QueryAnswer) {
        let QueryAnswer::Version { version: Some(version), row: Some(row) } = answer else { return };
        let bytes = bytes_of(&lookup.home.key, version);
        if bytes > ENTRY_BYTES_MAX.min(self.part_bytes_max) {
            return;
        }
        let mut part = self.parts[lookup.part].lock();
        if part.is_closed || part.is_changing || part.changes != lookup.changes {
            return;
        }
        let knows_more = part.entries.peek(&lookup.home).is_some_and(|known| known.is_whole && !lookup.is_whole);
        if knows_more {
            return;
        }
        // Its own bytes: the query's key may be a slice of a whole request.
        let key = ObjectKey::new(Bytes::copy_from_slice(lookup.home.key.as_bytes())).expect("it was a key before");
        let entry = Entry { version: version.clone(), row: row.clone(), is_whole: lookup.is_whole, bytes };
        part.bytes += bytes;
        if let Some(replaced) = part.entries.insert(HomeKey { bucket: lookup.home.bucket, key }, entry) {
            part.bytes -= replaced.bytes;
        }
        while part.bytes > self.part_bytes_max
            && let Some((_, oldest)) = part.entries.remove_lru()
        {
            part.bytes -= oldest.bytes;
        }
    }

    /// To be called before entries are committed to the database.
    pub(crate) fn begin_change(&self, entries: &[RangeEntry]) -> Change {
        let mut change = Change(0);
        for command in entries.iter().flat_map(|entry| &entry.commands) {
            match touched_by(&command.body) {
                Touched::Nothing => {}
                Touched::Keys(homes) => {
                    for home in &homes {
                        let at = self.part_of(home);
                        change.0 |= 1 << at;
                        self.parts[at].lock().begin_change(Some(home));
                    }
                }
                Touched::Everything => {
                    change.0 = u64::MAX;
                    for part in &self.parts {
                        part.lock().begin_change(None);
                    }
                }
            }
        }
        change
    }

    /// To be called before all rows are replaced.
    pub(crate) fn begin_replacement(&self) -> Change {
        for part in &self.parts {
            part.lock().begin_change(None);
        }
        Change(u64::MAX)
    }

    /// To be called once readers see what was applied.
    pub(crate) fn end_change(&self, change: Change) {
        for (at, part) in self.parts.iter().enumerate() {
            if change.0 & (1 << at) != 0 {
                part.lock().is_changing = false;
            }
        }
    }

    /// Forgets everything and keeps nothing from now on.
    pub(crate) fn close(&self) {
        for part in &self.parts {
            let mut part = part.lock();
            part.is_closed = true;
            part.forget(None);
        }
    }

    fn part_of(&self, home: &HomeKey) -> usize {
        let mut hasher = DefaultHasher::new();
        (self.secret, home).hash(&mut hasher);
        hasher.finish() as usize % PARTS
    }
}

impl Part {
    fn begin_change(&mut self, home: Option<&HomeKey>) {
        self.is_changing = true;
        self.changes += 1;
        self.forget(home);
    }

    /// Forgets a key, or all of them.
    fn forget(&mut self, home: Option<&HomeKey>) {
        match home {
            Some(home) => {
                if let Some(entry) = self.entries.remove(home) {
                    self.bytes -= entry.bytes;
                }
            }
            None => {
                self.entries.clear();
                self.bytes = 0;
            }
        }
    }
}

/// The key of a lookup of a newest version, and whether its inline bytes are wanted.
fn newest_of(query: &Query) -> Option<(HomeKey, bool)> {
    let (bucket, key, is_whole) = match query {
        Query::Version { bucket, key, which: WhichVersion::Newest } => (bucket, key, true),
        Query::VersionHead { bucket, key, which: WhichVersion::Newest } => (bucket, key, false),
        _ => return None,
    };
    Some((HomeKey { bucket: *bucket, key: key.clone() }, is_whole))
}

/// What the answer to a lookup may depend on of what a command changes.
enum Touched {
    Nothing,
    Keys(Vec<HomeKey>),
    Everything,
}

fn touched_by(command: &CommandBody) -> Touched {
    let home = |bucket, key: &ObjectKey| HomeKey { bucket, key: key.clone() };
    let key = |bucket, key: &ObjectKey| Touched::Keys(vec![home(bucket, key)]);
    match command.bare() {
        CommandBody::PutObject(put) => key(put.bucket.id, &put.key),
        CommandBody::DeleteObject(delete) => key(delete.bucket.id, &delete.key),
        CommandBody::CompleteUpload(complete) => key(complete.bucket.id, &complete.key),
        CommandBody::SetObjectTags(set) => key(set.bucket.id, &set.key),
        CommandBody::SetObjectLock(set) => key(set.bucket.id, &set.key),
        CommandBody::ReplacePart(replace) => key(replace.bucket, &replace.key),
        CommandBody::Expire(expire) => {
            Touched::Keys(expire.keys.iter().map(|key| home(expire.bucket.id, &key.key)).collect())
        }
        CommandBody::CreateBucketRow { .. }
        | CommandBody::ChangeBucketRow { .. }
        | CommandBody::FenceBucket { .. }
        | CommandBody::UnfenceBucket { .. }
        | CommandBody::DropBucketRow { .. }
        | CommandBody::AdoptBucketRow { .. }
        | CommandBody::SplitRange(_) => Touched::Everything,
        CommandBody::Form(_)
        | CommandBody::PutCredential(_)
        | CommandBody::ChangeLayout { .. }
        | CommandBody::RaiseFeatureLevel(_)
        | CommandBody::GrantTicket { .. }
        | CommandBody::RenewTicket(_)
        | CommandBody::EndTicket(_)
        | CommandBody::ExpireTickets { .. }
        | CommandBody::ReserveBucket { .. }
        | CommandBody::PublishBucket { .. }
        | CommandBody::BeginBucketDeletion { .. }
        | CommandBody::FinishBucketDeletion { .. }
        | CommandBody::UndoBucketDeletion { .. }
        | CommandBody::RaiseFloor { .. }
        | CommandBody::CreateUpload(_)
        | CommandBody::PutPart(_)
        | CommandBody::AbortUpload { .. }
        | CommandBody::RemoveGarbage { .. }
        | CommandBody::DiscardRuns { .. }
        | CommandBody::PutGateway(_)
        | CommandBody::RemoveGateway(_)
        | CommandBody::SetRebalancing(_)
        | CommandBody::SetWantedProfile { .. }
        | CommandBody::NoteAway { .. }
        | CommandBody::AllotRange
        | CommandBody::NoteRanges { .. }
        | CommandBody::SetBucketDocument(_)
        | CommandBody::FollowLifecycle(_)
        | CommandBody::DropDue { .. }
        | CommandBody::ChangeIdentity(_)
        // Bare, it is none.
        | CommandBody::Within { .. } => Touched::Nothing,
        #[cfg(feature = "next-level")]
        CommandBody::Probe => Touched::Nothing,
    }
}

/// About how much memory an entry takes.
fn bytes_of(key: &ObjectKey, version: &Version) -> usize {
    let pairs =
        |pairs: &[(String, Bytes)]| pairs.iter().map(|(name, value)| name.len() + value.len() + 64).sum::<usize>();
    let attributes = &version.attributes;
    let tags = attributes.tags.iter().map(|(name, value)| name.len() + value.len() + 64).sum::<usize>();
    let body = match &version.kind {
        VersionKind::DeleteMarker => 0,
        VersionKind::Single(part) => part.extents.iter().map(bytes_of_extent).sum(),
        VersionKind::Multipart { parts, .. } => size_of_val(parts.as_slice()),
    };
    ENTRY_BYTES + key.as_bytes().len() + pairs(&attributes.headers) + pairs(&attributes.metadata) + tags + body
}

fn bytes_of_extent(extent: &Extent) -> usize {
    match extent {
        Extent::Inline(bytes) => size_of::<Extent>() + bytes.len(),
        Extent::Slice { .. } => size_of::<Extent>(),
    }
}

#[cfg(test)]
mod tests {
    use index::command::BucketConfig;
    use index::contract::samples;
    use platform::SystemEntropy;
    use types::{BucketId, BucketState, Timestamp, VersionId};

    use super::*;

    fn answer(key: &str, bytes: usize) -> (Query, QueryAnswer) {
        let put =
            samples::put_object(samples::at(7, 1), samples::key(key), 1, samples::inline_part(1, &vec![1; bytes]));
        let version = Version {
            id: VersionId { stamp: types::CommitStamp(1), random: 1 },
            null: true,
            kind: VersionKind::Single(put.part),
            plain_bytes: put.version.plain_bytes,
            etag: put.version.etag,
            checksum: None,
            attributes: put.version.attributes,
            owner: samples::owner(),
            superseded: None,
        };
        let row = BucketRow {
            id: BucketId(7),
            epoch: samples::at(7, 1).epoch,
            state: BucketState::Live,
            config: BucketConfig::default(),
        };
        let query = samples::ask_version(7, key, WhichVersion::Newest);
        (query, QueryAnswer::Version { version: Some(Box::new(version)), row: Some(row) })
    }

    fn entry_that_puts(key: &str) -> RangeEntry {
        RangeEntry {
            range: index::FIRST_DATA_RANGE,
            applied: Bytes::new(),
            membership: None,
            time: Timestamp(0),
            commands: vec![samples::put(samples::at(7, 1), key, 1, b"bytes")],
        }
    }

    #[test]
    fn what_was_read_is_kept_until_a_command_touches_it() {
        let recent = RecentVersions::new(1 << 20, &SystemEntropy);
        let (query, found) = answer("key", 10);
        let lookup = recent.before_read(&query).expect("nothing changes");
        assert_eq!(recent.get(&query), None);
        recent.keep(lookup, &found);
        assert_eq!(recent.get(&query), Some(found));
        let change = recent.begin_change(&[entry_that_puts("key")]);
        assert_eq!(recent.get(&query), None);
        recent.end_change(change);
        assert_eq!(recent.get(&query), None);
    }

    #[test]
    fn what_was_read_before_or_while_a_command_was_applied_is_not_kept() {
        let recent = RecentVersions::new(1 << 20, &SystemEntropy);
        let (query, found) = answer("key", 10);
        let before = recent.before_read(&query).expect("nothing changes");
        let change = recent.begin_change(&[entry_that_puts("key")]);
        assert!(recent.before_read(&query).is_none());
        recent.end_change(change);
        recent.keep(before, &found);
        assert_eq!(recent.get(&query), None);
        let after = recent.before_read(&query).expect("it is applied");
        recent.keep(after, &found);
        assert!(recent.get(&query).is_some());
    }

    #[test]
    fn a_lookup_without_bytes_is_answered_out_of_a_whole_one_and_not_the_other_way_round() {
        let recent = RecentVersions::new(1 << 20, &SystemEntropy);
        let (query, found) = answer("key", 10);
        let Query::Version { bucket, key, which } = query.clone() else { panic!("as asked") };
        let head_query = Query::VersionHead { bucket, key, which };
        recent.keep(recent.before_read(&query).expect("nothing changes"), &found);
        let head = recent.get(&head_query).expect("it is there");
        let QueryAnswer::Version { version: Some(version), .. } = &head else { panic!("a version") };
        assert!(matches!(&version.kind, VersionKind::Single(part) if part.extents.is_empty()));
        let recent = RecentVersions::new(1 << 20, &SystemEntropy);
        recent.keep(recent.before_read(&head_query).expect("nothing changes"), &head);
        assert_eq!((recent.get(&query), recent.get(&head_query)), (None, Some(head)));
    }

    #[test]
    fn those_read_last_stay_within_the_bytes() {
        let recent = RecentVersions::new(1 << 20, &SystemEntropy);
        for number in 0..2000 {
            let (query, found) = answer(&format!("key {number}"), 4096);
            recent.keep(recent.before_read(&query).expect("nothing changes"), &found);
            let bytes: usize = recent.parts.iter().map(|part| part.lock().bytes).sum();
            assert!(bytes <= 1 << 20);
            assert!(recent.get(&query).is_some());
        }
        let (large, found) = answer("large", 40 << 10);
        recent.keep(recent.before_read(&large).expect("nothing changes"), &found);
        assert_eq!(recent.get(&large), None);
        recent.close();
        assert!(recent.parts.iter().all(|part| part.lock().bytes == 0));
        let (query, found) = answer("late", 10);
        recent.keep(recent.before_read(&query).expect("nothing changes"), &found);
        assert_eq!(recent.get(&query), None);
    }
}
