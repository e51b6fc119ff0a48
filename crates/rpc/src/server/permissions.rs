//! What a gateway may ask for: what it takes to serve S3, and nothing that changes the cluster.

use index::{CommandBody, Query};

use crate::encoding::ShardRequest;

/// Whether a gateway may propose this. What is listed as forbidden decides over nodes, disks, credentials, or data that
/// others write.
pub(super) fn gateway_may_propose(command: &CommandBody) -> bool {
    match command {
        CommandBody::Form(_)
        | CommandBody::PutCredential(_)
        | CommandBody::ChangeLayout { .. }
        | CommandBody::RaiseFeatureLevel(_)
        | CommandBody::ExpireTickets { .. }
        | CommandBody::RaiseFloor { .. }
        | CommandBody::RemoveGarbage { .. }
        | CommandBody::PutGateway(_)
        | CommandBody::RemoveGateway(_)
        | CommandBody::SetRebalancing(_)
        | CommandBody::SetWantedProfile { .. }
        | CommandBody::NoteAway { .. }
        | CommandBody::AllotRange
        | CommandBody::NoteRanges { .. }
        | CommandBody::SplitRange(_)
        | CommandBody::ChangeIdentity(_)
        | CommandBody::FollowLifecycle(_)
        | CommandBody::Expire(_)
        | CommandBody::DropDue { .. }
        | CommandBody::ReplacePart(_) => false,
        #[cfg(feature = "next-level")]
        CommandBody::Probe => false,
        CommandBody::Within { body, .. } => gateway_may_propose(body),
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
        | CommandBody::AdoptBucketRow { .. }
        | CommandBody::FenceBucket { .. }
        | CommandBody::UnfenceBucket { .. }
        | CommandBody::DropBucketRow { .. }
        | CommandBody::SetBucketDocument(_)
        | CommandBody::SetObjectTags(_)
        | CommandBody::SetObjectLock(_)
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
pub(super) fn gateway_may_query(query: &Query) -> bool {
    match query {
        Query::Garbage { .. }
        | Query::Degraded { .. }
        | Query::VersionRows { .. }
        | Query::Gateways
        | Query::AwayDisks
        | Query::Identities(_)
        | Query::LifecycleBuckets { .. }
        | Query::Followed
        | Query::Due { .. }
        | Query::Places { .. }
        | Query::KeyFacts { .. }
        | Query::Rebalancing => false,
        Query::Within { query, .. } => gateway_may_query(query),
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
        | Query::RunLives { .. }
        | Query::Ranges
        | Query::BucketDocuments { .. }
        | Query::AccessKey { .. }
        | Query::WantedProfile => true,
    }
}

/// Whether a gateway may ask this of a disk. Freeing and sealing are upkeep's, after the index said so.
pub(super) const fn gateway_may_ask_disk(request: &ShardRequest) -> bool {
    match request {
        ShardRequest::Append { .. } | ShardRequest::Read { .. } | ShardRequest::Header { .. } => true,
        ShardRequest::Free { .. } | ShardRequest::List { .. } | ShardRequest::Seal { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use index::Command;

    use super::*;
    use crate::golden::queries;

    fn name_of(value: &impl std::fmt::Debug) -> String {
        let printed = format!("{value:?}");
        printed.split(|letter: char| !letter.is_alphanumeric()).next().expect("a name").to_owned()
    }

    /// One of each: the golden file of commands has all.
    fn commands() -> Vec<CommandBody> {
        let golden = include_str!("../../../index/tests/golden/commands.txt");
        let lines = golden.lines().filter_map(|line| line.split_once(' ')).filter(|(name, _)| *name != "proposal");
        let decoded =
            lines.map(|(_, bytes)| Command::decode(&hex::decode(bytes).expect("hex")).expect("a command").body);
        decoded.collect()
    }

    #[test]
    fn a_gateway_changes_nothing_of_the_cluster() {
        let refused: BTreeSet<_> = commands().iter().filter(|body| !gateway_may_propose(body)).map(name_of).collect();
        let expected = [
            "AllotRange",
            "ChangeIdentity",
            "ChangeLayout",
            "DropDue",
            "Expire",
            "ExpireTickets",
            "FollowLifecycle",
            "Form",
            "NoteAway",
            "NoteRanges",
            "PutCredential",
            "PutGateway",
            "RaiseFeatureLevel",
            "RaiseFloor",
            "RemoveGarbage",
            "RemoveGateway",
            "ReplacePart",
            "SetRebalancing",
            "SetWantedProfile",
            "SplitRange",
            // As what it carries: the golden file's raises a floor.
            "Within",
        ];
        assert_eq!(refused.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_gateway_asks_what_it_needs_to_start_and_to_serve() {
        let all = queries();
        let (may, may_not): (Vec<_>, Vec<_>) =
            all.iter().map(|(_, query)| query).partition(|query| gateway_may_query(query));
        let names = |queries: Vec<&Query>| queries.into_iter().map(name_of).collect::<BTreeSet<_>>();
        let of_the_system_range = may.iter().copied().filter(|query| query.is_of_system_range()).collect();
        let expected = [
            "AccessKey",
            "BucketByName",
            "BucketCount",
            "BucketDocuments",
            "Buckets",
            "Cluster",
            "Credentials",
            "Ranges",
            "Tickets",
            "UnfinishedBuckets",
            "WantedProfile",
        ];
        assert_eq!(names(of_the_system_range), expected.map(str::to_owned).into());
        let expected = [
            "AwayDisks",
            "Degraded",
            "Due",
            "Followed",
            "Garbage",
            "Gateways",
            "Identities",
            "KeyFacts",
            "LifecycleBuckets",
            "Places",
            "Rebalancing",
            "VersionRows",
        ];
        assert_eq!(names(may_not), expected.map(str::to_owned).into());
    }
}
