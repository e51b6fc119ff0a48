//! Keys of rows: byte strings whose order is the order of what they name.
//!
//! An object key is escaped so that it can be followed by more: `00` becomes `00 ff`, and `00 01` ends it. So the
//! order of escaped keys is that of the keys, no escaped key is a prefix of another, and an escaped prefix of a key
//! (without its end) is a prefix of the escaped key. Numbers are big-endian; a stamp that must sort newest first is
//! inverted. The bytes are fixed by tests/golden/keys.

use std::borrow::Cow;

use types::{BucketId, CommitStamp, HomeKey, ObjectKey, PartNumber, RangeId, RunId, Timestamp, UploadId};

use crate::rows::DegradedKept;

const ESCAPE: u8 = 0x00;
const ESCAPED_ZERO: u8 = 0xff;
const END: u8 = 0x01;

/// No row's key is longer: bucket, a key of zeros, end, and the longest that follows a place.
pub(crate) const ROW_KEY_BYTES_MAX: usize = 8 + 2 * ObjectKey::BYTES_MAX + 2 + 24;

/// The key of an object's rows: bucket, escaped key, end. All rows of an object have it as their prefix.
pub fn place(bucket: BucketId, key: &ObjectKey) -> Vec<u8> {
    place_of_bytes(bucket, key.as_bytes())
}

/// The key whose place this is; `None` for bytes that are no key's place.
pub fn home_of(place: &[u8]) -> Option<HomeKey> {
    let (bucket, key, rest) = split_place(place).ok()?;
    rest.is_empty().then_some(HomeKey { bucket, key })
}

/// The place that `key` would have, of any length: what a listing is to begin after need be no object's key.
pub(crate) fn place_of_bytes(bucket: BucketId, key: &[u8]) -> Vec<u8> {
    let mut place = open_place(bucket, key, 2 + 24);
    place.extend_from_slice(&[ESCAPE, END]);
    place
}

/// What all places of keys that begin with `prefix` begin with.
pub(crate) fn place_prefix(bucket: BucketId, prefix: &[u8]) -> Vec<u8> {
    open_place(bucket, prefix, 0)
}

fn open_place(bucket: BucketId, key: &[u8], spare: usize) -> Vec<u8> {
    let mut place = Vec::with_capacity(8 + key.len() + spare);
    place.extend_from_slice(&bucket.0.to_be_bytes());
    for piece in key.split_inclusive(|byte| *byte == ESCAPE) {
        place.extend_from_slice(piece);
        if piece.last() == Some(&ESCAPE) {
            place.push(ESCAPED_ZERO);
        }
    }
    place
}

/// The least byte string above all that begin with `prefix`; `None` where there is none (`prefix` is all `ff`).
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

/// The key of a row of `versions`: place, then newest first.
pub(crate) fn version_key(place: &[u8], stamp: CommitStamp) -> Vec<u8> {
    [place, &(!stamp.0).to_be_bytes()].concat()
}

/// The key of a row of `uploads`.
pub(crate) fn upload_key(place: &[u8], upload: UploadId) -> Vec<u8> {
    [place, &upload.to_bytes()].concat()
}

/// The key of a row of `uploads_by_time`: place, oldest first.
pub(crate) fn upload_time_key(place: &[u8], began: CommitStamp, upload: UploadId) -> Vec<u8> {
    [place, &began.0.to_be_bytes(), &upload.to_bytes()].concat()
}

/// The key of a row of `parts`; 0 is the manifest's number.
pub(crate) fn part_key(place: &[u8], upload: UploadId, number: PartNumber) -> Vec<u8> {
    part_key_of(place, upload, number.get())
}

/// The key that a part of this number would have.
pub(crate) fn part_key_of(place: &[u8], upload: UploadId, number: u16) -> Vec<u8> {
    [place, &upload.to_bytes(), &number.to_be_bytes()].concat()
}

/// The highest key that a part of the upload can have.
pub(crate) fn part_key_end(place: &[u8], upload: UploadId) -> Vec<u8> {
    part_key_of(place, upload, u16::MAX)
}

/// The key of a row of `garbage`: range, oldest first, run.
pub(crate) fn garbage_key(range: RangeId, freed: CommitStamp, run: RunId) -> Vec<u8> {
    [&garbage_prefix(range, freed)[..], &run.to_bytes()].concat()
}

/// What the keys of a range's rows of `garbage` freed at `freed` begin with.
pub(crate) fn garbage_prefix(range: RangeId, freed: CommitStamp) -> Vec<u8> {
    [range.0.to_be_bytes(), freed.0.to_be_bytes()].concat()
}

/// When the run of a row of `garbage` was freed.
pub(crate) fn garbage_freed(row_key: &[u8]) -> Result<CommitStamp, KeyError> {
    let stamp = row_key.get(8..16).and_then(|bytes| bytes.try_into().ok()).ok_or(KeyError)?;
    Ok(CommitStamp(u64::from_be_bytes(stamp)))
}

/// The key of a row of `due`: range, earliest first, the place of the key to look at.
pub(crate) fn due_key(range: RangeId, at: Timestamp, place: &[u8]) -> Vec<u8> {
    [&range.0.to_be_bytes()[..], &at.0.to_be_bytes(), place].concat()
}

/// The moment and the place of a row of `due`.
pub(crate) fn split_due(row_key: &[u8]) -> Result<(Timestamp, &[u8]), KeyError> {
    let (at, place) = row_key.get(8..).and_then(<[u8]>::split_first_chunk).ok_or(KeyError)?;
    Ok((Timestamp(u64::from_be_bytes(*at)), place))
}

/// The key of a row of `discarded`.
pub(crate) fn discarded_key(range: RangeId, run: RunId) -> Vec<u8> {
    [&range.0.to_be_bytes()[..], &run.to_bytes()].concat()
}

/// The key of a row of `degraded`: place, then 0 and the version (newest first), or 1, the upload and the part.
pub(crate) fn degraded_key(place: &[u8], row: &DegradedKept) -> Vec<u8> {
    match (row.version, row.upload) {
        (_, Some(upload)) => [place, &[1], &upload.to_bytes(), &row.number.get().to_be_bytes()].concat(),
        (version, None) => {
            let stamp = version.map_or(CommitStamp(0), |version| version.stamp);
            [place, &[0], &(!stamp.0).to_be_bytes()].concat()
        }
    }
}

/// A key that is not of the expected form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row's key is malformed")]
pub(crate) struct KeyError;

/// The object key in a row's key, copied only where it has zeros.
pub(crate) fn object_key(row_key: &[u8]) -> Result<Cow<'_, [u8]>, KeyError> {
    let escaped = row_key.get(8..).ok_or(KeyError)?;
    let zero = escaped.iter().position(|byte| *byte == ESCAPE).ok_or(KeyError)?;
    if escaped.get(zero + 1) == Some(&END) {
        return Ok(Cow::Borrowed(&escaped[..zero]));
    }
    split_place(row_key).map(|(_, key, _)| Cow::Owned(key.as_bytes().to_vec()))
}

/// Reads a place off the front of a row's key; returns what follows it, too.
pub(crate) fn split_place(row_key: &[u8]) -> Result<(BucketId, ObjectKey, &[u8]), KeyError> {
    let (bucket, mut rest) = row_key.split_first_chunk().ok_or(KeyError)?;
    let mut key = Vec::with_capacity(rest.len());
    loop {
        let zero = rest.iter().position(|byte| *byte == ESCAPE).ok_or(KeyError)?;
        key.extend_from_slice(&rest[..zero]);
        let after = rest.get(zero + 1).ok_or(KeyError)?;
        rest = &rest[zero + 2..];
        match *after {
            ESCAPED_ZERO => key.push(ESCAPE),
            END => break,
            _ => return Err(KeyError),
        }
    }
    let key = ObjectKey::new(key).map_err(|_| KeyError)?;
    Ok((BucketId(u64::from_be_bytes(*bucket)), key, rest))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn key(bytes: &[u8]) -> ObjectKey {
        ObjectKey::new(bytes.to_vec()).unwrap()
    }

    /// Few distinct bytes, the special ones among them, so that keys often share prefixes.
    fn tricky_key() -> impl Strategy<Value = Vec<u8>> {
        vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(0xfe), Just(0xff), Just(b'a')], 1..12)
    }

    proptest! {
        #[test]
        fn places_sort_as_their_keys(a in tricky_key(), b in tricky_key(), x in 0u64..3, y in 0u64..3) {
            let order = (x, &a).cmp(&(y, &b));
            prop_assert_eq!(place(BucketId(x), &key(&a)).cmp(&place(BucketId(y), &key(&b))), order);
        }

        #[test]
        fn places_read_back(a in tricky_key(), bucket: u64, tail in vec(any::<u8>(), 0..9)) {
            let row_key = [place(BucketId(bucket), &key(&a)), tail.clone()].concat();
            prop_assert_eq!(split_place(&row_key), Ok((BucketId(bucket), key(&a), &tail[..])));
        }

        #[test]
        fn a_prefix_of_a_key_is_a_prefix_of_its_place(a in tricky_key(), length in 0usize..12) {
            let prefix = &a[..length.min(a.len())];
            prop_assert!(place(BucketId(1), &key(&a)).starts_with(&place_prefix(BucketId(1), prefix)));
        }

        #[test]
        fn rows_of_one_key_never_mix_with_those_of_another(a in tricky_key(), b in tricky_key(), tail in vec(any::<u8>(), 0..26)) {
            prop_assume!(a != b);
            let row_key = [place(BucketId(1), &key(&a)), tail].concat();
            prop_assert!(!row_key.starts_with(&place(BucketId(1), &key(&b))));
        }

        #[test]
        fn after_prefix_is_the_least_above(prefix in vec(prop_oneof![Just(0xffu8), Just(0xfe), any::<u8>()], 0..6), tail in vec(any::<u8>(), 0..4)) {
            let below = [prefix.clone(), tail].concat();
            match after_prefix(&prefix) {
                Some(after) => prop_assert!(below < after && !after.starts_with(&prefix)),
                None => prop_assert!(prefix.iter().all(|byte| *byte == 0xff)),
            }
        }
    }
}
