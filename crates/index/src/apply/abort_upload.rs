//! AbortMultipartUpload.

use types::{ObjectKey, UploadId};

use super::{Applying, Site, Stop, signed};
use crate::command::{Answer, BucketAt};
use crate::rows::DegradedKept;

impl Applying<'_> {
    pub(super) fn abort_upload(&mut self, bucket: BucketAt, key: &ObjectKey, upload: UploadId) -> Result<Answer, Stop> {
        self.live_bucket(bucket)?;
        let site = Site::new(bucket.id, key);
        let row = self.upload_under_way(&site, upload)?;
        let plain_bytes = self.free_upload(&site, upload)?;
        self.tables.delete_upload(&site.place, upload)?;
        self.tables.delete_upload_time(&site.place, row.began, upload)?;
        let usage = self.usage(site.bucket);
        usage.uploads -= 1;
        usage.upload_bytes -= signed(plain_bytes);
        Ok(Answer::Done)
    }

    /// Frees and removes all parts of an upload, its manifest too; returns their plain bytes.
    pub(super) fn free_upload(&mut self, site: &Site<'_>, upload: UploadId) -> Result<u64, Stop> {
        let mut plain_bytes = 0;
        for (number, part) in self.tables.part_rows(&site.place, upload)? {
            self.free_part(site, &part, &[])?;
            let row = DegradedKept { version: None, upload: Some(upload), number };
            self.note_degraded(site, &row, part.degraded, false)?;
            plain_bytes += part.plain_bytes;
        }
        self.tables.delete_parts(&site.place, upload)?;
        Ok(plain_bytes)
    }
}
