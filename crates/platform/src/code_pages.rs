//! The pages of this program's own code, as memory that can be given back.

// Segments are found, and given back, by calls that have no safe wrapper.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr;

/// Gives the pages of this program's code and constants back to the kernel's page cache; those that are used again
/// come from there, at a fault each.
///
/// The kernel maps 64 KiB around each page that is touched, so that whoever has passed through much of the code keeps
/// nearly all of it in the process. Where the kernel refuses, nothing changes.
pub fn give_back_code_pages() {
    // SAFETY: the callback takes the arguments that are documented for it, and no data.
    unsafe { libc::dl_iterate_phdr(Some(give_back_segments), ptr::null_mut()) };
}

/// Called for the program itself first, then for each shared library; those are left to themselves.
unsafe extern "C" fn give_back_segments(info: *mut libc::dl_phdr_info, _size: usize, _data: *mut c_void) -> c_int {
    const ENOUGH: c_int = 1;
    // SAFETY: `info` and the headers that it points to are the loader's, and outlive the call.
    let (base, headers) = unsafe {
        let info = &*info;
        (info.dlpi_addr as usize, std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)))
    };
    let page_bytes = rustix::param::page_size();
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        // Whole pages: what lies beside the segment in its first and last page may be another's.
        let begin = (base + header.p_vaddr as usize).next_multiple_of(page_bytes);
        let end = (base + header.p_vaddr as usize + header.p_filesz as usize) / page_bytes * page_bytes;
        if begin < end {
            // SAFETY: the range is mapped from the program's file and was never writable, so that each page has the
            // file's bytes, before and after.
            unsafe { libc::madvise(ptr::with_exposed_provenance_mut(begin), end - begin, libc::MADV_DONTNEED) };
        }
    }
    ENOUGH
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// KiB of this program's file that are in memory through a mapping of code.
    fn resident_code_kib() -> u64 {
        let program = std::env::current_exe().expect("known");
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("readable");
        let mut is_code = false;
        let mut kib = 0;
        for line in maps.lines() {
            if line.contains(" r-xp ") || line.contains(" rw-p ") || line.contains(" r--p ") {
                is_code = line.contains(" r-xp ") && line.ends_with(&*program.to_string_lossy());
            } else if is_code && let Some(rss) = line.strip_prefix("Rss:") {
                kib += rss.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
            }
        }
        kib
    }

    #[test]
    fn code_goes_and_comes_back_when_it_runs() {
        let words = |count: u32| (0..count).map(|number| format!("{number:?}")).collect::<Vec<_>>().join(" ");
        let before = (resident_code_kib(), words(1000));
        give_back_code_pages();
        let after = resident_code_kib();
        assert!(after < before.0, "{after} KiB of {} are left", before.0);
        assert_eq!(words(1000), before.1);
    }
}
