//! Rebuilding a lost index: what `archive` needs of this node, and where the rebuilt index begins.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::index::FIRST_FEATURE_LEVEL;
use ::index::IndexSettings;
use ::index::command::FormCluster;
use admin::{ArchivedRange, RebuildOptions, RebuildReport, ReportedKey, ReportedKeys};
use archive::rebuild::{EmptyPlace, Keys, PresentDisk, RebuildParts, RebuildProgress, rebuild};
use async_trait::async_trait;
use consensus::ReplicatedIndex;
use objects::data::{DataPath, DataPathSeams, DiscardSink, GroupPlanner, PlannerError, RepairQueue};
use platform::{Disk, RealDisk};
use sqlite_vfs::DatabaseLocation;
use telemetry::with_causes;
use tokio::runtime::Handle;
use tokio::sync::watch;
use types::{Credential, DiskId, HomeKey, Layout, Profile, Run};

use crate::disks;
use crate::s3_side::data_path_settings;
use crate::server::{Opened, classes};

/// Where the database is built, on the disk with the most free space.
const DIRECTORY: &str = "index/rebuild";
const FILE: &str = "index.db";

/// Rebuilds the index; `None` after a dry run. Progress shows in `progress`.
///
/// # Errors
/// Why not, in words.
pub(crate) async fn run(
    opened: &Opened,
    root: &Credential,
    options: RebuildOptions,
    progress: RebuildProgress,
) -> Result<(RebuildReport, Option<Arc<ReplicatedIndex>>), String> {
    if !options.accept_loss {
        refuse_missing_log(opened)?;
    }
    let built = place(opened)?;
    let parts = parts(opened, root, options, built.clone())?;
    let (handle, shown) = (Handle::current(), progress.clone());
    let outcome = tokio::task::spawn_blocking(move || rebuild(&parts, handle, shown)).await;
    let report = outcome.map_err(|error| error.to_string())?.map_err(|error| with_causes(&error))?;
    let report = shown_report(report, options.dry_run);
    let index = match options.dry_run {
        true => None,
        false => {
            progress.begin("a new log");
            let settings = crate::index::consensus_settings(opened);
            let restored = ReplicatedIndex::restore(settings, built.clone()).await;
            Some(Arc::new(restored.map_err(|error| with_causes(&error))?))
        }
    };
    remove(&built)?;
    Ok((report, index))
}

/// Each mirror of the log has all of it: one that isn't here may make a rebuild unnecessary.
fn refuse_missing_log(opened: &Opened) -> Result<(), String> {
    let known: Vec<DiskId> = opened.directories.known.iter().map(|known| known.id).collect();
    let sets = known.iter().filter_map(|disk| Some(opened.shards.superblock(*disk).ok()?.mirrors.clone()));
    let Some(newest) = sets.max_by_key(|set| set.generation) else { return Ok(()) };
    let missing: Vec<String> =
        newest.disks.iter().filter(|disk| !known.contains(disk)).map(ToString::to_string).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the index may still lie on disks that are not here: {}; bring them back and start again, or say that what only \
         they have may be lost (--accept-loss)",
        missing.join(", ")
    ))
}

/// A place for the database that is built, with nothing in it.
fn place(opened: &Opened) -> Result<DatabaseLocation, String> {
    let states = opened.shards.disk_states();
    let up = |known: &&disks::KnownDisk| states.get(&known.id).is_some_and(|health| !health.is_down());
    let free = |known: &disks::KnownDisk| known.disk.space().map_or(0, |space| space.free_bytes);
    let chosen = opened.directories.known.iter().filter(up).max_by_key(|known| free(known));
    let disk = chosen.ok_or("no disk can be written")?.disk.clone();
    let built = DatabaseLocation { disk, path: Path::new(DIRECTORY).join(FILE) };
    built.disk.create_directory(Path::new(DIRECTORY)).map_err(|error| error.to_string())?;
    remove(&built)?;
    Ok(built)
}

fn remove(built: &DatabaseLocation) -> Result<(), String> {
    for suffix in ["", "-wal", "-shm"] {
        let mut path = built.path.clone().into_os_string();
        path.push(suffix);
        match built.disk.remove(&PathBuf::from(path)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.to_string()),
            _ => {}
        }
    }
    Ok(())
}

fn parts(
    opened: &Opened,
    root: &Credential,
    options: RebuildOptions,
    built: DatabaseLocation,
) -> Result<RebuildParts, String> {
    let Opened { settings, world, directories, shards, .. } = opened;
    let states = shards.disk_states();
    let mut present = Vec::new();
    for known in &directories.known {
        if states.get(&known.id).is_some_and(|health| !health.is_down()) {
            let row = disks::layout_row(known, directories.node).map_err(|error| error.to_string())?;
            let slots = shards.superblock(known.id).map_err(|error| error.to_string())?.slots.clone();
            present.push(PresentDisk { row, slots });
        }
    }
    let empty = |path: &PathBuf| EmptyPlace {
        path: path.display().to_string(),
        mount_point: RealDisk::open(path).and_then(|disk| disk.is_mount_point()).unwrap_or(false),
    };
    let unusable = directories.unusable.iter().map(|(path, _)| path);
    let wanted = settings.wanted();
    Ok(RebuildParts {
        disks: present,
        empty: directories.blank.iter().chain(unusable).map(empty).collect(),
        shards: shards.clone(),
        archive: shards.clone(),
        data: data_over(opened),
        classes: classes(wanted, settings),
        form: FormCluster {
            cluster: directories.cluster,
            // Where the archive knows a higher one, that stands.
            feature_level: FIRST_FEATURE_LEVEL,
            root: root.clone(),
            layout: Layout::default(),
        },
        node: directories.node,
        entropy: world.entropy.clone(),
        clock: world.clock.clone(),
        built,
        index: IndexSettings::default(),
        accept_loss: options.accept_loss,
    })
}

/// A data path that reads: nothing is written while there is no index.
fn data_over(opened: &Opened) -> Box<dyn Fn(Layout) -> DataPath + Send> {
    let settings = data_path_settings(&opened.settings);
    let (shards, world) = (opened.shards.clone(), opened.world.clone());
    Box::new(move |layout| {
        // What is bad is found again once there is an index that says what lives.
        let (repairs, _) = RepairQueue::new(1);
        let seams = DataPathSeams {
            shards: shards.clone(),
            buffers: world.buffers.clone(),
            budget: world.budget.clone(),
            workers: world.workers.clone(),
            entropy: world.entropy.clone(),
            layout: watch::Sender::new(Arc::new(layout)).subscribe(),
            planner: Arc::new(ReadOnly),
            repairs: Arc::new(repairs),
            discards: Arc::new(ReadOnly),
        };
        DataPath::new(settings.clone(), seams)
    })
}

struct ReadOnly;

#[async_trait]
impl GroupPlanner for ReadOnly {
    async fn make_groups(&self, _profile: Profile, _avoid: &[DiskId]) -> Result<(), PlannerError> {
        Err(PlannerError { reason: "the index is being rebuilt".to_owned() })
    }

    async fn refresh(&self) -> Result<(), PlannerError> {
        Ok(())
    }
}

impl DiscardSink for ReadOnly {
    fn discard(&self, _runs: Vec<Run>, _home: &HomeKey) {}
}

fn shown_report(report: archive::rebuild::RebuildReport, dry_run: bool) -> RebuildReport {
    let keys = |keys: Keys| ReportedKeys {
        count: keys.count,
        bytes: keys.bytes,
        keys: keys
            .named
            .into_iter()
            .map(|named| ReportedKey {
                bucket: named.bucket_name.unwrap_or_else(|| format!("bucket {}", named.bucket)),
                key: named.key,
                bytes: named.bytes,
                reason: named.reason,
            })
            .collect(),
    };
    let archived = |restored: archive::RestoredRange| ArchivedRange {
        range: restored.range.0,
        complete_to: s3_wire::time::http_date(restored.complete).to_str().unwrap_or_default().to_owned(),
        complete_to_unix_seconds: restored.complete.0 / 1_000_000,
        entries: restored.proposals,
    };
    let without = |(range, reason)| format!("range {range}: {reason}");
    RebuildReport {
        dry_run,
        archive: report.restored.into_iter().map(archived).collect(),
        without_archive: report.without_archive.into_iter().map(without).collect(),
        buckets: report.totals.buckets,
        objects: report.totals.objects,
        versions: report.totals.versions,
        markers: report.totals.markers,
        bytes: report.totals.bytes,
        uploads: report.totals.uploads,
        unproven: keys(report.unproven),
        incomplete: keys(report.incomplete),
        left_out: keys(report.left_out),
        notes: report.notes,
    }
}
