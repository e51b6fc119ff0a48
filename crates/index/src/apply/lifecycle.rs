//! FollowLifecycle and Expire: which keys are to be looked at when, and what is done with those that are due.
//!
//! What rules say is not known here: whoever looks at a key says what is to be done and why, and it is done if the key
//! still is as it was judged. That it is time is checked by the range's own.

use types::{BucketId, ETag, StorageClass, VersionId, Versioning};

use super::{Applying, Site, Stop};
use crate::command::{
    Answer, Expire, ExpireAction, ExpireKey, ExpireKind, Expired, FollowLifecycle, FollowedLifecycle, LifecyclePass,
    Refusal,
};
use crate::rows::{self, HeadRow};
use crate::tables::Stored;
use crate::{IndexDatabaseError, keys};

/// A place for what was done.
type Counter = fn(&mut Expired) -> &mut u64;

impl Applying<'_> {
    /// Whoever follows under an older epoch may have read older rules: refused.
    pub(super) fn follow_lifecycle(&mut self, follow: &FollowLifecycle) -> Result<Answer, Stop> {
        let bucket = follow.bucket.id;
        let Some(times) = &follow.rules else {
            if self.bucket_row(bucket)?.is_some_and(|row| row.epoch != follow.bucket.epoch) {
                return Err(Refusal::StaleBucket { row: self.bucket_row(bucket)? }.into());
            }
            self.forget_followed(bucket)?;
            return Ok(Answer::Done);
        };
        self.live_bucket(follow.bucket)?;
        let standing = self.followed(bucket)?;
        if standing.is_none_or(|standing| standing.times.fingerprint != times.fingerprint) {
            self.put_followed(bucket, FollowedLifecycle { times: times.clone(), pass: Some(Vec::new()) })?;
        }
        Ok(Answer::Done)
    }

    /// A bucket that goes is followed no more.
    pub(super) fn forget_followed(&mut self, bucket: BucketId) -> Result<(), Stop> {
        if self.followed(bucket)?.is_some() {
            self.tables.delete_followed(self.range, bucket)?;
        }
        self.memory.followed.insert((self.range, bucket), None);
        Ok(())
    }

    fn put_followed(&mut self, bucket: BucketId, row: FollowedLifecycle) -> Result<(), Stop> {
        self.tables.put_followed(self.range, bucket, &row)?;
        self.memory.followed.insert((self.range, bucket), Some(row));
        Ok(())
    }

    fn followed(&mut self, bucket: BucketId) -> Result<Option<FollowedLifecycle>, IndexDatabaseError> {
        if let Some(row) = self.memory.followed.get(&(self.range, bucket)) {
            return Ok(row.clone());
        }
        let row = self.tables.followed(self.range, bucket)?;
        self.memory.followed.insert((self.range, bucket), row.clone());
        Ok(row)
    }

    /// Notes when a key that has just been changed is to be looked at, where its bucket has rules.
    pub(super) fn note_change(&mut self, site: &Site<'_>) -> Result<(), Stop> {
        let changed = self.stamp.time();
        if let Some(row) = self.followed(site.bucket)?
            && let Some(at) = row.times.look_at(changed)
        {
            self.tables.put_due(self.range, at, &site.place)?;
        }
        Ok(())
    }

    /// Notes that a key is to be looked at at once, where its bucket has rules: what it has now may have been due before.
    pub(super) fn note_look(&mut self, site: &Site<'_>) -> Result<(), Stop> {
        if self.followed(site.bucket)?.is_some() {
            self.tables.put_due(self.range, self.stamp.time(), &site.place)?;
        }
        Ok(())
    }

    pub(super) fn drop_due(&mut self, rows: &[Vec<u8>]) -> Result<Answer, Stop> {
        // Others' rows are not this range's to remove.
        for row in rows.iter().filter(|row| row.starts_with(&self.range.0.to_be_bytes())) {
            self.tables.delete_due(row)?;
        }
        Ok(Answer::Done)
    }

    pub(super) fn expire(&mut self, expire: &Expire) -> Result<Answer, Stop> {
        let versioning = self.live_bucket(expire.bucket)?.config.versioning;
        let interval = self.memory.descriptor(self.range).interval;
        let bucket = expire.bucket.id;
        let mut done = Expired::default();
        for key in &expire.keys {
            let site = Site::new(bucket, &key.key);
            if interval.contains(&site.place) {
                self.expire_key(&site, versioning, expire, key, &mut done)?;
            }
        }
        if let Some(LifecyclePass { fingerprint, after }) = &expire.pass
            && let Some(row) = self.followed(bucket)?.filter(|row| row.times.fingerprint == *fingerprint)
        {
            self.put_followed(bucket, FollowedLifecycle { pass: after.clone(), ..row })?;
        }
        Ok(Answer::Expired(done))
    }

    fn expire_key(
        &mut self,
        site: &Site<'_>,
        versioning: Versioning,
        expire: &Expire,
        key: &ExpireKey,
        done: &mut Expired,
    ) -> Result<(), Stop> {
        if let Some(noted) = key.noted {
            self.tables.delete_due(&keys::due_key(self.range, noted, &site.place))?;
        }
        let mut is_left = false;
        for ExpireAction { kind, since } in &key.actions {
            let outcome =
                if *since > self.stamp.time() { Ok(None) } else { self.expire_one(site, versioning, expire, kind) };
            match outcome {
                Ok(Some(counter)) => *counter(done) += 1,
                // It is not what was judged any more, or is held: whoever looks at it next sees why.
                Ok(None) | Err(Stop::Refused(_)) => {
                    done.left += 1;
                    is_left = true;
                }
                Err(Stop::Failed(error)) => return Err(Stop::Failed(error)),
            }
        }
        let again = is_left.then(|| self.stamp.time());
        if let Some(at) = again.or(key.next)
            && self.followed(site.bucket)?.is_some()
        {
            self.tables.put_due(self.range, at, &site.place)?;
        }
        Ok(())
    }

    /// `None`: the key is not any more what was judged.
    fn expire_one(
        &mut self,
        site: &Site<'_>,
        versioning: Versioning,
        expire: &Expire,
        kind: &ExpireKind,
    ) -> Result<Option<Counter>, Stop> {
        match kind {
            ExpireKind::Newest { version, tags, random } => {
                self.expire_newest(site, versioning, *version, tags, *random)
            }
            ExpireKind::Noncurrent { version, superseded, tags, newer } => {
                let judged = Judged { version: *version, superseded: Some(*superseded), tags, newer: *newer };
                let Some(stored) = self.as_judged(site, &judged)? else { return Ok(None) };
                let doomed = self.doom(stored, false)?;
                self.remove(site, doomed)?;
                Ok(Some(|done| &mut done.noncurrent))
            }
            ExpireKind::Marker { version } => {
                let rows = self.tables.versions_of_at_most(&site.place, 2)?;
                let alone = match &rows[..] {
                    [only] if only.head.marker && only.head.id == *version => only.clone(),
                    _ => return Ok(None),
                };
                if self.tables.current(&site.place)?.is_some() {
                    return Ok(None);
                }
                let doomed = self.doom(alone, false)?;
                self.remove(site, doomed)?;
                Ok(Some(|done| &mut done.markers))
            }
            ExpireKind::Upload { upload } => {
                self.abort_upload(expire.bucket, site.key, *upload)?;
                Ok(Some(|done| &mut done.uploads))
            }
            ExpireKind::Class { version, superseded, tags, newer, from, to } => {
                let judged = Judged { version: *version, superseded: *superseded, tags, newer: *newer };
                self.set_class(site, &judged, from, to)
            }
        }
    }

    fn expire_newest(
        &mut self,
        site: &Site<'_>,
        versioning: Versioning,
        version: VersionId,
        tags: &[(String, String)],
        random: u64,
    ) -> Result<Option<Counter>, Stop> {
        let judged = Judged { version, superseded: None, tags, newer: 0 };
        let Some(stored) = self.as_judged(site, &judged)?.filter(|stored| !stored.head.marker) else {
            return Ok(None);
        };
        if versioning == Versioning::Off {
            let doomed = self.doom(stored, false)?;
            self.remove(site, doomed)?;
        } else {
            let marker = HeadRow {
                id: VersionId { stamp: self.stamp, random },
                null: versioning != Versioning::Enabled,
                marker: true,
                plain_bytes: 0,
                etag: ETag::of_body([0; 16]),
                storage_class: StorageClass::default(),
                checksum: None,
                owner: stored.head.owner.clone(),
                superseded: None,
            };
            self.install_marker(site, versioning, Some(stored), marker)?;
        }
        Ok(Some(|done| &mut done.objects))
    }

    /// The version, if all holds by which it was judged.
    fn as_judged(&self, site: &Site<'_>, judged: &Judged<'_>) -> Result<Option<Stored>, Stop> {
        let current = self.tables.current(&site.place)?;
        let stored = self.find_version(site, crate::command::WhichVersion::Id(judged.version), current)?;
        let Some(stored) = stored.filter(|stored| stored.head.superseded == judged.superseded) else {
            return Ok(None);
        };
        let tags = match stored.body {
            Some(body) => self.tables.body(body)?.attributes.into_owned().tags,
            None => Vec::new(),
        };
        let newer = self.tables.newer_noncurrent(&site.place, stored.head.id.stamp, judged.newer)?;
        Ok((tags == judged.tags && newer >= judged.newer).then_some(stored))
    }

    fn set_class(
        &mut self,
        site: &Site<'_>,
        judged: &Judged<'_>,
        from: &StorageClass,
        to: &StorageClass,
    ) -> Result<Option<Counter>, Stop> {
        let Some(Stored { head, body: Some(body) }) = self.as_judged(site, judged)? else { return Ok(None) };
        if head.storage_class != *from {
            return Ok(None);
        }
        let mut row = self.tables.body(body)?;
        row.attributes.to_mut().storage_class = to.clone();
        self.tables.rewrite_body(body, &rows::encode(&row))?;
        let head = HeadRow { storage_class: to.clone(), ..head };
        if head.superseded.is_none() {
            self.tables.replace_current(&site.place, &head, body)?;
        } else {
            self.tables.put_version(&site.place, &head, Some(body))?;
        }
        Ok(Some(|done| &mut done.moved))
    }
}

/// What a version was judged by.
struct Judged<'a> {
    version: VersionId,
    superseded: Option<types::CommitStamp>,
    tags: &'a [(String, String)],
    newer: u32,
}
