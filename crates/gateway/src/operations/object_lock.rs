//! What operations share that give, or show, what holds a version.

use authz::Action;
use objects::{GetObjectRequest, ReadConditions, Selection};
use s3_wire::{S3Error, object_lock};
use types::{BucketName, LegalHold, ObjectAttributes, ObjectKey};

use crate::call::{Call, which};
use crate::rights::{Asker, LockWish, Wish};

/// Whether whoever makes a version with these attributes may give it what holds it, and it is not over already.
///
/// # Errors
/// `InvalidArgument`, `AccessDenied`.
pub(super) async fn check_given(
    asker: &Asker<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
    attributes: &ObjectAttributes,
) -> Result<(), S3Error> {
    if !attributes.names_lock() {
        return Ok(());
    }
    if asker.authenticated.signed.is_none() {
        return Err(object_lock::refused_to_anonymous());
    }
    object_lock::check_until(attributes, asker.core.services.clock.now())?;
    let lock = LockWish::of(attributes);
    if attributes.retention.is_some() {
        asker.demand(Wish::of_object(Action::PutObjectRetention, bucket, key).locking(lock)).await?;
    }
    if attributes.legal_hold != LegalHold::Unset {
        asker.demand(Wish::of_object(Action::PutObjectLegalHold, bucket, key).locking(lock)).await?;
    }
    Ok(())
}

/// Leaves of what is shown only what the caller may know.
///
/// # Errors
/// Those of [`Asker::may`].
pub(super) async fn hide_unknowable(call: &Call<'_>, attributes: &mut ObjectAttributes) -> Result<(), S3Error> {
    if !attributes.names_lock() {
        return Ok(());
    }
    let (bucket, key, which) = (call.head.bucket()?, call.head.key()?, which(call.head.version()?));
    let may = async |action| call.may(Wish::of_object(action, &bucket, &key).of_version(which)).await;
    if attributes.retention.is_some() && !may(Action::GetObjectRetention).await? {
        attributes.retention = None;
    }
    if attributes.legal_hold != LegalHold::Unset && !may(Action::GetObjectLegalHold).await? {
        attributes.legal_hold = LegalHold::Unset;
    }
    Ok(())
}

/// The version that a request names, of a bucket with object lock.
///
/// # Errors
/// `InvalidRequest` where the bucket has none; those of reads.
pub(super) async fn attributes_of_lockable(call: &Call<'_>) -> Result<ObjectAttributes, S3Error> {
    let (bucket, key) = (call.head.bucket()?, call.head.key()?);
    let request = GetObjectRequest {
        bucket: bucket.clone(),
        key: key.clone(),
        which: which(call.head.version()?),
        conditions: ReadConditions::default(),
        selection: Selection::Whole,
    };
    let found = match call.objects().head_object(request).await {
        Ok(found) => found.head.attributes,
        Err(error) => return Err(call.read_refusal(error, &bucket, &key).await),
    };
    let object_lock = call.objects().get_object_lock_configuration(&bucket).await;
    if object_lock.map_err(|error| call.refusal(error))?.is_on() {
        Ok(found)
    } else {
        Err(object_lock::no_configuration())
    }
}
