//! Commands by which versions and uploads expire, and what a range keeps to know when to look at which key.

use serde::{Deserialize, Serialize};
use types::{ObjectKey, StorageClass, Timestamp, UploadId, VersionId};

use super::BucketAt;

/// Has a range note which keys of a bucket are to be looked at and when, or note no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowLifecycle {
    /// The bucket, at the epoch under which its rules were read.
    pub bucket: BucketAt,
    /// What its rules come to. Where it is the same as what stands, nothing changes; else a pass over all keys begins.
    /// `None`: it has no rules.
    pub rules: Option<LifecycleTimes>,
}

/// What a bucket's rules say of when something may be to be done with a key that has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleTimes {
    /// Names the rules, and all else that the rest was made of.
    pub fingerprint: [u8; 16],
    /// So many microseconds after the moment of the change, rounded up; `None`: by no rule that counts days.
    pub after_us: Option<u64>,
    /// The moment is rounded up to the next multiple of this; at least 1.
    pub round_us: u64,
    /// From this moment on, whatever was changed when.
    pub date: Option<Timestamp>,
}

/// What a range keeps of a bucket with rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowedLifecycle {
    /// By what keys are noted.
    pub times: LifecycleTimes,
    /// After which place the pass over all keys goes on (empty: at the beginning); `None` once it has ended.
    pub pass: Option<Vec<u8>>,
}

impl LifecycleTimes {
    /// Names a bucket's rules as they are stored, where a day is so long.
    pub fn fingerprint_of(document: &[u8], day_us: u64) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&day_us.to_le_bytes());
        hasher.update(document);
        *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
    }

    /// When a key that was changed at `changed` is to be looked at; `None`: no rule is about it.
    pub fn look_at(&self, changed: Timestamp) -> Option<Timestamp> {
        let rounded = (changed.0 / self.round_us.max(1)).saturating_add(1).saturating_mul(self.round_us.max(1));
        let by_days = self.after_us.map(|after| Timestamp(rounded.saturating_add(after)));
        let by_date = self.date.map(|date| date.max(changed));
        [by_days, by_date].into_iter().flatten().min()
    }
}

/// Does what rules say of keys of one bucket, as far as they still are what was judged. Each key stands in it once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expire {
    /// The bucket, at the epoch under which its rules were read.
    pub bucket: BucketAt,
    /// The keys.
    pub keys: Vec<ExpireKey>,
    /// How far the pass over all keys has come by this.
    pub pass: Option<LifecyclePass>,
}

/// Where a pass over all keys of a bucket is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecyclePass {
    /// The rules by which it is made: of others, nothing is noted.
    pub fingerprint: [u8; 16],
    /// After which place it goes on; `None` at its end.
    pub after: Option<Vec<u8>>,
}

/// What is to be done with a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpireKey {
    /// The key.
    pub key: ObjectKey,
    /// The moment for which it was noted; that note goes.
    pub noted: Option<Timestamp>,
    /// What is done, in order.
    pub actions: Vec<ExpireAction>,
    /// When it is to be looked at again, if nothing changes until then.
    pub next: Option<Timestamp>,
}

/// One thing to do with a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpireAction {
    /// What.
    pub kind: ExpireKind,
    /// Since when it is to be done: not before, by the range's time.
    pub since: Timestamp,
}

/// What there is to do, each if what it names still is so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ExpireKind {
    /// The object is deleted, as by a DELETE that names no version: it is the newest, and has these tags.
    Newest {
        /// Its id.
        version: VersionId,
        /// Its tags.
        tags: Vec<(String, String)>,
        /// The random half of a marker's id.
        random: u64,
    },
    /// A version that is not the newest is removed for good.
    Noncurrent {
        /// Its id.
        version: VersionId,
        /// When a newer one came.
        superseded: types::CommitStamp,
        /// Its tags; a marker has none.
        tags: Vec<(String, String)>,
        /// So many versions that are not the newest are newer than this one, at least.
        newer: u32,
    },
    /// A delete marker is removed that is all that is left of its key.
    Marker {
        /// Its id.
        version: VersionId,
    },
    /// An upload under way is ended.
    Upload {
        /// Its id.
        upload: UploadId,
    },
    /// A version is said to be of another storage class; its bytes have been moved before.
    Class {
        /// Its id.
        version: VersionId,
        /// When a newer one came; `None`: it is the newest.
        superseded: Option<types::CommitStamp>,
        /// Its tags.
        tags: Vec<(String, String)>,
        /// So many versions that are not the newest are newer than this one, at least.
        newer: u32,
        /// The class that it has.
        from: StorageClass,
        /// The class that it gets.
        to: StorageClass,
    },
}

/// What an [`Expire`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// Objects deleted.
    pub objects: u64,
    /// Versions removed for good that were not the newest.
    pub noncurrent: u64,
    /// Markers removed that were all that was left of a key.
    pub markers: u64,
    /// Uploads ended.
    pub uploads: u64,
    /// Versions that have another class.
    pub moved: u64,
    /// What was left because it is not any more what was judged, or is held by object lock.
    pub left: u64,
}
