//! Keeps the archive: one generation a range that counts, appended to every few seconds, and another one begun when the
//! log in it has become longer than its state, or when a disk of it is lost.
//!
//! A generation is one file on several disks: the range's rows from one read transaction, then the log. While the rows
//! of a new one are being written, the old one goes on; it is dropped once the new one has caught up with it and every
//! disk's superblock says that the new one counts. The log is held until it is archived, but never for an archive that
//! can't be written.

mod generation;
mod patient;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use consensus::ReplicatedIndex;
use index::SYSTEM_RANGE;
use parking_lot::Mutex;
use platform::Clock;
use shards::{ArchiveFile, ArchiveService, ArchiveSet};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use types::{DiskId, Layout, RangeId};

use generation::{Generation, GenerationError, begin};
use patient::Patient;

/// Rounds that a disk which failed is passed over for, and that a range waits after a generation failed.
const ROUNDS_UNTIL_RETRY: u32 = 15;

/// How the archive is kept.
#[derive(Debug, Clone)]
pub struct ArchiveSettings {
    /// How many disks have a copy, where there are so many.
    pub copies: usize,
    /// How often what is new is archived.
    pub period: Duration,
    /// A new state is begun when there is so much log since the last, or as much as that is large, if that is more.
    pub log_bytes_min: u64,
}

/// What an archiver works with.
pub struct ArchiverParts {
    /// The index that is archived.
    pub index: Arc<ReplicatedIndex>,
    /// The disks.
    pub disks: Arc<dyn ArchiveService>,
    /// Which of them are up.
    pub layout: watch::Receiver<Arc<Layout>>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// How it is kept.
    pub settings: ArchiveSettings,
}

/// How the archive is, for those who look at it.
#[derive(Clone)]
pub struct ArchiveStatus {
    index: Arc<ReplicatedIndex>,
    clock: Arc<dyn Clock>,
    ranges: Arc<Mutex<BTreeMap<RangeId, RangeStatus>>>,
}

#[derive(Debug, Clone, Default)]
struct RangeStatus {
    /// The index after the last entry that is archived; `None` while there is no archive.
    next: Option<u64>,
    /// When everything that was then applied was archived, on the monotonic clock.
    complete: Duration,
    disks: Vec<DiskId>,
}

impl ArchiveStatus {
    /// By how much each range's archive is behind, at most; `None` while there is none.
    pub fn lags(&self) -> BTreeMap<RangeId, Option<Duration>> {
        let now = self.clock.monotonic();
        let lag = |(range, status): (&RangeId, &RangeStatus)| {
            let behind = |next| if next >= self.index.applied(*range) { Duration::ZERO } else { now - status.complete };
            (*range, status.next.map(behind))
        };
        // A range that another node leads is that one's to archive.
        self.ranges.lock().iter().filter(|(range, _)| self.index.leads(**range)).map(lag).collect()
    }

    /// By how much the archive that is most behind is, at most; `None` while a range has none.
    pub fn lag(&self) -> Option<Duration> {
        self.lags().into_values().try_fold(Duration::ZERO, |most, lag| Some(most.max(lag?)))
    }

    /// Whether a disk has a copy of some range's archive.
    pub fn lies_on(&self, disk: DiskId) -> bool {
        self.ranges.lock().values().any(|status| status.disks.contains(&disk))
    }
}

/// Keeps the archive of all ranges that this node leads.
pub struct Archiver {
    parts: Arc<ArchiverParts>,
    ranges: Vec<RangeArchive>,
    avoided: BTreeMap<DiskId, u32>,
    status: ArchiveStatus,
}

/// One range's archive.
struct RangeArchive {
    range: RangeId,
    /// What counts.
    current: Option<Generation>,
    /// What is to take its place, and from where on it needs the log.
    coming: Option<(JoinHandle<Result<Generation, GenerationError>>, u64)>,
    /// No generation up to this one may be begun again.
    last_generation: u64,
    /// Rounds until another try.
    pause: u32,
    /// Whether what lies on the disks from before the start was looked at.
    looked: bool,
}

impl Archiver {
    /// Begins with what lies on the disks once it runs.
    pub fn new(mut parts: ArchiverParts) -> Self {
        parts.disks = Arc::new(Patient(parts.disks));
        let status = ArchiveStatus {
            index: parts.index.clone(),
            clock: parts.clock.clone(),
            ranges: Arc::new(Mutex::new(BTreeMap::new())),
        };
        let mut archiver = Self { parts: Arc::new(parts), ranges: Vec::new(), avoided: BTreeMap::new(), status };
        archiver.follow_ranges();
        archiver
    }

    /// Takes in the ranges that came since, by splits.
    fn follow_ranges(&mut self) {
        for range in self.parts.index.ranges() {
            if self.ranges.iter().any(|archive| archive.range == range) {
                continue;
            }
            let started = RangeStatus { complete: self.parts.clock.monotonic(), ..RangeStatus::default() };
            self.status.ranges.lock().insert(range, started);
            self.ranges.push(RangeArchive {
                range,
                current: None,
                coming: None,
                last_generation: 0,
                pause: 0,
                looked: false,
            });
        }
    }

    /// How the archive is, now and later.
    pub fn status(&self) -> ArchiveStatus {
        self.status.clone()
    }

    /// Archives until `stopped` changes; then what was answered by then is archived too.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(self.parts.settings.period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => {}
                _ = stopped.changed() => break,
            }
            self.round().await;
        }
        for archive in &mut self.ranges {
            if let Some((coming, _)) = archive.coming.take() {
                coming.abort();
            }
        }
        // The log stays held: what is still committed until the process ends is archived after the next start.
        self.round_of_log().await;
    }

    async fn round(&mut self) {
        let layout = self.parts.layout.borrow().clone();
        self.follow_ranges();
        for at in 0..self.ranges.len() {
            if !self.leads(at) {
                self.leave(at);
                continue;
            }
            if !self.ranges[at].looked {
                self.look(at, &layout).await;
            }
            self.take_over(at, &layout).await;
            self.append(at).await;
            self.begin_where_due(at, &layout);
            self.tell(at);
        }
        self.avoided.retain(|_, rounds| {
            *rounds -= 1;
            *rounds > 0
        });
    }

    /// Whether the range is this node's to archive.
    fn leads(&self, at: usize) -> bool {
        self.parts.index.leads(self.ranges[at].range)
    }

    /// Leaves a range to the node that leads it, which goes on with what lies on the disks.
    fn leave(&mut self, at: usize) {
        let archive = &mut self.ranges[at];
        if !std::mem::take(&mut archive.looked) {
            return;
        }
        if let Some((coming, _)) = archive.coming.take() {
            coming.abort();
        }
        archive.current = None;
        self.parts.index.hold_log(archive.range, None);
    }

    async fn round_of_log(&mut self) {
        for at in 0..self.ranges.len() {
            if !self.leads(at) {
                continue;
            }
            self.append(at).await;
            self.tell(at);
        }
    }

    /// Looks at what an earlier process left: the generation that counts goes on where all its copies are there and
    /// equal, and the log has what follows.
    async fn look(&mut self, at: usize, layout: &Layout) {
        let archive = &mut self.ranges[at];
        let mut counting: Option<ArchiveSet> = None;
        for disk in up(layout) {
            let Ok(stored) = self.parts.disks.archives(disk).await else { continue };
            let of_range = stored.iter().filter(|stored| stored.file.range == archive.range);
            let last = of_range.map(|stored| stored.file.generation).max().unwrap_or(0);
            archive.last_generation = archive.last_generation.max(last);
            let sets = self.parts.disks.archive_sets(disk).await.unwrap_or_default();
            for set in sets.into_iter().filter(|set| set.file.range == archive.range) {
                archive.last_generation = archive.last_generation.max(set.file.generation);
                if counting.as_ref().is_none_or(|known| known.file.generation < set.file.generation) {
                    counting = Some(set);
                }
            }
        }
        archive.looked = true;
        let Some(set) = counting else { return };
        match Generation::resume(&self.parts, set).await {
            // Held from here on; what was purged before shows at the first append.
            Ok(Some(generation)) => archive.current = Some(generation),
            Ok(None) => {}
            Err(error) => tracing::warn!(range = %archive.range, %error, "the archive does not go on where it ended"),
        }
    }

    /// Puts a generation that is ready in the place of the current one.
    async fn take_over(&mut self, at: usize, layout: &Layout) {
        let archive = &mut self.ranges[at];
        if !archive.coming.as_ref().is_some_and(|(task, _)| task.is_finished()) {
            return;
        }
        let Some((task, _)) = archive.coming.take() else { return };
        let begun = match task.await {
            Ok(begun) => begun,
            Err(error) => Err(GenerationError::Index(error.to_string())),
        };
        let range = archive.range;
        let ready = match begun {
            Ok(generation) => match self.child_without_archive(range, layout).await {
                None => Ok(generation),
                Some(child) => {
                    Err(GenerationError::Index(format!("range {child} was split off and has no archive yet")))
                }
            },
            Err(error) => Err(error),
        };
        let ready = match ready {
            Ok(mut generation) => match self.catch_up(&mut generation).await {
                Ok(()) => self.publish(&generation, layout).await.map(|()| generation),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match ready {
            Ok(generation) => {
                self.ranges[at].current = Some(generation);
                self.drop_others(at, layout).await;
            }
            Err(error) => {
                tracing::warn!(%range, %error, "no new state of the archive was written");
                self.avoid(&error);
                self.ranges[at].pause = ROUNDS_UNTIL_RETRY;
            }
        }
    }

    /// A range that this one may have been before a split, and that no disk has an archive of: what this one's archive
    /// says of it is all that there is, and must stay.
    async fn child_without_archive(&self, range: RangeId, layout: &Layout) -> Option<RangeId> {
        let known = self.parts.index.descriptors().into_iter().map(|known| known.id);
        let mut children: BTreeSet<RangeId> = known.filter(|id| *id > range && range != SYSTEM_RANGE).collect();
        for disk in up(layout) {
            if children.is_empty() {
                break;
            }
            for set in self.parts.disks.archive_sets(disk).await.unwrap_or_default() {
                children.remove(&set.file.range);
            }
        }
        children.first().copied()
    }

    /// Appends what is applied by now; says when a disk of it fails.
    async fn catch_up(&self, generation: &mut Generation) -> Result<(), GenerationError> {
        loop {
            let failed = generation.append_log(&self.parts).await?;
            if let Some((disk, reason)) = failed.into_iter().next() {
                return Err(GenerationError::Disk { disk, reason });
            }
            if generation.next >= self.parts.index.applied(generation.file.range) {
                return Ok(());
            }
        }
    }

    /// Writes into every superblock which generation counts; those of its own disks must say so before anybody relies on
    /// it.
    async fn publish(&self, generation: &Generation, layout: &Layout) -> Result<(), GenerationError> {
        let set = ArchiveSet { file: generation.file, disks: generation.disks.clone() };
        let noted = up(layout).map(async |disk| (disk, self.parts.disks.note_archive(disk, set.clone()).await));
        let mut outcome = Ok(());
        for (disk, noted) in futures::future::join_all(noted).await {
            if let Err(error) = noted {
                tracing::warn!(%disk, %error, "a disk was not told where the archive lies");
                if generation.disks.contains(&disk) {
                    outcome = Err(GenerationError::Disk { disk, reason: error.to_string() });
                }
            }
        }
        outcome
    }

    /// Drops the range's files but those of the current generation.
    async fn drop_others(&self, at: usize, layout: &Layout) {
        let archive = &self.ranges[at];
        let Some(current) = &archive.current else { return };
        for disk in up(layout) {
            let Ok(stored) = self.parts.disks.archives(disk).await else { continue };
            let old = |file: &ArchiveFile| {
                let counts = *file == current.file && current.disks.contains(&disk);
                file.range == archive.range && !counts
            };
            for file in stored.into_iter().map(|stored| stored.file).filter(old) {
                if let Err(error) = self.parts.disks.drop_archive(disk, file).await {
                    tracing::warn!(%disk, ?file, %error, "an old archive file was not removed");
                }
            }
        }
    }

    /// Appends what is new to the current generation, and strikes the disks that fail.
    async fn append(&mut self, at: usize) {
        let archive = &mut self.ranges[at];
        let range = archive.range;
        let Some(mut current) = archive.current.take() else { return };
        let mut failures = Vec::new();
        loop {
            match current.append_log(&self.parts).await {
                Ok(failed) => failures.extend(failed),
                // It can't go on, and is still all that there is until another one has taken its place.
                Err(error) => {
                    if !current.is_over {
                        tracing::warn!(%range, %error, "the archive begins anew");
                    }
                    current.is_over = true;
                    break;
                }
            }
            if current.disks.is_empty() || current.next >= self.parts.index.applied(range) {
                break;
            }
        }
        for (disk, reason) in &failures {
            tracing::error!(%range, %disk, reason, "a disk takes no more of the archive");
            self.avoided.insert(*disk, ROUNDS_UNTIL_RETRY);
        }
        self.ranges[at].current = Some(current).filter(|current| !current.disks.is_empty());
    }

    fn begin_where_due(&mut self, at: usize, layout: &Layout) {
        let archive = &mut self.ranges[at];
        archive.pause = archive.pause.saturating_sub(1);
        if archive.coming.is_some() || archive.pause > 0 {
            return;
        }
        let candidates: Vec<DiskId> = up(layout).filter(|disk| !self.avoided.contains_key(disk)).collect();
        let wanted = self.parts.settings.copies.max(1).min(candidates.len());
        let is_due = archive.current.as_ref().is_none_or(|current| {
            // A disk that failed another range is no place for this one either.
            let lost = current.disks.iter().any(|disk| !candidates.contains(disk));
            let long = current.log_bytes >= self.parts.settings.log_bytes_min.max(current.state_bytes);
            current.is_over || lost || long || current.disks.len() < wanted
        });
        if !is_due || wanted == 0 {
            return;
        }
        let disks = self.choose(candidates, wanted);
        let archive = &mut self.ranges[at];
        archive.last_generation += 1;
        let file = ArchiveFile { range: archive.range, generation: archive.last_generation };
        // Before the rows are read, so that what follows them stays.
        let from = self.parts.index.applied(archive.range);
        archive.coming = Some((tokio::spawn(begin(self.parts.clone(), file, disks)), from));
        archive.hold(&self.parts.index);
    }

    /// Disks that have neither log nor database first: what takes those away need not take the archive too.
    fn choose(&self, mut candidates: Vec<DiskId>, count: usize) -> Vec<DiskId> {
        let index = self.parts.index.status();
        let has_index = |disk: &DiskId| index.log.mirrors.contains(disk) || index.database_disk == Some(*disk);
        candidates.sort_by_key(|disk| (has_index(disk), *disk));
        candidates.truncate(count);
        candidates
    }

    fn avoid(&mut self, error: &GenerationError) {
        if let GenerationError::Disk { disk, .. } = error {
            self.avoided.insert(*disk, ROUNDS_UNTIL_RETRY);
        }
    }

    /// Holds the log and says how things are.
    fn tell(&self, at: usize) {
        let archive = &self.ranges[at];
        archive.hold(&self.parts.index);
        let mut statuses = self.status.ranges.lock();
        let Some(status) = statuses.get_mut(&archive.range) else { return };
        status.next = archive.current.as_ref().map(|current| current.next);
        status.disks = archive.current.iter().flat_map(|current| current.disks.clone()).collect();
        if let Some(complete) = archive.current.as_ref().and_then(|current| current.complete) {
            status.complete = complete;
        }
    }
}

impl RangeArchive {
    fn hold(&self, index: &ReplicatedIndex) {
        let current = self.current.as_ref().filter(|current| !current.is_over).map(|current| current.next);
        let coming = self.coming.as_ref().map(|(_, from)| *from);
        index.hold_log(self.range, current.into_iter().chain(coming).min());
    }
}

fn up(layout: &Layout) -> impl Iterator<Item = DiskId> {
    layout.disks.iter().filter(|disk| disk.state.is_written()).map(|disk| disk.id)
}
