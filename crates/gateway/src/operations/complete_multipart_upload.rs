//! CompleteMultipartUpload.
//!
//! Putting ten thousand parts together may take longer than a client waits for a first byte. So the operation goes on
//! by itself: if it has not ended in time, 200 is answered, then white space, and at last the document, which may be an
//! error's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use objects::{NamedPart, ObjectsError, WrittenVersion};
use s3_wire::complete_multipart_upload::{
    CompleteMultipartUploadRequest, CompletedAnswer, KEEP_ALIVE_PROLOGUE, NamedPart as WirePart,
};
use s3_wire::xml::XmlWriter;
use s3_wire::{ErrorContext, S3Error};
use tokio::task::JoinHandle;
use types::{BucketName, ObjectKey};

use crate::answer::{Answer, AwaitedDocument, Content, whole};
use crate::call::{Call, shown_of_write};
use crate::compat::Compat;
use crate::conditions;
use crate::expiration::Expiring;
use crate::gateway::GatewayCore;
use crate::request_id::RequestId;
use crate::store_error::to_s3;

/// How often white space is sent.
const SPACE_PERIOD: Duration = Duration::from_secs(5);

/// Makes an upload an object.
pub(crate) async fn complete_multipart_upload(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    let request = CompleteMultipartUploadRequest::parse(&call.head, &document)?;
    let about = About {
        core: Arc::clone(call.core),
        id: call.id,
        path: call.uri.path().to_owned(),
        location: call.url(),
        bucket: request.bucket.clone(),
        key: request.key.clone(),
    };
    let objects = call.objects().clone();
    // A task of its own: a client that goes away meanwhile leaves no upload half completed.
    let request = translate(request, call.core.settings.compat);
    let completing = async move { objects.complete_multipart_upload(request).await };
    let mut completing = tokio::spawn(call.id.name().scope(completing));
    match tokio::time::timeout(call.core.settings.complete_patience, &mut completing).await {
        Ok(done) => match joined(done) {
            Ok(written) => {
                let mut answer = whole(about.answer(&written).write());
                let (made, plain_bytes, tags) = (written.modified, written.plain_bytes, &written.tags[..]);
                let object = Expiring { bucket: &about.bucket, key: &about.key, made, plain_bytes, tags };
                call.set_expiration(&object, answer.headers_mut()).await;
                Ok(answer)
            }
            Err(error) => Err(call.refusal(error)),
        },
        Err(_) => Ok(awaited(about, completing)),
    }
}

/// What the answer says beside the outcome.
struct About {
    core: Arc<GatewayCore>,
    id: RequestId,
    path: String,
    location: String,
    bucket: BucketName,
    key: ObjectKey,
}

impl About {
    fn answer<'a>(&'a self, written: &'a WrittenVersion) -> CompletedAnswer<'a> {
        CompletedAnswer {
            location: &self.location,
            bucket: &self.bucket,
            key: &self.key,
            etag: &written.etag,
            checksum: written.checksum.as_ref(),
            version: shown_of_write(written.version),
        }
    }

    /// The document of an answer that has begun already.
    fn rest(&self, outcome: Result<WrittenVersion, ObjectsError>) -> Bytes {
        let mut xml = XmlWriter::fragment();
        match outcome {
            Ok(written) => self.answer(&written).write_element(&mut xml),
            Err(error) => {
                let host_id = self.core.request_ids.host().as_str();
                let context = ErrorContext { resource: &self.path, request_id: self.id.as_str(), host_id };
                to_s3(error).write_element(&mut xml, &context);
            }
        }
        xml.finish()
    }
}

fn awaited(about: About, completing: JoinHandle<Result<WrittenVersion, ObjectsError>>) -> Answer {
    let rest = async move { about.rest(joined(completing.await)) };
    let opening = Bytes::from_static(KEEP_ALIVE_PROLOGUE.as_bytes());
    let document = AwaitedDocument::new(opening, rest.boxed(), SPACE_PERIOD);
    let mut answer = Response::new(Content::Awaited(document));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}

/// A panic in the operation is an error like others: the connection's other requests have no part in it.
fn joined(
    done: Result<Result<WrittenVersion, ObjectsError>, tokio::task::JoinError>,
) -> Result<WrittenVersion, ObjectsError> {
    done.unwrap_or_else(|error| {
        let reason = format!("the operation broke off: {error}");
        Err(ObjectsError::Unavailable { reason, outcome_unknown: true })
    })
}

fn translate(mut request: CompleteMultipartUploadRequest, compat: Compat) -> objects::CompleteMultipartUploadRequest {
    // RGW: of a part that is named several times in a row the last counts.
    if compat == Compat::Rgw {
        request.parts.reverse();
        request.parts.dedup_by_key(|part| part.number);
        request.parts.reverse();
    }
    let part = |part: WirePart| NamedPart {
        number: part.number,
        etag: part.etag,
        checksums: part.checksum.into_iter().collect(),
    };
    objects::CompleteMultipartUploadRequest {
        bucket: request.bucket,
        key: request.key,
        upload: request.upload,
        parts: request.parts.into_iter().map(part).collect(),
        conditions: conditions::of_write(request.conditions),
        checksum: request.checksum,
        checksum_type: request.checksum_type,
        object_bytes: request.object_bytes,
        needs_part_checksums: compat == Compat::Aws,
    }
}
