//! The admin API of this process: one port, whoever answers behind it.

use std::net::SocketAddr;
use std::sync::Arc;

use admin::{
    AddGateway, AdminAuthenticator, AdminError, AdminServer, AdminServerError, AdminService, AdminSettings, Change,
    ChangeOptions, ChangePlan, IdentityWish, KnownGateway, Listed, ListedIdentity, ListedOf, MadeIdentity, MovesStatus,
    NewGateway, NodeStatus, RangeStatus, RebalanceWish, RebuildOptions, RebuildStatus, RestripeWish, SplitPoint,
    Status, WantedProfile,
};
use async_trait::async_trait;
use gateway::tls::Tls;
use gateway::{Port, Readiness, TraceFeed};
use iam::KnownKeys;
use parking_lot::RwLock;
use platform::Clock;
use tokio::sync::watch;
use types::Credential;

use crate::settings::ServerSettings;

/// The admin port, and who answers.
pub(crate) struct AdminFront {
    server: AdminServer,
    service: Arc<Switched>,
}

impl AdminFront {
    /// Lets clients in that have one of the credentials.
    ///
    /// # Errors
    /// [`AdminServerError`].
    pub(crate) fn start(
        port: Port,
        settings: &ServerSettings,
        tls: Option<Tls>,
        clock: Arc<dyn Clock>,
        credentials: watch::Receiver<Arc<[Credential]>>,
        service: Arc<dyn AdminService>,
    ) -> Result<Self, AdminServerError> {
        let service = Arc::new(Switched(RwLock::new(service)));
        let server = AdminServer::start(
            port,
            AdminSettings { metrics_token: settings.metrics_token.clone(), tls },
            service.clone(),
            AdminAuthenticator::new(credentials, clock),
        )?;
        Ok(Self { server, service })
    }

    /// Another one answers from now on.
    pub(crate) fn switch(&self, service: Arc<dyn AdminService>) {
        *self.service.0.write() = service;
    }

    /// Lets in users that may, from now on.
    pub(crate) fn know(&self, keys: Arc<KnownKeys>) {
        self.server.know(keys);
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Closes the port.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

struct Switched(RwLock<Arc<dyn AdminService>>);

impl Switched {
    fn now(&self) -> Arc<dyn AdminService> {
        self.0.read().clone()
    }
}

#[async_trait]
impl AdminService for Switched {
    fn readiness(&self) -> Readiness {
        self.now().readiness()
    }

    async fn metrics_page(&self) -> String {
        self.now().metrics_page().await
    }

    fn trace(&self) -> Result<TraceFeed, AdminError> {
        self.now().trace()
    }

    async fn status(&self) -> Result<Status, AdminError> {
        self.now().status().await
    }

    async fn nodes(&self) -> Result<Vec<NodeStatus>, AdminError> {
        self.now().nodes().await
    }

    async fn ranges(&self) -> Result<Vec<RangeStatus>, AdminError> {
        self.now().ranges().await
    }

    async fn split_range(&self, range: u64, at: Option<SplitPoint>) -> Result<(), AdminError> {
        self.now().split_range(range, at).await
    }

    async fn set_profile(&self, wanted: WantedProfile) -> Result<(), AdminError> {
        self.now().set_profile(wanted).await
    }

    async fn restripe(&self, wish: RestripeWish) -> Result<(), AdminError> {
        self.now().restripe(wish).await
    }

    async fn shortfall(&self) -> Option<String> {
        self.now().shortfall().await
    }

    async fn start_scrub(&self) -> Result<(), AdminError> {
        self.now().start_scrub().await
    }

    #[cfg(feature = "next-level")]
    async fn probe(&self) -> Result<(), AdminError> {
        self.now().probe().await
    }

    async fn readmit_disk(&self, disk: &str) -> Result<(), AdminError> {
        self.now().readmit_disk(disk).await
    }

    async fn change_disk(&self, disk: &str, change: Change, options: ChangeOptions) -> Result<ChangePlan, AdminError> {
        self.now().change_disk(disk, change, options).await
    }

    async fn change_node(&self, node: &str, change: Change, options: ChangeOptions) -> Result<ChangePlan, AdminError> {
        self.now().change_node(node, change, options).await
    }

    async fn rebalance(&self, wish: RebalanceWish, options: ChangeOptions) -> Result<ChangePlan, AdminError> {
        self.now().rebalance(wish, options).await
    }

    async fn moves(&self) -> Result<MovesStatus, AdminError> {
        self.now().moves().await
    }

    async fn add_gateway(&self, gateway: AddGateway) -> Result<NewGateway, AdminError> {
        self.now().add_gateway(gateway).await
    }

    async fn gateways(&self) -> Result<Vec<KnownGateway>, AdminError> {
        self.now().gateways().await
    }

    async fn remove_gateway(&self, id: &str) -> Result<(), AdminError> {
        self.now().remove_gateway(id).await
    }

    async fn change_identities(&self, wish: IdentityWish) -> Result<MadeIdentity, AdminError> {
        self.now().change_identities(wish).await
    }

    async fn identities(&self, what: Listed, of: ListedOf) -> Result<Vec<ListedIdentity>, AdminError> {
        self.now().identities(what, of).await
    }

    async fn rebuild_index(&self, options: RebuildOptions) -> Result<(), AdminError> {
        self.now().rebuild_index(options).await
    }

    fn index_rebuild(&self) -> RebuildStatus {
        self.now().index_rebuild()
    }
}
