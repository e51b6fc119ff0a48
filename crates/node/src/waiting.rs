//! A server whose disks are known and whose index is lost: it forms no new one over the shards that lie there, but says
//! so, and waits for the command that rebuilds it.

use std::sync::Arc;

use admin::{
    AddGateway, AdminError, AdminService, Change, ChangeOptions, ChangePlan, IdentityWish, KnownGateway, Listed,
    ListedIdentity, ListedOf, MadeIdentity, MovesStatus, NewGateway, NodeStatus, RangeStatus, RebalanceWish,
    RebuildOptions, RebuildReport, RebuildStatus, RestripeWish, SplitPoint, Status, WantedProfile,
};
use archive::rebuild::RebuildProgress;
use async_trait::async_trait;
use consensus::{ConsensusError, ReplicatedIndex};
use gateway::tls::Tls;
use gateway::{Gateway, Port, Readiness, TraceFeed, Unavailable};
use parking_lot::Mutex;
use tokio::sync::watch;
use types::Credential;

use crate::admin_front::AdminFront;
use crate::credential;
use crate::disks::KnownDisk;
use crate::front::{self, AdminSide, Front};
use crate::rebuild;
use crate::server::{Opened, Server, Standing, StartError};

/// A server that waits for its index to be rebuilt.
pub struct WaitingServer {
    desk: Arc<DeskState>,
    admin: AdminFront,
    s3: Option<Unavailable>,
    reason: String,
    tls: Option<Tls>,
}

impl WaitingServer {
    pub(crate) fn start(
        opened: Opened,
        front: Front,
        admin_port: Port,
        error: ConsensusError,
    ) -> Result<Self, StartError> {
        let given = opened.settings.root.clone();
        let given = given.map(|(access, secret)| credential::root_credential(access, secret));
        let copy = || opened.directories.known.iter().find_map(|known| credential::read_copy(&*known.disk));
        // Without either nobody could ask for the rebuild: the copies lie on every disk.
        let Some(root) = given.or_else(copy) else { return Err(error.into()) };
        // Whoever reads this cannot ask for the status: disks are told by where they are.
        let by_path =
            |why: String, known: &KnownDisk| why.replace(&known.id.to_string(), &known.path.display().to_string());
        let why = opened.directories.known.iter().fold(error.to_string(), by_path);
        let reason = format!(
            "the index is lost ({why}); bring missing disks back and start again, or rebuild it: cairn admin index rebuild"
        );
        tracing::error!(reason, "there are shards and no index");
        let Front { s3, tls } = front;
        let readiness = watch::Sender::new(Readiness::NotReady { reason: reason.clone() });
        let refuse = |port| Unavailable::serve(port, tls.clone(), readiness.subscribe(), &*opened.world.entropy);
        let s3 = s3.map(refuse).transpose()?;
        let (settings, clock) = (opened.settings.clone(), opened.world.clock.clone());
        let desk = Arc::new(DeskState {
            opened: Arc::new(opened),
            root: root.clone(),
            reason: reason.clone(),
            state: Mutex::new(State::Idle),
            rebuilt: watch::Sender::new(None),
        });
        // Receivers keep the last value.
        let credentials = watch::Sender::<Arc<[Credential]>>::new(Arc::new([root])).subscribe();
        let service = Arc::new(Desk(desk.clone()));
        let admin = AdminFront::start(admin_port, &settings, tls.clone(), clock, credentials, service)?;
        Ok(Self { desk, admin, s3, tls, reason })
    }

    /// What is wrong, and what to do.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Where S3 answers 503.
    pub fn endpoint(&self) -> String {
        let address = self.s3.as_ref().map_or_else(|| "none".to_owned(), |s3| s3.local_addr().to_string());
        format!("{}://{address}", front::scheme(self.tls.as_ref()))
    }

    /// Where the admin API is served.
    pub fn admin_endpoint(&self) -> String {
        format!("{}://{}", front::scheme(self.tls.as_ref()), self.admin.address())
    }

    /// Waits until the index was rebuilt.
    pub async fn rebuilt(&self) {
        // The desk lives as long as this, so the channel can't be closed.
        let _ = self.desk.rebuilt.subscribe().wait_for(Option::is_some).await;
    }

    /// Serves, at the same addresses, with the index that was rebuilt.
    ///
    /// # Errors
    /// [`StartError`].
    ///
    /// # Panics
    /// Before [`Self::rebuilt`] has returned.
    pub async fn serve(self) -> Result<Server, StartError> {
        let Self { desk, admin, s3, tls, .. } = self;
        let rebuilt = desk.rebuilt.borrow().clone();
        let Rebuilt { index, report } = rebuilt.expect("the index was rebuilt");
        let s3 = match s3 {
            Some(refusing) => {
                let listen = refusing.local_addr();
                refusing.close().await;
                Some(Gateway::take_port(listen)?)
            }
            None => None,
        };
        let front = Front { s3, tls };
        let standing = Standing::alone(index, &desk.opened, AdminSide::Served(admin), Some(report));
        Server::serve(Opened::clone(&desk.opened), front, standing).await
    }

    /// Ends without an index.
    pub async fn shutdown(self) {
        if let Some(s3) = self.s3 {
            s3.close().await;
        }
        self.admin.stop().await;
        self.desk.opened.shards.close().await;
    }
}

#[derive(Clone)]
struct Rebuilt {
    index: Arc<ReplicatedIndex>,
    report: RebuildReport,
}

/// Where rebuilds are asked for. Clones are the same desk.
#[derive(Clone)]
struct Desk(Arc<DeskState>);

struct DeskState {
    opened: Arc<Opened>,
    root: Credential,
    reason: String,
    state: Mutex<State>,
    rebuilt: watch::Sender<Option<Rebuilt>>,
}

enum State {
    Idle,
    Running(RebuildProgress),
    Failed(String),
    /// A dry run.
    Told(Box<RebuildReport>),
}

impl DeskState {
    async fn run(&self, options: RebuildOptions, progress: RebuildProgress) {
        let outcome = rebuild::run(&self.opened, &self.root, options, progress).await;
        match outcome {
            Ok((report, Some(index))) => {
                tracing::info!(unproven = report.unproven.count, objects = report.objects, "the index was rebuilt");
                // Goes on as running until whoever serves with it answers.
                self.rebuilt.send_replace(Some(Rebuilt { index, report }));
            }
            Ok((report, None)) => *self.state.lock() = State::Told(Box::new(report)),
            Err(reason) => {
                tracing::error!(reason, "the index was not rebuilt");
                *self.state.lock() = State::Failed(reason);
            }
        }
    }

    fn refused(&self) -> AdminError {
        AdminError::Refused(self.reason.clone())
    }
}

#[async_trait]
impl AdminService for Desk {
    fn readiness(&self) -> Readiness {
        Readiness::NotReady { reason: self.0.reason.clone() }
    }

    async fn metrics_page(&self) -> String {
        self.0.opened.metrics.fold();
        self.0.opened.metrics.render()
    }

    fn trace(&self) -> Result<TraceFeed, AdminError> {
        Err(self.0.refused())
    }

    async fn status(&self) -> Result<Status, AdminError> {
        Err(self.0.refused())
    }

    async fn nodes(&self) -> Result<Vec<NodeStatus>, AdminError> {
        Err(self.0.refused())
    }

    async fn ranges(&self) -> Result<Vec<RangeStatus>, AdminError> {
        Err(self.0.refused())
    }

    async fn split_range(&self, _range: u64, _at: Option<SplitPoint>) -> Result<(), AdminError> {
        Err(self.0.refused())
    }

    async fn set_profile(&self, _wanted: WantedProfile) -> Result<(), AdminError> {
        Err(self.0.refused())
    }

    async fn restripe(&self, _wish: RestripeWish) -> Result<(), AdminError> {
        Err(self.0.refused())
    }

    async fn start_scrub(&self) -> Result<(), AdminError> {
        Err(self.0.refused())
    }

    async fn readmit_disk(&self, _disk: &str) -> Result<(), AdminError> {
        Err(self.0.refused())
    }

    async fn change_disk(
        &self,
        _disk: &str,
        _change: Change,
        _options: ChangeOptions,
    ) -> Result<ChangePlan, AdminError> {
        Err(self.0.refused())
    }

    async fn change_node(
        &self,
        _node: &str,
        _change: Change,
        _options: ChangeOptions,
    ) -> Result<ChangePlan, AdminError> {
        Err(self.0.refused())
    }

    async fn rebalance(&self, _wish: RebalanceWish, _options: ChangeOptions) -> Result<ChangePlan, AdminError> {
        Err(self.0.refused())
    }

    async fn moves(&self) -> Result<MovesStatus, AdminError> {
        Err(self.0.refused())
    }

    async fn add_gateway(&self, _gateway: AddGateway) -> Result<NewGateway, AdminError> {
        Err(self.0.refused())
    }

    async fn gateways(&self) -> Result<Vec<KnownGateway>, AdminError> {
        Err(self.0.refused())
    }

    async fn remove_gateway(&self, _id: &str) -> Result<(), AdminError> {
        Err(self.0.refused())
    }

    async fn change_identities(&self, _wish: IdentityWish) -> Result<MadeIdentity, AdminError> {
        Err(self.0.refused())
    }

    async fn identities(&self, _what: Listed, _of: ListedOf) -> Result<Vec<ListedIdentity>, AdminError> {
        Err(self.0.refused())
    }

    async fn rebuild_index(&self, options: RebuildOptions) -> Result<(), AdminError> {
        let progress = RebuildProgress::default();
        {
            let mut state = self.0.state.lock();
            if matches!(*state, State::Running(_)) {
                return Err(AdminError::Refused("a rebuild is under way".to_owned()));
            }
            *state = State::Running(progress.clone());
        }
        let desk = self.0.clone();
        tokio::spawn(async move { desk.run(options, progress).await });
        Ok(())
    }

    fn index_rebuild(&self) -> RebuildStatus {
        let status = |state: &str| RebuildStatus { state: state.to_owned(), ..RebuildStatus::default() };
        match &*self.0.state.lock() {
            State::Idle => status("none"),
            State::Running(progress) => {
                let now = progress.now();
                RebuildStatus {
                    phase: now.phase.to_owned(),
                    done: now.done,
                    all: now.all,
                    read_bytes: now.read_bytes,
                    ..status("running")
                }
            }
            State::Failed(reason) => RebuildStatus { failure: Some(reason.clone()), ..status("failed") },
            State::Told(report) => RebuildStatus { report: Some((**report).clone()), ..status("done") },
        }
    }
}
