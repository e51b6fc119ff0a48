//! What answers say of the bucket's lifecycle: when an object expires, and when an upload is ended.
//!
//! The dates are those of 24-hour days, whatever a day is to the duty that does it.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use objects::{BucketDocuments, DocumentKind, ObjectHead};
use s3_wire::bucket_lifecycle::LifecycleConfiguration;
use s3_wire::lifecycle::{Day, VersionFacts};
use types::{BucketName, ObjectKey, StorageClass, Timestamp};

use crate::call::Call;

const EXPIRATION: HeaderName = HeaderName::from_static("x-amz-expiration");
const ABORT_DATE: HeaderName = HeaderName::from_static("x-amz-abort-date");
const ABORT_RULE: HeaderName = HeaderName::from_static("x-amz-abort-rule-id");

/// An object that was read or written.
pub(crate) struct Expiring<'a> {
    pub(crate) bucket: &'a BucketName,
    pub(crate) key: &'a ObjectKey,
    pub(crate) made: Timestamp,
    pub(crate) plain_bytes: u64,
    pub(crate) tags: &'a [(String, String)],
}

impl<'a> Expiring<'a> {
    /// The newest version of a key; others have no such date.
    pub(crate) fn of_head(bucket: &'a BucketName, key: &'a ObjectKey, head: &'a ObjectHead) -> Option<Self> {
        let (made, plain_bytes, tags) = (head.modified, head.plain_bytes, &head.attributes.tags[..]);
        head.newest.then_some(Self { bucket, key, made, plain_bytes, tags })
    }
}

impl Call<'_> {
    /// The value of `x-amz-expiration`; none where no rule expires the object, or none can be read now: the answer stands
    /// without.
    pub(crate) async fn expiration(&self, object: &Expiring<'_>) -> Option<HeaderValue> {
        let rules = self.lifecycle(object.bucket).await?;
        let class = StorageClass::default();
        let facts = VersionFacts {
            key: object.key.as_bytes(),
            made: object.made,
            superseded: None,
            newer_noncurrent: 0,
            marker: false,
            alone: false,
            plain_bytes: object.plain_bytes,
            tags: object.tags,
            class: &class,
        };
        let expiry = (*rules).as_ref()?.expiry(&facts, Day::default());
        expiry.map(|expiry| expiry.header())
    }

    /// Says on an answer when the object expires.
    pub(crate) async fn set_expiration(&self, object: &Expiring<'_>, headers: &mut HeaderMap) {
        if let Some(value) = self.expiration(object).await {
            headers.insert(EXPIRATION, value);
        }
    }

    /// Says on an answer when the upload is ended.
    pub(crate) async fn set_abort(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        began: Timestamp,
        headers: &mut HeaderMap,
    ) {
        let Some(rules) = self.lifecycle(bucket).await else { return };
        let Some(rules) = (*rules).as_ref() else { return };
        if let Some(abort) = rules.abort(key.as_bytes(), began, Day::default()) {
            let [date, rule] = abort.abort_headers();
            headers.insert(ABORT_DATE, date);
            headers.insert(ABORT_RULE, rule);
        }
    }

    async fn lifecycle(&self, bucket: &BucketName) -> Option<Arc<Option<LifecycleConfiguration>>> {
        let documents = self.objects().bucket_documents(bucket).await.ok()?;
        rules_of(&documents)
    }
}

/// The bucket's rules; `Some(None)` where this release cannot read them.
fn rules_of(documents: &BucketDocuments) -> Option<Arc<Option<LifecycleConfiguration>>> {
    documents.parsed(DocumentKind::Lifecycle, |document| {
        let read = LifecycleConfiguration::parse_stored(document);
        let log = |error: &s3_wire::S3Error| {
            tracing::error!(code = error.code().as_str(), "stored lifecycle rules are unreadable");
        };
        read.inspect_err(log).ok()
    })
}
