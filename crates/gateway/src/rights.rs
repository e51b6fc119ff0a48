//! What whoever sent a request may do: who they are, what the bucket says and what the request says, brought to `authz`.

use std::borrow::Cow;
use std::sync::Arc;

use authz::{
    Absence, Action, BucketFacts, Key, KeyName, Policies, Policy, PublicAccessBlock, Request, RequestContext, Resource,
    Value, Values, decide, decide_absence,
};
use http::HeaderMap;
use http::header::{REFERER, USER_AGENT};
use objects::{
    Bucket, BucketDocuments, DocumentKind, GetObjectRequest, ObjectsError, ReadConditions, Selection, WhichVersion,
};
use s3_wire::copy_source::CopySource;
use s3_wire::public_access_block::PublicAccess;
use s3_wire::{ErrorCode, Operation, RequestHead, S3Error};
use types::{
    BucketName, DefaultRetention, LegalHold, ObjectAttributes, ObjectKey, Retention, RetentionMode, Timestamp,
};

use crate::authenticate::{Authenticated, SignatureVersion, SignedIn};
use crate::connection::Connection;
use crate::gateway::GatewayCore;
use crate::store_error::to_s3;

/// A request, as far as its rights go.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) core: &'a GatewayCore,
    pub(crate) connection: &'a Connection,
    pub(crate) operation: Operation,
    /// What says what is to be done: the request's own, or that which a form stands for.
    pub(crate) head: &'a RequestHead<'a>,
    /// The headers that were sent.
    pub(crate) sent: &'a HeaderMap,
    pub(crate) authenticated: &'a Authenticated,
}

/// What is to be done to what.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) action: Action,
    pub(crate) bucket: Option<&'a BucketName>,
    pub(crate) key: Option<&'a ObjectKey>,
    /// Of the object, where it is to be there.
    pub(crate) which: WhichVersion,
    /// The tags that the object is to get.
    pub(crate) tags: &'a [(String, String)],
    /// The region that the bucket is to be in, where the request names one.
    pub(crate) location: Option<&'a str>,
    /// What is to hold the object.
    pub(crate) lock: LockWish,
}

/// What is to hold an object, or by default all that come into a bucket.
#[derive(Clone, Copy, Default)]
pub(crate) struct LockWish {
    pub(crate) retention: Option<Retention>,
    pub(crate) hold: LegalHold,
    /// A bucket's default.
    pub(crate) default: Option<DefaultRetention>,
}

impl LockWish {
    /// What a version with these attributes is given.
    pub(crate) const fn of(attributes: &ObjectAttributes) -> Self {
        Self { retention: attributes.retention, hold: attributes.legal_hold, default: None }
    }

    /// What a bucket gives by default.
    pub(crate) const fn of_default(default: Option<DefaultRetention>) -> Self {
        Self { retention: None, hold: LegalHold::Unset, default }
    }

    fn mode(&self) -> Option<RetentionMode> {
        self.retention.map(|retention| retention.mode).or_else(|| self.default.map(|default| default.mode))
    }

    /// Days that it would last from `now` on; of one that has begun, all of it.
    fn remaining_days(&self, now: Timestamp) -> Option<u64> {
        let day = 24 * 60 * 60 * 1_000_000;
        let of_retention = self.retention.map(|retention| retention.until.0.saturating_sub(now.0).div_ceil(day));
        of_retention.or_else(|| self.default.map(|default| default.period.days()))
    }
}

impl<'a> Wish<'a> {
    /// Something done to a bucket.
    pub(crate) const fn of_bucket(action: Action, bucket: &'a BucketName) -> Self {
        let (which, lock) = (WhichVersion::Newest, LockWish::of_default(None));
        Self { action, bucket: Some(bucket), key: None, which, tags: &[], location: None, lock }
    }

    /// Something done to an object, or to its newest version.
    pub(crate) const fn of_object(action: Action, bucket: &'a BucketName, key: &'a ObjectKey) -> Self {
        Self { key: Some(key), ..Self::of_bucket(action, bucket) }
    }

    /// A bucket made.
    pub(crate) const fn of_new_bucket(bucket: &'a BucketName, location: Option<&'a str>) -> Self {
        Self { location, ..Self::of_bucket(Action::CreateBucket, bucket) }
    }

    /// The same of another version.
    #[must_use]
    pub(crate) const fn of_version(self, which: WhichVersion) -> Self {
        Self { which, ..self }
    }

    /// The same with tags for the object.
    #[must_use]
    pub(crate) const fn giving(self, tags: &'a [(String, String)]) -> Self {
        Self { tags, ..self }
    }

    /// The same with what is to hold the object.
    #[must_use]
    pub(crate) const fn locking(self, lock: LockWish) -> Self {
        Self { lock, ..self }
    }

    fn resource(&self) -> Resource<'a> {
        match (self.bucket, self.key) {
            (Some(bucket), Some(key)) => Resource::Object { bucket, key },
            (Some(bucket), None) => Resource::Bucket(bucket),
            (None, _) => Resource::Service,
        }
    }
}

impl Asker<'_> {
    /// Whether they may.
    ///
    /// # Errors
    /// `NoSuchBucket`, which AWS tells anybody; what keeps the bucket's documents from being read.
    pub(crate) async fn may(&self, wish: Wish<'_>) -> Result<bool, S3Error> {
        self.judge(wish, |request, policies| {
            let decision = decide(request, policies);
            if !decision.allowed {
                tracing::debug!(action = request.action.name(), reason = ?decision.reason, "request denied");
            }
            decision.allowed
        })
        .await
    }

    /// The same as an error.
    ///
    /// # Errors
    /// `AccessDenied`; those of [`Self::may`].
    pub(crate) async fn demand(&self, wish: Wish<'_>) -> Result<(), S3Error> {
        if self.may(wish).await? { Ok(()) } else { Err(ErrorCode::AccessDenied.into()) }
    }

    /// Whether they may know that an object is not there.
    ///
    /// # Errors
    /// Those of [`Self::may`].
    pub(crate) async fn may_miss(&self, bucket: &BucketName, key: &ObjectKey) -> Result<bool, S3Error> {
        let wish = Wish::of_object(Action::GetObject, bucket, key);
        self.judge(wish, |request, policies| decide_absence(request, policies) == Absence::NotFound).await
    }

    /// Whether they belong to the account that has the bucket.
    ///
    /// # Errors
    /// `NoSuchBucket`.
    pub(crate) async fn is_of_account(&self, bucket: &BucketName) -> Result<bool, S3Error> {
        let found = self.core.services.objects.bucket(bucket).await.map_err(to_s3)?;
        Ok(self.authenticated.caller.principal().account() == Some(found.owner.account))
    }

    async fn judge(
        &self,
        wish: Wish<'_>,
        verdict: impl FnOnce(&Request<'_>, &Policies<'_>) -> bool,
    ) -> Result<bool, S3Error> {
        let caller = &self.authenticated.caller;
        let principal = caller.principal();
        if !caller.is_whole() {
            return Ok(false);
        }
        let identity = caller.policies();
        let own = Policies { identity: &identity, boundary: caller.boundary(), ..Policies::default() };
        let now = self.core.services.clock.now();
        let mut context = Context { asker: *self, wish, now, existing_tags: Vec::new() };
        // A bucket that is to be made has nothing to say yet.
        let is_new = wish.action == Action::CreateBucket || self.operation == Operation::CreateBucket;
        let found = match wish.bucket.filter(|_| !is_new) {
            None => None,
            Some(bucket) => Some(self.core.services.objects.bucket_with_documents(bucket).await.map_err(to_s3)?),
        };
        let Some((bucket, documents)) = found else {
            let request = Request { principal, action: wish.action, resource: wish.resource(), context: &context };
            return Ok(verdict(&request, &own));
        };
        let policy = policy_of(&bucket, &documents);
        // What this release cannot read may deny anything: only the operator goes on, who can set another.
        if matches!(policy.as_deref(), Some(None)) && !principal.is_operator() {
            return Ok(false);
        }
        let policy = policy.as_deref().and_then(Option::as_ref);
        let facts = BucketFacts { policy, block: block_of(&documents), ..BucketFacts::of(&bucket.owner) };
        let policies = Policies { bucket: Some(facts), ..own };
        if policies.may_ask(KeyName::ExistingObjectTag, wish.action) {
            context.existing_tags = self.tags(&wish).await?;
        }
        let request = Request { principal, action: wish.action, resource: wish.resource(), context: &context };
        Ok(verdict(&request, &policies))
    }

    /// The tags of the object as it is; none where it isn't there.
    async fn tags(&self, wish: &Wish<'_>) -> Result<Vec<(String, String)>, S3Error> {
        let (Some(bucket), Some(key)) = (wish.bucket, wish.key) else { return Ok(Vec::new()) };
        let request = GetObjectRequest {
            bucket: bucket.clone(),
            key: key.clone(),
            which: wish.which,
            conditions: ReadConditions::default(),
            selection: Selection::Whole,
        };
        match self.core.services.objects.head_object(request).await {
            Ok(found) => Ok(found.head.attributes.tags),
            // What isn't there has none.
            Err(
                ObjectsError::NoSuchKey { .. }
                | ObjectsError::NoSuchVersion { .. }
                | ObjectsError::NewestIsMarker { .. }
                | ObjectsError::NamedIsMarker { .. },
            ) => Ok(Vec::new()),
            Err(error) => Err(to_s3(error)),
        }
    }
}

/// The bucket's policy: the inner `None` is one that this release cannot read.
pub(crate) fn policy_of(bucket: &Bucket, documents: &BucketDocuments) -> Option<Arc<Option<Policy>>> {
    documents.parsed(DocumentKind::Policy, |text| {
        let read = Policy::bucket(text, &bucket.name);
        read.inspect_err(|error| tracing::error!(%error, "a stored bucket policy is unreadable")).ok()
    })
}

/// What of the bucket is never public. What cannot be read blocks everything.
pub(crate) fn block_of(documents: &BucketDocuments) -> PublicAccessBlock {
    let parsed = documents.parsed(DocumentKind::PublicAccessBlock, |document| {
        PublicAccess::parse(document).unwrap_or(PublicAccess::NONE)
    });
    let Some(public) = parsed else { return PublicAccessBlock::default() };
    PublicAccessBlock {
        block_public_acls: public.block_public_acls,
        ignore_public_acls: public.ignore_public_acls,
        block_public_policy: public.block_public_policy,
        restrict_public_buckets: public.restrict_public_buckets,
    }
}

/// The value of a tag.
fn tag<'a>(tags: &'a [(String, String)], name: &str) -> Values<'a> {
    Values::optional(tags.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str()))
}

/// A header's value as operations read it.
fn of_header<'a>(headers: &'a HeaderMap, name: &str) -> Values<'a> {
    let value = headers.get(name).map(|value| value.as_bytes().trim_ascii());
    value.map_or(Values::Absent, |value| Value::Text(Cow::Borrowed(value)).into())
}

/// What policies ask of a request.
struct Context<'a> {
    asker: Asker<'a>,
    wish: Wish<'a>,
    now: Timestamp,
    /// Only where a policy asks for them.
    existing_tags: Vec<(String, String)>,
}

impl Context<'_> {
    fn header(&self, name: &str) -> Values<'_> {
        of_header(self.asker.head.headers, name)
    }

    fn parameter(&self, name: &str) -> Values<'_> {
        let value = self.asker.head.query.bytes(name);
        value.map_or(Values::Absent, |value| Value::Text(Cow::Borrowed(value)).into())
    }

    fn number(&self, name: &str) -> Values<'_> {
        let digits = self.asker.head.query.bytes(name).and_then(|value| std::str::from_utf8(value).ok());
        digits.and_then(|digits| digits.parse().ok()).map_or(Values::Absent, |number| Value::Number(number).into())
    }

    /// A copy's source without what its header may write in several ways.
    fn copy_source(&self) -> Values<'_> {
        if !self.asker.head.headers.contains_key("x-amz-copy-source") {
            return Values::Absent;
        }
        // What is no source is refused by the operation.
        let Ok(source) = CopySource::parse(self.asker.head) else { return self.header("x-amz-copy-source") };
        let name = [source.bucket.as_str().as_bytes(), b"/", source.key.as_bytes()].concat();
        Value::Text(Cow::Owned(name)).into()
    }

    /// Whether the request makes an object, or only begins or adds to an upload.
    fn creates_object(&self) -> bool {
        use Operation as Op;
        !matches!(self.asker.operation, Op::CreateMultipartUpload | Op::UploadPart | Op::UploadPartCopy)
    }

    fn version(&self) -> Values<'_> {
        match self.wish.which {
            WhichVersion::Newest => Values::Absent,
            WhichVersion::Null => "null".into(),
            WhichVersion::Id(id) => Value::from(id.to_string()).into(),
        }
    }

    fn of_signature(&self, name: KeyName) -> Values<'_> {
        let Some(signed) = &self.asker.authenticated.signed else { return Values::Absent };
        match name {
            KeyName::AuthType => match signed.place {
                SignedIn::Header => "REST-HEADER".into(),
                SignedIn::Query => "REST-QUERY-STRING".into(),
                SignedIn::Form => "POST".into(),
            },
            KeyName::RequestedRegion => Values::optional(signed.region.as_deref()),
            KeyName::SignatureVersion => match signed.version {
                SignatureVersion::Two => "AWS".into(),
                SignatureVersion::Four => "AWS4-HMAC-SHA256".into(),
            },
            _ => {
                let age = self.now.seconds().saturating_sub(signed.at.seconds()).saturating_mul(1000);
                Value::Number(i64::try_from(age).unwrap_or(i64::MAX)).into()
            }
        }
    }
}

impl RequestContext for Context<'_> {
    fn values(&self, key: Key<'_>) -> Values<'_> {
        let connection = self.asker.connection;
        match key.name {
            KeyName::CurrentTime => Value::Time(self.now).into(),
            KeyName::EpochTime => Value::Number(i64::try_from(self.now.seconds()).unwrap_or(i64::MAX)).into(),
            KeyName::SourceIp => Value::Address(connection.peer.ip()).into(),
            KeyName::SecureTransport => Value::Bool(connection.is_tls).into(),
            KeyName::Referer => of_header(self.asker.sent, REFERER.as_str()),
            KeyName::UserAgent => of_header(self.asker.sent, USER_AGENT.as_str()),
            KeyName::VersionId => self.version(),
            KeyName::CopySource => self.copy_source(),
            KeyName::ObjectCreationOperation => Value::Bool(self.creates_object()).into(),
            KeyName::Prefix => self.parameter("prefix"),
            KeyName::Delimiter => self.parameter("delimiter"),
            KeyName::MaxKeys => self.number("max-keys"),
            KeyName::IfMatch => self.header("if-match"),
            KeyName::IfNoneMatch => self.header("if-none-match"),
            KeyName::AuthType | KeyName::SignatureVersion | KeyName::SignatureAge | KeyName::RequestedRegion => {
                self.of_signature(key.name)
            }
            KeyName::LocationConstraint => Values::optional(self.wish.location),
            KeyName::ObjectLockMode => Values::optional(self.wish.lock.mode().map(RetentionMode::name)),
            KeyName::ObjectLockLegalHold => Values::optional(self.wish.lock.hold.name()),
            KeyName::ObjectLockRetainUntilDate => {
                self.wish.lock.retention.map_or(Values::Absent, |retention| Value::Time(retention.until).into())
            }
            KeyName::ObjectLockRemainingRetentionDays => {
                let days = self.wish.lock.remaining_days(self.now);
                days.map_or(Values::Absent, |days| Value::Number(i64::try_from(days).unwrap_or(i64::MAX)).into())
            }
            KeyName::ExistingObjectTag => tag(&self.existing_tags, key.rest),
            KeyName::RequestObjectTag => tag(self.wish.tags, key.rest),
            KeyName::RequestObjectTagKeys => {
                Values::Many(self.wish.tags.iter().map(|(name, _)| name.as_str().into()).collect())
            }
            // `s3:x-amz-acl` and the like are headers.
            name => match name.as_str().strip_prefix("s3:") {
                Some(header) if header.starts_with("x-amz-") => self.header(header),
                _ => Values::Absent,
            },
        }
    }
}
