//! PutObjectTagging and DeleteObjectTagging.

use index::command::SetObjectTags;
use index::{Answer, CommandBody, Refusal};
use types::{BucketName, ObjectKey};

use crate::commit::unexpected;
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
        let mut transfer = self.begin();
        let resolved = self.resolve(&request.bucket).await?;
        let PutObjectTaggingRequest { bucket, key, which, tags } = request;
        let set = SetObjectTags { bucket: resolved.at(), key: key.clone(), version: which, tags };
        let body = CommandBody::SetObjectTags(Box::new(set));
        let committed = self.change(&mut transfer, &bucket, resolved, body).await?;
        let versioning = committed.row.config.versioning;
        match committed.answer {
            Answer::Tagged { id, null } => Ok(ShownVersion::new(id, null, versioning)),
            Answer::Refused(Refusal::NoSuchKey) => Err(ObjectsError::NoSuchKey { key }),
            Answer::Refused(Refusal::NoSuchVersion) => {
                let version = match which {
                    WhichVersion::Id(id) => ShownVersion::Id(id),
                    WhichVersion::Newest | WhichVersion::Null => ShownVersion::Null,
                };
                Err(ObjectsError::NoSuchVersion { key, version })
            }
            Answer::Refused(Refusal::IsMarker { id, null }) => {
                let marker = ShownVersion::new(id, null, versioning);
                Err(ObjectsError::NamedIsMarker { key, marker, modified: id.stamp.time() })
            }
            Answer::Refused(refusal @ Refusal::FeatureLevel { .. }) => Err(ObjectsError::of_level(&refusal)),
            other => Err(unexpected("a change of tags", &other)),
        }
    }
}
