//! AbortMultipartUpload.

use s3_wire::S3Error;
use s3_wire::abort_multipart_upload::{AbortMultipartUploadRequest, answer};

use crate::answer::{Answer, whole};
use crate::call::Call;

/// Ends an upload.
pub(crate) async fn abort_multipart_upload(call: &Call<'_>) -> Result<Answer, S3Error> {
    let AbortMultipartUploadRequest { bucket, key, upload } = AbortMultipartUploadRequest::parse(&call.head)?;
    call.objects().abort_multipart_upload(&bucket, &key, upload).await.map_err(|error| call.refusal(error))?;
    Ok(whole(answer()))
}
