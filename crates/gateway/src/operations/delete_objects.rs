//! DeleteObjects.

use authz::Action;
use objects::DeleteEntry;
use s3_wire::delete_objects::{DeleteObjectsRequest, DeleteOutcome, ObjectToDelete, Refused, answer};
use s3_wire::{ErrorCode, S3Error};
use types::BucketName;

use super::delete_object::told;
use crate::answer::{Answer, whole};
use crate::call::{Call, named};
use crate::conditions;

/// Deletes up to 1,000 objects or versions, each on its own.
pub(crate) async fn delete_objects(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    DeleteObjectsRequest::integrity(&call.head)?;
    let document = call.document(bytes_max).await?;
    let DeleteObjectsRequest { bucket, objects: mut wanted, quiet, bypass_governance } =
        DeleteObjectsRequest::parse(&call.head, &document)?;
    for entry in &mut wanted {
        if let Ok(object) = entry
            && !may_delete(call, &bucket, object)
        {
            *entry = Err(refused(object, ErrorCode::AccessDenied.into()));
        }
    }
    let request = objects::DeleteObjectsRequest {
        bucket: bucket.clone(),
        entries: wanted.iter().flatten().map(entry_of).collect(),
        owner: call.owner()?.clone(),
        bypass_governance: bypass_governance && call.may(Action::BypassGovernanceRetention, &bucket, None),
    };
    let answers = call.objects().delete_objects(request).await.map_err(|error| call.refusal(error))?;
    let mut answers = answers.into_iter();
    let outcomes: Vec<_> = wanted
        .into_iter()
        .map(|entry| match entry {
            Err(refused) => DeleteOutcome::Refused(refused),
            Ok(entry) => match answers.next().expect("there is an answer to each entry") {
                Ok(deleted) => DeleteOutcome::Deleted { deleted: told(&deleted), key: entry.key, named: entry.version },
                Err(error) => DeleteOutcome::Refused(refused(&entry, call.refusal(error))),
            },
        })
        .collect();
    Ok(whole(answer(&outcomes, quiet)))
}

fn may_delete(call: &Call<'_>, bucket: &BucketName, object: &ObjectToDelete) -> bool {
    let action = if object.version.is_some() { Action::DeleteObjectVersion } else { Action::DeleteObject };
    call.may(action, bucket, Some(&object.key))
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
