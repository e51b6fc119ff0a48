//! Blocks that a database keeps in reserve.

use std::io;

use platform::{Create, OpenOptions};

use crate::open::DatabaseLocation;

/// Blocks that are kept beyond what is written, so that a database takes commits for a while when its disk is full:
/// deletes, which win space back, are commits too. New ones are reserved when half of them are used.
pub(crate) const RESERVE_BYTES: u64 = 8 << 20;

/// Sees to it that an open database and its WAL have the blocks in reserve that their connections reserve as they
/// write, for those pass over it where there is no room: whoever moves to a disk has to know.
///
/// # Errors
/// The file system has no room for them, or no such files.
pub fn reserve_room(database: &DatabaseLocation) -> io::Result<()> {
    for file in [database, &database.beside("-wal")] {
        let file = file.disk.open(&file.path, OpenOptions { create: Create::Never, direct: false })?;
        file.reserve(file.status()?.bytes, RESERVE_BYTES)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use platform::{Disk, RealDisk};

    use super::*;
    use crate::{Role, Settings, open};

    #[test]
    fn room_is_reserved_beside_what_is_written() {
        let directory = tempfile::tempdir().expect("made");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(directory.path()).expect("opened"));
        let location = DatabaseLocation { disk: disk.clone(), path: PathBuf::from("a.db") };
        reserve_room(&location).expect_err("there is no database");
        let connection = open(&location, Role::Writer, &Settings::default()).expect("opened");
        connection.execute_batch("CREATE TABLE t (x)").expect("written");
        reserve_room(&location).expect("there is room");
        for name in ["a.db", "a.db-wal"] {
            let status = disk.status(name.as_ref()).expect("known").expect("there");
            assert!(
                status.allocated_bytes >= status.bytes.next_multiple_of(4096) + RESERVE_BYTES,
                "{name}: {status:?}"
            );
        }
    }
}
