//! Background duties of one idempotent shape: collect, repair, moves of slots, re-stripe, scrub, lifecycle, tickets,
//! unfinished buckets.
//!
//! A [`Duty`] does a little and says when it wants to go on; it can be stopped at any point and started anew anywhere,
//! for what there is to do stands in the index and on the disks. Nothing scans everything to find work, but scrub, whose
//! purpose that is. This crate knows neither HTTP nor Raft.

pub mod buckets;
pub mod collect;
pub mod duty;
mod fill;
pub mod heirs;
pub mod lifecycle;
pub mod moves;
pub mod pace;
pub mod progress;
pub mod rebalance;
pub mod rebuild;
pub mod repair;
pub mod restripe;
pub mod restripe_all;
pub mod scrub;
pub mod settling;
pub mod tickets;

pub use duty::{Duties, Duty, DutyError, Step};
