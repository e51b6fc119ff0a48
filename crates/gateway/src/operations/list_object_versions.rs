//! ListObjectVersions.

use objects::ListEntry;
use s3_wire::list_object_versions::{ListObjectVersionsRequest, ListedVersion, answer};
use s3_wire::list_objects::ListLine;
use s3_wire::{S3Error, VersionRef};

use super::list_objects::listed;
use crate::answer::{Answer, whole};
use crate::call::{Call, named};

/// A page of all versions and delete markers.
pub(crate) async fn list_object_versions(call: &Call<'_>) -> Result<Answer, S3Error> {
    let request = ListObjectVersionsRequest::parse(&call.head)?;
    let page = call
        .objects()
        .list_object_versions(objects::ListObjectVersionsRequest {
            bucket: request.bucket.clone(),
            prefix: request.scope.prefix.clone(),
            delimiter: request.scope.delimiter.clone(),
            key_marker: request.key_marker.clone(),
            version_marker: request.version_marker.map(named),
            max_keys: request.scope.limit,
        })
        .await
        .map_err(|error| call.refusal(error))?;
    let lines: Vec<_> = page.entries.iter().map(line).collect();
    Ok(whole(answer(&request, &lines, page.truncated)))
}

fn line(entry: &ListEntry<objects::ListedVersion>) -> ListLine<'_, ListedVersion<'_>> {
    match entry {
        ListEntry::CommonPrefix(prefix) => ListLine::CommonPrefix(prefix),
        ListEntry::Entry(version) => ListLine::Entry(ListedVersion {
            object: listed(version, true),
            version: if version.null { VersionRef::Null } else { VersionRef::Id(version.id) },
            newest: version.newest,
            marker: version.marker,
            owner: &version.owner,
        }),
    }
}
