//! A bucket's rules as the index has them, and what they come to.

use index::command::{BucketAt, DocumentKind, LifecycleTimes};
use index::{IndexService, Query, QueryAnswer};
use s3_wire::bucket_lifecycle::LifecycleConfiguration;
use s3_wire::lifecycle::Day;
use types::{BucketId, Timestamp};

use super::misunderstood;
use crate::duty::DutyError;

/// Rules, and under which epoch of the bucket's row they were read.
pub(super) struct BucketRules {
    pub(super) at: BucketAt,
    pub(super) rules: LifecycleConfiguration,
    pub(super) times: LifecycleTimes,
}

/// What was found.
pub(super) enum RulesRead {
    Rules(Box<BucketRules>),
    /// The bucket has none, or is not there.
    Nothing,
}

/// The epoch of a bucket's row now; for one that is gone, one that no row has.
pub(super) async fn bucket_at(index: &dyn IndexService, bucket: BucketId) -> Result<Option<BucketAt>, DutyError> {
    match index.query(Query::BucketRow(bucket)).await? {
        QueryAnswer::BucketRow(row) => {
            let epoch = row.map_or(types::BucketEpoch(0), |row| row.epoch);
            Ok(Some(BucketAt { id: bucket, epoch }))
        }
        _ => Err(misunderstood()),
    }
}

/// Reads a bucket's rules. The epoch is read first: rules that are set later raise it, and then nothing that was judged
/// by these takes effect.
pub(super) async fn read(
    index: &dyn IndexService,
    bucket: BucketId,
    now: Timestamp,
    day: Day,
) -> Result<RulesRead, DutyError> {
    let Some(at) = bucket_at(index, bucket).await?.filter(|at| at.epoch.0 > 0) else { return Ok(RulesRead::Nothing) };
    let documents = match index.query(Query::BucketDocuments { bucket, known: None }).await? {
        QueryAnswer::BucketDocuments { documents, .. } => documents.unwrap_or_default(),
        _ => return Err(misunderstood()),
    };
    let Some(found) = documents.into_iter().find(|found| found.kind == DocumentKind::Lifecycle) else {
        return Ok(RulesRead::Nothing);
    };
    let rules = match LifecycleConfiguration::parse_stored(&found.document) {
        Ok(rules) => rules,
        Err(error) => {
            tracing::error!(%bucket, code = error.code().as_str(), "stored lifecycle rules are unreadable");
            return Ok(RulesRead::Nothing);
        }
    };
    let times = LifecycleTimes {
        fingerprint: LifecycleTimes::fingerprint_of(&found.document, day.us()),
        after_us: rules.soonest_days(now).map(|days| u64::from(days).saturating_mul(day.us())),
        round_us: day.round_us(),
        date: rules.next_date(now),
    };
    Ok(RulesRead::Rules(Box::new(BucketRules { at, rules, times })))
}
