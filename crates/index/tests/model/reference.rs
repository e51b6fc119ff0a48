//! The index as a few maps: what S3 says of versions, written as plainly as it goes.

use std::collections::{BTreeMap, BTreeSet};

use index::command::{
    BucketAt, BucketConfig, BucketRow, CompleteUpload, DeleteObject, ETagCondition, LockChange, PutObject,
    SetObjectLock, WhichVersion, WriteConditions,
};
use index::query::{ListEntry, ListRange, ListedVersion, Usage};
use index::{Answer, CommandBody, Refusal};
use types::{
    BucketEpoch, BucketId, BucketState, CommitStamp, DefaultRetention, ETag, Extent, LegalHold, ObjectKey, ObjectLock,
    Part, Retention, RetentionMode, RunId, Timestamp, UploadId, VersionId, Versioning,
};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Version {
    pub(crate) id: VersionId,
    pub(crate) null: bool,
    pub(crate) marker: bool,
    pub(crate) bytes: u64,
    pub(crate) etag: ETag,
    pub(crate) runs: BTreeSet<RunId>,
    pub(crate) retention: Option<Retention>,
    pub(crate) hold: LegalHold,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) upload: Option<UploadId>,
    pub(crate) superseded: Option<CommitStamp>,
}

impl Version {
    /// Whether it may not go at this time.
    fn is_held(&self, now: CommitStamp, bypass_governance: bool) -> bool {
        let retained = match self.retention {
            Some(Retention { mode: RetentionMode::Compliance, until }) => until > now.time(),
            Some(Retention { mode: RetentionMode::Governance, until }) => until > now.time() && !bypass_governance,
            None => false,
        };
        retained || self.hold == LegalHold::On
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) began: CommitStamp,
    pub(crate) parts: BTreeMap<u16, Part>,
    pub(crate) completed: Option<(VersionId, bool, ETag)>,
}

#[derive(Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) row: Option<BucketRow>,
    /// Oldest first.
    pub(crate) keys: BTreeMap<ObjectKey, Vec<Version>>,
    pub(crate) uploads: BTreeMap<(ObjectKey, UploadId), Upload>,
}

#[derive(Debug, Default)]
pub(crate) struct Reference {
    pub(crate) last: CommitStamp,
    pub(crate) buckets: BTreeMap<BucketId, Bucket>,
    pub(crate) garbage: BTreeSet<RunId>,
    pub(crate) followed: crate::lifecycle::Followed,
}

pub(crate) type Outcome = Result<Answer, Refusal>;

impl Reference {
    pub(crate) fn apply(&mut self, time: Timestamp, command: &CommandBody) -> Answer {
        self.last = CommitStamp::after(self.last, time);
        self.body(command).unwrap_or_else(Answer::Refused)
    }

    /// Does it, and notes the key where its bucket is followed.
    pub(crate) fn body(&mut self, command: &CommandBody) -> Outcome {
        let known = |bucket: BucketId, key: &ObjectKey, upload| {
            self.buckets.get(&bucket).and_then(|bucket| bucket.uploads.get(&(key.clone(), upload)))
        };
        let is_repeat = match command {
            CommandBody::CreateUpload(create) => known(create.bucket.id, &create.key, create.upload).is_some(),
            CommandBody::CompleteUpload(complete) => known(complete.bucket.id, &complete.key, complete.upload)
                .is_some_and(|upload| upload.completed.is_some()),
            _ => false,
        };
        let answer = self.done(command)?;
        self.note(command, &answer, is_repeat);
        Ok(answer)
    }

    fn done(&mut self, command: &CommandBody) -> Outcome {
        match command {
            CommandBody::CreateBucketRow { id, config } => {
                let bucket = self.buckets.entry(*id).or_default();
                let row =
                    BucketRow { id: *id, epoch: BucketEpoch(1), state: BucketState::Live, config: config.clone() };
                Ok(Answer::BucketRow(bucket.row.get_or_insert(row).clone()))
            }
            CommandBody::ChangeBucketRow { bucket, config } => {
                let row = self.live(*bucket)?.row.as_mut().expect("it lives");
                row.epoch = row.epoch.next();
                row.config = config.clone();
                if row.config.object_lock.is_on() {
                    row.config.versioning = Versioning::Enabled;
                }
                Ok(Answer::BucketRow(row.clone()))
            }
            CommandBody::PutObject(put) => self.put(put),
            CommandBody::DeleteObject(delete) => self.delete(delete),
            CommandBody::SetObjectTags(set) => {
                let version = self.settable(set.bucket, &set.key, set.version)?;
                version.tags.clone_from(&set.tags);
                Ok(Answer::Tagged { id: version.id, null: version.null })
            }
            CommandBody::SetObjectLock(set) => self.lock(set),
            CommandBody::CreateUpload(create) => {
                let stamp = self.last;
                let bucket = self.live(create.bucket)?;
                let upload = Upload { began: stamp, parts: BTreeMap::new(), completed: None };
                let upload = bucket.uploads.entry((create.key.clone(), create.upload)).or_insert(upload);
                Ok(Answer::UploadCreated { stamp: upload.began })
            }
            CommandBody::PutPart(put) => {
                let stamp = self.last;
                let upload = self.under_way(put.bucket, &put.key, put.upload)?;
                let part = Part { modified: stamp, ..put.part.clone() };
                let old = upload.parts.insert(part.number.get(), part);
                self.free(old.iter().flat_map(runs));
                Ok(Answer::Done)
            }
            CommandBody::CompleteUpload(complete) => self.complete(complete),
            CommandBody::AbortUpload { bucket, key, upload } => {
                self.under_way(*bucket, key, *upload)?;
                let upload = self.live(*bucket)?.uploads.remove(&(key.clone(), *upload)).expect("it is under way");
                self.free(upload.parts.values().flat_map(runs));
                Ok(Answer::Done)
            }
            CommandBody::FollowLifecycle(follow) => {
                self.live(follow.bucket)?;
                self.follow(follow.bucket.id, follow.rules.clone());
                Ok(Answer::Done)
            }
            CommandBody::Expire(expire) => self.expire(expire),
            other => panic!("the reference knows no {other:?}"),
        }
    }

    pub(crate) fn live(&mut self, at: BucketAt) -> Result<&mut Bucket, Refusal> {
        let bucket = self.buckets.entry(at.id).or_default();
        match &bucket.row {
            Some(row) if row.epoch == at.epoch && row.state == BucketState::Live => Ok(bucket),
            row => Err(Refusal::StaleBucket { row: row.clone() }),
        }
    }

    fn under_way(&mut self, at: BucketAt, key: &ObjectKey, upload: UploadId) -> Result<&mut Upload, Refusal> {
        let upload = self.live(at)?.uploads.get_mut(&(key.clone(), upload)).ok_or(Refusal::NoSuchUpload)?;
        if upload.completed.is_some() { Err(Refusal::NoSuchUpload) } else { Ok(upload) }
    }

    fn free(&mut self, runs: impl IntoIterator<Item = RunId>) {
        self.garbage.extend(runs);
    }

    fn put(&mut self, put: &PutObject) -> Outcome {
        self.live(put.bucket)?;
        let version = Version {
            id: VersionId { stamp: self.last, random: put.version.random },
            null: false,
            marker: false,
            bytes: put.part.plain_bytes,
            etag: put.version.etag,
            runs: runs(&put.part).collect(),
            retention: put.version.attributes.retention,
            hold: put.version.attributes.legal_hold,
            tags: put.version.attributes.tags.clone(),
            upload: None,
            superseded: None,
        };
        let version = self.install(put.bucket, &put.key, &put.conditions, version)?;
        Ok(Answer::Put { id: version.id, null: version.null })
    }

    /// Adds the newest version of a key, after what the conditions and the bucket's versioning say.
    fn install(
        &mut self,
        at: BucketAt,
        key: &ObjectKey,
        conditions: &WriteConditions,
        mut version: Version,
    ) -> Result<Version, Refusal> {
        let stamp = self.last;
        let bucket = self.live(at)?;
        let BucketConfig { versioning, object_lock } = bucket.row.as_ref().expect("it lives").config;
        let versions = bucket.keys.entry(key.clone()).or_default();
        check(conditions, versions.last())?;
        let mut gone = None;
        if let (ObjectLock::Default(DefaultRetention { mode, period }), None, false) =
            (object_lock, version.retention, version.marker)
        {
            let seconds = stamp.0.div_ceil(1_000_000) + period.days() * 86_400;
            version.retention = Some(Retention { mode, until: Timestamp::from_seconds(seconds) });
        }
        if versioning != Versioning::Enabled {
            version.null = true;
            if versions.iter().any(|version| version.null && version.is_held(stamp, false)) {
                return Err(Refusal::Locked);
            }
            gone = versions.iter().position(|version| version.null).map(|at| versions.remove(at));
        }
        if let Some(newest) = versions.last_mut().filter(|newest| newest.superseded.is_none()) {
            newest.superseded = Some(stamp);
        }
        versions.push(version.clone());
        self.let_go(at.id, key, gone);
        Ok(version)
    }

    /// Frees what a version held.
    fn let_go(&mut self, bucket: BucketId, key: &ObjectKey, version: Option<Version>) {
        let Some(version) = version else { return };
        self.free(version.runs);
        if let Some(upload) = version.upload {
            let uploads = &mut self.buckets.get_mut(&bucket).expect("it is there").uploads;
            let upload = uploads.remove(&(key.clone(), upload)).expect("a version's upload is remembered");
            self.free(upload.parts.values().flat_map(runs));
        }
    }

    fn delete(&mut self, delete: &DeleteObject) -> Outcome {
        let stamp = self.last;
        let bucket = self.live(delete.bucket)?;
        let versioning = bucket.row.as_ref().expect("it lives").config.versioning;
        let versions = bucket.keys.entry(delete.key.clone()).or_default();
        if delete.version.is_none() && versioning != Versioning::Off {
            let marker = Version {
                id: VersionId { stamp, random: delete.random },
                null: false,
                marker: true,
                bytes: 0,
                etag: ETag::of_body([0; 16]),
                runs: BTreeSet::new(),
                retention: None,
                hold: LegalHold::Unset,
                tags: Vec::new(),
                upload: None,
                superseded: None,
            };
            let marker = self.install(delete.bucket, &delete.key, &delete.conditions, marker)?;
            return Ok(Answer::Deleted { marker: true, version: Some((marker.id, marker.null)) });
        }
        let found = match delete.version {
            None | Some(WhichVersion::Newest) => versions.len().checked_sub(1),
            Some(WhichVersion::Null) => versions.iter().position(|version| version.null),
            Some(WhichVersion::Id(id)) => versions.iter().position(|version| version.id == id),
        };
        let Some(at) = found else {
            return match (delete.version, &delete.conditions.if_match) {
                (None, Some(_)) => Err(Refusal::NoSuchKey),
                (Some(_), Some(_)) => Err(Refusal::NoSuchVersion),
                _ => Ok(Answer::Deleted { marker: false, version: None }),
            };
        };
        check(&delete.conditions, Some(&versions[at]))?;
        if versions[at].is_held(stamp, delete.bypass_governance && delete.version.is_some()) {
            return Err(Refusal::Locked);
        }
        let gone = versions.remove(at);
        if let Some(newest) = versions.last_mut().filter(|_| gone.superseded.is_none()) {
            newest.superseded = None;
        }
        let answer = Answer::Deleted { marker: gone.marker, version: Some((gone.id, gone.null)) };
        self.let_go(delete.bucket.id, &delete.key, Some(gone));
        Ok(answer)
    }

    /// The version of which something is set.
    fn settable(&mut self, at: BucketAt, key: &ObjectKey, which: WhichVersion) -> Result<&mut Version, Refusal> {
        let versions = self.live(at)?.keys.entry(key.clone()).or_default();
        let (found, missing) = match which {
            WhichVersion::Newest => (versions.last_mut(), Refusal::NoSuchKey),
            WhichVersion::Null => (versions.iter_mut().find(|version| version.null), Refusal::NoSuchVersion),
            WhichVersion::Id(id) => (versions.iter_mut().find(|version| version.id == id), Refusal::NoSuchVersion),
        };
        let version = found.ok_or(missing)?;
        let (id, null) = (version.id, version.null);
        if version.marker { Err(Refusal::IsMarker { id, null }) } else { Ok(version) }
    }

    fn lock(&mut self, set: &SetObjectLock) -> Outcome {
        let now = self.last;
        if !self.live(set.bucket)?.row.as_ref().expect("it lives").config.object_lock.is_on() {
            return Err(Refusal::NoObjectLock);
        }
        let version = self.settable(set.bucket, &set.key, set.version)?;
        match set.change {
            LockChange::LegalHold(hold) => version.hold = hold,
            LockChange::Retention { retention: Some(over), .. } if over.until <= now.time() => {
                return Err(Refusal::RetainUntilPassed);
            }
            LockChange::Retention { retention, bypass_governance } => {
                let old = version.retention.filter(|old| old.until > now.time());
                let allowed = match (old, retention) {
                    (None, _) => true,
                    (Some(old), _) if old.mode == RetentionMode::Governance && bypass_governance => true,
                    (Some(_), None) => false,
                    (Some(old), Some(new)) => new.mode == old.mode && new.until >= old.until,
                };
                if !allowed {
                    return Err(Refusal::Locked);
                }
                version.retention = retention;
            }
        }
        Ok(Answer::LockSet { id: version.id, null: version.null })
    }

    fn complete(&mut self, complete: &CompleteUpload) -> Outcome {
        let stamp = self.last;
        let bucket = self.live(complete.bucket)?;
        let id = (complete.key.clone(), complete.upload);
        let upload = bucket.uploads.get(&id).ok_or(Refusal::NoSuchUpload)?.clone();
        if let Some((id, null, etag)) = upload.completed {
            let same = etag == complete.version.etag;
            return if same { Ok(Answer::Put { id, null }) } else { Err(Refusal::NoSuchUpload) };
        }
        let newest = bucket.keys.get(&complete.key).and_then(|versions| versions.last());
        check(&complete.conditions, newest)?;
        let ascending = complete.parts.windows(2).all(|pair| pair[0].number < pair[1].number);
        let as_named = complete.parts.iter().all(|name| {
            upload.parts.get(&name.number.get()).is_some_and(|part| {
                (part.etag, part.modified, part.plain_bytes) == (name.etag, name.modified, name.plain_bytes)
            })
        });
        if complete.parts.is_empty() || !ascending || !as_named {
            return Err(Refusal::PartChanged);
        }
        let version = Version {
            id: VersionId { stamp, random: complete.version.random },
            null: false,
            marker: false,
            bytes: complete.parts.iter().map(|part| part.plain_bytes).sum(),
            etag: complete.version.etag,
            runs: BTreeSet::new(),
            retention: complete.version.attributes.retention,
            hold: complete.version.attributes.legal_hold,
            tags: complete.version.attributes.tags.clone(),
            upload: Some(complete.upload),
            superseded: None,
        };
        let version = self.install(complete.bucket, &complete.key, &complete.conditions, version)?;
        let named: BTreeSet<u16> = complete.parts.iter().map(|part| part.number.get()).collect();
        let (kept, left): (BTreeMap<u16, Part>, BTreeMap<u16, Part>) =
            upload.parts.into_iter().partition(|(number, _)| named.contains(number));
        self.free(left.values().flat_map(runs));
        let completed = Some((version.id, version.null, version.etag));
        let upload = Upload { began: upload.began, parts: kept, completed };
        self.buckets.get_mut(&complete.bucket.id).expect("it lives").uploads.insert(id, upload);
        Ok(Answer::Put { id: version.id, null: version.null })
    }

    pub(crate) fn usage(&self, bucket: BucketId) -> Usage {
        let Some(bucket) = self.buckets.get(&bucket) else { return Usage::default() };
        let versions = || bucket.keys.values().flatten();
        let under_way = || bucket.uploads.values().filter(|upload| upload.completed.is_none());
        let newest = bucket.keys.values().filter_map(|versions| versions.last());
        Usage {
            objects: newest.filter(|version| !version.marker).count() as u64,
            versions: versions().filter(|version| !version.marker).count() as u64,
            markers: versions().filter(|version| version.marker).count() as u64,
            bytes: versions().map(|version| version.bytes).sum(),
            uploads: under_way().count() as u64,
            upload_bytes: under_way().flat_map(|upload| upload.parts.values()).map(|part| part.plain_bytes).sum(),
        }
    }

    /// All runs that a version or upload names.
    pub(crate) fn live_runs(&self) -> BTreeSet<(BucketId, ObjectKey, RunId)> {
        let mut live = BTreeSet::new();
        for (id, bucket) in &self.buckets {
            for (key, version) in bucket.keys.iter().flat_map(|(key, versions)| versions.iter().map(move |v| (key, v)))
            {
                live.extend(version.runs.iter().map(|run| (*id, key.clone(), *run)));
            }
            for ((key, _), upload) in &bucket.uploads {
                live.extend(upload.parts.values().flat_map(runs).map(|run| (*id, key.clone(), run)));
            }
        }
        live
    }

    /// A listing of the newest versions, or of all.
    pub(crate) fn list(&self, range: &ListRange, all: bool, after_version: Option<VersionId>) -> (Vec<Line>, bool) {
        let mut lines: Vec<Line> = Vec::new();
        for (key, versions) in self.buckets.get(&range.bucket).map(|bucket| &bucket.keys).into_iter().flatten() {
            let Some(rest) = key.as_bytes().strip_prefix(&range.prefix[..]) else { continue };
            let delimiter = &range.delimiter[..];
            let cut = (0..rest.len()).find(|at| !delimiter.is_empty() && rest[*at..].starts_with(delimiter));
            let shown =
                versions.iter().rev().filter(|version| all || (version.superseded.is_none() && !version.marker));
            for version in shown {
                match cut {
                    Some(at) => {
                        let prefix = &key.as_bytes()[..range.prefix.len() + at + delimiter.len()];
                        let line = Line::Prefix(prefix.to_vec());
                        if prefix > &range.after[..] && lines.last() != Some(&line) {
                            lines.push(line);
                        }
                    }
                    None if key.as_bytes() > &range.after[..]
                        || (key.as_bytes() == &range.after[..]
                            && after_version.is_some_and(|after| version.id < after)) =>
                    {
                        lines.push(Line::Version(
                            key.clone(),
                            version.id,
                            version.null,
                            version.superseded.is_none(),
                            version.marker,
                        ));
                    }
                    None => {}
                }
            }
        }
        let truncated = range.limit > 0 && lines.len() > range.limit;
        lines.truncate(range.limit);
        (lines, truncated)
    }
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Line {
    Prefix(Vec<u8>),
    Version(ObjectKey, VersionId, bool, bool, bool),
}

impl From<&ListEntry<ListedVersion>> for Line {
    fn from(entry: &ListEntry<ListedVersion>) -> Self {
        match entry {
            ListEntry::CommonPrefix(prefix) => Self::Prefix(prefix.to_vec()),
            ListEntry::Entry(v) => Self::Version(v.key.clone(), v.id, v.null, v.newest, v.marker),
        }
    }
}

pub(crate) fn runs(part: &Part) -> impl Iterator<Item = RunId> + '_ {
    part.extents.iter().filter_map(|extent| match extent {
        Extent::Slice { run, .. } => Some(run.id),
        Extent::Inline(_) => None,
    })
}

fn check(conditions: &WriteConditions, newest: Option<&Version>) -> Result<(), Refusal> {
    let object = newest.filter(|version| !version.marker);
    let matches = |condition: &ETagCondition, version: &Version| match condition {
        ETagCondition::Any => true,
        ETagCondition::OneOf(tags) => tags.contains(&version.etag),
    };
    match (&conditions.if_match, object) {
        (Some(_), None) => return Err(Refusal::NoSuchKey),
        (Some(condition), Some(version)) if !matches(condition, version) => return Err(Refusal::PreconditionFailed),
        _ => {}
    }
    match (&conditions.if_none_match, object) {
        (Some(condition), Some(version)) if matches(condition, version) => Err(Refusal::PreconditionFailed),
        _ => Ok(()),
    }
}
