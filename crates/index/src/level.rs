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

/// From this level on buckets have documents, tags of objects may be changed, and there are identities.
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
            Self::AllotRange | Self::NoteRanges { .. } | Self::SplitRange(_) | Self::AdoptBucketRow { .. } => {
                SPLITS_LEVEL
            }
            Self::SetBucketDocument(_) | Self::SetObjectTags(_) | Self::ChangeIdentity(_) => DOCUMENTS_LEVEL,
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
            Self::AccessKey { .. } if level < DOCUMENTS_LEVEL => {
                Some(QueryAnswer::AccessKey { changed: CommitStamp(0), key: AccessKeyAnswer::Unknown })
            }
            Self::Identities(query) if level < DOCUMENTS_LEVEL => Some(QueryAnswer::Identities(query.nothing())),
            _ => None,
        }
    }
}
