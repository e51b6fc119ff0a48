//! CopyObject.

use authz::Action;
use objects::{CopyMetadata, ReadConditions, Selection};
use s3_wire::copy_object::{CopiedAnswer, CopyObjectRequest, NewMetadata};
use s3_wire::{ErrorCode, S3Error};
use types::{AccountId, BucketName, ObjectAttributes};

use super::object_lock;
use crate::answer::{Answer, whole};
use crate::call::{Call, shown, shown_of_write, which};
use crate::conditions;
use crate::expiration::Expiring;
use crate::rights::Wish;

/// What AWS tells who did not sign.
pub(super) const REFUSED_TO_ANONYMOUS: &str = "Anonymous users cannot copy objects.  Please authenticate";

/// Copies an object of up to 5 GiB.
pub(crate) async fn copy_object(call: &Call<'_>) -> Result<Answer, S3Error> {
    call.refuse_anonymous(REFUSED_TO_ANONYMOUS)?;
    let request = CopyObjectRequest::parse(&call.head)?;
    check_source(call, &request.source, request.source_owner).await?;
    check_tags(call, &request).await?;
    let (retention, legal_hold) = (request.retention, request.legal_hold);
    let locks = ObjectAttributes { retention, legal_hold, ..ObjectAttributes::default() };
    object_lock::check_given(&call.asker(), &request.bucket, &request.key, &locks).await?;
    let owner = call.owner_in(&request.bucket).await?;
    let source_key = request.source.key.clone();
    let copied = call
        .objects()
        .copy_object(objects::CopyObjectRequest {
            source: objects::CopySource {
                bucket: request.source.bucket.clone(),
                key: request.source.key,
                which: which(request.source.version),
                conditions: conditions::of_read(request.source_conditions),
            },
            bucket: request.bucket.clone(),
            key: request.key.clone(),
            owner,
            conditions: conditions::of_write(request.conditions),
            metadata: request.metadata.map(|NewMetadata { headers, metadata }| CopyMetadata { headers, metadata }),
            website_redirect: request.website_redirect,
            tags: request.tags,
            storage_class: request.storage_class,
            checksum: request.checksum_algorithm,
            retention,
            legal_hold,
        })
        .await;
    let copied = match copied {
        Ok(copied) => copied,
        Err(error) => return Err(call.copy_refusal(error, &request.source.bucket, &source_key).await),
    };
    let answer = CopiedAnswer {
        etag: &copied.etag,
        modified: copied.modified,
        checksum: copied.checksum.as_ref(),
        version: shown_of_write(copied.version),
        source_version: shown(copied.source_version),
    };
    let mut answer = whole(answer.write());
    let (made, plain_bytes, tags) = (copied.modified, copied.plain_bytes, &copied.tags[..]);
    let object = Expiring { bucket: &request.bucket, key: &request.key, made, plain_bytes, tags };
    call.set_expiration(&object, answer.headers_mut()).await;
    Ok(answer)
}

/// Whether the caller may give the copy its tags: those of the request, or those that the source has, which must be theirs
/// to read, too.
async fn check_tags(call: &Call<'_>, request: &CopyObjectRequest) -> Result<(), S3Error> {
    let target = Wish::of_object(Action::PutObjectTagging, &request.bucket, &request.key);
    if let Some(tags) = &request.tags {
        return if tags.is_empty() { Ok(()) } else { call.demand(target.giving(tags)).await };
    }
    let source = &request.source;
    let wanted = objects::GetObjectRequest {
        bucket: source.bucket.clone(),
        key: source.key.clone(),
        which: which(source.version),
        conditions: ReadConditions::default(),
        selection: Selection::Whole,
    };
    let action = if source.version.is_some() { Action::GetObjectVersionTagging } else { Action::GetObjectTagging };
    let reading = Wish::of_object(action, &source.bucket, &source.key).of_version(wanted.which);
    if call.may(reading).await? && call.may(target).await? && !call.has_policy(&request.bucket).await? {
        return Ok(());
    }
    // A source that isn't there is told of by the copy.
    let Ok(found) = call.objects().head_object(wanted).await else { return Ok(()) };
    if found.head.attributes.tags.is_empty() {
        return Ok(());
    }
    call.demand(reading).await?;
    call.demand(target.giving(&found.head.attributes.tags)).await
}

/// Whether the caller may read a copy's source, and whether its bucket is whose they think it is.
pub(super) async fn check_source(
    call: &Call<'_>,
    source: &s3_wire::copy_source::CopySource,
    expected_owner: Option<AccountId>,
) -> Result<(), S3Error> {
    let action = if source.version.is_some() { Action::GetObjectVersion } else { Action::GetObject };
    let wish = Wish::of_object(action, &source.bucket, &source.key).of_version(which(source.version));
    call.demand(wish).await?;
    match expected_owner {
        Some(expected) => check_owner(call, &source.bucket, expected).await,
        None => Ok(()),
    }
}

async fn check_owner(call: &Call<'_>, bucket: &BucketName, expected: AccountId) -> Result<(), S3Error> {
    let found = call.objects().bucket(bucket).await.map_err(|error| call.refusal(error))?;
    if found.owner.account == expected { Ok(()) } else { Err(ErrorCode::AccessDenied.into()) }
}
