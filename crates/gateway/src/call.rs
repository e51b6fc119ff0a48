//! What an operation is given: one authenticated and authorized request.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Uri};
use objects::data::ExpectedDigests;
use objects::{BodyFacts, DocumentKind, Objects, ObjectsError, ShownVersion, WhichVersion};
use s3_wire::body::{BodyChecksum, ObjectBody};
use s3_wire::{ErrorCode, Operation, RequestHead, S3Error, VersionRef};
use sigv4::PayloadHash;
use types::{BucketName, ObjectKey, Owner};

use crate::authenticate::{Authenticated, still};
use crate::body::{Frames, RequestBody};
use crate::connection::Connection;
use crate::gateway::GatewayCore;
use crate::request_id::RequestId;
use crate::request_path::check_rights;
use crate::rights::{Asker, Wish};
use crate::store_error::to_s3;

/// One request on its way through its operation.
pub(crate) struct Call<'a> {
    pub(crate) core: &'a Arc<GatewayCore>,
    pub(crate) connection: &'a Arc<Connection>,
    pub(crate) id: RequestId,
    pub(crate) uri: &'a Uri,
    /// The headers as they were sent.
    pub(crate) sent: &'a HeaderMap,
    pub(crate) head: RequestHead<'a>,
    pub(crate) operation: Operation,
    pub(crate) authenticated: Authenticated,
    pub(crate) frames: &'a mut Frames,
}

impl<'a> Call<'a> {
    /// S3's operations.
    pub(crate) fn objects(&self) -> &'a Objects {
        &self.core.services.objects
    }

    /// The account that sent the request.
    ///
    /// # Errors
    /// `AccessDenied` for an anonymous one: nothing belongs to nobody.
    pub(crate) fn owner(&self) -> Result<&Owner, S3Error> {
        self.authenticated.caller.owner().ok_or_else(|| ErrorCode::AccessDenied.into())
    }

    /// Who will own what is written to a bucket: the account that has the bucket, whoever writes.
    ///
    /// # Errors
    /// `NoSuchBucket`.
    pub(crate) async fn owner_in(&self, bucket: &BucketName) -> Result<Owner, S3Error> {
        let found = self.objects().bucket(bucket).await;
        Ok(found.map_err(|error| self.refusal(error))?.owner)
    }

    /// Whether nobody signed the request.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.authenticated.caller.owner().is_none()
    }

    /// Asks for a right that the operation's own action doesn't cover.
    ///
    /// # Errors
    /// Those of [`Asker::may`].
    pub(crate) async fn may(&self, wish: Wish<'_>) -> Result<bool, S3Error> {
        self.asker().may(wish).await
    }

    /// The same as an error.
    ///
    /// # Errors
    /// `AccessDenied`, and those of [`Asker::may`].
    pub(crate) async fn demand(&self, wish: Wish<'_>) -> Result<(), S3Error> {
        self.asker().demand(wish).await
    }

    /// Who sent the request.
    pub(crate) fn asker(&self) -> Asker<'_> {
        Asker {
            core: self.core,
            connection: self.connection,
            operation: self.operation,
            head: &self.head,
            sent: self.sent,
            authenticated: &self.authenticated,
        }
    }

    /// What the request is aimed at, as the client would write it.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.connection.is_tls { "https" } else { "http" };
        let host = self.head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        format!("{scheme}://{host}{}", self.uri.path())
    }

    /// S3's words for what befell the operation.
    pub(crate) fn refusal(&self, error: ObjectsError) -> S3Error {
        to_s3(error)
    }

    /// S3's words for a read that found nothing: whoever may not list learns no more than that it is not for them.
    pub(crate) async fn read_refusal(&self, error: ObjectsError, bucket: &BucketName, key: &ObjectKey) -> S3Error {
        let tells_absence = matches!(error, ObjectsError::NoSuchKey { .. } | ObjectsError::NewestIsMarker { .. });
        if !tells_absence {
            return to_s3(error);
        }
        match self.asker().may_miss(bucket, key).await {
            Ok(true) => to_s3(error),
            Ok(false) => ErrorCode::AccessDenied.into(),
            Err(error) => error,
        }
    }

    /// The same of a copy's source.
    pub(crate) async fn copy_refusal(&self, error: ObjectsError, bucket: &BucketName, key: &ObjectKey) -> S3Error {
        match error {
            ObjectsError::NamedIsMarker { .. } => s3_wire::copy_object::source_is_marker(),
            error => self.read_refusal(error, bucket, key).await,
        }
    }

    /// What the head says of the body, as `objects` takes it.
    pub(crate) fn body_facts(&self, announced: &ObjectBody) -> BodyFacts {
        let integrity = &announced.integrity;
        let checksums = match &integrity.checksum {
            BodyChecksum::Value(checksum) => vec![checksum.clone()],
            BodyChecksum::None | BodyChecksum::Trailer(_) => Vec::new(),
        };
        BodyFacts {
            declared_bytes: announced.plain_bytes,
            expected: ExpectedDigests {
                md5: integrity.content_md5,
                payload_sha256: match self.authenticated.payload {
                    PayloadHash::Sha256(sha256) => Some(sha256),
                    _ => None,
                },
                checksums,
            },
            checksum: integrity.checksum.algorithm(),
        }
    }

    /// The body as `objects` takes it.
    ///
    /// # Errors
    /// Those of [`RequestBody::new`].
    pub(crate) fn object_body(&mut self, announced: &ObjectBody) -> Result<RequestBody<'_>, S3Error> {
        let signer = self.authenticated.chunks.take();
        RequestBody::new(self.frames, announced, signer, &self.core.services.workers)
    }

    /// The request's document: all of it, its digests compared. It may have been long on its way: whose the key is, and
    /// what they may, is asked again.
    ///
    /// # Errors
    /// Those of [`crate::document::gather`], of [`still`] and of [`check_rights`].
    pub(crate) async fn document(&mut self, bytes_max: usize) -> Result<Bytes, S3Error> {
        let document = crate::document::gather(self, bytes_max).await?;
        self.authenticated.caller = still(self.core, &self.authenticated.caller).await?;
        check_rights(&self.asker()).await?;
        Ok(document)
    }

    /// Whether the bucket has a policy, which may look at what an object is given.
    ///
    /// # Errors
    /// `NoSuchBucket`.
    pub(crate) async fn has_policy(&self, bucket: &BucketName) -> Result<bool, S3Error> {
        let documents = self.objects().bucket_documents(bucket).await;
        Ok(documents.map_err(|error| self.refusal(error))?.text(DocumentKind::Policy).is_some())
    }

    /// Refuses a request that nobody signed, in these words.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub(crate) fn refuse_anonymous(&self, words: &'static str) -> Result<(), S3Error> {
        if self.is_anonymous() { Err(S3Error::new(ErrorCode::AccessDenied).with_message(words)) } else { Ok(()) }
    }
}

/// Which version a request names; none is the newest.
pub(crate) fn which(version: Option<VersionRef>) -> WhichVersion {
    version.map_or(WhichVersion::Newest, named)
}

/// The version that a request names.
pub(crate) fn named(version: VersionRef) -> WhichVersion {
    match version {
        VersionRef::Null => WhichVersion::Null,
        VersionRef::Id(id) => WhichVersion::Id(id),
    }
}

/// The id of a version that was written: that of a null version stands in no answer.
pub(crate) fn shown_of_write(version: ShownVersion) -> Option<VersionRef> {
    match version {
        ShownVersion::Unversioned | ShownVersion::Null => None,
        ShownVersion::Id(id) => Some(VersionRef::Id(id)),
    }
}

/// A version's id as an answer shows it.
pub(crate) fn shown(version: ShownVersion) -> Option<VersionRef> {
    match version {
        ShownVersion::Unversioned => None,
        ShownVersion::Null => Some(VersionRef::Null),
        ShownVersion::Id(id) => Some(VersionRef::Id(id)),
    }
}
