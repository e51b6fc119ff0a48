//! From whole bodies to rows: versions whose bytes were written, in the order in which they were begun.
//!
//! Each goes through the commands that a client's request would have become, so the rules of `apply` hold of it. Under a
//! key where something stands that is not of this rebuild, nothing is added.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use index::command::{
    BucketAt, BucketConfig, BucketRecord, BucketRecordState, CompletePart, CompleteUpload, CreateUpload, NewVersion,
    PutObject, PutPart, UploadChecksum, UploadManifest, WhichVersion, WriteConditions,
};
use index::{Answer, Command, CommandBody, FIRST_DATA_RANGE, IndexDatabase, Query, QueryAnswer, RangeEntry};
use objects::data::{DataPath, PartDigests, PartToRead, ReadError};
use objects::records::{Manifest, ManifestPart, ObjectRecord};
use platform::Entropy;
use types::{
    BucketId, BucketName, BucketState, Checksum, ChecksumAlgorithm, ChecksumType, CommitStamp, ETag, Extent, HomeKey,
    Namespace, ObjectLock, Owner, Part, PartNumber, Profile, RequestNumber, StorageClass, Timestamp, UploadId,
    Versioning,
};

use super::assemble::{Assembled, WholeBody};
use super::report::RebuildReport;
use super::{Blocking, RebuildError};

/// Parts of a manifest may be so many; a manifest that says more is none.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// Adds bodies to a database.
pub(super) struct Unproven<'a> {
    pub(super) database: &'a mut IndexDatabase,
    pub(super) blocking: &'a Blocking,
    pub(super) data: &'a DataPath,
    pub(super) entropy: &'a dyn Entropy,
    /// The wanted profile of each storage class.
    pub(super) classes: &'a BTreeMap<StorageClass, Profile>,
    /// What headers call the buckets that have no record.
    pub(super) names: &'a BTreeMap<BucketId, BucketName>,
    /// Who owns buckets of which nothing says so.
    pub(super) owner: &'a Owner,
    /// What has a later stamp is of this rebuild.
    pub(super) before: CommitStamp,
    /// Buckets that this rebuild made.
    pub(super) made: BTreeMap<BucketId, BucketAt>,
    pub(super) report: &'a mut RebuildReport,
}

/// Why a body is not added.
enum Left {
    /// It is not all there.
    Incomplete(String),
    /// It is, and still is not added.
    Out(&'static str),
    /// It is there already, or is nothing that could be missed.
    Silently,
    /// The rebuild can't go on.
    Failed(RebuildError),
}

impl<E> From<E> for Left
where
    RebuildError: From<E>,
{
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Unproven<'_> {
    /// Adds a body, or notes why not.
    pub(super) fn add(&mut self, assembled: Assembled) -> Result<(), RebuildError> {
        let (home, bytes) = match &assembled {
            Assembled::Object { home, body, .. } | Assembled::LoosePart { home, body, .. } => {
                (home.clone(), Some(body.bytes))
            }
            Assembled::Completed { home, .. } => (home.clone(), None),
        };
        let added = match assembled {
            Assembled::Object { home, body, record } => self.object(home, body, record),
            Assembled::Completed { home, upload, manifest, parts } => self.completed(home, upload, manifest, &parts),
            Assembled::LoosePart { home, upload, number, body } => self.loose_part(home, upload, number, body),
        };
        match added {
            Ok(added) => self.report.unproven.add(&home, Some(added), "written, not known to have been committed"),
            Err(Left::Incomplete(reason)) => self.report.incomplete.add(&home, bytes, &reason),
            Err(Left::Out(reason)) => self.report.left_out.add(&home, bytes, reason),
            Err(Left::Silently) => {}
            Err(Left::Failed(error)) => return Err(error),
        }
        Ok(())
    }

    fn object(&mut self, home: HomeKey, body: WholeBody, record: ObjectRecord) -> Result<u64, Left> {
        self.refuse_standing(&home)?;
        let locked = record.attributes.names_lock();
        let digests = self.digest(&home, &body, record.checksum)?;
        let bucket = self.bucket(&home, body.began, Some(record.versioning), locked)?;
        let part = part_of(PartNumber::ONE, &body, &digests, record.checksum);
        let checksum = part.checksums.first().cloned().unwrap_or_else(|| full_crc64_nvme(part.crc64_nvme));
        let degraded = self.is_degraded(&body, &record.attributes.storage_class);
        let put = PutObject {
            bucket,
            key: home.key,
            conditions: WriteConditions::default(),
            version: NewVersion {
                random: self.entropy.number(),
                plain_bytes: body.bytes,
                etag: part.etag,
                checksum: Some(checksum),
                attributes: record.attributes,
                owner: record.owner,
            },
            part,
            degraded,
        };
        match self.apply(body.began, CommandBody::PutObject(Box::new(put)))? {
            Answer::Put { .. } => Ok(body.bytes),
            _ => Err(Left::Out("the rules of the index refuse it")),
        }
    }

    fn completed(
        &mut self,
        home: HomeKey,
        upload: UploadId,
        manifest: WholeBody,
        parts: &[(PartNumber, WholeBody)],
    ) -> Result<u64, Left> {
        if self.upload(&home, upload)?.is_some_and(|view| view.completed.is_some()) {
            return Err(Left::Silently);
        }
        self.refuse_standing(&home)?;
        let read = self.read(&home, &manifest)?;
        let said = Manifest::decode(&read).map_err(|error| Left::Incomplete(error.to_string()))?;
        if said.upload != upload {
            return Err(Left::Incomplete("its manifest is another upload's".to_owned()));
        }
        let locked = said.attributes.names_lock();
        let mut rows = Vec::with_capacity(said.parts.len());
        for part in &said.parts {
            rows.push(self.part_of_manifest(&home, part, parts)?);
        }
        let bucket = self.bucket(&home, said.began, Some(said.versioning), locked)?;
        let chosen = said.checksum.as_ref();
        let create = CreateUpload {
            bucket,
            key: home.key.clone(),
            upload,
            attributes: said.attributes.clone(),
            owner: said.owner.clone(),
            checksum: chosen.map(|sum| UploadChecksum { algorithm: sum.algorithm, checksum_type: sum.checksum_type }),
        };
        self.done(said.began, CommandBody::CreateUpload(Box::new(create)))?;
        let class = said.attributes.storage_class.clone();
        for part in rows {
            let body = WholeBody { began: said.began, bytes: part.plain_bytes, extents: part.extents.clone() };
            let degraded = self.is_degraded(&body, &class);
            let put = PutPart { bucket, key: home.key.clone(), upload, part, degraded };
            self.done(said.began, CommandBody::PutPart(Box::new(put)))?;
        }
        self.complete(home, upload, bucket, said, manifest)
    }

    /// Completes an upload whose parts stand.
    fn complete(
        &mut self,
        home: HomeKey,
        upload: UploadId,
        bucket: BucketAt,
        said: Manifest,
        manifest: WholeBody,
    ) -> Result<u64, Left> {
        let digests = self.digest(&home, &manifest, None)?;
        let standing = self.parts(&home, upload, 0, usize::MAX)?;
        let named = |part: &Part| said.parts.iter().any(|named| named.number == part.number);
        let name = |part: &Part| CompletePart {
            number: part.number,
            etag: part.etag,
            modified: part.modified,
            plain_bytes: part.plain_bytes,
        };
        let degraded = self.is_degraded(&manifest, &said.attributes.storage_class);
        let complete = CompleteUpload {
            bucket,
            key: home.key,
            upload,
            conditions: WriteConditions::default(),
            parts: standing.iter().filter(|part| named(part)).map(name).collect(),
            manifest: Some(UploadManifest { part: part_of(PartNumber::MANIFEST, &manifest, &digests, None), degraded }),
            version: NewVersion {
                random: self.entropy.number(),
                plain_bytes: said.plain_bytes,
                etag: said.etag,
                checksum: said.checksum,
                attributes: said.attributes,
                owner: said.owner,
            },
        };
        match self.apply(said.began, CommandBody::CompleteUpload(Box::new(complete)))? {
            Answer::Put { .. } => Ok(said.plain_bytes),
            _ => Err(Left::Out("the rules of the index refuse it")),
        }
    }

    /// A part that a manifest names, from the bodies of that number: the one whose bytes are those.
    fn part_of_manifest(
        &self,
        home: &HomeKey,
        named: &ManifestPart,
        parts: &[(PartNumber, WholeBody)],
    ) -> Result<Part, Left> {
        let row = |extents: Vec<Extent>| Part {
            number: named.number,
            etag: named.etag,
            checksums: named.checksums.clone(),
            crc64_nvme: named.crc64_nvme,
            plain_bytes: named.plain_bytes,
            stored_bytes: extents.iter().map(Extent::length).sum(),
            transforms: Vec::new(),
            extents,
            modified: CommitStamp::default(),
        };
        if let Some(inline) = &named.inline {
            return Ok(row(vec![Extent::Inline(inline.clone())]));
        }
        if named.plain_bytes == 0 {
            return Ok(row(Vec::new()));
        }
        for (_, body) in
            parts.iter().filter(|(number, body)| *number == named.number && body.bytes == named.plain_bytes)
        {
            let is_it = match self.digest(home, body, None) {
                Ok(digests) => digests.crc64_nvme == named.crc64_nvme && digests.md5 == named.etag.md5,
                Err(Left::Incomplete(_)) => false,
                Err(error) => return Err(error),
            };
            if is_it {
                return Ok(row(body.extents.clone()));
            }
        }
        Err(Left::Incomplete(format!("part {} of its upload is not all there", named.number.get())))
    }

    /// Adds a part to an upload under way that has none of its number.
    fn loose_part(
        &mut self,
        home: HomeKey,
        upload: UploadId,
        number: PartNumber,
        body: WholeBody,
    ) -> Result<u64, Left> {
        let view = match self.upload(&home, upload)? {
            Some(view) if view.completed.is_none() => view,
            Some(_) => return Err(Left::Silently),
            None => return Err(Left::Out("a part of an upload that is not known to have been completed")),
        };
        if self.parts(&home, upload, number.get() - 1, 1)?.first().is_some_and(|part| part.number == number) {
            return Err(Left::Out("another part of its number stands"));
        }
        let algorithm = view.checksum.map(|checksum| checksum.algorithm);
        let digests = self.digest(&home, &body, algorithm)?;
        let bucket = self.bucket(&home, body.began, None, false)?;
        let degraded = self.is_degraded(&body, &view.attributes.storage_class);
        let part = part_of(number, &body, &digests, algorithm);
        let put = PutPart { bucket, key: home.key, upload, part, degraded };
        match self.apply(body.began, CommandBody::PutPart(Box::new(put)))? {
            Answer::Done => Ok(body.bytes),
            _ => Err(Left::Out("the rules of the index refuse it")),
        }
    }

    fn refuse_standing(&mut self, home: &HomeKey) -> Result<(), Left> {
        let which = WhichVersion::Newest;
        let query = Query::Version { bucket: home.bucket, key: home.key.clone(), which };
        match self.database.query(&query)? {
            QueryAnswer::Version { version: Some(version), .. } if version.id.stamp <= self.before => {
                Err(Left::Out("something older stands under its key"))
            }
            _ => Ok(()),
        }
    }

    /// The bucket that a body goes into: made where nothing has it any more.
    fn bucket(
        &mut self,
        home: &HomeKey,
        began: Timestamp,
        versioning: Option<Versioning>,
        object_lock: bool,
    ) -> Result<BucketAt, Left> {
        let id = home.bucket;
        if let Some(at) = self.made.get(&id).copied() {
            return self.follow_versioning(at, began, versioning, object_lock);
        }
        let row = match self.database.query(&Query::BucketRow(id))? {
            QueryAnswer::BucketRow(row) => row,
            _ => None,
        };
        let record = self.database.all_bucket_records()?.into_iter().find(|record| record.id == id);
        match (record, row) {
            (Some(record), _) if record.state != BucketRecordState::Live => {
                Err(Left::Out("its bucket was being made or deleted"))
            }
            (Some(_), Some(row)) if row.state == BucketState::Live => {
                // The lock may be younger than the archive; what is held must not lie where nothing can be.
                self.follow_versioning(BucketAt { id, epoch: row.epoch }, began, None, object_lock)
            }
            (Some(_), Some(_)) => Err(Left::Out("its bucket was being deleted")),
            (record, row) => {
                if record.is_none() {
                    self.put_record(id, began)?;
                }
                match row {
                    Some(row) => Ok(BucketAt { id, epoch: row.epoch }),
                    None => self.make_row(id, began, versioning.unwrap_or_default(), object_lock),
                }
            }
        }
    }

    fn make_row(
        &mut self,
        id: BucketId,
        began: Timestamp,
        versioning: Versioning,
        object_lock: bool,
    ) -> Result<BucketAt, Left> {
        let config = BucketConfig { versioning, object_lock: lock_of(object_lock) };
        let Answer::BucketRow(row) = self.apply(began, CommandBody::CreateBucketRow { id, config })? else {
            return Err(Left::Out("its bucket can't be made"));
        };
        let at = BucketAt { id, epoch: row.epoch };
        self.made.insert(id, at);
        Ok(at)
    }

    /// Replays what headers say of a bucket's versioning.
    fn follow_versioning(
        &mut self,
        at: BucketAt,
        began: Timestamp,
        versioning: Option<Versioning>,
        object_lock: bool,
    ) -> Result<BucketAt, Left> {
        let QueryAnswer::BucketRow(Some(row)) = self.database.query(&Query::BucketRow(at.id))? else {
            return Err(Left::Out("its bucket is gone"));
        };
        let config = BucketConfig {
            versioning: versioning.unwrap_or(row.config.versioning),
            object_lock: if row.config.object_lock.is_on() { row.config.object_lock } else { lock_of(object_lock) },
        };
        if config == row.config {
            return Ok(at);
        }
        match self.apply(began, CommandBody::ChangeBucketRow { bucket: at, config })? {
            Answer::BucketRow(row) => {
                let at = BucketAt { id: at.id, epoch: row.epoch };
                self.made.insert(at.id, at);
                Ok(at)
            }
            _ => Err(Left::Out("its bucket's versioning can't be followed")),
        }
    }

    /// Writes the record of a bucket under the name that headers give it, if nobody has it, else under one of its own.
    pub(super) fn put_record(&mut self, id: BucketId, created: Timestamp) -> Result<(), RebuildError> {
        let records = self.database.all_bucket_records()?;
        let is_free = |name: &BucketName| records.iter().all(|record| record.name != *name);
        // Of several buckets that had one name, one after the other, the last one was not deleted.
        let is_last = |name: &BucketName| self.names.iter().all(|(other, of)| of != name || *other <= id);
        let said = self.names.get(&id).filter(|name| is_free(name) && is_last(name)).cloned();
        let name = match said {
            Some(name) => name,
            None => {
                let name = BucketName::new(&format!("recovered-bucket-{id}")).expect("letters, digits and hyphens");
                self.report.notes.push(format!("bucket {id} has no name, or another bucket has it: it is {name} now"));
                name
            }
        };
        self.database.put_lost_bucket(&BucketRecord {
            id,
            namespace: Namespace::default(),
            name,
            owner: self.owner.clone(),
            region: String::new(),
            created,
            state: BucketRecordState::Live,
        })?;
        Ok(())
    }

    /// Makes records and rows of buckets agree: the archives of two ranges end at different moments.
    pub(super) fn reconcile_buckets(&mut self) -> Result<(), RebuildError> {
        let records = self.database.all_bucket_records()?;
        let rows = self.database.all_bucket_rows(FIRST_DATA_RANGE)?;
        for row in rows.iter().filter(|row| records.iter().all(|record| record.id != row.id)) {
            self.put_record(row.id, self.before.time())?;
        }
        for record in records.iter().filter(|record| record.state == BucketRecordState::Live) {
            if rows.iter().all(|row| row.id != record.id) {
                let body = CommandBody::CreateBucketRow { id: record.id, config: BucketConfig::default() };
                self.apply(record.created, body)?;
                self.report.notes.push(format!("the settings of bucket {} are not known any more", record.name));
            }
        }
        Ok(())
    }

    fn upload(&mut self, home: &HomeKey, upload: UploadId) -> Result<Option<index::query::UploadView>, Left> {
        let query = Query::Upload { bucket: home.bucket, key: home.key.clone(), upload };
        match self.database.query(&query)? {
            QueryAnswer::Upload(view) => Ok(view.map(|view| *view)),
            _ => Ok(None),
        }
    }

    fn parts(&mut self, home: &HomeKey, upload: UploadId, after: u16, limit: usize) -> Result<Vec<Part>, Left> {
        let query = Query::Parts { bucket: home.bucket, key: home.key.clone(), upload, after, limit };
        match self.database.query(&query)? {
            QueryAnswer::Parts(parts) => Ok(parts),
            _ => Ok(Vec::new()),
        }
    }

    fn done(&mut self, time: Timestamp, body: CommandBody) -> Result<(), Left> {
        match self.apply(time, body)? {
            Answer::Done | Answer::UploadCreated { .. } => Ok(()),
            _ => Err(Left::Out("the rules of the index refuse it")),
        }
    }

    fn apply(&mut self, time: Timestamp, body: CommandBody) -> Result<Answer, RebuildError> {
        let command = Command { request: None, answered: RequestNumber(0), body };
        let entry = RangeEntry {
            range: FIRST_DATA_RANGE,
            applied: Bytes::new(),
            membership: None,
            time,
            commands: vec![command],
        };
        let mut answers = self.database.apply(&[entry])?;
        super::settle_wal(self.database)?;
        Ok(answers.remove(0).remove(0))
    }

    fn is_degraded(&self, body: &WholeBody, class: &StorageClass) -> bool {
        let wanted = self.classes.get(class).or_else(|| self.classes.get(&StorageClass::default()));
        let is_narrow = |run: &types::Run| wanted.is_some_and(|wanted| !objects::is_as_wanted(run, *wanted));
        body.extents.iter().filter_map(Extent::run).any(is_narrow)
    }

    fn digest(
        &self,
        home: &HomeKey,
        body: &WholeBody,
        checksum: Option<ChecksumAlgorithm>,
    ) -> Result<PartDigests, Left> {
        let part = to_read(home, body);
        let read = self.blocking.wait(self.data.digest_part(part, body.bytes, checksum));
        self.blocking.progress.note_read(body.bytes);
        read.map_err(left_by)
    }

    fn read(&self, home: &HomeKey, body: &WholeBody) -> Result<Bytes, Left> {
        if body.bytes > MANIFEST_BYTES_MAX {
            return Err(Left::Incomplete("its manifest is too long".to_owned()));
        }
        let mut reader = self.data.read(vec![to_read(home, body)], 0..body.bytes);
        let mut all = BytesMut::new();
        while let Some(piece) = self.blocking.wait(reader.next()) {
            all.extend_from_slice(&piece.map_err(left_by)?);
        }
        Ok(all.freeze())
    }
}

fn left_by(error: ReadError) -> Left {
    match error {
        ReadError::SlowDown => Left::Failed(RebuildError::Memory),
        error => Left::Incomplete(error.to_string()),
    }
}

fn to_read(home: &HomeKey, body: &WholeBody) -> PartToRead {
    PartToRead { home: home.clone(), extents: body.extents.clone(), crc64_nvme: None }
}

fn part_of(number: PartNumber, body: &WholeBody, digests: &PartDigests, kept: Option<ChecksumAlgorithm>) -> Part {
    let kept = kept.and_then(|algorithm| match algorithm {
        ChecksumAlgorithm::Crc64Nvme => Some(full_crc64_nvme(digests.crc64_nvme)),
        _ => digests.checksums.iter().find(|checksum| checksum.algorithm == algorithm).cloned(),
    });
    Part {
        number,
        etag: ETag::of_body(digests.md5),
        checksums: kept.into_iter().collect(),
        crc64_nvme: digests.crc64_nvme,
        plain_bytes: body.bytes,
        stored_bytes: body.bytes,
        transforms: Vec::new(),
        extents: body.extents.clone(),
        modified: CommitStamp::default(),
    }
}

/// The lock of a bucket of which headers say that it had one: what its default was, none of them says.
fn lock_of(is_on: bool) -> ObjectLock {
    if is_on { ObjectLock::On } else { ObjectLock::Off }
}

fn full_crc64_nvme(value: u64) -> Checksum {
    Checksum::new(ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject, value.to_be_bytes().to_vec())
        .expect("8 bytes are CRC64NVME's length")
}
