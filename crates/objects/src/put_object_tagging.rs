//! PutObjectTagging and DeleteObjectTagging.

use index::CommandBody;
use index::command::SetObjectTags;
use types::{BucketName, ObjectKey};

use crate::{Objects, ObjectsError, ShownVersion, WhichVersion};

/// Other tags for a version.
#[derive(Debug, Clone)]
pub struct PutObjectTaggingRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version.
    pub which: WhichVersion,
    /// The tags from now on; none removes them.
    pub tags: Vec<(String, String)>,
}

impl Objects {
    /// Puts tags in place of those of a version, which stays what it is else, and says which one it was.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::NoSuchKey`], [`ObjectsError::NoSuchVersion`];
    /// [`ObjectsError::NamedIsMarker`], also where the newest one is; [`ObjectsError::Unavailable`].
    pub async fn put_object_tagging(&self, request: PutObjectTaggingRequest) -> Result<ShownVersion, ObjectsError> {
        let resolved = self.resolve(&request.bucket).await?;
        let PutObjectTaggingRequest { bucket, key, which, tags } = request;
        let set = SetObjectTags { bucket: resolved.at(), key: key.clone(), version: which, tags };
        let body = CommandBody::SetObjectTags(Box::new(set));
        self.change_version(&bucket, resolved, &key, which, body).await
    }
}
