//! GetObjectAttributes.

use types::{BucketName, ObjectKey};

use crate::head::ObjectHead;
use crate::list_parts::ListedPart;
use crate::{Objects, ObjectsError, WhichVersion};

/// Asks for what an object is.
#[derive(Debug, Clone)]
pub struct GetObjectAttributesRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version.
    pub which: WhichVersion,
    /// Which of its parts, when `ObjectParts` is asked for.
    pub parts: Option<PartsWanted>,
}

/// A stretch of an object's parts.
#[derive(Debug, Clone, Copy)]
pub struct PartsWanted {
    /// Only parts above this number (`x-amz-part-number-marker`); 0: all.
    pub after: u16,
    /// At most so many (`x-amz-max-parts`).
    pub max_parts: usize,
}

/// What an object is.
#[derive(Debug, Clone)]
pub struct ObjectAttributesAnswer {
    /// The object.
    pub head: ObjectHead,
    /// Its parts, when they were asked for and it is a completed upload.
    pub parts: Option<ObjectPartsPage>,
}

/// A page of an object's parts.
#[derive(Debug, Clone)]
pub struct ObjectPartsPage {
    /// In order. Filled only when the object has a composite checksum, as S3 does; the count always is.
    pub parts: Vec<ListedPart>,
    /// How many parts the object has.
    pub total: u16,
    /// Whether more follow.
    pub truncated: bool,
    /// The last part's number; of an empty page the request's marker.
    pub next_after: u16,
}

impl Objects {
    /// What an object is, and a page of its parts.
    ///
    /// # Errors
    /// As [`Objects::head_object`] without conditions.
    pub async fn get_object_attributes(
        &self,
        request: GetObjectAttributesRequest,
    ) -> Result<ObjectAttributesAnswer, ObjectsError> {
        todo!()
    }
}
