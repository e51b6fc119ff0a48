//! What objects hold: bytes that say which PUT they are of, and that nothing else can pass for.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use parking_lot::Mutex;
use platform::{Entropy, SeededEntropy};
use types::ETag;

use crate::history::ValueId;

/// The least that a part has which is not the last of its upload, in bytes.
const PART_BYTES_MIN: usize = 5 << 20;
/// Marks the names of bodies that are uploaded in two parts.
const IN_TWO_PARTS: ValueId = 1 << 40;

/// All bodies that were made. Clones are the same ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    last: ValueId,
    by_tag: HashMap<ETag, ValueId>,
    tags: HashMap<ValueId, ETag>,
}

impl Known {
    fn name(&mut self, flag: ValueId, tag_of: impl Fn(ValueId) -> ETag) -> ValueId {
        self.last += 1;
        let value = self.last | flag;
        let tag = tag_of(value);
        self.by_tag.insert(tag, value);
        self.tags.insert(value, tag);
        value
    }
}

impl Values {
    /// A new body, and its name.
    pub(crate) fn make(&self) -> (ValueId, Bytes) {
        let value = self.0.lock().name(0, |value| ETag::of_body(md5_of(&body_of(value))));
        (value, body_of(value))
    }

    /// A new body to be uploaded, in one part or two, and its name.
    pub(crate) fn make_parts(&self, in_two: bool) -> (ValueId, Vec<Bytes>) {
        let flag = if in_two { IN_TWO_PARTS } else { 0 };
        let value = self.0.lock().name(flag, |value| tag_of_parts(&parts_of(value)));
        (value, parts_of(value))
    }

    /// A name for what has no bytes: a delete marker.
    pub(crate) fn make_marker(&self) -> ValueId {
        let mut known = self.0.lock();
        known.last += 1;
        known.last
    }

    /// The body with this tag, if there is one.
    pub(crate) fn with_tag(&self, tag: &ETag) -> Option<ValueId> {
        self.0.lock().by_tag.get(tag).copied()
    }

    /// The tag of a body that was made.
    pub(crate) fn tag(&self, value: ValueId) -> ETag {
        self.0.lock().tags[&value]
    }
}

/// The bytes: the name, and noise. Half of the bodies go into the index, some into packed copies, others into stripes.
fn body_of(value: ValueId) -> Bytes {
    let noise = SeededEntropy::new(value);
    let number = noise.number();
    let bytes = match number % 8 {
        _ if value & IN_TWO_PARTS != 0 => PART_BYTES_MIN as u64 + 1 + number / 8 % 100_000,
        0..=3 => 16 + number / 8 % 2_000,
        4 | 5 => 5_000 + number / 8 % 30_000,
        _ => 70_000 + number / 8 % 100_000,
    };
    let mut body = vec![0; usize::try_from(bytes).expect("short bodies")];
    noise.fill(&mut body);
    body[..8].copy_from_slice(&value.to_le_bytes());
    body.into()
}

fn parts_of(value: ValueId) -> Vec<Bytes> {
    let mut body = body_of(value);
    if value & IN_TWO_PARTS == 0 {
        return vec![body];
    }
    let first = body.split_to(PART_BYTES_MIN);
    vec![first, body]
}

fn md5_of(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

fn tag_of_parts(parts: &[Bytes]) -> ETag {
    let of_parts: Vec<u8> = parts.iter().flat_map(|part| md5_of(part)).collect();
    ETag { md5: md5_of(&of_parts), parts: Some(u16::try_from(parts.len()).expect("few parts")) }
}

/// Which body these bytes are, if they are one.
pub(crate) fn value_of(bytes: &[u8]) -> Option<ValueId> {
    let value = ValueId::from_le_bytes(bytes.first_chunk().copied()?);
    (body_of(value) == bytes).then_some(value)
}
