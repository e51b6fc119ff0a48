//! From a key to a version, and from a version to its bytes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use index::command::BucketRow;
use index::{Query, QueryAnswer};
use types::{
    BucketName, Checksum, ChecksumAlgorithm, HomeKey, ObjectKey, Part, PartNumber, PartSummary, UploadId, Version,
    VersionId, VersionKind,
};

use crate::commit::unexpected;
use crate::conditions::Verdict;
use crate::data::{BodyReader, PartToRead, ReadError};
use crate::head::{ChosenPart, count_of};
use crate::writes::full_crc64_nvme;
use crate::{ObjectBody, ObjectHead, Objects, ObjectsError, ReadConditions, Selection, ShownVersion, WhichVersion};

/// Part rows that are asked for at once while a completed upload is read: half a gigabyte and more.
const PARTS_PAGE: usize = 100;
/// How often the index is asked again, without progress, because bytes were freed or part rows were gone.
const ASKED_AGAIN_MAX: usize = 2;
/// How often a read begins anew because its version went away before the first byte.
pub(crate) const BEGUN_ANEW_MAX: usize = 3;

/// A version with bytes, and the row of its bucket.
pub(crate) struct Found {
    pub(crate) home: HomeKey,
    pub(crate) row: BucketRow,
    pub(crate) version: Box<Version>,
}

impl Found {
    /// What the version says beside its bytes. To be taken once: the version does without it from then on.
    pub(crate) fn take_head(&mut self) -> ObjectHead {
        ObjectHead::taken_from(&mut self.version, self.row.config.versioning)
    }
}

impl Objects {
    /// Finds a version by one question to the index.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::NoSuchKey`], [`ObjectsError::NoSuchVersion`],
    /// [`ObjectsError::NewestIsMarker`], [`ObjectsError::NamedIsMarker`].
    pub(crate) async fn find(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        which: WhichVersion,
    ) -> Result<Found, ObjectsError> {
        self.find_by(bucket, key, which, version_query).await
    }

    /// As [`Self::find`], for those who don't read the bytes: those that lie in the index are missing.
    pub(crate) async fn find_head(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        which: WhichVersion,
    ) -> Result<Found, ObjectsError> {
        self.find_by(bucket, key, which, version_head_query).await
    }

    async fn find_by(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        which: WhichVersion,
        query: fn(&HomeKey, WhichVersion) -> Query,
    ) -> Result<Found, ObjectsError> {
        let mut resolved = self.resolve(bucket).await?;
        loop {
            let home = HomeKey { bucket: resolved.row.id, key: key.clone() };
            let (version, row) = self.ask_version(query(&home, which)).await?;
            let Some(row) = row else {
                // The name means another bucket by now, or none.
                resolved = self.buckets().resolve_anew(self.index(), bucket).await?;
                continue;
            };
            self.buckets().learn(bucket, &row);
            return match version {
                Some(version) if version.is_delete_marker() => Err(error_of_marker(key, which, &version, &row)),
                Some(version) => Ok(Found { home, row, version }),
                None => Err(error_of_missing(key, which)),
            };
        }
    }

    /// One version of a key, whatever it is, and the row of the bucket.
    pub(crate) async fn version(
        &self,
        home: &HomeKey,
        which: WhichVersion,
    ) -> Result<(Option<Box<Version>>, Option<BucketRow>), ObjectsError> {
        self.ask_version(version_query(home, which)).await
    }

    async fn ask_version(&self, query: Query) -> Result<(Option<Box<Version>>, Option<BucketRow>), ObjectsError> {
        match self.index().ask(query).await? {
            QueryAnswer::Version { version, row } => Ok((version, row)),
            other => Err(unexpected("a version", &other)),
        }
    }

    /// Part rows of an upload, those after number `after`.
    pub(crate) async fn part_rows(
        &self,
        home: &HomeKey,
        upload: UploadId,
        after: u16,
        limit: usize,
    ) -> Result<Vec<Part>, ObjectsError> {
        let query = Query::Parts { bucket: home.bucket, key: home.key.clone(), upload, after, limit };
        match self.index().ask(query).await? {
            QueryAnswer::Parts(parts) => Ok(parts),
            other => Err(unexpected("an upload's parts", &other)),
        }
    }

    /// Which bytes of a version `selection` names, and the part, if it names one. `head` has been taken from `found`.
    pub(crate) async fn select(
        &self,
        found: &Found,
        head: &ObjectHead,
        selection: Selection,
    ) -> Result<(Range<u64>, Option<ChosenPart>), ObjectsError> {
        let object_bytes = found.version.plain_bytes;
        let number = match selection {
            Selection::Whole => return Ok((0..object_bytes, None)),
            Selection::Range(range) => {
                let range = range.within(object_bytes).ok_or(ObjectsError::InvalidRange { object_bytes })?;
                // A range that is exactly one part is answered with that part's checksum.
                match part_of_range(&found.version.kind, &range) {
                    Some(number) => number,
                    None => return Ok((range, None)),
                }
            }
            Selection::Part(number) => number,
        };
        let index = usize::from(number.get()) - 1;
        match &found.version.kind {
            VersionKind::Multipart { upload, parts } => {
                let Some(summary) = parts.get(index) else {
                    return Err(ObjectsError::InvalidPartNumber { number, parts: count_of(parts.len()) });
                };
                let start: u64 = parts[..index].iter().map(|part| part.plain_bytes).sum();
                let rows = self.part_rows(&found.home, *upload, summary.number.get() - 1, 1).await?;
                let algorithm = head.checksum.as_ref().map(|checksum| checksum.algorithm);
                let row = rows.first().filter(|row| row.number == summary.number);
                let checksum = row.and_then(|row| checksum_of(row, algorithm));
                Ok((start..start + summary.plain_bytes, Some(ChosenPart { number, checksum })))
            }
            VersionKind::Single(_) if number == PartNumber::ONE => {
                Ok((0..object_bytes, Some(ChosenPart { number, checksum: head.checksum.clone() })))
            }
            VersionKind::Single(_) => Err(ObjectsError::InvalidPartNumber { number, parts: 1 }),
            VersionKind::DeleteMarker => unreachable!("a version that was found has bytes"),
        }
    }

    /// Opens bytes `range` of a version: the first of them have been read once this returns. `None` when the version
    /// went away before that.
    pub(crate) async fn open(&self, found: Found, range: Range<u64>) -> Result<Option<ObjectBody>, ObjectsError> {
        let mut reading = Reading {
            objects: self.clone(),
            home: found.home,
            id: found.version.id,
            null: found.version.null,
            source: Source::of(*found.version),
            range,
            reader: None,
            asked_again: 0,
        };
        match reading.next().await {
            Ok(None) => Ok(Some(stream::empty().boxed())),
            Ok(Some(first)) => {
                let rest = stream::try_unfold(reading, |mut reading| async move {
                    Ok(reading.next().await?.map(|bytes| (bytes, reading)))
                });
                Ok(Some(stream::once(std::future::ready(Ok(first))).chain(rest).boxed()))
            }
            Err(ReadingError::VersionGone) => Ok(None),
            Err(ReadingError::Other(error)) => Err(error),
        }
    }
}

fn version_query(home: &HomeKey, which: WhichVersion) -> Query {
    Query::Version { bucket: home.bucket, key: home.key.clone(), which }
}

fn version_head_query(home: &HomeKey, which: WhichVersion) -> Query {
    Query::VersionHead { bucket: home.bucket, key: home.key.clone(), which }
}

/// The conditions of a read.
///
/// # Errors
/// [`ObjectsError::NotModified`], [`ObjectsError::PreconditionFailed`].
pub(crate) fn check_read(conditions: &ReadConditions, head: &ObjectHead) -> Result<(), ObjectsError> {
    match conditions.check(&head.etag, head.modified) {
        Verdict::Holds => Ok(()),
        Verdict::NotModified(_) => Err(ObjectsError::NotModified { head: Box::new(head.clone()) }),
        Verdict::Failed(condition) => Err(ObjectsError::PreconditionFailed { condition: Some(condition) }),
    }
}

/// A part's checksum of this algorithm; CRC64NVME is always kept. Without an algorithm, the one that the client sent.
pub(crate) fn checksum_of(part: &Part, algorithm: Option<ChecksumAlgorithm>) -> Option<Checksum> {
    match algorithm {
        None => part.checksums.first().cloned(),
        Some(algorithm) => {
            let kept = part.checksums.iter().find(|checksum| checksum.algorithm == algorithm).cloned();
            kept.or_else(|| (algorithm == ChecksumAlgorithm::Crc64Nvme).then(|| full_crc64_nvme(part.crc64_nvme)))
        }
    }
}

fn error_of_marker(key: &ObjectKey, which: WhichVersion, version: &Version, row: &BucketRow) -> ObjectsError {
    let key = key.clone();
    let marker = ShownVersion::new(version.id, version.null, row.config.versioning);
    match which {
        WhichVersion::Newest => ObjectsError::NewestIsMarker { key, marker },
        _ => ObjectsError::NamedIsMarker { key, marker, modified: version.modified() },
    }
}

fn error_of_missing(key: &ObjectKey, which: WhichVersion) -> ObjectsError {
    let key = key.clone();
    match which {
        WhichVersion::Newest => ObjectsError::NoSuchKey { key },
        WhichVersion::Null => ObjectsError::NoSuchVersion { key, version: ShownVersion::Null },
        WhichVersion::Id(id) => ObjectsError::NoSuchVersion { key, version: ShownVersion::Id(id) },
    }
}

/// Which of several parts has these bytes, no more and no less. What was not uploaded in parts has none.
fn part_of_range(kind: &VersionKind, range: &Range<u64>) -> Option<PartNumber> {
    let VersionKind::Multipart { parts, .. } = kind else { return None };
    let ranges = parts.iter().scan(0, |end, part| {
        let start = *end;
        *end += part.plain_bytes;
        Some(start..*end)
    });
    let at = ranges.into_iter().position(|of_part| of_part == *range)?;
    // Parts are chosen by their place among those that were completed.
    PartNumber::new(u32::try_from(at + 1).ok()?)
}

/// Where a version's bytes are found.
enum Source {
    Single(Box<Part>),
    Multipart { upload: UploadId, parts: Arc<[PartSummary]> },
}

impl Source {
    fn of(version: Version) -> Self {
        match version.kind {
            VersionKind::Single(part) => Self::Single(Box::new(part)),
            VersionKind::Multipart { upload, parts } => Self::Multipart { upload, parts: parts.into() },
            VersionKind::DeleteMarker => unreachable!("a version that was found has bytes"),
        }
    }
}

/// A read under way.
struct Reading {
    objects: Objects,
    home: HomeKey,
    source: Source,
    id: VersionId,
    null: bool,
    /// The bytes of the object that are still to be read.
    range: Range<u64>,
    /// Reads up to the given byte of the object.
    reader: Option<(BodyReader, u64)>,
    /// Since the last progress.
    asked_again: usize,
}

/// Why a read goes no further.
enum ReadingError {
    VersionGone,
    Other(ObjectsError),
}

impl From<ObjectsError> for ReadingError {
    fn from(error: ObjectsError) -> Self {
        Self::Other(error)
    }
}

impl From<ReadingError> for ObjectsError {
    fn from(error: ReadingError) -> Self {
        match error {
            // The answer's head is out: all that is left is to break the connection off.
            ReadingError::VersionGone => {
                let reason = "the version was deleted while it was being read".to_owned();
                Self::Unavailable { reason, outcome_unknown: false }
            }
            ReadingError::Other(error) => error,
        }
    }
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, ReadingError> {
        while !self.range.is_empty() {
            let Some((reader, reads_to)) = &mut self.reader else {
                self.open_reader().await?;
                continue;
            };
            match reader.next().await {
                Some(Ok(bytes)) => {
                    self.range.start += bytes.len() as u64;
                    self.asked_again = 0;
                    return Ok(Some(bytes));
                }
                None if self.range.start == *reads_to => self.reader = None,
                None => {
                    let reason = format!("the read ended at byte {} before {reads_to}", self.range.start);
                    return Err(ObjectsError::Damaged { reason }.into());
                }
                Some(Err(ReadError::Gone)) => {
                    self.reader = None;
                    // They may have been freed on a disk that has handed its slot on.
                    if let Err(error) = self.objects.data().refresh_layout().await {
                        tracing::debug!(%error, "the layout could not be read anew");
                    }
                    self.ask_again("its bytes were freed").await?;
                }
                Some(Err(error)) => return Err(error_of_read(error).into()),
            }
        }
        Ok(None)
    }

    async fn open_reader(&mut self) -> Result<(), ReadingError> {
        match &self.source {
            Source::Single(part) => {
                let reader = self.objects.data().read(vec![to_read(&self.home, (**part).clone())], self.range.clone());
                self.reader = Some((reader, self.range.end));
            }
            Source::Multipart { upload, parts } => {
                let (upload, parts) = (*upload, parts.clone());
                let page = PartsPage::of(&parts, &self.range);
                let summaries = &parts[page.parts.clone()];
                let after = summaries[0].number.get() - 1;
                let rows = self.objects.part_rows(&self.home, upload, after, summaries.len()).await?;
                let as_named = rows.len() == summaries.len()
                    && rows
                        .iter()
                        .zip(summaries)
                        .all(|(row, summary)| row.number == summary.number && row.plain_bytes == summary.plain_bytes);
                if !as_named {
                    return self.ask_again("its part rows are gone").await;
                }
                let rows = rows.into_iter().map(|row| to_read(&self.home, row)).collect();
                let reads_to = page.bytes.end.min(self.range.end);
                let within = self.range.start - page.bytes.start..reads_to - page.bytes.start;
                self.reader = Some((self.objects.data().read(rows, within), reads_to));
            }
        }
        Ok(())
    }

    /// Looks where the version's bytes are now.
    async fn ask_again(&mut self, why: &'static str) -> Result<(), ReadingError> {
        if self.asked_again == ASKED_AGAIN_MAX {
            let reason = format!("version {} of key {} stands, but {why}", self.id, self.home.key);
            return Err(ObjectsError::Damaged { reason }.into());
        }
        self.asked_again += 1;
        let which = if self.null { WhichVersion::Null } else { WhichVersion::Id(self.id) };
        match self.objects.version(&self.home, which).await? {
            (Some(version), Some(_)) if version.id == self.id => {
                self.source = Source::of(*version);
                Ok(())
            }
            _ => Err(ReadingError::VersionGone),
        }
    }
}

/// The next parts of a completed upload to read.
#[derive(Debug, PartialEq)]
struct PartsPage {
    parts: Range<usize>,
    /// All bytes of these parts, in the object.
    bytes: Range<u64>,
}

impl PartsPage {
    /// Up to [`PARTS_PAGE`] parts from the one that has `range`'s first byte, none behind `range`. The range is not
    /// empty and lies within the object.
    fn of(parts: &[PartSummary], range: &Range<u64>) -> Self {
        let mut start = 0;
        let mut first = 0;
        while start + parts[first].plain_bytes <= range.start {
            start += parts[first].plain_bytes;
            first += 1;
        }
        let (mut end, mut last) = (start, first);
        while last < parts.len() && last - first < PARTS_PAGE && end < range.end {
            end += parts[last].plain_bytes;
            last += 1;
        }
        Self { parts: first..last, bytes: start..end }
    }
}

pub(crate) fn to_read(home: &HomeKey, part: Part) -> PartToRead {
    PartToRead { home: home.clone(), extents: part.extents, crc64_nvme: Some(part.crc64_nvme) }
}

pub(crate) fn error_of_read(error: ReadError) -> ObjectsError {
    match error {
        ReadError::SlowDown => ObjectsError::SlowDown,
        ReadError::Unreadable { reason } => ObjectsError::Unavailable { reason, outcome_unknown: false },
        ReadError::Corrupt => ObjectsError::Damaged { reason: error.to_string() },
        // A reader of an object asks the index again before it comes to this.
        ReadError::Gone => ObjectsError::Unavailable { reason: error.to_string(), outcome_unknown: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(lengths: &[u64]) -> Vec<PartSummary> {
        let number = |at: usize| PartNumber::new(1 + at as u32).unwrap();
        lengths.iter().enumerate().map(|(at, bytes)| PartSummary { number: number(at), plain_bytes: *bytes }).collect()
    }

    #[test]
    fn a_range_is_a_part_only_where_it_has_all_its_bytes_and_no_others() {
        let kind = VersionKind::Multipart { upload: UploadId::from_bytes([1; 16]), parts: parts(&[10, 20, 30]) };
        let number = |range| part_of_range(&kind, &range).map(PartNumber::get);
        assert_eq!([number(0..10), number(10..30), number(30..60)], [Some(1), Some(2), Some(3)]);
        assert_eq!([number(0..9), number(1..10), number(10..31), number(0..60)], [None; 4]);
    }

    #[test]
    fn a_page_has_the_parts_of_the_range_alone() {
        let three = parts(&[10, 20, 30]);
        assert_eq!(PartsPage::of(&three, &(0..60)), PartsPage { parts: 0..3, bytes: 0..60 });
        assert_eq!(PartsPage::of(&three, &(10..11)), PartsPage { parts: 1..2, bytes: 10..30 });
        assert_eq!(PartsPage::of(&three, &(29..31)), PartsPage { parts: 1..3, bytes: 10..60 });
        assert_eq!(PartsPage::of(&parts(&[10, 0, 5]), &(9..12)), PartsPage { parts: 0..3, bytes: 0..15 });
        assert_eq!(PartsPage::of(&parts(&[10, 0, 5]), &(10..12)), PartsPage { parts: 2..3, bytes: 10..15 });
        let many = parts(&[7; 1000]);
        assert_eq!(PartsPage::of(&many, &(3500..7000)), PartsPage { parts: 500..600, bytes: 3500..4200 });
    }
}
