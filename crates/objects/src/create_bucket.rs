//! CreateBucket.

use types::{BucketName, Owner};

use crate::{Bucket, Objects, ObjectsError};

/// Makes a bucket.
#[derive(Debug, Clone)]
pub struct CreateBucketRequest {
    /// Its name.
    pub bucket: BucketName,
    /// Who will own it.
    pub owner: Owner,
    /// The LocationConstraint; empty is us-east-1. Any is kept and answered.
    pub region: String,
    /// Whether object lock is on from the start; versioning is then enabled, too.
    pub object_lock: bool,
}

impl Objects {
    /// Makes a bucket, without versioning unless object lock asks for it.
    ///
    /// # Errors
    /// [`ObjectsError::BucketAlreadyOwnedByYou`], [`ObjectsError::BucketAlreadyExists`],
    /// [`ObjectsError::BucketBusy`] while another request makes or deletes it.
    pub async fn create_bucket(&self, request: CreateBucketRequest) -> Result<Bucket, ObjectsError> {
        todo!()
    }
}
