//! The allocator of the process: it keeps freed pages for a while, for bodies pass through large blocks.
//!
//! What the start frees is no part of that: an idle server would hold it for ever.

#![allow(unsafe_code)]

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_get, mi_option_set, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h: after how many milliseconds freed pages go back to the kernel.
const PURGE_DELAY: mi_option_t = 15;

/// Pages that are freed while this lives go back to the kernel at once.
pub struct Frugal {
    purge_delay: c_long,
}

impl Frugal {
    /// To be called before there are threads. The arenas would also be backed by huge pages where the machine does so
    /// always: each thread's first small block would then occupy 2 MiB, most of what an idle server has.
    pub fn begin() -> Self {
        // A kernel that refuses leaves the server larger, nothing else.
        let _ = rustix::thread::disable_transparent_huge_pages(true);
        // SAFETY: reads an entry of a static table; the index is one of the version that is linked.
        let purge_delay = unsafe { mi_option_get(PURGE_DELAY) };
        set_purge_delay(0);
        Self { purge_delay }
    }
}

impl Drop for Frugal {
    fn drop(&mut self) {
        set_purge_delay(self.purge_delay);
    }
}

fn set_purge_delay(milliseconds: c_long) {
    // SAFETY: writes an entry of a static table, which the allocator reads at each purge; the index is one of the
    // version that is linked, and all values are allowed.
    unsafe { mi_option_set(PURGE_DELAY, milliseconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_purge_delay_and_is_put_back() {
        // SAFETY: as above.
        let delay = || unsafe { mi_option_get(PURGE_DELAY) };
        let usual = delay();
        // No other option of mimalloc 3 has this default.
        assert_eq!(usual, 1000);
        let frugal = Frugal::begin();
        assert_eq!(delay(), 0);
        drop(frugal);
        assert_eq!(delay(), usual);
    }
}
