//! HeadBucket, and what authorization needs of a bucket.

use types::{BucketId, BucketName, Owner, Timestamp};

use crate::{Objects, ObjectsError};

/// A visible bucket: what of it never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its number.
    pub id: BucketId,
    /// Its name.
    pub name: BucketName,
    /// Who owns it.
    pub owner: Owner,
    /// The LocationConstraint it was made with; empty is us-east-1.
    pub region: String,
    /// When it was made.
    pub created: Timestamp,
}

impl Objects {
    /// The bucket of this name, at most a second old: for authorization and as a hint. The operations decide anew
    /// under the bucket's epoch, so acting on an old answer does no harm.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`].
    pub async fn bucket(&self, bucket: &BucketName) -> Result<Bucket, ObjectsError> {
        Ok((*self.resolve(bucket).await?.bucket).clone())
    }

    /// The bucket of this name, as it is now.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`].
    pub async fn head_bucket(&self, bucket: &BucketName) -> Result<Bucket, ObjectsError> {
        Ok((*self.buckets().resolve_anew(self.index(), bucket).await?.bucket).clone())
    }
}
