//! What an operation is given: one authenticated and authorized request.

use std::sync::Arc;

use authz::{Action, Resource, authorize};
use bytes::Bytes;
use http::Uri;
use objects::data::ExpectedDigests;
use objects::{BodyFacts, Objects, ObjectsError, ShownVersion, WhichVersion};
use s3_wire::body::{BodyChecksum, ObjectBody};
use s3_wire::{ErrorCode, Operation, RequestHead, S3Error, VersionRef};
use sigv4::PayloadHash;
use types::{BucketName, ObjectKey, Owner};

use crate::authenticate::Authenticated;
use crate::body::{Frames, RequestBody};
use crate::connection::Connection;
use crate::gateway::GatewayCore;
use crate::request_id::RequestId;
use crate::store_error::to_s3;

/// One request on its way through its operation.
pub(crate) struct Call<'a> {
    pub(crate) core: &'a Arc<GatewayCore>,
    pub(crate) connection: &'a Arc<Connection>,
    pub(crate) id: RequestId,
    pub(crate) uri: &'a Uri,
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

    /// Whether nobody signed the request.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.authenticated.caller.owner().is_none()
    }

    /// Asks for a right that the operation's own action doesn't cover.
    pub(crate) fn may(&self, action: Action, bucket: &BucketName, key: Option<&ObjectKey>) -> bool {
        let resource = match key {
            Some(key) => Resource::Object { bucket, key },
            None => Resource::Bucket(bucket),
        };
        authorize(&self.authenticated.caller.principal(), action, &resource).allowed
    }

    /// The same as an error.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub(crate) fn demand(&self, action: Action, bucket: &BucketName, key: Option<&ObjectKey>) -> Result<(), S3Error> {
        if self.may(action, bucket, key) { Ok(()) } else { Err(ErrorCode::AccessDenied.into()) }
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
    pub(crate) fn read_refusal(&self, error: ObjectsError, bucket: &BucketName) -> S3Error {
        let tells_absence = matches!(error, ObjectsError::NoSuchKey { .. } | ObjectsError::NewestIsMarker { .. });
        if tells_absence && !self.may(Action::ListBucket, bucket, None) {
            return ErrorCode::AccessDenied.into();
        }
        to_s3(error)
    }

    /// The same of a copy's source.
    pub(crate) fn copy_refusal(&self, error: ObjectsError, source: &BucketName) -> S3Error {
        match error {
            ObjectsError::NamedIsMarker { .. } => s3_wire::copy_object::source_is_marker(),
            error => self.read_refusal(error, source),
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

    /// The request's document: all of it, its digests compared.
    ///
    /// # Errors
    /// Those of [`crate::document::gather`].
    pub(crate) async fn document(&mut self, bytes_max: usize) -> Result<Bytes, S3Error> {
        crate::document::gather(self, bytes_max).await
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

/// A version's id as an answer shows it.
pub(crate) fn shown(version: ShownVersion) -> Option<VersionRef> {
    match version {
        ShownVersion::Unversioned => None,
        ShownVersion::Null => Some(VersionRef::Null),
        ShownVersion::Id(id) => Some(VersionRef::Id(id)),
    }
}
