//! Layout to placement groups, and what changes when the layout does.
//!
//! Pure: values in, values out, randomness and free space passed in. Nothing here commits a layout, moves a byte or
//! knows whether a disk answers; a disk is live if the layout says so and the caller doesn't avoid it.
//!
//! The rule that all of it keeps: slots of a group lie on distinct disks; above the disk level in distinct failure
//! domains or, where there are too few, evenly over them with at most m to a domain. While
//! domains are away no new group bears the loss of fewer than with all of them at hand: it is narrower then.

mod assignment;
mod change;
mod choose;
mod domains;
mod moves;
mod plan;

pub use change::{
    FinishedMove, RemoveError, SlotMove, add_groups, begin_moves, finish_moves, remove_disk, remove_node, replace_disk,
    with_disk_state, with_disk_states,
};
pub use choose::{SpreadGroups, choose_group, live_groups, same_shape};
pub use domains::{DomainLevel, domain_level, domains_of_nodes, live_domains};
pub use moves::{
    DrainError, HeirPlan, Homeless, MovingSlot, check_room, drain, groups_lost_without, moving_slots, plan_heirs,
    plan_rebalance,
};
pub use plan::{PlacementError, missing_groups, plan_groups, widest_live};
