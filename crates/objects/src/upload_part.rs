//! UploadPart.

use index::command::PutPart;
use index::{Answer, CommandBody, Refusal};
use types::{BucketName, Checksum, ChecksumAlgorithm, ChecksumType, ETag, ObjectKey, PartNumber, UploadId};

use crate::changes::{Committed, Finished};
use crate::commit::unexpected;
use crate::data::BodySource;
use crate::records::PartRecord;
use crate::uploads::FoundUpload;
use crate::writes::{NewPart, PartToWrite, record_of, wanted_checksum};
use crate::{BodyFacts, Objects, ObjectsError};

/// Stores one part of an upload.
#[derive(Debug, Clone)]
pub struct UploadPartRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The part's number; a part that has it is replaced.
    pub number: PartNumber,
    /// What the client said of the body.
    pub said: BodyFacts,
}

/// A stored part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenPart {
    /// Its entity tag.
    pub etag: ETag,
    /// Its checksum of the upload's algorithm (without one: the client's, if it sent one).
    pub checksum: Option<Checksum>,
}

impl Objects {
    /// Stores one part; durable once this returns.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchUpload`]; [`ObjectsError::ChecksumKindMismatch`] when the client's checksum is of another
    /// algorithm than the upload's, or is missing where the upload's is composite; of the body and the store as
    /// [`Objects::put_object`].
    pub async fn upload_part(
        &self,
        request: UploadPartRequest,
        body: &mut dyn BodySource,
    ) -> Result<WrittenPart, ObjectsError> {
        let UploadPartRequest { bucket, key, upload, number, said } = request;
        let found = self.find_open_upload(&bucket, &key, upload).await?;
        let given = wanted_checksum(&said);
        let wanted = found.view.checksum.map(|checksum| checksum.algorithm);
        let is_composite = found.view.checksum.is_some_and(|it| it.checksum_type == ChecksumType::Composite);
        if wanted.is_some() && wanted != given && (given.is_some() || is_composite) {
            return Err(ObjectsError::ChecksumKindMismatch { wanted, given });
        }
        self.store_part(found, PartOfUpload { bucket, upload, number, checksum: wanted.or(given) }, said, body).await
    }

    /// Writes a part's bytes and names them.
    pub(crate) async fn store_part(
        &self,
        found: FoundUpload,
        target: PartOfUpload,
        said: BodyFacts,
        body: &mut dyn BodySource,
    ) -> Result<WrittenPart, ObjectsError> {
        let mut transfer = self.begin();
        let PartOfUpload { bucket, upload, number, checksum } = target;
        let FoundUpload { resolved, home, view } = found;
        let record = PartRecord::UploadPart { upload, began: self.clock().now(), declared_bytes: said.declared_bytes };
        let to_write = PartToWrite {
            home: home.clone(),
            number,
            profile: self.profile_of_standing(&view.attributes.storage_class),
            record: record_of(&bucket, record),
            checksum,
            may_inline: true,
        };
        let written = self.write_part(&transfer, to_write, said, body).await?;

        let objects = self.clone();
        Finished::new(async move {
            let runs = written.runs();
            let NewPart { part, degraded } = written;
            let stored = WrittenPart { etag: part.etag, checksum: part.checksums.first().cloned() };
            let put = PutPart { bucket: resolved.at(), key: home.key.clone(), upload, part, degraded };
            let body = CommandBody::PutPart(Box::new(put));
            let outcome = match objects.change(&mut transfer, &bucket, resolved, body).await {
                Ok(Committed { answer: Answer::Done, .. }) => return Ok(stored),
                Ok(Committed { answer: Answer::Refused(Refusal::NoSuchUpload), .. }) => {
                    ObjectsError::NoSuchUpload { upload }
                }
                Ok(committed) => unexpected("a part", &committed.answer),
                Err(error) => error,
            };
            objects.discard_after(&outcome, runs, &home);
            Err(outcome)
        })
        .await
    }
}

/// Which part of which upload is stored.
pub(crate) struct PartOfUpload {
    pub(crate) bucket: BucketName,
    pub(crate) upload: UploadId,
    pub(crate) number: PartNumber,
    /// The algorithm of the checksum that is kept beside CRC64NVME.
    pub(crate) checksum: Option<ChecksumAlgorithm>,
}
