//! From a client's body to a part that a command can name.

use async_trait::async_trait;
use bytes::Bytes;
use index::Refusal;
use tokio::sync::watch;
use types::{
    BucketName, Checksum, ChecksumAlgorithm, ChecksumType, CommitStamp, ETag, HomeKey, ObjectKey, Part, PartNumber,
    Profile, Run,
};

use crate::commit::unexpected;
use crate::data::{BodyError, BodySource, ExpectedDigests, StoredBody, WriteError, WriteRequest};
use crate::error::Condition;
use crate::records::{NamedRecord, PartRecord};
use crate::tickets::Transfer;
use crate::{BodyFacts, Objects, ObjectsError, WriteConditions};

/// The most bytes of one body (S3 User Guide, "Amazon S3 multipart upload limits").
pub(crate) const BODY_BYTES_MAX: u64 = 5 << 30;

/// Which part is written, and how.
pub(crate) struct PartToWrite {
    pub(crate) home: HomeKey,
    pub(crate) number: PartNumber,
    pub(crate) profile: Profile,
    /// What the headers say of the part: a [`crate::records::NamedRecord`]'s bytes.
    pub(crate) record: Bytes,
    /// The algorithm of the checksum that is kept beside CRC64NVME.
    pub(crate) checksum: Option<ChecksumAlgorithm>,
    pub(crate) may_inline: bool,
}

/// What the headers of a part say of it.
pub(crate) fn record_of(bucket: &BucketName, record: PartRecord) -> Bytes {
    NamedRecord { bucket: Some(bucket.clone()), record }.encode()
}

/// A part on the disks, that no command names yet.
pub(crate) struct NewPart {
    pub(crate) part: Part,
    pub(crate) degraded: bool,
}

impl NewPart {
    pub(crate) fn runs(&self) -> Vec<Run> {
        self.part.extents.iter().filter_map(|extent| extent.run().cloned()).collect()
    }
}

impl Objects {
    /// Stores a body as a part, its digests compared with what the client said. On an error nothing is left behind.
    pub(crate) async fn write_part(
        &self,
        transfer: &Transfer,
        to_write: PartToWrite,
        said: BodyFacts,
        body: &mut dyn BodySource,
    ) -> Result<NewPart, ObjectsError> {
        refuse_too_large(said.declared_bytes)?;
        let PartToWrite { home, number, profile, record, checksum, may_inline } = to_write;
        let request = WriteRequest {
            home,
            part: number,
            ticket: transfer.ticket(),
            declared_bytes: said.declared_bytes,
            profile,
            md5: true,
            checksums: checksum.into_iter().collect(),
            expected: said.expected,
            may_inline,
            part_metadata: record,
        };
        let mut body = BoundedBody { body, over: transfer.over_signal(), received: 0 };
        let stored = self.data().write(request, &mut body).await.map_err(error_of_write)?;
        Ok(new_part(number, checksum, stored))
    }

    /// Hands a part's runs to the collector after its command failed. Where the command's outcome is unknown, the
    /// collector decides: it leaves runs that a row names alone, and a late copy of the command is refused once they
    /// have been given up.
    pub(crate) fn discard_after(&self, error: &ObjectsError, runs: Vec<Run>, home: &HomeKey) {
        // Runs of a ticket that is over are being collected already.
        if !matches!(error, ObjectsError::TicketOver) {
            self.discard(runs, home);
        }
    }
}

fn refuse_too_large(bytes: Option<u64>) -> Result<(), ObjectsError> {
    match bytes {
        Some(bytes) if bytes > BODY_BYTES_MAX => Err(ObjectsError::EntityTooLarge { bytes, bytes_max: BODY_BYTES_MAX }),
        _ => Ok(()),
    }
}

fn new_part(number: PartNumber, kept: Option<ChecksumAlgorithm>, stored: StoredBody) -> NewPart {
    let StoredBody { extents, md5, crc64_nvme, checksums, plain_bytes, degraded } = stored;
    let kept = kept.map(|algorithm| match algorithm {
        ChecksumAlgorithm::Crc64Nvme => full_crc64_nvme(crc64_nvme),
        _ => checksums.into_iter().find(|c| c.algorithm == algorithm).expect("the data path computes what is wanted"),
    });
    let part = Part {
        number,
        etag: ETag::of_body(md5.expect("the MD5 was wanted")),
        checksums: kept.into_iter().collect(),
        crc64_nvme,
        plain_bytes,
        stored_bytes: extents.iter().map(types::Extent::length).sum(),
        transforms: Vec::new(),
        extents,
        modified: CommitStamp::default(),
    };
    NewPart { part, degraded }
}

/// The checksum of this value over all bytes.
pub(crate) fn full_crc64_nvme(value: u64) -> Checksum {
    Checksum::new(ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject, value.to_be_bytes().to_vec())
        .expect("8 bytes are CRC64NVME's length")
}

/// The algorithm of the checksum that the client sends, or asks for.
pub(crate) fn wanted_checksum(said: &BodyFacts) -> Option<ChecksumAlgorithm> {
    let ExpectedDigests { checksums, .. } = &said.expected;
    said.checksum.or_else(|| checksums.first().map(|checksum| checksum.algorithm))
}

/// A refusal of a write under conditions, in the words of S3.
pub(crate) fn error_of_refusal(refusal: Refusal, key: &ObjectKey, conditions: &WriteConditions) -> ObjectsError {
    match refusal {
        Refusal::PreconditionFailed => {
            let condition = match (&conditions.if_match, &conditions.if_none_match) {
                (Some(_), None) => Some(Condition::IfMatch),
                (None, Some(_)) => Some(Condition::IfNoneMatch),
                _ => None,
            };
            ObjectsError::PreconditionFailed { condition }
        }
        Refusal::NoSuchKey => ObjectsError::NoSuchKey { key: key.clone() },
        Refusal::Locked => ObjectsError::Locked { key: key.clone() },
        other => unexpected("a write", &other),
    }
}

/// A body that ends with its transfer's ticket, and at S3's bound.
struct BoundedBody<'a> {
    body: &'a mut dyn BodySource,
    over: watch::Receiver<bool>,
    received: u64,
}

#[async_trait]
impl BodySource for BoundedBody<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let next = tokio::select! {
            biased;
            next = self.body.next() => next?,
            _ = self.over.wait_for(|over| *over) => return Err(BodyError(Box::new(ObjectsError::TicketOver))),
        };
        self.received += next.as_ref().map_or(0, |bytes| bytes.len() as u64);
        refuse_too_large(Some(self.received)).map_err(|error| BodyError(Box::new(error)))?;
        Ok(next)
    }

    async fn finish(&mut self) -> Result<Vec<Checksum>, BodyError> {
        self.body.finish().await
    }
}

/// A body's own errors may be this crate's: of [`BoundedBody`], or of the source of a copy.
pub(crate) fn error_of_write(error: WriteError) -> ObjectsError {
    match error {
        WriteError::Body(BodyError(error)) => match error.downcast::<ObjectsError>() {
            Ok(own) => *own,
            Err(of_the_source) => ObjectsError::Body(BodyError(of_the_source)),
        },
        WriteError::Length { declared, received } => ObjectsError::BodyLength { declared, received },
        WriteError::BadMd5 => ObjectsError::BadDigest,
        WriteError::BadPayloadSha256 => ObjectsError::BadPayloadHash,
        WriteError::BadChecksum(algorithm) => ObjectsError::BadChecksum { algorithm },
        WriteError::SlowDown => ObjectsError::SlowDown,
        WriteError::Full => ObjectsError::NoRoom,
        WriteError::InsufficientDisks { .. } => {
            ObjectsError::Unavailable { reason: error.to_string(), outcome_unknown: false }
        }
    }
}
