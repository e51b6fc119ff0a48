//! Where it stands which disks mirror the log: in their superblocks.

use std::io;
use std::sync::Arc;

use consensus::{MirrorRegistry, MirrorSet};
use platform::threads::block_on;
use shards::{LocalShards, Superblock};
use types::{DiskId, VoterId};

/// The superblock's note that names the voter whose log the mirrors have.
const VOTER_NOTE: &str = "log-voter";

/// The mirror set in the superblocks of this process's disks.
#[derive(Debug)]
pub struct SuperblockRegistry {
    shards: Arc<LocalShards>,
}

impl SuperblockRegistry {
    /// Over the disks that `shards` serves. To be used from threads outside of the runtime.
    pub fn new(shards: Arc<LocalShards>) -> Self {
        Self { shards }
    }
}

impl MirrorRegistry for SuperblockRegistry {
    fn read(&self) -> io::Result<Vec<(DiskId, Option<MirrorSet>)>> {
        let disks = self.shards.disk_states();
        // A disk that was taken out between the two calls has nothing to say.
        let superblocks = disks.keys().filter_map(|disk| Some((*disk, self.shards.superblock(*disk).ok()?)));
        Ok(superblocks.map(|(disk, superblock)| (disk, mirror_set(&superblock))).collect())
    }

    fn write(&self, disk: DiskId, set: &MirrorSet) -> io::Result<()> {
        let set = set.clone();
        let change = move |superblock: &mut Superblock| {
            superblock.mirrors = shards::MirrorSet { generation: set.generation, disks: set.disks };
            superblock.notes.insert(VOTER_NOTE.to_owned(), set.voter.to_bytes().to_vec());
        };
        block_on(self.shards.update_superblock(disk, change)).map(drop).map_err(io::Error::other)
    }
}

fn mirror_set(superblock: &Superblock) -> Option<MirrorSet> {
    let voter: [u8; 16] = superblock.notes.get(VOTER_NOTE)?.as_slice().try_into().ok()?;
    let shards::MirrorSet { generation, disks } = superblock.mirrors.clone();
    Some(MirrorSet { voter: VoterId::from_bytes(voter), generation, disks })
}
