//! Disks that were merely absent: their directory was not named at a start, or was not mounted. They did not fail, and what
//! was written meanwhile went to others whole; so they are in service again by themselves once they are there, and what they
//! lack is made up for as for every disk that was down. A disk that failed waits for a command.
//!
//! The note is the one that whoever watches a cluster keeps of the disks of silent nodes (`watch`). It is kept here where a
//! process is a cluster by itself; in a cluster it is not a node's own to keep.

use std::collections::BTreeSet;
use std::path::Path;

use index::{Command, CommandBody, IndexError, Query, QueryAnswer};
use platform::RealDisk;
use shards::Superblock;
use types::{DiskId, DiskState, RequestNumber};

use crate::care::DiskCare;
use crate::layout::LayoutError;

impl DiskCare {
    /// Notes that disks were not found at the start, and sets them down.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub(crate) async fn miss(&self, disks: Vec<DiskId>) -> Result<(), LayoutError> {
        if disks.is_empty() {
            return Ok(());
        }
        // First, so that no crash in between makes them pass for failed.
        self.note_away(disks.clone(), Vec::new()).await?;
        self.layout.set_disk_states(&disks, DiskState::Down).await
    }

    /// Takes disks that work into service again which were absent before.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub(crate) async fn take_back(&self, working: &[DiskId]) -> Result<(), LayoutError> {
        let away = self.away().await?;
        let back: Vec<DiskId> = working.iter().copied().filter(|disk| away.contains(disk)).collect();
        let layout = self.layout.current();
        let is_down = |disk: &DiskId| layout.disk_state(*disk) == DiskState::Down;
        let down: Vec<DiskId> = back.iter().copied().filter(is_down).collect();
        if !down.is_empty() {
            tracing::info!(disks = down.len(), "disks that were absent are back, and in service again");
            self.layout.set_disk_states(&down, DiskState::Up).await?;
            down.iter().for_each(|disk| self.data.disks().clear(*disk));
        }
        Ok(self.note_away(Vec::new(), back).await?)
    }

    /// A disk has failed, is replaced or is in service again: whatever comes next, it is not absent.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn is_not_absent(&self, disk: DiskId) -> Result<(), IndexError> {
        if !self.away().await?.contains(&disk) {
            return Ok(());
        }
        self.note_away(Vec::new(), vec![disk]).await
    }

    /// Takes in what was not mounted at the start and is now; one that had failed before waits for a command.
    pub(crate) async fn take_in(&self, path: &Path, superblock: &Superblock) -> Result<(), String> {
        let disk = superblock.disk;
        let is_own = (superblock.cluster, superblock.node) == (self.cluster, self.node);
        if !is_own || self.layout.current().disk_state(disk) != DiskState::Down {
            return Err("the directory holds a disk that does not belong there".to_owned());
        }
        if self.places.lock().values().any(|known| *known == Some(disk)) {
            return Err("the directory holds a disk that failed: readmit it by command".to_owned());
        }
        let lock = RealDisk::open(path).and_then(|disk| disk.lock()).map_err(|error| error.to_string())?;
        self.locks.lock().insert(path.to_owned(), lock.into());
        self.places.lock().insert(path.to_owned(), Some(disk));
        if !self.away().await.map_err(|error| error.to_string())?.contains(&disk) {
            return Err("the directory holds a disk that was down before: readmit it by command".to_owned());
        }
        self.readmit(disk).await?;
        tracing::info!(%disk, path = %path.display(), "a disk that was absent is back, and in service again");
        Ok(())
    }

    async fn away(&self) -> Result<BTreeSet<DiskId>, IndexError> {
        if !self.is_alone {
            return Ok(BTreeSet::new());
        }
        match self.layout.index().query(Query::AwayDisks).await? {
            QueryAnswer::AwayDisks(away) => Ok(away.into_iter().collect()),
            _ => {
                let reason = "a question for disks that are away was misunderstood".to_owned();
                Err(IndexError::Unavailable { reason })
            }
        }
    }

    async fn note_away(&self, away: Vec<DiskId>, back: Vec<DiskId>) -> Result<(), IndexError> {
        if !self.is_alone || (away.is_empty() && back.is_empty()) {
            return Ok(());
        }
        let body = CommandBody::NoteAway { away, back };
        self.layout.index().propose(Command { request: None, answered: RequestNumber(0), body }).await.map(drop)
    }
}
