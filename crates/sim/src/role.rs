//! What a node does beside serving disks and index: keeps the layout, tells its disks their slots, does its duties, and
//! archives what it leads. The real code does it; what `node` does with directories and operators is done here.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use archive::{ArchiveSettings, ArchiveStatus, Archiver, ArchiverParts};
use consensus::ReplicatedIndex;
use index::IndexService;
use node::parts::{
    ClusterArchive, ClusterShards, DutyServices, DutySettings, LayoutKeeper, NodeChanges, OwnShards, Ranges, assemble,
    shared_out,
};
use objects::data::{DataPath, DataPathSeams, DataPathSettings, RepairQueue};
use objects::{DiscardQueue, Objects, ObjectsServices, ObjectsSettings};
use platform::Workers;
use rpc::client::{RemoteArchive, RemoteShards};
use shards::{DiskHealth, LocalShards, ShardService};
use tokio::sync::watch;
use types::{DiskState, StorageClass};
use upkeep::Duties;

use crate::front::TICKET_IDLE_MAX;
use crate::machine::{Machine, disk_row, node_id, profile};

/// How often a node that has just started looks whether the cluster answers.
const PERIOD: Duration = Duration::from_millis(200);
/// How often it looks after its disks.
const CARE_PERIOD: Duration = Duration::from_secs(1);
/// How long freed runs wait for readers under way: longer than any read lasts here.
const GARBAGE_GRACE: Duration = Duration::from_secs(10);
/// In what time every shard is verified once.
const SCRUB_PERIOD: Duration = Duration::from_secs(20);
/// How long a day of lifecycle rules is: nobody sets any.
const LIFECYCLE_DAY: Duration = Duration::from_secs(86_400);
/// Reports of bad shards, and runs that were given up, that may wait.
const QUEUE_ENTRIES: usize = 4096;

/// What a node has before it knows the cluster.
pub(crate) struct Role {
    pub(crate) machine: Machine,
    pub(crate) index: Arc<ReplicatedIndex>,
    pub(crate) shards: Arc<LocalShards>,
    pub(crate) own: Arc<OwnShards>,
    /// Where it is shown how the archive is.
    pub(crate) archive: Arc<OnceLock<ArchiveStatus>>,
    /// Where it is put what splits ranges.
    pub(crate) ranges: Arc<OnceLock<Arc<Ranges>>>,
    pub(crate) scrub_wanted: watch::Receiver<u64>,
}

/// Finds the layout as soon as somebody has it, and does what nodes do, until `stopped` changes.
pub(crate) async fn play(role: Role, mut stopped: watch::Receiver<bool>) {
    let life = stopped.clone();
    let begun = async { begin(&role, &life).await };
    let (duties, objects, tasks) = tokio::select! {
        biased;
        _ = stopped.changed() => return,
        begun = begun => begun,
    };
    // Ends what was spawned where this task is aborted.
    let _tasks = Tasks(tasks);
    let _ended = stopped.changed().await;
    duties.stop().await;
    objects.stop().await;
}

/// Tasks that end with their owner.
struct Tasks(Vec<tokio::task::JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

type Begun = (Duties, Objects, Vec<tokio::task::JoinHandle<()>>);

async fn begin(role: &Role, stopped: &watch::Receiver<bool>) -> Begun {
    let Role { machine, index, shards, own, .. } = role;
    let all_index = machine.cluster_index(Some(index.clone() as Arc<dyn IndexService>));
    let layout = loop {
        match LayoutKeeper::open(all_index.clone(), Some(shards.clone()), profile(), Vec::new()).await {
            Ok(layout) => break Arc::new(layout),
            Err(_) => tokio::time::sleep(PERIOD).await,
        }
    };
    machine.directory.follow(layout.watch());
    own.follow(layout.clone());
    let remote = RemoteShards::new(machine.client.clone(), machine.directory.clone());
    let all_shards: Arc<dyn ShardService> = Arc::new(ClusterShards::new(Some(own.clone()), remote));
    let (repairs, bad_shards) = RepairQueue::new(QUEUE_ENTRIES);
    let (discards, given_up) = DiscardQueue::new(QUEUE_ENTRIES);
    let seams = DataPathSeams {
        shards: all_shards.clone(),
        buffers: machine.pool.clone(),
        budget: machine.budget.clone(),
        workers: Workers::new("coding", 1),
        entropy: machine.entropy.clone(),
        layout: layout.watch(),
        planner: layout.clone(),
        repairs: Arc::new(repairs.clone()),
        discards: Arc::new(discards),
    };
    let data = DataPath::new(DataPathSettings::default(), seams);
    let objects = start_objects(machine, &all_index, &data, given_up).await;
    let changes = Arc::new(NodeChanges::new(layout.clone(), shards.clone(), machine.entropy.clone()));
    // An operator splits them: none grows as large as that.
    let ranges = Ranges::new(index.clone(), all_index.clone(), layout.clone(), u64::MAX, machine.clock());
    let ranges = Arc::new(ranges);
    let _only_once = role.ranges.set(ranges.clone());
    let services = DutyServices {
        clock: machine.clock(),
        node: node_id(machine.number),
        index: all_index,
        all_shards,
        shards: shards.clone(),
        data,
        objects: objects.clone(),
        layout: layout.clone(),
        changes,
        repairs,
        bad_shards,
        replaced: watch::Sender::new(0).subscribe(),
        scrub_wanted: role.scrub_wanted.clone(),
        restripe_wanted: Arc::new(watch::Sender::new(false)),
        entropy: machine.entropy.clone(),
        led: {
            let own = index.clone();
            Arc::new(move || own.descriptors().into_iter().filter(|range| own.leads(range.id)).collect())
        },
    };
    let settings = DutySettings {
        ticket_idle_max: TICKET_IDLE_MAX,
        garbage_grace: GARBAGE_GRACE,
        scrub_period: SCRUB_PERIOD,
        lifecycle_day: LIFECYCLE_DAY,
    };
    let (duties, _) = assemble(settings, services);
    let duties = shared_out(duties, node_id(machine.number), &index.leaders());
    let archiver = archiver(role, &layout);
    let _only_once = role.archive.set(archiver.status());
    let tasks = vec![
        tokio::spawn(layout.clone().follow(stopped.clone())),
        tokio::spawn(care(role.machine.number, shards.clone(), index.clone(), layout.clone())),
        tokio::spawn(archiver.run(stopped.clone())),
        tokio::spawn(ranges.run(stopped.clone())),
    ];
    (Duties::start(duties), objects, tasks)
}

/// S3's operations, which some duties go by.
pub(crate) async fn start_objects(
    machine: &Machine,
    index: &Arc<dyn IndexService>,
    data: &DataPath,
    given_up: objects::GivenUpRuns,
) -> Objects {
    let services = ObjectsServices {
        index: index.clone(),
        data: data.clone(),
        clock: machine.clock(),
        entropy: machine.entropy.clone(),
    };
    let settings = ObjectsSettings {
        node: node_id(machine.number),
        classes: BTreeMap::from([(StorageClass::default(), profile())]),
        ticket_idle_max: TICKET_IDLE_MAX,
    };
    let mut given_up = Some(given_up);
    loop {
        // A start that fails has used up the queue's end; runs that are given up then wait for their ticket's end.
        let given_up = given_up.take().unwrap_or_else(|| DiscardQueue::new(QUEUE_ENTRIES).1);
        match Objects::start(services.clone(), settings.clone(), given_up).await {
            Ok(objects) => return objects,
            Err(_) => tokio::time::sleep(PERIOD).await,
        }
    }
}

fn archiver(role: &Role, layout: &Arc<LayoutKeeper>) -> Archiver {
    let Role { machine, index, own, .. } = role;
    let remote = RemoteArchive::new(machine.client.clone(), machine.directory.clone());
    Archiver::new(ArchiverParts {
        index: index.clone(),
        disks: Arc::new(ClusterArchive::new(own.clone(), remote)),
        layout: layout.watch(),
        clock: machine.clock(),
        settings: ArchiveSettings { copies: 2, period: Duration::from_secs(2), log_bytes_min: 256 << 10 },
    })
}

/// Looks after the disks, as a node and its operator do: one that failed is noted as down, one that works again since its
/// node was restarted is taken back, one that the layout does not know is added, and all are told their slots.
async fn care(number: usize, shards: Arc<LocalShards>, index: Arc<ReplicatedIndex>, layout: Arc<LayoutKeeper>) {
    let mut states = shards.watch();
    let mut is_first = true;
    loop {
        layout.tell_slots().await;
        let mut settled = true;
        for (disk, health) in shards.disk_states().iter() {
            let known = layout.current().disk(*disk).map(|row| row.state);
            let outcome = match (health, known) {
                (DiskHealth::Down { .. }, Some(state)) if state.is_read() => {
                    index.disk_failed(*disk).await;
                    layout.set_disk_states(&[*disk], DiskState::Down).await
                }
                (DiskHealth::Down { .. }, _) => Ok(()),
                (_, None) => layout.add_disk(disk_row(number, *disk)).await,
                (_, Some(DiskState::Down)) if is_first => layout.set_disk_states(&[*disk], DiskState::Up).await,
                _ => Ok(()),
            };
            settled &= outcome.is_ok();
        }
        is_first &= !settled;
        tokio::select! {
            biased;
            changed = states.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(CARE_PERIOD) => {}
        }
    }
}
