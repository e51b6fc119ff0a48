//! GetObject.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::BoxStream;
use types::{BucketName, ObjectKey, PartNumber};

use crate::head::{ChosenPart, ObjectHead};
use crate::reads::{BEGUN_ANEW_MAX, check_read};
use crate::{ByteRange, Objects, ObjectsError, ReadConditions, WhichVersion};

/// Reads an object: GetObject and HeadObject.
#[derive(Debug, Clone)]
pub struct GetObjectRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version.
    pub which: WhichVersion,
    /// What must hold of it.
    pub conditions: ReadConditions,
    /// Which bytes.
    pub selection: Selection,
}

/// Which bytes of an object are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Selection {
    /// All.
    #[default]
    Whole,
    /// A range.
    Range(ByteRange),
    /// One part of a completed upload; of other objects part 1 is all.
    Part(PartNumber),
}

/// What was chosen of an object, without bytes.
#[derive(Debug, Clone)]
pub struct SelectedObject {
    /// The object.
    pub head: ObjectHead,
    /// Which of its bytes.
    pub range: Range<u64>,
    /// The part, when one was asked for. Its range is `range`.
    pub part: Option<ChosenPart>,
}

/// An object's chosen bytes.
pub struct ReadObject {
    /// What was chosen.
    pub selected: SelectedObject,
    /// Its bytes, in order and of exactly that length unless it ends with an error: then the connection must be
    /// broken off, because the answer's head has been sent.
    pub body: ObjectBody,
}

/// Verified plain bytes on their way out.
pub type ObjectBody = BoxStream<'static, Result<Bytes, ObjectsError>>;

impl Objects {
    /// Finds a version, checks the conditions and opens the chosen bytes: one question to the index, and
    /// for completed uploads one more for each 100 parts as the read reaches them. The first bytes have been read and
    /// verified once this returns.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::NoSuchKey`], [`ObjectsError::NewestIsMarker`],
    /// [`ObjectsError::NoSuchVersion`], [`ObjectsError::NamedIsMarker`], [`ObjectsError::NotModified`],
    /// [`ObjectsError::PreconditionFailed`], [`ObjectsError::InvalidRange`], [`ObjectsError::InvalidPartNumber`];
    /// [`ObjectsError::SlowDown`], [`ObjectsError::Unavailable`], [`ObjectsError::Damaged`].
    pub async fn get_object(&self, request: GetObjectRequest) -> Result<ReadObject, ObjectsError> {
        for _ in 0..BEGUN_ANEW_MAX {
            let mut found = self.find(&request.bucket, &request.key, request.which).await?;
            let head = found.take_head();
            check_read(&request.conditions, &head)?;
            let (range, part) = self.select(&found, &head, request.selection).await?;
            if let Some(body) = self.open(found, range.clone()).await? {
                return Ok(ReadObject { selected: SelectedObject { head, range, part }, body });
            }
        }
        let reason = format!("key {} changes faster than it can be read", request.key);
        Err(ObjectsError::Unavailable { reason, outcome_unknown: false })
    }
}
