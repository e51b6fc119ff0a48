//! Decides how nodes are, and what is to be done about it: a pure state machine, that is told what happens and when.
//!
//! What it keeps to:
//! - Nobody is down before this leader has listened for [`WatchSettings::listening`], and nobody is given up: what was
//!   said before, another leader heard.
//! - A leader that was itself stopped for a while begins to listen anew: it was deaf, the others not silent.
//! - Nothing is given up while disks of more than one failure domain are down: then the network is the likelier culprit.
//! - A disk that its own node took down stays down: only those that were taken down for their node's silence are noted
//!   as away, and taken up again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use types::{DiskId, DiskState, FeatureLevel, Layout, NodeId, Profile};

use super::messages::{
    ClusterReport, DiskReport, Glance, GlanceNode, Heartbeat, NodeReport, NodeState, ReportedHealth,
};
use crate::levels::held_back_by;

/// The longest that a node is up after it was heard last.
const SUSPECT_AFTER_MAX: Duration = Duration::from_secs(3);
/// How often nodes say how they are, at least.
const PERIOD_MAX: Duration = Duration::from_secs(1);

/// After how much silence what is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WatchSettings {
    /// A node is down: its disks are neither read nor written.
    pub(crate) down_after: Duration,
    /// It is given up: its disks' slots go to others.
    pub(crate) out_after: Duration,
}

impl WatchSettings {
    /// How often nodes say how they are.
    pub(crate) fn period(&self) -> Duration {
        (self.down_after / 10).min(PERIOD_MAX)
    }

    /// After how much silence a node is kept away from.
    pub(crate) fn suspect_after(&self) -> Duration {
        (self.down_after * 3 / 10).min(SUSPECT_AFTER_MAX)
    }

    /// How long a new leader listens before it takes anything down.
    pub(crate) fn listening(&self) -> Duration {
        self.down_after * 3
    }

    /// After how long without a turn a leader was deaf.
    fn deaf_after(&self) -> Duration {
        self.down_after / 2
    }
}

/// What happens.
pub(crate) enum Event<'a> {
    /// Another [`WatchSettings::period`] is over, while this node leads or while another does.
    Turn {
        /// Whether it leads.
        leads: bool,
    },
    /// A node has said how it is.
    Heard(Box<Heartbeat>),
    /// What the system range holds was read.
    Read(&'a Standing),
}

/// What the system range holds.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// Nodes and disks.
    pub(crate) layout: std::sync::Arc<Layout>,
    /// Disks that are down for their node's silence.
    pub(crate) away: Vec<DiskId>,
    /// The cluster's level.
    pub(crate) feature_level: FeatureLevel,
    /// The profile of objects that name no storage class: at which level domains are counted.
    pub(crate) wanted: Profile,
}

/// What is to be done. Each may be done again, and is asked for again until it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Note the disks of a silent node as away, then set them down.
    TakeDown(NodeId, Vec<DiskId>),
    /// Set disks up that were away, then strike them from what is noted: their node is back, and they are well.
    TakeUp(NodeId, Vec<DiskId>),
    /// Strike disks from what is noted as away, and leave them as they are.
    Forget(Vec<DiskId>),
    /// Set disks out.
    GiveUp(Vec<DiskId>),
    /// Every node knows this level, which is one above the cluster's.
    RaiseFeatureLevel(FeatureLevel),
}

/// What this node knows of all others while it leads.
#[derive(Debug)]
pub(crate) struct NodeWatch {
    settings: WatchSettings,
    own: NodeId,
    /// Since when it listens, while it leads.
    begun: Option<Duration>,
    last_turn: Duration,
    heard: BTreeMap<NodeId, (Duration, Box<Heartbeat>)>,
    /// Since when each disk is seen to be down.
    down_since: BTreeMap<DiskId, Duration>,
    standing: Option<Standing>,
}

impl NodeWatch {
    /// Leads nothing yet.
    pub(crate) fn new(own: NodeId, settings: WatchSettings) -> Self {
        Self {
            settings,
            own,
            begun: None,
            last_turn: Duration::ZERO,
            heard: BTreeMap::new(),
            down_since: BTreeMap::new(),
            standing: None,
        }
    }

    /// Takes note of what happens at `now`, on a clock that never goes back; returns what is to be done about it.
    pub(crate) fn step(&mut self, now: Duration, event: Event<'_>) -> Vec<Action> {
        match event {
            Event::Turn { leads } => {
                let was_deaf = now.saturating_sub(self.last_turn) > self.settings.deaf_after();
                if !leads {
                    self.begun = None;
                } else if self.begun.is_none() || was_deaf {
                    self.begun = Some(now);
                    self.heard.clear();
                    self.down_since.clear();
                    self.standing = None;
                }
                self.last_turn = now;
                Vec::new()
            }
            Event::Heard(heartbeat) => {
                if self.begun.is_some() {
                    self.heard.insert(heartbeat.node.id, (now, heartbeat));
                }
                Vec::new()
            }
            Event::Read(standing) => {
                let Some(begun) = self.begun else { return Vec::new() };
                self.note_down(now, standing);
                self.forget_removed(now, standing);
                self.standing = Some(standing.clone());
                self.decide(now, begun, standing)
            }
        }
    }

    /// Whether it leads, and so is the one to be told.
    pub(crate) fn is_watching(&self) -> bool {
        self.begun.is_some()
    }

    /// How all nodes are, in short; `None` while it doesn't watch, or has not read the layout.
    pub(crate) fn glance(&self, now: Duration) -> Option<Glance> {
        let standing = self.standing.as_ref()?;
        let nodes = standing.layout.nodes.iter().map(|node| {
            let last = self.heard.get(&node.id).map(|(_, last)| last);
            let working = last.iter().flat_map(|last| &last.disks).filter(|disk| is_well(disk));
            GlanceNode {
                node: node.id,
                state: self.state(now, node.id),
                voter: last.map(|last| last.voter),
                free_bytes: working.map(|disk| (disk.disk, disk.free_bytes)).collect(),
            }
        });
        Some(Glance { leader: self.own, nodes: nodes.collect() })
    }

    /// All that is known; `None` while it doesn't watch, or has not read the layout.
    pub(crate) fn report(&self, now: Duration) -> Option<ClusterReport> {
        let standing = self.standing.as_ref()?;
        let known: BTreeSet<NodeId> =
            standing.layout.nodes.iter().map(|node| node.id).chain(self.heard.keys().copied()).collect();
        let nodes = known.into_iter().map(|node| {
            let heard = self.heard.get(&node);
            let silent = heard.map(|(when, _)| now.saturating_sub(*when));
            NodeReport {
                node,
                state: self.state(now, node),
                silent_ms: silent.map(|silent| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX)),
                last: heard.map(|(_, last)| last.clone()),
            }
        });
        Some(ClusterReport { leader: self.own, nodes: nodes.collect() })
    }

    /// How a node is.
    fn state(&self, now: Duration, node: NodeId) -> NodeState {
        let (Some(begun), Some(standing)) = (self.begun, &self.standing) else { return NodeState::Up };
        let silent = self.silent(now, begun, node);
        let settings = &self.settings;
        if silent < settings.suspect_after() {
            return NodeState::Up;
        }
        let own = |disk: &&types::Disk| disk.node == node;
        let mut disks = standing.layout.disks.iter().filter(own).peekable();
        let has_disks = disks.peek().is_some();
        let all = |state| standing.layout.disks.iter().filter(own).all(|disk| disk.state == state);
        if has_disks && all(DiskState::Out) {
            return NodeState::Out;
        }
        // Another leader has found so, and it was not heard since.
        let was_down =
            has_disks && disks.any(|disk| standing.away.contains(&disk.id)) && !self.heard.contains_key(&node);
        let has_listened = self.has_listened(now, begun);
        if silent >= settings.out_after && has_listened && self.may_give_up(now, standing) {
            return NodeState::Out;
        }
        if (silent >= settings.down_after && has_listened) || was_down {
            return NodeState::Down;
        }
        NodeState::Suspect
    }

    fn silent(&self, now: Duration, begun: Duration, node: NodeId) -> Duration {
        let last = self.heard.get(&node).map_or(begun, |(when, _)| *when);
        now.saturating_sub(last)
    }

    fn has_listened(&self, now: Duration, begun: Duration) -> bool {
        now.saturating_sub(begun) >= self.settings.listening()
    }

    /// Whether what is down stands in one failure domain: disks that are down, and nodes that are silent.
    fn may_give_up(&self, now: Duration, standing: &Standing) -> bool {
        let Some(begun) = self.begun else { return false };
        let layout = &*standing.layout;
        let given_up = |node: NodeId| {
            let mut disks = layout.disks.iter().filter(|disk| disk.node == node).peekable();
            disks.peek().is_some() && disks.all(|disk| disk.state == DiskState::Out)
        };
        let silent = layout
            .nodes
            .iter()
            .map(|node| node.id)
            .filter(|node| self.silent(now, begun, *node) >= self.settings.down_after && !given_up(*node));
        let down = layout.disks.iter().filter(|disk| disk.state == DiskState::Down).map(|disk| disk.node);
        let nodes: BTreeSet<NodeId> = silent.chain(down).collect();
        placement::domains_of_nodes(layout, standing.wanted, &nodes) <= 1
    }

    fn note_down(&mut self, now: Duration, standing: &Standing) {
        let down = standing.layout.disks.iter().filter(|disk| disk.state == DiskState::Down);
        let down: BTreeSet<DiskId> = down.map(|disk| disk.id).collect();
        self.down_since.retain(|disk, _| down.contains(disk));
        for disk in down {
            self.down_since.entry(disk).or_insert(now);
        }
    }

    /// A node that was taken out of the cluster is told of until it has ended.
    fn forget_removed(&mut self, now: Duration, standing: &Standing) {
        let is_known = |id: &NodeId| standing.layout.nodes.iter().any(|node| node.id == *id);
        let silent = self.settings.down_after;
        self.heard.retain(|node, (when, _)| is_known(node) || now.saturating_sub(*when) < silent);
    }

    fn decide(&self, now: Duration, begun: Duration, standing: &Standing) -> Vec<Action> {
        let mut actions = Vec::new();
        for node in &standing.layout.nodes {
            let disks: Vec<&types::Disk> = standing.layout.disks.iter().filter(|disk| disk.node == node.id).collect();
            match self.state(now, node.id) {
                NodeState::Up => self.welcome(node.id, &disks, standing, &mut actions),
                NodeState::Suspect => {}
                NodeState::Down | NodeState::Out => {
                    // One that is drained stays so: taken up again, it would be filled anew.
                    let up = disks.iter().filter(|disk| disk.state == DiskState::Up);
                    let up: Vec<DiskId> = up.map(|disk| disk.id).collect();
                    if !up.is_empty() && self.has_listened(now, begun) {
                        actions.push(Action::TakeDown(node.id, up));
                    }
                }
            }
        }
        actions.extend(self.forget_unknown(standing));
        actions.extend(self.give_up(now, begun, standing));
        actions.extend(self.raise(now, standing));
        actions
    }

    /// Of a node that was heard: what was away is taken up where its node says that it is well. One that was given up
    /// meanwhile waits until its slots that have heirs are theirs: then it is as good as a new one.
    fn welcome(&self, node: NodeId, disks: &[&types::Disk], standing: &Standing, actions: &mut Vec<Action>) {
        // Up for the leader's youth alone says nothing of its disks.
        let Some((_, last)) = self.heard.get(&node) else { return };
        let says_well = |id: DiskId| last.disks.iter().any(|report| report.disk == id && is_well(report));
        let (mut up, mut forgotten) = (Vec::new(), Vec::new());
        let moves = |id: DiskId| standing.layout.slots().any(|(_, _, slot)| slot.disk == id && slot.heir.is_some());
        for disk in disks.iter().filter(|disk| standing.away.contains(&disk.id)) {
            match disk.state {
                DiskState::Down if says_well(disk.id) => up.push(disk.id),
                DiskState::Out if says_well(disk.id) && !moves(disk.id) => up.push(disk.id),
                DiskState::Out => {}
                // Its node has its own reasons by now, or it was set up and the note outlived that.
                _ => forgotten.push(disk.id),
            }
        }
        if !up.is_empty() {
            actions.push(Action::TakeUp(node, up));
        }
        if !forgotten.is_empty() {
            actions.push(Action::Forget(forgotten));
        }
    }

    /// Of disks that are gone from the layout nothing is kept.
    fn forget_unknown(&self, standing: &Standing) -> Option<Action> {
        let stays = |disk: &DiskId| standing.layout.disk(*disk).is_some();
        let gone: Vec<DiskId> = standing.away.iter().copied().filter(|disk| !stays(disk)).collect();
        (!gone.is_empty()).then_some(Action::Forget(gone))
    }

    /// Disks that have been down, or whose node has been silent, for too long.
    fn give_up(&self, now: Duration, begun: Duration, standing: &Standing) -> Option<Action> {
        if !self.has_listened(now, begun) || !self.may_give_up(now, standing) {
            return None;
        }
        let is_over = |disk: &types::Disk| {
            let down = self.down_since.get(&disk.id).map(|since| now.saturating_sub(*since));
            let silent = self.silent(now, begun, disk.node);
            let is_lost = disk.state == DiskState::Draining && silent >= self.settings.out_after;
            is_lost || down.is_some_and(|down| down.max(silent) >= self.settings.out_after)
        };
        let over: Vec<DiskId> = standing.layout.disks.iter().filter(|disk| is_over(disk)).map(|disk| disk.id).collect();
        (!over.is_empty()).then_some(Action::GiveUp(over))
    }

    /// The next level, once all nodes know it by what they said a moment ago.
    fn raise(&self, now: Duration, standing: &Standing) -> Option<Action> {
        let next = FeatureLevel(standing.feature_level.0 + 1);
        let knows = |node| {
            let (_, last) = self.heard.get(&node).filter(|_| self.state(now, node) == NodeState::Up)?;
            Some(last.feature_level)
        };
        held_back_by(&standing.layout, next, knows).is_empty().then_some(Action::RaiseFeatureLevel(next))
    }
}

fn is_well(report: &DiskReport) -> bool {
    !matches!(report.health, ReportedHealth::Down { .. })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use types::{Disk, Heir, LayoutEpoch, Node, PlacementGroup, PlacementGroupId, Slot, SlotEpoch};

    use super::super::messages::samples::{disk_id, heartbeat, node_id};
    use super::*;

    const SETTINGS: WatchSettings =
        WatchSettings { down_after: Duration::from_secs(10), out_after: Duration::from_secs(600) };

    /// Nodes with two disks each, their leader, and a system range that does what it is told.
    struct World {
        watch: NodeWatch,
        now: Duration,
        standing: Standing,
        /// The newest levels that nodes know, where it is not the first.
        levels: BTreeMap<u8, u32>,
        /// Which nodes say how they are, and which of their disks are well by their word.
        alive: BTreeMap<u8, Vec<u8>>,
        done: Vec<Action>,
    }

    impl World {
        fn new(nodes: u8) -> Self {
            let row = |id| Node { id: node_id(id), address: format!("{id}:9002"), rack: None, zone: None };
            let disk = |node, number| Disk {
                id: disk_id(node, number),
                node: node_id(node),
                path: format!("/d{number}"),
                mount_point: false,
                capacity_bytes: 1 << 40,
                state: DiskState::Up,
            };
            let layout = Layout {
                epoch: LayoutEpoch(1),
                nodes: (1..=nodes).map(row).collect(),
                disks: (1..=nodes).flat_map(|node| [disk(node, 1), disk(node, 2)]).collect(),
                groups: Vec::new(),
            };
            let standing = Standing {
                layout: Arc::new(layout),
                away: Vec::new(),
                feature_level: FeatureLevel(1),
                wanted: "2+1".parse().expect("a profile"),
            };
            Self {
                watch: NodeWatch::new(node_id(1), SETTINGS),
                now: Duration::from_secs(1_000),
                standing,
                levels: BTreeMap::new(),
                alive: (1..=nodes).map(|node| (node, vec![1, 2])).collect(),
                done: Vec::new(),
            }
        }

        /// Leads for so long.
        fn pass(&mut self, seconds: u64) {
            for _ in 0..seconds {
                self.now += Duration::from_secs(1);
                self.turn();
            }
        }

        fn turn(&mut self) {
            let now = self.now;
            assert!(self.watch.step(now, Event::Turn { leads: true }).is_empty());
            for (node, disks) in &self.alive {
                let feature_level = FeatureLevel(self.levels.get(node).copied().unwrap_or(1));
                let heartbeat = Heartbeat { feature_level, ..heartbeat(*node, disks) };
                assert!(self.watch.step(now, Event::Heard(Box::new(heartbeat))).is_empty());
            }
            for action in self.watch.step(now, Event::Read(&self.standing)) {
                self.act(&action);
                self.done.push(action);
            }
        }

        fn act(&mut self, action: &Action) {
            match action {
                Action::TakeDown(_, disks) => {
                    self.standing.away.extend(disks);
                    self.set(disks, DiskState::Down);
                }
                Action::TakeUp(_, disks) => {
                    self.set(disks, DiskState::Up);
                    self.standing.away.retain(|disk| !disks.contains(disk));
                }
                Action::Forget(disks) => self.standing.away.retain(|disk| !disks.contains(disk)),
                Action::GiveUp(disks) => self.set(disks, DiskState::Out),
                Action::RaiseFeatureLevel(level) => self.standing.feature_level = *level,
            }
        }

        fn set(&mut self, disks: &[DiskId], state: DiskState) {
            let layout = Arc::make_mut(&mut self.standing.layout);
            layout.disks.iter_mut().filter(|disk| disks.contains(&disk.id)).for_each(|disk| disk.state = state);
        }

        fn state(&self, node: u8) -> NodeState {
            let glance = self.watch.glance(self.now).expect("it watches");
            glance.nodes.iter().find(|seen| seen.node == node_id(node)).expect("a known node").state
        }

        fn disks(&self, node: u8) -> [DiskState; 2] {
            [1, 2].map(|number| self.standing.layout.disk(disk_id(node, number)).expect("a known disk").state)
        }

        /// A slot of one disk has an heir.
        fn move_slot_off(&mut self, disk: DiskId, heir: DiskId) {
            let heir = Some(Heir { disk: heir, epoch: SlotEpoch(2) });
            let group = PlacementGroup {
                id: PlacementGroupId(1),
                profile: "1+0".parse().expect("a profile"),
                slots: vec![Slot { heir, ..Slot::owned(disk, SlotEpoch(1)) }],
            };
            Arc::make_mut(&mut self.standing.layout).groups = vec![group];
        }

        fn new_leader(&mut self) {
            self.watch.step(self.now, Event::Turn { leads: false });
        }
    }

    const UP: [DiskState; 2] = [DiskState::Up; 2];
    const DOWN: [DiskState; 2] = [DiskState::Down; 2];
    const OUT: [DiskState; 2] = [DiskState::Out; 2];

    #[test]
    fn a_silent_node_is_suspect_then_down_and_up_when_it_is_back() {
        let mut world = World::new(3);
        world.pass(60);
        assert_eq!((world.done.len(), world.state(2)), (0, NodeState::Up));
        world.alive.remove(&2);
        world.pass(2);
        assert_eq!(world.state(2), NodeState::Up);
        world.pass(2);
        assert_eq!((world.state(2), world.disks(2)), (NodeState::Suspect, UP));
        world.pass(6);
        assert_eq!((world.state(2), world.disks(2)), (NodeState::Down, DOWN));
        assert_eq!(world.standing.away, [disk_id(2, 1), disk_id(2, 2)]);
        world.alive.insert(2, vec![1, 2]);
        world.pass(1);
        assert_eq!((world.state(2), world.disks(2), world.standing.away.len()), (NodeState::Up, UP, 0));
        assert_eq!((world.disks(1), world.disks(3)), (UP, UP));
    }

    #[test]
    fn a_disk_that_its_own_node_took_down_stays_down() {
        let mut world = World::new(3);
        world.pass(60);
        // It fails while its node is up.
        world.set(&[disk_id(2, 1)], DiskState::Down);
        world.alive.insert(2, vec![2]);
        world.pass(5);
        world.alive.remove(&2);
        world.pass(20);
        assert_eq!((world.disks(2), &world.standing.away[..]), (DOWN, &[disk_id(2, 2)][..]));
        // Opened anew, it seems to be well.
        world.alive.insert(2, vec![1, 2]);
        world.pass(5);
        assert_eq!(world.disks(2), [DiskState::Down, DiskState::Up]);
    }

    #[test]
    fn a_disk_that_fails_while_its_node_is_away_stays_down() {
        let mut world = World::new(3);
        world.pass(60);
        world.alive.remove(&2);
        world.pass(20);
        world.alive.insert(2, vec![2]);
        world.pass(5);
        assert_eq!((world.disks(2), world.standing.away.len()), ([DiskState::Down, DiskState::Up], 0));
        world.alive.insert(2, vec![1, 2]);
        world.pass(5);
        assert_eq!(world.disks(2), [DiskState::Down, DiskState::Up]);
    }

    #[test]
    fn nobody_is_down_before_a_new_leader_has_listened() {
        let mut world = World::new(3);
        world.alive.remove(&3);
        world.pass(30);
        assert_eq!((world.state(3), world.disks(3)), (NodeState::Suspect, UP));
        world.pass(1);
        assert_eq!((world.state(3), world.disks(3)), (NodeState::Down, DOWN));
        // What the one before has found stands, and another is not blamed with it.
        world.new_leader();
        world.alive.remove(&2);
        world.pass(29);
        assert_eq!((world.state(2), world.disks(2)), (NodeState::Suspect, UP));
        assert_eq!((world.state(3), world.disks(3)), (NodeState::Down, DOWN));
    }

    #[test]
    fn a_leader_that_was_stopped_for_a_while_listens_anew() {
        let mut world = World::new(3);
        world.pass(60);
        world.alive.remove(&2);
        world.now += Duration::from_secs(20);
        world.pass(30);
        assert_eq!(world.disks(2), UP);
        world.pass(10);
        assert_eq!(world.disks(2), DOWN);
    }

    #[test]
    fn a_node_that_stays_away_is_given_up_and_welcomed_once_its_slots_have_moved() {
        let mut world = World::new(4);
        world.pass(60);
        world.alive.remove(&2);
        world.pass(599);
        assert_eq!((world.state(2), world.disks(2)), (NodeState::Down, DOWN));
        world.pass(2);
        assert_eq!((world.state(2), world.disks(2)), (NodeState::Out, OUT));
        world.pass(2);
        assert_eq!(world.standing.away.len(), 2);
        // A later leader sees it by the layout.
        world.new_leader();
        world.pass(5);
        assert_eq!(world.state(2), NodeState::Out);
        world.move_slot_off(disk_id(2, 1), disk_id(3, 1));
        world.alive.insert(2, vec![1, 2]);
        world.pass(5);
        assert_eq!((world.state(2), world.disks(2)), (NodeState::Up, [DiskState::Out, DiskState::Up]));
        Arc::make_mut(&mut world.standing.layout).groups.clear();
        world.pass(5);
        assert_eq!((world.disks(2), world.standing.away.len()), (UP, 0));
    }

    #[test]
    fn a_disk_that_an_operator_gave_up_stays_out() {
        let mut world = World::new(4);
        world.pass(60);
        world.set(&[disk_id(2, 1)], DiskState::Out);
        world.pass(60);
        assert_eq!(world.disks(2), [DiskState::Out, DiskState::Up]);
    }

    #[test]
    fn a_disk_that_stays_failed_is_given_up_too() {
        let mut world = World::new(4);
        world.pass(60);
        world.set(&[disk_id(2, 1)], DiskState::Down);
        world.alive.insert(2, vec![2]);
        world.pass(600);
        assert_eq!(world.disks(2), [DiskState::Down, DiskState::Up]);
        world.pass(2);
        assert_eq!(world.disks(2), [DiskState::Out, DiskState::Up]);
    }

    #[test]
    fn a_disk_that_is_being_drained_stays_so_until_its_node_is_given_up() {
        let mut world = World::new(4);
        world.pass(60);
        world.set(&[disk_id(2, 1)], DiskState::Draining);
        world.pass(700);
        assert_eq!(world.disks(2), [DiskState::Draining, DiskState::Up]);
        world.alive.remove(&2);
        world.pass(20);
        assert_eq!(world.disks(2), [DiskState::Draining, DiskState::Down]);
        world.pass(590);
        assert_eq!((world.state(2), world.disks(2)), (NodeState::Out, OUT));
    }

    #[test]
    fn nothing_is_given_up_while_two_domains_are_down() {
        let mut world = World::new(5);
        world.pass(60);
        world.alive.remove(&2);
        world.pass(300);
        world.alive.remove(&3);
        world.pass(3_000);
        assert_eq!((world.disks(2), world.disks(3)), (DOWN, DOWN));
        assert_eq!((world.state(2), world.state(3)), (NodeState::Down, NodeState::Down));
        // One is back: the other is given up.
        world.alive.insert(3, vec![1, 2]);
        world.pass(3);
        assert_eq!((world.disks(2), world.disks(3)), (OUT, UP));
    }

    #[test]
    fn nodes_of_one_rack_are_one_domain() {
        let mut world = World::new(6);
        let layout = Arc::make_mut(&mut world.standing.layout);
        for (at, node) in layout.nodes.iter_mut().enumerate() {
            node.rack = Some(format!("r{}", at / 2));
        }
        world.pass(60);
        // 1 and 2, 3 and 4, 5 and 6 share racks.
        world.alive.remove(&3);
        world.alive.remove(&4);
        world.pass(610);
        assert_eq!((world.disks(3), world.disks(4)), (OUT, OUT));
        let mut world = World { standing: world.standing.clone(), ..World::new(6) };
        world.set(&[disk_id(3, 1), disk_id(3, 2), disk_id(4, 1), disk_id(4, 2)], DiskState::Up);
        world.pass(60);
        world.alive.remove(&2);
        world.alive.remove(&3);
        world.pass(610);
        assert_eq!((world.disks(2), world.disks(3)), (DOWN, DOWN));
    }

    #[test]
    fn the_feature_level_rises_by_one_once_all_nodes_know_the_next() {
        let mut world = World::new(3);
        world.pass(60);
        let level = |world: &World| world.standing.feature_level.0;
        world.levels = [(1, 3), (2, 3)].into();
        world.pass(5);
        assert_eq!(level(&world), 1, "the third holds it back");
        world.levels.insert(3, 2);
        world.pass(5);
        assert_eq!(level(&world), 2, "as far as all know");
        let raised = world.done.iter().filter(|action| matches!(action, Action::RaiseFeatureLevel(_)));
        assert_eq!(raised.count(), 1);
        // Silent, it may come back with another build; given up, it is not waited for.
        world.levels.insert(3, 3);
        world.alive.remove(&3);
        world.new_leader();
        world.pass(60);
        assert_eq!(level(&world), 2);
        world.set(&[disk_id(3, 1), disk_id(3, 2)], DiskState::Out);
        world.pass(2);
        assert_eq!(level(&world), 3);
    }

    #[test]
    fn a_node_that_was_taken_out_is_told_of_until_it_is_silent() {
        let mut world = World::new(4);
        world.pass(60);
        let layout = Arc::make_mut(&mut world.standing.layout);
        layout.nodes.retain(|node| node.id != node_id(4));
        layout.disks.retain(|disk| disk.node != node_id(4));
        let told = |world: &World| {
            let report = world.watch.report(world.now).expect("it watches");
            report.nodes.iter().any(|node| node.node == node_id(4))
        };
        world.pass(60);
        assert!(told(&world), "it still runs");
        world.alive.remove(&4);
        world.pass(15);
        assert!(!told(&world));
        assert_eq!(world.done, []);
    }

    #[test]
    fn one_that_does_not_lead_knows_nothing() {
        let mut world = World::new(3);
        world.pass(5);
        world.new_leader();
        assert!(!world.watch.is_watching());
        world.watch.step(world.now, Event::Turn { leads: true });
        assert_eq!(world.watch.report(world.now), None);
    }
}
