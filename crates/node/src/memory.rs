//! How the memory that the server is given is shared out, and whether it is enough.

use objects::data::TransferMemoryNeeds;
use types::Profile;

use crate::server::StartError;
use crate::settings::ServerSettings;

/// Connections that read the index's database.
const INDEX_READERS: u64 = 2;
/// What SQLite's connections to one disk's shard index may keep.
const DISK_CACHE_BYTES: u64 = 5 << 19;
const MIB: u64 = 1 << 20;

/// What is left of the memory for bodies under way, once SQLite's caches have theirs; at least half of it.
pub(crate) fn body_budget(settings: &ServerSettings) -> u64 {
    settings.memory_bytes.saturating_sub(cache_bytes(settings)).max(settings.memory_bytes / 2)
}

/// Refuses a memory in which one PUT and one GET of the widest profile don't run side by side.
///
/// # Errors
/// [`StartError::Memory`].
pub(crate) fn check(settings: &ServerSettings) -> Result<(), StartError> {
    let wanted = settings.profile.unwrap_or_else(|| Profile::for_domains(settings.directories.len()));
    let profiles = std::iter::once(wanted).chain(settings.storage_classes.iter().map(|(_, profile)| *profile));
    let needs = profiles.map(|profile| (profile, TransferMemoryNeeds::of(profile)));
    let of_both = |needs: &TransferMemoryNeeds| needs.put_bytes + needs.get_bytes;
    let (profile, needs) = needs.max_by_key(|(_, needs)| of_both(needs)).expect("one profile is wanted");
    if body_budget(settings) >= of_both(&needs) {
        return Ok(());
    }
    // By the same rule as the budget: twice what bodies need, or that and the caches, whichever is less.
    let least_bytes = of_both(&needs) + of_both(&needs).min(cache_bytes(settings));
    Err(StartError::Memory {
        given_bytes: settings.memory_bytes,
        least_mib: least_bytes.div_ceil(MIB),
        profile,
        put_kib: needs.put_bytes >> 10,
        get_kib: needs.get_bytes >> 10,
    })
}

fn cache_bytes(settings: &ServerSettings) -> u64 {
    let index = index::IndexSettings::default();
    let index = index.writer_cache_bytes + INDEX_READERS * index.reader_cache_bytes;
    index + settings.directories.len() as u64 * DISK_CACHE_BYTES
}
