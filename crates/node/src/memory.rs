//! How the memory that the server is given is shared out, and whether it is enough.

use objects::data::TransferMemoryNeeds;

use crate::server::StartError;
use crate::settings::ServerSettings;

/// Connections that read the index's database.
const INDEX_READERS: u64 = 2;
/// What SQLite's connections to one disk's shard index may keep.
const DISK_CACHE_BYTES: u64 = 5 << 19;
/// One in so many bytes of the memory is for what the gateway reads, up to what makes long reads for many uploads.
const READ_BUFFERS_SHARE: u64 = 10;
const READ_BUFFERS_BYTES_MAX: u64 = 24 << 20;
/// One in so many is for versions that were looked up of late, up to some thousand small objects.
const RECENT_VERSIONS_SHARE: u64 = 16;
const RECENT_VERSIONS_BYTES_MAX: u64 = 16 << 20;
/// One in so many is for what nobody counts: connections, their requests and tasks, messages between groups, up to what
/// hundreds of transfers take.
const UNCOUNTED_SHARE: u64 = 20;
const UNCOUNTED_BYTES_MAX: u64 = 12 << 20;
const MIB: u64 = 1 << 20;

/// What is left of the memory for bodies under way, once caches, what the gateway reads and what nobody counts have
/// theirs; at least half of it.
pub(crate) fn body_budget(settings: &ServerSettings) -> u64 {
    settings.memory_bytes.saturating_sub(other_bytes(settings)).max(settings.memory_bytes / 2)
}

/// What uploads hold of their bodies between the socket and the buffers of the data path.
pub(crate) fn read_buffers_bytes(settings: &ServerSettings) -> u64 {
    (settings.memory_bytes / READ_BUFFERS_SHARE).min(READ_BUFFERS_BYTES_MAX)
}

/// What the index keeps of versions that were looked up of late.
pub(crate) fn recent_versions_bytes(settings: &ServerSettings) -> u64 {
    (settings.memory_bytes / RECENT_VERSIONS_SHARE).min(RECENT_VERSIONS_BYTES_MAX)
}

fn uncounted_bytes(settings: &ServerSettings) -> u64 {
    (settings.memory_bytes / UNCOUNTED_SHARE).min(UNCOUNTED_BYTES_MAX)
}

/// Refuses a memory in which one PUT and one GET of the widest profile don't run side by side.
///
/// # Errors
/// [`StartError::Memory`].
pub(crate) fn check(settings: &ServerSettings) -> Result<(), StartError> {
    let wanted = settings.wanted();
    let profiles = std::iter::once(wanted).chain(settings.storage_classes.iter().map(|(_, profile)| *profile));
    let needs = profiles.map(|profile| (profile, TransferMemoryNeeds::of(profile)));
    let of_both = |needs: &TransferMemoryNeeds| needs.put_bytes + needs.get_bytes;
    let (profile, needs) = needs.max_by_key(|(_, needs)| of_both(needs)).expect("one profile is wanted");
    if body_budget(settings) >= of_both(&needs) {
        return Ok(());
    }
    // By the same rule as the budget: twice what bodies need, or that beside what else has its part, whichever is less.
    let shares: f64 =
        [READ_BUFFERS_SHARE, RECENT_VERSIONS_SHARE, UNCOUNTED_SHARE].iter().map(|of| 1.0 / *of as f64).sum();
    let beside_others = ((of_both(&needs) + cache_bytes(settings)) as f64 / (1.0 - shares)) as u64;
    let shares_max = READ_BUFFERS_BYTES_MAX + RECENT_VERSIONS_BYTES_MAX + UNCOUNTED_BYTES_MAX;
    let beside_largest = of_both(&needs) + cache_bytes(settings) + shares_max;
    let least_bytes = beside_others.min(beside_largest).min(2 * of_both(&needs));
    Err(StartError::Memory {
        given_bytes: settings.memory_bytes,
        least_mib: least_bytes.div_ceil(MIB),
        profile,
        put_kib: needs.put_bytes >> 10,
        get_kib: needs.get_bytes >> 10,
    })
}

fn other_bytes(settings: &ServerSettings) -> u64 {
    cache_bytes(settings) + read_buffers_bytes(settings) + recent_versions_bytes(settings) + uncounted_bytes(settings)
}

fn cache_bytes(settings: &ServerSettings) -> u64 {
    let index = index::IndexSettings::default();
    let index = index.writer_cache_bytes + INDEX_READERS * index.reader_cache_bytes;
    index + settings.directories.len() as u64 * DISK_CACHE_BYTES
}
