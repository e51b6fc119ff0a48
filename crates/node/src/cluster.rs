//! The other nodes as this process reaches them: who has what, their disks, and the index wherever it is led.

mod archive;
mod directory;
mod gateways;
mod index;
mod shards;
#[cfg(test)]
mod tests;

#[allow(unused_imports, reason = "the roles that use it come next")]
pub(crate) use archive::ClusterArchive;
#[allow(unused_imports, reason = "the roles that use it come next")]
pub(crate) use directory::ClusterDirectory;
#[allow(unused_imports, reason = "the roles that use it come next")]
pub(crate) use gateways::FollowedGateways;
#[allow(unused_imports, reason = "the roles that use it come next")]
pub(crate) use index::ClusterIndex;
#[allow(unused_imports, reason = "the roles that use it come next")]
pub(crate) use shards::ClusterShards;
