//! DeleteObjects.

use authz::Action;
use objects::{DeleteEntry, DeletedObject, ObjectsError, WhichVersion};
use s3_wire::delete_object::Deleted;
use s3_wire::delete_objects::{DeleteObjectsRequest, DeleteOutcome, ObjectToDelete, Refused, answer};
use s3_wire::{ErrorCode, S3Error};
use types::BucketName;

use super::delete_object::{Absent, told};
use crate::answer::{Answer, whole};
use crate::call::{Call, named};
use crate::compat::Compat;
use crate::conditions;
use crate::rights::Wish;

/// Deletes up to 1,000 objects or versions, each on its own.
pub(crate) async fn delete_objects(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    DeleteObjectsRequest::integrity(&call.head)?;
    let document = call.document(bytes_max).await?;
    let DeleteObjectsRequest { bucket, objects: mut wanted, quiet, bypass_governance } =
        DeleteObjectsRequest::parse(&call.head, &document)?;
    let (compat, mut bypass_governance) = (call.core.settings.compat, bypass_governance);
    for (number, entry) in wanted.iter_mut().enumerate() {
        if number % 32 == 31 {
            // A policy may take its time for each.
            tokio::task::yield_now().await;
        }
        let Ok(object) = entry else { continue };
        if object.version.is_some() && !object.conditions.is_empty() && compat == Compat::Aws {
            *entry = Err(refused(object, S3Error::header_not_implemented("ETag")));
        } else if !may_delete(call, &bucket, object).await? {
            *entry = Err(refused(object, ErrorCode::AccessDenied.into()));
        } else if bypass_governance {
            // For all of them or none.
            bypass_governance =
                call.may(Wish::of_object(Action::BypassGovernanceRetention, &bucket, &object.key)).await?;
        }
    }
    let request = objects::DeleteObjectsRequest {
        bucket: bucket.clone(),
        entries: wanted.iter().flatten().map(entry_of).collect(),
        owner: call.owner_in(&bucket).await?,
        bypass_governance,
    };
    let answers = call.objects().delete_objects(request).await.map_err(|error| call.refusal(error))?;
    let mut answers = answers.into_iter();
    let mut outcomes = Vec::with_capacity(wanted.len());
    for entry in wanted {
        outcomes.push(match entry {
            Err(refused) => DeleteOutcome::Refused(refused),
            Ok(entry) => {
                let deleted = answers.next().expect("there is an answer to each entry");
                outcome(call, &bucket, entry, deleted).await
            }
        });
    }
    Ok(whole(answer(&outcomes, quiet)))
}

async fn outcome(
    call: &Call<'_>,
    bucket: &BucketName,
    entry: ObjectToDelete,
    deleted: Result<DeletedObject, ObjectsError>,
) -> DeleteOutcome {
    let error = match deleted {
        Ok(deleted) => {
            return DeleteOutcome::Deleted { deleted: told(&deleted), key: entry.key, named: entry.version };
        }
        Err(error) => error,
    };
    let conditions = entry.conditions.clone();
    if conditions.is_empty() {
        return DeleteOutcome::Refused(refused(&entry, call.refusal(error)));
    }
    let absent = Absent { bucket: bucket.clone(), key: entry.key.clone(), conditions };
    match absent.forgiven(call, error).await {
        Ok(()) => DeleteOutcome::Deleted { deleted: Deleted::default(), key: entry.key, named: entry.version },
        Err(error) => DeleteOutcome::Refused(refused(&entry, error)),
    }
}

async fn may_delete(call: &Call<'_>, bucket: &BucketName, object: &ObjectToDelete) -> Result<bool, S3Error> {
    let action = if object.version.is_some() { Action::DeleteObjectVersion } else { Action::DeleteObject };
    let which = object.version.map_or(WhichVersion::Newest, named);
    call.may(Wish::of_object(action, bucket, &object.key).of_version(which)).await
}

fn refused(entry: &ObjectToDelete, error: S3Error) -> Refused {
    Refused {
        key: entry.key.as_bytes().to_vec().into(),
        version: entry.version.map(|version| version.to_string()),
        error,
    }
}

fn entry_of(entry: &ObjectToDelete) -> DeleteEntry {
    DeleteEntry {
        key: entry.key.clone(),
        version: entry.version.map(named),
        conditions: conditions::of_write(entry.conditions.clone()),
    }
}
