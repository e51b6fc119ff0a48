//! The feature level: what the whole cluster is known to read (docs/decisions/0012-feature-level.md).
//!
//! A build knows all levels up to [`FEATURE_LEVEL`]. It proposes, and so writes, nothing above the cluster's level, and
//! it applies nothing of a cluster whose level is above its own: it would have to guess what others agreed on.

use types::{CommitStamp, FeatureLevel};

use crate::command::CommandBody;
use crate::query::{AccessKeyAnswer, Query, QueryAnswer};

/// The newest level that this build knows.
pub const FEATURE_LEVEL: FeatureLevel = FeatureLevel(if cfg!(feature = "next-level") { 4 } else { 3 });

/// The level at which every cluster begins, and what a cluster without one is at.
pub const FIRST_FEATURE_LEVEL: FeatureLevel = FeatureLevel(1);

/// From this level on ranges may be split. A range that was shows that the cluster is at it.
pub const SPLITS_LEVEL: FeatureLevel = FeatureLevel(2);

/// From this level on buckets have documents and object lock, tags of objects may be changed, and there are identities.
pub const DOCUMENTS_LEVEL: FeatureLevel = FeatureLevel(3);

/// This build is too old for its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cluster's feature level is {found}, and this release reads up to {FEATURE_LEVEL}: start the release that the \
     other nodes run, or a later one (there is no way back to an older one)"
)]
pub struct NewerLevel {
    /// The cluster's level.
    pub found: FeatureLevel,
}

impl NewerLevel {
    /// Whether this build may serve, or apply anything of, a cluster at this level.
    ///
    /// # Errors
    /// [`NewerLevel`].
    pub fn check(found: FeatureLevel) -> Result<(), Self> {
        if found > FEATURE_LEVEL { Err(Self { found }) } else { Ok(()) }
    }
}

impl CommandBody {
    /// The cluster's level from which on the command may be proposed. What is added to an older command later, and what
    /// a row needs that it writes, counts too.
    pub fn feature_level(&self) -> FeatureLevel {
        match self {
            #[cfg(feature = "next-level")]
            Self::Probe => FeatureLevel(4),
            Self::AdoptBucketRow { row } if row.config.object_lock.is_on() => DOCUMENTS_LEVEL,
            Self::AllotRange | Self::NoteRanges { .. } | Self::SplitRange(_) | Self::AdoptBucketRow { .. } => {
                SPLITS_LEVEL
            }
            Self::SetBucketDocument(_)
            | Self::SetObjectTags(_)
            | Self::ChangeIdentity(_)
            | Self::SetObjectLock(_)
            | Self::FollowLifecycle(_)
            | Self::Expire(_)
            | Self::DropDue { .. } => DOCUMENTS_LEVEL,
            Self::CreateBucketRow { config, .. } | Self::ChangeBucketRow { config, .. }
                if config.object_lock.is_on() =>
            {
                DOCUMENTS_LEVEL
            }
            Self::PutObject(put) if put.version.attributes.names_lock() => DOCUMENTS_LEVEL,
            Self::CreateUpload(create) if create.attributes.names_lock() => DOCUMENTS_LEVEL,
            Self::Within { body, .. } => SPLITS_LEVEL.max(body.feature_level()),
            Self::Form(_)
            | Self::PutCredential(_)
            | Self::ChangeLayout { .. }
            | Self::RaiseFeatureLevel(_)
            | Self::GrantTicket { .. }
            | Self::RenewTicket(_)
            | Self::EndTicket(_)
            | Self::ExpireTickets { .. }
            | Self::ReserveBucket { .. }
            | Self::PublishBucket { .. }
            | Self::BeginBucketDeletion { .. }
            | Self::FinishBucketDeletion { .. }
            | Self::UndoBucketDeletion { .. }
            | Self::RaiseFloor { .. }
            | Self::CreateBucketRow { .. }
            | Self::ChangeBucketRow { .. }
            | Self::FenceBucket { .. }
            | Self::UnfenceBucket { .. }
            | Self::DropBucketRow { .. }
            | Self::PutObject(_)
            | Self::DeleteObject(_)
            | Self::CreateUpload(_)
            | Self::PutPart(_)
            | Self::CompleteUpload(_)
            | Self::AbortUpload { .. }
            | Self::ReplacePart(_)
            | Self::RemoveGarbage { .. }
            | Self::DiscardRuns { .. }
            | Self::PutGateway(_)
            | Self::RemoveGateway(_)
            | Self::SetWantedProfile { .. }
            | Self::NoteAway { .. }
            | Self::SetRebalancing(_) => FIRST_FEATURE_LEVEL,
        }
    }
}

impl Query {
    /// What is answered where the cluster's level is below the one from which on it may be asked: older builds cannot
    /// read the question, and nothing can be there yet. `None` for what may be asked at this level.
    pub fn answer_below(&self, level: FeatureLevel) -> Option<QueryAnswer> {
        match self.bare() {
            Self::BucketDocuments { .. } if level < DOCUMENTS_LEVEL => {
                Some(QueryAnswer::BucketDocuments { changed: CommitStamp(0), documents: Some(Vec::new()) })
            }
            Self::LifecycleBuckets { known } if level < DOCUMENTS_LEVEL => {
                let buckets = (*known != Some(CommitStamp(0))).then(Vec::new);
                Some(QueryAnswer::LifecycleBuckets { changed: CommitStamp(0), buckets })
            }
            Self::Followed if level < DOCUMENTS_LEVEL => Some(QueryAnswer::Followed(Vec::new())),
            Self::Due { .. } if level < DOCUMENTS_LEVEL => Some(QueryAnswer::Due(Vec::new())),
            Self::Places { .. } if level < DOCUMENTS_LEVEL => Some(QueryAnswer::Places(Vec::new())),
            Self::KeyFacts { .. } if level < DOCUMENTS_LEVEL => Some(QueryAnswer::KeyFacts(Box::default())),
            Self::AccessKey { .. } if level < DOCUMENTS_LEVEL => {
                Some(QueryAnswer::AccessKey { changed: CommitStamp(0), key: AccessKeyAnswer::Unknown })
            }
            Self::Identities(query) if level < DOCUMENTS_LEVEL => Some(QueryAnswer::Identities(query.nothing())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{BucketId, LegalHold, ObjectLock};

    use super::*;
    use crate::command::{BucketConfig, BucketRow};
    use crate::contract::samples;

    #[test]
    fn what_names_object_lock_is_of_level_3_and_what_does_not_stays_below() {
        for (object_lock, level) in [(ObjectLock::Off, FIRST_FEATURE_LEVEL), (ObjectLock::On, DOCUMENTS_LEVEL)] {
            let config = BucketConfig { object_lock, ..BucketConfig::default() };
            let (id, bucket) = (BucketId(1), samples::at(1, 1));
            let row = BucketRow { id, epoch: bucket.epoch, state: types::BucketState::Live, config: config.clone() };
            assert_eq!(CommandBody::CreateBucketRow { id, config: config.clone() }.feature_level(), level);
            assert_eq!(CommandBody::ChangeBucketRow { bucket, config }.feature_level(), level);
            assert_eq!(CommandBody::AdoptBucketRow { row }.feature_level(), level.max(SPLITS_LEVEL));
        }
        let mut put = samples::put_object(samples::at(1, 1), samples::key("k"), 1, samples::inline_part(1, b"x"));
        for (hold, level) in [(LegalHold::Unset, FIRST_FEATURE_LEVEL), (LegalHold::Off, DOCUMENTS_LEVEL)] {
            put.version.attributes.legal_hold = hold;
            assert_eq!(CommandBody::PutObject(Box::new(put.clone())).feature_level(), level);
        }
    }
}
