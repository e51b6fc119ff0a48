//! ListMultipartUploads.

use objects::ListEntry;
use s3_wire::S3Error;
use s3_wire::list_multipart_uploads::{ListMultipartUploadsRequest, ListedUpload, answer};
use s3_wire::list_objects::ListLine;

use super::list_objects::kind_of;
use crate::answer::{Answer, whole};
use crate::call::Call;

/// A page of the bucket's uploads under way.
pub(crate) async fn list_multipart_uploads(call: &Call<'_>) -> Result<Answer, S3Error> {
    let request = ListMultipartUploadsRequest::parse(&call.head)?;
    let page = call
        .objects()
        .list_multipart_uploads(objects::ListMultipartUploadsRequest {
            bucket: request.bucket.clone(),
            prefix: request.scope.prefix.clone(),
            delimiter: request.scope.delimiter.clone(),
            key_marker: request.key_marker.clone(),
            upload_marker: request.upload_marker,
            max_uploads: request.scope.limit,
        })
        .await
        .map_err(|error| call.refusal(error))?;
    let lines: Vec<_> = page.entries.iter().map(line).collect();
    Ok(whole(answer(&request, &lines, page.truncated)))
}

fn line(entry: &ListEntry<objects::ListedUpload>) -> ListLine<'_, ListedUpload<'_>> {
    match entry {
        ListEntry::CommonPrefix(prefix) => ListLine::CommonPrefix(prefix),
        ListEntry::Entry(upload) => ListLine::Entry(ListedUpload {
            key: upload.key.as_bytes(),
            upload: upload.upload,
            owner: &upload.owner,
            storage_class: &upload.storage_class,
            began: upload.began.time(),
            checksum: upload.checksum.map(kind_of),
        }),
    }
}
