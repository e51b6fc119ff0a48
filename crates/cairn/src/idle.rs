//! What a process that has come to rest gives back: the pages of its own code.
//!
//! A start and its first rounds of duties pass through most of the code, and so does a burst of requests of many kinds; at
//! rest a third less is used. What comes next pays for some two hundred page faults that find their pages in memory.

use std::time::Duration;

/// How often it is looked.
const WINDOW: Duration = Duration::from_secs(1);
/// What a process at rest may spend of one processor, one part in so many. An idle server spends a thousandth, a debug build 3 %.
const REST_SHARE: u32 = 10;
/// After so many windows at rest the pages are given back: at once, and when the duties' rounds of a start, or after
/// a burst, are through.
const GIVEN_BACK_AFTER: [u32; 2] = [1, 10];

/// Gives the code's pages back when the process comes to rest; never ends.
pub async fn give_back_code_at_rest() {
    let mut spent = platform::process_cpu_time();
    let mut windows_at_rest: u32 = 0;
    loop {
        tokio::time::sleep(WINDOW).await;
        let before = std::mem::replace(&mut spent, platform::process_cpu_time());
        let is_at_rest = spent.saturating_sub(before) < WINDOW / REST_SHARE;
        windows_at_rest = if is_at_rest { windows_at_rest.saturating_add(1) } else { 0 };
        if GIVEN_BACK_AFTER.contains(&windows_at_rest) {
            platform::give_back_code_pages();
        }
    }
}
