//! What goes wrong: one mishap after the other, by the dice, each of them over some time later.

use std::path::Path;
use std::time::Duration;

use index::SYSTEM_RANGE;
use index::command::Rebalancing;
use platform::faulty::{Fault, Operation};
use platform::{Disk, Entropy, FaultyDisk, LinkFaults, Pace, SeededEntropy, Stage};
use tokio::time::Instant;

use crate::cluster::{Cluster, GATEWAYS, NODES, VOTERS};
use crate::machine::host_name;
use crate::mishaps::Mishaps;
use crate::operator::DiskWish;

/// The longest pause between two mishaps.
const PAUSE_MAX_MILLIS: u64 = 1_500;
/// How long a cluster may take until a gateway that was replaced is there, or a node that was told to end has.
const PATIENCE: Duration = Duration::from_secs(15);
/// What steps of threads take when nothing is slow: the time of a sync now and then.
pub(crate) const USUAL_PACE: Pace = Pace { one_in: 3, longest: Duration::from_millis(4) };
/// What they take on a disk that is slow.
const SLOW_PACE: Pace = Pace { one_in: 2, longest: Duration::from_millis(400) };
/// Mishaps that every run has, by their numbers.
const CRASH_OF_ALL: u64 = 0;
const LOST_ANSWERS: u64 = 1;
const PAUSED_WRITER: u64 = 2;
const OLD_LAYOUT: u64 = 4;
const SPLIT: u64 = 30;
/// All mishaps are numbered below this.
const KINDS: u64 = 32;
/// Disks that a node may have.
const DISKS_MAX: usize = 2;
/// What a segment begins with.
const SEGMENT_HEADER_BYTES: u64 = 4096;
/// Bits of each disk that turn over at a time.
const ROTTEN_BITS: usize = 3;
/// Microseconds by which a clock is wrong at most.
const CLOCK_ERROR_MAX_MICROS: u64 = 2 * 3600 * 1_000_000;

/// Who does it.
pub(crate) struct Nemesis {
    dice: SeededEntropy,
    stage: Stage,
    /// When the nodes that are off are started again.
    starts: Vec<(Instant, usize)>,
    /// When links are whole again.
    links: Vec<(Instant, usize, usize)>,
    /// When nodes are fast again.
    slow: Vec<(Instant, usize)>,
    /// When gateways get all answers again.
    lossy: Vec<(Instant, usize)>,
    /// What belongs to the run and has not come yet.
    due: Vec<u64>,
    /// The node on whose disks bits turn over, if they do.
    pub(crate) rotten: Option<usize>,
    pub(crate) mishaps: Mishaps,
}

impl Nemesis {
    pub(crate) fn new(seed: u64, stage: Stage) -> Self {
        let dice = SeededEntropy::new(seed);
        let (starts, links, slow) = (Vec::new(), Vec::new(), Vec::new());
        let rotten = dice.number().is_multiple_of(2).then(|| dice.number() as usize % NODES);
        let due = vec![CRASH_OF_ALL, LOST_ANSWERS, PAUSED_WRITER, OLD_LAYOUT, SPLIT];
        let (lossy, mishaps) = (Vec::new(), Mishaps::default());
        Self { dice, stage, starts, links, slow, lossy, due, rotten, mishaps }
    }

    /// Does harm until then.
    pub(crate) async fn run(&mut self, cluster: &mut Cluster, end: Instant) {
        while Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(self.below(PAUSE_MAX_MILLIS))).await;
            self.make_good(cluster, Instant::now()).await;
            self.strike(cluster).await;
        }
    }

    /// Makes all good again.
    pub(crate) async fn heal(&mut self, cluster: &mut Cluster) {
        for front in &cluster.fronts {
            front.gate.open();
            front.clock.set_offset(0);
        }
        for node in 0..NODES {
            self.stage.set_pace(node as u64 + 1, USUAL_PACE);
            cluster.nodes[node].clock.set_offset(0);
            cluster.nodes[node].disks.iter().for_each(|disk| disk.disk.heal());
        }
        self.starts.clear();
        self.slow.clear();
        let never = Instant::now() + Duration::from_secs(1 << 30);
        self.make_good(cluster, never).await;
        for node in 0..NODES {
            // A node whose disk has failed once does not take it up again by itself.
            let failed = cluster.nodes[node].running.as_ref().is_some_and(|running| running.has_failed());
            if failed {
                cluster.nodes[node].power_off(&cluster.site);
            }
            if cluster.nodes[node].running.is_none() {
                start(cluster, node).await;
            }
        }
        for gateway in 0..GATEWAYS {
            // One that did not find the cluster when it was started.
            if cluster.fronts[gateway].is_dead() {
                cluster.replace_gateway(gateway).await;
            }
        }
    }

    /// Takes back what is due.
    async fn make_good(&mut self, cluster: &mut Cluster, now: Instant) {
        for (_, one, other) in self.links.extract_if(.., |(due, ..)| *due <= now) {
            let names = [host_name(one), host_name(other)];
            cluster.site.network.set_faults_between(&names[0], &names[1], LinkFaults::default());
        }
        for (_, gateway) in self.lossy.extract_if(.., |(due, _)| *due <= now) {
            cluster.fronts[gateway].gate.lose_answers(0);
        }
        for (_, node) in self.slow.extract_if(.., |(due, _)| *due <= now) {
            self.stage.set_pace(node as u64 + 1, USUAL_PACE);
        }
        let due: Vec<usize> = self.starts.extract_if(.., |(due, _)| *due <= now).map(|(_, node)| node).collect();
        for node in due {
            if cluster.nodes[node].running.is_none() {
                start(cluster, node).await;
            }
        }
    }

    async fn strike(&mut self, cluster: &mut Cluster) {
        let mishap = match self.due.len() {
            0 => self.below(KINDS),
            // What belongs to every run, in between.
            due if self.below(2) == 0 => self.due.swap_remove(self.below(due as u64) as usize),
            _ => self.below(KINDS),
        };
        match mishap {
            CRASH_OF_ALL => self.crash_all(cluster),
            LOST_ANSWERS => self.lose_answers(cluster),
            PAUSED_WRITER | 3 => self.pause_writer(cluster).await,
            OLD_LAYOUT => self.keep_layout_back(cluster).await,
            5..=8 => self.crash(cluster),
            9 => self.restart(cluster).await,
            10 | 11 => self.isolate(cluster),
            12 => self.cut_one_way(cluster),
            13 | 14 => self.break_connections(cluster),
            15 | 16 => self.spoil_links(cluster),
            17 => self.slow_down(),
            18 => self.fail_disk(cluster),
            19 => self.jump(cluster),
            20 => self.replace_gateway(cluster).await,
            21 => self.change_voters(cluster).await,
            22 => self.cut_off_from_leader(cluster),
            23 => self.rot(cluster),
            SPLIT.. => self.split_range(cluster).await,
            _ => self.move_slots(cluster).await,
        }
    }

    /// Commands of a gateway are done and it is not told: it repeats them.
    fn lose_answers(&mut self, cluster: &Cluster) {
        let gateway = self.below(GATEWAYS as u64) as usize;
        self.mishaps.lost_answers += 1;
        cluster.fronts[gateway].gate.lose_answers(2 + self.below(4));
        let due = self.after(3_000);
        self.lossy.push((due, gateway));
    }

    /// A gateway goes on by the layout as it is while slots move.
    async fn keep_layout_back(&mut self, cluster: &mut Cluster) {
        let gateway = self.below(GATEWAYS as u64) as usize;
        self.mishaps.old_layouts += 1;
        cluster.fronts[gateway].gate.show_layout(false);
        let disk = cluster.any_disk(self.dice.number());
        self.mishaps.drained += u64::from(cluster.wish(disk, DiskWish::Drain).await);
        let moving = Duration::from_millis(1_500 + self.below(3_000));
        tokio::time::sleep(moving).await;
        cluster.fronts[gateway].gate.show_layout(true);
    }

    fn crash(&mut self, cluster: &mut Cluster) {
        let Some(node) = self.any_of(&cluster.running()) else { return };
        cluster.nodes[node].power_off(&cluster.site);
        self.mishaps.crashes += 1;
        self.start_after(node, 4_000);
    }

    fn crash_all(&mut self, cluster: &mut Cluster) {
        for node in cluster.running() {
            cluster.nodes[node].power_off(&cluster.site);
            self.mishaps.crashes += 1;
            self.mishaps.of_all += 1;
            self.start_after(node, 1_500);
        }
    }

    async fn restart(&mut self, cluster: &mut Cluster) {
        let Some(node) = self.any_of(&cluster.running()) else { return };
        self.mishaps.restarts += 1;
        let stopping = cluster.nodes[node].shut_down(&cluster.site);
        if tokio::time::timeout(PATIENCE, stopping).await.is_err() {
            tracing::info!(node, "a node did not end in time");
        }
        self.start_after(node, 1_000);
    }

    fn isolate(&mut self, cluster: &Cluster) {
        let one = self.below(NODES as u64) as usize;
        self.mishaps.partitions += 1;
        let blocked = LinkFaults { blocked: true, ..LinkFaults::default() };
        // A gateway may reach what the others don't.
        let but = self.below(2 * (NODES + GATEWAYS) as u64) as usize;
        let others: Vec<usize> = (0..NODES + GATEWAYS).filter(|other| *other != one && *other != but).collect();
        let due = self.after(6_000);
        for other in others {
            cluster.site.network.set_faults_between(&host_name(one), &host_name(other), blocked);
            self.links.push((due, one, other));
        }
    }

    fn cut_one_way(&mut self, cluster: &Cluster) {
        let one = self.below(NODES as u64) as usize;
        self.mishaps.partitions += 1;
        let blocked = LinkFaults { blocked: true, ..LinkFaults::default() };
        let outwards = self.below(2) == 0;
        let due = self.after(6_000);
        for other in (0..NODES + GATEWAYS).filter(|other| *other != one) {
            let names = [host_name(one), host_name(other)];
            let [from, to] = if outwards { [&names[0], &names[1]] } else { [&names[1], &names[0]] };
            cluster.site.network.set_faults(from, to, blocked);
            self.links.push((due, one, other));
        }
    }

    /// Answers that are under way are lost.
    fn break_connections(&mut self, cluster: &Cluster) {
        self.mishaps.bad_links += 1;
        for gateway in NODES..NODES + GATEWAYS {
            for node in 0..NODES {
                cluster.site.network.cut(&host_name(gateway), &host_name(node));
            }
        }
    }

    fn spoil_links(&mut self, cluster: &Cluster) {
        let one = self.below((NODES + GATEWAYS) as u64) as usize;
        self.mishaps.bad_links += 1;
        let (kind, due) = (self.below(5), self.after(5_000));
        let often = 10 + self.below(40);
        for other in (0..NODES + GATEWAYS).filter(|other| *other != one) {
            let delay = Duration::from_millis(self.below(300));
            let spoilt = match kind {
                0 | 1 => LinkFaults { delay, ..LinkFaults::default() },
                2 => LinkFaults { cut_one_in: often, delay: delay / 10, ..LinkFaults::default() },
                3 => LinkFaults { lose_one_in: often, repeat_one_in: often, ..LinkFaults::default() },
                _ => LinkFaults { flip_one_in: often, short_reads: true, ..LinkFaults::default() },
            };
            cluster.site.network.set_faults_between(&host_name(one), &host_name(other), spoilt);
            self.links.push((due, one, other));
        }
    }

    fn slow_down(&mut self) {
        let node = self.below(NODES as u64) as usize;
        self.mishaps.slow_disks += 1;
        self.stage.set_pace(node as u64 + 1, SLOW_PACE);
        let due = self.after(5_000);
        self.slow.push((due, node));
    }

    /// A range is cut in two while clients write, and, now and then, while a node loses its power.
    async fn split_range(&mut self, cluster: &mut Cluster) {
        let Some(node) = self.any_of(&cluster.running()) else { return };
        let number = self.dice.number();
        self.mishaps.splits += u64::from(cluster.split_range(node, number).await);
        if self.below(3) == 0 {
            self.crash(cluster);
        }
    }

    /// A disk fails, and its node is restarted once somebody has looked at it.
    fn fail_disk(&mut self, cluster: &mut Cluster) {
        let Some(node) = self.any_of(&cluster.running()) else { return };
        self.mishaps.failed_disks += 1;
        let operation = [Operation::Sync, Operation::Write, Operation::Read][self.below(3) as usize];
        let disks = &cluster.nodes[node].disks;
        disks[self.below(disks.len() as u64) as usize].disk.inject(Fault::once(operation).after(self.below(20)));
    }

    /// Bits of shards turn over, on the disks of one node alone: no more than others make good.
    fn rot(&mut self, cluster: &mut Cluster) {
        let Some(rotten) = self.rotten else { return };
        for disk in &cluster.nodes[rotten].disks {
            for _ in 0..ROTTEN_BITS {
                let turned = flip_a_shards_bit(&disk.disk, &self.dice);
                self.mishaps.rotten_bits += u64::from(turned);
            }
        }
    }

    /// A gateway that reaches all but the node from which it learns the layout: it writes by an old one.
    fn cut_off_from_leader(&mut self, cluster: &Cluster) {
        let Some((leader, _)) = cluster.leader(SYSTEM_RANGE) else { return };
        self.mishaps.partitions += 1;
        let gateway = NODES + self.below(GATEWAYS as u64) as usize;
        let blocked = LinkFaults { blocked: true, ..LinkFaults::default() };
        cluster.site.network.set_faults_between(&host_name(gateway), &host_name(leader), blocked);
        let due = self.after(8_000);
        self.links.push((due, gateway, leader));
    }

    /// An operator changes what becomes of disks.
    async fn move_slots(&mut self, cluster: &mut Cluster) {
        let disk = cluster.any_disk(self.dice.number());
        match self.below(8) {
            0..=2 => self.mishaps.drained += u64::from(cluster.wish(disk, DiskWish::Drain).await),
            3 => self.mishaps.given_up += u64::from(cluster.wish(disk, DiskWish::Out).await),
            4 | 5 => {
                let left: Vec<_> =
                    cluster.layout().disks.iter().filter(|row| row.state.is_left()).map(|row| row.id).collect();
                for disk in left {
                    cluster.wish(disk, DiskWish::Back).await;
                }
            }
            6 => {
                let node = self.below(NODES as u64) as usize;
                if cluster.nodes[node].disks.len() < DISKS_MAX {
                    cluster.add_disk(node).await;
                    self.mishaps.new_disks += 1;
                }
            }
            _ => self.mishaps.rebalancings += u64::from(cluster.rebalance(Rebalancing::On).await),
        }
    }

    fn jump(&mut self, cluster: &Cluster) {
        self.mishaps.clock_jumps += 1;
        let error = i64::try_from(self.below(2 * CLOCK_ERROR_MAX_MICROS)).expect("some hours");
        let offset = error - i64::try_from(CLOCK_ERROR_MAX_MICROS).expect("some hours");
        let machine = self.below((NODES + GATEWAYS) as u64) as usize;
        match cluster.nodes.get(machine) {
            Some(node) => node.clock.set_offset(offset),
            None => cluster.fronts[machine - NODES].clock.set_offset(offset),
        }
    }

    /// A gateway stands still between writing an object's bytes and its commit, until its ticket is over and what was
    /// written under it is collected, or while slots move.
    async fn pause_writer(&mut self, cluster: &mut Cluster) {
        let gateway = self.below(GATEWAYS as u64) as usize;
        self.mishaps.paused_writers += 1;
        let gate = cluster.fronts[gateway].gate.clone();
        gate.arm();
        for _ in 0..30 {
            if gate.is_closed() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        gate.close();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        self.make_good(cluster, Instant::now()).await;
        if self.below(2) == 0 {
            cluster.end_idle_tickets(Duration::from_secs(1)).await;
        } else {
            self.move_slots(cluster).await;
            let moving = Duration::from_millis(self.below(5_000));
            tokio::time::sleep(moving).await;
            self.make_good(cluster, Instant::now()).await;
        }
        gate.open();
    }

    async fn replace_gateway(&mut self, cluster: &mut Cluster) {
        let gateway = self.below(GATEWAYS as u64) as usize;
        self.mishaps.lost_gateways += 1;
        // It needs somebody who answers.
        let now = Instant::now() + Duration::from_secs(10);
        self.make_good(cluster, now).await;
        cluster.replace_gateway(gateway).await;
    }

    async fn change_voters(&mut self, cluster: &Cluster) {
        let mut nodes: Vec<usize> = (0..NODES).collect();
        while nodes.len() > VOTERS {
            let left_out = self.below(nodes.len() as u64) as usize;
            nodes.remove(left_out);
        }
        self.mishaps.voter_changes += 1;
        cluster.change_voters(&nodes).await;
    }

    fn start_after(&mut self, node: usize, millis_max: u64) {
        let due = self.after(millis_max);
        self.starts.push((due, node));
    }

    fn after(&self, millis_max: u64) -> Instant {
        Instant::now() + Duration::from_millis(200 + self.below(millis_max))
    }

    fn any_of(&self, nodes: &[usize]) -> Option<usize> {
        nodes.get(self.below(nodes.len().max(1) as u64) as usize).copied()
    }

    fn below(&self, bound: u64) -> u64 {
        self.dice.number() % bound
    }
}

async fn start(cluster: &mut Cluster, node: usize) {
    let Cluster { site, nodes, lost_nodes, .. } = cluster;
    // A fault in waiting may have befallen the start: then it is tried again, with a disk on which nothing is amiss.
    if nodes[node].start(site).await.is_ok() {
        return;
    }
    nodes[node].crash_disks();
    if let Err(reason) = nodes[node].start(site).await {
        lost_nodes.push(format!("node {node} does not start again: {reason}"));
    }
}

/// Turns a bit of some segment of shards over; whether there was one.
fn flip_a_shards_bit(disk: &FaultyDisk, dice: &SeededEntropy) -> bool {
    let directory = Path::new("segments");
    let Ok(mut files) = disk.list(directory) else { return false };
    files.sort();
    if files.is_empty() {
        return false;
    }
    let path = directory.join(&files[dice.number() as usize % files.len()]);
    let Ok(Some(status)) = disk.status(&path) else { return false };
    // Behind the segment's own header.
    let bytes = status.bytes.saturating_sub(SEGMENT_HEADER_BYTES);
    if bytes == 0 {
        return false;
    }
    disk.flip_bit(&path, SEGMENT_HEADER_BYTES + dice.number() % bytes).is_ok()
}
