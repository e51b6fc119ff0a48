//! What transfers reserve of the memory budget at most, so that a budget can be judged before anything runs.

use types::Profile;

use super::fetch::NARROW_COLUMN_BYTES;
use super::read::STEP_BYTES_MAX;
use super::stripe::stripe_memory_bytes;

/// What one transfer of each kind holds in memory, in bytes. A budget that has room for both serves, one request after
/// the other; what is above lets more run side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferMemoryNeeds {
    /// A PUT: one full stripe with its parity.
    pub put_bytes: u64,
    /// A GET: the step that its reader waits for and one that is read ahead, and beside them what a missing shard is
    /// rebuilt from, a column at a time. Of more, a reader gets only what is free and leaves the rest to needs.
    pub get_bytes: u64,
}

impl TransferMemoryNeeds {
    /// What transfers of this profile need.
    pub fn of(profile: Profile) -> Self {
        let columns = if profile.m() > 0 { profile.k() as u64 + 1 } else { 0 };
        Self {
            put_bytes: stripe_memory_bytes(profile.stripe_bytes(), profile),
            get_bytes: 2 * STEP_BYTES_MAX as u64 + columns * NARROW_COLUMN_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_profile_needs_more() {
        let needs = |profile: &str| TransferMemoryNeeds::of(profile.parse().expect("a profile"));
        assert_eq!(needs("1+0"), TransferMemoryNeeds { put_bytes: 1 << 20, get_bytes: 1024 << 10 });
        assert_eq!(needs("4+2"), TransferMemoryNeeds { put_bytes: 6 << 20, get_bytes: (1024 + 5 * 64) << 10 });
        assert_eq!(needs("8+4").put_bytes, 12 << 20);
    }
}
