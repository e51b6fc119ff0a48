//! What objects hold: bytes that say which PUT they are of, and that nothing else can pass for.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use parking_lot::Mutex;
use platform::{Entropy, SeededEntropy};
use types::ETag;

use crate::history::ValueId;

/// All bodies that were made. Clones are the same ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    last: ValueId,
    by_tag: HashMap<ETag, ValueId>,
}

impl Values {
    /// A new body, and its name.
    pub(crate) fn make(&self) -> (ValueId, Bytes) {
        let mut known = self.0.lock();
        known.last += 1;
        let (value, body) = (known.last, body_of(known.last));
        known.by_tag.insert(tag_of(value), value);
        (value, body)
    }

    /// The body with this tag, if there is one.
    pub(crate) fn with_tag(&self, tag: &ETag) -> Option<ValueId> {
        self.0.lock().by_tag.get(tag).copied()
    }
}

/// The tag of a body.
pub(crate) fn tag_of(value: ValueId) -> ETag {
    ETag::of_body(Md5::digest(body_of(value)).into())
}

/// The bytes: the name, and noise. Half of the bodies go into the index, some into packed copies, others into stripes.
pub(crate) fn body_of(value: ValueId) -> Bytes {
    let noise = SeededEntropy::new(value);
    let number = noise.number();
    let bytes = match number % 8 {
        0..=3 => 16 + number / 8 % 2_000,
        4 | 5 => 5_000 + number / 8 % 30_000,
        _ => 70_000 + number / 8 % 100_000,
    };
    let mut body = vec![0; usize::try_from(bytes).expect("short bodies")];
    noise.fill(&mut body);
    body[..8].copy_from_slice(&value.to_le_bytes());
    body.into()
}

/// Which body these bytes are, if they are one.
pub(crate) fn value_of(bytes: &[u8]) -> Option<ValueId> {
    let value = ValueId::from_le_bytes(bytes.first_chunk().copied()?);
    (body_of(value) == bytes).then_some(value)
}
