//! What is listed in order: where one range ends, the next one goes on.

use bytes::Bytes;
use types::{RangeDescriptor, RangeInterval};

use super::{Router, Turn, garbage_range, misanswered, query_within, unsettled};
use crate::keys;
use crate::query::{ListEntry, ListPage, ListRange, ListedUpload, ListedVersion, Query, QueryAnswer};
use crate::read::stretch::Stretch;
use crate::service::{IndexError, IndexService};

/// Ranges that one page is gathered from, those included that were split meanwhile.
const RANGES_MAX: u32 = 100_000;

impl Router {
    /// A page of one of the listings of a bucket.
    pub(super) async fn list(&self, service: &dyn IndexService, query: &Query) -> Result<QueryAnswer, IndexError> {
        match query {
            Query::Objects(range) => {
                let page = self.pages(
                    service,
                    range,
                    false,
                    |range, _| Query::Objects(range),
                    |answer| match answer {
                        QueryAnswer::Objects(page) => Ok(page),
                        other => Err(misanswered(&other)),
                    },
                );
                page.await.map(QueryAnswer::Objects)
            }
            Query::Versions { range, after_version } => {
                let ask =
                    |range, within: bool| Query::Versions { range, after_version: after_version.filter(|_| within) };
                let page = self.pages(service, range, after_version.is_some(), ask, |answer| match answer {
                    QueryAnswer::Versions(page) => Ok(page),
                    other => Err(misanswered(&other)),
                });
                page.await.map(QueryAnswer::Versions)
            }
            Query::Uploads { range, after_upload } => {
                let ask = |range, within: bool| Query::Uploads { range, after_upload: after_upload.filter(|_| within) };
                let page = self.pages(service, range, after_upload.is_some(), ask, |answer| match answer {
                    QueryAnswer::Uploads(page) => Ok(page),
                    other => Err(misanswered(&other)),
                });
                page.await.map(QueryAnswer::Uploads)
            }
            other => Err(misanswered(other)),
        }
    }

    /// Gathers a page. It begins within the key `listed.after` where `begins_within`; `ask` is told whether it does.
    ///
    /// The last thing of one range is what the next one begins after: keys of the next that roll up to the same common
    /// prefix have been shown with it.
    async fn pages<T: Keyed>(
        &self,
        service: &dyn IndexService,
        listed: &ListRange,
        begins_within: bool,
        ask: impl Fn(ListRange, bool) -> Query,
        page_of: impl Fn(QueryAnswer) -> Result<ListPage<T>, IndexError>,
    ) -> Result<ListPage<T>, IndexError> {
        let mut page = ListPage { entries: Vec::new(), truncated: false };
        let mut next = listed.clone();
        let mut is_within = begins_within && !listed.after.is_empty();
        let Stretch { from, to } = Stretch::of(listed);
        let mut from = if is_within { keys::place_of_bytes(listed.bucket, &listed.after) } else { from };
        for _ in 0..RANGES_MAX {
            let range = self.of_place(service, &from).await?;
            // A full page only has to know whether something follows.
            let is_full = page.entries.len() >= listed.limit && listed.limit > 0;
            next.limit = if is_full { 1 } else { listed.limit - page.entries.len() };
            let question = query_within(&range, ask(next.clone(), is_within));
            let answer = match self.corrected(service, &range, service.query_at(range.id, question).await).await? {
                Turn::Done(answer) => page_of(answer)?,
                Turn::Again => continue,
            };
            if is_full {
                page.truncated = !answer.entries.is_empty() || answer.truncated;
            } else {
                if let Some(last) = answer.entries.last() {
                    next.after = match last {
                        ListEntry::Entry(entry) => entry.key(),
                        ListEntry::CommonPrefix(prefix) => prefix.clone(),
                    };
                }
                page.entries.extend(answer.entries);
                page.truncated = answer.truncated;
            }
            is_within = false;
            let end = range.interval.end.filter(|end| *end < to && !page.truncated && listed.limit > 0);
            let Some(end) = end else { return Ok(page) };
            from = end.max(Stretch::of(&next).from);
            if from >= to {
                return Ok(page);
            }
        }
        Err(unsettled())
    }

    /// Rows that upkeep goes through in pages, range after range.
    pub(super) async fn walk(&self, service: &dyn IndexService, query: &Query) -> Result<QueryAnswer, IndexError> {
        if let Query::Garbage { after, limit, .. } = query {
            return self.garbage(service, query, after.as_deref(), *limit).await;
        }
        let (after, limit) = match query {
            Query::Degraded { after, limit } | Query::VersionRows { after, limit } => (after.clone(), *limit),
            other => return Err(misanswered(other)),
        };
        let (mut degraded, mut versions) = (Vec::new(), Vec::new());
        let mut from = Stretch::after(after.as_deref()).from;
        for _ in 0..RANGES_MAX {
            let range = self.of_place(service, &from).await?;
            let left = limit - degraded.len() - versions.len();
            let part = match query {
                Query::Degraded { .. } => Query::Degraded { after: after.clone(), limit: left },
                _ => Query::VersionRows { after: after.clone(), limit: left },
            };
            let answer = service.query_at(range.id, query_within(&range, part)).await;
            let mut more = None;
            match self.corrected(service, &range, answer).await? {
                Turn::Done(QueryAnswer::Degraded(rows)) => degraded.extend(rows),
                Turn::Done(QueryAnswer::VersionRows { rows, next }) => {
                    versions.extend(rows);
                    more = next;
                }
                Turn::Done(other) => return Err(misanswered(&other)),
                Turn::Again => continue,
            }
            let is_full = degraded.len() + versions.len() >= limit;
            let end = range.interval.end.clone();
            if more.is_none() && is_full {
                // Nothing of the next range was looked at: it begins at the end of this one.
                more = end.clone().map(just_before);
            }
            match end.filter(|_| more.is_none() && !is_full) {
                Some(end) => from = end,
                None => {
                    return Ok(match query {
                        Query::Degraded { .. } => QueryAnswer::Degraded(degraded),
                        _ => QueryAnswer::VersionRows { rows: versions, next: more },
                    });
                }
            }
        }
        Err(unsettled())
    }

    /// Garbage in order of its rows' keys, which begin with the range.
    async fn garbage(
        &self,
        service: &dyn IndexService,
        query: &Query,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<QueryAnswer, IndexError> {
        let Query::Garbage { freed_before, .. } = query else { return Err(misanswered(query)) };
        let freed_before = *freed_before;
        // Of none, so that the map is as new as the ranges are.
        let none = Query::Garbage { freed_before, after: None, limit: 0 };
        let answers = self.ask_each(service, &RangeInterval::WHOLE, &none).await?;
        let mut ranges: Vec<RangeDescriptor> = answers.into_iter().map(|(range, _)| range).collect();
        ranges.sort_by_key(|range| range.id);
        let first = after.and_then(garbage_range);
        let mut rows = Vec::new();
        for RangeDescriptor { id, .. } in ranges.into_iter().filter(|range| first.is_none_or(|first| range.id >= first))
        {
            let part = Query::Garbage {
                freed_before,
                after: after.filter(|_| first == Some(id)).map(<[u8]>::to_vec),
                limit: limit - rows.len(),
            };
            match service.query_at(id, part).await? {
                QueryAnswer::Garbage(of_range) => rows.extend(of_range),
                other => return Err(misanswered(&other)),
            }
            if rows.len() >= limit {
                break;
            }
        }
        Ok(QueryAnswer::Garbage(rows))
    }
}

/// A row's key that is above all those before a place, and below the place: after an escape comes no zero.
fn just_before(mut place: Vec<u8>) -> Vec<u8> {
    place.pop();
    place.push(0);
    place
}

/// What has a key.
trait Keyed {
    fn key(&self) -> Bytes;
}

impl Keyed for ListedVersion {
    fn key(&self) -> Bytes {
        Bytes::copy_from_slice(self.key.as_bytes())
    }
}

impl Keyed for ListedUpload {
    fn key(&self) -> Bytes {
        Bytes::copy_from_slice(self.key.as_bytes())
    }
}
