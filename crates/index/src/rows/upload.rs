//! Rows of uploads, and of parts that wait for re-striping.

use serde::{Deserialize, Serialize};
use types::{Checksum, CommitStamp, ETag, ObjectAttributes, Owner, PartNumber, UploadId, VersionId};

use crate::command::UploadChecksum;
use crate::query::{CompletedUpload, UploadView};

/// The row of `uploads`. A completed upload keeps it as long as the version that it became.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UploadRow {
    pub(crate) began: CommitStamp,
    pub(crate) attributes: ObjectAttributes,
    pub(crate) owner: Owner,
    pub(crate) checksum: Option<UploadChecksum>,
    pub(crate) completed: Option<CompletedRow>,
}

/// What the upload became.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CompletedRow {
    pub(crate) id: VersionId,
    pub(crate) null: bool,
    pub(crate) etag: ETag,
    pub(crate) checksum: Option<Checksum>,
}

impl From<UploadRow> for UploadView {
    fn from(row: UploadRow) -> Self {
        let completed = row.completed.map(|completed| CompletedUpload {
            id: completed.id,
            null: completed.null,
            etag: completed.etag,
            checksum: completed.checksum,
        });
        Self { began: row.began, attributes: row.attributes, owner: row.owner, checksum: row.checksum, completed }
    }
}

/// The row of `degraded`; bucket and key stand in the row's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DegradedKept {
    pub(crate) version: Option<VersionId>,
    pub(crate) upload: Option<UploadId>,
    pub(crate) number: PartNumber,
}
