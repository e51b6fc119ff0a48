//! ListParts.

use s3_wire::S3Error;
use s3_wire::list_parts::{ListPartsRequest, ListedPart, UploadOfParts, answer};

use super::list_objects::kind_of;
use crate::answer::{Answer, whole};
use crate::call::Call;

/// A page of the parts of an upload under way.
pub(crate) async fn list_parts(call: &Call<'_>) -> Result<Answer, S3Error> {
    let request = ListPartsRequest::parse(&call.head)?;
    let page = call
        .objects()
        .list_parts(objects::ListPartsRequest {
            bucket: request.bucket.clone(),
            key: request.key.clone(),
            upload: request.upload,
            after: request.after,
            max_parts: request.limit,
        })
        .await
        .map_err(|error| call.refusal(error))?;
    let upload =
        UploadOfParts { owner: &page.owner, storage_class: &page.storage_class, checksum: page.checksum.map(kind_of) };
    let parts: Vec<_> = page
        .parts
        .iter()
        .map(|part| ListedPart {
            number: part.number,
            etag: &part.etag,
            plain_bytes: part.plain_bytes,
            modified: part.modified,
            checksum: part.checksum.as_ref(),
        })
        .collect();
    let mut answer = whole(answer(&request, &upload, &parts, page.truncated));
    call.set_abort(&request.bucket, &request.key, page.began, answer.headers_mut()).await;
    Ok(answer)
}
