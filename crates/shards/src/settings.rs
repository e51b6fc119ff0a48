//! How the shard store of a disk is set.

/// Sizes and thresholds of one disk's shard store. `config/cairn.toml` names each with its default and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardSettings {
    /// Bytes of a segment of small records once a disk holds some; the first ones are smaller, so that a fresh disk
    /// is ready at once. A multiple of 4096.
    pub small_segment_bytes: u64,
    /// Bytes of a segment of large records. A multiple of 4096.
    pub large_segment_bytes: u64,
    /// How many bytes of a large segment are allocated at a time. A multiple of 4096.
    pub large_allocation_bytes: u64,
    /// Free bytes of the file system that appends leave alone: room for the index of a disk that is full.
    pub free_bytes_min: u64,
    /// How many recent shards and freed runs are kept in memory before they are written to the disk's SQLite index.
    pub recent_entries_max: usize,
    /// A sealed segment of small records is compacted when at most this share of it, in percent, is live.
    pub compact_live_percent_max: u8,
}

impl Default for ShardSettings {
    fn default() -> Self {
        Self {
            small_segment_bytes: 32 << 20,
            large_segment_bytes: 256 << 20,
            large_allocation_bytes: 16 << 20,
            free_bytes_min: 64 << 20,
            recent_entries_max: 8192,
            compact_live_percent_max: 50,
        }
    }
}
