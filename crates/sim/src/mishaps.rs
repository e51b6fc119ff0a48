//! What went wrong in a run, counted.

use std::fmt;

/// What went wrong, and how often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mishaps {
    /// Nodes that lost their power.
    pub crashes: u64,
    /// Of these, at the same time as all others.
    pub of_all: u64,
    /// Nodes that were stopped and started again in order.
    pub restarts: u64,
    /// Links or nodes that were cut off.
    pub partitions: u64,
    /// Links that were slow, or lost, repeated or spoilt what went over them.
    pub bad_links: u64,
    /// Disks that were slow.
    pub slow_disks: u64,
    /// Disks that failed.
    pub failed_disks: u64,
    /// Clocks that jumped.
    pub clock_jumps: u64,
    /// Gateways that stood still until their tickets were over.
    pub paused_writers: u64,
    /// Gateways that died.
    pub lost_gateways: u64,
    /// Gateways whose answers were lost for a while.
    pub lost_answers: u64,
    /// Gateways that went by an old layout for a while.
    pub old_layouts: u64,
    /// Changes of the voters.
    pub voter_changes: u64,
    /// Ranges that were split.
    pub splits: u64,
    /// Disks that were drained.
    pub drained: u64,
    /// Disks that were given up.
    pub given_up: u64,
    /// Disks that came later.
    pub new_disks: u64,
    /// Wishes to rebalance.
    pub rebalancings: u64,
    /// Bits that turned over.
    pub rotten_bits: u64,
}

impl Mishaps {
    /// How many there were in all.
    pub fn total(&self) -> u64 {
        let of_nodes = self.crashes + self.restarts + self.slow_disks + self.failed_disks + self.rotten_bits;
        let of_ways = self.partitions
            + self.bad_links
            + self.clock_jumps
            + self.paused_writers
            + self.lost_gateways
            + self.lost_answers
            + self.old_layouts;
        let of_operators =
            self.voter_changes + self.splits + self.drained + self.given_up + self.new_disks + self.rebalancings;
        of_nodes + of_ways + of_operators
    }
}

impl fmt::Display for Mishaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} crashes ({} of all at once), {} restarts, {} partitions, {} bad links, {} slow and {} failed disks, \
             {} rotten bits, {} clock jumps, {} paused and {} lost gateways, {} losses of answers, {} old layouts, {} changes of voters, {} splits, \
             {} disks drained, {} given up, {} new, {} rebalancings",
            self.crashes,
            self.of_all,
            self.restarts,
            self.partitions,
            self.bad_links,
            self.slow_disks,
            self.failed_disks,
            self.rotten_bits,
            self.clock_jumps,
            self.paused_writers,
            self.lost_gateways,
            self.lost_answers,
            self.old_layouts,
            self.voter_changes,
            self.splits,
            self.drained,
            self.given_up,
            self.new_disks,
            self.rebalancings,
        )
    }
}
