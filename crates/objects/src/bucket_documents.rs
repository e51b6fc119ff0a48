//! What S3 keeps with a bucket as documents, as gateways remember it.
//!
//! What was read is kept for a second, under the epoch of the bucket's row that was known before it was read. Whoever
//! changes a document raises that epoch in each of the bucket's ranges before the change is answered, so an answer that
//! comes with the row of a later epoch says that what is kept is old. A document is parsed once, by whoever needs it.

use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use hashlink::LruCache;
use index::command::{BucketDocument, DocumentKind};
use index::{Query, QueryAnswer};
use parking_lot::Mutex;
use types::{BucketEpoch, BucketId, BucketName, CommitStamp};

use crate::buckets::{Resolved, row_of};
use crate::commit::unexpected;
use crate::{Bucket, Objects, ObjectsError};

/// How long documents are taken to be the same without asking.
const KEPT: Duration = Duration::from_secs(1);
/// Buckets whose documents are kept at most.
const BUCKETS_MAX: usize = 10_000;
/// Bytes of documents that are kept at most. What they are parsed to takes some times as much.
const BYTES_MAX: usize = 8 << 20;

/// A bucket's documents at one moment.
#[derive(Debug, Default)]
pub struct BucketDocuments {
    documents: Vec<Document>,
}

#[derive(Debug)]
struct Document {
    kind: DocumentKind,
    text: Bytes,
    parsed: Parsed,
}

/// What a document was parsed to, once it was.
#[derive(Debug, Default, Clone)]
struct Parsed(Arc<OnceLock<Arc<dyn Any + Send + Sync>>>);

impl BucketDocuments {
    /// The document of a kind, as it was set.
    pub fn text(&self, kind: DocumentKind) -> Option<&Bytes> {
        self.of_kind(kind).map(|document| &document.text)
    }

    /// What `parse` makes of the document of a kind. It is called once as long as the document stays the same.
    ///
    /// # Panics
    /// Where documents of the kind were parsed to another type before.
    pub fn parsed<T: Any + Send + Sync>(&self, kind: DocumentKind, parse: impl FnOnce(&[u8]) -> T) -> Option<Arc<T>> {
        let document = self.of_kind(kind)?;
        let parsed = document.parsed.0.get_or_init(|| Arc::new(parse(&document.text)));
        Some(Arc::clone(parsed).downcast().expect("documents of a kind are parsed to one type"))
    }

    fn of_kind(&self, kind: DocumentKind) -> Option<&Document> {
        self.documents.iter().find(|document| document.kind == kind)
    }

    /// These documents; what `before` has parsed of them stays so.
    fn after(before: Option<&Self>, documents: Vec<BucketDocument>) -> Self {
        let kept = |BucketDocument { kind, document }: BucketDocument| {
            let same = before.and_then(|before| before.of_kind(kind)).filter(|known| known.text == document);
            let parsed = same.map(|known| known.parsed.clone()).unwrap_or_default();
            Document { kind, text: document, parsed }
        };
        Self { documents: documents.into_iter().map(kept).collect() }
    }

    fn bytes(&self) -> usize {
        self.documents.iter().map(|document| document.text.len()).sum()
    }
}

/// Documents of the buckets that were used last.
#[derive(Debug)]
pub(crate) struct KnownDocuments {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    buckets: LruCache<BucketId, Known>,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Known {
    documents: Arc<BucketDocuments>,
    /// When any of them was changed last.
    changed: CommitStamp,
    /// Of the bucket's row, before they were asked for.
    epoch: BucketEpoch,
    /// On the monotonic clock.
    asked: Duration,
}

impl Default for KnownDocuments {
    fn default() -> Self {
        Self { kept: Mutex::new(Kept { buckets: LruCache::new_unbounded(), bytes: 0 }) }
    }
}

impl KnownDocuments {
    fn get(&self, bucket: BucketId) -> Option<Known> {
        self.kept.lock().buckets.get(&bucket).cloned()
    }

    fn keep(&self, bucket: BucketId, known: Known) {
        let mut kept = self.kept.lock();
        // Somebody who asked earlier may come later.
        if kept.buckets.peek(&bucket).is_some_and(|other| other.asked > known.asked) {
            return;
        }
        kept.bytes += known.documents.bytes();
        if let Some(replaced) = kept.buckets.insert(bucket, known) {
            kept.bytes -= replaced.documents.bytes();
        }
        while (kept.bytes > BYTES_MAX || kept.buckets.len() > BUCKETS_MAX)
            && let Some((_, oldest)) = kept.buckets.remove_lru()
        {
            kept.bytes -= oldest.documents.bytes();
        }
    }
}

impl Known {
    fn is_fresh(&self, epoch: BucketEpoch, now: Duration) -> bool {
        self.epoch >= epoch && now.saturating_sub(self.asked) < KEPT
    }
}

impl Objects {
    /// The bucket's documents, at most a second old, and as new as any answer that came with the bucket's row. Out of
    /// memory, or by one question to the index.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::Unavailable`].
    pub async fn bucket_documents(&self, bucket: &BucketName) -> Result<Arc<BucketDocuments>, ObjectsError> {
        let resolved = self.resolve(bucket).await?;
        self.documents_of(&resolved).await
    }

    /// The same, with the bucket.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::Unavailable`].
    pub async fn bucket_with_documents(
        &self,
        bucket: &BucketName,
    ) -> Result<(Arc<Bucket>, Arc<BucketDocuments>), ObjectsError> {
        let resolved = self.resolve(bucket).await?;
        let documents = self.documents_of(&resolved).await?;
        Ok((resolved.bucket, documents))
    }

    /// The bucket's documents with every change that was answered before this: by a question for the bucket's row.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::Unavailable`].
    pub async fn bucket_documents_now(&self, bucket: &BucketName) -> Result<Arc<BucketDocuments>, ObjectsError> {
        let mut resolved = self.resolve(bucket).await?;
        match row_of(self.index(), resolved.row.id).await? {
            Some(row) => {
                self.buckets().learn(bucket, &row);
                resolved.row = row;
            }
            // The name means another bucket by now, or none.
            None => resolved = self.buckets().resolve_anew(self.index(), bucket).await?,
        }
        self.documents_of(&resolved).await
    }

    /// The document of a kind, as it is now.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::Unavailable`].
    pub async fn get_bucket_document(
        &self,
        bucket: &BucketName,
        kind: DocumentKind,
    ) -> Result<Option<Bytes>, ObjectsError> {
        let resolved = self.buckets().resolve_anew(self.index(), bucket).await?;
        Ok(self.ask_for_documents(&resolved).await?.text(kind).cloned())
    }

    async fn documents_of(&self, resolved: &Resolved) -> Result<Arc<BucketDocuments>, ObjectsError> {
        match self.documents().get(resolved.row.id) {
            Some(known) if known.is_fresh(resolved.row.epoch, self.clock().monotonic()) => Ok(known.documents),
            _ => self.ask_for_documents(resolved).await,
        }
    }

    /// `resolved` was found before: what is answered is of its epoch, or newer.
    async fn ask_for_documents(&self, resolved: &Resolved) -> Result<Arc<BucketDocuments>, ObjectsError> {
        let (bucket, epoch) = (resolved.row.id, resolved.row.epoch);
        let before = self.documents().get(bucket);
        let asked = self.clock().monotonic();
        let query = Query::BucketDocuments { bucket, known: before.as_ref().map(|known| known.changed) };
        let (changed, documents) = match self.index().ask(query).await? {
            QueryAnswer::BucketDocuments { changed, documents } => (changed, documents),
            other => return Err(unexpected("a bucket's documents", &other)),
        };
        let before = before.map(|known| known.documents);
        let documents = match (documents, before) {
            (Some(documents), before) => Arc::new(BucketDocuments::after(before.as_deref(), documents)),
            (None, Some(before)) => before,
            (None, None) => return Err(unexpected("a bucket's documents", &"those that nobody knew")),
        };
        self.documents().keep(bucket, Known { documents: documents.clone(), changed, epoch, asked });
        Ok(documents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(asked: u64, bytes: usize) -> Known {
        let document = BucketDocument { kind: DocumentKind::Cors, document: vec![b'x'; bytes].into() };
        Known {
            documents: Arc::new(BucketDocuments::after(None, vec![document])),
            changed: CommitStamp(1),
            epoch: BucketEpoch(1),
            asked: Duration::from_secs(asked),
        }
    }

    #[test]
    fn those_used_last_stay_within_the_bounds() {
        let documents = KnownDocuments::default();
        for bucket in 0..20 {
            documents.keep(BucketId(bucket), known(1, 1 << 20));
            documents.get(BucketId(0));
            assert!(documents.kept.lock().bytes <= BYTES_MAX);
        }
        assert!(documents.get(BucketId(0)).is_some() && documents.get(BucketId(19)).is_some());
        assert!(documents.get(BucketId(1)).is_none());
        for bucket in 0..BUCKETS_MAX as u64 + 10 {
            documents.keep(BucketId(bucket), known(2, 0));
        }
        assert_eq!(documents.kept.lock().buckets.len(), BUCKETS_MAX);
        assert_eq!(documents.kept.lock().bytes, 0);
    }

    #[test]
    fn what_was_asked_earlier_does_not_replace_what_was_asked_later() {
        let documents = KnownDocuments::default();
        documents.keep(BucketId(1), known(2, 7));
        documents.keep(BucketId(1), known(1, 9));
        assert_eq!(documents.get(BucketId(1)).map(|known| known.documents.bytes()), Some(7));
    }

    #[test]
    fn a_document_is_parsed_once_as_long_as_it_stays_the_same() {
        let parses = std::cell::Cell::new(0);
        let parse = |bytes: &[u8]| {
            parses.set(parses.get() + 1);
            bytes.len()
        };
        let document = |text: &'static [u8]| BucketDocument { kind: DocumentKind::Cors, document: text.into() };
        let other = BucketDocument { kind: DocumentKind::Tagging, document: Bytes::from_static(b"tags") };
        let first = BucketDocuments::after(None, vec![document(b"one")]);
        assert_eq!(first.parsed(DocumentKind::Cors, parse), Some(Arc::new(3)));
        assert_eq!(first.parsed(DocumentKind::Cors, parse), Some(Arc::new(3)));
        assert_eq!(first.parsed(DocumentKind::Tagging, parse), None);
        let second = BucketDocuments::after(Some(&first), vec![other, document(b"one")]);
        assert_eq!(second.parsed(DocumentKind::Cors, parse), Some(Arc::new(3)));
        assert_eq!(parses.get(), 1);
        let third = BucketDocuments::after(Some(&second), vec![document(b"three")]);
        assert_eq!(third.parsed(DocumentKind::Cors, parse), Some(Arc::new(5)));
        assert_eq!(parses.get(), 2);
    }
}
