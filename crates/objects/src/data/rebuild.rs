//! For upkeep and for copies inside the store: making a lost shard again, and writing a part's bytes anew.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use shards::{ShardAddress, ShardBody, ShardError, ShardHeader};
use types::{Checksum, DiskId, HomeKey, Profile, Run, RunForm};

use super::body::{BodyError, BodySource, StoredBody, WriteError, WriteRequest};
use super::fetch::StripeReader;
use super::groups::{choose_copies, likely_profile};
use super::memory::tied_bytes;
use super::read::{BodyReader, PartToRead, ReadError};
use super::{Core, DataPath};

/// Names a shard of a run.
#[derive(Debug, Clone)]
pub struct ShardToRebuild {
    /// The run.
    pub run: Run,
    /// The key that it was written under.
    pub home: HomeKey,
    /// The stripe's number in the run.
    pub stripe: u32,
    /// The shard's number.
    pub shard: u8,
}

/// Why a shard was not made again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RebuildError {
    /// Too few of the others could be read, or the run was freed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The disk that owns its slot did not take it.
    #[error(transparent)]
    Append(#[from] ShardError),
    /// The layout has no such slot.
    #[error("the shard's placement group is unknown")]
    NoSlot,
}

/// Why bytes were not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The copy could not be written.
    #[error(transparent)]
    Write(WriteError),
}

impl DataPath {
    /// Makes a shard out of the others of its stripe: header and body, as they belong on the disk that
    /// takes its slot's shards now. Whether the run lives is the caller's to ask.
    ///
    /// # Errors
    /// [`RebuildError::Read`], [`RebuildError::NoSlot`].
    pub async fn rebuild_shard(&self, wanted: &ShardToRebuild) -> Result<(ShardHeader, ShardBody), RebuildError> {
        let ShardToRebuild { run, home, stripe, shard } = wanted;
        let core = Arc::clone(&self.core);
        let slot = run.slot_of(*shard);
        let layout = core.layout();
        let group = layout.group(run.group).ok_or(RebuildError::NoSlot)?;
        let (_, slot_epoch) = group.slots.get(usize::from(slot.0)).ok_or(RebuildError::NoSlot)?.target();

        let bytes = run.shard_len_of(*stripe) as u64;
        let memory = core.upkeep_budget.reserve(bytes, core.settings.memory_patience).await;
        let memory = Arc::new(memory.map_err(|_| ReadError::SlowDown)?);
        let (run_read, home) = (Arc::new(run.clone()), Arc::new(home.clone()));
        let reader = StripeReader { core, run: run_read, home, stripe: *stripe, is_for_upkeep: true };
        let pieces = match run.form {
            RunForm::Striped => reader.rebuild_range(*shard, 0..bytes).await?,
            RunForm::Copies { .. } => reader.read_other_copy(*shard, 0..bytes).await?,
        };
        let sibling = reader.header_of_another(*shard).await?;
        let header = ShardHeader { address: reader.address(*shard), slot, slot_epoch, ..sibling };
        Ok((header, pieces.into_iter().map(|piece| tied_bytes(piece, Arc::clone(&memory))).collect()))
    }

    /// The profile that a run of this form would get now, if `wanted` is asked for.
    pub(crate) async fn reachable(&self, wanted: Profile, form: RunForm) -> Result<Profile, WriteError> {
        match form {
            RunForm::Striped => likely_profile(&self.core, wanted),
            RunForm::Copies { .. } => Ok(choose_copies(&self.core, wanted).await?.profile),
        }
    }

    /// What the headers of a part's first run say of the part; `None` where no header of its first stripe can be read.
    pub async fn part_metadata(&self, run: &Run, home: &HomeKey) -> Option<Bytes> {
        let core = Arc::clone(&self.core);
        let (run, home) = (Arc::new(run.clone()), Arc::new(home.clone()));
        let reader = StripeReader { core, run, home, stripe: 0, is_for_upkeep: true };
        reader.header_of_another(u8::MAX).await.ok()?.part_metadata
    }

    /// Makes a shard again and appends it on the disk that takes its slot's shards.
    ///
    /// # Errors
    /// [`RebuildError`].
    pub async fn repair_shard(&self, wanted: &ShardToRebuild) -> Result<(), RebuildError> {
        let (header, body) = self.rebuild_shard(wanted).await?;
        self.append_again(wanted, header, body).await
    }

    /// Brings a shard to the disk that takes its slot's shards: off `from`, if it is whole there, else made again.
    ///
    /// # Errors
    /// [`RebuildError`].
    pub async fn bring_shard(&self, wanted: &ShardToRebuild, from: Option<DiskId>) -> Result<(), RebuildError> {
        let copied = match from {
            Some(disk) => self.copy_shard(wanted, disk).await,
            None => None,
        };
        let (header, body) = match copied {
            Some(copy) => copy,
            None => self.rebuild_shard(wanted).await?,
        };
        self.append_again(wanted, header, body).await
    }

    /// A shard as it is on a disk, under the epoch of whoever takes its slot's shards now; each block was verified.
    async fn copy_shard(&self, wanted: &ShardToRebuild, disk: DiskId) -> Option<(ShardHeader, ShardBody)> {
        let ShardToRebuild { run, stripe, shard, .. } = wanted;
        let Core { settings, seams, upkeep_budget, .. } = &*self.core;
        let address = ShardAddress { group: run.group, run: run.id, stripe: *stripe, shard: *shard };
        let slot = run.slot_of(*shard);
        let (_, slot_epoch) = self.core.layout().group(run.group)?.slots.get(usize::from(slot.0))?.target();
        let bytes = run.shard_len_of(*stripe) as u64;
        let memory = Arc::new(upkeep_budget.reserve(bytes, settings.memory_patience).await.ok()?);
        let header = seams.shards.header(disk, address).await.ok()?;
        let pieces = seams.shards.read(disk, address, 0..bytes).await.ok()?;
        let body = pieces.into_iter().map(|piece| tied_bytes(piece, Arc::clone(&memory))).collect();
        Some((ShardHeader { slot, slot_epoch, ..header }, body))
    }

    async fn append_again(
        &self,
        wanted: &ShardToRebuild,
        header: ShardHeader,
        body: ShardBody,
    ) -> Result<(), RebuildError> {
        let layout = self.core.layout();
        let slot = usize::from(header.slot.0);
        let group = layout.group(wanted.run.group).ok_or(RebuildError::NoSlot)?;
        let (disk, _) = group.slots.get(slot).ok_or(RebuildError::NoSlot)?.target();
        Ok(self.core.seams.shards.append(disk, header, body).await?)
    }

    /// Reads bytes `range` of the concatenated parts and writes them again under `request`: server-side copies, and
    /// parts whose runs are narrower than they should be.
    ///
    /// # Errors
    /// [`CopyError`]; runs that were begun have been handed to the discard sink.
    pub async fn copy_part(
        &self,
        parts: Vec<PartToRead>,
        range: Range<u64>,
        request: WriteRequest,
    ) -> Result<StoredBody, CopyError> {
        let mut body = CopiedBody { reader: self.read(parts, range), failed: None };
        self.write(request, &mut body).await.map_err(|error| match body.failed.take() {
            Some(failed) => CopyError::Read(failed),
            None => CopyError::Write(error),
        })
    }
}

/// A read as the body of a write.
struct CopiedBody {
    reader: BodyReader,
    /// Why the read ended early.
    failed: Option<ReadError>,
}

#[async_trait]
impl BodySource for CopiedBody {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.reader.next().await.transpose().map_err(|error| {
            self.failed = Some(error.clone());
            BodyError(Box::new(error))
        })
    }

    async fn finish(&mut self) -> Result<Vec<Checksum>, BodyError> {
        Ok(Vec::new())
    }
}

impl StripeReader {
    async fn header_of_another(&self, shard: u8) -> Result<ShardHeader, ReadError> {
        let width = u8::try_from(self.run.profile.width()).expect("at most 24 shards");
        for other in (0..width).filter(|&other| other != shard) {
            let disks = self.disks_of(other);
            let is_moving = disks.len() > 1;
            for disk in disks {
                match self.core.seams.shards.header(disk, self.address(other)).await {
                    Ok(header) => return Ok(header),
                    Err(ShardError::Gone { .. }) if !is_moving => return Err(ReadError::Gone),
                    Err(_) => {}
                }
            }
        }
        Err(ReadError::Unreadable { reason: "no shard of the stripe has a header".to_owned() })
    }
}
