//! What an operator changes while the cluster serves: disks and nodes are drained, given up, taken out, or taken back.
//!
//! Each change is decided from the layout as it stands when it is committed. What would lose data, narrow what is stored
//! or put it closer together is refused with the reason.

use std::collections::BTreeSet;

use admin::{AdminError, Change, ChangeOptions, ChangePlan, MovesStatus, RebalanceWish};
use index::command::Rebalancing;
use index::{Command, CommandBody};
use placement::{HeirPlan, plan_rebalance};
use telemetry::with_causes;
use types::{DiskId, DiskState, Layout, NodeId, RequestNumber};
use upkeep::heirs::{ClusterChanges, even_slot_bytes};
use upkeep::rebalance::rebalancing;

use crate::decisions::{failed, shown};
use crate::named_disks::named_disk;
use crate::status::NodeAdmin;
use crate::watch::{DiskReport, ReportedHealth};

/// How many moves of rebalancing are planned ahead to be shown.
const SHOWN_MAX: usize = 200;

impl NodeAdmin {
    /// Changes what becomes of one disk.
    pub(crate) async fn change_one_disk(
        &self,
        disk: &str,
        change: Change,
        options: ChangeOptions,
    ) -> Result<ChangePlan, AdminError> {
        self.refresh_layout().await?;
        let layout = self.care.layout.current();
        let id = named_disk(&layout, disk)?;
        let row = layout.disk(id).expect("it was named by the layout");
        if change == Change::Remove && layout.disks.iter().filter(|other| other.node == row.node).count() == 1 {
            let reason = "it is the last disk of its node: drain and remove the node";
            return Err(AdminError::Refused(reason.to_owned()));
        }
        match change {
            Change::Drain => self.drain(&[id], options.dry_run).await,
            Change::Undrain => self.undrain(&[id]).await,
            Change::Out => self.put_out(&[id], options.dry_run).await,
            Change::Remove => {
                self.check_index_has_left(id, row.node).await?;
                self.remove(|layout| placement::remove_disk(layout, id)).await
            }
        }
    }

    /// Changes what becomes of a node with all its disks.
    pub(crate) async fn change_whole_node(
        &self,
        node: &str,
        change: Change,
        options: ChangeOptions,
    ) -> Result<ChangePlan, AdminError> {
        if self.lookout.is_none() {
            let reason = "this node is a cluster by itself: it can be joined by none, and cannot leave";
            return Err(AdminError::Refused(reason.to_owned()));
        }
        let unknown = || AdminError::NotFound(format!("the cluster has no node {node}"));
        let id: NodeId = node.parse().map_err(|_| unknown())?;
        self.refresh_layout().await?;
        let layout = self.care.layout.current();
        if !layout.nodes.iter().any(|row| row.id == id) {
            return Err(unknown());
        }
        let disks: Vec<DiskId> = layout.disks.iter().filter(|disk| disk.node == id).map(|disk| disk.id).collect();
        match change {
            Change::Drain => self.drain(&disks, options.dry_run).await,
            Change::Undrain => self.undrain(&disks).await,
            Change::Out => self.put_out(&disks, options.dry_run).await,
            Change::Remove => {
                self.check_votes(id).await?;
                self.remove(|layout| placement::remove_node(layout, id)).await
            }
        }
    }

    async fn refresh_layout(&self) -> Result<(), AdminError> {
        self.care.layout.refresh().await.map_err(|error| failed(&error))
    }

    async fn drain(&self, disks: &[DiskId], dry_run: bool) -> Result<ChangePlan, AdminError> {
        let (bytes, free) = (self.changes.shard_bytes().await, self.changes.free_bytes().await);
        self.care.layout.drain(disks, &bytes, &free, dry_run).await
    }

    async fn put_out(&self, disks: &[DiskId], dry_run: bool) -> Result<ChangePlan, AdminError> {
        self.care.layout.put_out(disks, &self.changes.shard_bytes().await, dry_run).await
    }

    /// Takes disks into service again that were drained, or that are out and work.
    async fn undrain(&self, disks: &[DiskId]) -> Result<ChangePlan, AdminError> {
        let back = self.care.layout.undrain(disks, &self.well_disks().await).await?;
        back.iter().for_each(|disk| self.care.data.disks().clear(*disk));
        Ok(ChangePlan::default())
    }

    async fn remove(
        &self,
        without: impl Fn(&Layout) -> Result<Layout, placement::RemoveError> + Send + Sync,
    ) -> Result<ChangePlan, AdminError> {
        let decided = self.care.layout.decide(|layout| without(layout).map(|changed| (Some(changed), ())));
        let removed = decided.await.map_err(|error| failed(&error))?;
        removed.map_err(|refusal| AdminError::Refused(refusal.to_string()))?;
        Ok(ChangePlan::default())
    }

    /// Begins, pauses or ends rebalancing.
    pub(crate) async fn change_rebalancing(
        &self,
        wish: RebalanceWish,
        options: ChangeOptions,
    ) -> Result<ChangePlan, AdminError> {
        self.refresh_layout().await?;
        let index = self.care.layout.index();
        let now = rebalancing(&**index).await.map_err(|error| AdminError::Failed(with_causes(&error)))?;
        let next = match (wish, now) {
            (RebalanceWish::Start, _) | (RebalanceWish::Resume, Rebalancing::Paused) => Rebalancing::On,
            (RebalanceWish::Pause, Rebalancing::On) => Rebalancing::Paused,
            (RebalanceWish::Stop, _) => Rebalancing::Off,
            (RebalanceWish::Pause | RebalanceWish::Resume, Rebalancing::Off) => {
                return Err(AdminError::Refused("nothing is being rebalanced: start it".to_owned()));
            }
            (RebalanceWish::Pause, Rebalancing::Paused) | (RebalanceWish::Resume, Rebalancing::On) => now,
        };
        if next != now && !options.dry_run {
            let body = CommandBody::SetRebalancing(next);
            let command = Command { request: None, answered: RequestNumber(0), body };
            index.propose(command).await.map_err(|error| AdminError::Failed(error.to_string()))?;
        }
        if next != Rebalancing::On {
            return Ok(ChangePlan::default());
        }
        let layout = self.care.layout.current();
        let of_slots = even_slot_bytes(&layout, &self.changes.shard_bytes().await);
        let moves = plan_rebalance(&layout, &of_slots, SHOWN_MAX);
        Ok(shown(&HeirPlan { moves, homeless: Vec::new() }, &of_slots, options.dry_run))
    }

    /// A node that votes may not leave: the others count on it.
    async fn check_votes(&self, node: NodeId) -> Result<(), AdminError> {
        let name = node.to_string();
        let ranges = self.overview(|overview, unknown| match unknown {
            None => Ok(overview.ranges()),
            Some(reason) => Err(AdminError::Failed(reason)),
        });
        let votes = |range: &admin::RangeStatus| range.replicas.iter().any(|replica| replica.node == name);
        match ranges.await?.iter().find(|range| votes(range)) {
            Some(range) => Err(AdminError::Refused(format!(
                "it still votes on range {}, or learns it: drain the node, and wait until its votes have moved",
                range.id
            ))),
            None => Ok(()),
        }
    }

    /// A disk that works and has its node's part of the index may not leave while another one of the node is about to take
    /// that: the node would lose its votes with it.
    async fn check_index_has_left(&self, disk: DiskId, node: NodeId) -> Result<(), AdminError> {
        let layout = self.care.layout.current();
        if self.lookout.is_none() || !layout.disk_state(disk).is_left() {
            return Ok(());
        }
        let (mut reports, _) = self.reports().await;
        let disks = reports.remove(&node).and_then(|report| report.last).map(|last| last.disks).unwrap_or_default();
        let has_index = |report: &DiskReport| report.index_roles.iter().any(|role| role == "log" || role == "database");
        let has_it = |report: &DiskReport| {
            report.disk == disk && has_index(report) && !matches!(report.health, ReportedHealth::Down { .. })
        };
        let takes_it = |report: &DiskReport| {
            let stays = layout.disk(report.disk).is_some_and(|row| !row.state.is_left());
            report.disk != disk && stays && report.health == ReportedHealth::Up
        };
        if disks.iter().any(has_it) && disks.iter().any(takes_it) {
            let reason = "its node's part of the index is on its way to another disk: try again in a moment";
            return Err(AdminError::Refused(reason.to_owned()));
        }
        Ok(())
    }

    /// The disks that work by their nodes' word.
    async fn well_disks(&self) -> BTreeSet<DiskId> {
        let (reports, _) = self.reports().await;
        let is_well = |disk: &DiskReport| !matches!(disk.health, ReportedHealth::Down { .. });
        let last = reports.into_values().filter_map(|report| report.last);
        last.flat_map(|last| last.disks).filter(is_well).map(|disk| disk.disk).collect()
    }

    /// What moves now.
    pub(crate) async fn moves_status(&self) -> MovesStatus {
        let layout = self.care.layout.current();
        let moving: Vec<_> = layout.slots().filter(|(_, _, slot)| slot.heir.is_some()).collect();
        let is_homeless = |slot: &types::Slot| slot.heir.is_none() && layout.disk_state(slot.disk).is_left();
        let homeless_slots = layout.slots().filter(|(_, _, slot)| is_homeless(slot)).count() as u64;
        let slots = moving.len() as u64;
        let is_given_up = |slot: &types::Slot| layout.disk_state(slot.disk) == DiskState::Out;
        let slots_given_up = moving.iter().filter(|(_, _, slot)| is_given_up(slot)).count() as u64;
        let now = self.clock.monotonic();
        let (since, most) = {
            let mut seen = self.moves_seen.lock();
            let (since, most) = seen.filter(|_| slots > 0).unwrap_or((now, slots));
            *seen = (slots > 0).then_some((since, most.max(slots)));
            (since, most.max(slots))
        };
        let rebalancing = rebalancing(&**self.care.layout.index()).await.unwrap_or_default();
        if slots == 0 && rebalancing == Rebalancing::Off {
            return MovesStatus { homeless_slots, rebalancing: "off".to_owned(), ..MovesStatus::default() };
        }
        let of_slots = even_slot_bytes(&layout, &self.changes.shard_bytes().await);
        let (rebalancing, slots_to_rebalance) = match rebalancing {
            Rebalancing::Off => ("off", 0),
            Rebalancing::On => ("on", plan_rebalance(&layout, &of_slots, SHOWN_MAX).len()),
            Rebalancing::Paused => ("paused", plan_rebalance(&layout, &of_slots, SHOWN_MAX).len()),
        };
        let slots_done = most - slots;
        let elapsed = now.saturating_sub(since).as_secs_f64();
        // Those of a disk that was given up keep no pace: they wait for its last writer to be over.
        let slots_left = slots - slots_given_up + slots_to_rebalance as u64;
        let seconds_left =
            (slots_done > 0 && slots_left > 0).then(|| (elapsed / slots_done as f64 * slots_left as f64).ceil() as u64);
        let bytes = moving.iter().map(|(group, at, _)| of_slots(group.id, *at)).sum();
        MovesStatus {
            slots,
            slots_given_up,
            bytes,
            homeless_slots,
            slots_done,
            seconds_left,
            rebalancing: rebalancing.to_owned(),
            slots_to_rebalance: slots_to_rebalance as u64,
        }
    }
}
