//! Cares for the disks while serving: a disk that fails is noted as down in the layout at once; one that is back, blank
//! in its old place, is formatted and takes its slots; free space is told to whoever chooses groups.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use consensus::ReplicatedIndex;
use objects::data::DataPath;
use parking_lot::Mutex;
use platform::{Clock, DirectoryLock, Disk, Entropy, RealDisk};
use shards::superblock::Found;
use shards::{DiskHealth, DiskUsage, LocalShards, ShardError};
use tokio::sync::watch;
use types::{ClusterId, Credential, DiskId, DiskState, NodeId, Profile};
use upkeep::settling::{REBUILDING_NOTE, SETTLING_NOTE, mark_replaced};

use crate::credential;
use crate::disks::{self, Blank, KnownDisk};
use crate::layout::LayoutKeeper;
use crate::protection::Protection;
use crate::slots::SlotTeller;

/// How often disks are probed.
const PROBE_PERIOD: Duration = Duration::from_secs(1);

/// What cares for the disks.
pub(crate) struct DiskCare {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    /// Whether this process is a cluster by itself.
    pub(crate) is_alone: bool,
    pub(crate) shards: Arc<LocalShards>,
    pub(crate) layout: Arc<LayoutKeeper>,
    pub(crate) index: Arc<ReplicatedIndex>,
    pub(crate) data: DataPath,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) credential: Credential,
    /// Where each directory that the server was given is a disk, and which.
    pub(crate) places: Mutex<BTreeMap<PathBuf, Option<DiskId>>>,
    /// Wakes the rebuilding of a disk that was replaced.
    pub(crate) replaced: watch::Sender<u64>,
    /// Keep other servers off the directories, by path.
    pub(crate) locks: Mutex<BTreeMap<PathBuf, Arc<DirectoryLock>>>,
    /// How many shards each disk of this node has or, while it is down or not rebuilt yet, should have, as far as this
    /// process has seen.
    pub(crate) shards_due: Mutex<BTreeMap<DiskId, u64>>,
    /// Counts the wishes for a scrub pass.
    pub(crate) scrub_wanted: watch::Sender<u64>,
    /// Whether all that is stored is to be written anew in its wanted profile, by this node.
    pub(crate) restripe_wanted: Arc<watch::Sender<bool>>,
}

impl DiskCare {
    /// How objects are protected now where `wanted` is wanted.
    pub(crate) fn protection(&self, wanted: Profile) -> Protection {
        Protection::of(&self.layout.current(), wanted, |disk| self.is_settled(disk))
    }

    /// Whether a disk took another's place and has not got all its shards yet.
    pub(crate) fn is_unfinished(&self, disk: DiskId) -> bool {
        self.has_note(disk, REBUILDING_NOTE)
    }

    /// Whether a disk has all its shards, those too that a writer of before may have committed after its rebuilding.
    pub(crate) fn is_settled(&self, disk: DiskId) -> bool {
        !self.is_unfinished(disk) && !self.has_note(disk, SETTLING_NOTE)
    }

    fn has_note(&self, disk: DiskId, note: &str) -> bool {
        self.shards.superblock(disk).is_ok_and(|superblock| superblock.notes.contains_key(note))
    }

    /// What a disk holds and has room for.
    ///
    /// # Errors
    /// [`ShardError::UnknownDisk`], [`ShardError::DiskDown`].
    pub(crate) async fn usage(&self, disk: DiskId) -> Result<DiskUsage, ShardError> {
        let usage = self.shards.usage(disk).await?;
        if !self.is_unfinished(disk) {
            self.shards_due.lock().insert(disk, usage.shards);
        }
        Ok(usage)
    }

    /// How many shards are missing because their disk is down or not rebuilt yet; `None` where this process has not seen
    /// how many such a disk had.
    pub(crate) async fn missing_shards(&self) -> Option<u64> {
        let layout = self.layout.current();
        let mut missing = 0;
        for row in layout.disks.iter().filter(|row| row.state != DiskState::Out) {
            let due = || self.shards_due.lock().get(&row.id).copied();
            if row.state == DiskState::Down {
                missing += due()?;
            } else if self.is_unfinished(row.id) {
                let has = self.shards.usage(row.id).await.map_or(0, |usage| usage.shards);
                missing += due()?.saturating_sub(has);
            }
        }
        Some(missing)
    }

    /// Probes and reacts until `stopped` changes.
    pub(crate) async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut states = self.shards.watch();
        let mut ticks = tokio::time::interval(PROBE_PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.probe().await,
                changed = states.changed() => if changed.is_err() { return },
                _ = stopped.changed() => return,
            }
            states.borrow_and_update();
            if self.layout.slots().is_some_and(SlotTeller::is_due) {
                self.layout.tell_slots().await;
            }
            self.index.leave_disks(self.leaving());
            self.let_go().await;
            self.note_lost().await;
        }
    }

    /// Probes every disk, and looks whether a lost one is back.
    async fn probe(&self) {
        let places = self.places.lock().clone();
        for disk in places.values().flatten() {
            if self.shards.probe(*disk).await.is_ok_and(|health| !health.is_down())
                && let Ok(usage) = self.usage(*disk).await
            {
                self.data.disks().set_free_bytes(*disk, usage.free_bytes);
            }
        }
        for (path, disk) in places {
            let lost = disk.is_none_or(|disk| !self.layout.current().disk_state(disk).is_read());
            if lost && let Err(reason) = self.look_for_return(&path).await {
                tracing::debug!(path = %path.display(), %reason, "a lost disk is not back");
            }
        }
    }

    /// The disks of this node that are drained or given up: its part of the index leaves them too.
    fn leaving(&self) -> BTreeSet<DiskId> {
        let layout = self.layout.current();
        let own = layout.disks.iter().filter(|row| row.node == self.node);
        own.filter(|row| row.state.is_left()).map(|row| row.id).collect()
    }

    /// Serves disks no more that were taken out of the cluster while this node stays in it.
    async fn let_go(&self) {
        let layout = self.layout.current();
        if !layout.nodes.iter().any(|row| row.id == self.node) {
            return;
        }
        let served = self.places.lock().clone();
        for (path, disk) in served {
            let Some(disk) = disk.filter(|disk| layout.disk(*disk).is_none()) else { continue };
            tracing::info!(%disk, path = %path.display(), "a disk was taken out of the cluster");
            // The index goes on from its copies on other disks.
            self.index.disk_failed(disk).await;
            self.shards.remove_disk(disk).await;
            self.places.lock().insert(path, None);
        }
    }

    /// Notes in the layout and in the index what the stores found to be down.
    async fn note_lost(&self) {
        for (disk, health) in self.shards.disk_states().iter() {
            let DiskHealth::Down { reason } = health else { continue };
            let up = self.layout.current().disk_state(*disk).is_read();
            if !up {
                continue;
            }
            tracing::error!(%disk, %reason, "a disk is down");
            self.index.disk_failed(*disk).await;
            if let Err(error) = self.is_not_absent(*disk).await {
                tracing::warn!(%disk, %error, "it could not be noted that a disk failed, and was not merely absent");
            }
            if let Err(error) = self.layout.set_disk_state(*disk, DiskState::Down).await {
                tracing::error!(%disk, %error, "the loss of a disk could not be noted");
            }
        }
    }

    /// Formats a directory that is blank in the place of a lost disk, and has it rebuilt.
    async fn look_for_return(&self, path: &Path) -> Result<(), String> {
        let real = RealDisk::open(path).map_err(|error| error.to_string())?;
        if let Found::Formatted(superblock) = shards::superblock::inspect(&real).map_err(|error| error.to_string())? {
            return self.take_in(path, &superblock).await;
        }
        let mount_point = real.is_mount_point().map_err(|error| error.to_string())?;
        let layout = self.layout.current();
        let present: Vec<DiskId> =
            layout.disks.iter().filter(|disk| disk.state.is_read()).map(|disk| disk.id).collect();
        match disks::judge_blank(&layout, self.node, path, mount_point, &present) {
            Blank::Replaces(old) => self.replace(path, Some(old)).await,
            Blank::New => self.replace(path, None).await,
            Blank::NotMounted(old) => Err(format!("disk {old} is not mounted there")),
        }
    }

    /// Formats `path` and serves it in the place of `old`, or as a new disk.
    pub(crate) async fn replace(&self, path: &Path, old: Option<DiskId>) -> Result<(), String> {
        // A directory that was only emptied is locked still, for the disk that it was. Another server that gets in between
        // leaves a disk there, and this one then refuses it.
        drop(self.locks.lock().remove(path));
        let known = disks::format(path, self.cluster, self.node, &*self.entropy).map_err(|error| error.to_string())?;
        if let Some(old) = old {
            self.shards.remove_disk(old).await;
            let mut due = self.shards_due.lock();
            if let Some(shards) = due.remove(&old) {
                due.insert(known.id, shards);
            }
        }
        self.locks.lock().insert(path.to_owned(), known.lock.clone());
        self.shards.add_disk(known.disk.clone()).await.map_err(|error| error.to_string())?;
        self.places.lock().insert(path.to_owned(), Some(known.id));
        self.admit(&known, old).await?;
        tracing::info!(disk = %known.id, path = %path.display(), replaces = old.map(tracing::field::display), "a blank directory is served as a disk");
        self.replaced.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Puts a served disk into the layout, in the place of `old` or as a new one, and gives it what every disk has.
    ///
    /// A disk that takes another's place is marked before the layout names it, so that no crash makes it pass for whole.
    pub(crate) async fn admit(&self, known: &KnownDisk, old: Option<DiskId>) -> Result<(), String> {
        if old.is_some() {
            self.shards.update_superblock(known.id, mark_replaced).await.map_err(|error| error.to_string())?;
        }
        credential::write_copy(&*known.disk, &self.credential).map_err(|error| error.to_string())?;
        let row = disks::layout_row(known, self.node).map_err(|error| error.to_string())?;
        let changed = match old {
            Some(old) => self.layout.replace_disk(old, row).await,
            None => self.layout.add_disk(row).await,
        };
        changed.map_err(|error| error.to_string())?;
        if let Some(old) = old {
            self.is_not_absent(old).await.map_err(|error| error.to_string())?;
        }
        self.index.add_disk(known.id, known.disk.clone()).await;
        self.data.disks().clear(known.id);
        Ok(())
    }

    /// Opens a disk that is down anew and takes it into service.
    pub(crate) async fn readmit(&self, disk: DiskId) -> Result<(), String> {
        let place = self.places.lock().iter().find(|(_, at)| **at == Some(disk)).map(|(path, _)| path.clone());
        let path = place.ok_or_else(|| self.why_not_served(disk))?;
        let real: Arc<dyn Disk> = Arc::new(RealDisk::open(&path).map_err(|error| error.to_string())?);
        self.shards.add_disk(real.clone()).await.map_err(|error| error.to_string())?;
        // Others may own its slots by now.
        self.layout.refresh().await.map_err(|error| error.to_string())?;
        self.layout.tell_slots().await;
        self.layout.set_disk_state(disk, DiskState::Up).await.map_err(|error| error.to_string())?;
        self.is_not_absent(disk).await.map_err(|error| error.to_string())?;
        self.index.add_disk(disk, real).await;
        self.data.disks().clear(disk);
        self.replaced.send_modify(|count| *count += 1);
        Ok(())
    }
    fn why_not_served(&self, disk: DiskId) -> String {
        match self.layout.current().disk(disk) {
            Some(row) if row.node == self.node => {
                format!(
                    "disk {disk} is not there: start the server with its directory, {}, among those named",
                    row.path
                )
            }
            Some(row) => format!("disk {disk} is none of this node's: ask node {}", row.node),
            None => format!("the cluster has no disk {disk}"),
        }
    }
}
