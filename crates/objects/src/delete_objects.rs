//! DeleteObjects.

use std::collections::HashMap;

use futures::stream::{self, StreamExt};
use types::{BucketName, ObjectKey, Owner};

use crate::{DeleteObjectRequest, DeletedObject, Objects, ObjectsError, WhichVersion, WriteConditions};

/// Deletes of one request that are under way at once: enough for one commit to take many.
const AT_ONCE_MAX: usize = 128;

/// Deletes up to 1,000 objects or versions.
#[derive(Debug, Clone)]
pub struct DeleteObjectsRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// What to delete, each on its own.
    pub entries: Vec<DeleteEntry>,
    /// Who will own markers.
    pub owner: Owner,
    /// Whether retention in governance mode may be passed over.
    pub bypass_governance: bool,
}

/// One object or version to delete.
#[derive(Debug, Clone)]
pub struct DeleteEntry {
    /// The key.
    pub key: ObjectKey,
    /// Which version to remove for good.
    pub version: Option<WhichVersion>,
    /// What must hold at commit.
    pub conditions: WriteConditions,
}

impl Objects {
    /// Deletes each entry; one answer for each, in the order of the request. Entries of one key take effect in that
    /// order, others at once.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`]; what befalls single entries is in their answers.
    pub async fn delete_objects(
        &self,
        request: DeleteObjectsRequest,
    ) -> Result<Vec<Result<DeletedObject, ObjectsError>>, ObjectsError> {
        self.buckets().resolve_anew(self.index(), &request.bucket).await?;
        let DeleteObjectsRequest { bucket, entries, owner, bypass_governance } = request;
        let mut by_key: HashMap<ObjectKey, Vec<(usize, DeleteObjectRequest)>> = HashMap::with_capacity(entries.len());
        let count = entries.len();
        for (place, DeleteEntry { key, version, conditions }) in entries.into_iter().enumerate() {
            let (bucket, owner) = (bucket.clone(), owner.clone());
            let delete =
                DeleteObjectRequest { bucket, key: key.clone(), version, conditions, owner, bypass_governance };
            by_key.entry(key).or_default().push((place, delete));
        }
        let one_key = |deletes: Vec<(usize, DeleteObjectRequest)>| async move {
            let mut answers = Vec::with_capacity(deletes.len());
            for (place, delete) in deletes {
                answers.push((place, self.delete_object(delete).await));
            }
            answers
        };
        let mut all = stream::iter(by_key.into_values().map(one_key)).buffer_unordered(AT_ONCE_MAX);
        let mut answers: Vec<Option<Result<DeletedObject, ObjectsError>>> = Vec::new();
        answers.resize_with(count, || None);
        while let Some(of_key) = all.next().await {
            for (place, answer) in of_key {
                answers[place] = Some(answer);
            }
        }
        Ok(answers.into_iter().map(|answer| answer.expect("each entry was answered")).collect())
    }
}
