//! SetBucketDocument: what S3 keeps with a bucket, in the system range.

use super::{Applying, Stop};
use crate::command::{Answer, BucketRecordState, DOCUMENT_BYTES_MAX, DocumentKind, Refusal, SetBucketDocument};

impl Applying<'_> {
    /// A bucket that is being deleted still takes documents: its deletion may be undone, else they go with it.
    pub(super) fn set_bucket_document(&mut self, set: &SetBucketDocument) -> Result<Answer, Stop> {
        let SetBucketDocument { bucket, kind, document } = set;
        let record = self.bucket_record(*bucket)?;
        if matches!(record.state, BucketRecordState::Creating { .. }) {
            return Err(Refusal::NoSuchBucket.into());
        }
        match document {
            Some(document) if document.len() > DOCUMENT_BYTES_MAX => return Err(Refusal::DocumentTooLong.into()),
            Some(document) => self.tables.put_document(*bucket, *kind, document)?,
            None => self.tables.delete_document(*bucket, *kind)?,
        }
        self.tables.put_documents_changed(*bucket, self.stamp)?;
        if *kind == DocumentKind::Lifecycle {
            self.tables.put_lifecycles_changed(self.stamp)?;
        }
        Ok(Answer::Done)
    }
}
