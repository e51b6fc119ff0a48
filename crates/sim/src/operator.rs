//! What an operator does to the cluster's disks while it serves, and how it is seen that all of that is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use index::command::Rebalancing;
use index::{Command, CommandBody, Query, QueryAnswer};
use platform::Clock;
use shards::ShardAddress;
use tokio::time::Instant;
use types::{CommitStamp, DiskId, DiskState, Layout, RequestNumber, Slot};

use crate::cluster::Cluster;
use crate::machine::node_id;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than garbage waits, in microseconds.
const GARBAGE_WAITS_MICROS: u64 = 60_000_000;
/// Shards that are verified at once.
const SHARDS_MAX: usize = 64;
/// Ranges that are not split any further: each costs a group of voters.
const DATA_RANGES_MAX: usize = 4;
/// How often something is looked at that is waited for.
const PERIOD: Duration = Duration::from_millis(500);
/// Longer than what was handed on stays where it was.
const LEFTOVERS_STAY: Duration = Duration::from_secs(100);
/// After how long without renewal tickets are ended that moves wait for.
const TICKETS_IDLE: Duration = Duration::from_secs(30);

/// What becomes of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskWish {
    /// Its slots get heirs; it is read until they own them.
    Drain,
    /// It is given up.
    Out,
    /// It serves again.
    Back,
}

impl Cluster {
    /// The layout as the operator knows it.
    pub(crate) fn layout(&self) -> std::sync::Arc<Layout> {
        self.operator.layout.watch().borrow().clone()
    }

    /// Has the cluster drain a disk, give it up or take it back; whether it was done for sure. What would endanger data is
    /// refused.
    pub(crate) async fn wish(&self, disk: DiskId, wish: DiskWish) -> bool {
        let unknown = BTreeMap::new();
        let layout = &self.operator.layout;
        let done = async {
            layout.refresh().await.map_err(|error| error.to_string())?;
            let outcome = match wish {
                DiskWish::Drain => layout.drain(&[disk], &unknown, &unknown, false).await.map(drop),
                DiskWish::Out => layout.put_out(&[disk], &unknown, false).await.map(drop),
                DiskWish::Back => layout.undrain(&[disk], &self.working_disks()).await.map(drop),
            };
            outcome.map_err(|error| error.to_string())
        };
        let outcome = tokio::time::timeout(PATIENCE, done).await.unwrap_or_else(|_| Err("no answer".to_owned()));
        if let Err(reason) = &outcome {
            tracing::info!(%disk, ?wish, %reason, "the cluster does not do what the operator wants");
        }
        outcome.is_ok()
    }

    /// Begins to move slots until disks hold their shares, or stops that.
    pub(crate) async fn rebalance(&self, rebalancing: Rebalancing) -> bool {
        let body = CommandBody::SetRebalancing(rebalancing);
        let command = Command { request: None, answered: RequestNumber(0), body };
        let outcome = tokio::time::timeout(PATIENCE, self.operator.index.propose(command)).await;
        matches!(outcome, Ok(Ok(_)))
    }

    /// Has a node split some data range in its middle; whether it was done for sure.
    pub(crate) async fn split_range(&self, node: usize, number: u64) -> bool {
        let Some(running) = &self.nodes[node].running else { return false };
        let (Some(ranges), known) = (running.ranges.get().cloned(), running.index.descriptors()) else { return false };
        if known.is_empty() || known.len() >= DATA_RANGES_MAX {
            return false;
        }
        let range = known[number as usize % known.len()].id;
        match tokio::time::timeout(PATIENCE, ranges.split(range, None)).await {
            Ok(Ok(_)) => true,
            Ok(Err(reason)) => {
                tracing::info!(%range, %reason, "a range is not split");
                false
            }
            Err(_) => false,
        }
    }

    /// Gives a node one more disk, which the node adds to the layout.
    pub(crate) async fn add_disk(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        let plugged = node.plug_disk_in();
        let Some(running) = &node.running else { return };
        if let Err(error) = running.shards.add_disk(std::sync::Arc::new(plugged.disk)).await {
            tracing::info!(disk = %plugged.id, %error, "a new disk is not served before the node's next start");
        }
    }

    /// The disks that work, whatever the layout says.
    fn working_disks(&self) -> BTreeSet<DiskId> {
        let running = self.nodes.iter().filter_map(|node| node.running.as_ref());
        let states = running.flat_map(|running| {
            let states = running.shards.disk_states().clone();
            states.iter().filter(|(_, health)| !health.is_down()).map(|(disk, _)| *disk).collect::<Vec<_>>()
        });
        states.collect()
    }

    /// How many slots have got new owners.
    pub(crate) fn moved_slots(&self) -> u64 {
        let layout = self.layout();
        layout.slots().map(|(_, _, slot)| slot.epoch.0.saturating_sub(1) / 2).sum()
    }

    /// Takes all disks back, and waits until no slot moves and nothing is left of those that did; what is not done in
    /// time.
    pub(crate) async fn settle_slots(&self, patience: Duration) -> Result<(), String> {
        let deadline = Instant::now() + patience;
        while !self.rebalance(Rebalancing::Off).await && Instant::now() < deadline {}
        loop {
            let _ = self.operator.layout.refresh().await;
            let layout = self.layout();
            let away: Vec<DiskId> =
                layout.disks.iter().filter(|disk| disk.state != DiskState::Up).map(|disk| disk.id).collect();
            let moving = layout.slots().filter(|(_, _, slot)| slot.heir.is_some()).count();
            if moving == 0 && away.is_empty() {
                break;
            }
            if Instant::now() > deadline {
                return Err(format!("{moving} slots move still, disks {away:?} are not in service"));
            }
            if moving == 0 {
                for disk in away {
                    self.wish(disk, DiskWish::Back).await;
                }
            } else {
                self.end_idle_tickets(TICKETS_IDLE).await;
            }
            tokio::time::sleep(PERIOD).await;
        }
        tokio::time::sleep(LEFTOVERS_STAY).await;
        Ok(())
    }

    /// The disks of a node.
    pub(crate) fn disks_of(&self, node: usize) -> BTreeSet<DiskId> {
        let layout = self.layout();
        layout.disks.iter().filter(|disk| disk.node == node_id(node)).map(|disk| disk.id).collect()
    }

    /// Any disk of the layout, by a number.
    pub(crate) fn any_disk(&self, number: u64) -> DiskId {
        let layout = self.layout();
        layout.disks[number as usize % layout.disks.len()].id
    }

    /// Verifies all shards now.
    pub(crate) fn scrub(&self) {
        for running in self.nodes.iter().filter_map(|node| node.running.as_ref()) {
            running.scrub_wanted.send_modify(|wishes| *wishes += 1);
        }
    }

    /// What is damaged on any disk of what the index names.
    pub(crate) async fn damaged_shards(&self) -> Vec<String> {
        let mut damaged = Vec::new();
        for running in self.nodes.iter().filter_map(|node| node.running.as_ref()) {
            let disks: Vec<DiskId> = running.shards.disk_states().keys().copied().collect();
            for disk in disks {
                let mut after = None;
                while let Ok(verified) = running.shards.verify_next(disk, after, SHARDS_MAX).await
                    && let Some(last) = verified.last()
                {
                    after = Some(last.address);
                    for bad in verified.iter().filter(|shard| !shard.intact) {
                        if self.is_named(bad.address).await {
                            damaged.push(format!("disk {disk} has a damaged shard {:?}", bad.address));
                        }
                    }
                }
            }
        }
        damaged
    }

    /// What nothing refers to any more and was not collected.
    pub(crate) async fn garbage_left(&self) -> Option<String> {
        // What was freed while a clock was ahead waits until the others are as far.
        let long_ago = self.operator.clock.now().0.saturating_sub(GARBAGE_WAITS_MICROS);
        let query = Query::Garbage { freed_before: CommitStamp(long_ago), after: None, limit: SHARDS_MAX };
        match self.operator.index.query(query).await {
            Ok(QueryAnswer::Garbage(rows)) if rows.is_empty() => None,
            Ok(QueryAnswer::Garbage(rows)) => {
                Some(format!("garbage is left, {} runs and more: {:?}", rows.len(), rows[0]))
            }
            other => Some(format!("garbage cannot be asked for: {other:?}")),
        }
    }

    /// Archives that are further behind than that, or not there.
    pub(crate) fn archives_behind(&self, lag_max: Duration) -> Vec<String> {
        let mut behind = Vec::new();
        for node in &self.nodes {
            let Some(archive) = node.running.as_ref().and_then(|running| running.archive.get()) else { continue };
            for (range, lag) in archive.lags() {
                if lag.is_none_or(|lag| lag > lag_max) {
                    behind.push(format!("node {}: the archive of range {range} is behind by {lag:?}", node.number));
                }
            }
        }
        behind
    }

    /// Whether the index names the run of a shard.
    async fn is_named(&self, address: ShardAddress) -> bool {
        let layout = self.layout();
        let Some(group) = layout.group(address.group) else { return false };
        for shard in 0..group.slots.len() as u8 {
            for disk in group.slots.iter().flat_map(Slot::disks) {
                let sibling = ShardAddress { shard, ..address };
                let Ok(header) = self.operator.shards.header(disk, sibling).await else { continue };
                let query = Query::RunLives { bucket: header.home.bucket, key: header.home.key, run: address.run };
                return matches!(self.operator.index.query(query).await, Ok(QueryAnswer::RunLives(true)));
            }
        }
        false
    }
}
