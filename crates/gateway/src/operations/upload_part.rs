//! UploadPart.

use s3_wire::S3Error;
use s3_wire::upload_part::{UploadPartRequest, answer};

use crate::answer::{Answer, whole};
use crate::call::Call;

/// Stores a part of an upload.
pub(crate) async fn upload_part(call: &mut Call<'_>) -> Result<Answer, S3Error> {
    let UploadPartRequest { bucket, key, upload, number, body: announced } = UploadPartRequest::parse(&call.head)?;
    let said = call.body_facts(&announced);
    let request = objects::UploadPartRequest { bucket, key, upload, number, said };
    let objects = call.objects();
    let mut body = call.object_body(&announced)?;
    let stored = objects.upload_part(request, &mut body).await.map_err(|error| call.refusal(error))?;
    Ok(whole(answer(&stored.etag, stored.checksum.as_ref())))
}
