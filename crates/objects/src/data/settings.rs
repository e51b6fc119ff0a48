//! The data path's settings: sizes, patience and pace.

use std::time::Duration;

/// How the data path behaves. `config/cairn.toml` lists those that an operator may set.
#[derive(Debug, Clone)]
pub struct DataPathSettings {
    /// Bodies up to this many bytes are kept in the index itself. 0 turns that off.
    pub inline_bytes_max: usize,
    /// Bodies above the inline limit and up to this many bytes are kept as whole copies; at most 64 KiB.
    pub copies_bytes_max: usize,
    /// How long a slot may take to acknowledge a shard before its stripe goes to another group.
    pub append_patience: Duration,
    /// How long a transfer waits in line for memory before it is told to slow down.
    pub memory_patience: Duration,
    /// How long a write waits for placement groups to be made where no live one takes its profile.
    pub planner_patience: Duration,
    /// How long a write keeps away from a disk that failed, or was too slow, while the layout still calls it up.
    pub avoid_failed: Duration,
    /// How long a write keeps away from a disk whose node could not be reached, or was only starting. Such calls fail at
    /// once, so that trying again costs little, and a node that is restarted is back before this is over.
    pub avoid_unreachable: Duration,
    /// How long a write keeps away from a disk that was full.
    pub avoid_full: Duration,
    /// A sender or reader slower than this many bytes a second gives its buffers back.
    pub slow_bytes_per_second: u64,
    /// Over how long a pace is measured before a transfer is called slow.
    pub pace_window: Duration,
    /// How long a shard's read may take before the bytes are rebuilt from the other shards as well.
    pub hedge_after: Duration,
    /// The most bytes that one read keeps in memory ahead of its reader.
    pub read_ahead_bytes_max: usize,
}

impl Default for DataPathSettings {
    fn default() -> Self {
        Self {
            inline_bytes_max: 4 << 10,
            copies_bytes_max: 64 << 10,
            append_patience: Duration::from_secs(2),
            memory_patience: Duration::from_secs(10),
            planner_patience: Duration::from_secs(10),
            avoid_failed: Duration::from_secs(10),
            avoid_unreachable: Duration::from_secs(1),
            avoid_full: Duration::from_secs(5),
            slow_bytes_per_second: 64 << 10,
            pace_window: Duration::from_secs(2),
            hedge_after: Duration::from_millis(300),
            read_ahead_bytes_max: 4 << 20,
        }
    }
}
