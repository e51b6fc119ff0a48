//! UploadPartCopy.

use s3_wire::S3Error;
use s3_wire::copy_object::CopiedAnswer;
use s3_wire::upload_part_copy::{UploadPartCopyRequest, answer};

use super::copy_object::{REFUSED_TO_ANONYMOUS, check_source};
use crate::answer::{Answer, whole};
use crate::call::{Call, shown, which};
use crate::conditions;

/// Stores bytes of an object as a part of an upload.
pub(crate) async fn upload_part_copy(call: &Call<'_>) -> Result<Answer, S3Error> {
    call.refuse_anonymous(REFUSED_TO_ANONYMOUS)?;
    let request = UploadPartCopyRequest::parse(&call.head)?;
    check_source(call, &request.source, request.source_owner).await?;
    let source_key = request.source.key.clone();
    let copied = call
        .objects()
        .upload_part_copy(objects::UploadPartCopyRequest {
            source: objects::CopySource {
                bucket: request.source.bucket.clone(),
                key: request.source.key,
                which: which(request.source.version),
                conditions: conditions::of_read(request.source_conditions),
            },
            range: request.range.map(|range| range.first..range.last.saturating_add(1)),
            bucket: request.bucket,
            key: request.key,
            upload: request.upload,
            number: request.number,
        })
        .await;
    let copied = match copied {
        Ok(copied) => copied,
        Err(error) => return Err(call.copy_refusal(error, &request.source.bucket, &source_key).await),
    };
    let copied = CopiedAnswer {
        etag: &copied.part.etag,
        modified: copied.modified,
        checksum: copied.part.checksum.as_ref(),
        version: None,
        source_version: shown(copied.source_version),
    };
    Ok(whole(answer(&copied)))
}
