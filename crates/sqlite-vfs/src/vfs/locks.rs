//! Who holds which lock of a database, among the connections of this process.
//!
//! The two kinds of locks and their rules are SQLite's (<https://www.sqlite.org/lockingv3.html>,
//! <https://www.sqlite.org/walformat.html>, "WAL locks"). Nobody waits here: who can't have a lock is told `Busy`,
//! and SQLite's busy handler asks again.

use std::ops::Range;

/// The lock is held by somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy;

/// A connection's lock on the database file; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum FileLock {
    #[default]
    None,
    Shared,
    Reserved,
    Pending,
    Exclusive,
}

/// The locks on a database file.
#[derive(Debug, Default)]
pub(super) struct FileLocks {
    /// Connections that hold `Shared` or more.
    sharers: usize,
    /// Whether one of them holds `Reserved` or more, or went from `Shared` to `Pending` at once.
    is_reserved: bool,
    /// Whether that one holds `Pending` or more: no new sharer comes in.
    is_pending: bool,
}

impl FileLocks {
    /// Raises the lock that a connection holds. Where it must wait for sharers to leave it stays `Pending`.
    pub(super) fn raise(&mut self, held: &mut FileLock, wanted: FileLock) -> Result<(), Busy> {
        if *held >= wanted {
            return Ok(());
        }
        if *held == FileLock::None {
            if self.is_pending {
                return Err(Busy);
            }
            self.sharers += 1;
            *held = FileLock::Shared;
        }
        if wanted >= FileLock::Reserved && *held < FileLock::Reserved {
            if self.is_reserved {
                return Err(Busy);
            }
            self.is_reserved = true;
            *held = FileLock::Reserved;
        }
        if wanted >= FileLock::Pending {
            self.is_pending = true;
            *held = FileLock::Pending;
        }
        if wanted == FileLock::Exclusive {
            if self.sharers > 1 {
                return Err(Busy);
            }
            *held = FileLock::Exclusive;
        }
        Ok(())
    }

    /// Lowers the lock that a connection holds to `Shared` or `None`.
    pub(super) fn lower(&mut self, held: &mut FileLock, wanted: FileLock) {
        if *held <= wanted {
            return;
        }
        if *held >= FileLock::Reserved {
            self.is_reserved = false;
        }
        if *held >= FileLock::Pending {
            self.is_pending = false;
        }
        *held = FileLock::Shared;
        if wanted == FileLock::None {
            self.sharers -= 1;
            *held = FileLock::None;
        }
    }

    /// Whether any connection holds `Reserved` or more.
    pub(super) fn is_reserved(&self) -> bool {
        self.is_reserved
    }
}

/// How many locks the WAL index has (`SQLITE_SHM_NLOCK`).
pub(super) const WAL_LOCKS: usize = 8;

/// The locks of a WAL index.
#[derive(Debug, Default)]
pub(super) struct WalLocks {
    holders: [Holders; WAL_LOCKS],
}

#[derive(Debug, Clone, Copy, Default)]
struct Holders {
    sharers: usize,
    is_exclusive: bool,
}

/// Which of them one connection holds, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct HeldWalLocks {
    shared: u8,
    exclusive: u8,
}

impl WalLocks {
    /// Takes one lock shared.
    pub(super) fn share(&mut self, held: &mut HeldWalLocks, slot: usize) -> Result<(), Busy> {
        if held.shared & bit(slot) != 0 {
            return Ok(());
        }
        if self.holders[slot].is_exclusive {
            return Err(Busy);
        }
        self.holders[slot].sharers += 1;
        held.shared |= bit(slot);
        Ok(())
    }

    /// Takes all of `slots` exclusively, or none. Not even the connection's own shared lock may stand on them.
    pub(super) fn take(&mut self, held: &mut HeldWalLocks, slots: Range<usize>) -> Result<(), Busy> {
        if self.holders[slots.clone()].iter().any(|holders| holders.is_exclusive || holders.sharers > 0) {
            return Err(Busy);
        }
        for slot in slots {
            self.holders[slot].is_exclusive = true;
            held.exclusive |= bit(slot);
        }
        Ok(())
    }

    /// Lets go of what the connection holds of `slots`.
    pub(super) fn release(&mut self, held: &mut HeldWalLocks, slots: Range<usize>) {
        for slot in slots {
            if held.exclusive & bit(slot) != 0 {
                self.holders[slot].is_exclusive = false;
            }
            if held.shared & bit(slot) != 0 {
                self.holders[slot].sharers -= 1;
            }
            held.exclusive &= !bit(slot);
            held.shared &= !bit(slot);
        }
    }
}

fn bit(slot: usize) -> u8 {
    1 << slot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_waits_for_the_readers_and_lets_no_new_ones_in() {
        let mut locks = FileLocks::default();
        let [mut reader, mut writer, mut late] = [FileLock::None; 3];
        locks.raise(&mut reader, FileLock::Shared).expect("free");
        locks.raise(&mut writer, FileLock::Shared).expect("shared");
        locks.raise(&mut writer, FileLock::Reserved).expect("free");
        assert!(locks.is_reserved());
        assert_eq!(locks.raise(&mut reader, FileLock::Reserved), Err(Busy));
        locks.raise(&mut late, FileLock::Shared).expect("a reserved lock lets readers in");
        locks.lower(&mut late, FileLock::None);
        assert_eq!(locks.raise(&mut writer, FileLock::Exclusive), Err(Busy));
        assert_eq!(writer, FileLock::Pending);
        assert_eq!(locks.raise(&mut late, FileLock::Shared), Err(Busy));
        locks.lower(&mut reader, FileLock::None);
        locks.raise(&mut writer, FileLock::Exclusive).expect("alone now");
        locks.lower(&mut writer, FileLock::Shared);
        assert_eq!((writer, locks.is_reserved()), (FileLock::Shared, false));
        locks.raise(&mut late, FileLock::Shared).expect("let in again");
        locks.lower(&mut writer, FileLock::None);
        locks.lower(&mut late, FileLock::None);
        locks.raise(&mut reader, FileLock::Exclusive).expect("nobody holds anything");
    }

    #[test]
    fn a_wal_lock_is_shared_by_many_or_held_by_one() {
        let mut locks = WalLocks::default();
        let [mut first, mut second] = [HeldWalLocks::default(); 2];
        locks.share(&mut first, 3).expect("free");
        locks.share(&mut first, 3).expect("held already");
        locks.share(&mut second, 3).expect("shared");
        assert_eq!(locks.take(&mut second, 2..5), Err(Busy));
        locks.take(&mut second, 4..5).expect("none was taken before");
        locks.release(&mut first, 3..4);
        assert_eq!(locks.take(&mut first, 3..4), Err(Busy), "the other still shares");
        locks.release(&mut second, 0..WAL_LOCKS);
        locks.take(&mut first, 0..WAL_LOCKS).expect("all free");
        assert_eq!(locks.share(&mut second, 7), Err(Busy));
        locks.release(&mut second, 0..WAL_LOCKS);
        assert_eq!(locks.share(&mut second, 7), Err(Busy), "what is not held can't be let go");
        locks.release(&mut first, 0..WAL_LOCKS);
        locks.share(&mut second, 7).expect("free");
    }
}
