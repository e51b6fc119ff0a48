//! What becomes of disks by an operator's word, decided from the layout as it stands when it is committed. What would lose
//! data or narrow what is stored is refused with the reason.

use std::collections::{BTreeMap, BTreeSet};

use admin::{AdminError, ChangePlan, PlannedMoves};
use placement::{HeirPlan, SlotMove, begin_moves, groups_lost_without, plan_heirs, with_disk_states};
use telemetry::with_causes;
use types::{DiskId, DiskState, Layout, PlacementGroupId, SlotIndex};
use upkeep::heirs::slot_bytes;

use crate::layout::{LayoutError, LayoutKeeper};

impl LayoutKeeper {
    /// Drains disks: their slots get heirs. `bytes` is what disks hold, `free` what room they have, as far as is known;
    /// with `dry_run` it is only said what would move.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn drain(
        &self,
        disks: &[DiskId],
        bytes: &BTreeMap<DiskId, u64>,
        free: &BTreeMap<DiskId, u64>,
        dry_run: bool,
    ) -> Result<ChangePlan, AdminError> {
        let profiles = self.profiles();
        let decided = self.decide(|layout| {
            let of_slots = slot_bytes(layout, bytes);
            let drained = placement::drain(layout, disks, &profiles, &of_slots, |disk| free.get(&disk).copied());
            drained.map(|(changed, plan)| ((!dry_run).then_some(changed), shown(&plan, &of_slots, dry_run)))
        });
        let plan = decided.await.map_err(|error| failed(&error))?;
        let plan = plan.map_err(|refusal| AdminError::Refused(refusal.to_string()))?;
        if !dry_run {
            self.make_missing_groups(&[]).await.map_err(|error| failed(&error))?;
        }
        Ok(plan)
    }

    /// Gives disks up: what can still be read of their groups is made again elsewhere. Arguments as of [`Self::drain`].
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn put_out(
        &self,
        disks: &[DiskId],
        bytes: &BTreeMap<DiskId, u64>,
        dry_run: bool,
    ) -> Result<ChangePlan, AdminError> {
        let decided = self.decide(|layout| {
            let lost = groups_lost_without(layout, disks);
            if !lost.is_empty() {
                return Err(format!(
                    "{} placement groups could not be read any more: too much of them is out already, or is on its way to \
                     new owners; wait until what was given up is made again",
                    lost.len()
                ));
            }
            let out = with_disk_states(layout, disks, DiskState::Out);
            let out = out.unwrap_or_else(|| Layout { epoch: layout.epoch.next(), ..layout.clone() });
            let of_slots = slot_bytes(layout, bytes);
            let plan = plan_heirs(&out, &of_slots);
            let moving = begin_moves(&out, &plan.moves).map(|moving| Layout { epoch: out.epoch, ..moving });
            Ok(((!dry_run).then(|| moving.unwrap_or(out)), shown(&plan, &of_slots, dry_run)))
        });
        let plan = decided.await.map_err(|error| failed(&error))?.map_err(AdminError::Refused)?;
        if !dry_run {
            self.make_missing_groups(&[]).await.map_err(|error| failed(&error))?;
        }
        Ok(plan)
    }

    /// Takes disks into service again that were drained, or that are out and among `well`, those that work; which.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn undrain(&self, disks: &[DiskId], well: &BTreeSet<DiskId>) -> Result<Vec<DiskId>, AdminError> {
        let decided = self.decide(|layout| {
            let mut back = Vec::new();
            for disk in disks {
                match layout.disk_state(*disk) {
                    DiskState::Draining => back.push(*disk),
                    DiskState::Out if well.contains(disk) => back.push(*disk),
                    DiskState::Out => {
                        return Err(format!("disk {disk} is out, and its node does not say that it works"));
                    }
                    DiskState::Down => return Err(format!("disk {disk} is down: readmit or replace it")),
                    DiskState::Up => {}
                }
            }
            Ok((with_disk_states(layout, &back, DiskState::Up), back))
        });
        let back = decided.await.map_err(|error| failed(&error))?.map_err(AdminError::Refused)?;
        self.make_missing_groups(&[]).await.map_err(|error| failed(&error))?;
        Ok(back)
    }
}

/// A plan as the admin API shows it.
pub(crate) fn shown(
    plan: &HeirPlan,
    of_slots: impl Fn(PlacementGroupId, SlotIndex) -> u64,
    dry_run: bool,
) -> ChangePlan {
    let mut pairs: BTreeMap<(DiskId, DiskId), (u64, u64)> = BTreeMap::new();
    for SlotMove { group, slot, from, to } in &plan.moves {
        let (slots, bytes) = pairs.entry((*from, *to)).or_default();
        *slots += 1;
        *bytes += of_slots(*group, *slot);
    }
    let moves: Vec<PlannedMoves> = pairs
        .into_iter()
        .map(|((from, to), (slots, bytes))| PlannedMoves { from: from.to_string(), to: to.to_string(), slots, bytes })
        .collect();
    ChangePlan {
        dry_run,
        slots: plan.moves.len() as u64,
        bytes: moves.iter().map(|moves| moves.bytes).sum(),
        homeless_slots: plan.homeless.len() as u64,
        moves,
    }
}

/// What becomes of an error of the layout.
pub(crate) fn failed(error: &LayoutError) -> AdminError {
    AdminError::Failed(with_causes(error))
}
