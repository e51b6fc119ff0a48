//! What copies share: an object's bytes as the body of a write.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use types::Checksum;

use crate::conditions::Verdict;
use crate::data::{BodyError, BodySource};
use crate::reads::Found;
use crate::writes::BODY_BYTES_MAX;
use crate::{CopySource, ObjectBody, Objects, ObjectsError};

impl Objects {
    /// Finds the source of a copy and checks its conditions.
    ///
    /// # Errors
    /// As [`Objects::get_object`], but a condition that fails is always [`ObjectsError::PreconditionFailed`].
    pub(crate) async fn find_source(&self, source: &CopySource) -> Result<Found, ObjectsError> {
        let found = self.find(&source.bucket, &source.key, source.which).await?;
        match source.conditions.check(&found.version.etag, found.version.modified()) {
            Verdict::Holds => Ok(found),
            Verdict::NotModified(condition) | Verdict::Failed(condition) => {
                Err(ObjectsError::PreconditionFailed { condition: Some(condition) })
            }
        }
    }

    /// Opens bytes of a copy's source.
    ///
    /// # Errors
    /// [`ObjectsError::CopySourceTooLarge`]; as [`Objects::get_object`].
    pub(crate) async fn open_source(&self, found: Found, range: Range<u64>) -> Result<CopyBody, ObjectsError> {
        let bytes = range.end - range.start;
        if bytes > BODY_BYTES_MAX {
            return Err(ObjectsError::CopySourceTooLarge { bytes, bytes_max: BODY_BYTES_MAX });
        }
        let key = found.home.key.clone();
        match self.open(found, range).await? {
            Some(body) => Ok(CopyBody(body)),
            None => {
                let reason = format!("key {key} was changed while its copy began");
                Err(ObjectsError::Unavailable { reason, outcome_unknown: false })
            }
        }
    }
}

/// An object's bytes as a body to write.
pub(crate) struct CopyBody(ObjectBody);

#[async_trait]
impl BodySource for CopyBody {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.0.next().await.transpose().map_err(|error| BodyError(Box::new(error)))
    }

    async fn finish(&mut self) -> Result<Vec<Checksum>, BodyError> {
        Ok(Vec::new())
    }
}
