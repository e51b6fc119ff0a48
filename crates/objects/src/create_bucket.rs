//! CreateBucket.

use index::command::{BucketConfig, BucketRecord, BucketRecordState};
use index::{Answer, CommandBody, Refusal};
use types::{BucketId, BucketName, Namespace, ObjectLock, Owner, Versioning};

use crate::changes::Finished;
use crate::commit::unexpected;
use crate::{Bucket, Objects, ObjectsError};

/// Makes a bucket.
#[derive(Debug, Clone)]
pub struct CreateBucketRequest {
    /// Its name.
    pub bucket: BucketName,
    /// Who will own it.
    pub owner: Owner,
    /// The LocationConstraint; empty is us-east-1. Any is kept and answered.
    pub region: String,
    /// Whether object lock is on from the start; versioning is then enabled, too.
    pub object_lock: bool,
}

impl Objects {
    /// Makes a bucket, without versioning unless object lock asks for it.
    ///
    /// # Errors
    /// [`ObjectsError::BucketAlreadyOwnedByYou`], [`ObjectsError::BucketAlreadyExists`],
    /// [`ObjectsError::BucketBusy`] while another request makes or deletes it.
    pub async fn create_bucket(&self, request: CreateBucketRequest) -> Result<Bucket, ObjectsError> {
        let objects = self.clone();
        Finished::new(async move { objects.make_bucket(request).await }).await
    }

    /// Reserves the name, makes the bucket's row, publishes the name. What is left unfinished in between is undone by
    /// [`Objects::finish_unfinished_buckets`].
    async fn make_bucket(&self, request: CreateBucketRequest) -> Result<Bucket, ObjectsError> {
        let mut transfer = self.begin();
        let token = self.entropy().id();
        let CreateBucketRequest { bucket: name, owner, region, object_lock } = request;
        let record = BucketRecord {
            id: BucketId::default(),
            namespace: Namespace::default(),
            name: name.clone(),
            owner: owner.clone(),
            region,
            created: self.clock().now(),
            state: BucketRecordState::Creating { token },
        };
        let busy = || ObjectsError::BucketBusy { bucket: name.clone() };

        let reserve = CommandBody::ReserveBucket { record: Box::new(record.clone()), token };
        let id = match self.commit_bare(&mut transfer, &reserve).await? {
            Answer::BucketReserved(id) => id,
            Answer::Refused(Refusal::BucketExists(standing)) => return Err(error_of_standing(*standing, &owner)),
            Answer::Refused(Refusal::BucketBusy) => return Err(busy()),
            Answer::Refused(Refusal::Identity(_)) => return Err(ObjectsError::NoSuchAccount),
            other => return Err(unexpected("reserving a bucket's name", &other)),
        };
        let (versioning, object_lock) =
            if object_lock { (Versioning::Enabled, ObjectLock::On) } else { (Versioning::Off, ObjectLock::Off) };
        let make_row = CommandBody::CreateBucketRow { id, config: BucketConfig { versioning, object_lock } };
        match self.commit_bare(&mut transfer, &make_row).await? {
            Answer::BucketRow(_) => {}
            Answer::Refused(refusal @ Refusal::FeatureLevel { .. }) => return Err(ObjectsError::of_level(&refusal)),
            other => return Err(unexpected("making a bucket's row", &other)),
        }
        match self.commit_bare(&mut transfer, &CommandBody::PublishBucket { id, token }).await? {
            Answer::Done => {}
            // Somebody took the creation for forgotten and undid it; the row may have been made after that.
            Answer::Refused(Refusal::NoSuchBucket | Refusal::BucketBusy) => {
                self.drop_bucket_row(&mut transfer, id).await?;
                return Err(busy());
            }
            other => return Err(unexpected("publishing a bucket", &other)),
        }
        self.buckets().forget(&name);
        Ok(Bucket::from(BucketRecord { id, ..record }))
    }
}

fn error_of_standing(standing: BucketRecord, owner: &Owner) -> ObjectsError {
    let bucket = standing.name;
    match standing.state {
        BucketRecordState::Creating { .. } | BucketRecordState::Deleting { .. } => ObjectsError::BucketBusy { bucket },
        BucketRecordState::Live if standing.owner.account == owner.account => {
            ObjectsError::BucketAlreadyOwnedByYou { bucket }
        }
        BucketRecordState::Live => ObjectsError::BucketAlreadyExists { bucket },
    }
}
