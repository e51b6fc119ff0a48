//! What is set on a version that is there: its tags, its retention, its legal hold.

use index::{Answer, CommandBody, Refusal};
use types::{BucketName, ObjectKey};

use crate::buckets::Resolved;
use crate::commit::unexpected;
use crate::{Objects, ObjectsError, ShownVersion, WhichVersion};

impl Objects {
    /// Commits a change of the version `which` of `key`, which stays what it is else, and says which one it was.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::NoSuchKey`], [`ObjectsError::NoSuchVersion`];
    /// [`ObjectsError::NamedIsMarker`], also where the newest one is; of locks [`ObjectsError::NoObjectLock`],
    /// [`ObjectsError::Locked`], [`ObjectsError::RetainUntilPassed`]; [`ObjectsError::Unavailable`].
    pub(crate) async fn change_version(
        &self,
        bucket: &BucketName,
        resolved: Resolved,
        key: &ObjectKey,
        which: WhichVersion,
        body: CommandBody,
    ) -> Result<ShownVersion, ObjectsError> {
        let committed = self.change(&mut self.begin(), bucket, resolved, body).await?;
        let versioning = committed.row.config.versioning;
        let key = key.clone();
        match committed.answer {
            Answer::Tagged { id, null } | Answer::LockSet { id, null } => Ok(ShownVersion::new(id, null, versioning)),
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
            Answer::Refused(Refusal::NoObjectLock) => Err(ObjectsError::NoObjectLock { bucket: bucket.clone() }),
            Answer::Refused(Refusal::Locked) => Err(ObjectsError::Locked { key }),
            Answer::Refused(Refusal::RetainUntilPassed) => Err(ObjectsError::RetainUntilPassed),
            Answer::Refused(refusal @ Refusal::FeatureLevel { .. }) => Err(ObjectsError::of_level(&refusal)),
            other => Err(unexpected("a change of a version", &other)),
        }
    }
}
