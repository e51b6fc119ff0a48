//! This process, as the operating system sees it.

use std::time::Duration;

use rustix::time::ClockId;

/// The numbers of the user and the group on whose behalf this process reaches files.
pub fn process_owner() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// What all threads of this process have spent of the processors since it began, in the kernel too.
pub fn process_cpu_time() -> Duration {
    let spent = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(spent).expect("a process cannot have spent less than nothing")
}
