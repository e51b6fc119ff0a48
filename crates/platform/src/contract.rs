//! Contract suites: what every implementation of a trait must hold.
//!
//! Each suite panics with the promise that is broken. Tests of an implementation call it; so can the tests of a
//! wrapper in another crate.

mod disk;
mod net;

use std::collections::BTreeSet;

pub use disk::disk_contract;
pub use net::network_contract;

use crate::clock::Clock;
use crate::entropy::Entropy;

/// Checks a clock.
///
/// # Panics
/// Where it breaks a promise.
pub fn clock_contract(clock: &dyn Clock) {
    let mut last = clock.monotonic();
    for _ in 0..1000 {
        let next = clock.monotonic();
        assert!(next >= last, "monotonic time never goes back");
        last = next;
    }
    let first = clock.now();
    assert!(clock.now().0.abs_diff(first.0) < 60_000_000, "the wall clock is in microseconds");
}

/// Checks a source of randomness.
///
/// # Panics
/// Where it breaks a promise, and once in 2^64 times where it doesn't.
pub fn entropy_contract(entropy: &dyn Entropy) {
    let ids: BTreeSet<[u8; 16]> = (0..1000).map(|_| entropy.id()).collect();
    assert_eq!(ids.len(), 1000, "ids differ");
    let numbers: BTreeSet<u64> = (0..100).map(|_| entropy.number()).collect();
    assert_eq!(numbers.len(), 100, "numbers differ");
    for length in 0..40 {
        // Were a byte left out, it would stay zero in all rounds; the odds that one does by chance are 2^-256.
        let mut seen = vec![0; length];
        for _ in 0..32 {
            let mut bytes = vec![0; length];
            entropy.fill(&mut bytes);
            seen.iter_mut().zip(bytes).for_each(|(seen, byte)| *seen |= byte);
        }
        assert!(!seen.contains(&0), "every byte is filled");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use types::Timestamp;

    use super::*;
    use crate::{Disk, FaultyDisk, ManualClock, RealDisk, SeededEntropy, SystemClock, SystemEntropy};

    #[test]
    fn the_real_disk_keeps_the_contract() {
        let directories = Mutex::new(Vec::new());
        disk_contract(|| {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let disk = RealDisk::create(directory.path().join("disk")).expect("made");
            directories.lock().push(directory);
            Arc::new(disk) as Arc<dyn Disk>
        });
    }

    #[test]
    fn the_faulty_disk_keeps_the_contract() {
        disk_contract(|| Arc::new(FaultyDisk::new(1)) as Arc<dyn Disk>);
    }

    #[test]
    fn the_clocks_keep_the_contract() {
        clock_contract(&SystemClock::new());
        clock_contract(&ManualClock::new(Timestamp(1)));
    }

    #[test]
    fn the_entropies_keep_the_contract() {
        entropy_contract(&SystemEntropy);
        entropy_contract(&SeededEntropy::new(1));
    }
}
