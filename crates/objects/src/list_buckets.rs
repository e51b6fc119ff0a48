//! ListBuckets.

use types::AccountId;

use crate::{Bucket, Objects, ObjectsError};

/// Lists an account's buckets.
#[derive(Debug, Clone)]
pub struct ListBucketsRequest {
    /// Whose; others' are not shown.
    pub owner: AccountId,
    /// Only names that begin so.
    pub prefix: String,
    /// Only buckets of this region (us-east-1 is the empty LocationConstraint).
    pub region: Option<String>,
    /// Where the last page ended.
    pub token: Option<String>,
    /// At most so many, at least 1 (S3: up to 10,000; the default of a request without a number).
    pub max_buckets: usize,
}

/// A page of buckets.
#[derive(Debug, Clone)]
pub struct BucketsPage {
    /// In order of name.
    pub buckets: Vec<Bucket>,
    /// For the next page, if there may be one.
    pub next_token: Option<String>,
}

impl Objects {
    /// One page of an account's buckets.
    ///
    /// # Errors
    /// [`ObjectsError::InvalidToken`].
    pub async fn list_buckets(&self, request: ListBucketsRequest) -> Result<BucketsPage, ObjectsError> {
        todo!()
    }
}
