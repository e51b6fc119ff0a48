//! Answering queries from one read transaction.

mod objects;
mod stretch;
#[cfg(test)]
mod tests;
mod uploads;
mod versions;

use rusqlite::Connection;
use types::Version;

use crate::command::WhichVersion;
use crate::query::{ClusterView, DEGRADED_COUNT_MAX, Query, QueryAnswer, Totals};
use crate::tables::{Stored, Tables};
use crate::{FIRST_DATA_RANGE, IndexDatabaseError, keys};

/// Answers one query in the connection's transaction.
pub(crate) fn answer(connection: &Connection, query: &Query) -> Result<QueryAnswer, IndexDatabaseError> {
    let tables = Tables::of(connection);
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
        Query::BucketRow(bucket) => QueryAnswer::BucketRow(tables.bucket_row(FIRST_DATA_RANGE, *bucket)?),
        Query::Usage(bucket) => QueryAnswer::Usage(tables.usage(*bucket)?),
        Query::Totals => QueryAnswer::Totals(Totals {
            usage: tables.usage_of_all()?,
            degraded_parts: tables.degraded_count(DEGRADED_COUNT_MAX)?,
        }),
        Query::Version { bucket, key, which } => {
            let version = version(tables, &keys::place(*bucket, key), *which, Tables::whole)?;
            QueryAnswer::Version { version, row: tables.bucket_row(FIRST_DATA_RANGE, *bucket)? }
        }
        Query::VersionHead { bucket, key, which } => {
            let version = version(tables, &keys::place(*bucket, key), *which, Tables::without_inline)?;
            QueryAnswer::Version { version, row: tables.bucket_row(FIRST_DATA_RANGE, *bucket)? }
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
        Query::Objects(range) => QueryAnswer::Objects(objects::list(tables, range)?),
        Query::Versions { range, after_version } => {
            QueryAnswer::Versions(versions::list(tables, range, *after_version)?)
        }
        Query::Uploads { range, after_upload } => QueryAnswer::Uploads(uploads::list(tables, range, *after_upload)?),
        Query::Garbage { freed_before, after, limit } => {
            QueryAnswer::Garbage(tables.garbage(FIRST_DATA_RANGE, *freed_before, after.as_deref(), *limit)?)
        }
        Query::Degraded { after, limit } => QueryAnswer::Degraded(tables.degraded(after.as_deref(), *limit)?),
        Query::RunLives { bucket, key, run } => {
            QueryAnswer::RunLives(tables.run_lives(&keys::place(*bucket, key), *run)?)
        }
        Query::VersionRows { after, limit } => versions::whole_rows(tables, after.as_deref(), *limit)?,
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
