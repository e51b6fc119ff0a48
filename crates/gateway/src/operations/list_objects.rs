//! ListObjects: version 1. What it shares with version 2 is here too: the lines.

use objects::{ListEntry, ListStart, ListedVersion};
use s3_wire::S3Error;
use s3_wire::list_objects::{ListLine, ListObjectsRequest, ListedObject, answer};
use types::{ChecksumAlgorithm, ChecksumType};

use crate::answer::{Answer, whole};
use crate::call::Call;

/// A page of the bucket's current objects.
pub(crate) async fn list_objects(call: &Call<'_>) -> Result<Answer, S3Error> {
    let request = ListObjectsRequest::parse(&call.head)?;
    let page = call
        .objects()
        .list_objects(objects::ListObjectsRequest {
            bucket: request.bucket.clone(),
            prefix: request.scope.prefix.clone(),
            delimiter: request.scope.delimiter.clone(),
            start: ListStart::After(request.marker.clone()),
            max_keys: request.scope.limit,
        })
        .await
        .map_err(|error| call.refusal(error))?;
    let lines: Vec<_> = page.entries.iter().map(|entry| line(entry, true)).collect();
    Ok(whole(answer(&request, &lines, page.truncated)))
}

/// A line of a listing of objects.
pub(super) fn line(entry: &ListEntry<ListedVersion>, shows_owner: bool) -> ListLine<'_, ListedObject<'_>> {
    match entry {
        ListEntry::Entry(version) => ListLine::Entry(listed(version, shows_owner)),
        ListEntry::CommonPrefix(prefix) => ListLine::CommonPrefix(prefix),
    }
}

/// An object or version as listings show it.
pub(super) fn listed(version: &ListedVersion, shows_owner: bool) -> ListedObject<'_> {
    ListedObject {
        key: version.key.as_bytes(),
        modified: version.id.stamp.time(),
        etag: version.etag,
        size: version.plain_bytes,
        storage_class: &version.storage_class,
        checksum: version.checksum.map(kind_of),
        owner: shows_owner.then_some(&version.owner),
    }
}

/// The algorithm and type of a checksum.
pub(super) fn kind_of(checksum: objects::UploadChecksum) -> (ChecksumAlgorithm, ChecksumType) {
    (checksum.algorithm, checksum.checksum_type)
}
