//! The superblock: who a disk is, and the few facts that it must keep beside its shards.
//!
//! The file `superblock` holds two copies at fixed places; the valid one of the highest generation counts
//! (docs/disk-format.md). The file is never renamed or replaced after formatting, so its inode tells whether the
//! directory under a path is still the disk that was opened.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use platform::{Disk, DiskFile, Entropy, OpenOptions};
use serde::{Deserialize, Serialize};
use types::{ClusterId, DiskId, NodeId, PlacementGroupId, SlotEpoch, SlotIndex};

const FILE: &str = "superblock";
/// The name while a disk is being formatted.
const UNFINISHED: &str = "superblock.new";
/// What `mkfs` leaves in a fresh file system.
const TOLERATED: &str = "lost+found";
const MAGIC: [u8; 8] = *b"CAIRNSB\n";
const FORMAT_VERSION: u16 = 1;
/// Where the second copy begins; no copy is longer than this.
const COPY_BYTES: usize = 128 * 1024;
const PREFIX_BYTES: usize = 24;
const HASH_BYTES: usize = 32;
const HASH_CONTEXT: &str = "cairn 2026 superblock copy v1";

/// Who a disk is, and the few facts that it must keep beside its shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Rises with every change.
    pub generation: u64,
    /// The cluster that the disk belongs to.
    pub cluster: ClusterId,
    /// The node that owns it.
    pub node: NodeId,
    /// The disk.
    pub disk: DiskId,
    /// Whether its directory was a mount point when it was formatted: a blank directory may replace it only if that is
    /// one exactly when this one was.
    pub mount_point: bool,
    /// The key of the checksums of this disk's headers.
    pub secret: DiskSecret,
    /// The disks that the node's log is mirrored on.
    pub mirrors: MirrorSet,
    /// The slots that the disk owns or has sealed, in order of group and slot.
    pub slots: Vec<SlotClaim>,
    /// Small facts of other crates, under a name that each chooses for itself.
    pub notes: BTreeMap<String, Vec<u8>>,
}

/// The key of a disk's header checksums: whoever doesn't know it can't make bytes that pass for a record.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSecret([u8; 32]);

impl DiskSecret {
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DiskSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskSecret(..)")
    }
}

/// The disks that a node's log is mirrored on, as one of them knows it. Of several, the one of the highest generation
/// counts; a disk that it doesn't name holds no mirror that may be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorSet {
    /// Rises with every change of the set.
    pub generation: u64,
    /// The mirrors, in order.
    pub disks: Vec<DiskId>,
}

/// What a disk knows of a slot of a placement group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SlotClaim {
    /// The group.
    pub group: PlacementGroupId,
    /// The slot.
    pub slot: SlotIndex,
    /// The epoch at which the disk owns it, or was the last to own it.
    pub epoch: SlotEpoch,
    /// Whether it takes no shards any more.
    pub sealed: bool,
}

/// What a disk is formatted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskIdentity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// The disk.
    pub disk: DiskId,
}

/// What a directory turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Empty: it may be formatted.
    Blank,
    /// A disk of some cluster.
    Formatted(Box<Superblock>),
}

/// Why a directory is no usable disk.
#[derive(Debug, thiserror::Error)]
pub enum SuperblockError {
    /// It holds files but no superblock: somebody else's directory, never formatted over.
    #[error(
        "the directory is not empty and has no superblock (it holds {example:?}); name an empty one, or one within it"
    )]
    Foreign {
        /// The name of one file.
        example: String,
    },
    /// Neither copy is whole.
    #[error("both copies of the superblock are damaged")]
    Damaged,
    /// Written by a newer program.
    #[error("the superblock has format {found}, this program knows up to {FORMAT_VERSION}")]
    Unsupported {
        /// The version that it has.
        found: u16,
    },
    /// There is a superblock already.
    #[error("the directory is a disk already")]
    AlreadyFormatted,
    /// The superblock would be longer than its place.
    #[error("the superblock would have {bytes} bytes, more than its place holds")]
    TooLong {
        /// How long.
        bytes: usize,
    },
    /// The directory can't be read or written.
    #[error("the superblock cannot be read or written")]
    Io(#[from] io::Error),
}

/// Looks at a directory without changing it.
///
/// # Errors
/// [`SuperblockError::Foreign`], [`SuperblockError::Damaged`], [`SuperblockError::Unsupported`], [`SuperblockError::Io`].
pub fn inspect(disk: &dyn Disk) -> Result<Found, SuperblockError> {
    match disk.open(Path::new(FILE), OpenOptions::EXISTING) {
        Ok(file) => Ok(Found::Formatted(Box::new(read_copies(&*file)?.newest()?))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let names = disk.list(Path::new(""))?;
            match names.into_iter().find(|name| name != TOLERATED && name != UNFINISHED) {
                Some(example) => Err(SuperblockError::Foreign { example }),
                None => Ok(Found::Blank),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes a blank directory a disk, durably.
///
/// # Errors
/// [`SuperblockError::AlreadyFormatted`], [`SuperblockError::Foreign`], [`SuperblockError::Io`].
pub fn format(disk: &dyn Disk, identity: DiskIdentity, entropy: &dyn Entropy) -> Result<Superblock, SuperblockError> {
    if disk.status(Path::new(FILE))?.is_some() {
        return Err(SuperblockError::AlreadyFormatted);
    }
    inspect(disk)?;
    let mut secret = [0; 32];
    entropy.fill(&mut secret);
    let superblock = Superblock {
        generation: 1,
        cluster: identity.cluster,
        node: identity.node,
        disk: identity.disk,
        mount_point: disk.is_mount_point()?,
        secret: DiskSecret(secret),
        mirrors: MirrorSet::default(),
        slots: Vec::new(),
        notes: BTreeMap::new(),
    };
    let copy = encode(&superblock)?;
    let file = disk.open(Path::new(UNFINISHED), OpenOptions::CREATE)?;
    file.set_len(2 * COPY_BYTES as u64)?;
    for place in 0..2 {
        file.write_all_at(&[IoSlice::new(&copy)], place * COPY_BYTES as u64)?;
    }
    file.sync_data()?;
    disk.rename(Path::new(UNFINISHED), Path::new(FILE))?;
    disk.sync_directory(Path::new(""))?;
    Ok(superblock)
}

/// The superblock of a disk that is in use.
#[derive(Debug)]
pub struct SuperblockFile {
    file: Arc<dyn DiskFile>,
    /// Its file system and its number there.
    identity: (u64, u64),
    current: RwLock<Arc<Superblock>>,
    /// Held while a change is being written.
    changing: Mutex<()>,
}

impl SuperblockFile {
    /// Opens and repairs it: afterwards both copies are whole, equal and durable, whatever a crash left.
    ///
    /// # Errors
    /// [`SuperblockError::Io`] with `NotFound` where there is none; else as [`inspect`].
    pub fn open(disk: &dyn Disk) -> Result<Self, SuperblockError> {
        let file = disk.open(Path::new(FILE), OpenOptions::EXISTING)?;
        let copies = read_copies(&*file)?;
        let newest = copies.newest()?;
        let bytes = encode(&newest)?;
        for (place, copy) in (0..).zip(copies.0) {
            // What is read may still lie in the page cache alone, after a process died between writing and syncing.
            if copy.as_ref().ok() != Some(&newest) {
                file.write_all_at(&[IoSlice::new(&bytes)], place * COPY_BYTES as u64)?;
            }
            file.sync_data()?;
        }
        let status = file.status()?;
        let identity = (status.device, status.inode);
        Ok(Self { file, identity, current: RwLock::new(Arc::new(newest)), changing: Mutex::new(()) })
    }

    /// What it holds.
    pub fn get(&self) -> Arc<Superblock> {
        Arc::clone(&self.current.read())
    }

    /// Changes it durably; the generation rises by one. One copy is synced before the other is touched.
    ///
    /// # Errors
    /// [`SuperblockError::TooLong`]: nothing was changed. [`SuperblockError::Io`]: the disk must not be written again.
    pub fn update(&self, change: impl FnOnce(&mut Superblock)) -> Result<Arc<Superblock>, SuperblockError> {
        let _changing = self.changing.lock();
        let mut next = Superblock::clone(&self.get());
        change(&mut next);
        next.generation += 1;
        let bytes = encode(&next)?;
        for place in 0..2 {
            self.file.write_all_at(&[IoSlice::new(&bytes)], place * COPY_BYTES as u64)?;
            self.file.sync_data()?;
        }
        let next = Arc::new(next);
        *self.current.write() = Arc::clone(&next);
        Ok(next)
    }

    /// Whether the file is still found under its name: not, once the directory was deleted, replaced or mounted over.
    ///
    /// # Errors
    /// What the disk says.
    pub fn is_in_place(&self, disk: &dyn Disk) -> io::Result<bool> {
        Ok(disk.status(Path::new(FILE))?.is_some_and(|status| (status.device, status.inode) == self.identity))
    }
}

/// What stands in the payload of format 1.
#[derive(Serialize, Deserialize)]
struct PayloadV1 {
    cluster: ClusterId,
    node: NodeId,
    disk: DiskId,
    mount_point: bool,
    secret: DiskSecret,
    mirrors: MirrorSet,
    slots: Vec<SlotClaim>,
    notes: BTreeMap<String, Vec<u8>>,
}

fn encode(superblock: &Superblock) -> Result<Vec<u8>, SuperblockError> {
    let Superblock { generation, cluster, node, disk, mount_point, secret, mirrors, slots, notes } = superblock.clone();
    let payload = PayloadV1 { cluster, node, disk, mount_point, secret, mirrors, slots, notes };
    let payload = postcard::to_stdvec(&payload).expect("plain data can be encoded");
    let bytes = PREFIX_BYTES + payload.len() + HASH_BYTES;
    if bytes > COPY_BYTES {
        return Err(SuperblockError::TooLong { bytes });
    }
    let mut copy = Vec::with_capacity(bytes);
    copy.extend_from_slice(&MAGIC);
    copy.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    copy.extend_from_slice(&[0; 2]);
    copy.extend_from_slice(&u32::try_from(payload.len()).expect("within COPY_BYTES").to_le_bytes());
    copy.extend_from_slice(&generation.to_le_bytes());
    copy.extend_from_slice(&payload);
    let hash = blake3::derive_key(HASH_CONTEXT, &copy);
    copy.extend_from_slice(&hash);
    Ok(copy)
}

/// Reads one copy; bytes that are not exactly what [`encode`] writes are [`SuperblockError::Damaged`].
fn decode(copy: &[u8]) -> Result<Superblock, SuperblockError> {
    let field = |range: std::ops::Range<usize>| copy.get(range).ok_or(SuperblockError::Damaged);
    if field(0..8)? != MAGIC {
        return Err(SuperblockError::Damaged);
    }
    let version = u16::from_le_bytes(field(8..10)?.try_into().expect("two bytes"));
    let length = u32::from_le_bytes(field(12..16)?.try_into().expect("four bytes")) as usize;
    let generation = u64::from_le_bytes(field(16..24)?.try_into().expect("eight bytes"));
    let hashed = PREFIX_BYTES.saturating_add(length);
    if field(hashed..hashed.saturating_add(HASH_BYTES))? != blake3::derive_key(HASH_CONTEXT, field(0..hashed)?) {
        return Err(SuperblockError::Damaged);
    }
    if version != FORMAT_VERSION {
        return Err(SuperblockError::Unsupported { found: version });
    }
    let (payload, rest) =
        postcard::take_from_bytes::<PayloadV1>(field(PREFIX_BYTES..hashed)?).map_err(|_| SuperblockError::Damaged)?;
    if !rest.is_empty() {
        return Err(SuperblockError::Damaged);
    }
    let PayloadV1 { cluster, node, disk, mount_point, secret, mirrors, slots, notes } = payload;
    Ok(Superblock { generation, cluster, node, disk, mount_point, secret, mirrors, slots, notes })
}

struct Copies([Result<Superblock, SuperblockError>; 2]);

fn read_copies(file: &dyn DiskFile) -> Result<Copies, SuperblockError> {
    let read = |place: u64| -> Result<Superblock, SuperblockError> {
        let mut copy = vec![0; COPY_BYTES];
        match file.read_at(&mut copy, place * COPY_BYTES as u64) {
            Ok(bytes) => decode(&copy[..bytes]),
            Err(error) => Err(error.into()),
        }
    };
    Ok(Copies([read(0), read(1)]))
}

impl Copies {
    fn newest(&self) -> Result<Superblock, SuperblockError> {
        let whole = self.0.iter().filter_map(|copy| copy.as_ref().ok());
        if let Some(newest) = whole.max_by_key(|copy| copy.generation) {
            // One copy of a newer format means that a newer program was here.
            let unsupported = self.0.iter().find_map(|copy| match copy {
                Err(SuperblockError::Unsupported { found }) => Some(*found),
                _ => None,
            });
            return match unsupported {
                Some(found) => Err(SuperblockError::Unsupported { found }),
                None => Ok(newest.clone()),
            };
        }
        let mut reason = SuperblockError::Damaged;
        for copy in &self.0 {
            match copy {
                Err(SuperblockError::Unsupported { found }) => {
                    return Err(SuperblockError::Unsupported { found: *found });
                }
                Err(SuperblockError::Io(error)) => {
                    reason = SuperblockError::Io(io::Error::new(error.kind(), error.to_string()));
                }
                _ => {}
            }
        }
        Err(reason)
    }
}

#[cfg(test)]
mod tests {
    use platform::{FaultyDisk, SeededEntropy};
    use proptest::prelude::*;

    use super::*;

    const GOLDEN: &str = include_str!("../tests/golden/superblock_v1.hex");

    fn identity() -> DiskIdentity {
        DiskIdentity {
            cluster: ClusterId::from_bytes([1; 16]),
            node: NodeId::from_bytes([2; 16]),
            disk: DiskId::from_bytes([3; 16]),
        }
    }

    fn sample() -> Superblock {
        Superblock {
            generation: 0x0102_0304,
            cluster: identity().cluster,
            node: identity().node,
            disk: identity().disk,
            mount_point: true,
            secret: DiskSecret([4; 32]),
            mirrors: MirrorSet { generation: 300, disks: vec![identity().disk, DiskId::from_bytes([9; 16])] },
            slots: vec![SlotClaim {
                group: PlacementGroupId(1000),
                slot: SlotIndex(5),
                epoch: SlotEpoch(7),
                sealed: true,
            }],
            notes: BTreeMap::from([("archive".to_owned(), vec![1, 2, 3])]),
        }
    }

    #[test]
    fn the_bytes_of_version_1_never_change() {
        let golden = hex::decode(GOLDEN.trim()).unwrap();
        assert_eq!(hex::encode(encode(&sample()).unwrap()), GOLDEN.trim());
        assert_eq!(decode(&golden).unwrap(), sample());
        // The rest of a copy's place doesn't matter.
        assert_eq!(decode(&[golden, vec![0xff; 5000]].concat()).unwrap(), sample());
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut copy = encode(&sample()).unwrap();
        copy[8] = 2;
        let hashed = copy.len() - HASH_BYTES;
        assert!(matches!(decode(&copy), Err(SuperblockError::Damaged)));
        let hash = blake3::derive_key(HASH_CONTEXT, &copy[..hashed]);
        copy[hashed..].copy_from_slice(&hash);
        assert!(matches!(decode(&copy), Err(SuperblockError::Unsupported { found: 2 })));
    }

    #[test]
    fn only_blank_directories_are_formatted() {
        let disk = FaultyDisk::new(1);
        disk.create_directory(Path::new(TOLERATED)).unwrap();
        disk.open(Path::new(UNFINISHED), OpenOptions::CREATE).unwrap();
        assert!(matches!(inspect(&disk), Ok(Found::Blank)));
        disk.open(Path::new("thesis.tex"), OpenOptions::CREATE).unwrap();
        let entropy = SeededEntropy::new(1);
        for refused in [inspect(&disk).map(drop), format(&disk, identity(), &entropy).map(drop)] {
            assert!(matches!(refused, Err(SuperblockError::Foreign { example }) if example == "thesis.tex"));
        }
        disk.remove(Path::new("thesis.tex")).unwrap();
        let formatted = format(&disk, identity(), &entropy).unwrap();
        assert_eq!(inspect(&disk).unwrap(), Found::Formatted(Box::new(formatted)));
        assert!(matches!(format(&disk, identity(), &entropy), Err(SuperblockError::AlreadyFormatted)));
    }

    #[test]
    fn formatting_that_a_crash_cuts_short_leaves_blank_or_whole() {
        for seed in 0..40 {
            for step in 1..8 {
                let disk = FaultyDisk::new(seed);
                disk.power_off_at(step);
                let formatted = format(&disk, identity(), &SeededEntropy::new(seed));
                match (inspect(&disk.crash()).unwrap(), formatted) {
                    (Found::Formatted(found), Ok(formatted)) => assert_eq!(*found, formatted),
                    (Found::Formatted(_) | Found::Blank, Err(_)) => {}
                    (Found::Blank, Ok(_)) => panic!("seed {seed}: formatting was acknowledged and is undone"),
                }
            }
        }
    }

    /// Each update is there once it was acknowledged; one that wasn't is there whole or not at all.
    #[test]
    fn updates_survive_a_crash_at_any_step() {
        for seed in 0..200 {
            let mut disk = FaultyDisk::new(seed);
            format(&disk, identity(), &SeededEntropy::new(seed)).unwrap();
            let (mut acknowledged, mut tried) = (0, 0);
            for crash in 1..6 {
                let file = SuperblockFile::open(&disk).unwrap();
                let generation = file.get().mirrors.generation;
                assert!((acknowledged..=tried).contains(&generation), "seed {seed}: {generation}");
                (acknowledged, tried) = (generation, generation);
                disk.power_off_at(disk.counts().steps + crash);
                while disk.is_powered() {
                    tried += 1;
                    if file.update(|superblock| superblock.mirrors.generation = tried).is_ok() {
                        acknowledged = tried;
                    }
                }
                disk = disk.crash();
            }
        }
    }

    #[test]
    fn an_update_that_would_not_fit_changes_nothing() {
        let disk = FaultyDisk::new(1);
        format(&disk, identity(), &SeededEntropy::new(1)).unwrap();
        let file = SuperblockFile::open(&disk).unwrap();
        let before = file.get();
        let too_long = |superblock: &mut Superblock| {
            superblock.notes.insert("long".to_owned(), vec![0; COPY_BYTES]);
        };
        assert!(matches!(file.update(too_long), Err(SuperblockError::TooLong { .. })));
        assert_eq!(file.get(), before);
        assert_eq!(inspect(&disk).unwrap(), Found::Formatted(Box::new(Superblock::clone(&before))));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(decode(&bytes).is_err());
            let with_magic = [&MAGIC[..], &bytes].concat();
            prop_assert!(decode(&with_magic).is_err());
        }

        #[test]
        fn any_changed_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let mut copy = encode(&sample()).unwrap();
            let at = at.index(copy.len());
            copy[at] ^= 1 << bit;
            prop_assert!(decode(&copy).is_err());
        }
    }
}
