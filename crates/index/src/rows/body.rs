//! The body of a version: all that a listing doesn't show. Also the rows of parts.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{
    Checksum, CommitStamp, ETag, Extent, HomeKey, ObjectAttributes, Part, PartNumber, PartSummary, Run, Transform,
    UploadId, Version, VersionKind,
};

use super::{HeadRow, RowError};

/// The row of `bodies`. Delete markers have none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BodyRow<'a> {
    pub(crate) checksum: Option<Cow<'a, Checksum>>,
    pub(crate) attributes: Cow<'a, ObjectAttributes>,
    pub(crate) kind: BodyKind<'a>,
}

/// What the version is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum BodyKind<'a> {
    /// One part.
    Single(PartRow<'a>),
    /// Rows of `parts` under this upload.
    Multipart { upload: UploadId, parts: Vec<PartSummary> },
}

/// The row of `parts`, and the one part of a plain version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartRow<'a> {
    pub(crate) number: PartNumber,
    pub(crate) etag: ETag,
    pub(crate) checksums: Cow<'a, [Checksum]>,
    #[serde(with = "postcard::fixint::le")]
    pub(crate) crc64_nvme: u64,
    pub(crate) plain_bytes: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) transforms: Cow<'a, [Transform]>,
    pub(crate) extents: Vec<ExtentRow<'a>>,
    pub(crate) modified: CommitStamp,
    /// Whether a row of `degraded` names it.
    pub(crate) degraded: bool,
}

/// An extent; the bytes of all inline ones follow each other in the row's `inline` column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum ExtentRow<'a> {
    Inline { length: u64 },
    Slice { offset: u64, length: u64, run: Cow<'a, Run> },
}

impl<'a> PartRow<'a> {
    /// The row of a part, without its inline bytes: those are [`inline_bytes`].
    pub(crate) fn of(part: &'a Part, modified: CommitStamp, degraded: bool) -> Self {
        let extent = |extent: &'a Extent| match extent {
            Extent::Inline(bytes) => ExtentRow::Inline { length: bytes.len() as u64 },
            Extent::Slice { offset, length, run } => {
                ExtentRow::Slice { offset: *offset, length: *length, run: Cow::Borrowed(run) }
            }
        };
        Self {
            number: part.number,
            etag: part.etag,
            checksums: Cow::Borrowed(&part.checksums),
            crc64_nvme: part.crc64_nvme,
            plain_bytes: part.plain_bytes,
            stored_bytes: part.stored_bytes,
            transforms: Cow::Borrowed(&part.transforms),
            extents: part.extents.iter().map(extent).collect(),
            modified,
            degraded,
        }
    }

    /// The part, with its inline bytes.
    pub(crate) fn into_part(self, inline: Option<&[u8]>) -> Result<Part, RowError> {
        let mut inline = inline.map_or_else(Bytes::new, Bytes::copy_from_slice);
        let mut extents = Vec::with_capacity(self.extents.len());
        for extent in self.extents {
            extents.push(match extent {
                ExtentRow::Inline { length } => {
                    let length = usize::try_from(length).ok().filter(|length| *length <= inline.len());
                    Extent::Inline(inline.split_to(length.ok_or_else(|| RowError::new("inline bytes are missing"))?))
                }
                ExtentRow::Slice { offset, length, run } => Extent::Slice { offset, length, run: run.into_owned() },
            });
        }
        if !inline.is_empty() {
            return Err(RowError::new("inline bytes are left over"));
        }
        Ok(Part {
            number: self.number,
            etag: self.etag,
            checksums: self.checksums.into_owned(),
            crc64_nvme: self.crc64_nvme,
            plain_bytes: self.plain_bytes,
            stored_bytes: self.stored_bytes,
            transforms: self.transforms.into_owned(),
            extents,
            modified: self.modified,
        })
    }

    /// The runs that it lies in, each once.
    pub(crate) fn runs(&self) -> Vec<&Run> {
        distinct(self.extents.iter().filter_map(|extent| match extent {
            ExtentRow::Slice { run, .. } => Some(run.as_ref()),
            ExtentRow::Inline { .. } => None,
        }))
    }
}

/// The runs that a part lies in, each once.
pub(crate) fn runs_of(part: &Part) -> Vec<&Run> {
    distinct(part.extents.iter().filter_map(|extent| match extent {
        Extent::Slice { run, .. } => Some(run),
        Extent::Inline(_) => None,
    }))
}

fn distinct<'a>(runs: impl Iterator<Item = &'a Run>) -> Vec<&'a Run> {
    let mut all: Vec<&Run> = Vec::new();
    for run in runs {
        // A part has few runs, and slices of one run follow each other.
        if !all.iter().rev().any(|known| known.id == run.id) {
            all.push(run);
        }
    }
    all
}

/// The run with its home said, for a row that doesn't stand under it.
pub(crate) fn with_home(run: &Run, home: impl FnOnce() -> HomeKey) -> Run {
    Run { home: Some(run.home.clone().unwrap_or_else(home)), ..run.clone() }
}

/// The inline bytes of a part, in order; `None` when it has no inline extent.
pub(crate) fn inline_bytes(part: &Part) -> Option<Cow<'_, [u8]>> {
    let mut inline = part.extents.iter().filter_map(|extent| match extent {
        Extent::Inline(bytes) => Some(bytes.as_ref()),
        Extent::Slice { .. } => None,
    });
    let first = inline.next()?;
    let rest: Vec<&[u8]> = inline.collect();
    if rest.is_empty() { Some(Cow::Borrowed(first)) } else { Some(Cow::Owned([&[first], &rest[..]].concat().concat())) }
}

/// A whole version out of its rows; `body` and its inline bytes are `None` for a marker.
pub(crate) fn version_of(head: HeadRow, body: Option<(BodyRow<'static>, Option<&[u8]>)>) -> Result<Version, RowError> {
    let (kind, checksum, attributes) = match body {
        None if head.marker => (VersionKind::DeleteMarker, None, ObjectAttributes::default()),
        None => return Err(RowError::new("a version that is no marker has no body")),
        Some((body, inline)) => {
            let kind = match body.kind {
                BodyKind::Single(part) => VersionKind::Single(part.into_part(inline)?),
                BodyKind::Multipart { upload, parts } => VersionKind::Multipart { upload, parts },
            };
            (kind, body.checksum.map(Cow::into_owned), body.attributes.into_owned())
        }
    };
    Ok(Version {
        id: head.id,
        null: head.null,
        kind,
        plain_bytes: head.plain_bytes,
        etag: head.etag,
        checksum,
        attributes,
        owner: head.owner,
        superseded: head.superseded,
    })
}
