//! The way of every request, one step after the other.

use std::sync::Arc;
use std::time::Duration;

use authz::Action;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, SERVER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use s3_wire::conditions::refuse_conditions;
use s3_wire::head::hoisted_headers;
use s3_wire::{ErrorCode, ErrorContext, Level, Operation, Query, RequestHead, S3Error, Target, object_lock, tagging};

use crate::actions::action_of;
use crate::additions;
use crate::answer::{Answer, AnswerBody, Content, empty, whole};
use crate::authenticate::{Authenticated, authenticate};
use crate::body::Frames;
use crate::call::{Call, which};
use crate::compat::Compat;
use crate::connection::Connection;
use crate::gateway::GatewayCore;
use crate::health;
use crate::operations;
use crate::record::RequestRecord;
use crate::request_id::RequestId;
use crate::rights::{Asker, LockWish, Wish};
use crate::store_error::to_s3;

/// The value of the `Server` header.
pub(crate) const SERVER_NAME: &str = "Cairn";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
const HOST_ID: HeaderName = HeaderName::from_static("x-amz-id-2");

/// What is left of a body up to this size is read although nobody wants it, so that the connection can go on.
const SETTLE_BYTES_MAX: u64 = 64 << 10;

/// How long the answer waits for that: a client that sends its body only after an answer must get one.
const SETTLE_PATIENCE: Duration = Duration::from_millis(500);

/// Answers one request.
pub(crate) async fn respond(
    core: Arc<GatewayCore>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    // The head is within its limits, or the transport had refused it.
    let (head, incoming) = request.into_parts();
    // Its name, under which it is counted and logged.
    let id = core.request_ids.next();
    id.name().scope(answer_as(core, connection, head, incoming, id)).await
}

async fn answer_as(
    core: Arc<GatewayCore>,
    connection: Arc<Connection>,
    head: Parts,
    incoming: Incoming,
    id: RequestId,
) -> Response<AnswerBody> {
    let under_way = connection.activity.begin_request();
    let mut record = RequestRecord::begin(Arc::clone(&core.metrics), Arc::clone(&core.services.clock), id);
    if core.traces.is_watched() {
        record.trace(&core.traces, connection.peer, &head);
    }
    let (activity, share) = (Arc::clone(&connection.activity), Arc::clone(&core.read_share));
    let mut frames = Frames::new(incoming, activity, share, expects_continue(&head));
    // What it is aimed at.
    let target = Target::parse(host(&head), head.uri.path(), &core.bases);
    // Everything that can be refused.
    let mut answer = match serve(&core, &connection, id, &head, target.as_ref(), &mut frames, &mut record).await {
        Ok(answer) => answer,
        Err(error) => refuse(&core, id, &head, &core.settings.compat.words_of(error)),
    };
    // What the bucket says on all its answers.
    additions::add(&core, target.as_ref().ok(), &head, &mut answer).await;
    // What is left of the body: without `Connection: close` the client would take a closed connection for a broken one.
    let goes_on = frames.settle(SETTLE_BYTES_MAX, SETTLE_PATIENCE).await;
    record.received_bytes = frames.received_bytes();
    finish(&core, id, &head, answer, goes_on, |content, status| {
        record.status = status;
        AnswerBody::new(content, record, under_way)
    })
}

/// From the head to the operation's answer.
async fn serve(
    core: &Arc<GatewayCore>,
    connection: &Arc<Connection>,
    id: RequestId,
    head: &Parts,
    target: Result<&Target, &S3Error>,
    frames: &mut Frames,
    record: &mut RequestRecord,
) -> Result<Answer, S3Error> {
    let target = target.map_err(S3Error::clone)?;
    // The health pages are no S3; in a bucket that the host names, their paths are keys like others.
    if !target.is_virtual_host()
        && let Some(page) = health::answer(&head.method, head.uri.path(), &core.services.readiness)
    {
        return Ok(whole(page));
    }
    let query = Query::parse(head.uri.query())?;
    // Which operation it is.
    let hoisted = hoisted_headers(&head.headers, &query);
    let headers = hoisted.as_ref().unwrap_or(&head.headers);
    let wire_head = RequestHead { method: &head.method, target, query: &query, headers };
    let operation = wire_head.operation()?;
    record.operation = Some(operation);
    // Who sent it, and whether they may; a form says so in its fields.
    let authenticated = match operation {
        Operation::PostObject => Authenticated::nobody(),
        _ => authenticate(core, head, target).await?,
    };
    if operation != Operation::PostObject {
        let sent = &head.headers;
        let asker = Asker { core, connection, operation, head: &wire_head, sent, authenticated: &authenticated };
        check_rights(&asker).await?;
    }
    // Whether the bucket is whose they think it is.
    check_owner(core, &wire_head, operation).await?;
    // What most writes can't be asked for is not passed over.
    refuse_conditions(operation, &wire_head, core.settings.compat.write_conditions())?;
    // Parse, handle, write: each operation in its own file.
    let (uri, sent) = (&head.uri, &head.headers);
    let mut call = Call { core, connection, id, uri, sent, head: wire_head, operation, authenticated, frames };
    operations::perform(&mut call).await
}

/// The request's host: of an absolute target, else of the header.
fn host(head: &Parts) -> Option<&str> {
    match head.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => head.headers.get(HOST).and_then(|value| value.to_str().ok()),
    }
}

fn expects_continue(head: &Parts) -> bool {
    head.headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Asks `authz`.
///
/// # Errors
/// `AccessDenied`, `NoSuchBucket`; `MethodNotAllowed` for a bucket's policy of another account.
pub(crate) async fn check_rights(asker: &Asker<'_>) -> Result<(), S3Error> {
    let (head, operation) = (asker.head, asker.operation);
    let Some(action) = action_of(operation, head.query.has("versionId")) else { return Ok(()) };
    // What is in the body is asked about then; whoever did not sign sends none for nothing.
    let asks_later = matches!(
        operation,
        Operation::CreateBucket
            | Operation::DeleteObjects
            | Operation::PutObjectTagging
            | Operation::PutObjectLockConfiguration
            | Operation::PutObjectRetention
            | Operation::PutObjectLegalHold
    );
    if asks_later && asker.authenticated.signed.is_some() {
        return Ok(());
    }
    // RGW: nobody has no buckets, and may know it.
    if operation == Operation::ListBuckets
        && asker.core.settings.compat == Compat::Rgw
        && asker.authenticated.is_nobody()
    {
        return Ok(());
    }
    let bucket = match operation.level() {
        Level::Service => None,
        Level::Bucket | Level::Object => Some(head.bucket()?),
    };
    let key = match operation.level() {
        Level::Object => Some(head.key()?),
        Level::Service | Level::Bucket => None,
    };
    // What is no version is refused by the operation.
    let which = which(head.version().ok().flatten().filter(|_| key.is_some()));
    let tags = given_tags(head, operation);
    let lock = given_lock(head, operation);
    let (bucket_named, location) = (bucket.as_ref(), None);
    asker.demand(Wish { action, bucket: bucket_named, key: key.as_ref(), which, tags: &tags, location, lock }).await?;
    // S3 lets no other account near a policy, whatever the policy says.
    let is_of_policy = matches!(action, Action::GetBucketPolicy | Action::PutBucketPolicy | Action::DeleteBucketPolicy);
    match bucket.filter(|_| is_of_policy) {
        Some(bucket) if !asker.is_of_account(&bucket).await? => Err(ErrorCode::MethodNotAllowed.into()),
        _ => Ok(()),
    }
}

/// The tags that the head gives the object. What is no list of tags is refused by the operation.
fn given_tags(head: &RequestHead<'_>, operation: Operation) -> Vec<(String, String)> {
    let replaces =
        || head.headers.get("x-amz-tagging-directive").is_some_and(|value| value.as_bytes().trim_ascii() == b"REPLACE");
    let gives = match operation {
        Operation::PutObject | Operation::CreateMultipartUpload => true,
        Operation::CopyObject => replaces(),
        _ => false,
    };
    let header = head.header("x-amz-tagging").ok().flatten().filter(|_| gives);
    header.and_then(|text| tagging::parse_header(text).ok()).unwrap_or_default()
}

/// What is to hold the object, as the head says. What is no such thing is refused by the operation.
fn given_lock(head: &RequestHead<'_>, operation: Operation) -> LockWish {
    let gives = matches!(operation, Operation::PutObject | Operation::CreateMultipartUpload | Operation::CopyObject);
    let given = gives.then(|| object_lock::parse(head).ok()).flatten();
    given.map_or(LockWish::default(), |(retention, hold)| LockWish { retention, hold, ..LockWish::default() })
}

/// Compares `x-amz-expected-bucket-owner`.
async fn check_owner(core: &GatewayCore, head: &RequestHead<'_>, operation: Operation) -> Result<(), S3Error> {
    let Some(expected) = head.expected_bucket_owner()? else { return Ok(()) };
    // A bucket that is to be created has no owner yet.
    if operation.level() == Level::Service || operation == Operation::CreateBucket {
        return Ok(());
    }
    let found = core.services.objects.bucket(&head.bucket()?).await.map_err(to_s3)?;
    if found.owner.account == expected { Ok(()) } else { Err(ErrorCode::AccessDenied.into()) }
}

/// The answer to a request that was refused.
fn refuse(core: &GatewayCore, id: RequestId, head: &Parts, error: &S3Error) -> Answer {
    if error.status().is_server_error() {
        tracing::warn!(code = error.code().as_str(), "request failed");
    }
    let host_id = core.request_ids.host().as_str();
    let context = ErrorContext { resource: head.uri.path(), request_id: id.as_str(), host_id };
    whole(error.response(&context))
}

/// Puts on the answer what all answers have.
fn finish(
    core: &GatewayCore,
    id: RequestId,
    head: &Parts,
    answer: Answer,
    goes_on: bool,
    body: impl FnOnce(Content, http::StatusCode) -> AnswerBody,
) -> Response<AnswerBody> {
    let (mut parts, mut content) = answer.into_parts();
    parts.headers.insert(REQUEST_ID, id.header());
    parts.headers.insert(HOST_ID, core.request_ids.host().header());
    parts.headers.insert(SERVER, HeaderValue::from_static(SERVER_NAME));
    if !goes_on {
        parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if head.method == Method::HEAD {
        if matches!(&content, Content::Whole(bytes) if !bytes.is_empty()) {
            // The length of an error's body is no length of the object.
            parts.headers.remove(CONTENT_LENGTH);
        }
        content = empty();
    }
    let body = body(content, parts.status);
    Response::from_parts(parts, body)
}
