//! Keeps the layout: what the system range holds, handed to whoever writes and reads, and changed as disks come and go.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::query::ClusterView;
use index::{Answer, Command, CommandBody, IndexError, IndexService, NewerLevel, Query, QueryAnswer, Refusal};
use objects::data::{GroupPlanner, PlannerError};
use shards::LocalShards;
use telemetry::with_causes;
use tokio::sync::{Mutex, watch};
use types::{Disk, DiskId, DiskState, FeatureLevel, Layout, Profile, RequestNumber};

use crate::slots::SlotTeller;

/// How often others' changes are looked for.
const REFRESH_PERIOD: Duration = Duration::from_secs(1);
/// How often a change is planned anew because another one came first.
const RACES_MAX: usize = 16;

/// Why the layout was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The index gave no answer.
    #[error("the index gave no answer")]
    Index(#[from] IndexError),
    /// The cluster's first rows are missing.
    #[error("the cluster is not formed")]
    NotFormed,
    /// This build is too old for the cluster.
    #[error(transparent)]
    NewerLevel(#[from] NewerLevel),
    /// Others changed the layout again and again.
    #[error("the layout was changed by others {RACES_MAX} times in a row")]
    Raced,
}

/// The layout as it is now, and the way to change it.
pub struct LayoutKeeper {
    index: Arc<dyn IndexService>,
    /// What objects get that name no storage class.
    wanted: watch::Sender<Profile>,
    /// Profiles of storage classes.
    of_classes: Vec<Profile>,
    feature_level: watch::Sender<FeatureLevel>,
    /// A gateway has no disks.
    slots: Option<SlotTeller>,
    current: watch::Sender<Arc<Layout>>,
    /// One change at a time from here; the index decides between processes.
    changing: Mutex<()>,
}

impl LayoutKeeper {
    /// Reads the layout from the system range, and tells the disks which slots are their own. Where no wanted profile is
    /// noted there, it is `wanted`; `of_classes` should have groups too.
    ///
    /// # Errors
    /// [`LayoutError::Index`], [`LayoutError::NotFormed`], [`LayoutError::NewerLevel`].
    pub async fn open(
        index: Arc<dyn IndexService>,
        shards: Option<Arc<LocalShards>>,
        wanted: Profile,
        of_classes: Vec<Profile>,
    ) -> Result<Self, LayoutError> {
        let view = read(&*index).await?;
        NewerLevel::check(view.feature_level)?;
        let wanted = read_wanted(&*index).await?.unwrap_or(wanted);
        let keeper = Self {
            index,
            wanted: watch::Sender::new(wanted),
            of_classes,
            feature_level: watch::Sender::new(view.feature_level),
            slots: shards.map(SlotTeller::new),
            current: watch::Sender::new(Arc::new(view.layout)),
            changing: Mutex::new(()),
        };
        keeper.tell_slots().await;
        Ok(keeper)
    }

    /// The profile of objects that name no storage class.
    pub(crate) fn wanted(&self) -> Profile {
        *self.wanted.borrow()
    }

    /// The profiles that new objects may get.
    pub(crate) fn profiles(&self) -> Vec<Profile> {
        std::iter::once(self.wanted()).chain(self.of_classes.iter().copied()).collect()
    }

    /// The wanted profile, and every later one.
    pub(crate) fn watch_wanted(&self) -> watch::Receiver<Profile> {
        self.wanted.subscribe()
    }

    /// What all nodes are taken to read.
    pub(crate) fn feature_level(&self) -> FeatureLevel {
        *self.feature_level.borrow()
    }

    /// Waits until the cluster has risen above what this build knows, if ever.
    pub(crate) async fn outgrown(&self) -> NewerLevel {
        let mut level = self.feature_level.subscribe();
        let outgrown = level.wait_for(|level| NewerLevel::check(*level).is_err()).await;
        NewerLevel { found: *outgrown.expect("the sender lives as long as this") }
    }

    /// Notes which profile is wanted, and makes the groups that are then missing; with `unless_set`, where none was.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub(crate) async fn set_wanted(&self, profile: Profile, unless_set: bool) -> Result<(), LayoutError> {
        let body = CommandBody::SetWantedProfile { profile, unless_set };
        self.index.propose(Command { request: None, answered: RequestNumber(0), body }).await?;
        self.refresh().await?;
        self.make_missing_groups(&[]).await
    }

    /// The index that has it: the whole cluster's.
    pub(crate) fn index(&self) -> &Arc<dyn IndexService> {
        &self.index
    }

    /// The layout as it is now, and every later one.
    pub fn watch(&self) -> watch::Receiver<Arc<Layout>> {
        self.current.subscribe()
    }

    /// The layout as it is now.
    pub fn current(&self) -> Arc<Layout> {
        self.current.borrow().clone()
    }

    /// Notes that a disk is up or down, and makes the groups that are then missing.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub(crate) async fn set_disk_state(&self, disk: DiskId, state: DiskState) -> Result<(), LayoutError> {
        self.set_disk_states(&[disk], state).await
    }

    /// Notes in one change that disks are up, down or out, and makes the groups that are then missing.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub async fn set_disk_states(&self, disks: &[DiskId], state: DiskState) -> Result<(), LayoutError> {
        self.change(|layout| placement::with_disk_states(layout, disks, state)).await?;
        self.make_missing_groups(&[]).await
    }

    /// Puts a blank disk in the place of a known one.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub(crate) async fn replace_disk(&self, old: DiskId, replacement: Disk) -> Result<(), LayoutError> {
        self.change(|layout| placement::replace_disk(layout, old, replacement.clone())).await?;
        self.make_missing_groups(&[]).await
    }

    /// Adds a disk.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub async fn add_disk(&self, disk: Disk) -> Result<(), LayoutError> {
        self.change(|layout| {
            let known = layout.disk(disk.id).is_some();
            (!known).then(|| Layout {
                epoch: layout.epoch.next(),
                disks: layout.disks.iter().cloned().chain([disk.clone()]).collect(),
                ..layout.clone()
            })
        })
        .await?;
        self.make_missing_groups(&[]).await
    }

    /// Adds a node, or notes its address and labels where they have changed.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub(crate) async fn settle_node(&self, node: types::Node) -> Result<(), LayoutError> {
        self.change(|layout| {
            if layout.nodes.contains(&node) {
                return None;
            }
            let others = layout.nodes.iter().filter(|known| known.id != node.id).cloned();
            let nodes = others.chain([node.clone()]).collect();
            Some(Layout { epoch: layout.epoch.next(), nodes, ..layout.clone() })
        })
        .await
    }

    /// Notes where a disk is and how large: labels that change when it is moved or grown.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub(crate) async fn relabel_disk(&self, disk: DiskId, path: &str, capacity_bytes: u64) -> Result<(), LayoutError> {
        self.change(|layout| {
            let at = layout.disks.iter().position(|known| known.id == disk)?;
            let known = &layout.disks[at];
            if known.path == path && known.capacity_bytes == capacity_bytes {
                return None;
            }
            let mut changed = Layout { epoch: layout.epoch.next(), ..layout.clone() };
            path.clone_into(&mut changed.disks[at].path);
            changed.disks[at].capacity_bytes = capacity_bytes;
            Some(changed)
        })
        .await
    }

    /// Makes groups for each profile that has none on disks that are up and not in `avoid`.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub async fn make_missing_groups(&self, avoid: &[DiskId]) -> Result<(), LayoutError> {
        self.change(|layout| {
            let missing = placement::missing_groups(layout, &self.profiles(), avoid);
            (!missing.is_empty()).then(|| placement::add_groups(layout, missing))
        })
        .await
    }

    /// Commits what `plan` makes of the layout, planned again while others come first; nothing where it makes nothing.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub async fn change(&self, plan: impl Fn(&Layout) -> Option<Layout>) -> Result<(), LayoutError> {
        match self.decide(|layout| Ok::<_, Infallible>((plan(layout), ()))).await? {
            Ok(()) => Ok(()),
        }
    }

    /// As [`Self::change`], where `plan` may refuse, and has something to say.
    ///
    /// # Errors
    /// [`LayoutError`]; within, the refusal.
    pub(crate) async fn decide<T, E>(
        &self,
        plan: impl Fn(&Layout) -> Result<(Option<Layout>, T), E>,
    ) -> Result<Result<T, E>, LayoutError> {
        let _one_at_a_time = self.changing.lock().await;
        for _ in 0..RACES_MAX {
            let current = self.current();
            let (layout, said) = match plan(&current) {
                Ok((Some(layout), said)) => (layout, said),
                Ok((None, said)) => return Ok(Ok(said)),
                Err(refusal) => return Ok(Err(refusal)),
            };
            let body = CommandBody::ChangeLayout { expected: current.epoch, layout: layout.clone() };
            let command = Command { request: None, answered: RequestNumber(0), body };
            match self.index.propose(command).await? {
                Answer::Refused(Refusal::StaleLayout) => self.publish(read(&*self.index).await?.layout).await,
                _ => {
                    self.publish(layout).await;
                    return Ok(Ok(said));
                }
            }
        }
        Err(LayoutError::Raced)
    }

    /// Looks whether others have changed the layout.
    ///
    /// # Errors
    /// [`LayoutError::Index`], [`LayoutError::NotFormed`].
    pub async fn refresh(&self) -> Result<(), LayoutError> {
        let view = read(&*self.index).await?;
        self.feature_level.send_if_modified(|known| std::mem::replace(known, view.feature_level) != view.feature_level);
        NewerLevel::check(view.feature_level)?;
        if let Some(slots) = &self.slots {
            slots.note_level(view.feature_level).await;
        }
        if view.layout.epoch > self.current().epoch {
            self.publish(view.layout).await;
        }
        if let Some(wanted) = read_wanted(&*self.index).await? {
            self.wanted.send_if_modified(|known| std::mem::replace(known, wanted) != wanted);
        }
        Ok(())
    }

    /// Looks every second until `stopped` changes.
    pub async fn follow(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(REFRESH_PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stopped.changed() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.refresh().await {
                tracing::debug!(%error, "the layout could not be read");
            }
        }
    }

    /// Hands a committed layout to whoever writes and reads; the disks own their slots before a writer names them.
    async fn publish(&self, layout: Layout) {
        if let Some(slots) = &self.slots {
            slots.tell(&layout).await;
        }
        self.current.send_if_modified(|current| {
            // One that was read earlier may come later.
            let is_newer = layout.epoch > current.epoch;
            if is_newer {
                *current = Arc::new(layout);
            }
            is_newer
        });
    }

    /// Tells disks that were opened since their slots, and the feature level.
    pub async fn tell_slots(&self) {
        if let Some(slots) = &self.slots {
            slots.note_level(self.feature_level()).await;
            slots.tell(&self.current()).await;
        }
    }

    /// Who tells disks their slots; a gateway has none.
    pub(crate) fn slots(&self) -> Option<&SlotTeller> {
        self.slots.as_ref()
    }
}

async fn read(index: &dyn IndexService) -> Result<ClusterView, LayoutError> {
    match index.query(Query::Cluster).await? {
        QueryAnswer::Cluster(Some(view)) => Ok(*view),
        _ => Err(LayoutError::NotFormed),
    }
}

async fn read_wanted(index: &dyn IndexService) -> Result<Option<Profile>, LayoutError> {
    match index.query(Query::WantedProfile).await? {
        QueryAnswer::WantedProfile(wanted) => Ok(wanted),
        _ => Err(LayoutError::NotFormed),
    }
}

/// How long a writer's wish for groups may take before it is told that there are none.
const PLANNING_PATIENCE: Duration = Duration::from_secs(10);

#[async_trait]
impl GroupPlanner for LayoutKeeper {
    async fn make_groups(&self, profile: Profile, avoid: &[DiskId]) -> Result<(), PlannerError> {
        let wanted = [profile];
        let planned = self.change(|layout| {
            let missing = placement::missing_groups(layout, &wanted, avoid);
            (!missing.is_empty()).then(|| placement::add_groups(layout, missing))
        });
        let outcome = tokio::time::timeout(PLANNING_PATIENCE, planned).await;
        let reason = match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the index did not answer in time".to_owned(),
        };
        Err(PlannerError { reason })
    }

    async fn refresh(&self) -> Result<(), PlannerError> {
        Self::refresh(self).await.map_err(|error| PlannerError { reason: with_causes(&error) })
    }
}
