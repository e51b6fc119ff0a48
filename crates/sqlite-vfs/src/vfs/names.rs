//! Names by which SQLite, which knows only strings, finds a file on a disk.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use platform::Disk;

/// Disks that some database was opened on, by number.
#[derive(Default)]
struct Disks {
    by_number: HashMap<u64, Weak<dyn Disk>>,
    last_number: u64,
}

static DISKS: LazyLock<Mutex<Disks>> = LazyLock::new(Mutex::default);

/// A file on a disk.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) path: PathBuf,
}

/// The name of a file, good as long as the disk lives: `/number of the disk/path`.
pub(super) fn name_of(disk: &Arc<dyn Disk>, path: &str) -> String {
    let mut disks = DISKS.lock();
    disks.by_number.retain(|_, disk| disk.strong_count() > 0);
    let wanted = Arc::downgrade(disk);
    let known = disks.by_number.iter().find(|(_, known)| known.ptr_eq(&wanted)).map(|(&number, _)| number);
    let number = known.unwrap_or_else(|| {
        disks.last_number += 1;
        let number = disks.last_number;
        disks.by_number.insert(number, wanted);
        number
    });
    format!("/{number}/{path}")
}

/// The file of a name; `None` if the name isn't one of ours or its disk is gone.
pub(super) fn place_of(name: &str) -> Option<Place> {
    let (number, path) = name.strip_prefix('/')?.split_once('/')?;
    let disk = DISKS.lock().by_number.get(&number.parse().ok()?)?.upgrade()?;
    Some(Place { disk, path: path.into() })
}
