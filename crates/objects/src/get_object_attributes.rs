//! GetObjectAttributes.

use types::{BucketName, ObjectKey, UploadId, VersionKind};

use crate::head::ObjectHead;
use crate::list_parts::ListedPart;
use crate::reads::Found;
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
    /// In order, each with its checksum of the object's algorithm.
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
        let mut found = self.find_head(&request.bucket, &request.key, request.which).await?;
        let head = found.take_head();
        let parts = match (&found.version.kind, request.parts) {
            (VersionKind::Multipart { upload, .. }, Some(wanted)) => {
                Some(self.parts_page(&found, &head, *upload, wanted).await?)
            }
            _ => None,
        };
        Ok(ObjectAttributesAnswer { head, parts })
    }

    async fn parts_page(
        &self,
        found: &Found,
        head: &ObjectHead,
        upload: UploadId,
        wanted: PartsWanted,
    ) -> Result<ObjectPartsPage, ObjectsError> {
        let PartsWanted { after, max_parts } = wanted;
        let total = head.parts.unwrap_or_default();
        let algorithm = head.checksum.as_ref().map(|checksum| checksum.algorithm);
        if max_parts == 0 {
            return Ok(ObjectPartsPage { parts: Vec::new(), total, truncated: false, next_after: after });
        }
        let page = self.listed_parts(&found.home, upload, after, max_parts, algorithm).await?;
        Ok(ObjectPartsPage { parts: page.parts, total, truncated: page.truncated, next_after: page.next_after })
    }
}
