//! Segments: the files that records are appended to.
//!
//! A small segment is allocated whole before its first use; once all its records are dead it is recycled under a new
//! generation. A large segment is allocated as it grows and its freed records are punched out; once all are, it is
//! removed.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use platform::{Disk, DiskFile, OpenOptions};
use serde::{Deserialize, Serialize};
use types::DiskId;

use crate::superblock::DiskSecret;

/// The directory of all segments on a disk.
pub(crate) const DIRECTORY: &str = "segments";
/// Where a segment's first record begins: after the page that names the segment.
pub(crate) const RECORDS_START: u64 = PAGE_BYTES as u64;
/// What large records are aligned to.
pub(crate) const PAGE_BYTES: usize = 4096;
/// Each copy of a segment's header lies within one sector, the unit that a crash tears at.
const HEADER_COPIES: [usize; 2] = [0, 2048];
const HEADER_BYTES: usize = 64;
const MAC_BYTES: usize = 16;
const MAGIC: [u8; 8] = *b"\xc4CNSEG\r\n";
const FORMAT_VERSION: u16 = 1;
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
/// How many bytes of zeros one call writes.
const ZEROS_PER_CALL: u64 = 4 << 20;

/// The number of a segment on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct SegmentId(pub(crate) u32);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// What a segment's records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentKind {
    /// Bodies up to 64 KiB and tombstones, packed.
    Small,
    /// Longer bodies, aligned to pages.
    Large,
}

/// Who a segment is, by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentIdentity {
    pub(crate) id: SegmentId,
    pub(crate) kind: SegmentKind,
    /// Higher each time that the file is used anew, and when an id is.
    pub(crate) generation: u64,
    /// Bytes that it may hold, its header page included.
    pub(crate) bytes: u64,
}

impl SegmentIdentity {
    pub(crate) fn path(&self) -> PathBuf {
        segment_path(self.id, self.kind)
    }
}

fn segment_path(id: SegmentId, kind: SegmentKind) -> PathBuf {
    let kind = match kind {
        SegmentKind::Small => "small",
        SegmentKind::Large => "large",
    };
    Path::new(DIRECTORY).join(format!("{id}.{kind}"))
}

/// Reads a segment's id and kind from its file name; `None` for other names.
pub(crate) fn parse_name(name: &str) -> Option<(SegmentId, SegmentKind)> {
    let (id, kind) = name.split_once('.')?;
    let kind = match kind {
        "small" => SegmentKind::Small,
        "large" => SegmentKind::Large,
        _ => return None,
    };
    let id = SegmentId(u32::from_str_radix(id, 16).ok()?);
    (segment_path(id, kind).file_name()?.to_str()? == name).then_some((id, kind))
}

/// The key of the header checksums of one segment in one generation.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SegmentKey([u8; 32]);

impl SegmentKey {
    pub(crate) fn new(secret: &DiskSecret, id: SegmentId, generation: u64) -> Self {
        let mut name = [0; 32];
        name[..16].copy_from_slice(b"cairn segment v1");
        name[16..20].copy_from_slice(&id.0.to_le_bytes());
        name[24..].copy_from_slice(&generation.to_le_bytes());
        Self(*blake3::keyed_hash(secret.bytes(), &name).as_bytes())
    }

    /// One that everybody knows.
    #[cfg(fuzzing)]
    pub(crate) fn of_fuzzing() -> Self {
        Self([0x42; 32])
    }

    pub(crate) fn mac(&self, bytes: &[u8]) -> [u8; MAC_BYTES] {
        *blake3::keyed_hash(&self.0, bytes).as_bytes().first_chunk().expect("a hash has 32 bytes")
    }
}

impl fmt::Debug for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SegmentKey(..)")
    }
}

/// An open segment.
#[derive(Debug, Clone)]
pub(crate) struct SegmentFile {
    pub(crate) identity: SegmentIdentity,
    pub(crate) key: SegmentKey,
    pub(crate) file: Arc<dyn DiskFile>,
}

/// Where segments lie and what signs them.
#[derive(Debug, Clone)]
pub(crate) struct SegmentHome {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) disk_id: DiskId,
    pub(crate) secret: DiskSecret,
}

impl SegmentHome {
    pub(crate) fn key(&self, identity: &SegmentIdentity) -> SegmentKey {
        SegmentKey::new(&self.secret, identity.id, identity.generation)
    }

    /// Opens a segment's file.
    pub(crate) fn open(&self, identity: SegmentIdentity, options: OpenOptions) -> io::Result<SegmentFile> {
        let file = self.disk.open(&identity.path(), options)?;
        Ok(SegmentFile { identity, key: self.key(&identity), file })
    }

    /// Makes a new segment, durably: its first `allocated` bytes, then its header, then its name.
    ///
    /// An older file of that name is one that never came to be used, and is written over.
    pub(crate) fn create(&self, identity: SegmentIdentity, allocated: u64) -> io::Result<SegmentFile> {
        let segment = self.open(identity, OpenOptions::CREATE)?;
        segment.file.allocate(0, allocated)?;
        self.write_header(&segment)?;
        self.disk.sync_directory(Path::new(DIRECTORY))?;
        Ok(segment)
    }

    /// Gives a small segment a new generation, durably: none of its records counts any more.
    pub(crate) fn recycle(&self, segment: &SegmentFile, generation: u64) -> io::Result<SegmentFile> {
        debug_assert!(generation > segment.identity.generation, "generations rise");
        let identity = SegmentIdentity { generation, ..segment.identity };
        let segment = SegmentFile { identity, key: self.key(&identity), file: Arc::clone(&segment.file) };
        self.write_header(&segment)?;
        Ok(segment)
    }

    /// Writes the header of a segment again that is known otherwise.
    pub(crate) fn restore_header(&self, identity: &SegmentIdentity) -> io::Result<()> {
        self.write_header(&self.open(*identity, OpenOptions::EXISTING)?)
    }

    /// Whether a file never came to be used: its first page is missing or all zeros.
    pub(crate) fn is_unused(&self, id: SegmentId, kind: SegmentKind) -> io::Result<bool> {
        let file = self.disk.open(&segment_path(id, kind), OpenOptions::EXISTING)?;
        let mut page = [0; PAGE_BYTES];
        let length = file.read_at(&mut page, 0)?;
        Ok(page[..length].iter().all(|&byte| byte == 0))
    }

    /// Takes a file away that never came to be used.
    pub(crate) fn remove_unused(&self, id: SegmentId, kind: SegmentKind) -> io::Result<()> {
        self.disk.remove(&segment_path(id, kind))?;
        self.disk.sync_directory(Path::new(DIRECTORY))
    }

    /// Takes a segment away, durably.
    pub(crate) fn remove(&self, identity: &SegmentIdentity) -> io::Result<()> {
        self.disk.remove(&identity.path())?;
        self.disk.sync_directory(Path::new(DIRECTORY))
    }

    fn write_header(&self, segment: &SegmentFile) -> io::Result<()> {
        let header = self.encode_header(&segment.identity);
        let mut page = [0; PAGE_BYTES];
        for at in HEADER_COPIES {
            page[at..at + HEADER_BYTES].copy_from_slice(&header);
        }
        segment.file.write_all_at(&[IoSlice::new(&page)], 0)?;
        segment.file.sync_data()
    }

    fn encode_header(&self, identity: &SegmentIdentity) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        header[10] = match identity.kind {
            SegmentKind::Small => 1,
            SegmentKind::Large => 2,
        };
        header[12..16].copy_from_slice(&identity.id.0.to_le_bytes());
        header[16..24].copy_from_slice(&identity.generation.to_le_bytes());
        header[24..32].copy_from_slice(&identity.bytes.to_le_bytes());
        header[32..48].copy_from_slice(&self.disk_id.to_bytes());
        let mac = self.header_mac(&header);
        header[48..].copy_from_slice(&mac);
        header
    }

    fn header_mac(&self, header: &[u8; HEADER_BYTES]) -> [u8; MAC_BYTES] {
        *blake3::keyed_hash(self.secret.bytes(), &header[..48]).as_bytes().first_chunk().expect("a hash has 32 bytes")
    }

    /// Who the segment under this name is; `None` when neither copy of its header is whole. Of two copies the one of
    /// the higher generation counts: a recycling that a crash cut short had nothing to lose.
    pub(crate) fn identify(&self, id: SegmentId, kind: SegmentKind) -> io::Result<Option<SegmentIdentity>> {
        let file = self.disk.open(&segment_path(id, kind), OpenOptions::EXISTING)?;
        let mut page = [0; PAGE_BYTES];
        let length = file.read_at(&mut page, 0)?;
        let copies = HEADER_COPIES.into_iter().filter_map(|at| page[..length].get(at..at + HEADER_BYTES));
        let identities = copies.filter_map(|copy| self.decode_header(copy.try_into().expect("HEADER_BYTES long")));
        Ok(identities.filter(|found| found.id == id && found.kind == kind).max_by_key(|found| found.generation))
    }

    fn decode_header(&self, header: &[u8; HEADER_BYTES]) -> Option<SegmentIdentity> {
        let u64_at = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
        if header[48..] != self.header_mac(header)
            || header[..8] != MAGIC
            || header[8..10] != FORMAT_VERSION.to_le_bytes()
            || header[32..48] != self.disk_id.to_bytes()
        {
            return None;
        }
        let kind = match header[10] {
            1 => SegmentKind::Small,
            2 => SegmentKind::Large,
            _ => return None,
        };
        let id = SegmentId(u32::from_le_bytes(header[12..16].try_into().expect("four bytes")));
        Some(SegmentIdentity { id, kind, generation: u64_at(16), bytes: u64_at(24) })
    }
}

/// As many zeros as there are bytes between `offset` and the end of its page; none where a page begins there.
pub(crate) fn zeros_to_page_end(offset: u64) -> &'static [u8] {
    let bytes = offset.next_multiple_of(PAGE_BYTES as u64) - offset;
    &ZEROS[..usize::try_from(bytes).expect("less than a page")]
}

/// Writes zeros over `bytes` bytes from `offset`.
pub(crate) fn write_zeros(file: &dyn DiskFile, offset: u64, bytes: u64) -> io::Result<()> {
    let end = offset + bytes;
    let mut at = offset;
    while at < end {
        let mut left = usize::try_from((end - at).min(ZEROS_PER_CALL)).expect("at most ZEROS_PER_CALL");
        let mut slices = Vec::with_capacity(left.div_ceil(ZEROS.len()));
        while left > 0 {
            let piece = left.min(ZEROS.len());
            slices.push(IoSlice::new(&ZEROS[..piece]));
            left -= piece;
        }
        file.write_all_at(&slices, at)?;
        at += slices.iter().map(|slice| slice.len() as u64).sum::<u64>();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use platform::FaultyDisk;

    use super::*;
    use crate::superblock::{DiskIdentity, format};

    fn home(disk: &FaultyDisk) -> SegmentHome {
        let identity = DiskIdentity {
            cluster: types::ClusterId::from_bytes([1; 16]),
            node: types::NodeId::from_bytes([2; 16]),
            disk: DiskId::from_bytes([3; 16]),
        };
        let secret = format(disk, identity, &platform::SeededEntropy::new(1)).unwrap().secret;
        disk.create_directory(Path::new(DIRECTORY)).unwrap();
        disk.sync_directory(Path::new("")).unwrap();
        SegmentHome { disk: Arc::new(disk.clone()), disk_id: identity.disk, secret }
    }

    fn identity(id: u32, kind: SegmentKind) -> SegmentIdentity {
        SegmentIdentity { id: SegmentId(id), kind, generation: 5, bytes: 64 * 1024 }
    }

    #[test]
    fn names_read_back_and_others_are_none() {
        for kind in [SegmentKind::Small, SegmentKind::Large] {
            let path = identity(0x1a2b, kind).path();
            assert_eq!(parse_name(path.file_name().unwrap().to_str().unwrap()), Some((SegmentId(0x1a2b), kind)));
        }
        for name in ["00001a2b", "1a2b.small", "00001A2B.small", "00001a2b.tmp", "+0001a2b.large", ""] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }

    /// A segment is made whole, or its file counts as unused; power is cut at every step.
    #[test]
    fn a_segment_is_there_whole_or_unused_after_a_crash() {
        for kind in [SegmentKind::Small, SegmentKind::Large] {
            for seed in 0..60 {
                let disk = FaultyDisk::new(seed);
                let home = home(&disk);
                disk.power_off_at(disk.counts().steps + 1 + seed % 7);
                let created = home.create(identity(1, kind), 16 * 1024);
                let disk = disk.crash();
                let home = SegmentHome { disk: Arc::new(disk.clone()), ..home };
                let is_there = disk.status(&identity(1, kind).path()).unwrap().is_some();
                assert!(is_there || created.is_err());
                if is_there {
                    match home.identify(SegmentId(1), kind).unwrap() {
                        Some(found) => assert_eq!(found, identity(1, kind)),
                        None => assert!(created.is_err() && home.is_unused(SegmentId(1), kind).unwrap()),
                    }
                }
            }
        }
    }

    /// While a segment is recycled it is of the old or the new generation, never of none.
    #[test]
    fn a_recycled_segment_is_of_one_generation_or_the_next() {
        for seed in 0..60 {
            let disk = FaultyDisk::new(seed);
            let home = home(&disk);
            let segment = home.create(identity(1, SegmentKind::Small), 4096).unwrap();
            disk.power_off_at(disk.counts().steps + 1 + seed % 3);
            let recycled = home.recycle(&segment, 9);
            let home = SegmentHome { disk: Arc::new(disk.crash()), ..home };
            let found = home.identify(SegmentId(1), SegmentKind::Small).unwrap().expect("one copy is whole");
            assert!(found.generation == 9 || (recycled.is_err() && found.generation == 5));
        }
    }

    #[test]
    fn a_header_of_another_disk_or_name_is_refused() {
        let disk = FaultyDisk::new(1);
        let home = home(&disk);
        home.create(identity(1, SegmentKind::Small), 4096).unwrap();
        disk.rename(&identity(1, SegmentKind::Small).path(), &identity(2, SegmentKind::Small).path()).unwrap();
        assert_eq!(home.identify(SegmentId(2), SegmentKind::Small).unwrap(), None);
        let stranger = SegmentHome { disk_id: DiskId::from_bytes([4; 16]), ..home };
        disk.rename(&identity(2, SegmentKind::Small).path(), &identity(1, SegmentKind::Small).path()).unwrap();
        assert_eq!(stranger.identify(SegmentId(1), SegmentKind::Small).unwrap(), None);
    }
}
