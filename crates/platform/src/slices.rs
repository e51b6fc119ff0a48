//! How the operating system schedules a thread.

// The system call has no safe wrapper.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;

/// The shortest slice that Linux takes, in nanoseconds; its usual one is some milliseconds.
const SLICE_NANOSECONDS: u64 = 100_000;

/// Asks that this thread, and those that it starts from now on, run in short slices, and so soon after they are woken.
///
/// For threads that mostly wait, for a disk or for each other: where all processors are busy, a thread with the usual
/// slice waits for the next tick of the scheduler (4 ms and more) after each wait, one with a short slice does not. It
/// gets no more of the processors than before. Linux heeds it from 6.12 on; elsewhere, and where a sandbox forbids
/// the call, nothing changes.
pub fn prefer_short_slices() {
    if let Err(error) = set_slice(SLICE_NANOSECONDS) {
        tracing::debug!(%error, "the operating system takes no wish for short slices");
    }
}

#[cfg(target_os = "linux")]
fn set_slice(nanoseconds: u64) -> io::Result<()> {
    const THIS_THREAD: libc::pid_t = 0;
    const NO_FLAGS: libc::c_uint = 0;
    let size = u32::try_from(size_of::<libc::sched_attr>()).map_err(io::Error::other)?;
    let mut attributes = libc::sched_attr {
        size,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel writes at most `size` bytes into `attributes`, which is as long.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, THIS_THREAD, &raw mut attributes, size, NO_FLAGS) };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    // Others, real-time ones, were chosen by an operator and have no slices to shorten.
    if attributes.sched_policy == libc::SCHED_OTHER as u32 || attributes.sched_policy == libc::SCHED_BATCH as u32 {
        attributes.sched_runtime = nanoseconds;
        // SAFETY: the kernel reads `attributes.size` bytes of `attributes`, which is as long.
        let set = unsafe { libc::syscall(libc::SYS_sched_setattr, THIS_THREAD, &raw const attributes, NO_FLAGS) };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn set_slice(_nanoseconds: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_taken_and_nothing_else_changes() {
        let nice =
            || std::fs::read_to_string("/proc/thread-self/stat").map(|stat| stat.split(' ').nth(18).map(str::to_owned));
        let before = nice().expect("readable");
        set_slice(SLICE_NANOSECONDS).expect("the kernel takes it");
        assert_eq!(nice().expect("readable"), before);
    }
}
