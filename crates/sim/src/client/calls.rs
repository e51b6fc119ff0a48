//! S3's operations as clients ask for them, and what their answers come to.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use objects::data::WholeBody;
use objects::{
    BodyFacts, CreateBucketRequest, DeleteObjectRequest, DeletedObject, ETagCondition, GetObjectRequest, Objects,
    ObjectsError, PutObjectRequest, ReadConditions, Selection, VersioningStatus, WhichVersion, WriteConditions,
    WrittenVersion,
};
use parking_lot::Mutex;
use types::{AccountId, BucketName, CanonicalId, ETag, ObjectAttributes, ObjectKey, Owner};

use super::{BUCKET, versioned_bucket};
use crate::history::{Outcome, Subject};
use crate::values::{Values, value_of};

/// The only key of a bucket that comes and goes, or has versions.
const KEY_OF_BUCKET: &str = "only";

/// Makes the bucket that stays, and those with versions.
///
/// # Errors
/// [`ObjectsError`]: some may be made.
pub(crate) async fn make_buckets(gateway: &Objects, versioned: usize) -> Result<(), ObjectsError> {
    let versioned: Vec<String> = (0..versioned).map(versioned_bucket).collect();
    for name in versioned.iter().map(String::as_str).chain([BUCKET]) {
        let bucket = BucketName::new(name).expect("a valid name");
        match gateway.create_bucket(create(bucket.clone())).await {
            Ok(_) | Err(ObjectsError::BucketAlreadyOwnedByYou { .. }) => {}
            Err(error) => return Err(error),
        }
        if name != BUCKET {
            gateway.put_bucket_versioning(&bucket, VersioningStatus::Enabled).await?;
        }
    }
    Ok(())
}

pub(super) fn bucket_of(subject: &Subject) -> BucketName {
    let name = match subject {
        Subject::Key(_) => BUCKET,
        Subject::Bucket(name) | Subject::Versions(name) => name,
    };
    BucketName::new(name).expect("a valid name")
}

pub(super) fn key_of(subject: &Subject) -> ObjectKey {
    let name = match subject {
        Subject::Key(name) => name,
        Subject::Bucket(_) | Subject::Versions(_) => KEY_OF_BUCKET,
    };
    ObjectKey::new(name.as_bytes().to_vec()).expect("a valid key")
}

pub(super) fn owner() -> Owner {
    Owner { account: AccountId::ROOT, canonical_id: CanonicalId("c0ffee".into()), display_name: "root".into() }
}

pub(super) fn create(bucket: BucketName) -> CreateBucketRequest {
    CreateBucketRequest { bucket, owner: owner(), region: String::new(), object_lock: false }
}

pub(super) fn if_none_match() -> WriteConditions {
    WriteConditions { if_none_match: Some(ETagCondition::Any), ..WriteConditions::default() }
}

pub(super) fn if_match(tag: ETag) -> WriteConditions {
    WriteConditions { if_match: Some(ETagCondition::OneOf(vec![tag])), ..WriteConditions::default() }
}

pub(super) fn facts(body: &Bytes) -> BodyFacts {
    BodyFacts { declared_bytes: Some(body.len() as u64), ..BodyFacts::default() }
}

pub(super) async fn put(
    gateway: Objects,
    subject: &Subject,
    conditions: WriteConditions,
    body: Bytes,
) -> Result<WrittenVersion, ObjectsError> {
    let request = PutObjectRequest {
        bucket: bucket_of(subject),
        key: key_of(subject),
        attributes: ObjectAttributes::default(),
        owner: owner(),
        conditions,
        said: facts(&body),
    };
    gateway.put_object(request, &mut WholeBody::new(body)).await
}

/// Where bytes go that are of no PUT, and what is known of those that are.
#[derive(Clone)]
pub(super) struct Judge {
    pub(super) values: Values,
    pub(super) torn: Arc<Mutex<Vec<String>>>,
}

pub(super) async fn get(gateway: Objects, subject: &Subject, which: WhichVersion, judge: Judge) -> Outcome {
    let request = GetObjectRequest {
        bucket: bucket_of(subject),
        key: key_of(subject),
        which,
        conditions: ReadConditions::default(),
        selection: Selection::Whole,
    };
    let read = match gateway.get_object(request).await {
        Ok(read) => read,
        Err(error) => return outcome_of(Err(error)),
    };
    let (mut body, mut bytes) = (read.body, Vec::new());
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => {
                tracing::info!(?subject, %error, "a read broke off");
                return Outcome::Unknown;
            }
        }
    }
    match value_of(&bytes) {
        Some(value) if judge.values.with_tag(&read.selected.head.etag) == Some(value) => Outcome::Found(value),
        _ => {
            judge.torn.lock().push(format!("{subject:?} was read as {} bytes of no PUT", bytes.len()));
            Outcome::Unknown
        }
    }
}

pub(super) async fn delete(
    gateway: Objects,
    subject: &Subject,
    version: Option<WhichVersion>,
    conditions: WriteConditions,
) -> Result<DeletedObject, ObjectsError> {
    let request = DeleteObjectRequest {
        bucket: bucket_of(subject),
        key: key_of(subject),
        version,
        conditions,
        owner: owner(),
        bypass_governance: false,
    };
    gateway.delete_object(request).await
}

/// What an answer comes to where success is just that.
pub(super) fn outcome_of(answer: Result<Outcome, ObjectsError>) -> Outcome {
    match answer {
        Ok(outcome) => outcome,
        Err(
            ObjectsError::NoSuchKey { .. } | ObjectsError::NewestIsMarker { .. } | ObjectsError::NoSuchVersion { .. },
        ) => Outcome::Absent,
        Err(ObjectsError::PreconditionFailed { .. }) => Outcome::PreconditionFailed,
        Err(ObjectsError::NoSuchBucket { .. }) => Outcome::NoBucket,
        Err(ObjectsError::BucketAlreadyOwnedByYou { .. }) => Outcome::BucketExists,
        Err(ObjectsError::BucketNotEmpty { .. }) => Outcome::BucketNotEmpty,
        Err(error) => {
            tracing::debug!(%error, "an operation failed");
            Outcome::Unknown
        }
    }
}
