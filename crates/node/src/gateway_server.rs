//! `cairn gateway`: S3 over the nodes of a cluster, and nothing that matters in this process.

use std::sync::Arc;
use std::time::Duration;

use admin::{
    AddGateway, AdminError, AdminService, Change, ChangeOptions, ChangePlan, IdentityWish, KnownGateway, Listed,
    ListedIdentity, ListedOf, MadeIdentity, MovesStatus, NewGateway, NodeStatus, RangeStatus, RebalanceWish,
    RebuildOptions, RebuildStatus, RestripeWish, SplitPoint, Status, WantedProfile,
};
use async_trait::async_trait;
use gateway::{GatewayHandle, Readiness, TraceFeed, Traces};
use iam::KnownKeys;
use index::{IndexError, IndexService, NewerLevel};
use objects::Objects;
use platform::TcpNetwork;
use rpc::client::{Identity, Peer, RemoteIndex, RemoteShards, RpcClient};
use rpc::{ClusterCell, GatewayCredential, RpcSettings};
use telemetry::Metrics;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use types::{Credential, NodeId, Profile};

use crate::admin_front::AdminFront;
use crate::cluster::{AskingPlanner, ClusterDirectory, ClusterIndex, ClusterShards};
use crate::credential;
use crate::forming::{JoinReply, JoinRequest, Stage};
use crate::front::{self, Front};
use crate::layout::LayoutKeeper;
use crate::memory;
use crate::metrics_page::show_calls;
use crate::readiness::ReadinessWatch;
use crate::s3_side::{self, Callers, DataSide};
use crate::server::{Reach, StartError, World, create_first_bucket, follow_profile};
use crate::settings::ServerSettings;

/// How often the nodes are asked while none answers.
const PERIOD: Duration = Duration::from_millis(250);
/// How long a node may take to say who it is.
const GREETING_PATIENCE: Duration = Duration::from_secs(2);

/// How a gateway finds its cluster, and what lets it in.
#[derive(Debug, Clone)]
pub struct GatewayRole {
    /// Addresses of nodes; one that answers is enough.
    pub named: Vec<String>,
    /// The credential that `cairn admin gateway add` has made.
    pub credential: GatewayCredential,
}

/// A gateway that serves.
pub struct GatewayServer {
    cluster: String,
    endpoint: String,
    admin_endpoint: String,
    gateway: GatewayHandle,
    admin: AdminFront,
    readiness: ReadinessWatch,
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    objects: Objects,
    layout: Arc<LayoutKeeper>,
    drain_timeout: Duration,
}

impl GatewayServer {
    /// Finds the cluster, and serves once reads and writes work, however long that takes. `settings` name no disks.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(mut settings: ServerSettings, role: GatewayRole) -> Result<Self, StartError> {
        erasure::check_cpu()?;
        let given = settings.profile;
        settings.profile = Some(given.unwrap_or_else(|| Profile::for_domains(role.named.len())));
        memory::check(&settings)?;
        let (Front { s3, tls }, admin_port) = Front::open(&settings)?;
        let metrics = Metrics::install()?;
        let world = World::new(&settings);
        let cell = ClusterCell::default();
        let client = RpcClient::new(
            Arc::new(TcpNetwork),
            world.entropy.clone(),
            cell.clone(),
            Identity::Gateway(role.credential.clone()),
            world.buffers.clone(),
            RpcSettings::default(),
        );
        let directory = Arc::new(ClusterDirectory::new(None));
        let wanted = find_cluster(&client, &role.named, &directory, &cell).await;
        let wanted = given.unwrap_or(wanted);
        settings.profile = Some(wanted);
        let remote = RemoteIndex::new(client.clone(), directory.clone());
        let reach = Reach {
            index: Arc::new(ClusterIndex::new(None, remote, directory.clone())),
            shards: Arc::new(ClusterShards::new(None, RemoteShards::new(client.clone(), directory.clone()))),
        };
        let root = root_credential(&*reach.index).await?;
        let layout = Arc::new(LayoutKeeper::open(reach.index.clone(), None, wanted, Vec::new()).await?);
        directory.follow(layout.watch());
        let planner = AskingPlanner { client: client.clone(), layout: layout.clone(), directory };
        let side = DataSide::new(&settings, &world, &reach, layout.watch(), Arc::new(planner));
        let DataSide { data, bad_shards, given_up, .. } = side;
        // Whom its tickets are for: this process, which nobody asks for again.
        let writer = NodeId::from_bytes(world.entropy.id());
        let wanted = layout.wanted();
        let objects = s3_side::start_objects(&settings, &world, &reach, &data, given_up, writer, wanted).await?;
        create_first_bucket(&objects, &settings, &root).await?;
        let (readiness, ready) = watch::channel(Readiness::Ready);
        let credentials: watch::Sender<Arc<[Credential]>> = watch::Sender::new(Arc::new([root.clone()]));
        let keys = Arc::new(KnownKeys::new(reach.index.clone(), world.clock.clone()));
        let port = s3.expect("a gateway serves S3");
        let gateway = s3_side::serve(
            port,
            &settings,
            tls.clone(),
            &world,
            objects.clone(),
            Callers { credentials: credentials.subscribe(), keys: keys.clone() },
            ready.clone(),
        )?;
        let service = Arc::new(GatewayAdmin { metrics, client, readiness: ready, traces: gateway.traces().clone() });
        let admin = AdminFront::start(
            admin_port,
            &settings,
            tls.clone(),
            world.clock.clone(),
            credentials.subscribe(),
            service,
        )?;
        admin.know(keys);
        let scheme = front::scheme(tls.as_ref());
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(follow_profile(layout.watch_wanted(), objects.clone(), stopped.clone())),
            tokio::spawn(layout.clone().follow(stopped.clone())),
            tokio::spawn(credential::follow_root(reach.index.clone(), credentials, stopped.clone())),
            // Scrub on the nodes finds them too.
            tokio::spawn(discard_reports(bad_shards, stopped)),
        ];
        Ok(Self {
            cluster: cell.get().map(|cluster| cluster.to_string()).unwrap_or_default(),
            endpoint: format!("{scheme}://{}", gateway.local_addr()),
            admin_endpoint: format!("{scheme}://{}", admin.address()),
            gateway,
            admin,
            readiness: ReadinessWatch::start(reach.index.clone(), readiness),
            tasks,
            stop,
            objects,
            layout,
            drain_timeout: settings.drain_timeout,
        })
    }

    /// The cluster's id.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Where S3 is served.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where the health pages and metrics are.
    pub fn admin_endpoint(&self) -> &str {
        &self.admin_endpoint
    }

    /// Waits until the cluster has risen above what this build knows, if ever: then it must not go on.
    pub async fn outgrown(&self) -> NewerLevel {
        self.layout.outgrown().await
    }

    /// Takes no more requests, and waits for those under way.
    pub async fn shutdown(self) {
        self.readiness.drain().await;
        if !self.gateway.drain(self.drain_timeout).await {
            tracing::warn!("requests were broken off: they took longer than the drain timeout");
        }
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task ended badly");
            }
        }
        self.objects.stop().await;
        self.admin.stop().await;
    }
}

/// Asks the named nodes until one is a member of a cluster; returns the profile that is wanted there.
async fn find_cluster(
    client: &RpcClient,
    named: &[String],
    directory: &ClusterDirectory,
    cell: &ClusterCell,
) -> Profile {
    let request = JoinRequest::Greet.encode();
    let mut said = String::new();
    loop {
        let mut reason = String::new();
        for address in named {
            let asked = client.join(address, &request, GREETING_PATIENCE).await;
            let greeting = match asked {
                Ok((_, bytes)) => match JoinReply::decode(&bytes) {
                    Some(JoinReply::Greeting(greeting)) => greeting,
                    _ => {
                        reason = format!("{address} is of another release");
                        continue;
                    }
                },
                Err(error) => {
                    reason = error.to_string();
                    continue;
                }
            };
            if let (Stage::Member { cluster }, Some(profile)) = (greeting.stage, greeting.profile) {
                for node in greeting.nodes.into_iter().filter(|node| !node.address.is_empty()) {
                    directory.add(Peer { node: node.id, address: node.address });
                }
                // The way that was just gone.
                directory.add(Peer { node: greeting.node.id, address: address.clone() });
                cell.set(cluster);
                return profile;
            }
            reason = format!("{address} has not found its cluster yet");
        }
        if reason != said {
            tracing::info!(%reason, "waiting for the cluster");
            said = reason;
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// The root credential, once the index answers: its leader may be about to change, or may hear of this gateway's own
/// credential a second later than the node that was asked first.
async fn root_credential(index: &dyn IndexService) -> Result<Credential, StartError> {
    let mut said = String::new();
    loop {
        let reason = match credential::held_root(index).await {
            Ok(Some(root)) => return Ok(root),
            Ok(None) => {
                return Err(IndexError::Damaged { reason: "the cluster has no root credential".to_owned() }.into());
            }
            Err(error @ (IndexError::Unavailable { .. } | IndexError::NotLeader { .. })) => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        if reason != said {
            tracing::info!(%reason, "waiting for the index");
            said = reason;
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Takes the reports of bad shards: a gateway repairs nothing.
async fn discard_reports<T>(mut reports: tokio::sync::mpsc::Receiver<T>, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            report = reports.recv() => if report.is_none() { return },
            _ = stopped.changed() => return,
        }
    }
}

/// The health pages and metrics of a gateway.
struct GatewayAdmin {
    metrics: Metrics,
    client: RpcClient,
    readiness: watch::Receiver<Readiness>,
    traces: Traces,
}

fn not_here() -> AdminError {
    AdminError::Refused("this is a gateway: ask a node, with --admin-url".to_owned())
}

#[async_trait]
impl AdminService for GatewayAdmin {
    fn readiness(&self) -> Readiness {
        self.readiness.borrow().clone()
    }

    async fn metrics_page(&self) -> String {
        show_calls(&self.client.calls());
        self.metrics.fold();
        self.metrics.render()
    }

    fn trace(&self) -> Result<TraceFeed, AdminError> {
        Ok(self.traces.watch())
    }

    async fn status(&self) -> Result<Status, AdminError> {
        Err(not_here())
    }

    async fn nodes(&self) -> Result<Vec<NodeStatus>, AdminError> {
        Err(not_here())
    }

    async fn ranges(&self) -> Result<Vec<RangeStatus>, AdminError> {
        Err(not_here())
    }

    async fn split_range(&self, _range: u64, _at: Option<SplitPoint>) -> Result<(), AdminError> {
        Err(not_here())
    }

    async fn set_profile(&self, _wanted: WantedProfile) -> Result<(), AdminError> {
        Err(not_here())
    }

    async fn restripe(&self, _wish: RestripeWish) -> Result<(), AdminError> {
        Err(not_here())
    }

    async fn start_scrub(&self) -> Result<(), AdminError> {
        Err(not_here())
    }

    async fn readmit_disk(&self, _disk: &str) -> Result<(), AdminError> {
        Err(not_here())
    }

    async fn change_identities(&self, _wish: IdentityWish) -> Result<MadeIdentity, AdminError> {
        Err(not_here())
    }

    async fn identities(&self, _what: Listed, _of: ListedOf) -> Result<Vec<ListedIdentity>, AdminError> {
        Err(not_here())
    }

    async fn rebuild_index(&self, _options: RebuildOptions) -> Result<(), AdminError> {
        Err(not_here())
    }

    async fn change_disk(
        &self,
        _disk: &str,
        _change: Change,
        _options: ChangeOptions,
    ) -> Result<ChangePlan, AdminError> {
        Err(not_here())
    }

    async fn change_node(
        &self,
        _node: &str,
        _change: Change,
        _options: ChangeOptions,
    ) -> Result<ChangePlan, AdminError> {
        Err(not_here())
    }

    async fn rebalance(&self, _wish: RebalanceWish, _options: ChangeOptions) -> Result<ChangePlan, AdminError> {
        Err(not_here())
    }

    async fn moves(&self) -> Result<MovesStatus, AdminError> {
        Err(not_here())
    }

    async fn add_gateway(&self, _gateway: AddGateway) -> Result<NewGateway, AdminError> {
        Err(not_here())
    }

    async fn gateways(&self) -> Result<Vec<KnownGateway>, AdminError> {
        Err(not_here())
    }

    async fn remove_gateway(&self, _id: &str) -> Result<(), AdminError> {
        Err(not_here())
    }

    fn index_rebuild(&self) -> RebuildStatus {
        RebuildStatus { state: "none".to_owned(), ..RebuildStatus::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use index::{Answer, Command, Query, QueryAnswer};
    use types::{AccessKeyId, SecretKey};

    use super::*;

    /// An index that certainly takes nothing for so many questions, and then answers.
    struct Late(AtomicUsize);

    #[async_trait]
    impl IndexService for Late {
        async fn propose(&self, _command: Command) -> Result<Answer, IndexError> {
            unreachable!("a root credential is asked for, not set")
        }

        async fn query(&self, _query: Query) -> Result<QueryAnswer, IndexError> {
            match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
                Ok(left) if left % 2 == 0 => Err(IndexError::NotLeader { leader: None }),
                Ok(_) => Err(IndexError::Unavailable { reason: "the peer refuses our credential".to_owned() }),
                Err(_) => Ok(QueryAnswer::Credentials(vec![root()])),
            }
        }
    }

    fn root() -> Credential {
        credential::root_credential(AccessKeyId("root".into()), SecretKey("a secret".into()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_starts_waits_for_an_index_that_does_not_answer_yet() {
        let waited_for = root_credential(&Late(AtomicUsize::new(50))).await;
        assert_eq!(waited_for.expect("it answers in the end"), root());
    }
}
