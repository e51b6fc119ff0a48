//! Pages of listings: what the listing operations share.

use bytes::Bytes;
use index::query::{ListEntry, ListPage};
use index::{Query, QueryAnswer};
use types::{BucketId, BucketName};

use crate::buckets::row_of;
use crate::commit::unexpected;
use crate::{Objects, ObjectsError};

impl Objects {
    /// Asks for a page of a bucket's rows. `take` picks the page out of an answer of the right kind.
    ///
    /// An empty page may be one of a bucket that is gone; only then is that asked.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`].
    pub(crate) async fn page<T: std::fmt::Debug>(
        &self,
        bucket: &BucketName,
        question: impl Fn(BucketId) -> Query,
        take: impl Fn(QueryAnswer) -> Result<ListPage<T>, QueryAnswer>,
    ) -> Result<ListPage<T>, ObjectsError> {
        let mut resolved = self.resolve(bucket).await?;
        loop {
            let id = resolved.row.id;
            let answer = self.index().ask(question(id)).await?;
            let page = take(answer).map_err(|other| unexpected("a listing", &other))?;
            if !page.entries.is_empty() || row_of(self.index(), id).await?.is_some() {
                return Ok(page);
            }
            resolved = self.buckets().resolve_anew(self.index(), bucket).await?;
        }
    }

    /// The answer to a listing of no keys: the bucket must be there all the same.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`].
    pub(crate) async fn empty_page<T>(&self, bucket: &BucketName) -> Result<ListPage<T>, ObjectsError> {
        self.buckets().resolve_anew(self.index(), bucket).await?;
        Ok(ListPage { entries: Vec::new(), truncated: false })
    }
}

/// Where the page after a truncated one begins: behind its last key or common prefix.
pub(crate) fn position_after<T>(page: &ListPage<T>, key_of: impl Fn(&T) -> Bytes) -> Option<Bytes> {
    let last = page.entries.last().filter(|_| page.truncated)?;
    Some(match last {
        ListEntry::Entry(entry) => key_of(entry),
        ListEntry::CommonPrefix(prefix) => prefix.clone(),
    })
}
