//! ListBuckets.

use index::command::BucketRecord;
use index::{Query, QueryAnswer};
use types::{AccountId, BucketName, Namespace};

use crate::buckets::is_visible;
use crate::commit::unexpected;
use crate::tokens::{self, Listing};
use crate::{Bucket, Objects, ObjectsError};

/// Records that are asked for at once.
const PAGE: usize = 1000;
/// The region whose LocationConstraint is empty.
const DEFAULT_REGION: &str = "us-east-1";

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
        let mut after = match &request.token {
            Some(token) => Some(position_of(token)?),
            None => None,
        };
        let mut buckets = Vec::new();
        loop {
            let query = Query::Buckets {
                namespace: Namespace::default(),
                prefix: request.prefix.clone(),
                after: after.clone(),
                limit: PAGE,
            };
            let records = match self.index().ask(query).await? {
                QueryAnswer::BucketRecords(records) => records,
                other => return Err(unexpected("a list of buckets", &other)),
            };
            let last_page = records.len() < PAGE;
            for record in records {
                after = Some(record.name.clone());
                if !is_visible(&record) || !is_wanted(&record, &request) {
                    continue;
                }
                if buckets.len() == request.max_buckets {
                    let last: Option<&Bucket> = buckets.last();
                    let next_token =
                        last.map(|bucket| tokens::encode(Listing::Buckets, bucket.name.as_str().as_bytes()));
                    return Ok(BucketsPage { buckets, next_token });
                }
                buckets.push(Bucket::from(record));
            }
            if last_page {
                return Ok(BucketsPage { buckets, next_token: None });
            }
        }
    }
}

fn is_wanted(record: &BucketRecord, request: &ListBucketsRequest) -> bool {
    let region = if record.region.is_empty() { DEFAULT_REGION } else { &record.region };
    record.owner.account == request.owner && request.region.as_deref().is_none_or(|wanted| wanted == region)
}

fn position_of(token: &str) -> Result<BucketName, ObjectsError> {
    let name = String::from_utf8(tokens::decode(Listing::Buckets, token)?).map_err(|_| ObjectsError::InvalidToken)?;
    BucketName::new(&name).map_err(|_| ObjectsError::InvalidToken)
}
