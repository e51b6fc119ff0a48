//! A cluster of processes while its machines, its disks and its network fail, and while its slots move: whatever happens,
//! what was acknowledged is there and intact, no reader sees anything else, and once all is well again writes go on.
//!
//! A seed decides which fault comes when. `CAIRN_FAULT_SEED` and `CAIRN_FAULT_ROUNDS` give others than those that every
//! run of the tests has.

use std::ops::Range;

use serde_json::Value;

mod conditional;
mod disks;
mod lines;
pub mod load;
mod machines;
mod moves;
mod network;
mod proxy;

/// A number of the environment.
fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value}")),
        Err(_) => default,
    }
}

/// Whether nothing is stored narrower than it should be, by a status, and the node's own disks have all they should.
fn is_whole(status: &Value) -> bool {
    let (repair, none) = (&status["repair"], Value::Array(Vec::new()));
    let is_all_there = repair["degraded_parts"] == 0 && repair["missing_shards"] == 0;
    is_all_there && repair["rebuilding"] == none && repair["settling"] == none
}

/// Whether so many nodes vote on each range, by a status, and are no more than so many entries behind its leader.
fn all_vote(status: &Value, voters: usize, lag_max: u64) -> bool {
    let has_log = |voter: &Value| voter["votes"] == true && voter["lag"].as_u64().is_some_and(|lag| lag <= lag_max);
    let votes = |range: &Value| {
        let replicas = range["replicas"].as_array().expect("replicas");
        replicas.len() == voters && replicas.iter().all(has_log)
    };
    status["ranges"].as_array().expect("ranges").iter().all(votes)
}

/// Whether a disk has its node's part of the index, by its row in a status.
fn has_index(disk: &Value) -> bool {
    let roles = disk["index_roles"].as_array().expect("roles");
    roles.iter().any(|role| role == "log" || role == "database")
}

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// splitmix64.
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, range: Range<u64>) -> u64 {
        range.start + self.roll() % (range.end - range.start)
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(0..len as u64)).expect("an index")
    }
}
