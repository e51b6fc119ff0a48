//! PutObject: a version of one part becomes visible.

use std::borrow::Cow;

use types::{StorageClass, VersionId, Versioning};

use super::versions::Incoming;
use super::{Applying, Site, Stop};
use crate::command::{Answer, BucketConfig, NewVersion, PutObject, UploadChecksum};
use crate::rows::{self, BodyKind, BodyRow, DegradedKept, HeadRow, PartRow, inline_bytes, runs_of};

impl Applying<'_> {
    pub(super) fn put_object(&mut self, put: &PutObject) -> Result<Answer, Stop> {
        let BucketConfig { versioning, object_lock } = self.live_bucket(put.bucket)?.config;
        self.check_runs(&put.part, &[])?;
        let site = Site::new(put.bucket.id, &put.key);
        let current = self.tables.current(&site.place)?;
        Self::check_conditions(&put.conditions, current.as_ref().map(|current| &current.head))?;

        let head =
            self.new_head(&put.version, versioning, put.version.plain_bytes, &put.version.attributes.storage_class);
        let body = BodyRow {
            checksum: put.version.checksum.as_ref().map(Cow::Borrowed),
            attributes: self.attributes_of(&put.version.attributes, object_lock),
            kind: BodyKind::Single(PartRow::of(&put.part, self.stamp, put.degraded)),
        };
        let inline = inline_bytes(&put.part);
        let id = head.id;
        let incoming =
            Incoming { head, body: rows::encode(&body), inline: inline.as_deref(), runs: runs_of(&put.part) };
        let answer = self.install(&site, versioning, current, incoming)?;
        let row = DegradedKept { version: Some(id), upload: None, number: put.part.number };
        self.note_degraded(&site, &row, false, put.degraded)?;
        Ok(answer)
    }

    /// The head of a version made now.
    pub(super) fn new_head(
        &self,
        version: &NewVersion,
        versioning: Versioning,
        plain_bytes: u64,
        storage_class: &StorageClass,
    ) -> HeadRow {
        let checksum = version.checksum.as_ref();
        HeadRow {
            id: VersionId { stamp: self.stamp, random: version.random },
            null: versioning != Versioning::Enabled,
            marker: false,
            plain_bytes,
            etag: version.etag,
            storage_class: storage_class.clone(),
            checksum: checksum.map(|sum| UploadChecksum { algorithm: sum.algorithm, checksum_type: sum.checksum_type }),
            owner: version.owner.clone(),
            superseded: None,
        }
    }
}
