//! The other nodes as this process reaches them: who has what, their disks, and the index wherever it is led.

mod archive;
mod directory;
mod gateways;
mod index;
mod planner;
mod shards;
#[cfg(test)]
mod tests;

pub use archive::ClusterArchive;
pub use directory::ClusterDirectory;
pub(crate) use gateways::FollowedGateways;
pub use index::ClusterIndex;
pub(crate) use index::ELECTION_PATIENCE;
pub(crate) use planner::AskingPlanner;
pub use shards::ClusterShards;
