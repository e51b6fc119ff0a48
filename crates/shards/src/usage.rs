//! How much of a disk is used, and what it has done.

use std::io;
use std::sync::atomic::Ordering;

use crate::core::Core;
use crate::segment::SegmentKind;

/// How much of a disk is used, and what it has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Bytes of the file system.
    pub total_bytes: u64,
    /// Bytes of the file system that this process may still take.
    pub free_bytes: u64,
    /// Shards on the disk.
    pub shards: u64,
    /// Bytes of their records, headers and padding included.
    pub live_bytes: u64,
    /// Bytes of packed records that don't count any more and are not won back yet.
    pub dead_bytes: u64,
    /// How often a shard was read or verified.
    pub reads: u64,
    /// How often that failed by an error or a wrong checksum. By its rate a disk is suspect.
    pub bad_reads: u64,
    /// Records appended.
    pub appends: u64,
    /// Batches that they were committed in.
    pub commits: u64,
    /// Places at which the last start found that a synced record can't be read.
    pub damaged_records: u64,
}

pub(crate) fn usage_of(core: &Core) -> io::Result<DiskUsage> {
    let space = core.home.disk.space()?;
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let mut usage = DiskUsage {
        total_bytes: space.total_bytes,
        free_bytes: space.free_bytes,
        reads: read(&core.counters.reads),
        bad_reads: read(&core.counters.bad_reads),
        appends: read(&core.counters.appends),
        commits: read(&core.counters.commits),
        damaged_records: read(&core.counters.damaged_records),
        ..DiskUsage::default()
    };
    core.catalog.with_accounts(|accounts| {
        for account in accounts.iter() {
            usage.shards += account.live_shards;
            usage.live_bytes += account.live_bytes;
            if account.identity.kind == SegmentKind::Small {
                usage.dead_bytes += account.dead_bytes();
            }
        }
    });
    Ok(usage)
}
