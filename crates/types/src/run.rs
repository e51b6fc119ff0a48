//! Runs and extents: where a part's bytes lie.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{BucketId, Code, ObjectKey, PlacementGroupId, Profile, RunId, SlotIndex};

/// The key that a run was written under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HomeKey {
    /// The bucket, by number: it may have another name, or none, by now.
    pub bucket: BucketId,
    /// The key.
    pub key: ObjectKey,
}

/// How a run's stripes lie in its placement group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RunForm {
    /// Each stripe is cut into k data and m parity shards; shard i lies in slot i.
    Striped,
    /// The small form: one stripe in 1+m whole copies; copy i lies in slot `(first_slot + i) modulo (k+m)` of the
    /// placement group, whose own profile may be wider than the run's 1+m.
    Copies {
        /// Where the first copy lies.
        first_slot: SlotIndex,
        /// The number of slots of the placement group.
        group_width: u8,
    },
}

/// A sequence of stripes written by one writer into one placement group.
///
/// All stripes but the last have `stripe_bytes` plain bytes. Data is immutable: a run is named once and never
/// rewritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The key it was written under; `None` is the key of the row that it stands in.
    pub home: Option<HomeKey>,
    /// Where its shards lie.
    pub group: PlacementGroupId,
    /// k, m, shard size and block checksum; for copies 1+m.
    pub profile: Profile,
    /// Which matrix made the parity.
    pub code: Code,
    /// How it lies in the group.
    pub form: RunForm,
    /// Plain bytes of each stripe but the last.
    pub stripe_bytes: u32,
    /// How many stripes, at least 1.
    pub stripes: u32,
    /// Plain bytes of the last stripe, from 1 to `stripe_bytes`.
    pub last_stripe_bytes: u32,
}

impl Run {
    /// Plain bytes of the whole run.
    pub fn plain_bytes(&self) -> u64 {
        u64::from(self.stripes - 1) * u64::from(self.stripe_bytes) + u64::from(self.last_stripe_bytes)
    }

    /// Plain bytes of stripe `stripe`.
    pub fn plain_bytes_of(&self, stripe: u32) -> usize {
        let bytes = if stripe + 1 == self.stripes { self.last_stripe_bytes } else { self.stripe_bytes };
        bytes as usize
    }

    /// Bytes of each shard of stripe `stripe`.
    pub fn shard_len_of(&self, stripe: u32) -> usize {
        self.profile.shard_len(self.plain_bytes_of(stripe))
    }

    /// The slot of the placement group in which shard `shard` of every stripe lies.
    pub fn slot_of(&self, shard: u8) -> SlotIndex {
        match self.form {
            RunForm::Striped => SlotIndex(shard),
            RunForm::Copies { first_slot, group_width } => SlotIndex((first_slot.0 + shard) % group_width),
        }
    }

    /// Bytes of all shards on all disks, without headers.
    pub fn stored_bytes(&self) -> u64 {
        let shard = |stripe| self.shard_len_of(stripe) as u64;
        let full = u64::from(self.stripes - 1) * if self.stripes > 1 { shard(0) } else { 0 };
        (full + shard(self.stripes - 1)) * self.profile.width() as u64
    }
}

/// A stretch of a part's stored bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// The bytes themselves, in the index.
    Inline(Bytes),
    /// `length` bytes from `offset` of a run's plain bytes.
    Slice {
        /// Bytes into the run.
        offset: u64,
        /// Bytes.
        length: u64,
        /// The run.
        run: Run,
    },
}

impl Extent {
    /// How many bytes it stands for.
    pub fn length(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Slice { length, .. } => *length,
        }
    }

    /// The run that it lies in, unless it is inline.
    pub fn run(&self) -> Option<&Run> {
        match self {
            Self::Inline(_) => None,
            Self::Slice { run, .. } => Some(run),
        }
    }
}
