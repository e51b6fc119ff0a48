//! The seam between those who write shards and the disks that keep them: in-process calls today, RPC on a cluster.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{Code, DiskId, HomeKey, PlacementGroupId, Profile, RunForm, RunId, SlotEpoch, SlotIndex, TicketId};

/// Names one shard on a disk. The order of fields is the order of a disk's index, so rebuilding one slot reads in
/// sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardAddress {
    /// The placement group.
    pub group: PlacementGroupId,
    /// The run.
    pub run: RunId,
    /// The stripe's number in the run.
    pub stripe: u32,
    /// 0..k data, k..k+m parity; of the small form the copy's number.
    pub shard: u8,
}

impl ShardAddress {
    /// What all shards of a group come after, in the order in which they are listed.
    pub fn before(group: PlacementGroupId) -> Self {
        let run = RunId { ticket: TicketId(u64::MAX), tail: u64::MAX };
        Self { group: PlacementGroupId(group.0.saturating_sub(1)), run, stripe: u32::MAX, shard: u8::MAX }
    }
}

/// What a record says of its shard: enough to rebuild the index row of what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardHeader {
    /// Which shard.
    pub address: ShardAddress,
    /// The slot of the group that it lies in.
    pub slot: SlotIndex,
    /// The epoch at which the writer believes that the disk owns the slot.
    pub slot_epoch: SlotEpoch,
    /// The run's profile.
    pub profile: Profile,
    /// The run's matrix.
    pub code: Code,
    /// The run's form.
    pub form: RunForm,
    /// The key that it was written under.
    pub home: HomeKey,
    /// The part's number.
    pub part: u16,
    /// Plain bytes of the part before this stripe: where a part lies in several runs, or a stripe was written twice
    /// because its first group failed, this says which stripes make up the part.
    pub part_offset: u64,
    /// Plain bytes of each stripe of the run but the last.
    pub stripe_bytes: u32,
    /// Plain bytes of this stripe.
    pub plain_bytes: u32,
    /// Of the first stripe of a part: what an index row would need beyond this (encoded by `objects`, opaque here).
    pub part_metadata: Option<Bytes>,
}

/// A shard's bytes, in pieces that need not be copied together. Pieces that are aligned to 4096 bytes in address and
/// length (all but the last) go to the disk as they are.
pub type ShardBody = Vec<Bytes>;

/// One shard as a disk lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredShard {
    /// Which shard.
    pub address: ShardAddress,
    /// The bytes of its body.
    pub bytes: u64,
}

/// Why a shard store refuses or fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ShardError {
    /// Choose another disk; this one goes on serving reads.
    #[error("disk {disk} is full")]
    DiskFull {
        /// The disk.
        disk: DiskId,
    },
    /// The disk failed or is gone and takes part in nothing until it is replaced or readmitted.
    #[error("disk {disk} is down: {reason}")]
    DiskDown {
        /// The disk.
        disk: DiskId,
        /// What happened.
        reason: String,
    },
    /// No disk of this id here.
    #[error("disk {disk} is unknown here")]
    UnknownDisk {
        /// The disk.
        disk: DiskId,
    },
    /// The writer's layout is old: the disk owns the slot at another epoch, or has sealed it, or has not been told its
    /// slots since it was opened. Read the layout again.
    #[error("the slot is owned at epoch {owned} or sealed, and the shard names {named}")]
    Stale {
        /// What the disk holds.
        owned: SlotEpoch,
        /// What the writer named.
        named: SlotEpoch,
    },
    /// The shard was freed: the reader asks the index again.
    #[error("shard {address:?} was freed")]
    Gone {
        /// The shard.
        address: ShardAddress,
    },
    /// The shard isn't on this disk: rebuild it from the others.
    #[error("shard {address:?} is missing")]
    Missing {
        /// The shard.
        address: ShardAddress,
    },
    /// The call breaks the contract: a body or range of the wrong length, or metadata above the limit. A fault of the
    /// caller; no disk will take it.
    #[error("the call breaks the contract: {reason}")]
    Invalid {
        /// Which rule.
        reason: String,
    },
    /// The shard's bytes are wrong or unreadable: rebuild it from the others. Never retried here.
    #[error("shard {address:?} is corrupt on disk {disk}")]
    Corrupt {
        /// The disk.
        disk: DiskId,
        /// The shard.
        address: ShardAddress,
    },
    /// The disk's node gave no answer in time. A change that was asked for may have been made.
    #[error("disk {disk} is out of reach: {reason}")]
    Unreachable {
        /// The disk.
        disk: DiskId,
        /// What happened.
        reason: String,
    },
}

/// The shard stores of all disks that this process reaches.
#[async_trait]
pub trait ShardService: Send + Sync {
    /// Appends one shard so that it survives power loss once this returns.
    ///
    /// `body` is 1 to `profile.shard_bytes()` bytes (the small form: 1 to 64 KiB). Appending an address that is there
    /// already with the same header succeeds without a second copy.
    ///
    /// # Errors
    /// [`ShardError::DiskFull`], [`ShardError::DiskDown`], [`ShardError::Stale`], [`ShardError::UnknownDisk`]: the
    /// stripe goes to another group.
    async fn append(&self, disk: DiskId, header: ShardHeader, body: ShardBody) -> Result<(), ShardError>;

    /// Reads `range` of a shard's bytes; each 64 KiB block it touches is verified. Returns pieces of at most 256 KiB
    /// whose concatenation is exactly the range.
    ///
    /// # Errors
    /// [`ShardError::Gone`], [`ShardError::Missing`], [`ShardError::Corrupt`], [`ShardError::DiskDown`].
    async fn read(&self, disk: DiskId, address: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError>;

    /// A shard's header.
    ///
    /// # Errors
    /// As [`ShardService::read`].
    async fn header(&self, disk: DiskId, address: ShardAddress) -> Result<ShardHeader, ShardError>;

    /// Frees all shards of `runs` in `group` on this disk; runs that aren't there are fine. Once this returns, a crash
    /// does not bring them back.
    ///
    /// # Errors
    /// [`ShardError::DiskDown`], [`ShardError::UnknownDisk`].
    async fn free(&self, disk: DiskId, group: PlacementGroupId, runs: Vec<RunId>) -> Result<(), ShardError>;

    /// Seals a slot that another disk inherits: once this returns, the disk takes no shards of it under epochs up to
    /// `epoch`, after a crash neither, and every append that it has acknowledged is in what it lists.
    ///
    /// # Errors
    /// [`ShardError::DiskDown`], [`ShardError::UnknownDisk`], [`ShardError::Unreachable`]: it may still take some.
    async fn seal(
        &self,
        disk: DiskId,
        group: PlacementGroupId,
        slot: SlotIndex,
        epoch: SlotEpoch,
    ) -> Result<(), ShardError>;

    /// Lists up to `limit` shards in address order, those after `after`. Fewer may come though there are more; none come
    /// only at the end.
    ///
    /// # Errors
    /// [`ShardError::DiskDown`], [`ShardError::UnknownDisk`].
    async fn list(
        &self,
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<StoredShard>, ShardError>;
}
