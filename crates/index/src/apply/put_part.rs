//! UploadPart: a part is stored, in place of one of its number.

use types::{PartNumber, UploadId};

use super::{Applying, Site, Stop, signed};
use crate::command::{Answer, PutPart, Refusal};
use crate::rows::{DegradedKept, PartRow, UploadRow, inline_bytes, runs_of};

impl Applying<'_> {
    pub(super) fn put_part(&mut self, put: &PutPart) -> Result<Answer, Stop> {
        self.live_bucket(put.bucket)?;
        let site = Site::new(put.bucket.id, &put.key);
        self.upload_under_way(&site, put.upload)?;
        if put.part.number == PartNumber::MANIFEST {
            return Err(Refusal::PartChanged.into());
        }
        let old = self.tables.part(&site.place, put.upload, put.part.number)?;
        self.check_runs(&put.part, &old.as_ref().map(PartRow::runs).unwrap_or_default())?;

        if let Some(old) = &old {
            self.free_part(&site, old, &runs_of(&put.part))?;
            self.usage(site.bucket).upload_bytes -= signed(old.plain_bytes);
        }
        let row = PartRow::of(&put.part, self.stamp, put.degraded);
        self.tables.put_part(&site.place, put.upload, &row, inline_bytes(&put.part).as_deref())?;
        let degraded = DegradedKept { version: None, upload: Some(put.upload), number: put.part.number };
        self.note_degraded(&site, &degraded, old.is_some_and(|old| old.degraded), put.degraded)?;
        self.usage(site.bucket).upload_bytes += signed(put.part.plain_bytes);
        Ok(Answer::Done)
    }

    /// The upload, if it is neither completed nor gone.
    pub(super) fn upload_under_way(&self, site: &Site<'_>, upload: UploadId) -> Result<UploadRow, Stop> {
        let row = self.tables.upload(&site.place, upload)?.filter(|row| row.completed.is_none());
        Ok(row.ok_or(Refusal::NoSuchUpload)?)
    }
}
