//! Disks of a cluster that hang, fill up, turn read-only and fail while it is written to.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;

use super::load::Load;
use super::{Dice, all_vote, has_index, is_whole, setting};
use crate::mounts::{FileSystem, Filling, Mounts};
use crate::processes::{Cluster, Launch, Member, free_addresses};

const NODES: usize = 5;
const DISKS: usize = 2;
const GATEWAYS: usize = 2;
const WRITERS: u64 = 4;
/// What runs without more rounds than usual: one of each kind.
const ROUNDS: u64 = 4;
/// Room for what is written in many rounds.
const DISK_BYTES: u64 = 1 << 30;
/// How long nodes may take to see that a disk is lost, or to make it whole again beside the load in a debug build.
const PATIENCE: Duration = Duration::from_secs(180);

/// What happens to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Who writes to it waits.
    Hang(Duration),
    /// It has no byte left, and what becomes free is taken at once.
    Full,
    /// It takes no writes.
    ReadOnly,
    /// What is not in memory can't be read, and no sync succeeds.
    Fail,
}

impl Fault {
    /// One of each kind in turn.
    fn of_round(round: u64, dice: &mut Dice) -> Self {
        match round % 4 {
            1 => Self::Hang(Duration::from_millis(dice.below(3000..6000))),
            2 => Self::Full,
            3 => Self::ReadOnly,
            _ => Self::Fail,
        }
    }

    /// A node whose disks can have it: see [`Suffering::new`].
    fn node(self, dice: &mut Dice) -> usize {
        if self == Self::Full { 0 } else { dice.index(NODES - 2) + 1 }
    }
}

/// Has the right to write of whoever was killed end soon: a disk that was replaced waits for that.
fn with_short_tickets(mut launch: Launch) -> Launch {
    launch.environment.push(("CAIRN_TICKET_IDLE".to_owned(), "15s".to_owned()));
    launch
}

/// Five nodes of two disks and two gateways. The first node's disks are in memory, so that they can fill up to the last
/// byte; the last one's are directories; those of the others are on devices.
struct Suffering {
    cluster: Cluster,
    gateways: Vec<Member>,
    // Dropped after the processes were killed.
    mounts: Vec<Mounts>,
}

impl Suffering {
    /// `None`, said loudly, where the machine doesn't allow mounts.
    fn new() -> Option<Self> {
        let tried = RefCell::new(Vec::new());
        let trial = tempfile::TempDir::new().expect("a temporary directory");
        let (memory, device) = (FileSystem::Tmpfs(DISK_BYTES), FileSystem::Ext4(DISK_BYTES));
        for (name, file_system) in [("memory", memory), ("device", device)] {
            Mounts::new(file_system, &[trial.path().join(name)])?;
        }
        let file_systems = [memory, device, device, device];
        let addresses = free_addresses(NODES);
        let launch = |at: usize, disks: &[PathBuf]| {
            let launch = with_short_tickets(Launch::node(disks, &addresses, &addresses[at]));
            let Some(file_system) = file_systems.get(at) else { return launch };
            let mounts = Mounts::new(*file_system, disks).expect("it was possible a moment ago");
            let launcher = mounts.launcher();
            tried.borrow_mut().push(mounts);
            Launch { launcher, ..launch }
        };
        let cluster = Cluster::of_launches(addresses.clone(), launch, DISKS);
        let gateway = |_| with_short_tickets(cluster.gateway_launch()).start().ready();
        let gateways = (0..GATEWAYS).map(gateway).collect();
        Some(Self { cluster, gateways, mounts: tried.into_inner() })
    }

    fn endpoints(&self) -> Vec<String> {
        self.gateways.iter().map(|gateway| gateway.endpoint.clone()).collect()
    }

    /// A disk's directory as its node sees it.
    fn path(&self, node: usize, disk: usize) -> PathBuf {
        self.cluster.node_directory(node).join(format!("d{}", disk + 1))
    }

    /// A disk's directory as this process sees it.
    fn seen(&self, node: usize, disk: usize) -> PathBuf {
        let path = self.path(node, disk);
        self.mounts[node].root().join(path.strip_prefix("/").unwrap_or(&path))
    }

    /// A disk's row in the status of its own node.
    fn disk(&self, node: usize, disk: usize) -> Value {
        let (member, path) = (&self.cluster.nodes[node], self.path(node, disk).display().to_string());
        let status = member.admin(&["status"]);
        let disks = status["disks"].as_array().expect("disks");
        let own = disks.iter().filter(|row| row["node"] == status["node"]);
        own.filter(|row| row["path"] == path).find(|row| row["state"] != "out").cloned().unwrap_or_default()
    }

    /// The disk with a node's log.
    fn index_disk(&self, node: usize) -> usize {
        (0..DISKS).find(|disk| has_index(&self.disk(node, *disk))).expect("a node has a log")
    }

    async fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let status = || self.cluster.nodes[NODES - 1].admin(&["status"]);
            assert!(begun.elapsed() < PATIENCE, "{what}: {:#}", status());
            // Each look is a process, beside all those that are tested.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn until_state(&self, node: usize, disk: usize, state: &str) {
        let what = format!("disk {disk} of node {node} is {state}");
        self.until(&what, || self.disk(node, disk)["state"] == state).await;
    }

    /// Waits until all is as wide as it should be by every node's word, and all nodes vote again.
    async fn until_all_is_whole(&self) {
        for node in &self.cluster.nodes {
            self.until("all is whole", || {
                let status = node.admin(&["status"]);
                is_whole(&status) && all_vote(&status, NODES, 0)
            })
            .await;
        }
    }

    /// A blank disk in the place of one that is lost. Once it is whole, its node is started again: where it had the node's
    /// index, that is how the node gets its votes back.
    async fn replace(&mut self, node: usize, disk: usize) {
        let (path, lost) = (self.path(node, disk), self.disk(node, disk)["id"].clone());
        self.mounts[node].unmount(&path);
        self.mounts[node].mount(&path);
        self.until("the disk that was replaced is whole", || {
            let now = self.disk(node, disk);
            let status = self.cluster.nodes[node].admin(&["status"]);
            now["state"] == "up" && now["id"] != lost && status["repair"]["rebuilding"] == Value::Array(Vec::new())
        })
        .await;
        tokio::task::block_in_place(|| self.cluster.nodes[node].restart());
    }

    /// Has one disk suffer, sees that the load goes on meanwhile, and heals it.
    async fn suffer(&mut self, fault: Fault, node: usize, disk: usize, load: &Load) {
        let (path, what) = (self.path(node, disk), format!("{fault:?} of disk {disk} of node {node}"));
        match fault {
            Fault::Hang(length) => {
                let mut hanging = self.mounts[node].hang(&path, length);
                load.until_it_goes_on(&what).await;
                tokio::task::block_in_place(|| hanging.wait()).expect("it is waited for");
                self.until_state(node, disk, "up").await;
            }
            Fault::Full => {
                let filling = Filling::of(&[self.seen(node, disk)]);
                self.until_state(node, disk, "full").await;
                load.until_it_goes_on(&what).await;
                let fillers = filling.files.clone();
                drop(filling);
                fillers.iter().for_each(|filler| std::fs::remove_file(filler).expect("space is given back"));
                self.until_state(node, disk, "up").await;
            }
            Fault::ReadOnly | Fault::Fail => {
                match fault {
                    Fault::Fail => self.mounts[node].fail(&path),
                    _ => self.mounts[node].turn_read_only(&path),
                }
                self.until_state(node, disk, "down").await;
                load.until_it_goes_on(&what).await;
                self.replace(node, disk).await;
            }
        }
        load.until_it_goes_on(&format!("the end of {what}")).await;
    }
}

/// Each round one disk suffers, of every kind in turn; writes go on while it does. Then it is healed: one that was lost is
/// replaced by a blank one. In the end every key is read through both gateways, two nodes that were whole being dead.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_while_disks_hang_fill_up_turn_read_only_and_fail() {
    let Some(mut suffering) = tokio::task::block_in_place(Suffering::new) else { return };
    let endpoints = suffering.endpoints();
    let (_kept, told) = watch::channel(endpoints.clone());
    suffering.gateways[0].client().create_bucket().bucket("on-bad-disks").send().await.expect("created");
    let load = Load::start("on-bad-disks", told, WRITERS);
    load.until_it_goes_on("the start").await;
    let seed = setting("CAIRN_FAULT_SEED", 1);
    let mut dice = Dice::new(seed);
    let mut whole: Vec<usize> = (0..NODES).collect();
    for round in 1..=setting("CAIRN_FAULT_ROUNDS", ROUNDS) {
        let fault = Fault::of_round(round, &mut dice);
        let node = fault.node(&mut dice);
        // With the disk that fails, the node loses its part of the index.
        let disk = if fault == Fault::Fail { suffering.index_disk(node) } else { dice.index(DISKS) };
        println!("seed {seed}, round {round}: {fault:?} of disk {disk} of node {node}");
        suffering.suffer(fault, node, disk, &load).await;
        if matches!(fault, Fault::ReadOnly | Fault::Fail) {
            whole.retain(|other| *other != node);
        }
    }
    let ledger = load.end().await;
    suffering.until_all_is_whole().await;
    // 3+2: what is on three nodes must do, those with disks that were rebuilt among them.
    whole.iter().rev().take(2).for_each(|node| suffering.cluster.nodes[*node].kill());
    ledger.assert_all(&endpoints).await;
}
