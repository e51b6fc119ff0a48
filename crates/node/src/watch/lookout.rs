//! The watch of this node over time: it says how this node is to whoever leads the system range, and while this node
//! leads, it hears the others and does what is to be done about them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use consensus::ReplicatedIndex;
use index::{Command, CommandBody, IndexError, Query, QueryAnswer, SYSTEM_RANGE};
use objects::data::DataPath;
use parking_lot::Mutex;
use platform::Clock;
use rpc::client::{Directory, Peer, RpcClient, ServiceCalls, Stale};
use telemetry::with_causes;
use tokio::sync::watch;
use types::{ClusterId, DiskId, DiskState, NodeId, RequestNumber};

use super::machine::{Action, Event, NodeWatch, Standing, WatchSettings};
use super::messages::{ClusterReport, Glance, Heartbeat, NodeState};
use crate::cluster::{ClusterDirectory, ELECTION_PATIENCE};
use crate::forming::{JoinReply, JoinRequest};
use crate::layout::{LayoutError, LayoutKeeper};

/// How long an answer to a heartbeat is waited for, at least.
const ANSWER_PATIENCE_MIN: Duration = Duration::from_millis(500);
/// How long one node that may lead is waited for to say all that it knows.
const REPORT_PATIENCE: Duration = Duration::from_secs(2);

/// Says how this node is.
#[async_trait]
pub(crate) trait Reporter: Send + Sync {
    /// How it is now.
    async fn report(&self) -> Heartbeat;
}

/// What a lookout works with.
pub(crate) struct LookoutParts {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) settings: WatchSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) client: RpcClient,
    pub(crate) directory: Arc<ClusterDirectory>,
    pub(crate) index: Arc<ReplicatedIndex>,
    pub(crate) layout: Arc<LayoutKeeper>,
    pub(crate) data: DataPath,
    pub(crate) reporter: Arc<dyn Reporter>,
}

/// The watch of this node.
pub(crate) struct Lookout {
    parts: LookoutParts,
    watch: Mutex<NodeWatch>,
    /// What was said last of all nodes, by whoever led then.
    glance: Mutex<Option<(Duration, Arc<Glance>)>>,
    /// What is to be done is being done: the index may keep it waiting.
    is_acting: AtomicBool,
}

impl Lookout {
    /// Watches nothing before it runs.
    pub(crate) fn new(parts: LookoutParts) -> Arc<Self> {
        let watch = Mutex::new(NodeWatch::new(parts.node, parts.settings));
        Arc::new(Self { parts, watch, glance: Mutex::default(), is_acting: AtomicBool::new(false) })
    }

    /// What was said of all nodes a moment ago; `None` where nobody says anything now.
    pub(crate) fn glance(&self) -> Option<Arc<Glance>> {
        let now = self.parts.clock.monotonic();
        let glance = self.glance.lock().clone();
        glance
            .filter(|(when, _)| now.saturating_sub(*when) < self.parts.settings.suspect_after())
            .map(|(_, glance)| glance)
    }

    /// Says how this node is, and watches the others while it leads, until `stopped` changes.
    pub(crate) async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(self.parts.settings.period());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stopped.changed() => return,
            }
            tokio::select! {
                () = self.turn() => {}
                _ = stopped.changed() => return,
            }
        }
    }

    async fn turn(self: &Arc<Self>) {
        let heartbeat = self.parts.reporter.report().await;
        let leads = self.parts.index.leads(SYSTEM_RANGE);
        let now = self.parts.clock.monotonic();
        self.watch.lock().step(now, Event::Turn { leads });
        if leads {
            self.watch.lock().step(now, Event::Heard(Box::new(heartbeat)));
            if !self.is_acting.swap(true, Ordering::AcqRel) {
                let lookout = self.clone();
                tokio::spawn(async move {
                    lookout.look().await;
                    lookout.is_acting.store(false, Ordering::Release);
                });
            }
        } else {
            self.tell(heartbeat).await;
        }
    }

    /// Tells the leader how this node is; whoever is told otherwise says who leads.
    async fn tell(&self, heartbeat: Heartbeat) {
        let request = JoinRequest::Heartbeat(Box::new(heartbeat));
        // A leader that is not there must not keep this node from telling the next one.
        let patience = self.parts.settings.period().max(ANSWER_PATIENCE_MIN);
        match self.ask_leader(&request, patience).await {
            Ok(JoinReply::Seen(glance)) => self.publish(*glance),
            // One that has just begun to lead, and has not read the layout yet.
            Ok(JoinReply::Refused(reason)) => tracing::debug!(reason, "the leader says nothing of the nodes"),
            Ok(_) => tracing::debug!("a heartbeat was misunderstood"),
            Err(reason) => tracing::debug!(reason, "nobody was told how this node is"),
        }
    }

    /// Asks whoever leads the system range, as far as is known.
    async fn ask_leader(&self, request: &JoinRequest, patience: Duration) -> Result<JoinReply, String> {
        let LookoutParts { client, directory, index, .. } = &self.parts;
        if let Some(leader) = index.leaders().borrow().get(&SYSTEM_RANGE).copied().flatten() {
            directory.set_leader(SYSTEM_RANGE, leader);
        }
        let Some(peer) = directory.leader(SYSTEM_RANGE) else { return Err("no other node is known".to_owned()) };
        let Peer { node, address } = &peer;
        let elsewhere = |hint| directory.refresh(Stale::Leader { range: SYSTEM_RANGE, not_at: *node, hint });
        match client.tell(&peer, &request.encode(), patience).await {
            Ok(bytes) => match JoinReply::decode(&bytes) {
                Some(JoinReply::NotWatching { leader }) => {
                    elsewhere(leader).await;
                    Err(format!("{address} does not lead"))
                }
                Some(reply) => Ok(reply),
                None => Err(format!("{address} is of another release")),
            },
            Err(error) => {
                elsewhere(None).await;
                Err(format!("{address}: {error}"))
            }
        }
    }

    /// What became of this node's calls to others.
    pub(crate) fn calls(&self) -> Vec<ServiceCalls> {
        self.parts.client.calls()
    }

    /// A node said how it is: what it is answered.
    pub(crate) fn hear(&self, heartbeat: Box<Heartbeat>) -> JoinReply {
        if heartbeat.cluster != self.parts.cluster {
            return JoinReply::Refused(format!("this is cluster {}", self.parts.cluster));
        }
        let now = self.parts.clock.monotonic();
        let mut watch = self.watch.lock();
        if !watch.is_watching() {
            return self.not_watching();
        }
        watch.step(now, Event::Heard(heartbeat));
        match watch.glance(now) {
            Some(glance) => JoinReply::Seen(Box::new(glance)),
            None => JoinReply::Refused("it has just begun to lead".to_owned()),
        }
    }

    /// All that this node knows while it leads.
    pub(crate) fn show(&self) -> JoinReply {
        match self.watch.lock().report(self.parts.clock.monotonic()) {
            Some(report) => JoinReply::Nodes(Box::new(report)),
            None => self.not_watching(),
        }
    }

    fn not_watching(&self) -> JoinReply {
        JoinReply::NotWatching { leader: self.parts.index.leaders().borrow().get(&SYSTEM_RANGE).copied().flatten() }
    }

    /// All that the leader knows of the nodes, wherever it is.
    ///
    /// # Errors
    /// Why nobody said, in words.
    pub(crate) async fn report(&self) -> Result<ClusterReport, String> {
        if let JoinReply::Nodes(report) = self.show() {
            return Ok(*report);
        }
        let mut reason = String::new();
        let patience = async {
            loop {
                match self.ask_leader(&JoinRequest::ShowNodes, REPORT_PATIENCE).await {
                    Ok(JoinReply::Nodes(report)) => return *report,
                    Ok(_) => "the leader has not heard the nodes yet".clone_into(&mut reason),
                    Err(why) => reason = why,
                }
                tokio::time::sleep(self.parts.settings.period() / 4).await;
            }
        };
        // Whoever asks during an election is answered after it.
        tokio::time::timeout(ELECTION_PATIENCE, patience).await.map_err(|_elapsed| reason)
    }

    /// Reads what the system range holds, and does what is to be done.
    async fn look(&self) {
        let standing = match self.read().await {
            Ok(standing) => standing,
            Err(error) => {
                tracing::debug!(error = %with_causes(&error), "the nodes are not looked after: the index does not answer");
                return;
            }
        };
        let now = self.parts.clock.monotonic();
        let (actions, glance) = {
            let mut watch = self.watch.lock();
            (watch.step(now, Event::Read(&standing)), watch.glance(now))
        };
        if let Some(glance) = glance {
            self.publish(glance);
        }
        for action in actions {
            // Another leads by now: it has its own eyes.
            if !self.parts.index.leads(SYSTEM_RANGE) {
                return;
            }
            if let Err(error) = self.act(&action).await {
                tracing::warn!(?action, error = %with_causes(&error), "what is known of a node could not be noted");
            }
        }
    }

    async fn read(&self) -> Result<Standing, LayoutError> {
        let LookoutParts { layout, .. } = &self.parts;
        layout.refresh().await?;
        let away = match layout.index().query(Query::AwayDisks).await? {
            QueryAnswer::AwayDisks(away) => away,
            _ => return Err(misunderstood().into()),
        };
        Ok(Standing { layout: layout.current(), away, feature_level: layout.feature_level(), wanted: layout.wanted() })
    }

    async fn act(&self, action: &Action) -> Result<(), LayoutError> {
        let LookoutParts { layout, data, .. } = &self.parts;
        match action {
            Action::TakeDown(node, disks) => {
                tracing::warn!(%node, disks = disks.len(), "a node is silent: its disks are down");
                // First, so that no crash in between makes them pass for failed.
                self.note_away(disks.clone(), Vec::new()).await?;
                layout.set_disk_states(disks, DiskState::Down).await
            }
            Action::TakeUp(node, disks) => {
                tracing::info!(%node, disks = disks.len(), "a node is back: its disks are up");
                layout.set_disk_states(disks, DiskState::Up).await?;
                disks.iter().for_each(|disk| data.disks().clear(*disk));
                self.note_away(Vec::new(), disks.clone()).await
            }
            Action::Forget(disks) => self.note_away(Vec::new(), disks.clone()).await,
            Action::GiveUp(disks) => {
                for disk in disks {
                    tracing::error!(%disk, "a disk was down for too long and is given up");
                }
                layout.set_disk_states(disks, DiskState::Out).await
            }
            Action::RaiseFeatureLevel(level) => {
                tracing::info!(%level, "all nodes know the next feature level: older releases cannot join any more");
                self.propose(CommandBody::RaiseFeatureLevel(*level)).await
            }
        }
    }

    async fn note_away(&self, away: Vec<DiskId>, back: Vec<DiskId>) -> Result<(), LayoutError> {
        self.propose(CommandBody::NoteAway { away, back }).await
    }

    async fn propose(&self, body: CommandBody) -> Result<(), LayoutError> {
        let command = Command { request: None, answered: RequestNumber(0), body };
        self.parts.layout.index().propose(command).await?;
        Ok(())
    }

    /// Hands on what was said of all nodes: writers go by it.
    fn publish(&self, glance: Glance) {
        let conditions = self.parts.data.disks();
        let layout = self.parts.layout.current();
        for seen in &glance.nodes {
            seen.free_bytes.iter().for_each(|(disk, free)| conditions.set_free_bytes(*disk, *free));
            if seen.state == NodeState::Suspect {
                // Until it would be down, if it is.
                let avoid = self.parts.settings.period() * 2;
                let own = layout.disks.iter().filter(|disk| disk.node == seen.node);
                own.for_each(|disk| conditions.note_failed(disk.id, avoid));
            }
        }
        *self.glance.lock() = Some((self.parts.clock.monotonic(), Arc::new(glance)));
    }
}

fn misunderstood() -> IndexError {
    IndexError::Unavailable { reason: "a question for disks that are away was misunderstood".to_owned() }
}
