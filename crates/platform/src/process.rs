//! This process, as the operating system sees it.

/// The numbers of the user and the group on whose behalf this process reaches files.
pub fn process_owner() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}
