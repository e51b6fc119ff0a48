//! Opens the replicated index over the disks that work, and says what each holds of it.

use std::sync::Arc;

use ::index::IndexSettings;
use admin::IndexStatus;
use archive::ArchiveStatus;
use consensus::{ConsensusSettings, DatabaseUpkeep, Founding, LogSettings, RaftTransport, ReplicatedIndexStatus};
use types::DiskId;

use crate::memory;
use crate::registry::SuperblockRegistry;
use crate::server::Opened;
use crate::settings::ServerSettings;

/// What the index of these disks is opened with.
pub(crate) fn consensus_settings(opened: &Opened) -> ConsensusSettings {
    let Opened { settings, world, directories, shards, .. } = opened;
    let states = shards.disk_states();
    let works = |id: &DiskId| states.get(id).is_some_and(|health| !health.is_down());
    let disks = directories.known.iter().filter(|known| works(&known.id)).map(|known| (known.id, known.disk.clone()));
    ConsensusSettings {
        disks: disks.collect(),
        registry: Arc::new(SuperblockRegistry::new(shards.clone())),
        node: directories.node,
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
        log: LogSettings {
            mirrors: copies(settings),
            free_bytes_min: settings.disk_reserve_bytes / 2,
            ..LogSettings::default()
        },
        index: IndexSettings::default(),
        recent_versions_bytes: usize::try_from(memory::recent_versions_bytes(settings)).unwrap_or(usize::MAX),
        peers: None,
        founding: Founding::Alone,
        upkeep: DatabaseUpkeep { checkpoint_bytes: settings.checkpoint_bytes, ..DatabaseUpkeep::default() },
    }
}

/// What the index of a node among others is opened with: its log lies on one disk, for other nodes have it too.
pub(crate) fn cluster_consensus_settings(opened: &Opened, peers: Arc<dyn RaftTransport>) -> ConsensusSettings {
    let alone = consensus_settings(opened);
    ConsensusSettings {
        log: LogSettings { mirrors: 1, ..alone.log },
        peers: Some(peers),
        founding: Founding::Wait,
        ..alone
    }
}

/// On how many disks the log, the database and the archive are to lie: one more than may be lost.
pub(crate) fn copies(settings: &ServerSettings) -> usize {
    let wanted = settings.wanted();
    settings.storage_classes.iter().map(|(_, profile)| profile.m()).fold(wanted.m(), usize::max) + 1
}

/// What a disk holds of the index.
pub(crate) fn roles_of(status: &ReplicatedIndexStatus, archive: &ArchiveStatus, disk: DiskId) -> Vec<String> {
    let roles = [
        ("log", status.log.mirrors.contains(&disk)),
        ("database", status.database_disk == Some(disk)),
        ("copy", status.upkeep.copies.contains_key(&disk)),
        ("archive", archive.lies_on(disk)),
    ];
    roles.into_iter().filter(|(_, has)| *has).map(|(role, _)| role.to_owned()).collect()
}

/// The index as `cairn admin status` shows it.
pub(crate) fn status_of(status: &ReplicatedIndexStatus, archive: &ArchiveStatus) -> IndexStatus {
    IndexStatus {
        leader: status.leads,
        applied: status.applied.values().sum(),
        log_bytes: status.log.bytes,
        database_bytes: status.database_bytes,
        archive_lag_seconds: archive.lag().map(|lag| lag.as_secs_f64()),
    }
}
