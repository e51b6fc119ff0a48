//! What the tests of the shard store share: disks, services, and a model of what must be there.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use platform::{BufferPool, Disk, FaultyDisk, SystemEntropy, Workers};
use shards::contract::{self, body, header};
use shards::superblock::{DiskIdentity, format};
use shards::{LocalShards, ShardAddress, ShardError, ShardService, ShardSettings, StoreEnvironment, StoreError};
use types::{ClusterId, DiskId, Integrity, NodeId};

/// Small enough that segments fill, the index is flushed and compaction runs within a few hundred operations.
pub(crate) fn tiny_settings() -> ShardSettings {
    ShardSettings {
        small_segment_bytes: 256 << 10,
        large_segment_bytes: 1 << 20,
        large_allocation_bytes: 256 << 10,
        free_bytes_min: 0,
        recent_entries_max: 24,
        compact_live_percent_max: 50,
    }
}

pub(crate) fn environment(settings: ShardSettings) -> StoreEnvironment {
    static WORKERS: LazyLock<Workers> = LazyLock::new(|| Workers::new("shards", 2));
    StoreEnvironment { workers: WORKERS.clone(), pool: BufferPool::new(4 << 20), settings }
}

pub(crate) fn identity(disk: u8) -> DiskIdentity {
    DiskIdentity {
        cluster: ClusterId::from_bytes([1; 16]),
        node: NodeId::from_bytes([2; 16]),
        disk: DiskId::from_bytes([disk; 16]),
    }
}

/// A formatted faulty disk.
pub(crate) fn faulty_disk(seed: u64) -> FaultyDisk {
    let disk = FaultyDisk::new(seed);
    format(&disk, identity(1), &SystemEntropy).expect("formatted");
    disk
}

/// Opens a disk; the contract's slots are claimed where they aren't.
pub(crate) async fn open(disk: &FaultyDisk, settings: ShardSettings) -> Result<(LocalShards, DiskId), StoreError> {
    open_any(Arc::new(disk.clone()), settings).await
}

pub(crate) async fn open_any(
    disk: Arc<dyn Disk>,
    settings: ShardSettings,
) -> Result<(LocalShards, DiskId), StoreError> {
    let shards = LocalShards::new(environment(settings));
    let id = shards.add_disk(disk).await?;
    let known = shards.superblock(id).expect("known").slots.clone();
    let claims = if known.is_empty() { contract::claims() } else { known };
    // A disk that fails here shows that with the first append.
    let _ = shards.set_slots(id, claims).await;
    Ok((shards, id))
}

/// Numbers that follow from a seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// What is known of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// An append was acknowledged, and no free was tried since.
    There,
    /// An append or a free was tried and not acknowledged.
    Unclear,
    /// A free was acknowledged, and no append was tried since.
    Freed,
}

/// What must be on a disk, by what was acknowledged.
#[derive(Debug, Default, Clone)]
pub(crate) struct Model {
    pub(crate) shards: BTreeMap<ShardAddress, (usize, Known)>,
    next_run: u64,
}

/// Something to do to a disk.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Append(ShardAddress, usize),
    Free(u64, Vec<types::RunId>),
}

impl Model {
    /// Some actions that may run at once.
    pub(crate) fn choose(&mut self, random: &mut Random) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut touched = BTreeSet::new();
        for _ in 0..=random.below(6) {
            let there: Vec<_> = self
                .shards
                .iter()
                .filter(|(_, (_, known))| *known == Known::There)
                .map(|(address, _)| *address)
                .collect();
            let action = match random.below(10) {
                0..=2 if !there.is_empty() => {
                    let address = there[random.below(there.len() as u64) as usize];
                    Action::Free(address.group.0, vec![address.run])
                }
                3 if !self.shards.is_empty() => {
                    // Again: there already, freed, or unclear.
                    let nth = random.below(self.shards.len() as u64) as usize;
                    let (address, (bytes, _)) = self.shards.iter().nth(nth).expect("below its length");
                    Action::Append(*address, *bytes)
                }
                _ => {
                    self.next_run += 1;
                    let bytes = match random.below(4) {
                        0 => 65_537 + random.below(200_000) as usize,
                        1 => 1 + random.below(65_536) as usize,
                        _ => 1 + random.below(6000) as usize,
                    };
                    Action::Append(contract::address(1 + random.below(3), self.next_run, random.below(3) as u32), bytes)
                }
            };
            let run = match &action {
                Action::Append(address, _) => (address.group.0, address.run),
                Action::Free(group, runs) => (*group, runs[0]),
            };
            if touched.insert(run) {
                actions.push(action);
            }
        }
        actions
    }

    /// Does actions at once, and notes what was acknowledged.
    pub(crate) async fn act(
        &mut self,
        shards: &LocalShards,
        disk: DiskId,
        actions: Vec<Action>,
    ) -> Vec<Result<(), ShardError>> {
        for action in &actions {
            self.note(action, Known::Unclear);
        }
        let answers = futures::future::join_all(actions.iter().map(async |action| match action {
            Action::Append(address, bytes) => {
                shards.append(disk, header(*address, Integrity::Xxh3), body(address, *bytes)).await
            }
            Action::Free(group, runs) => shards.free(disk, types::PlacementGroupId(*group), runs.clone()).await,
        }))
        .await;
        for (action, answer) in actions.iter().zip(&answers) {
            if answer.is_ok() {
                let known = if matches!(action, Action::Append(..)) { Known::There } else { Known::Freed };
                self.note(action, known);
            }
        }
        answers
    }

    fn note(&mut self, action: &Action, known: Known) {
        match action {
            Action::Append(address, bytes) => {
                self.shards.insert(*address, (*bytes, known));
            }
            Action::Free(group, runs) => {
                for (address, (_, state)) in &mut self.shards {
                    if address.group.0 == *group && runs.contains(&address.run) {
                        *state = known;
                    }
                }
            }
        }
    }

    /// Checks a disk against what must be there. What was unclear is as the disk has it from now on.
    pub(crate) async fn check(&mut self, shards: &LocalShards, disk: DiskId, context: &str) {
        let listed: BTreeMap<_, _> = list_all(shards, disk).await.into_iter().collect();
        for (address, (bytes, known)) in &mut self.shards {
            let read = shards.read(disk, *address, 0..*bytes as u64).await.map(|pieces| pieces.concat());
            let is_whole = match &read {
                Ok(read) => {
                    assert!(*read == body(address, *bytes).concat(), "{context}: {address:?} has other bytes");
                    true
                }
                Err(ShardError::Gone { .. } | ShardError::Missing { .. }) => false,
                Err(error) if *known == Known::There => {
                    panic!("{context}: {address:?} was acknowledged and is gone: {error}")
                }
                Err(error) => panic!("{context}: {address:?} ({known:?}): {error}"),
            };
            assert_eq!(
                listed.get(address).copied(),
                is_whole.then_some(*bytes as u64),
                "{context}: {address:?} in the list"
            );
            match known {
                Known::There => assert!(is_whole, "{context}: {address:?} was acknowledged and is not there: {read:?}"),
                Known::Freed => assert!(!is_whole, "{context}: {address:?} was freed and is back"),
                Known::Unclear => *known = if is_whole { Known::There } else { Known::Freed },
            }
        }
        for address in listed.keys() {
            assert!(self.shards.contains_key(address), "{context}: {address:?} was never appended");
        }
    }
}

pub(crate) async fn list_all(shards: &LocalShards, disk: DiskId) -> Vec<(ShardAddress, u64)> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|(address, _)| *address);
        let page = shards.list(disk, after, 100).await.expect("listed");
        if page.is_empty() {
            return all;
        }
        all.extend(page.into_iter().map(|shard| (shard.address, shard.bytes)));
    }
}
