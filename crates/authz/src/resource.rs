//! What an action is done to.

use std::fmt;

use types::{BucketName, ObjectKey};

/// What an action is done to. `Display` is its name in policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The service: its list of buckets, its administration.
    Service,
    /// A bucket.
    Bucket(&'a BucketName),
    /// An object, or a key that has none yet.
    Object {
        /// Its bucket.
        bucket: &'a BucketName,
        /// Its key.
        key: &'a ObjectKey,
    },
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("arn:aws:s3:::*"),
            Self::Bucket(bucket) => write!(f, "arn:aws:s3:::{bucket}"),
            Self::Object { bucket, key } => write!(f, "arn:aws:s3:::{bucket}/{key}"),
        }
    }
}
