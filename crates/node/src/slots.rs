//! Tells the disks of this process which slots are theirs, and drops what is left of slots that they handed on.
//!
//! What it keeps to:
//! - A disk is never told of an older layout after a newer one: a slot that is sealed stays so.
//! - A disk takes no shards of a group while it has some of it from a slot of old: freeing those would free the new ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use index::FIRST_FEATURE_LEVEL;
use shards::{LocalShards, ShardAddress, ShardError, ShardService, SlotClaim};
use tokio::sync::Mutex;
use types::{DiskId, FeatureLevel, Layout, LayoutEpoch, PlacementGroupId, RunId, TicketId};

use crate::levels;

/// Shards of old that are freed at once.
const SHARDS_MAX: usize = 1000;

/// Tells disks their slots.
pub(crate) struct SlotTeller {
    shards: Arc<LocalShards>,
    /// The newest layout that disks were told of. Held while they are told, and while leftovers are dropped.
    told: Mutex<LayoutEpoch>,
}

impl SlotTeller {
    /// Tells those that `shards` serves.
    pub(crate) fn new(shards: Arc<LocalShards>) -> Self {
        Self { shards, told: Mutex::new(LayoutEpoch(0)) }
    }

    /// Has the disks note the cluster's feature level; the first one goes without saying.
    pub(crate) async fn note_level(&self, level: FeatureLevel) {
        if level > FIRST_FEATURE_LEVEL {
            levels::note_level(&self.shards, level).await;
        }
    }

    /// Whether a disk was opened and not told its slots since: it takes no shards.
    pub(crate) fn is_due(&self) -> bool {
        let states = self.shards.disk_states();
        states.iter().any(|(disk, health)| !health.is_down() && !self.shards.knows_its_slots(*disk))
    }

    /// Tells every disk that serves which slots are its own, and which it hands on: those it seals.
    pub(crate) async fn tell(&self, layout: &Layout) {
        let mut told = self.told.lock().await;
        if layout.epoch < *told {
            return;
        }
        *told = layout.epoch;
        for (disk, health) in self.shards.disk_states().iter() {
            if !health.is_down()
                && let Err(error) = self.tell_disk(*disk, layout).await
            {
                tracing::warn!(%disk, %error, "a disk was not told its slots");
            }
        }
    }

    async fn tell_disk(&self, disk: DiskId, layout: &Layout) -> Result<(), ShardError> {
        let known = self.shards.superblock(disk)?;
        let mut claims = Vec::new();
        for claim in claims_of(layout, disk) {
            let has_it = known.slots.iter().any(|had| (had.group, had.slot) == (claim.group, claim.slot));
            if has_it || self.shards_of(disk, claim.group, 1).await?.is_empty() {
                claims.push(claim);
            } else {
                tracing::info!(%disk, group = %claim.group, "a disk takes a slot once what it has of an older one is gone");
            }
        }
        if claims == known.slots && self.shards.knows_its_slots(disk) {
            return Ok(());
        }
        self.shards.set_slots(disk, claims).await
    }

    /// The groups that a disk has shards of and no slot in.
    pub(crate) async fn leftovers(&self, disk: DiskId) -> Result<Vec<PlacementGroupId>, ShardError> {
        let (mut groups, mut after) = (Vec::new(), None);
        let known = self.shards.superblock(disk)?;
        while let Some(next) = self.shards.list(disk, after, 1).await?.first() {
            let group = next.address.group;
            if !known.slots.iter().any(|claim| claim.group == group) {
                groups.push(group);
            }
            after = Some(end_of(group));
        }
        Ok(groups)
    }

    /// Frees some of what a disk has of a group that it has no slot in; `false` once nothing is left.
    pub(crate) async fn drop_some(&self, disk: DiskId, group: PlacementGroupId) -> Result<bool, ShardError> {
        let _told = self.told.lock().await;
        let known = self.shards.superblock(disk)?;
        if !self.shards.knows_its_slots(disk) || known.slots.iter().any(|claim| claim.group == group) {
            return Ok(false);
        }
        let runs: BTreeSet<RunId> =
            self.shards_of(disk, group, SHARDS_MAX).await?.into_iter().map(|address| address.run).collect();
        if runs.is_empty() {
            return Ok(false);
        }
        self.shards.free(disk, group, runs.into_iter().collect()).await?;
        Ok(true)
    }

    async fn shards_of(
        &self,
        disk: DiskId,
        group: PlacementGroupId,
        limit: usize,
    ) -> Result<Vec<ShardAddress>, ShardError> {
        let before = end_of(PlacementGroupId(group.0.saturating_sub(1)));
        let listed = self.shards.list(disk, Some(before), limit).await?;
        Ok(listed.into_iter().map(|shard| shard.address).filter(|address| address.group == group).collect())
    }
}

/// What all shards of a group come before.
fn end_of(group: PlacementGroupId) -> ShardAddress {
    let run = RunId { ticket: TicketId(u64::MAX), tail: u64::MAX };
    ShardAddress { group, run, stripe: u32::MAX, shard: u8::MAX }
}

fn claims_of(layout: &Layout, disk: DiskId) -> Vec<SlotClaim> {
    let claims = layout.slots().flat_map(|(group, at, slot)| {
        let claim = |epoch, sealed| SlotClaim { group: group.id, slot: at, epoch, sealed };
        let own = (slot.disk == disk).then(|| claim(slot.epoch, slot.heir.is_some()));
        let heir = slot.heir.filter(|heir| heir.disk == disk).map(|heir| claim(heir.epoch, false));
        own.into_iter().chain(heir)
    });
    claims.collect()
}

#[cfg(test)]
mod tests {
    use platform::{BufferPool, FaultyDisk, SystemEntropy, Workers};
    use shards::contract::{address, body, header};
    use shards::superblock::{DiskIdentity, format};
    use shards::{ShardSettings, StoreEnvironment};
    use types::{ClusterId, Heir, Integrity, NodeId, PlacementGroup, Slot, SlotEpoch};

    use super::*;

    const DISK: DiskId = DiskId::from_bytes([1; 16]);
    const OTHER: DiskId = DiskId::from_bytes([2; 16]);

    async fn teller() -> SlotTeller {
        let disk = FaultyDisk::new(1);
        let identity =
            DiskIdentity { cluster: ClusterId::from_bytes([3; 16]), node: NodeId::from_bytes([4; 16]), disk: DISK };
        format(&disk, identity, &SystemEntropy).expect("formatted");
        let shards = LocalShards::new(StoreEnvironment {
            workers: Workers::new("shards", 2),
            pool: BufferPool::new(16 << 20),
            settings: ShardSettings::default(),
        });
        shards.add_disk(Arc::new(disk)).await.expect("opened");
        SlotTeller::new(Arc::new(shards))
    }

    /// One group, of which slot 2 is as given; shards of the contract's suite lie there.
    fn layout(epoch: u64, slot: Slot) -> Layout {
        let none = Slot::owned(OTHER, SlotEpoch(1));
        let group = PlacementGroup {
            id: PlacementGroupId(1),
            profile: "2+1".parse().expect("a profile"),
            slots: vec![none, none, slot],
        };
        Layout { epoch: LayoutEpoch(epoch), groups: vec![group], ..Layout::default() }
    }

    async fn append(teller: &SlotTeller, run: u64, epoch: u64) -> Result<(), ShardError> {
        let address = address(1, run, 0);
        let header = shards::ShardHeader { slot_epoch: SlotEpoch(epoch), ..header(address, Integrity::Xxh3) };
        teller.shards.append(DISK, header, body(&address, 5000)).await
    }

    fn is_stale(outcome: &Result<(), ShardError>) -> bool {
        matches!(outcome, Err(ShardError::Stale { .. }))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_older_layout_opens_no_slot_again() {
        let teller = teller().await;
        assert!(teller.is_due() && is_stale(&append(&teller, 1, 7).await), "it was told nothing");
        let owned = layout(5, Slot::owned(DISK, SlotEpoch(7)));
        teller.tell(&owned).await;
        append(&teller, 1, 7).await.expect("it owns the slot");
        let heir = Some(Heir { disk: OTHER, epoch: SlotEpoch(8) });
        teller.tell(&layout(6, Slot { heir, ..Slot::owned(DISK, SlotEpoch(7)) })).await;
        assert!(is_stale(&append(&teller, 2, 7).await), "it is sealed");
        teller.tell(&owned).await;
        assert!(is_stale(&append(&teller, 2, 7).await), "and stays so");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_slot_is_taken_once_nothing_of_an_older_one_is_left() {
        let teller = teller().await;
        teller.tell(&layout(1, Slot::owned(DISK, SlotEpoch(7)))).await;
        append(&teller, 1, 7).await.expect("it owns the slot");
        assert_eq!(teller.leftovers(DISK).await, Ok(vec![]));
        assert_eq!(teller.drop_some(DISK, PlacementGroupId(1)).await, Ok(false), "what it owns stays");
        teller.tell(&layout(2, Slot::owned(OTHER, SlotEpoch(9)))).await;
        assert_eq!(teller.leftovers(DISK).await, Ok(vec![PlacementGroupId(1)]));
        let again = layout(3, Slot::owned(DISK, SlotEpoch(11)));
        teller.tell(&again).await;
        assert!(is_stale(&append(&teller, 2, 11).await), "there is something left");
        assert_eq!(teller.drop_some(DISK, PlacementGroupId(1)).await, Ok(true));
        assert_eq!(teller.drop_some(DISK, PlacementGroupId(1)).await, Ok(false));
        teller.tell(&again).await;
        append(&teller, 2, 11).await.expect("it owns the slot again");
        assert_eq!(teller.leftovers(DISK).await, Ok(vec![]));
    }
}
