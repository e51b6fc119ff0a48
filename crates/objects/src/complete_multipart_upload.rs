//! CompleteMultipartUpload.

use index::command::{CompletePart, CompleteUpload, NewVersion, UploadManifest};
use index::query::CompletedUpload;
use index::{Answer, CommandBody, Refusal};
use types::{
    BucketName, Checksum, ChecksumAlgorithm, ChecksumType, ETag, Extent, ObjectKey, Part, PartNumber, UploadId,
};

use crate::changes::{Committed, Finished};
use crate::commit::unexpected;
use crate::data::{PartChecksum, WholeBody, combine_checksums, composite_checksum};
use crate::head::count_of;
use crate::put_object::WrittenVersion;
use crate::reads::checksum_of;
use crate::records::{Manifest, ManifestPart, PartRecord};
use crate::tickets::Transfer;
use crate::uploads::FoundUpload;
use crate::writes::{NewPart, PartToWrite, error_of_refusal, record_of};
use crate::{BodyFacts, Objects, ObjectsError, ShownVersion, UploadChecksum, WhichVersion, WriteConditions};

/// The fewest bytes of a part that is not the last (S3 User Guide, "Amazon S3 multipart upload limits").
const PART_BYTES_MIN: u64 = 5 << 20;
/// Part rows that are asked for at once.
const PARTS_PAGE: usize = 1000;
/// How often the parts are looked at anew because they have changed before the commit.
const DECISIONS_MAX: usize = 5;

/// Makes an upload an object.
#[derive(Debug, Clone)]
pub struct CompleteMultipartUploadRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The object's parts.
    pub parts: Vec<NamedPart>,
    /// What must hold of the key at commit.
    pub conditions: WriteConditions,
    /// `x-amz-checksum-*`: the object's checksum as the client computed it. A composite one is without `-N`.
    pub checksum: Option<Checksum>,
    /// `x-amz-checksum-type`.
    pub checksum_type: Option<ChecksumType>,
    /// `x-amz-mp-object-size`.
    pub object_bytes: Option<u64>,
    /// Whether a composite checksum needs that of each part to be named, as AWS does.
    pub needs_part_checksums: bool,
}

/// A part as Complete names it.
#[derive(Debug, Clone)]
pub struct NamedPart {
    /// Its number.
    pub number: PartNumber,
    /// Its tag.
    pub etag: ETag,
    /// Its checksums, as far as the client gave them.
    pub checksums: Vec<Checksum>,
}

impl Objects {
    /// Makes the named parts one object: durable and visible once this returns. Repeated after success (with whatever
    /// parts), it answers the same again.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchUpload`], [`ObjectsError::NoParts`], [`ObjectsError::InvalidPartOrder`],
    /// [`ObjectsError::InvalidPart`], [`ObjectsError::EntityTooSmall`], [`ObjectsError::EntityTooLarge`],
    /// [`ObjectsError::BadChecksum`], [`ObjectsError::ChecksumKindMismatch`],
    /// [`ObjectsError::ObjectSizeMismatch`], [`ObjectsError::PreconditionFailed`], [`ObjectsError::NoSuchKey`]
    /// (If-Match without an object).
    pub async fn complete_multipart_upload(
        &self,
        request: CompleteMultipartUploadRequest,
    ) -> Result<WrittenVersion, ObjectsError> {
        refuse_disorder(request.upload, &request.parts)?;
        for _ in 0..DECISIONS_MAX {
            let found = self.find_upload(&request.bucket, &request.key, request.upload).await?;
            if let Some(completed) = &found.view.completed {
                return self.completed_before(&found, completed, request.upload).await;
            }
            let rows = self.named_rows(&found, &request).await?;
            let whole = whole_of(&request, &rows, found.view.checksum)?;
            let transfer = self.begin();
            let manifest =
                self.write_manifest(&transfer, &request.bucket, &found, request.upload, &rows, &whole).await?;
            let completion = Completion {
                request: request.clone(),
                rows: rows.iter().map(complete_part).collect(),
                whole,
                manifest,
            };
            let objects = self.clone();
            match Finished::new(async move { objects.commit_completion(transfer, found, completion).await }).await? {
                Outcome::Completed(version) => return Ok(version),
                // Another Complete was faster, or a part was sent again meanwhile: look again.
                Outcome::Changed => {}
            }
        }
        let reason = "the upload's parts change while they are being completed".to_owned();
        Err(ObjectsError::Unavailable { reason, outcome_unknown: false })
    }

    /// What a Complete answered that came before this one.
    async fn completed_before(
        &self,
        found: &FoundUpload,
        completed: &CompletedUpload,
        upload: UploadId,
    ) -> Result<WrittenVersion, ObjectsError> {
        // The bucket's versioning may have changed since; a null version is shown by what it is now.
        let (version, row) = self.version(&found.home, WhichVersion::Id(completed.id)).await?;
        let (Some(version), Some(row)) = (version, row) else { return Err(ObjectsError::NoSuchUpload { upload }) };
        Ok(WrittenVersion {
            version: ShownVersion::new(completed.id, completed.null, row.config.versioning),
            etag: completed.etag,
            checksum: completed.checksum.clone(),
            modified: completed.id.stamp.time(),
            plain_bytes: version.plain_bytes,
            tags: version.attributes.tags,
        })
    }

    /// The rows of the parts that the request names, in order, each as named.
    async fn named_rows(
        &self,
        found: &FoundUpload,
        request: &CompleteMultipartUploadRequest,
    ) -> Result<Vec<Part>, ObjectsError> {
        let mut rows = Vec::with_capacity(request.parts.len());
        let mut after = 0;
        let mut named = request.parts.iter().peekable();
        while named.peek().is_some() {
            let page = self.part_rows(&found.home, request.upload, after, PARTS_PAGE).await?;
            for row in &page {
                after = row.number.get();
                let Some(part) = named.next_if(|part| part.number <= row.number) else { continue };
                if !is_as_named(row, part) {
                    return Err(invalid_part(request.upload, part));
                }
                rows.push(row.clone());
            }
            if page.len() < PARTS_PAGE {
                break;
            }
        }
        match named.next() {
            Some(missing) => Err(invalid_part(request.upload, missing)),
            None => Ok(rows),
        }
    }

    /// Writes what a rebuild from the disks needs to make the object of its parts again.
    async fn write_manifest(
        &self,
        transfer: &Transfer,
        bucket: &BucketName,
        found: &FoundUpload,
        upload: UploadId,
        rows: &[Part],
        whole: &Whole,
    ) -> Result<UploadManifest, ObjectsError> {
        let began = self.clock().now();
        let manifest = Manifest {
            upload,
            began,
            versioning: found.resolved.row.config.versioning,
            attributes: found.view.attributes.clone(),
            owner: found.view.owner.clone(),
            plain_bytes: whole.plain_bytes,
            etag: whole.etag,
            checksum: Some(whole.checksum.clone()),
            parts: rows.iter().map(ManifestPart::of).collect(),
        };
        let bytes = manifest.encode();
        let declared_bytes = bytes.len() as u64;
        let to_write = PartToWrite {
            home: found.home.clone(),
            number: PartNumber::MANIFEST,
            profile: self.profile_of_standing(&found.view.attributes.storage_class),
            record: record_of(bucket, PartRecord::Manifest { upload, began, declared_bytes }),
            checksum: None,
            may_inline: false,
        };
        let said = BodyFacts { declared_bytes: Some(declared_bytes), ..BodyFacts::default() };
        let NewPart { part, degraded } = self.write_part(transfer, to_write, said, &mut WholeBody::new(bytes)).await?;
        Ok(UploadManifest { part, degraded })
    }

    async fn commit_completion(
        &self,
        mut transfer: Transfer,
        found: FoundUpload,
        completion: Completion,
    ) -> Result<Outcome, ObjectsError> {
        let Completion { request, rows, whole, manifest } = completion;
        let FoundUpload { resolved, home, view } = found;
        let runs = manifest.part.extents.iter().filter_map(|extent| extent.run().cloned()).collect();
        let random = self.entropy().number();
        let tags = view.attributes.tags.clone();
        let version = NewVersion {
            random,
            plain_bytes: whole.plain_bytes,
            etag: whole.etag,
            checksum: Some(whole.checksum.clone()),
            attributes: view.attributes,
            owner: view.owner,
        };
        let complete = CompleteUpload {
            bucket: resolved.at(),
            key: request.key.clone(),
            upload: request.upload,
            conditions: request.conditions.clone(),
            parts: rows,
            manifest: Some(manifest),
            version,
        };
        let body = CommandBody::CompleteUpload(Box::new(complete));
        let outcome = match self.change(&mut transfer, &request.bucket, resolved, body).await {
            Ok(Committed { answer: Answer::Put { id, null }, row }) => {
                // Another Complete of the same parts was faster, and its manifest is the one that is kept.
                if id.random != random {
                    self.discard(runs, &home);
                }
                let version = ShownVersion::new(id, null, row.config.versioning);
                let checksum = Some(whole.checksum);
                let written = WrittenVersion {
                    version,
                    etag: whole.etag,
                    checksum,
                    modified: id.stamp.time(),
                    plain_bytes: whole.plain_bytes,
                    tags,
                };
                return Ok(Outcome::Completed(written));
            }
            Ok(Committed { answer: Answer::Refused(Refusal::PartChanged | Refusal::NoSuchUpload), .. }) => {
                self.discard(runs, &home);
                return Ok(Outcome::Changed);
            }
            Ok(Committed { answer: Answer::Refused(refusal), .. }) => {
                error_of_refusal(refusal, &request.key, &request.conditions)
            }
            Ok(committed) => unexpected("a completion", &committed.answer),
            Err(error) => error,
        };
        self.discard_after(&outcome, runs, &home);
        Err(outcome)
    }
}

/// What a commit needs beside the upload.
struct Completion {
    request: CompleteMultipartUploadRequest,
    rows: Vec<CompletePart>,
    whole: Whole,
    manifest: UploadManifest,
}

enum Outcome {
    Completed(WrittenVersion),
    Changed,
}

/// What the parts make together.
#[derive(Debug, Clone, PartialEq)]
struct Whole {
    plain_bytes: u64,
    etag: ETag,
    checksum: Checksum,
}

impl ManifestPart {
    fn of(row: &Part) -> Self {
        let inline = row.extents.iter().find_map(|extent| match extent {
            Extent::Inline(bytes) => Some(bytes.clone()),
            Extent::Slice { .. } => None,
        });
        Self {
            number: row.number,
            etag: row.etag,
            checksums: row.checksums.clone(),
            crc64_nvme: row.crc64_nvme,
            plain_bytes: row.plain_bytes,
            inline,
        }
    }
}

fn complete_part(row: &Part) -> CompletePart {
    CompletePart { number: row.number, etag: row.etag, modified: row.modified, plain_bytes: row.plain_bytes }
}

fn refuse_disorder(upload: UploadId, parts: &[NamedPart]) -> Result<(), ObjectsError> {
    if parts.is_empty() {
        return Err(ObjectsError::NoParts);
    }
    if parts.windows(2).all(|pair| pair[0].number < pair[1].number) {
        Ok(())
    } else {
        Err(ObjectsError::InvalidPartOrder { upload })
    }
}

fn invalid_part(upload: UploadId, part: &NamedPart) -> ObjectsError {
    ObjectsError::InvalidPart { upload, number: part.number, etag: part.etag }
}

fn is_as_named(row: &Part, named: &NamedPart) -> bool {
    row.number == named.number
        && row.etag == named.etag
        && named
            .checksums
            .iter()
            .all(|named| checksum_of(row, Some(named.algorithm)).is_some_and(|kept| kept.value() == named.value()))
}

/// Works out size, tag and checksum of the whole and compares them with what the client said.
fn whole_of(
    request: &CompleteMultipartUploadRequest,
    rows: &[Part],
    chosen: Option<UploadChecksum>,
) -> Result<Whole, ObjectsError> {
    let (_, all_but_last) = rows.split_last().expect("at least one part is named");
    if let Some(small) = all_but_last.iter().find(|row| row.plain_bytes < PART_BYTES_MIN) {
        let (number, etag, bytes) = (small.number, small.etag, small.plain_bytes);
        return Err(ObjectsError::EntityTooSmall { number, etag, bytes, bytes_min: PART_BYTES_MIN });
    }
    let plain_bytes = rows.iter().map(|row| row.plain_bytes).sum();
    if let Some(expected) = request.object_bytes.filter(|expected| *expected != plain_bytes) {
        return Err(ObjectsError::ObjectSizeMismatch { expected, bytes: plain_bytes });
    }
    let md5s: Vec<u8> = rows.iter().flat_map(|row| row.etag.md5).collect();
    let etag = ETag { md5: md5_many::md5(&md5s), parts: Some(count_of(rows.len())) };
    let checksum = checksum_of_whole(request, rows, chosen)?;
    Ok(Whole { plain_bytes, etag, checksum })
}

fn checksum_of_whole(
    request: &CompleteMultipartUploadRequest,
    rows: &[Part],
    chosen: Option<UploadChecksum>,
) -> Result<Checksum, ObjectsError> {
    let default = UploadChecksum { algorithm: ChecksumAlgorithm::Crc64Nvme, checksum_type: ChecksumType::FullObject };
    let UploadChecksum { algorithm, checksum_type } = chosen.unwrap_or(default);
    if request.checksum_type.is_some_and(|given| given != checksum_type) {
        return Err(ObjectsError::ChecksumTypeMismatch { wanted: checksum_type });
    }
    let given = request.checksum.as_ref();
    if given.is_some_and(|given| given.algorithm != algorithm) {
        let given = given.map(|given| given.algorithm);
        return Err(ObjectsError::ChecksumKindMismatch { wanted: Some(algorithm), given });
    }
    if request.needs_part_checksums
        && checksum_type == ChecksumType::Composite
        && let Some(bare) = request.parts.iter().find(|part| part.checksums.iter().all(|it| it.algorithm != algorithm))
    {
        return Err(ObjectsError::MissingPartChecksum { algorithm, number: bare.number });
    }
    let of_parts: Option<Vec<_>> = rows
        .iter()
        .map(|row| {
            let checksum = checksum_of(row, Some(algorithm))?;
            Some(PartChecksum { checksum, plain_bytes: row.plain_bytes })
        })
        .collect();
    let whole = of_parts.and_then(|parts| match checksum_type {
        ChecksumType::FullObject => combine_checksums(algorithm, &parts),
        ChecksumType::Composite => composite_checksum(algorithm, &parts),
    });
    let Some(whole) = whole else {
        let reason =
            format!("the parts of upload {} lack the {} that they were to have", request.upload, algorithm.name());
        return Err(ObjectsError::Damaged { reason });
    };
    if given.is_some_and(|given| given.value() != whole.value()) {
        return Err(ObjectsError::BadChecksum { algorithm });
    }
    Ok(whole)
}
