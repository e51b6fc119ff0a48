//! ListObjectsV2.

use objects::ListStart;
use s3_wire::S3Error;
use s3_wire::list_objects_v2::{ListObjectsV2Request, PageStart, answer};

use super::list_objects::line;
use crate::answer::{Answer, whole};
use crate::call::Call;

/// A page of the bucket's current objects.
pub(crate) async fn list_objects_v2(call: &Call<'_>) -> Result<Answer, S3Error> {
    let request = ListObjectsV2Request::parse(&call.head)?;
    let page = call
        .objects()
        .list_objects(objects::ListObjectsRequest {
            bucket: request.bucket.clone(),
            prefix: request.scope.prefix.clone(),
            delimiter: request.scope.delimiter.clone(),
            start: match request.start() {
                PageStart::After(after) => ListStart::After(after),
                PageStart::Token(token) => ListStart::Token(token),
            },
            max_keys: request.scope.limit,
        })
        .await
        .map_err(|error| call.refusal(error))?;
    let lines: Vec<_> = page.entries.iter().map(|entry| line(entry, request.fetch_owner)).collect();
    Ok(whole(answer(&request, &lines, page.next_token.as_deref())))
}
