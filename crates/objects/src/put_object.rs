//! PutObject.

use index::command::{NewVersion, PutObject};
use index::{Answer, CommandBody};
use types::{BucketName, Checksum, ETag, HomeKey, ObjectAttributes, ObjectKey, Owner, PartNumber, Timestamp};

use crate::buckets::Resolved;
use crate::changes::Finished;
use crate::commit::unexpected;
use crate::data::BodySource;
use crate::records::{ObjectRecord, PartRecord};
use crate::tickets::Transfer;
use crate::writes::{NewPart, PartToWrite, error_of_refusal, full_crc64_nvme, record_of, wanted_checksum};
use crate::{BodyFacts, Objects, ObjectsError, ShownVersion, WriteConditions};

/// Stores an object.
#[derive(Debug, Clone)]
pub struct PutObjectRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Headers, metadata, tags, storage class, locks.
    pub attributes: ObjectAttributes,
    /// Who will own it.
    pub owner: Owner,
    /// What must hold of the key at commit.
    pub conditions: WriteConditions,
    /// What the client said of the body.
    pub said: BodyFacts,
}

/// A version that a PUT or a completed upload made visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenVersion {
    /// Its id.
    pub version: ShownVersion,
    /// Its entity tag.
    pub etag: ETag,
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// Last-Modified.
    pub modified: Timestamp,
    /// Its plain bytes.
    pub plain_bytes: u64,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

impl Objects {
    /// Stores `body` under the key: durable and visible once this returns.
    ///
    /// The body's digests are compared with what the client named, in `said` and in trailers ([`BodySource::finish`]),
    /// before the commit; on any error nothing is left behind.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::NoObjectLock`], [`ObjectsError::InvalidStorageClass`]; of the body: [`ObjectsError::Body`], [`ObjectsError::BodyLength`],
    /// [`ObjectsError::BadDigest`], [`ObjectsError::BadPayloadHash`], [`ObjectsError::BadChecksum`],
    /// [`ObjectsError::EntityTooLarge`]; at commit: [`ObjectsError::PreconditionFailed`],
    /// [`ObjectsError::NoSuchKey`] (If-Match without an object), [`ObjectsError::TicketOver`]; and those of the store.
    pub async fn put_object(
        &self,
        request: PutObjectRequest,
        body: &mut dyn BodySource,
    ) -> Result<WrittenVersion, ObjectsError> {
        let mut transfer = self.begin();
        let profile = self.profile_of(&request.attributes.storage_class)?;
        let resolved = self.resolve_for(&request.bucket, &request.attributes).await?;
        let home = HomeKey { bucket: resolved.row.id, key: request.key.clone() };
        let checksum = wanted_checksum(&request.said);
        let record = ObjectRecord {
            began: self.clock().now(),
            versioning: resolved.row.config.versioning,
            attributes: request.attributes.clone(),
            owner: request.owner.clone(),
            declared_bytes: request.said.declared_bytes,
            checksum,
        };
        let to_write = PartToWrite {
            home: home.clone(),
            number: PartNumber::ONE,
            profile,
            record: record_of(&request.bucket, PartRecord::Object(record)),
            checksum,
            may_inline: true,
        };
        let PutObjectRequest { bucket, key, attributes, owner, conditions, said } = request;
        let written = self.write_part(&transfer, to_write, said, body).await?;

        let objects = self.clone();
        Finished::new(async move {
            let runs = written.runs();
            let version = NewObject { bucket, key, attributes, owner, conditions };
            let outcome = objects.commit_object(&mut transfer, resolved, version, written).await;
            if let Err(error) = &outcome {
                objects.discard_after(error, runs, &home);
            }
            outcome
        })
        .await
    }

    async fn commit_object(
        &self,
        transfer: &mut Transfer,
        resolved: Resolved,
        version: NewObject,
        written: NewPart,
    ) -> Result<WrittenVersion, ObjectsError> {
        let NewObject { bucket, key, attributes, owner, conditions } = version;
        let NewPart { part, degraded } = written;
        let etag = part.etag;
        let plain_bytes = part.plain_bytes;
        let checksum = Some(part.checksums.first().cloned().unwrap_or_else(|| full_crc64_nvme(part.crc64_nvme)));
        let random = self.entropy().number();
        let tags = attributes.tags.clone();
        let version = NewVersion { random, plain_bytes, etag, checksum: checksum.clone(), attributes, owner };
        let put = PutObject {
            bucket: resolved.at(),
            key: key.clone(),
            conditions: conditions.clone(),
            version,
            part,
            degraded,
        };
        let committed = self.change(transfer, &bucket, resolved, CommandBody::PutObject(Box::new(put))).await?;
        match committed.answer {
            Answer::Put { id, null } => {
                let version = ShownVersion::new(id, null, committed.row.config.versioning);
                Ok(WrittenVersion { version, etag, checksum, modified: id.stamp.time(), plain_bytes, tags })
            }
            Answer::Refused(refusal) => Err(error_of_refusal(refusal, &key, &conditions)),
            other => Err(unexpected("a put", &other)),
        }
    }
}

/// What a version is made of beside its bytes.
struct NewObject {
    bucket: BucketName,
    key: ObjectKey,
    attributes: ObjectAttributes,
    owner: Owner,
    conditions: WriteConditions,
}
