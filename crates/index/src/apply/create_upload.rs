//! CreateMultipartUpload.

use super::{Applying, Site, Stop};
use crate::command::{Answer, CreateUpload};
use crate::rows::UploadRow;

impl Applying<'_> {
    /// The id is the sender's, of 128 random bits: one that is there is this command's own, sent again.
    pub(super) fn create_upload(&mut self, create: &CreateUpload) -> Result<Answer, Stop> {
        self.live_bucket(create.bucket)?;
        let site = Site::new(create.bucket.id, &create.key);
        if let Some(row) = self.tables.upload(&site.place, create.upload)? {
            return Ok(Answer::UploadCreated { stamp: row.began });
        }
        let row = UploadRow {
            began: self.stamp,
            attributes: create.attributes.clone(),
            owner: create.owner.clone(),
            checksum: create.checksum,
            completed: None,
        };
        self.tables.put_upload(&site.place, create.upload, &row)?;
        self.tables.put_upload_time(&site.place, row.began, create.upload)?;
        self.usage(create.bucket.id).uploads += 1;
        self.note_change(&site)?;
        Ok(Answer::UploadCreated { stamp: self.stamp })
    }
}
