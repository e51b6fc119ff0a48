//! Random bits that libraries take for themselves. Tokio draws by them which of those that wait for a change is woken first,
//! and maps of the standard library iterate by them: in the process of one seed they have to be the same every time.
//!
//! Both come from the C library's `getrandom`, by way of the standard library. Here is another one of that name, which this
//! program's parts find first.

#![allow(unsafe_code)]

use std::ffi::{c_uint, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

static IS_FIXED: AtomicBool = AtomicBool::new(false);

/// From here on all random bits of this process that are not drawn by a seed are the same ones.
pub(crate) fn fix() {
    IS_FIXED.store(true, Ordering::Relaxed);
}

/// The C library's, until [`fix`] was called.
// SAFETY: it keeps to what the C library promises of this name: fills up to `bytes` bytes and says how many, or fails.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, bytes: usize, flags: c_uint) -> isize {
    if IS_FIXED.load(Ordering::Relaxed) {
        // SAFETY: the caller gives a buffer of so many bytes to be written.
        unsafe { std::ptr::write_bytes(buffer.cast::<u8>(), 0x5e, bytes) };
        return isize::try_from(bytes).expect("a buffer is shorter than memory");
    }
    // SAFETY: the system call of this name, with the caller's arguments.
    unsafe { libc::syscall(libc::SYS_getrandom, buffer, bytes, flags) as isize }
}
