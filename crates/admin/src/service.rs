//! The seam between the admin API and the node that it speaks for.

use async_trait::async_trait;
use gateway::{Readiness, TraceFeed};
use serde::{Deserialize, Serialize};

use crate::changes::{Change, ChangeOptions, ChangePlan, MovesStatus, RebalanceWish};
use crate::gateways::{AddGateway, KnownGateway, NewGateway};
use crate::identities::{IdentityWish, Listed, ListedIdentity, ListedOf, MadeIdentity};
use crate::nodes::{NodeStatus, RangeStatus, SplitPoint};
use crate::rebuild::{RebuildOptions, RebuildStatus};
use crate::status::Status;

/// A profile by its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedProfile {
    /// Data shards.
    pub k: u8,
    /// Parity shards.
    pub m: u8,
}

/// A text that is no profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a profile is K+M, as in 4+2")]
pub struct NoWantedProfile;

impl std::str::FromStr for WantedProfile {
    type Err = NoWantedProfile;

    fn from_str(text: &str) -> Result<Self, NoWantedProfile> {
        let (k, m) = text.split_once('+').ok_or(NoWantedProfile)?;
        let number = |text: &str| text.parse().map_err(|_| NoWantedProfile);
        Ok(Self { k: number(k)?, m: number(m)? })
    }
}

/// What is wished of re-striping all that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RestripeWish {
    /// That it begins, or goes on.
    Start,
    /// That it ends.
    Stop,
}

/// Why an admin request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum AdminError {
    /// What was named isn't there.
    #[error("{0}")]
    NotFound(String),
    /// It would endanger data, or makes no sense now.
    #[error("{0}")]
    Refused(String),
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

/// What the admin API can ask of a node.
#[async_trait]
pub trait AdminService: Send + Sync + 'static {
    /// Whether reads and writes work.
    fn readiness(&self) -> Readiness;

    /// The page of `/metrics`.
    async fn metrics_page(&self) -> String;

    /// The S3 requests of this process as they end, from now on.
    ///
    /// # Errors
    /// [`AdminError::Refused`]: it serves no S3.
    fn trace(&self) -> Result<TraceFeed, AdminError>;

    /// Everything that `cairn admin status` shows.
    ///
    /// # Errors
    /// [`AdminError::Failed`].
    async fn status(&self) -> Result<Status, AdminError>;

    /// All nodes, and how they are.
    ///
    /// # Errors
    /// [`AdminError::Failed`]: nobody says.
    async fn nodes(&self) -> Result<Vec<NodeStatus>, AdminError>;

    /// All ranges, and who has them.
    ///
    /// # Errors
    /// [`AdminError::Failed`]: nobody says.
    async fn ranges(&self) -> Result<Vec<RangeStatus>, AdminError>;

    /// Splits a range that this node has, at a key or in its middle.
    ///
    /// # Errors
    /// [`AdminError::Refused`] where it can't be split there, or now; [`AdminError::NotFound`]; [`AdminError::Failed`].
    async fn split_range(&self, range: u64, at: Option<SplitPoint>) -> Result<(), AdminError>;

    /// Sets the profile of new objects that name no storage class.
    ///
    /// # Errors
    /// [`AdminError::Refused`] where the nodes cannot hold it; [`AdminError::Failed`].
    async fn set_profile(&self, wanted: WantedProfile) -> Result<(), AdminError>;

    /// What does not work although requests should come here: part of what is stored cannot be read.
    async fn shortfall(&self) -> Option<String> {
        None
    }

    /// Begins a scrub pass over all shards now; one under way goes on.
    ///
    /// # Errors
    /// [`AdminError::Failed`].
    async fn start_scrub(&self) -> Result<(), AdminError>;

    /// Begins to write what is stored anew where it has another profile than its storage class, or ends that; what was
    /// written stays.
    ///
    /// # Errors
    /// [`AdminError::Refused`] where the disks that are up do not hold the profile.
    async fn restripe(&self, wish: RestripeWish) -> Result<(), AdminError>;

    /// Proposes the command that the next feature level has.
    ///
    /// # Errors
    /// [`AdminError::Refused`] while the cluster is below that level; [`AdminError::Failed`].
    #[cfg(feature = "next-level")]
    async fn probe(&self) -> Result<(), AdminError> {
        Err(AdminError::Refused("ask a node that serves".to_owned()))
    }

    /// Takes a disk that is down into service again.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Refused`] when the disk still fails.
    async fn readmit_disk(&self, disk: &str) -> Result<(), AdminError>;

    /// Changes what becomes of a disk; tells what moves by it.
    ///
    /// # Errors
    /// [`AdminError::NotFound`]; [`AdminError::Refused`] where it would endanger data; [`AdminError::Failed`].
    async fn change_disk(&self, disk: &str, change: Change, options: ChangeOptions) -> Result<ChangePlan, AdminError>;

    /// Changes what becomes of a node with all its disks; tells what moves by it.
    ///
    /// # Errors
    /// As [`AdminService::change_disk`].
    async fn change_node(&self, node: &str, change: Change, options: ChangeOptions) -> Result<ChangePlan, AdminError>;

    /// Begins, pauses or ends rebalancing; tells what is to move by it.
    ///
    /// # Errors
    /// [`AdminError::Refused`] where it makes no sense now; [`AdminError::Failed`].
    async fn rebalance(&self, wish: RebalanceWish, options: ChangeOptions) -> Result<ChangePlan, AdminError>;

    /// The slots that move.
    ///
    /// # Errors
    /// [`AdminError::Failed`].
    async fn moves(&self) -> Result<MovesStatus, AdminError>;

    /// Makes a credential for a gateway.
    ///
    /// # Errors
    /// [`AdminError::Refused`] when the name is taken; [`AdminError::Failed`].
    async fn add_gateway(&self, gateway: AddGateway) -> Result<NewGateway, AdminError>;

    /// All gateways that have a credential.
    ///
    /// # Errors
    /// [`AdminError::Failed`].
    async fn gateways(&self) -> Result<Vec<KnownGateway>, AdminError>;

    /// Revokes a gateway's credential.
    ///
    /// # Errors
    /// [`AdminError::NotFound`]; [`AdminError::Failed`].
    async fn remove_gateway(&self, id: &str) -> Result<(), AdminError>;

    /// Makes, changes or removes accounts, users, groups, keys or policies.
    ///
    /// # Errors
    /// [`AdminError`].
    async fn change_identities(&self, wish: IdentityWish) -> Result<MadeIdentity, AdminError>;

    /// Shows them, without secrets.
    ///
    /// # Errors
    /// [`AdminError`].
    async fn identities(&self, what: Listed, of: ListedOf) -> Result<Vec<ListedIdentity>, AdminError>;

    /// Begins to rebuild an index that is lost.
    ///
    /// # Errors
    /// [`AdminError::Refused`] when one stands, or when a rebuild is under way.
    async fn rebuild_index(&self, options: RebuildOptions) -> Result<(), AdminError>;

    /// The rebuild that is under way, or the last one of this process.
    fn index_rebuild(&self) -> RebuildStatus;
}
