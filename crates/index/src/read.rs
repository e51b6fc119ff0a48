//! Answering queries from one read transaction.

mod identities;
mod lifecycle;
mod objects;
pub(crate) mod stretch;
#[cfg(test)]
mod tests;
mod uploads;
mod versions;

use rusqlite::Connection;
use types::{BucketId, RangeId, RangeInterval, Version};

use crate::command::WhichVersion;
use crate::query::{ClusterView, DEGRADED_COUNT_MAX, Query, QueryAnswer, Totals};
use crate::rows::DescriptorRow;
use crate::tables::{Stored, Tables};
use crate::{IndexDatabaseError, keys};

/// Answers one query to a range in the connection's transaction. What other ranges have is not looked at: here it may be
/// old.
pub(crate) fn answer(
    connection: &Connection,
    range: RangeId,
    query: &Query,
) -> Result<QueryAnswer, IndexDatabaseError> {
    let tables = Tables::of(connection);
    if query.bare().is_of_system_range() {
        return of_system_range(tables, query.bare());
    }
    let nothing = || DescriptorRow {
        interval: RangeInterval { start: Vec::new(), end: Some(Vec::new()) },
        ..DescriptorRow::WHOLE
    };
    let row = tables.descriptor(range)?.unwrap_or_else(nothing);
    let fits = match (query, query.bare().key()) {
        (Query::Within { epoch, .. }, None) => *epoch == row.epoch,
        (_, Some((bucket, key))) => row.interval.contains(&keys::place(bucket, key)),
        // Garbage names its range.
        (Query::Garbage { .. }, None) => true,
        // So do notes of keys to look at, of which those of other places are to be found, too.
        (Query::Due { .. } | Query::Followed, None) => true,
        // Whoever asks so knows of no split.
        (_, None) => row.epoch == DescriptorRow::WHOLE.epoch,
    };
    if !fits {
        return Ok(QueryAnswer::NotInRange(Box::new(row.of(range))));
    }
    of_data_range(tables, range, &row.interval, query.bare())
}

fn of_system_range(tables: Tables<'_>, query: &Query) -> Result<QueryAnswer, IndexDatabaseError> {
    Ok(match query {
        Query::Cluster => QueryAnswer::Cluster(cluster(tables)?),
        Query::Credentials => QueryAnswer::Credentials(tables.credentials()?),
        Query::Tickets => tickets(tables)?,
        Query::BucketByName { namespace, name } => {
            QueryAnswer::BucketRecord(tables.bucket_record_by_name(namespace, name)?.map(Box::new))
        }
        Query::Buckets { namespace, prefix, after, limit } => {
            QueryAnswer::BucketRecords(tables.bucket_records(namespace, prefix, after.as_ref(), *limit)?)
        }
        Query::UnfinishedBuckets => QueryAnswer::BucketRecords(tables.unfinished_bucket_records()?),
        Query::Gateways => QueryAnswer::Gateways(tables.gateways()?),
        Query::WantedProfile => QueryAnswer::WantedProfile(tables.wanted_profile()?),
        Query::AwayDisks => QueryAnswer::AwayDisks(tables.away_disks()?),
        Query::Rebalancing => QueryAnswer::Rebalancing(tables.rebalancing()?),
        Query::BucketCount => QueryAnswer::BucketCount(tables.bucket_count()?),
        Query::Ranges => QueryAnswer::Ranges(tables.range_map()?),
        Query::BucketDocuments { bucket, known } => {
            let changed = tables.documents_changed(*bucket)?;
            let documents = if *known == Some(changed) { None } else { Some(tables.documents(*bucket)?) };
            QueryAnswer::BucketDocuments { changed, documents }
        }
        Query::AccessKey { id, known } => identities::access_key(tables, id, *known)?,
        Query::Identities(query) => QueryAnswer::Identities(identities::identities(tables, query)?),
        Query::LifecycleBuckets { known } => {
            let changed = tables.lifecycles_changed()?;
            let buckets = if *known == Some(changed) { None } else { Some(tables.buckets_with_lifecycle()?) };
            QueryAnswer::LifecycleBuckets { changed, buckets }
        }
        other => unreachable!("{other:?} is of a data range"),
    })
}

fn of_data_range(
    tables: Tables<'_>,
    range: RangeId,
    interval: &RangeInterval,
    query: &Query,
) -> Result<QueryAnswer, IndexDatabaseError> {
    Ok(match query {
        Query::BucketRow(bucket) => QueryAnswer::BucketRow(tables.bucket_row(range, *bucket)?),
        Query::Usage(bucket) => QueryAnswer::Usage(tables.usage(range, *bucket)?),
        Query::Totals => QueryAnswer::Totals(Totals {
            usage: tables.usage_of_range(range)?,
            degraded_parts: tables.degraded_count(interval, DEGRADED_COUNT_MAX)?,
        }),
        Query::Version { bucket, key, which } => {
            let version = version(tables, &keys::place(*bucket, key), *which, Tables::whole)?;
            QueryAnswer::Version { version, row: tables.bucket_row(range, *bucket)? }
        }
        Query::VersionHead { bucket, key, which } => {
            let version = version(tables, &keys::place(*bucket, key), *which, Tables::without_inline)?;
            QueryAnswer::Version { version, row: tables.bucket_row(range, *bucket)? }
        }
        Query::Parts { bucket, key, upload, after, limit } => {
            QueryAnswer::Parts(tables.parts(&keys::place(*bucket, key), *upload, *after, *limit)?)
        }
        Query::Manifest { bucket, key, upload } => {
            QueryAnswer::Parts(tables.manifest(&keys::place(*bucket, key), *upload)?.into_iter().collect())
        }
        Query::Upload { bucket, key, upload } => {
            let row = tables.upload(&keys::place(*bucket, key), *upload)?;
            QueryAnswer::Upload(row.map(|row| Box::new(row.into())))
        }
        Query::Objects(listed) => QueryAnswer::Objects(objects::list(tables, interval, listed)?),
        Query::Versions { range: listed, after_version } => {
            QueryAnswer::Versions(versions::list(tables, interval, listed, *after_version)?)
        }
        Query::Uploads { range: listed, after_upload } => {
            QueryAnswer::Uploads(uploads::list(tables, interval, listed, *after_upload)?)
        }
        Query::Garbage { freed_before, after, limit } => {
            QueryAnswer::Garbage(tables.garbage(range, *freed_before, after.as_deref(), *limit)?)
        }
        Query::Degraded { after, limit } => {
            QueryAnswer::Degraded(tables.degraded(interval, after.as_deref(), *limit)?)
        }
        Query::RunLives { bucket, key, run } => {
            QueryAnswer::RunLives(tables.run_lives(&keys::place(*bucket, key), *run)?)
        }
        Query::VersionRows { after, limit } => versions::whole_rows(tables, interval, after.as_deref(), *limit)?,
        Query::Followed => QueryAnswer::Followed(tables.all_followed(range, BucketId(0))?),
        Query::Due { after, limit } => QueryAnswer::Due(tables.due(range, after.as_deref(), *limit)?),
        Query::Places { bucket, after, limit } => {
            let places = tables.places(interval, *bucket, after, *limit)?;
            let keys = places.iter().map(|place| keys::split_place(place).map(|(_, key, _)| key));
            QueryAnswer::Places(keys.collect::<Result<_, _>>()?)
        }
        Query::KeyFacts { bucket, key, after, limit } => {
            QueryAnswer::KeyFacts(Box::new(lifecycle::key_facts(tables, range, (*bucket, key), *after, *limit)?))
        }
        other => unreachable!("{other:?} is of the system range"),
    })
}

fn cluster(tables: Tables<'_>) -> Result<Option<Box<ClusterView>>, IndexDatabaseError> {
    Ok(match (tables.cluster()?, tables.layout()?) {
        (Some(row), Some(layout)) => {
            Some(Box::new(ClusterView { cluster: row.cluster, feature_level: row.feature_level, layout }))
        }
        _ => None,
    })
}

fn tickets(tables: Tables<'_>) -> Result<QueryAnswer, IndexDatabaseError> {
    let tickets: Vec<_> = tables.tickets()?.into_iter().map(|ticket| ticket.row).collect();
    let floor = match tickets.first() {
        Some(lowest) => lowest.id,
        None => tables.counters()?.next_ticket,
    };
    Ok(QueryAnswer::Tickets { tickets, floor })
}

fn version<'a>(
    tables: Tables<'a>,
    place: &[u8],
    which: WhichVersion,
    read: fn(Tables<'a>, Stored) -> Result<Version, IndexDatabaseError>,
) -> Result<Option<Box<Version>>, IndexDatabaseError> {
    let current = tables.current(place)?;
    match tables.find_version(place, which, current)? {
        Some(stored) => Ok(Some(Box::new(read(tables, stored)?))),
        None => Ok(None),
    }
}
