//! ListBuckets.

use bytes::Bytes;
use http::Response;
use types::{BucketName, Owner, Timestamp};

use crate::answer;
use crate::error::S3Error;
use crate::head::RequestHead;
use crate::xml::XmlWriter;

/// The most buckets of one page.
pub const BUCKETS_MAX: usize = 10_000;

/// A page of the caller's buckets is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListBucketsRequest {
    /// At most so many.
    pub limit: usize,
    /// Where the last page ended: a token of an earlier answer, opaque here.
    pub token: Option<String>,
    /// Only names that begin so; may be empty.
    pub prefix: String,
    /// Only buckets of this region.
    pub region: Option<String>,
}

impl ListBucketsRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let limit = match head.query.text("max-buckets")?.filter(|text| !text.is_empty()) {
            None => BUCKETS_MAX,
            Some(text) => text.parse().ok().filter(|limit| (1..=BUCKETS_MAX).contains(limit)).ok_or_else(|| {
                let message = "Argument max-buckets must be an integer between 1 and 10000";
                S3Error::invalid_argument(message, "max-buckets", text)
            })?,
        };
        let token = head.query.text("continuation-token")?.filter(|token| !token.is_empty());
        Ok(Self {
            limit,
            token: token.map(str::to_owned),
            prefix: head.query.text("prefix")?.unwrap_or_default().to_owned(),
            region: head.query.text("bucket-region")?.filter(|region| !region.is_empty()).map(str::to_owned),
        })
    }
}

/// A bucket of the list.
#[derive(Debug, Clone, Copy)]
pub struct ListedBucket<'a> {
    /// Its name.
    pub name: &'a BucketName,
    /// When it was made.
    pub created: Timestamp,
    /// Its region; empty is us-east-1.
    pub region: &'a str,
}

/// Writes a page. `next_token` stands for its end when more follow.
pub fn answer(
    request: &ListBucketsRequest,
    owner: &Owner,
    buckets: &[ListedBucket<'_>],
    next_token: Option<&str>,
) -> Response<Bytes> {
    let mut xml = XmlWriter::with_capacity(512 + 160 * buckets.len());
    xml.open_root("ListAllMyBucketsResult");
    xml.owner("Owner", owner);
    xml.open("Buckets");
    for bucket in buckets {
        xml.open("Bucket");
        xml.text("Name", bucket.name.as_str());
        xml.time("CreationDate", bucket.created);
        xml.text("BucketRegion", shown_region(bucket.region));
        xml.close("Bucket");
    }
    xml.close("Buckets");
    if !request.prefix.is_empty() {
        xml.text("Prefix", &request.prefix);
    }
    if let Some(token) = next_token {
        xml.text("ContinuationToken", token);
    }
    xml.close("ListAllMyBucketsResult");
    answer::document(xml)
}

/// A region as headers and lists show it: the empty one has a name.
pub(crate) const fn shown_region(region: &str) -> &str {
    if region.is_empty() { "us-east-1" } else { region }
}
