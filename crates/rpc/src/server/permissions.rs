//! What a gateway may ask for: what it takes to serve S3, and nothing that changes the cluster.

use index::{CommandBody, Query};

use crate::encoding::ShardRequest;

/// Whether a gateway may propose this. What is listed as forbidden decides over nodes, disks, credentials, or data that
/// others write.
pub(super) const fn gateway_may_propose(command: &CommandBody) -> bool {
    match command {
        CommandBody::Form(_)
        | CommandBody::PutCredential(_)
        | CommandBody::ChangeLayout { .. }
        | CommandBody::RaiseFeatureLevel(_)
        | CommandBody::ExpireTickets { .. }
        | CommandBody::RaiseFloor { .. }
        | CommandBody::RemoveGarbage { .. }
        | CommandBody::ReplacePart(_) => false,
        CommandBody::GrantTicket { .. }
        | CommandBody::RenewTicket(_)
        | CommandBody::EndTicket(_)
        | CommandBody::ReserveBucket { .. }
        | CommandBody::PublishBucket { .. }
        | CommandBody::BeginBucketDeletion { .. }
        | CommandBody::FinishBucketDeletion { .. }
        | CommandBody::UndoBucketDeletion { .. }
        | CommandBody::CreateBucketRow { .. }
        | CommandBody::ChangeBucketRow { .. }
        | CommandBody::FenceBucket { .. }
        | CommandBody::UnfenceBucket { .. }
        | CommandBody::DropBucketRow { .. }
        | CommandBody::PutObject(_)
        | CommandBody::DeleteObject(_)
        | CommandBody::CreateUpload(_)
        | CommandBody::PutPart(_)
        | CommandBody::CompleteUpload(_)
        | CommandBody::AbortUpload { .. }
        | CommandBody::DiscardRuns { .. } => true,
    }
}

/// Whether a gateway may ask this. It needs the credentials to check signatures; what upkeep asks is not its business.
pub(super) const fn gateway_may_query(query: &Query) -> bool {
    match query {
        Query::Garbage { .. } | Query::Degraded { .. } | Query::VersionRows { .. } => false,
        Query::Cluster
        | Query::Credentials
        | Query::Tickets
        | Query::BucketByName { .. }
        | Query::Buckets { .. }
        | Query::UnfinishedBuckets
        | Query::BucketCount
        | Query::BucketRow(_)
        | Query::Usage(_)
        | Query::Totals
        | Query::Version { .. }
        | Query::VersionHead { .. }
        | Query::Parts { .. }
        | Query::Manifest { .. }
        | Query::Upload { .. }
        | Query::Objects(_)
        | Query::Versions { .. }
        | Query::Uploads { .. }
        | Query::RunLives { .. } => true,
    }
}

/// Whether a gateway may ask this of a disk. Freeing is upkeep's, after the index said so.
pub(super) const fn gateway_may_ask_disk(request: &ShardRequest) -> bool {
    match request {
        ShardRequest::Append { .. } | ShardRequest::Read { .. } | ShardRequest::Header { .. } => true,
        ShardRequest::Free { .. } | ShardRequest::List { .. } => false,
    }
}
