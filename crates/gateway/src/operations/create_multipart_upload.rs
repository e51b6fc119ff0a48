//! CreateMultipartUpload.

use authz::Action;
use objects::UploadChecksum;
use s3_wire::S3Error;
use s3_wire::create_multipart_upload::{CreateMultipartUploadRequest, answer};

use super::object_lock;
use crate::answer::{Answer, whole};
use crate::call::Call;
use crate::rights::Wish;

/// Begins an upload.
pub(crate) async fn create_multipart_upload(call: &Call<'_>) -> Result<Answer, S3Error> {
    call.refuse_anonymous("Anonymous users cannot initiate multipart uploads.  Please authenticate.")?;
    let request = CreateMultipartUploadRequest::parse(&call.head)?;
    if !request.attributes.tags.is_empty() {
        let tagging = Wish::of_object(Action::PutObjectTagging, &request.bucket, &request.key);
        call.demand(tagging.giving(&request.attributes.tags)).await?;
    }
    object_lock::check_given(&call.asker(), &request.bucket, &request.key, &request.attributes).await?;
    let owner = call.owner_in(&request.bucket).await?;
    let begun = call
        .objects()
        .create_multipart_upload(objects::CreateMultipartUploadRequest {
            bucket: request.bucket.clone(),
            key: request.key.clone(),
            attributes: request.attributes.clone(),
            owner,
            checksum: request.checksum.map(|(algorithm, checksum_type)| UploadChecksum { algorithm, checksum_type }),
        })
        .await
        .map_err(|error| call.refusal(error))?;
    let mut answer = whole(answer(&request, begun.upload));
    call.set_abort(&request.bucket, &request.key, begun.began, answer.headers_mut()).await;
    Ok(answer)
}
