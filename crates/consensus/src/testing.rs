//! What the tests of this crate share: a registry on the disks themselves, entries, and waiting without sleeping.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use openraft::EntryPayload;
use platform::{Disk, FaultyDisk, OpenOptions};
use types::DiskId;

use crate::log::{Disks, MirrorRegistry, MirrorSet};
use crate::raft_types::{Entry, Proposed, log_id};

/// Keeps the mirror set in a file on each disk, as superblocks would.
#[derive(Debug, Clone)]
pub(crate) struct FileRegistry(pub(crate) Disks);

const SET: &str = "mirror-set";
const NEW_SET: &str = "mirror-set.new";

impl MirrorRegistry for FileRegistry {
    fn read(&self) -> io::Result<Vec<(DiskId, Option<MirrorSet>)>> {
        let set_on = |disk: &dyn Disk| {
            let Some(status) = disk.status(Path::new(SET))? else { return Ok(None) };
            let mut bytes = vec![0; usize::try_from(status.bytes).expect("a small file")];
            disk.open(Path::new(SET), OpenOptions::EXISTING)?.read_at(&mut bytes, 0)?;
            postcard::from_bytes(&bytes).map(Some).map_err(io::Error::other)
        };
        Ok(self.0.iter().filter_map(|(id, disk)| Some((*id, set_on(&**disk).ok()?))).collect())
    }

    fn write(&self, disk: DiskId, set: &MirrorSet) -> io::Result<()> {
        let (_, disk) = self.0.iter().find(|(id, _)| *id == disk).ok_or(io::ErrorKind::NotFound)?;
        let bytes = postcard::to_allocvec(set).map_err(io::Error::other)?;
        let file = disk.open(Path::new(NEW_SET), OpenOptions::CREATE)?;
        file.set_len(0)?;
        file.write_all_at(&[IoSlice::new(&bytes)], 0)?;
        file.sync_data()?;
        disk.rename(Path::new(NEW_SET), Path::new(SET))?;
        disk.sync_directory(Path::new(""))
    }
}

/// The id of the test's `number`th disk.
pub(crate) fn disk_id(number: usize) -> DiskId {
    DiskId::from_bytes([u8::try_from(number + 1).expect("few disks"); 16])
}

/// The disks, as consensus wants them.
pub(crate) fn numbered(disks: &[FaultyDisk]) -> Disks {
    disks.iter().enumerate().map(|(number, disk)| (disk_id(number), Arc::new(disk.clone()) as Arc<dyn Disk>)).collect()
}

/// An entry that carries `bytes` bytes, each `index`'s lowest eight bits.
pub(crate) fn entry(term: u64, index: u64, bytes: usize) -> Entry {
    let body = Bytes::from(vec![index as u8; bytes]);
    Entry { log_id: log_id(term, index), payload: EntryPayload::Normal(Proposed::from_bytes(body)) }
}

/// Lets other threads run until `condition` holds.
///
/// # Panics
/// After a minute, with `what`.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "a test's patience is real time")]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed().as_secs() < 60, "{what}: not within a minute");
        std::thread::yield_now();
    }
}

/// Compares bytes with those that a release first wrote, in `tests/golden`; with `WRITE_GOLDEN=1`, writes them instead:
/// only for a format that no release has written yet.
///
/// # Panics
/// They differ: a release could not read what an older one wrote.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "golden files belong to the tests")]
pub(crate) fn assert_golden(name: &str, written: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        std::fs::write(&path, written).expect("written");
    }
    let golden = std::fs::read(&path).expect("the golden file is there");
    assert_eq!(written, golden, "the format {name} changed");
}
